/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/agent.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "agent/exporter.h"
#include "agent/keeper.h"
#include "agent/log.h"
#include "agent/publish.h"
#include "agent/services_file.h"
#include "agent/shelf.h"
#include "agent/started.h"
#include "base/clock.h"
#include "base/duration.h"
#include "inspect/mesh.h"
#include "kube/config.h"
#include "table/layout.h"
#include "table/table.h"
#include "table/writer.h"

#define EVERY_MS	 1000
#define BUSY_EVERY_MS	 100
#define MESH_EVERY_MS	 5000
#define HOLD_MS		 10000 /* what a predecessor published stays so long while ours is not complete */
#define WHOLE_GAP	 10    /* times as long as the last whole publish took: it may take a tenth of a processor */
#define TOLD_MAX	 8
#define STARTED_WAIT_MS	 1000 /* for an agent that is about to end, and has taken its table back already */

struct agent {
	struct agent_options options;
	struct model *model;
	struct shelf *shelf;
	struct source_kube *source; /* NULL: files only */
	struct keeper *keeper;	    /* NULL: none */
	struct exporter *exporter;  /* likewise */

	struct services_file file;
	bool file_is_new; /* it was read again since the start */
	uint16_t mesh;
	bool continues;	 /* a predecessor's table is there, and ours has not taken its place yet */
	bool awaits;	 /* the first tables are many: they are made once, of what is complete */
	bool published, has_vouched;
	size_t service_count; /* of the last whole publish */
	bool told_whole;      /* the log has said what a whole table has */
	bool told_removed;    /* likewise, that the table was removed, which is not made anew yet */
	uint64_t used_ms; /* when somebody was last seen to use the table */
	uint64_t begun_ms, tick_ms, mesh_ms, whole_ms; /* the last two: when the next one may be */
	uint64_t vouched_ms;
	uint64_t wholes, patches, publish_failures; /* for the exporter */

	char publish_trouble[560], directory_trouble[560];
	char note[TABLE_NOTE_SIZE];
	char told[TOLD_MAX][TABLE_NOTE_SIZE]; /* troubles in the log since all was well */
	size_t told_count;
};

static volatile int is_stopping, is_reloading; /* set by handlers */
static int wake_fd = -1;		       /* an eventfd: makes a waiting loop look at them */

static void wake(void)
{
	static const uint64_t one = 1;
	int before = errno;

	if (wake_fd >= 0 && write(wake_fd, &one, sizeof(one)) < 0)
		errno = before; /* it is full: the loop is awake */
	errno = before;
}

void agent_stop(void)
{
	is_stopping = 1;
	wake();
}

void agent_reload(void)
{
	is_reloading = 1;
	wake();
}

/* ---- troubles ---- */

static bool was_told(const struct agent *a, const char *text)
{
	for (size_t i = 0; i < a->told_count && i < TOLD_MAX; i++)
		if (strcmp(a->told[i], text) == 0)
			return true;
	return false;
}

static const char *trouble_of(const struct agent *a)
{
	if (a->publish_trouble[0])
		return a->publish_trouble;
	if (a->directory_trouble[0])
		return a->directory_trouble;
	if (a->file.trouble[0])
		return a->file.trouble;
	return a->source ? source_kube_trouble(a->source) : "";
}

/* The log says each once until all is well again; `status` says the one of now. */
static void tell_trouble(struct agent *a)
{
	const char *text = trouble_of(a);

	if (strncmp(a->note, text, sizeof(a->note) - 1) == 0 && strlen(a->note) == strnlen(text, sizeof(a->note) - 1))
		return;
	snprintf(a->note, sizeof(a->note), "%s", text);
	shelf_note(a->shelf, a->note);
	if (a->note[0] && !a->has_vouched) /* those who wait for the first list have nothing to wait for */
		started_tell(a->options.started, MARK_FAILED, a->note);
	if (a->note[0] && !was_told(a, a->note)) {
		log_line("%s", text);
		memcpy(a->told[a->told_count++ % TOLD_MAX], a->note, sizeof(a->note));
	} else if (!a->note[0] && a->told_count) {
		log_line("all is well again");
		a->told_count = 0;
	}
}

static void reload_if_changed(struct agent *a)
{
	bool asked = is_reloading;

	is_reloading = 0;
	a->file_is_new |= services_file_follow(&a->file, a->model, asked);
}

/* ---- publishing ---- */

