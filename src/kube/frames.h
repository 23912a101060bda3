/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cuts what the API server sends into JSON values small enough to parse one by one: the events of a watch, which follow each other
 * without anything between them, or the items of a list, which may be larger as a whole than this process should ever become. The
 * bytes may come in pieces of any size.
 *
 * It knows where values begin and end, not what they mean: what it hands out may still be no JSON. Depth and size are bounded.
 */
#ifndef FAIRDIAL_KUBE_FRAMES_H
#define FAIRDIAL_KUBE_FRAMES_H

#include <stdbool.h>
#include <stddef.h>

/* etcd takes no object of more than 1.5 MiB; an event says a few words more. */
#define FRAMES_MAX_SIZE	 ((size_t)8 << 20)
#define FRAMES_MAX_DEPTH 64

enum frames_kind {
	FRAMES_EVENTS, /* each object of the stream */
	FRAMES_LIST,   /* each object in "items" of the one object; the rest of it is the envelope */
};

struct frames_text {
	char *at;
	size_t len, room;
};

struct frames {
	enum frames_kind kind;
	/* One value, which lasts until it returns. A negative errno ends the feeding with it. */
	int (*take)(void *of, const char *text, size_t len);
	void *of;

	/* Where the scan stands. */
	unsigned depth;
	bool in_string, escaped;
	bool in_items;	   /* FRAMES_LIST: between the brackets of "items" */
	bool key_is_items; /* the last text of the outermost object is "items" */
	size_t string_at;  /* where that text began in the envelope */
	struct frames_text value, envelope;
};

void frames_init(struct frames *frames, enum frames_kind kind, int (*take)(void *, const char *, size_t), void *of);
void frames_done(struct frames *frames);

/* 0; what `take` returned; -EBADMSG for what cannot be JSON; -E2BIG for a value too large or too deep; -ENOMEM. */
int frames_feed(struct frames *frames, const char *bytes, size_t n);

/* The stream is over: -EBADMSG where it ended within a value (or, for a list, before one). */
int frames_end(const struct frames *frames);

#endif
