/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/namespaces.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/log.h"
#include "base/clock.h"
#include "base/hash.h"
#include "model/index.h"
#include "model/label.h"
#include "model/spec_hash.h"
#include "table/map.h"
#include "table/table.h"
#include "table/writer.h"

#define RETRY_MS 5000

/* What was published of one Service. */
struct said {
	uint64_t name, all; /* hashes */
};

struct room {
	struct room *next;
	struct table_writer *writer; /* NULL: it could not be opened yet */
	bool is_refused;	     /* its name is none of a namespace, and must not become a path */
	bool is_due;		     /* what was published last is not known, or not all */
	uint32_t seen_in;	     /* the last publish that had Services of it */
	uint64_t head;		     /* of what all tables share, as published */
	struct said *said;	     /* in the order of names */
	size_t said_count;
	struct report trouble; /* "" where all is well */
	char name[];
};

struct namespaces {
	char dir[PATH_MAX - 2 * TABLE_NAME_SIZE];
	int dir_fd, lock_fd;
	struct room *rooms;
	struct index by_name;
	size_t count; /* of those that are not refused */
	uint32_t publish;
	uint64_t retry_ms; /* 0: nothing failed */
	char note[TABLE_NOTE_SIZE];
};

/* Services of one namespace, side by side in a spec. */
struct run {
	struct spec_service *services;
	size_t count;
};

/* ---- troubles ---- */

static void tell_note(const struct namespaces *n, struct room *room)
{
	if (room->writer)
		writer_note(room->writer, room->trouble.text[0] ? room->trouble.text : n->note);
}

static void fail(struct namespaces *n, struct room *room, const struct report *why)
{
	room->is_due = true;
	n->retry_ms = clock_boot_ms() + RETRY_MS;
	if (strcmp(room->trouble.text, why->text) == 0)
		return;
	room->trouble = *why;
	log_line("namespace %s: %s; the other tables go on", room->name, why->text);
	tell_note(n, room);
}

static void recover(struct namespaces *n, struct room *room)
{
	if (!room->trouble.text[0])
		return;
	log_line("namespace %s is well again", room->name);
	room->trouble.text[0] = '\0';
	tell_note(n, room);
}

/* ---- rooms ---- */

/* NULL where there is no memory. */
static struct room *add_room(struct namespaces *n, const char *name)
{
	size_t len = strlen(name);
	struct room *room = calloc(1, sizeof(*room) + len + 1);

	if (!room)
		return NULL;
	memcpy(room->name, name, len);
	if (index_put(&n->by_name, room->name, len, room) < 0) {
		free(room);
		return NULL;
	}
	room->is_refused = !label_is_valid(slice_of(name)); /* RFC 1123: so the API has it; "..", say, is none */
	room->is_due = true;
	if (room->is_refused)
		log_line("'%s' is no name of a namespace: its Services are left out", name);
	room->next = n->rooms;
	n->rooms = room;
	n->count += !room->is_refused;
	return room;
}

static struct room *find_room(const struct namespaces *n, const char *name)
{
	return index_get(&n->by_name, name, strlen(name));
}

static void free_room(struct room *room)
{
	writer_close(room->writer);
	free(room->said);
	free(room);
}

/* In place of a first table that is empty, there is a small one: they are many, and each begins with a Service. */
static bool open_room(struct namespaces *n, struct room *room)
{
	const struct writer_options options = { .is_small = true };
	char path[PATH_MAX];
	struct report why;

	if (room->writer && writer_has_directory(room->writer))
		return true;
	writer_close(room->writer); /* somebody removed it, as one does after a namespace; this one is another */
	room->writer = NULL;
	snprintf(path, sizeof(path), "%s/%s", n->dir, room->name);
	if (writer_open(path, &options, &room->writer, &why) < 0) {
		fail(n, room, &why);
		return false;
	}
	tell_note(n, room);
	return true;
}

/* ---- opening ---- */