static void describe(const struct agent *a, char buf[TABLE_SOURCE_SIZE])
{
	size_t len = 0;

	buf[0] = '\0';
	if (a->source) {
		source_kube_describe(a->source, buf, TABLE_SOURCE_SIZE);
		len = strlen(buf);
	}
	if (a->file.path)
		snprintf(buf + len, TABLE_SOURCE_SIZE - len, "%sfile %s%s", len ? "; " : "", a->file.path,
			 a->file.seen.there ? "" : " (missing)");
	else if (a->file.inline_services)
		snprintf(buf + len, TABLE_SOURCE_SIZE - len, "%sFAIRDIAL_SERVICES", len ? "; " : "");
}

/* Why the first table has no more than it has; "": that is all there is. */
static const char *why_not_whole(const struct agent *a)
{
	if (a->source && !source_kube_is_synced(a->source))
		return ", for a beginning: the API has not told all of its lists yet";
	return a->file.path && !a->file.seen.there ? ", as the services file is missing: it counts once it is there" : "";
}

/* The first, and where that was not whole, the first that is. */
static void tell_published(struct agent *a, size_t services)
{
	bool is_whole = !a->source || source_kube_is_synced(a->source);
	char tables[SHELF_TEXT];

	if (a->published && (a->told_whole || !is_whole))
		return;
	a->told_whole = is_whole;
	log_line("published %zu service%s%s%s%s", services, services == 1 ? "" : "s",
		 shelf_describe(a->shelf, tables)[0] ? " in " : "", tables, why_not_whole(a));
}

static int publish_whole(struct agent *a, struct report *why)
{
	uint64_t begun_ms = clock_boot_ms(), ended_ms;
	char source[TABLE_SOURCE_SIZE];
	struct spec *spec;
	int r = model_resolve(a->model, &spec, why);

	if (r < 0)
		return r;
	describe(a, source);
	spec->source = source;
	r = shelf_publish(a->shelf, spec, why);
	ended_ms = clock_boot_ms();
	if (a->published || !a->options.per_namespace) /* the first makes the files, and does not tell what others take */
		a->whole_ms = ended_ms + WHOLE_GAP * (ended_ms - begun_ms);
	if (r == 0) {
		a->wholes++;
		a->service_count = spec->service_count;
		tell_published(a, a->service_count);
	}
	return r;
}

/* 0 where there was nothing to do; -ESTALE where the whole is needed. */
static int publish_changed(struct agent *a, struct report *why)
{
	struct spec *spec;
	int r = model_resolve_changed(a->model, &spec, why);

	if (r < 0 || !spec->service_count)
		return r;
	r = shelf_patch(a->shelf, spec, why);
	a->patches += r == 0;
	return r;
}

/*
 * A predecessor's list goes on until ours is complete, or cannot be: a table with half of the Services would be a gap. A first
 * table of ours has none to keep.
 */
static bool may_publish(const struct agent *a, uint64_t now_ms)
{
	bool is_late = now_ms - a->begun_ms >= HOLD_MS;

	if (!a->source || !(a->continues || a->awaits))
		return true;
	if (!source_kube_is_synced(a->source)) /* but what a person writes down meanwhile counts, in the end */
		return is_late && (a->file_is_new || !a->continues);
	return is_late || source_kube_is_settled(a->source);
}

static bool vouches(const struct agent *a)
{
	return a->published && !a->publish_trouble[0] && (!a->source || source_kube_vouches(a->source));
}

static void vouch(struct agent *a)
{
	shelf_heartbeat(a->shelf);
	a->has_vouched = true;
	a->vouched_ms = clock_boot_ms();
	started_tell(a->options.started, MARK_RUNNING, "");
}

static void publish(struct agent *a, uint64_t now_ms)
{
	struct report why;
	int r = -ESTALE;

	if (a->published && !model_is_touched(a->model))
		tell_published(a, a->service_count);
	if ((a->published && !model_is_touched(a->model)) || !may_publish(a, now_ms))
		return;
	if (a->published && !shelf_was_removed(a->shelf))
		r = publish_changed(a, &why);
	if (r == -ESTALE) {
		model_touch_all(a->model); /* a part that was resolved, and not published, is not lost */
		if (now_ms < a->whole_ms)
			return;
		r = publish_whole(a, &why);
	}
	model_release(a->model);
	if (r < 0) {
		snprintf(a->publish_trouble, sizeof(a->publish_trouble), "%s: the last table stays", why.text);
		model_touch_all(a->model);
		if (a->whole_ms < now_ms + EVERY_MS) /* one that takes long has a longer pause already */
			a->whole_ms = now_ms + EVERY_MS;
		a->publish_failures++;
		return;
	}
	a->publish_trouble[0] = '\0';
	a->published = true;
	a->continues = a->awaits = false;
	if (vouches(a)) /* at once: to whom waits for it the list is as old as its last heartbeat */
		vouch(a);
}

