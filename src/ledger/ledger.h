/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ledger: cursors, open connections, failures and ejections, shared by all processes of a pod.
 *
 * Nothing here locks, allocates or fails: without a ledger (base NULL), or with slots beyond its end, numbers read as
 * zero and what is told is forgotten. Every function may be called from a signal handler and from any thread.
 */
#ifndef FAIRDIAL_LEDGER_LEDGER_H
#define FAIRDIAL_LEDGER_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ledger/layout.h"
#include "table/map.h"

struct ledger {
	uint8_t *base; /* NULL: none */
	size_t size;
	uint64_t cursors_offset, rows_offset;
	uint32_t cursors, rows, cursor_size, row_size;
	struct file_id id; /* set by ledger_open */
};

/* Whose row: from the table's endpoint. For cursors: from its port. */
struct ledger_key {
	uint32_t slot, tag;
};

/* ---- file.c ---- */

enum ledger_opening {
	LEDGER_MAKE,	 /* make it where there is none */
	LEDGER_EXISTING, /* -ENOENT then */
	LEDGER_COPY,	 /* likewise, and for reading alone: what is told there, or mended, stays with the caller */
};

struct ledger_options {
	uint32_t rows, cursors; /* at least so many; from the table's head */
	unsigned mode;		/* 0600, or 0666 in a volume that is the pod's own */
	const struct trust *trust;
	enum ledger_opening opening;
};

/*
 * Maps the ledger at `path`. With LEDGER_MAKE it is made first (full size, linked into place whole) where there is none,
 * or where its owner is us and it is damaged, of another boot or too small. 0, or a negative errno and `ret_ledger->base` NULL.
 */
int ledger_open(const char *path, const struct ledger_options *options, struct ledger *ret_ledger);
void ledger_close(struct ledger *ledger);

/* In its place there are zeros from now on, of this process alone: for who may still be counting there. */
void ledger_blank(const struct ledger *ledger);

/*
 * Takes a mapping of `size` bytes. 0; -EBADMSG for anything but a ledger of this boot, where both say which; -EPROTO for another
 * version.
 */
int ledger_attach(struct ledger *ret_ledger, void *base, size_t size, const uint8_t boot_id[16]);

/* ---- ledger.c ---- */

static inline uint32_t ledger_ticks(uint64_t ms)
{
	return (uint32_t)(ms >> LEDGER_TICK_SHIFT);
}

/* What a pick looks at: two words, which are handed over in registers. */
struct ledger_load {
	uint64_t claims_word; /* for ledger_claim_if */
	uint32_t active : 31; /* at most LEDGER_MAX_ACTIVE */
	uint32_t ejected : 1; /* out, or on trial */
	uint32_t ejection;    /* as the row has it, for what follows from it; 0: in */
};
struct ledger_load ledger_load(const struct ledger *ledger, struct ledger_key key, uint64_t now_ms);

/* One more connection, only if nobody claimed a place there since `load`. Also true without a row. */
bool ledger_claim_if(const struct ledger *ledger, struct ledger_key key, const struct ledger_load *load);
void ledger_claim(const struct ledger *ledger, struct ledger_key key);

/* connect(2) has returned, and the socket counts from now on by what the kernel says of it. */
void ledger_landed(const struct ledger *ledger, struct ledger_key key);

/* The dial came to nothing, or was not one: gives the place back. Also lands it. */
void ledger_release(const struct ledger *ledger, struct ledger_key key);

/* ---- health.c ---- */

enum ledger_outcome { OUTCOME_SUCCESS, OUTCOME_REFUSED, OUTCOME_TIMED_OUT };

struct ledger_verdict {
	uint16_t eject_after, eject_timeouts_after; /* refusals, timeouts in a row; 0: never */
	uint32_t eject_for_ms;			    /* the first time, within a tenth; doubled with each further one in a row */
	uint32_t eject_max_ms;			    /* at most; 0: a day */
	uint32_t handshake_ms;			    /* that a dial may take: a trial has twice as long, at least, to tell how it went */
};

/* No ejection or trial under this policy ends later than this from now: what does is damage, or another policy's. */
uint32_t ledger_ejection_limit_ms(const struct ledger_verdict *verdict);

/*
 * What became of a dial that chose the backend when its row had this `ejection` (struct ledger_load; after ledger_try, as
 * that left it). True if this report ejected the backend.
 *
 * A success ends the ejection that the dial knew of, and no later verdict. A failure that is one too many ejects: a backend
 * that is in, or whose trial this dial was. The times of an ejection are doubled while none that follows a success comes
 * soon: as long in health as the last one lasted takes one doubling back (gRFC A50 takes one back for each interval in
 * health, Envoy likewise).
 */
bool ledger_report_of(const struct ledger *ledger, struct ledger_key key, uint32_t ejection, enum ledger_outcome outcome,
		      const struct ledger_verdict *verdict, uint64_t now_ms);