static int take_directory(struct namespaces *n, struct report *why)
{
	struct trust trust = { .euid = geteuid(), .shim_uid = geteuid() };
	struct stat st;

	if (mkdir(n->dir, 0755) < 0 && errno == ENOENT)
		return report(why, -ENOENT, "cannot make the directory %s: the one that it is to be in does not exist: make that first", n->dir);
	if (mkdir(n->dir, 0755) < 0 && errno != EEXIST)
		return report(why, -errno, "cannot make the directory %s: %s", n->dir, strerror(errno));
	n->dir_fd = open(n->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (n->dir_fd < 0 || fstat(n->dir_fd, &st) < 0)
		return report(why, -errno, "cannot open the directory %s: %s", n->dir, strerror(errno));
	if (!trust_directory(&trust, &st))
		return report(why, -EPERM,
			      "%s may be changed by other users, so no program should trust a table below it: "
			      "make it yours, and not writable by others (chmod go-w)",
			      n->dir);
	n->lock_fd = writer_lock(n->dir_fd, n->dir, false, why);
	return n->lock_fd < 0 ? n->lock_fd : 0;
}

/* Those of a predecessor are vouched for from now on, and go on until ours take their place. */
static int take_tables(struct namespaces *n, struct report *why)
{
	DIR *dir = opendir(n->dir);
	struct dirent *entry;
	int r = dir ? 0 : report(why, -errno, "cannot read the directory %s: %s", n->dir, strerror(errno));

	while (r == 0 && (entry = readdir(dir))) {
		char path[TABLE_NAME_SIZE + sizeof("/table")];
		struct room *room;

		if (!label_is_valid(slice_of(entry->d_name)))
			continue;
		snprintf(path, sizeof(path), "%.63s/table", entry->d_name);
		if (faccessat(n->dir_fd, path, F_OK, 0) < 0)
			continue;
		room = add_room(n, entry->d_name);
		if (!room)
			r = report(why, -ENOMEM, "out of memory");
		else
			open_room(n, room);
	}
	if (dir)
		closedir(dir);
	return r;
}

/* A table holds two descriptors: of its directory, and of its lock. */
static void allow_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit); /* else the last ones tell their trouble */
	}
}

int namespaces_open(const char *dir, struct namespaces **ret_namespaces, struct report *why)
{
	struct namespaces *n = calloc(1, sizeof(*n));
	int r;

	if (!n)
		return report(why, -ENOMEM, "out of memory");
	n->dir_fd = n->lock_fd = -1;
	if (strlen(dir) >= sizeof(n->dir)) {
		r = report(why, -ENAMETOOLONG, "the directory's name is too long: %.64s...", dir);
		goto fail;
	}
	strcpy(n->dir, dir);
	allow_descriptors();
	r = take_directory(n, why);
	if (r == 0)
		r = take_tables(n, why);
	if (r < 0)
		goto fail;
	*ret_namespaces = n;
	return 0;
fail:
	namespaces_close(n);
	return r;
}

void namespaces_close(struct namespaces *n)
{
	if (!n)
		return;
	while (n->rooms) {
		struct room *room = n->rooms;

		n->rooms = room->next;
		free_room(room);
	}
	index_free(&n->by_name);
	if (n->dir_fd >= 0)
		close(n->dir_fd);
	if (n->lock_fd >= 0)
		close(n->lock_fd);
	free(n);
}

size_t namespaces_count(const struct namespaces *n)
{
	return n->count;
}

void namespaces_each(const struct namespaces *n, void (*each)(void *of, const struct table *table), void *of)
{
	for (const struct room *room = n->rooms; room; room = room->next) {
		const struct table *table = room->writer ? writer_table(room->writer) : NULL;

		if (table)
			each(of, table);
	}
}

static bool has_services(const struct table *table)
{
	struct table_view view;

	return table && table_begin(table, &view) && table_count(&view, SECTION_SERVICES) > 0;
}

bool namespaces_have_services(const struct namespaces *n)
{
	for (const struct room *room = n->rooms; room; room = room->next)
		if (room->writer && has_services(writer_table(room->writer)))
			return true;
	return false;
}

/* ---- publishing ---- */

static const char *namespace_of(const struct spec_service *service)
{
	return service->namespace ? service->namespace : "";
}

static struct run run_from(const struct spec *spec, size_t first)
{
	struct run run = { spec->services + first, 1 };

	while (first + run.count < spec->service_count &&
	       strcmp(namespace_of(&run.services[run.count]), namespace_of(run.services)) == 0)
		run.count++;
	return run;
}

static struct said said_of(const struct spec_service *service)
{
	return (struct said){ hash_text(service->name, strlen(service->name), 0), spec_hash_service(service) };
}

/* A whole generation, for each of its tables. */
struct edition {
	const struct spec *spec;
	struct run common; /* without a namespace */
	uint64_t head;
};

static struct edition edition_of(const struct spec *spec)
{
	struct edition e = { spec, { spec->services, 0 }, spec_hash_head(spec) };

	if (spec->service_count && !namespace_of(spec->services)[0])
		e.common = run_from(spec, 0);
	for (size_t i = 0; i < e.common.count; i++)
		e.head = hash_mix(e.head, spec_hash_service(&e.common.services[i]));
	return e;
}

static bool is_published(const struct room *room, const struct edition *e, const struct said *said, size_t count)
{
	return !room->is_due && room->head == e->head && room->said_count == count &&
	       (count == 0 || memcmp(room->said, said, count * sizeof(*said)) == 0);
}

