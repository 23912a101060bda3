/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/attach.h"

#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <sys/time.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/host.h"
#include "base/scratch.h"
#include "base/sys.h"
#include "base/trace.h"
#include "shim/autostart.h"
#include "shim/next.h"
#include "shim/pause.h"
#include "table/atomics.h"

#define MAX_ATTACHMENTS 128
#define MAX_MAPPED	(1ull << 30) /* addresses for all of them, bytes */
#define ALWAYS		16	     /* so many whatever they take: the lists of a large cluster are a tenth of that each */
#define KEPT		8	     /* the last ones, as they are */
#define LOOK_EVERY_MS	1000
#define FIRST_PAUSE_MS	1
#define LAST_PAUSE_MS	16

static struct settings settings;
static int settings_state; /* 0: not read, 1: being read, 2: read */

static struct attachment attachments[MAX_ATTACHMENTS];
static uint64_t attachments_used; /* claimed by add_relaxed: each place is filled by one thread, once */
static uint64_t mapped_bytes;
static void *current;		  /* struct attachment *: released when its place is whole */
static uint64_t last_look_ms;	  /* whoever moves it on looks */
static uint64_t last_start_ms;	  /* likewise, and may start an agent */
static uint64_t first_look_ms;	  /* CLOCK_MONOTONIC, where somebody would wait; 0: not yet. So is the next */
static uint64_t wait_until_ms;
static uint64_t last_wait_ms; /* the last look of those that wait */

const struct settings *attach_settings(void)
{
	int state = load_acquire_int(&settings_state);

	if (state == 2)
		return &settings;
	if (state == 1 || !swap_if_int(&settings_state, 0, 1))
		return NULL;
	settings_read(&settings);
	if (settings.autostart)
		autostart_keep_environment();
	store_release_int(&settings_state, 2);
	return &settings;
}

static const struct trace_word reasons[] = {
	{ ENOENT, "there is none" },
	{ ENOTDIR, "there is a file where its directory is to be" },
	{ ELOOP, "it is a symbolic link" },
	{ EACCES, "permission denied" },
	{ EPERM, "not to be trusted: its owner, or others may write it or its directory" },
	{ EBADMSG, "damaged" },
	{ EPROTO, "of another version" },
	{ ESTALE, "of another boot" },
	{ ENOSPC, "no space left" },
	{ EBUSY, "another process is replacing it" },
	{ EROFS, "read-only file system" },
	{ EAGAIN, "it does not say much yet" },
	{ 0, NULL },
};

/* What it takes to look for a table: too much for the stack of a hook. */
struct search {
	const struct settings *settings;
	const char *dir;
	struct trust trust;
	struct table table;
	struct file_id id;
	struct ledger ledger;
	bool not_empty; /* an empty one is passed over */
	bool again;	/* one of many looks: only what it finds is worth a line */
	char user_dir[40];
	char ledger_path[SETTINGS_PATH + 8];
	char line[2 * SETTINGS_PATH];
};

static void trace_attach(struct search *search, const char *dir, const char *what, int result)
{
	struct text line;

	if (!(search->settings->trace & TRACE_ATTACH) || (search->again && result < 0))
		return;
	line = trace_begin(search->line, sizeof(search->line), "attach");
	text_add(&line, dir);
	text_add(&line, what);
	text_add(&line, result == 0 ? " mapped" : " passed over: ");
	if (result < 0)
		trace_add_error(&line, reasons, -result);
	trace_end(&line, search->settings->trace_path);
}

static bool is_retired(const struct table *table)
{
	return load_relaxed(&table_head(table)->retired) != 0;
}

/*
 * An agent's first table is an empty one, and then one of Services without their endpoints, until it has heard all of its source.
 * For those who wait; only ever of so many ports as the list has.
 */
__attribute__((noinline)) /* its row is not for the stack of a look */
static bool has_services(const struct table *table)
{
	struct table_view view;
	struct table_port port;
	bool has = false;

	if (table_head(table)->flags & TABLE_STATIC)
		return true;
	if (!table_begin(table, &view))
		return false;
	for (uint32_t i = 0; !has && table_port(&view, i, &port) == 0; i++)
		has = port.stand_down != STAND_DOWN_UNSYNCED && port.stand_down != STAND_DOWN_API;
	return has && table_end(&view);
}

static void ledger_path(const struct settings *s, const char *dir, char path[SETTINGS_PATH + 8])
{
	struct text text = text_into(path, SETTINGS_PATH + 8);

	text_add(&text, s->ledger[0] ? s->ledger : dir);
	if (!s->ledger[0])
		text_add(&text, "/ledger");
}