/* ---- what is looked at now and then ---- */

static void look_for_mesh(struct agent *a, uint64_t now_ms)
{
	int port;

	if (a->options.ignores_mesh || now_ms < a->mesh_ms)
		return;
	a->mesh_ms = now_ms + MESH_EVERY_MS;
	port = mesh_find();
	if (port < 0 || port == a->mesh)
		return;
	if (port)
		log_line("%s listens on port %u of this pod and must see the ClusterIP: Services stand down; --ignore-mesh spreads them all "
			 "the same",
			 mesh_name((uint16_t)port), (unsigned)port);
	else
		log_line("no mesh listens any more: Services are spread");
	a->mesh = (uint16_t)port;
	model_set_mesh(a->model, a->mesh);
}

static uint64_t delay_of(const struct agent *a)
{
	uint32_t delay_ms = a->source ? source_kube_delay_ms(a->source) : UINT32_MAX;

	return delay_ms == UINT32_MAX ? UINT64_MAX : delay_ms;
}

/*
 * Use is a dial that a shim has counted, or a connection that is open: to whoever holds one, the agent still owes the truth of
 * its list, and the counts of the others. Attached processes that do not dial are no use of it; at their next dial they find the
 * table retired, and look for another, which starts one.
 */
static void look_for_use(struct agent *a, uint64_t now_ms)
{
	if (a->options.idle_ms && keeper_was_used(a->keeper))
		a->used_ms = now_ms;
}

/* Programs that start look for it by its name. Without its directory it goes on for those who have it mapped. */
static void look_for_table(struct agent *a)
{
	struct report why;

	a->directory_trouble[0] = '\0';
	if (!shelf_has_directory(a->shelf)) {
		snprintf(a->directory_trouble, sizeof(a->directory_trouble),
			 "%.400s was removed, or has another directory in its place: programs that start now find no table of this "
			 "agent: start it again",
			 a->options.dir);
	} else if (shelf_keep_lock(a->shelf, &why) < 0) {
		snprintf(a->directory_trouble, sizeof(a->directory_trouble), "the lock was removed: %.512s", why.text);
	} else if (a->published && shelf_was_removed(a->shelf)) {
		if (!a->publish_trouble[0] && !a->told_removed)
			log_line("%s/table was removed: it is made anew", a->options.dir);
		a->told_removed = true;
		model_touch_all(a->model);
	} else {
		a->told_removed = false;
	}
}

static void tick(struct agent *a, uint64_t now_ms)
{
	if (is_reloading || now_ms >= a->tick_ms)
		reload_if_changed(a);
	look_for_mesh(a, now_ms);
	if (shelf_is_due(a->shelf, now_ms))
		model_touch_all(a->model);
	if (now_ms < a->tick_ms)
		return;
	a->tick_ms = now_ms + EVERY_MS;
	shelf_alive(a->shelf, delay_of(a));
	look_for_table(a);
	look_for_use(a, now_ms);
	if (vouches(a) && (a->has_vouched || !model_is_touched(a->model))) /* for the first time, with what was heard */
		vouch(a);
}

/* ---- the keeper ---- */

static const struct table *table_of(const void *of)
{
	const struct agent *a = of;

	return shelf_table(a->shelf);
}

static int open_keeper(struct agent *a, struct report *why)
{
	const struct agent_options *o = &a->options;
	const struct keeper_rows rows = { a, table_of };
	char path[PATH_MAX];

	if (o->keeps_no_ledger || o->per_namespace)
		return 0;
	if (snprintf(path, sizeof(path), "%s%s", o->ledger ? o->ledger : o->dir, o->ledger ? "" : "/ledger") >= (int)sizeof(path))
		return report(why, -ENAMETOOLONG, "the ledger's name is too long: %.64s...", path);
	return keeper_open(&rows, path, o->shares_ledger ? 0666 : 0600, o->shared_network, &a->keeper, why);
}

/* ---- who looks at it ---- */

static void print_why_not(const struct agent *a, char *buf, size_t size)
{
	if (!a->shelf)
		snprintf(buf, size, "another fairdial publishes into %s: waiting for it to end", a->options.dir);
	else if (trouble_of(a)[0])
		snprintf(buf, size, "%s", trouble_of(a));
	else if (a->source && !source_kube_is_synced(a->source))
		snprintf(buf, size, "the API has not told all of its lists yet");
	else
		snprintf(buf, size, a->published ? "the list is not vouched for" : "nothing is published yet");
}