/* The writer sorts what it is given, and so is given a copy. */
static int write_room(struct room *room, const struct edition *e, const struct run *run, struct report *why)
{
	struct spec spec = *e->spec;
	int r;

	spec.service_count = e->common.count + run->count;
	spec.services = calloc(spec.service_count + 1, sizeof(*spec.services));
	if (!spec.services)
		return report(why, -ENOMEM, "out of memory");
	for (size_t i = 0; i < spec.service_count; i++)
		spec.services[i] = i < e->common.count ? e->common.services[i] : run->services[i - e->common.count];
	r = writer_publish(room->writer, &spec, why);
	free(spec.services);
	return r;
}

static int publish_room(struct namespaces *n, struct room *room, const struct edition *e, const struct run *run)
{
	struct said *said = calloc(run->count + 1, sizeof(*said));
	struct report why;

	if (!said)
		return -ENOMEM;
	for (size_t i = 0; i < run->count; i++)
		said[i] = said_of(&run->services[i]);
	if (is_published(room, e, said, run->count) || !open_room(n, room)) {
		free(said);
		return 0;
	}
	free(room->said);
	room->said = said;
	room->said_count = run->count;
	room->head = e->head;
	if (write_room(room, e, run, &why) < 0) {
		fail(n, room, &why);
		return 0;
	}
	room->is_due = false;
	recover(n, room);
	return 0;
}

int namespaces_publish(struct namespaces *n, const struct spec *spec, struct report *why)
{
	const struct edition e = edition_of(spec);
	const struct run none = { spec->services, 0 };
	struct run run;
	int r = 0;

	n->publish++;
	n->retry_ms = 0;
	for (size_t at = e.common.count; r == 0 && at < spec->service_count; at += run.count) {
		struct room *room;

		run = run_from(spec, at);
		room = find_room(n, namespace_of(run.services));
		if (!room)
			room = add_room(n, namespace_of(run.services));
		if (!room)
			r = -ENOMEM;
		else if (!room->is_refused)
			r = publish_room(n, room, &e, &run);
		if (room)
			room->seen_in = n->publish;
	}
	for (struct room *room = n->rooms; r == 0 && room; room = room->next)
		if (room->seen_in != n->publish && !room->is_refused)
			r = publish_room(n, room, &e, &none);
	return r < 0 ? report(why, r, "out of memory") : 0;
}

/* ---- a patch ---- */

/* What is published of them from now on; both are in the order of names. False where one is not there. */
static bool note_said(struct room *room, const struct run *run)
{
	size_t at = 0;

	for (size_t i = 0; i < run->count; i++) {
		struct said said = said_of(&run->services[i]);

		while (at < room->said_count && room->said[at].name != said.name)
			at++;
		if (at == room->said_count)
			return false;
		room->said[at] = said;
	}
	return true;
}

/* 0; -ESTALE where the whole is needed. One that could not be written waits for its next turn with all that it lacks. */
static int patch_room(struct namespaces *n, struct room *room, const struct spec *whole, const struct run *run)
{
	struct spec spec = *whole;
	struct report why;
	int r = -ESTALE;

	if (room->is_refused || room->trouble.text[0])
		return 0;
	spec.services = run->services;
	spec.service_count = run->count;
	if (!room->is_due && writer_has_directory(room->writer) && note_said(room, run))
		r = writer_patch(room->writer, &spec, &why);
	if (r < 0)
		room->is_due = true;
	if (r == 0 || r == -ESTALE)
		return r;
	fail(n, room, &why);
	return 0;
}

int namespaces_patch(struct namespaces *n, const struct spec *spec, struct report *why)
{
	struct run run;
	int r = 0;

	for (size_t at = 0; at < spec->service_count; at += run.count) {
		struct room *room;

		run = run_from(spec, at);
		room = find_room(n, namespace_of(run.services));
		if (!room || patch_room(n, room, spec, &run) < 0)
			r = -ESTALE;
	}
	return r < 0 ? report(why, r, "a table needs a whole generation") : 0;
}

bool namespaces_are_due(const struct namespaces *n, uint64_t now_ms)
{
	return n->retry_ms && now_ms >= n->retry_ms;
}

/* ---- how the writer is ---- */

void namespaces_note(struct namespaces *n, const char *text)
{
	snprintf(n->note, sizeof(n->note), "%s", text);
	for (struct room *room = n->rooms; room; room = room->next)
		tell_note(n, room);
}

void namespaces_alive(struct namespaces *n, uint64_t delay_ms)
{
	for (struct room *room = n->rooms; room; room = room->next)
		if (room->writer)
			writer_alive(room->writer, delay_ms);
}

void namespaces_heartbeat(struct namespaces *n)
{
	for (struct room *room = n->rooms; room; room = room->next)
		if (room->writer && !room->trouble.text[0])
			writer_heartbeat(room->writer);
}