/* The same of a dial that knew all that the row knows now. */
bool ledger_report(const struct ledger *ledger, struct ledger_key key, enum ledger_outcome outcome,
		   const struct ledger_verdict *verdict, uint64_t now_ms);

/*
 * The right to dial a backend whose ejection is over (or, if all are in, one that is out): true for one caller of all
 * processes, who finds its word in `*ejection` then. False: somebody else tries it, or it is in or out again.
 */
bool ledger_try(const struct ledger *ledger, struct ledger_key key, uint32_t *ejection, const struct ledger_verdict *verdict,
		uint64_t now_ms);

/* Whether this is the word of a trial, while its time runs; how long that will be, and how long it has been over. */
bool ledger_is_trial(uint32_t ejection);
uint32_t ledger_left_ms(uint32_t ejection, uint64_t now_ms);
uint32_t ledger_overdue_ms(uint32_t ejection, uint64_t now_ms);

/*
 * A dial from this local port to a backend in doubt has no answer yet, and its shim does not wait: the mend that finds it
 * established, or the keeper that sees its end, knows that port. One is kept for each backend, until the next failure.
 */
void ledger_await(const struct ledger *ledger, struct ledger_key key, uint16_t port_be);
bool ledger_awaits(const struct ledger *ledger, struct ledger_key key, uint16_t port_be);

/* No success in the last ten seconds, or a failure since: worth waiting for its answer. */
bool ledger_suspect(const struct ledger *ledger, struct ledger_key key, uint64_t now_ms);

/* Its last failure is younger than its last success. */
bool ledger_doubted(const struct ledger *ledger, struct ledger_key key);

/* Timeouts are among the failures that follow its last success. */
bool ledger_timed_out(const struct ledger *ledger, struct ledger_key key);

/* False where certainly nobody is ejected: then no row need be asked. */
bool ledger_any_ejected(const struct ledger *ledger, uint64_t now_ms);

/* When it last failed, as an age in ticks; UINT32_MAX: never. */
uint32_t ledger_failure_age(const struct ledger *ledger, struct ledger_key key, uint64_t now_ms);

/* ---- ledger.c, the rest ---- */

/*
 * Of a failure that is told by ledger_report while its socket lives on with the backend's address: the keeper will see that
 * socket end, and take one down instead of telling it again. At most LEDGER_SEEN_MAX are kept, only while there is a keeper,
 * and none past a success: where the two miss each other, a failure is told twice or not at all, and not for long.
 */
#define LEDGER_SEEN_MAX 64
void ledger_note_seen(const struct ledger *ledger, struct ledger_key key, uint64_t now_ms);
bool ledger_take_seen(const struct ledger *ledger, struct ledger_key key);
void ledger_forget_seen(const struct ledger *ledger); /* of all rows: nobody has seen their sockets end */

/* A keeper lives: it has said so within three seconds. A time further ahead than that is damage. */
#define LEDGER_KEPT_FOR_MS 3000
bool ledger_is_kept(const struct ledger *ledger, uint64_t now_ms);

/* The kernel's list of sockets also has those of others, who claim nothing: see mend.h. */
bool ledger_is_shared(const struct ledger *ledger);

/* The keeper's: its sign of life, and what it knows of the network. Without one from ledger_unkeep on. */
void ledger_keep(const struct ledger *ledger, bool shared_network, uint64_t now_ms);
void ledger_unkeep(const struct ledger *ledger);

/* For people. */
struct ledger_score {
	uint32_t dials, active, failures;
	bool ejected;
	uint32_t ejected_ms; /* how much longer */
};
struct ledger_score ledger_score(const struct ledger *ledger, struct ledger_key key, uint64_t now_ms);

/*
 * The turn of this dial: each caller, of any process, gets the next number. False without a cursor, or where others were faster for
 * too long.
 */
bool ledger_turn(const struct ledger *ledger, struct ledger_key cursor, uint32_t *ret_turn);

/* Where to look first among equals, and where the next one looks. */
uint32_t ledger_cursor(const struct ledger *ledger, struct ledger_key cursor);
void ledger_set_cursor(const struct ledger *ledger, struct ledger_key cursor, uint32_t next);

/* Where the pod's dials of a port and family are pinned. */
struct ledger_pin {
	uint64_t word; /* as it was read: for ledger_set_pin */
	uint32_t tag;  /* of the endpoint; 0: not pinned, or not dialed for longer than `max_age_s` */
};
struct ledger_pin ledger_pin(const struct ledger *ledger, struct ledger_key cursor, bool v4, uint32_t max_age_s, uint64_t now_ms);

/*
 * Pins the pod to an endpoint as of now, or says that its pin is used now; only if the pin is still as it was read. Its time
 * never goes back. Also true without a cursor.
 */
bool ledger_set_pin(const struct ledger *ledger, struct ledger_key cursor, bool v4, const struct ledger_pin *before, uint32_t tag,
		    uint64_t now_ms);

#endif
