/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When to mend. A row whose socket ended is dirty, and dirty rows are mended together, at once if the last mend was long
 * enough ago: twenty times as long as it took, so that mending takes five hundredths of a processor at most, and two
 * milliseconds at least. Events that were lost (ENOBUFS), more dirty rows than there is room for, and a new census make
 * all rows dirty. Once a second, or after a thousand times as long as that takes, all rows are mended anyway: for
 * connections that a program without the shim opened, which nobody claimed and no event tells of, and for claims of
 * processes that were killed.
 *
 * A row on which dials were under way is not exact after its mend (mend_has_settled) and stays dirty for a while.
 *
 * Nothing is ordered between an event, a shim and a mend, and nothing needs to be. An event marks; the mend that follows
 * asks the kernel anew, and the socket had left the kernel's list before the event was sent. A shim that mends at the same
 * time, because its view of the sign of life is an old one, or because it looked just before the first one, writes notes of
 * its own over ours, and one of the two mends of that row comes to nothing (mend.c, notes_are); the sweep makes up for it.
 */
#include "agent/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/census.h"
#include "agent/endings.h"
#include "base/clock.h"
#include "ledger/ledger.h"
#include "ledger/mend.h"

#define LOOK_EVERY_MS	  1000
#define SWEEP_EVERY_MS	  1000
#define SWEEP_SELDOM_MS	  60000
#define MIN_GAP_MS	  2
#define GAP_FACTOR	  20
#define MAX_AGAIN	  7 /* mends of what will not settle: 4, 8, … 128 ms apart, then the sweep has it */
#define DATAGRAMS_AT_ONCE 256
#define DIRTY_MAX	  64
#define BELIEVED_AFTER_MS 1000

struct keeper {
	struct keeper_rows rows;
	char path[PATH_MAX];
	unsigned mode;
	bool shared;
	int fd; /* -1: no events */

	struct ledger ledger;
	uint32_t rows_wanted, cursors_wanted; /* when it was opened: a smaller one that is not ours to replace is kept */
	uint64_t looked_ms;		      /* 0: not yet; likewise below */

	struct census census;
	uint64_t count_ms; /* no census before */
	uint32_t dirty[DIRTY_MAX]; /* entries of the census, in its order */
	uint32_t dirty_count;
	bool all_dirty;
	unsigned again; /* mends since the last event that left rows dirty */

	uint64_t swept_ms, sweep_every_ms;
	uint64_t rest_until_ms; /* no mend before */

	uint64_t claims; /* of all backends, when keeper_was_used asked */
};

static const struct table *table_now(const struct keeper *k)
{
	return k->rows.table(k->rows.of);
}

/* ---- which rows are dirty ---- */

static void mark_all(struct keeper *k)
{
	k->all_dirty = true;
	k->dirty_count = 0;
}

static void mark(struct keeper *k, uint32_t entry)
{
	uint32_t i = 0;

	k->again = 0;
	if (k->all_dirty)
		return;
	while (i < k->dirty_count && k->dirty[i] < entry)
		i++;
	if (i < k->dirty_count && k->dirty[i] == entry)
		return;
	if (k->dirty_count == DIRTY_MAX) {
		mark_all(k);
		return;
	}
	memmove(&k->dirty[i + 1], &k->dirty[i], (k->dirty_count - i) * sizeof(*k->dirty));
	k->dirty[i] = entry;
	k->dirty_count++;
}

/* A disconnected socket has forgotten the port: all that the address has. */
static void mark_address(struct keeper *k, const struct addr *addr)
{
	for (uint32_t i = census_first(&k->census, addr); i < k->census.count && !k->all_dirty; i++) {
		const struct addr *other = &k->census.entries[i].addr;

		if (other->is_v4 != addr->is_v4 || memcmp(other->ip, addr->ip, sizeof(addr->ip)) != 0)
			return;
		mark(k, i);
	}
}

/*
 * A census takes time by the size of the table, which may change ten times a second: it waits until a thousand times as long has
 * passed since the last one. Meanwhile that serves. The places of dirty rows hold for one census.
 */
static void count_backends(struct keeper *k, uint64_t now_ms)
{
	const struct table *table = table_now(k);
	uint64_t begun_ns, took_us;

	if (now_ms < k->count_ms || !census_is_old(&k->census, table))
		return;
	begun_ns = clock_read_ns(CLOCK_THREAD_CPUTIME_ID);
	if (census_take(&k->census, table) < 0) {
		k->count_ms = now_ms + LOOK_EVERY_MS; /* no memory, or a table that is no good: not at once again */
		return;
	}
	took_us = (clock_read_ns(CLOCK_THREAD_CPUTIME_ID) - begun_ns) / 1000;
	k->count_ms = now_ms + (took_us < SWEEP_SELDOM_MS ? took_us : SWEEP_SELDOM_MS);
	mark_all(k);
}

