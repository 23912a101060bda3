/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of the ledger: what the shims of a pod tell each other. All of them write it, none locks it, any of them may
 * be killed between two instructions, and its bytes are never trusted: every value is bounded where it is used.
 *
 *	+---------------------+  0
 *	| struct ledger_head  |
 *	+---------------------+  cursors_offset
 *	| struct ledger_cursor|  one for each port of a Service
 *	+---------------------+  rows_offset
 *	| struct ledger_row   |  one for each backend: address and port, whichever Services it belongs to
 *	+---------------------+  file_size
 *
 * Slots are given out by the table's writer and may pass to another backend one day. So every word says whose it is:
 *
 *	tag (32 bits, high) | value (32 bits, low)
 *
 * The tag follows from the table's instance and the backend's address and port. A word with another tag is worth 0, and
 * whoever adds to it replaces tag and value together with one compare-and-swap. There is nothing to reset, so nobody
 * can be killed while resetting, and a score never passes to a stranger.
 *
 * Open connections. No hook sees a close; the truth is the kernel's. A backend's count is claims - gone (modulo
 * 2^32). `claims` only grows: one for each dial, taken before connect(2), by least_conn with a compare-and-swap against
 * the count it decided on, so that two processes cannot both take the last place. `landed` follows when connect(2) has
 * returned, so claims - landed dials are between their claim and the kernel's list of sockets. `gone` is what
 * failed and what a mend found closed. A mend (mend.h) sets gone := claims when its dump began - sockets it found - claims
 * on their way then; claims made since are kept by the arithmetic. The words `mend_…` and `unsettled…` are its notes.
 * tests/model/ledger.pml proves that no mend erases a claim; tests/model/tenancy.pml, that no score goes to a stranger.
 *
 * The keeper: an agent in the pod's network namespace, which is told of every socket that ends. While its sign of life is young it
 * mends, and the shims need not; two that mend at once do no harm (mend.c, notes_are). It also learns failures that a program met
 * after its dial had returned; those that the shim has told already are counted in `seen`, for the keeper to pass over.
 *
 * Ejections. `ejected_until` is the one word of a verdict:
 *
 *	0			in
 *	a time to come, even	out: nobody dials it before
 *	a time that is over	one dial may try it: whoever swaps the word, by compare-and-swap, for
 *	a time to come, odd	a trial is under way, which has until then to tell how it went
 *
 * A verdict swaps the word for an even time, and the trial's success swaps it for 0; both only against the word that their
 * dial found, or made, when it chose the backend. So what a dial tells that began before a verdict changes nothing of that
 * verdict; and a trial whose process died, or never tells, is over when its time is, and the next one tries. Whoever is told
 * of a verdict, or begins to dial behind one, sees the word: it is one location, changed by swaps that release it.
 * tests/model/ejection.pml.
 *
 * How often in a row a backend was ejected doubles its time; a shim that does not know of `ejections`, or of the flag, ejects
 * for the first time each time, and dials at once when the time is over. `ejections` has the local port of a dial whose
 * answer its shim could not wait for as well: whoever finds that socket established, or ended, tells for it.
 *
 * Pins. The clients of a Service with sessionAffinity: ClientIP, which are the processes of this pod together, share one
 * endpoint of each port and family (kube-proxy has a proxier for each). Endpoint and time change together:
 *
 *	endpoint's tag ^ cursor's tag (32 bits, high) | time of the last dial (32 bits, low)
 *
 * and 0 is no pin, because a time is never 0. A word that another port left, which had this cursor before, decodes to its
 * endpoint's tag ^ its own tag ^ ours: hashes that have nothing to do with each other, and so the tag of none of our n endpoints
 * but by a chance of n in 2^32. Even that would pin the pod to a usable endpoint of this very port, only not to the one that the
 * hash says; so does whoever scribbles here.
 *
 * Moves (moves.h), since 1.1. Processes that close connections of their own accord, for others to be dialed in their place,
 * must together close no more than there are too many. Whoever gives one up adds to its row's `gone`, only against the count
 * that it decided on. A window of rebalance, which the table gives a number, has for each family two words of the port's
 * cursor: how many connections there were when it began, as the first who looked has told, and how many have moved since. Their
 * tag follows from the port's, the window's number and the family: they are worth 0 in the next window without anybody's doing.
 * `rate` has the second of the last move and how many there were in it:
 *
 *	tag (32 bits, high) | second modulo 2^16 (16 bits) | moves in it (16 bits)
 *
 * The rest counts for people. All that any of these words can do, whatever is in it, is to let as many connections leave as the
 * table allows (each at a quiet point, at most LEDGER_MOVES_PER_SECOND of them in a second), or none.
 *
 * Versions. Cursors and rows may grow at their ends; cursor_size and row_size say where the next one is. All processes of a pod
 * are to have the same ledger, so a version with more words in a cursor takes one with fewer: a word beyond a cursor's end is no
 * word (cursor_word), numbers are 0 there, what is told is forgotten, and what needs the word does not happen. A version with
 * fewer passes over those that it does not know. Up to its sum a head is the same in every version, also of another major number:
 * one whose sum is wrong is damaged, and replaced, whatever number it shows.
 *
 * Times are CLOCK_BOOTTIME in units of 16 ms, modulo 2^32 (two years), compared by signed difference.
 */
