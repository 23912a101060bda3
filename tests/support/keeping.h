/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keepers for tests, on a table that was published and the ledger beside it: one whose clock the test holds, so that nothing
 * but what the kernel told can make it mend, and one that is a process of its own. The tests are TEST() ones.
 */
#ifndef FAIRDIAL_TESTS_KEEPING_H
#define FAIRDIAL_TESTS_KEEPING_H

#include <stdbool.h>
#include <sys/types.h>

#include "agent/keeper.h"
#include "ledger/ledger.h"
#include "support/services.h"

struct backends;

struct keeping {
	struct services *s;
	struct table *table;
	struct ledger ledger; /* a mapping of the test's own */
	struct keeper *keeper;
	uint64_t mends_at_sweep;
	uint64_t now_ms, sweep_ms; /* the clock, which never reaches `sweep_ms`, when it would look at all rows anyway */
};

/* Opens a keeper in this process and lets it take stock. Skips the test where the kernel tells of no events. */
struct keeping *keep_by_hand(struct services *s, bool shared_network);

/* The same in a child; returns when it has given its first sign of life. Killed when the test ends. */
pid_t keep_in_child(struct services *s, bool shared_network);

/* Lets a keeper in hand work until what the kernel told is taken and the condition holds; bounded: the test fails. */
void keep_until(struct keeping *k, bool (*holds)(struct keeping *k, const void *what), const void *what, const char *name);

/* Until one more event has been read and all that follows from it is done. */
void keep_one_event(struct keeping *k);

/* Moves its clock on to where it looks at all rows, and lets it. */
void keep_sweep(struct keeping *k);

/* Of SERVICE_ADDRESS:80's endpoint "10.0.0.1:80". */
struct ledger_key key_at(const struct keeping *k, const char *place);
struct ledger_score score_at(const struct keeping *k, const char *place);

/* Until each of these places counts this many; by events alone. */
void expect_active(struct keeping *k, const char *place, uint32_t active);

/* For keepers in a child: the ledger mapped, without a keeper in hand. */
struct keeping *watch_ledger(struct services *s);

/*
 * Fails unless the ledger comes to count what the kernel lists at each backend from `first` on, of Service `web` at the address of
 * backend 0: nothing now, `each` at each of them under that many dials by least_conn, and nothing again. Nobody is ejected then.
 */
void assert_ledger_healed(struct services *s, const struct backends *b, size_t first, unsigned each);

/* "127.0.0.1:8080" */
const char *place_of(const char *address, int port);

/* Dials without the shim and without a word to the ledger: a descriptor. */
int dial_place(const char *place, int family, int flags);

/* Sockets to a place that the kernel lists as established or dialing, by /proc/net/tcp and tcp6. */
uint32_t listed_at(const char *place);

#endif