/* ---- what an ending teaches ---- */

/*
 * A connection that stood until now was dialed at a time that nobody can tell, perhaps before the backend's last failure. It
 * ends a streak, so that two lost SYNs a day apart are no two in a row; but not an ejection, and not before the failure is a
 * second old: when a backend dies its connections end together, while others are refused.
 */
static void believe(struct keeper *k, const struct census_entry *entry, const struct ending *ending, uint64_t now_ms)
{
	uint32_t age = ledger_failure_age(&k->ledger, entry->key, now_ms);
	uint64_t age_ms = (uint64_t)age << LEDGER_TICK_SHIFT;

	if (age == UINT32_MAX || age_ms < ending->quiet_ms + (uint64_t)BELIEVED_AFTER_MS ||
	    !ledger_doubted(&k->ledger, entry->key) || ledger_load(&k->ledger, entry->key, now_ms).ejected)
		return;
	ledger_report(&k->ledger, entry->key, OUTCOME_SUCCESS, &entry->verdict, now_ms);
}

/* Whether it began before the verdict that stands, and so changes nothing of it: certainly not, where the shim waits for it. */
static bool is_older(const struct keeper *k, const struct census_entry *entry, const struct ending *ending,
		     const struct ledger_load *load, uint64_t now_ms)
{
	if (ledger_awaits(&k->ledger, entry->key, ending->port_be))
		return false;
	if (load->ejected) /* if there is a trial, it is another */
		return ledger_is_trial(load->ejection);
	return load->ejection && ledger_overdue_ms(load->ejection, now_ms) < ending->least_ms;
}

/* Of a dial whose answer its shim did not wait for. */
static void tell_failure(struct keeper *k, const struct census_entry *entry, const struct ending *ending, uint64_t now_ms)
{
	enum ledger_outcome outcome = ending->kind == ENDING_REFUSED ? OUTCOME_REFUSED : OUTCOME_TIMED_OUT;
	struct ledger_load load = ledger_load(&k->ledger, entry->key, now_ms);
	uint32_t ejection = is_older(k, entry, ending, &load, now_ms) ? 0 : load.ejection;

	ledger_report_of(&k->ledger, entry->key, ejection, outcome, &entry->verdict, now_ms);
}

/*
 * A late failure, unless the shim has told it. An ending that tells nothing may be one of those as well (ICMP), and then
 * takes its note down.
 *
 * In a shared network it may be a stranger's, who reaches the backend by other ways and under other rules. Without an open
 * claim on the row it certainly is. With one it may be; the backend has then failed somebody from this very address, and is
 * only avoided for a while.
 */
static void teach(struct keeper *k, const struct census_entry *entry, const struct ending *ending, uint64_t now_ms)
{
	bool claimed = !k->shared || ledger_load(&k->ledger, entry->key, now_ms).active > 0;

	if (ending->kind == ENDING_ANSWERED) {
		if (ledger_awaits(&k->ledger, entry->key, ending->port_be) && ledger_doubted(&k->ledger, entry->key))
			ledger_report(&k->ledger, entry->key, OUTCOME_SUCCESS, &entry->verdict, now_ms);
		else if (claimed)
			believe(k, entry, ending, now_ms);
		return;
	}
	if (ledger_take_seen(&k->ledger, entry->key) || ending->kind == ENDING_UNTOLD || !claimed)
		return;
	tell_failure(k, entry, ending, now_ms);
}

static void take_ending(struct keeper *k, const struct ending *ending, uint64_t now_ms)
{
	struct census_entry *entry;

	if (ending->peer.port_be == 0) {
		mark_address(k, &ending->peer);
		return;
	}
	entry = census_find(&k->census, &ending->peer);
	if (!entry)
		return;
	/* Before it is marked, and so mended: the claim of this socket is still open. */
	teach(k, entry, ending, now_ms);
	mark(k, (uint32_t)(entry - k->census.entries));
}