#ifndef FAIRDIAL_LEDGER_LAYOUT_H
#define FAIRDIAL_LEDGER_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#define LEDGER_MAGIC 0x72656764656c6466u /* "fdledger" */
#define LEDGER_MAJOR 1
#define LEDGER_MINOR 1
#define LEDGER_TICK_SHIFT 4 /* milliseconds to ticks */
#define LEDGER_MAX_EJECTION_MS (24u * 3600 * 1000) /* the most that a policy may ask for; a time further ahead is damage */
#define LEDGER_MAX_ACTIVE (1u << 20) /* more connections to one backend than this are damage */
#define LEDGER_MAX_SHARED (1u << 24) /* likewise to all backends of a port */
#define LEDGER_MOVE_REASONS 4 /* balance/move.h: enum move_reason, from 1 on */

enum ledger_flags {
	LEDGER_SHARED_NETWORK = 1, /* the kernel's list is the node's: a count is never more than what shims claimed */
};

struct ledger_head {
	uint64_t magic;
	uint16_t major, minor;
	uint32_t head_size;
	uint64_t file_size;
	uint8_t boot_id[16]; /* its times count in this boot */
	uint32_t cursors, rows;
	uint32_t cursor_size, row_size;
	uint64_t cursors_offset, rows_offset;
	uint64_t sum; /* table_sum of all words before it */

	uint64_t zero[6];

	/* What changes, on a line of its own. */
	uint64_t mended_ms; /* CLOCK_BOOTTIME when the last mend began */
	uint64_t mend_us;   /* how long it took */
	uint64_t mends;	    /* their number */
	uint64_t ejecting_until_ms; /* CLOCK_BOOTTIME: the end of the ejection that ends last */
	uint64_t kept_ms; /* CLOCK_BOOTTIME of the keeper's last sign of life; 0: none, or it has gone */
	uint64_t flags;	  /* enum ledger_flags, as the keeper sets them */
	uint64_t zero2[2];
};

struct ledger_row {
	uint64_t claims, gone, landed;
	uint64_t ejected_until; /* time, its lowest bit a flag; see above */
	uint64_t failures;
	uint64_t streak;       /* refusals in a row << 16 | timeouts in a row */
	uint64_t last_success; /* time */
	uint64_t last_failure; /* time */
	/* Notes of a mend, tagged by its own number instead of the backend's tag. */
	uint64_t mend_claims, mend_landed, mend_gone, mend_found;
	/* What it could not settle: tagged by the backend. */
	uint64_t unsettled_least; /* claims that had not landed, the fewest at any mend */
	uint64_t unsettled_since; /* this time */
	uint64_t seen; /* failures that were told, of sockets that the keeper has yet to see the end of */
	uint64_t ejections; /* local port of a dial that is waited for << 16 | ejections in a row */
};

struct ledger_cursor {
	uint64_t next;	     /* whose turn it is; tagged by the port */
	uint64_t mended;     /* time of the last mend of its endpoints; tagged by the port */
	uint64_t generation; /* of the table it was made for, modulo 2^32; likewise */
	uint64_t pin_v4, pin_v6; /* sessionAffinity; see above */
	uint64_t zero[3];

	/* Since 1.1. What is asked before a connection leaves is on a line of its own, and what is only told on another. */
	uint64_t window_total_v4, window_total_v6; /* connections when the window began; tagged by port, window and family */
	uint64_t window_moved_v4, window_moved_v6; /* since then; likewise */
	uint64_t rate; /* second modulo 2^16 << 16 | moves in it; tagged by the port, as all that follow */
	uint64_t without_thread; /* processes that could not make the thread that moves connections */
	uint64_t zero2[2];
	uint64_t moved[LEDGER_MOVE_REASONS], would_have[LEDGER_MOVE_REASONS]; /* by reason, less 1 */
};

#define LEDGER_CURSOR_LEAST 64 /* bytes of a cursor of version 1.0 */

_Static_assert(offsetof(struct ledger_head, sum) == 72, "head: fields may only be appended");
_Static_assert(offsetof(struct ledger_head, mended_ms) == 128, "head: the changing line");
_Static_assert(sizeof(struct ledger_head) == 192, "head: the changing line");
_Static_assert(offsetof(struct ledger_head, kept_ms) == 160, "head: fields may only be appended");
_Static_assert(sizeof(struct ledger_row) == 128, "row");
_Static_assert(offsetof(struct ledger_row, ejections) == 120, "row: fields may only be appended");
_Static_assert(offsetof(struct ledger_row, ejected_until) + 8 <= 64, "what a pick reads lies in one cache line");
_Static_assert(sizeof(struct ledger_cursor) == 192, "cursor: cache lines of its own");
_Static_assert(offsetof(struct ledger_cursor, window_total_v4) == LEDGER_CURSOR_LEAST, "cursor: words may only be appended");
_Static_assert(offsetof(struct ledger_cursor, moved) == 128, "cursor: what is only told is on another line");

#endif