/*
 * As who the process was started, which takes no system call; as who it is now, where that is not enough. One that is a user for
 * a moment only, as servers are on behalf of one (seteuid(2)), does not believe him: a table stays when it is root again.
 */
static bool ask_who_we_are(struct search *search)
{
	uint32_t real, effective, saved;

	if (sys_getresuid(&real, &effective, &saved) < 0 || real != effective || saved != effective)
		return false;
	if (effective == search->trust.euid)
		return false;
	search->trust.euid = effective;
	return true;
}

static void open_ledger(struct search *search)
{
	const struct table_head *head = table_head(&search->table);
	struct ledger_options options = { head->rows, head->cursors, 0600, &search->trust, LEDGER_MAKE };
	int r;

	ledger_path(search->settings, search->dir, search->ledger_path);
	r = ledger_open(search->ledger_path, &options, &search->ledger);
	if (r == -EPERM && ask_who_we_are(search))
		r = ledger_open(search->ledger_path, &options, &search->ledger);
	if (r < 0)
		search->ledger.base = NULL;
	trace_attach(search, search->ledger_path, "", r);
}

static bool is_same_file(const struct file_id *a, const struct file_id *b)
{
	return a->dev == b->dev && a->ino == b->ino;
}

/*
 * What the process has already: an old table without a successor, with its ledger, or where that cannot be had now. A ledger that
 * it holds is better than none.
 */
static bool is_attached(const struct search *search)
{
	const struct attachment *last = load_acquire_ptr(&current);
	const struct ledger *ledger = &search->ledger;

	if (!last || !is_same_file(&last->id, &search->id))
		return false;
	return !ledger->base || (last->ledger.base && is_same_file(&last->ledger.id, &ledger->id));
}

/*
 * False where the process has had too many. A place whose mappings would be too much stays empty: the next may be another thread's.
 */
static bool take_place(const struct search *search, uint64_t *ret_place)
{
	uint64_t bytes = search->table.size + (search->ledger.base ? search->ledger.size : 0);

	*ret_place = add_relaxed(&attachments_used, 1);
	if (*ret_place >= MAX_ATTACHMENTS) {
		add_relaxed(&attachments_used, (uint64_t)-1);
		return false;
	}
	if (add_relaxed(&mapped_bytes, bytes) + bytes <= MAX_MAPPED || *ret_place < ALWAYS)
		return true;
	add_relaxed(&mapped_bytes, -bytes);
	return false;
}

/*
 * Its files are gone, and a volume has their room again once nobody maps them. Who still reads or counts there finds what a damaged
 * one could say as well. Acquires what its own thread released when it was whole; one that is late with that is left as it is.
 */
static void blank_before(uint64_t place)
{
	struct attachment *old = place < KEPT ? NULL : &attachments[place - KEPT];

	if (!old || !load_acquire_int(&old->is_whole) || load_acquire_ptr(&current) == old)
		return;
	table_blank(&old->table);
	ledger_blank(&old->ledger);
}

/* Puts both where every dial finds them. False: the process keeps the last. */
static bool install(const struct search *search)
{
	struct attachment *to;
	struct text path;
	uint64_t place;

	if (!take_place(search, &place))
		return false;
	to = &attachments[place];
	to->table = search->table;
	to->id = search->id;
	to->ledger = search->ledger;
	to->identity = host_identity();
	path = text_into(to->dir, sizeof(to->dir));
	text_add(&path, search->dir);
	store_release_ptr(&current, to);
	store_release_int(&to->is_whole, 1);
	blank_before(place);
	return true;
}

static int map_table(struct search *search)
{
	int r = table_map(search->dir, &search->trust, &search->table, &search->id);

	if (r == -EPERM && ask_who_we_are(search))
		r = table_map(search->dir, &search->trust, &search->table, &search->id);
	if (r == 0 && !table_is_of_boot(&search->table))
		r = -ESTALE;
	else if (r == 0 && search->not_empty && !has_services(&search->table))
		r = -EAGAIN;
	if (r == -ESTALE || r == -EAGAIN)
		table_unmap(&search->table);
	trace_attach(search, search->dir, "/table", r);
	return r;
}

static bool attach_dir(struct search *search, const char *dir, bool no_link)
{
	uint32_t euid = search->settings->start_euid;

	search->dir = dir;
	search->trust = (struct trust){ euid, search->settings->shim_uid, no_link };
	if (search->trust.shim_uid == UINT32_MAX)
		search->trust.shim_uid = euid;
	if (map_table(search) < 0)
		return false;
	open_ledger(search);
	if (is_attached(search) || !install(search)) {
		ledger_close(&search->ledger);
		table_unmap(&search->table);
	}
	return true;
}