/* False where no more can be read now. */
static bool read_datagram(struct keeper *k, uint64_t now_ms)
{
	static char datagram[8192] __attribute__((aligned(8))); /* of one socket; 380 bytes on Linux 6.18 */
	struct sockaddr_nl from = { 0 };
	socklen_t from_len = sizeof(from);
	ssize_t n = recvfrom(k->fd, datagram, sizeof(datagram), MSG_DONTWAIT, (struct sockaddr *)&from, &from_len);
	struct ending ending;
	size_t at = 0;

	if (n < 0 && errno == ENOBUFS) /* told once; what was kept can still be read */
		mark_all(k);
	if (n < 0)
		return errno == ENOBUFS || errno == EINTR;
	if (from.nl_pid != 0) /* not the kernel's */
		return true;
	while (endings_next(datagram, (size_t)n, &at, &ending))
		take_ending(k, &ending, now_ms);
	return true;
}

void keeper_read(struct keeper *k, uint64_t now_ms)
{
	if (k->fd < 0)
		return;
	count_backends(k, now_ms);
	for (int i = 0; i < DATAGRAMS_AT_ONCE && read_datagram(k, now_ms); i++)
		;
}

/* ---- mends ---- */

struct some {
	const struct keeper *keeper;
	bool all;
};

static bool backend_at(const void *of, uint32_t i, struct addr *ret_addr, struct ledger_key *ret_key)
{
	const struct some *some = of;
	const struct keeper *k = some->keeper;
	const struct census_entry *entry = &k->census.entries[some->all ? i : k->dirty[i]];

	*ret_addr = entry->addr;
	*ret_key = entry->key;
	return true;
}

/*
 * How long to rest after it, in milliseconds; `*r` as mend() has it. What counts is the processor's time: on a busy machine
 * a mend that had to wait has cost no more.
 */
static uint64_t mend_some(struct keeper *k, bool all, uint64_t now_ms, int *r)
{
	struct some some = { k, all };
	struct mend_list list = { &some, all ? k->census.count : k->dirty_count, backend_at };
	uint64_t begun_ns = clock_read_ns(CLOCK_THREAD_CPUTIME_ID), took_us;

	*r = mend_in_turn(&k->ledger, &list, now_ms);
	took_us = (clock_read_ns(CLOCK_THREAD_CPUTIME_ID) - begun_ns) / 1000;
	if (all) /* a thousand times as long: as many milliseconds as it took microseconds */
		k->sweep_every_ms = took_us < SWEEP_SELDOM_MS ? took_us : SWEEP_SELDOM_MS;
	if (k->sweep_every_ms < SWEEP_EVERY_MS)
		k->sweep_every_ms = SWEEP_EVERY_MS;
	return (took_us * (1 + GAP_FACTOR) + 999) / 1000;
}

/* Leaves the rows dirty that have to be mended again; all of them where the mend failed. */
static void keep_unsettled(struct keeper *k, bool failed)
{
	uint32_t kept = 0;

	k->again = k->again < MAX_AGAIN ? k->again + 1 : MAX_AGAIN;
	for (uint32_t i = 0; i < k->dirty_count && k->again < MAX_AGAIN; i++)
		if (failed || !mend_has_settled(&k->ledger, k->census.entries[k->dirty[i]].key))
			k->dirty[kept++] = k->dirty[i];
	k->dirty_count = kept;
	if (kept == 0)
		k->again = 0;
}

static uint64_t sweep_due_ms(const struct keeper *k)
{
	return k->swept_ms ? k->swept_ms + k->sweep_every_ms : 0;
}

static void mend_what_is_due(struct keeper *k, uint64_t now_ms)
{
	bool all = k->all_dirty || sweep_due_ms(k) <= now_ms;
	uint64_t gap_ms;
	int r;

	if (k->rest_until_ms > now_ms || !(all || k->dirty_count))
		return;
	gap_ms = mend_some(k, all, now_ms, &r);
	if (all)
		k->swept_ms = now_ms;
	k->all_dirty = false;
	keep_unsettled(k, r < 0);
	if (gap_ms < (uint64_t)MIN_GAP_MS << k->again)
		gap_ms = (uint64_t)MIN_GAP_MS << k->again;
	k->rest_until_ms = now_ms + gap_ms;
}

/* ---- the ledger ---- */

/* One that a shim of the same user made first is its alone: opened to those that this one is for. */
static void set_mode(const struct keeper *k)
{
	int fd = open(k->path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && st.st_ino == k->ledger.id.ino && st.st_dev == k->ledger.id.dev && st.st_uid == geteuid() &&
	    (st.st_mode & 0777) != k->mode)
		fchmod(fd, k->mode);
	close(fd);
}

static bool is_outgrown(const struct keeper *k, const struct table_head *head)
{
	return head->rows > k->rows_wanted || head->cursors > k->cursors_wanted;
}

/*
 * A ledger that shims have without a keeper for a while has notes of failures whose sockets ended unseen. One whose keeper
 * was there a moment ago is taken over as it is.
 */
