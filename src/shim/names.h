/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which host names are Services, and what they answer. A services file's Service answers to its bare name; any, to its
 * Kubernetes name: NAME.NAMESPACE.svc.DOMAIN in full, or as the search list of /etc/resolv.conf completes it. Namespace
 * and domain of the pod are what that list says (its entry NAMESPACE.svc.DOMAIN), never assumed. A name in /etc/hosts, a
 * numeric address, and the name of a single pod (mysql-0.mysql) are never ours.
 */
#ifndef FAIRDIAL_SHIM_NAMES_H
#define FAIRDIAL_SHIM_NAMES_H

#include <stdbool.h>

#include "base/addr.h"
#include "base/text.h"
#include "shim/attach.h"
#include "table/table.h"

#define NAMES_MAX 256

/* What resolv.conf(5) says, as far as it counts here. Slices point into `text`. */
struct resolv {
	char text[2048]; /* the search list, separated by spaces */
	struct slice search;
	struct slice namespace, domain; /* of the pod; empty where the list does not tell */
	unsigned ndots;
};

/* Feed it the file piece by piece; NULL at its end. Lines longer than the buffer lose their end. Pure. */
struct line_reader {
	char line[2304];
	size_t len;
	bool cut; /* the line was longer */
	void (*take)(void *to, struct slice line);
	void *to;
};
void lines_feed(struct line_reader *reader, const char *bytes, size_t n);
void lines_end(struct line_reader *reader);

void resolv_init(struct resolv *resolv);
void resolv_take_line(void *resolv, struct slice line);
void resolv_done(struct resolv *resolv);

/* hosts(5): whether a line names the host. */
bool hosts_line_names(struct slice line, struct slice host);

struct answer {
	struct addr v4, v6;
	bool has_v4, has_v6;
	const char *why; /* of NAMES_LIBC, for the trace; NULL: not worth a line */
	char canonical[NAMES_MAX];
};

/*
 * The Service that a name stands for in a view of the table: its row, and its canonical name. -ENOENT where it is
 * nobody's, or may be somebody else's. `resolv` NULL: only bare names.
 */
int names_find(const struct table_view *view, const struct resolv *resolv, struct slice host, char ret_canonical[NAMES_MAX]);

enum names_result {
	NAMES_LIBC,	 /* not ours: ask the libc */
	NAMES_ADDRESSES, /* `answer` has them */
	NAMES_ORDER,	 /* of a headless Service: ask the libc, and put what it says in order (names_order.c) */
	NAMES_OBSERVED,	 /* that, but only counted: what the libc says stays as it is */
};

/* What answers to `host` for this process now. Not async-signal-safe. */
enum names_result names_answer(const char *host, struct answer *ret_answer);

/* The Service of a NAMES_ORDER or NAMES_OBSERVED in a view of the table, and which of both it is there; NAMES_LIBC: neither. */
enum names_result names_headless(const struct attachment *attachment, const struct settings *settings,
				 const struct table_view *view, const struct answer *answer, struct table_service *ret_service);

/* ---- names_order.c ---- */

struct addrinfo;
struct hostent;

/*
 * Permutes the addresses that the libc gave for a NAMES_ORDER (of a NAMES_OBSERVED, only counts who would be first): in the
 * order of the Service's policy, those behind that the table does not know as usable. Who dials the first one is counted. None
 * is added or lost, and nothing but the places of addresses changes. Not async-signal-safe: it may ask the kernel for its
 * sockets.
 */
void names_order_list(const struct answer *answer, struct addrinfo *list);
void names_order_host(const struct answer *answer, struct hostent *host);

#endif