static void show(const void *of, struct exporter_sight *ret)
{
	const struct agent *a = of;

	*ret = (struct exporter_sight){ a->shelf, a->source, a->keeper, a->wholes, a->patches, a->publish_failures, a->vouched_ms,
					.has_trouble = trouble_of(a)[0] != '\0',
					.is_ready = vouches(a) && !a->directory_trouble[0] };
	if (!ret->is_ready)
		print_why_not(a, ret->why_not, sizeof(ret->why_not));
}

static int open_exporter(struct agent *a, struct report *why)
{
	const struct exporter_of of = { a, show };

	return a->options.listens ? exporter_open(&a->options.listen, &of, &a->exporter, why) : 0;
}

/* ---- the loop ---- */

static int time_left_ms(const struct agent *a, uint64_t now_ms, int timeout_ms)
{
	uint64_t due_ms = a->tick_ms;

	if (model_is_touched(a->model) && may_publish(a, now_ms) && a->whole_ms < due_ms)
		due_ms = a->whole_ms;
	if (due_ms <= now_ms)
		return 0;
	if (a->keeper && keeper_due_ms(a->keeper, now_ms) < timeout_ms)
		timeout_ms = keeper_due_ms(a->keeper, now_ms);
	timeout_ms = exporter_due_ms(a->exporter, timeout_ms);
	return due_ms - now_ms < (uint64_t)timeout_ms ? (int)(due_ms - now_ms) : timeout_ms;
}

static void wait_for_anything(struct agent *a, uint64_t now_ms, int timeout_ms)
{
	int keeps = a->keeper ? keeper_fd(a->keeper) : -1, shows = exporter_fd(a->exporter);
	struct pollfd fds[3] = { { .fd = wake_fd, .events = POLLIN } };
	unsigned n = 1;
	uint64_t count;

	if (shows >= 0)
		fds[n++] = (struct pollfd){ .fd = shows, .events = POLLIN };
	if (keeps >= 0)
		fds[n++] = (struct pollfd){ .fd = keeps, .events = POLLIN };

	timeout_ms = time_left_ms(a, now_ms, timeout_ms);
	if (a->source)
		source_kube_wait(a->source, fds, n, now_ms, timeout_ms);
	else
		poll(fds, n, timeout_ms);
	if ((fds[0].revents & POLLIN) && read(wake_fd, &count, sizeof(count)) < 0)
		return; /* another agent of this process took it, and flags tell all */
	if (keeps >= 0 && (fds[n - 1].revents & POLLIN))
		keeper_read(a->keeper, clock_boot_ms());
}

/* ---- the end of one that nobody uses ---- */

static bool ends_idle(const struct agent *a, uint64_t now_ms)
{
	char text[DURATION_TEXT];

	if (!a->options.idle_ms || now_ms - a->used_ms < a->options.idle_ms)
		return false;
	log_line("nobody has dialed by the table, nor holds a connection, for %s: the end",
		 duration_print(a->options.idle_ms, text));
	started_tell(a->options.started, MARK_ENDED, ""); /* first: who finds no table then waits for the next agent */
	shelf_retire(a->shelf);
	return true;
}

bool agent_step(struct agent *a, int timeout_ms)
{
	uint64_t now_ms = clock_boot_ms();

	if (is_stopping)
		return false;
	wait_for_anything(a, now_ms, timeout_ms);
	now_ms = clock_boot_ms();
	if (a->source)
		source_kube_run(a->source, now_ms);
	tick(a, now_ms);
	publish(a, now_ms);
	if (a->source && a->published && !model_is_touched(a->model))
		source_kube_is_published(a->source);
	exporter_run(a->exporter, now_ms); /* before the keeper takes a larger ledger in the place of the one that it knows */
	if (a->keeper)
		keeper_run(a->keeper, now_ms);
	tell_trouble(a);
	return !is_stopping && !ends_idle(a, now_ms);
}

/* ---- beginning and end ---- */

/* One that was started needlessly, or a moment before another one ended. */
static int wait_a_moment(struct agent *a, struct report *why)
{
	const struct agent_options *o = &a->options;
	int r = -EBUSY;

	for (int i = 0; i < STARTED_WAIT_MS / BUSY_EVERY_MS && r == -EBUSY && !is_stopping; i++) {
		poll(NULL, 0, BUSY_EVERY_MS);
		r = shelf_open(o->dir, o->per_namespace, &a->shelf, why);
	}
	return r;
}