static void begin_keeping(struct keeper *k, uint64_t now_ms)
{
	set_mode(k);
	if (!ledger_is_kept(&k->ledger, now_ms))
		ledger_forget_seen(&k->ledger);
	ledger_keep(&k->ledger, k->shared, now_ms);
	mark_all(k); /* a new one counts from nothing */
}

static void open_ledger(struct keeper *k, const struct table_head *head, uint64_t now_ms)
{
	struct trust trust = { geteuid(), geteuid(), false };
	struct ledger_options options = { head->rows, head->cursors, k->mode, &trust, LEDGER_MAKE };
	struct ledger ledger;

	k->rows_wanted = head->rows;
	k->cursors_wanted = head->cursors;
	if (ledger_open(k->path, &options, &ledger) < 0)
		return; /* the old mapping, if there is one, serves those who have it too */
	ledger_close(&k->ledger);
	k->ledger = ledger;
	begin_keeping(k, now_ms);
}

/* Once a second: still alive, and on the ledger that has the name. */
static void look(struct keeper *k, uint64_t now_ms)
{
	const struct table *table = table_now(k);

	k->looked_ms = now_ms;
	ledger_keep(&k->ledger, k->shared, now_ms);
	if (table && (!k->ledger.base || is_outgrown(k, table_head(table)) || !file_is_current(k->path, &k->ledger.id)))
		open_ledger(k, table_head(table), now_ms);
}

static bool look_is_due(const struct keeper *k, uint64_t now_ms)
{
	const struct table *table = table_now(k);

	return !k->looked_ms || now_ms - k->looked_ms >= LOOK_EVERY_MS ||
	       (table && k->ledger.base && is_outgrown(k, table_head(table)));
}

/* ---- the loop's side ---- */

int keeper_open(const struct keeper_rows *rows, const char *ledger_path, unsigned ledger_mode, bool shared_network,
		struct keeper **ret, struct report *why)
{
	struct keeper *k;

	if (strlen(ledger_path) >= sizeof(k->path))
		return report(why, -ENAMETOOLONG, "%s: the name of the ledger is too long", ledger_path);
	k = calloc(1, sizeof(*k));
	if (!k)
		return report(why, -ENOMEM, "out of memory");
	k->rows = *rows;
	k->mode = ledger_mode;
	k->shared = shared_network;
	k->sweep_every_ms = SWEEP_EVERY_MS;
	snprintf(k->path, sizeof(k->path), "%s", ledger_path);
	k->fd = endings_open();
	if (k->fd < 0)
		k->fd = -1;
	*ret = k;
	return 0;
}

int keeper_fd(const struct keeper *k)
{
	return k->fd;
}

int keeper_due_ms(const struct keeper *k, uint64_t now_ms)
{
	uint64_t next = k->looked_ms + LOOK_EVERY_MS, mend = sweep_due_ms(k);

	if (look_is_due(k, now_ms))
		return 0;
	if (k->dirty_count || k->all_dirty)
		mend = 0;
	if (mend < k->rest_until_ms)
		mend = k->rest_until_ms;
	if (mend < next && k->ledger.base && k->census.count)
		next = mend;
	if (k->count_ms < next && census_is_old(&k->census, table_now(k)))
		next = k->count_ms;
	return next > now_ms ? (int)(next - now_ms) : 0; /* within a second, as `looked_ms` is */
}

void keeper_run(struct keeper *k, uint64_t now_ms)
{
	if (look_is_due(k, now_ms))
		look(k, now_ms);
	count_backends(k, now_ms);
	if (k->ledger.base && k->census.count)
		mend_what_is_due(k, now_ms);
}

const struct ledger *keeper_ledger(const struct keeper *k)
{
	return &k->ledger;
}

/* By the dials that were counted, which only grow; those to a Service whose place was given back at once are among them. */
bool keeper_was_used(struct keeper *k)
{
	uint64_t claims = 0;
	bool open = false, used;

	if (!k->ledger.base)
		return table_now(k) != NULL;
	for (uint32_t i = 0; i < k->census.count; i++) {
		struct ledger_score score = ledger_score(&k->ledger, k->census.entries[i].key, 0);

		claims += score.dials;
		open |= score.active > 0;
	}
	used = open || claims != k->claims;
	k->claims = claims;
	return used;
}

void keeper_close(struct keeper *k)
{
	if (!k)
		return;
	ledger_unkeep(&k->ledger);
	ledger_close(&k->ledger);
	census_done(&k->census);
	if (k->fd >= 0)
		close(k->fd);
	free(k);
}
