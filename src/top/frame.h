/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one frame shows: the ports of Services as groups, in an order, and how many lines they have. Which endpoint stands in
 * which line is found for the lines that are looked at, so a frame of 10,000 Services costs what their numbers cost. Pure but
 * for memory.
 */
#ifndef FAIRDIAL_TOP_FRAME_H
#define FAIRDIAL_TOP_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct choices;
struct rates;
struct snapshot;
struct snapshot_endpoint;
struct snapshot_port;
struct snapshot_service;

/* From the best to the worst. */
enum endpoint_state { STATE_READY, STATE_SERVING, STATE_TERMINATING, STATE_LEFT_OUT, STATE_NOT_READY, STATE_EJECTED };

struct frame_sums {
	uint64_t open, dials, failures;
	double rate; /* dials per second; RATE_UNKNOWN */
	size_t endpoints, usable, ejected;
	enum endpoint_state worst;
};

/* A port of a Service, and its endpoints. */
struct frame_group {
	const struct snapshot_service *service;
	const struct snapshot_port *port; /* NULL: the Service has none */
	struct frame_sums sums; /* of all its endpoints, also those that a filter hides */
	double most_open, most_rate; /* of one endpoint */
	double evenness, at_random; /* of the dials over usable endpoints (balance/evenness.h) */
	size_t shown;		    /* endpoints that the filter leaves */
	bool by_endpoint;	    /* the filter names some of them, and not the Service */
	size_t first, lines; /* of the frame */
};

struct frame {
	const struct snapshot *snapshot;
	const struct rates *rates;
	const struct choices *choices;
	struct frame_group *groups;
	size_t group_count, line_count;
	struct frame_sums sums; /* of all groups, an endpoint of several Services once for each */
	bool has_zones;
	size_t address_width; /* columns of the longest address with its port; of IPv6 at least those of the first thousand */
};

enum frame_kind { FRAME_SERVICE, FRAME_ENDPOINT, FRAME_EMPTY /* a group without endpoints says so */ };

struct frame_line {
	enum frame_kind kind;
	const struct frame_group *group;
	const struct snapshot_endpoint *endpoint; /* of FRAME_ENDPOINT */
};

/* What it is made of has to stay as it is meanwhile. 0, or -ENOMEM. */
int frame_make(struct frame *ret_frame, const struct snapshot *snapshot, const struct rates *rates, const struct choices *choices);
void frame_free(struct frame *frame);

/* The lines from `first` on, at most `count`: how many there are, or -ENOMEM. */
int frame_lines(const struct frame *frame, size_t first, size_t count, struct frame_line *ret_lines);

enum endpoint_state frame_state(const struct snapshot_endpoint *e);

/* "left out"; as one word for scripts, "left-out". */
const char *endpoint_state_name(enum endpoint_state state);
const char *endpoint_state_word(enum endpoint_state state);

/* "web.shop"; of a Service without a namespace its name. */
#define FULL_NAME_SIZE 130
char *full_name(const struct snapshot_service *s, char buf[FULL_NAME_SIZE]);

#endif