static void attach_user_dir(struct search *search)
{
	struct text path = text_into(search->user_dir, sizeof(search->user_dir));

	text_add(&path, "/tmp/fairdial-");
	text_add_number(&path, search->trust.euid, 10);
	attach_dir(search, search->user_dir, true);
}

static void search_in_turn(struct search *search)
{
	const struct settings *s = search->settings;

	if (s->has_dir) {
		if (s->dir[0])
			attach_dir(search, s->dir, false);
		return;
	}
	if ((s->beside[0] && attach_dir(search, s->beside, false)) || attach_dir(search, "/run/fairdial", false))
		return;
	attach_user_dir(search);
}

static uint64_t monotonic_ms(void)
{
	return clock_read_ns(CLOCK_MONOTONIC) / 1000000u;
}

/*
 * Who would wait for a table does not take one that says nothing yet: while it waits, and, where nobody has waited so far, as
 * long after the first look as it would have.
 */
static bool takes_no_empty_one(const struct settings *s)
{
	uint64_t now_ms = monotonic_ms(), until_ms = load_relaxed(&wait_until_ms);

	if (!s->wait_ms)
		return false;
	swap_if(&first_look_ms, 0, now_ms);
	return now_ms < (until_ms ? until_ms : load_relaxed(&first_look_ms) + s->wait_ms);
}

static void look_for(const struct settings *s, bool again)
{
	struct search *search = scratch_take(sizeof(*search));

	if (!search)
		return;
	search->settings = s;
	search->again = again;
	search->not_empty = takes_no_empty_one(s);
	search_in_turn(search);
	scratch_give(search, sizeof(*search));
}

static void look(const struct settings *s)
{
	look_for(s, false);
}

/* True for one caller a second. The coarse clock costs five nanoseconds; its grain is enough. */
static bool is_due(uint64_t *last_ms)
{
	uint64_t now = clock_read_ns(CLOCK_MONOTONIC_COARSE) / 1000000u;
	uint64_t last = load_relaxed(last_ms);

	/* Signed: another thread may have stored a later time than ours. */
	return (last == 0 || (int64_t)(now - last) >= LOOK_EVERY_MS) && swap_if(last_ms, last, now);
}

static bool look_is_due(void)
{
	return is_due(&last_look_ms);
}

const struct attachment *attach_current(void)
{
	return load_acquire_ptr(&current);
}

/* ---- without a table: an agent is started, and waited for ---- */

static bool has_table(void)
{
	const struct attachment *attachment = load_acquire_ptr(&current);

	return attachment && !is_retired(&attachment->table);
}

static bool has_full_table(void)
{
	const struct attachment *attachment = load_acquire_ptr(&current);

	return attachment && !is_retired(&attachment->table) && has_services(&attachment->table);
}

/* Of another kind of socket, whose dials are never ours: connect(2) is also how programs ask name servers. */
static bool dials_tcp(int fd)
{
	int protocol;

	return fd == ATTACH_LOOKUP || fd == ATTACH_NO_WAIT ||
	       (sys_getsockopt_int(fd, SOL_SOCKET, SO_PROTOCOL, &protocol) == 0 && protocol == IPPROTO_TCP);
}

/* A program that has bounded its dials itself (SO_SNDTIMEO) is not patient either. */
static bool may_wait(int fd)
{
	struct timeval own = { 0, 0 };
	uint32_t len = sizeof(own);
	int flags;

	if (fd == ATTACH_LOOKUP || fd == ATTACH_NO_WAIT)
		return fd == ATTACH_LOOKUP;
	flags = sys_fcntl_getfl(fd);
	if (flags < 0 || (flags & O_NONBLOCK))
		return false;
	return sys_getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &own, &len) == 0 && !own.tv_sec && !own.tv_usec;
}

/* Whoever comes first decides until when all wait: threads, and children that are forked later. */
static uint64_t time_left_ms(const struct settings *s)
{
	uint64_t now_ms = monotonic_ms(), until_ms = load_relaxed(&wait_until_ms);

	if (until_ms == 0) {
		swap_if(&wait_until_ms, 0, now_ms + s->wait_ms);
		until_ms = load_relaxed(&wait_until_ms);
	}
	return until_ms > now_ms ? until_ms - now_ms : 0;
}

/* Nobody waits any more, in this process. */
static void give_up(void)
{
	store_relaxed(&wait_until_ms, 1);
}

/* There is nothing to wait for. */
static bool is_settled(enum autostart_result result)
{
	return result == AUTOSTART_FAILED || result == AUTOSTART_RUNS || result == AUTOSTART_NEVER;
}