/* What was published for good is not for one to follow that nobody asked for. */
static bool is_static(const struct agent *a)
{
	const struct table *table = shelf_table(a->shelf);

	return table && (table_head(table)->flags & TABLE_STATIC);
}

static int settle_start(struct agent *a, struct report *why)
{
	if (!a->options.started)
		started_forget(a->options.dir);
	else if (is_static(a))
		return report(why, -EBUSY, "%s has a table that was published once, and needs no agent: remove it, or choose another --dir",
			      a->options.dir);
	return 0;
}

/*
 * Says so before it waits: the other one may never end. It looks now and then, for a wait in flock(2) would miss a signal that
 * comes just before it.
 */
static int take_directory(struct agent *a, struct report *why)
{
	const struct agent_options *o = &a->options;
	struct pollfd fds[] = { { .fd = wake_fd, .events = POLLIN }, { .fd = exporter_fd(a->exporter), .events = POLLIN } };
	uint64_t count;
	int r = shelf_open(o->dir, o->per_namespace, &a->shelf, why);

	if (r != -EBUSY)
		return r;
	if (o->started)
		return wait_a_moment(a, why);
	log_line("another fairdial publishes into %s: waiting for it to end", o->dir);
	while (!is_stopping && r == -EBUSY) {
		poll(fds, 2, exporter_due_ms(a->exporter, BUSY_EVERY_MS));
		exporter_run(a->exporter, clock_boot_ms());
		if ((fds[0].revents & POLLIN) && read(wake_fd, &count, sizeof(count)) < 0)
			continue; /* flags tell all */
		r = shelf_open(o->dir, o->per_namespace, &a->shelf, why);
	}
	return is_stopping ? -EINTR : r;
}

static void log_warning(const char *line)
{
	log_line("%s", line);
}

/* For programs of other pods, this one's place among its peers says nothing. */
static struct model_options model_options_of(const struct agent_options *o)
{
	struct model_options model = o->model;

	model.warn = log_warning;
	model.no_loopback = o->config && !kube_config_is_local(o->config); /* else servers may well be there, too */
	if (o->per_namespace) {
		model.pod = NULL;
		model.address_count = 0;
	}
	return model;
}

static int begin(struct agent *a, struct report *why)
{
	const struct agent_options *o = &a->options;
	const struct model_options model = model_options_of(o);
	int r;

	a->file = services_file_of(o->services, o->inline_services);
	a->model = model_new(&model);
	if (!a->model)
		return report(why, -ENOMEM, "out of memory");
	r = publish_avoid_routes(a->model);
	if (r < 0)
		return report(why, r, "out of memory");
	r = services_file_load(&a->file, a->model, why);
	if (r == 0)
		r = open_exporter(a, why);
	if (r == 0)
		r = take_directory(a, why);
	if (r == 0)
		r = settle_start(a, why);
	if (r == 0 && o->config)
		r = source_kube_new(o->config, a->model, &o->kube, &a->source, why);
	if (r == 0)
		r = open_keeper(a, why);
	return r;
}

int agent_open(const struct agent_options *options, struct agent **ret_agent, struct report *why)
{
	struct agent *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return report(why, -ENOMEM, "out of memory");
	if (wake_fd < 0)
		wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	a->options = *options;
	r = begin(a, why);
	if (r < 0) {
		agent_close(a);
		return r;
	}
	a->begun_ms = a->used_ms = clock_boot_ms();
	a->continues = shelf_has_services(a->shelf);
	a->awaits = a->options.per_namespace;
	shelf_note(a->shelf, ""); /* the last one's troubles are not ours */
	shelf_alive(a->shelf, delay_of(a));
	if (a->exporter && a->keeper && shelf_table(a->shelf)) /* what was counted until now is a predecessor's */
		keeper_run(a->keeper, a->begun_ms);
	exporter_begin(a->exporter);
	if (a->source) {
		char where[TABLE_SOURCE_SIZE * 2];

		source_kube_describe(a->source, where, sizeof(where));
		log_line("following %s; Services elsewhere are not spread", where);
	}
	*ret_agent = a;
	return 0;
}

void agent_close(struct agent *a)
{
	if (!a)
		return;
	exporter_close(a->exporter);
	keeper_close(a->keeper);
	source_kube_free(a->source);
	shelf_close(a->shelf);
	model_free(a->model);
	free(a);
}