__attribute__((noinline)) /* the line is not for the stack of the wait */
static void trace_wait(const struct settings *s, uint64_t left_ms)
{
	char buf[128];
	struct text line;

	if (!(s->trace & TRACE_ATTACH))
		return;
	line = trace_begin(buf, sizeof(buf), "attach");
	text_add(&line, "waits for a table, at most ");
	text_add_number(&line, left_ms, 10);
	text_add(&line, " ms");
	trace_end(&line, s->trace_path);
}

/* One of all threads that wait, or a thousand of them would leave no time to the agent. The others see what it finds. */
static bool looks_for_all(uint64_t every_ms)
{
	uint64_t now_ms = monotonic_ms(), last_ms = load_relaxed(&last_wait_ms);

	return (int64_t)(now_ms - last_ms) >= (int64_t)every_ms && swap_if(&last_wait_ms, last_ms, now_ms);
}

/* Nothing is held where a dial can be cancelled, or left by a handler. */
static enum pause_end wait_for_table(const struct settings *s, int fd)
{
	enum pause_end end = PAUSE_OVER;
	uint64_t ms = FIRST_PAUSE_MS, left_ms;
	bool looks;

	trace_wait(s, time_left_ms(s));
	for (; end == PAUSE_OVER && (left_ms = time_left_ms(s)); ms = ms < LAST_PAUSE_MS ? ms * 2 : ms) {
		end = pause_ms((unsigned)(ms < left_ms ? ms : left_ms));
		if (fd != ATTACH_LOOKUP)
			next_test_cancel();
		looks = looks_for_all(ms / 2);
		if (looks)
			look_for(s, true);
		if (has_full_table())
			return end;
		if (looks && s->autostart && is_settled(autostart_agent(s)))
			give_up();
	}
	look(s); /* one that is empty after all, or was published between the two */
	return end;
}

/* Its own gate: that of looks may have been passed a moment ago, when the program was loaded. */
static void start_agent(const struct settings *s)
{
	if (!is_due(&last_start_ms))
		return;
	look(s); /* one may have come */
	if (has_table() || !is_settled(autostart_agent(s)))
		return;
	give_up();
	look(s); /* it was published between the two */
}

__attribute__((noinline)) /* off unless asked for, and not for the stack of other dials */
static const struct attachment *start_and_wait(const struct settings *s, int fd)
{
	if (!dials_tcp(fd))
		return load_acquire_ptr(&current);
	if (s->autostart)
		start_agent(s);
	if (s->wait_ms && !has_full_table() && may_wait(fd) && time_left_ms(s) &&
	    wait_for_table(s, fd) == PAUSE_INTERRUPTED && fd != ATTACH_LOOKUP)
		return ATTACH_INTERRUPTED;
	return load_acquire_ptr(&current);
}

__attribute__((noinline))
static const struct attachment *get_slowly(int fd)
{
	const struct settings *s = attach_settings();

	if (!s || s->mode == MODE_OFF)
		return NULL;
	if (look_is_due())
		look(s);
	if ((s->autostart || s->wait_ms) && !has_table())
		return start_and_wait(s, fd);
	/* Where the successor cannot be opened any more (another root, another user), the last list goes on. */
	return load_acquire_ptr(&current);
}

const struct attachment *attach_get(int fd)
{
	const struct attachment *attachment = load_acquire_ptr(&current);

	if (attachment && !is_retired(&attachment->table))
		return attachment;
	return get_slowly(fd);
}

__attribute__((noinline)) /* once a second; its path is not for the stack of every dial */
static bool is_as_on_disk(const struct settings *s, const struct attachment *attachment)
{
	char path[SETTINGS_PATH + 8];
	struct text text = text_into(path, sizeof(path));

	text_add(&text, attachment->dir);
	text_add(&text, "/table");
	if (!file_is_current(path, &attachment->id))
		return false;
	ledger_path(s, attachment->dir, path);
	return attachment->ledger.base && file_is_current(path, &attachment->ledger.id);
}

void attach_refresh(const struct attachment *attachment)
{
	const struct settings *s;

	if (!look_is_due())
		return;
	s = attach_settings();
	if (s && !is_as_on_disk(s, attachment))
		look(s);
	if (s && s->autostart && !(table_head(&attachment->table)->flags & TABLE_STATIC))
		autostart_replace(s, attachment->dir);
}

/* Early, while the program still has the root and the user it started with. A hook that runs before does the same. */
__attribute__((constructor)) static void attach_at_load(void)
{
	const struct settings *s;

	next_functions();
	s = attach_settings();
	if (s && s->mode != MODE_OFF && look_is_due())
		look(s);
	/* A program of one dial is to see, at that, whether its agent is gone. */
	if (s && s->autostart)
		store_relaxed(&last_look_ms, 0);
}
