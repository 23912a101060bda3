/* SPDX-License-Identifier: Apache-2.0 */
/* The file of the table: taking the directory, making the file at its full size, publishing in place. */
#include "table/writer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/host.h"
#include "table/atomics.h"
#include "table/image.h"
#include "table/map.h"
#include "table/patch.h"
#include "table/slots.h"

#define TEMPORARY    ".table."
#define HEAD_SIZE    4096
#define MIN_AREA     (64u * 1024)
#define SMALL_AREA   (16u * 1024)
#define MIN_ROWS     64u
#define MIN_CURSORS  64u
/* What an endpoint and a port take of an area, each with its share of the rest: for writer_options.reserve. */
#define ROW_SHARE    128u
#define CURSOR_SHARE 512u

struct table_writer {
	char dir[PATH_MAX - 32];
	int dir_fd, lock_fd;
	struct writer_options options;
	struct table table; /* mapped for writing; base NULL before the first publish */
	struct file_id id;  /* of its file */
	struct slots rows, cursors;
	uint64_t instance, generation;
	uint8_t boot_id[16];
	struct table_note note; /* as in the head; its seq does not count */
	struct places places;
	/*
	 * What made the current generation out of the one in the other area; `next` is for the one to come. Not remembered:
	 * the other area may hold anything.
	 */
	struct patch last, next;
	bool remembers_last;
};

static struct table_head *head_of(struct table_writer *w)
{
	return (struct table_head *)w->table.base;
}

static uint64_t random_word(void)
{
	uint64_t word = 0;

	while (word == 0)
		if (sys_getrandom(&word, sizeof(word)) != sizeof(word))
			word = clock_read_ns(CLOCK_MONOTONIC) ^ (uint64_t)getpid() << 32;
	return word;
}

/* ---- the note in the head ---- */

static struct table_note *note_of(const struct table *table)
{
	return (struct table_note *)(table->base + TABLE_NOTE_OFFSET);
}

/* A file of an older writer may have something else there, and one of a newer writer more than this one would store. */
static bool has_note(const struct table *table)
{
	return table->base && table_head(table)->minor == TABLE_MINOR && table_head(table)->head_size == HEAD_SIZE;
}

/* As an area is stored, under its own sequence number, which may be odd: a writer was killed here. */
static void store_note(struct table *table, const struct table_note *from)
{
	const size_t first = offsetof(struct table_note, alive_ms);
	struct table_note *note = note_of(table);
	uint64_t odd = load_relaxed(&note->seq) | 1;

	store_release(&note->seq, odd);
	store_words(&note->alive_ms, &from->alive_ms, (sizeof(*note) - first) / 8);
	store_release(&note->seq, odd + 1);
}

/* What the last writer said holds until this one says something else. */
static void continue_note(struct table_writer *w)
{
	int r = table_note(&w->table, &w->note);

	if (memcmp(head_of(w)->boot_id, w->boot_id, sizeof(w->boot_id)) != 0)
		w->note.alive_ms = 0; /* of another clock */
	if (r == -EAGAIN && has_note(&w->table))
		store_note(&w->table, &w->note);
}

/* ---- opening ---- */

static int wait_for_lock(int fd, const char *dir, bool wait, struct report *why)
{
	if (flock(fd, LOCK_EX | (wait ? 0 : LOCK_NB)) == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return report(why, -EBUSY, "another fairdial publishes into %s: stop it, or choose another --dir", dir);
	if (errno == EINTR)
		return report(why, -EINTR, "interrupted while another fairdial publishes into %s", dir);
	return report(why, -errno, "cannot lock %s: %s", dir, strerror(errno));
}

/* -EPERM where others could have it open too. */
static int check_lock(int fd)
{
	const struct trust trust = { .euid = geteuid(), .shim_uid = geteuid() };
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!trust_file(&trust, &st))
		return -EPERM;
	return (st.st_mode & 077) && fchmod(fd, 0600) < 0 ? -errno : 0;
}

static int open_lock(int dir_fd, const char *dir, struct report *why)
{
	int fd = openat(dir_fd, WRITER_LOCK, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	int r = fd < 0 ? -errno : check_lock(fd);

	if (r == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return r == -EPERM ? report(why, r, "%s/" WRITER_LOCK " is not yours, or others may write it: remove it first", dir) :
			     report(why, r, "cannot open %s/" WRITER_LOCK ": %s", dir, strerror(-r));
}

int writer_lock(int dir_fd, const char *dir, bool wait, struct report *why)
{
	struct stat held, named;
	int fd, r;

	for (;;) {
		fd = open_lock(dir_fd, dir, why);
		if (fd < 0)
			return fd;
		r = wait_for_lock(fd, dir, wait, why);
		if (r == 0 && fstat(fd, &held) == 0 && fstatat(dir_fd, WRITER_LOCK, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
		    held.st_dev == named.st_dev && held.st_ino == named.st_ino)
			break;
		close(fd);
		if (r < 0)
			return r;
	}
	/* For who asks by the directory, as the sweep of `fairdial run`. Anybody may have that one, so it decides nothing. */
	flock(dir_fd, LOCK_EX | LOCK_NB);
	return fd;
}

static int take_directory(struct table_writer *w, struct report *why)
{
	struct stat st;
	struct trust trust = { .euid = geteuid(), .shim_uid = geteuid() };

	if (mkdir(w->dir, 0755) < 0 && errno == ENOENT)
		return report(why, -ENOENT, "cannot make the directory %s: the one that it is to be in does not exist: make that first", w->dir);
	if (mkdir(w->dir, 0755) < 0 && errno != EEXIST)
		return report(why, -errno, "cannot make the directory %s: %s", w->dir, strerror(errno));
	w->dir_fd = open(w->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (w->options.no_link ? O_NOFOLLOW : 0));
	if (w->dir_fd < 0 || fstat(w->dir_fd, &st) < 0)
		return report(why, -errno, "cannot open the directory %s: %s", w->dir, strerror(errno));
	if (!trust_directory(&trust, &st))
		return report(why, -EPERM,
			      "%s may be changed by other users, so no program would trust a table in it: "
			      "make it yours, and not writable by others (chmod go-w)",
			      w->dir);
	w->lock_fd = writer_lock(w->dir_fd, w->dir, w->options.wait, why);
	return w->lock_fd < 0 ? w->lock_fd : 0;
}

static void restore_rows(struct table_writer *w, const struct table_view *view, const struct table_port *port)
{
	bool same_boot = memcmp(head_of(w)->boot_id, w->boot_id, sizeof(w->boot_id)) == 0;
	struct table_endpoint row;

	for (uint32_t i = 0; i < port->v4_count + port->v6_count; i++)
		if (table_endpoint(view, port->first_endpoint + i, &row) == 0)
			slots_restore(&w->rows, image_endpoint_key(&row), row.slot, image_is_in_use(port, &row),
				      same_boot ? row.added_ms : 0);
}

/*
 * Slots go on where the last writer left them, or a publish that failed found them: the current generation tells whose
 * they are.
 */
static int restore_slots(struct table_writer *w)
{
	struct table_view view;
	struct table_port port;
	struct slot_key key;

	slots_done(&w->rows);
	slots_done(&w->cursors);
	if (slots_init(&w->rows, w->table.base ? head_of(w)->rows : 0) < 0 ||
	    slots_init(&w->cursors, w->table.base ? head_of(w)->cursors : 0) < 0)
		return -ENOMEM;
	if (!w->table.base || !table_begin(&w->table, &view))
		return 0;
	for (uint32_t i = 0; table_port(&view, i, &port) == 0; i++) {
		restore_rows(w, &view, &port);
		if (image_port_key(&view, &port, &key) == 0)
			slots_restore(&w->cursors, key, port.cursor, false, 0);
	}
	return slots_restored(&w->rows) < 0 || slots_restored(&w->cursors) < 0 ? -ENOMEM : 0;
}

/* Files of a writer that was killed before they had their name. The directory is ours alone by now. */
static void remove_leftovers(struct table_writer *w)
{
	DIR *dir = opendir(w->dir);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (strncmp(entry->d_name, TEMPORARY, strlen(TEMPORARY)) == 0)
			unlinkat(w->dir_fd, entry->d_name, 0);
	if (dir)
		closedir(dir);
}

/* Maps an existing table for writing; leaves none where it cannot be continued. */
static int continue_table(struct table_writer *w, struct report *why)
{
	struct trust trust = { .euid = geteuid(), .shim_uid = geteuid() };
	struct stat st;
	char reason[128];
	void *base = MAP_FAILED;
	int r = 0, fd = openat(w->dir_fd, "table", O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0) {
		r = report(why, -errno, "cannot open %s/table: %s", w->dir, strerror(errno));
		goto out;
	}
	if (!trust_file(&trust, &st)) {
		r = report(why, -EPERM, "%s/table is not yours, or others may write it: remove it first", w->dir);
		goto out;
	}
	if ((uint64_t)st.st_size >= sizeof(struct table_head))
		base = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		goto out;
	if (table_attach(&w->table, base, (size_t)st.st_size) < 0 ||
	    (table_head(&w->table)->current && table_check(&w->table, reason, sizeof(reason)) < 0)) {
		munmap(base, (size_t)st.st_size); /* of another version, or damaged: a new one will take its place */
		w->table.base = NULL;
		goto out;
	}
	w->id = (struct file_id){ st.st_dev, st.st_ino };
	w->instance = head_of(w)->instance;
	continue_note(w);
	w->generation = load_relaxed(&head_of(w)->current) >> 1;
	if (restore_slots(w) < 0)
		r = report(why, -ENOMEM, "out of memory");
out:
	if (fd >= 0)
		close(fd);
	return r;
}

int writer_open(const char *dir, const struct writer_options *options, struct table_writer **ret_writer,
		struct report *why)
{
	struct table_writer *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return report(why, -ENOMEM, "out of memory");
	w->dir_fd = w->lock_fd = -1;
	w->options = *options;
	w->instance = random_word();
	host_boot_id(w->boot_id);
	if (strlen(dir) >= sizeof(w->dir)) {
		r = report(why, -ENAMETOOLONG, "the directory's name is too long: %.64s...", dir);
		goto fail;
	}
	strcpy(w->dir, dir);
	if (restore_slots(w) < 0) {
		r = report(why, -ENOMEM, "out of memory");
		goto fail;
	}
	r = take_directory(w, why);
	if (r == 0)
		remove_leftovers(w);
	if (r == 0)
		r = continue_table(w, why);
	if (r < 0)
		goto fail;
	*ret_writer = w;
	return 0;
fail:
	writer_close(w);
	return r;
}

/* The next power of two times `least`; sizes are bounded by image_build. */
static uint64_t round_up(uint64_t need, uint64_t least)
{
	uint64_t size = least;

	while (size < need)
		size *= 2;
	return size;
}

static void fill_head(struct table_writer *w, struct table_head *head, uint64_t area_size)
{
	head->magic = TABLE_MAGIC;
	head->major = TABLE_MAJOR;
	head->minor = TABLE_MINOR;
	head->head_size = HEAD_SIZE;
	head->area_size = area_size;
	head->area_offset[0] = HEAD_SIZE;
	head->area_offset[1] = HEAD_SIZE + area_size;
	head->file_size = HEAD_SIZE + 2 * area_size;
	head->instance = w->instance;
	head->flags = w->options.is_static ? TABLE_STATIC : 0;
	head->rows = w->rows.limit;
	head->cursors = w->cursors.limit;
	memcpy(head->boot_id, w->boot_id, sizeof(head->boot_id));
	head->sum = table_sum(0, head, offsetof(struct table_head, sum) / 8);
}

/* A new file under a temporary name, full size and mapped. */
static int make_file(struct table_writer *w, uint64_t area_size, char *path, struct table *ret_table, struct file_id *ret_id,
		     struct report *why)
{
	uint64_t size = HEAD_SIZE + 2 * area_size;
	struct table_head *head;
	struct stat st;
	int r, fd;

	snprintf(path, PATH_MAX, "%s/" TEMPORARY "XXXXXX", w->dir);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return report(why, -errno, "cannot make a file in %s: %s", w->dir, strerror(errno));
	r = posix_fallocate(fd, 0, (off_t)size);
	if (r != 0) {
		r = report(why, -r, "cannot take %llu KiB in %s: %s", (unsigned long long)size / 1024, w->dir, strerror(r));
		goto fail;
	}
	if (fchmod(fd, w->options.file_mode ? w->options.file_mode : 0644) < 0 || fstat(fd, &st) < 0) {
		r = report(why, -errno, "cannot set the mode of %s: %s", path, strerror(errno));
		goto fail;
	}
	head = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (head == MAP_FAILED) {
		r = report(why, -errno, "cannot map %s: %s", path, strerror(errno));
		goto fail;
	}
	fill_head(w, head, area_size);
	if (table_attach(ret_table, head, size) < 0) {
		munmap(head, size);
		r = report(why, -E2BIG, "a table of %llu KiB is too large: publish fewer services, at most %llu KiB",
			   (unsigned long long)size / 1024, (unsigned long long)TABLE_MAX_SIZE / 1024);
		goto fail;
	}
	close(fd);
	*ret_id = (struct file_id){ st.st_dev, st.st_ino };
	store_note(ret_table, &w->note);
	return 0;
fail:
	close(fd);
	unlink(path);
	return r;
}

/* The area that is not current. */
static struct table_area *other_area(const struct table *table)
{
	return (struct table_area *)(table->base + table->area_offset[(table_head(table)->current & 1) ^ 1]);
}

/* Step 1 of layout.h. */
static void begin_area(struct table_area *area)
{
	store_release(&area->seq, load_relaxed(&area->seq) | 1);
}

/* Steps 3 and 4. */
static void end_area(struct table *table, struct table_area *area, uint64_t generation)
{
	struct table_head *head = (struct table_head *)table->base;
	uint64_t target = (load_relaxed(&head->current) & 1) ^ 1;

	store_release(&area->seq, load_relaxed(&area->seq) + 1);
	store_release(&head->current, generation << 1 | target);
}

/* Step 2 in between, all of it. */
static void publish_image(struct table *table, const struct image *image)
{
	struct table_area *area = other_area(table);

	begin_area(area);
	store_words((uint64_t *)area + 1, (const uint64_t *)image->bytes + 1, image->size / 8 - 1);
	end_area(table, area, image->generation);
}

static void store_patch(struct table_area *area, const struct patch *patch)
{
	const uint8_t *from = patch->bytes;

	for (size_t i = 0; i < patch->count; i++) {
		store_words((uint8_t *)area + patch->pieces[i].at, from, patch->pieces[i].size / 8);
		from += patch->pieces[i].size;
	}
}

/* Step 2 in between: what the current area says, then what is new. */
static void publish_patch(struct table_writer *w)
{
	struct table_area *area = other_area(&w->table);
	const struct table_area *now =
		(const void *)(w->table.base + w->table.area_offset[table_head(&w->table)->current & 1]);

	begin_area(area);
	if (w->remembers_last)
		store_patch(area, &w->last);
	else
		store_words((uint64_t *)area + 1, (const uint64_t *)now + 1, now->size / 8 - 1);
	store_patch(area, &w->next);
	end_area(&w->table, area, w->generation + 1);
}

/* A new file is vouched for as the one before it was; the first of all is true now. */
static uint64_t last_heartbeat(struct table_writer *w)
{
	uint8_t boot_id[16];

	host_boot_id(boot_id);
	if (w->table.base && memcmp(boot_id, head_of(w)->boot_id, sizeof(boot_id)) == 0 && !(head_of(w)->flags & TABLE_STATIC))
		return load_relaxed(&head_of(w)->heartbeat_ms);
	return clock_boot_ms();
}

/* The image does not fit, or the file is of another kind: a new file takes over the name, and the old one says so. */
static int publish_new_file(struct table_writer *w, const struct image *image, struct report *why)
{
	uint64_t need = image->size + image->size / 2, least = w->options.is_small ? SMALL_AREA : MIN_AREA;
	char path[PATH_MAX], final[PATH_MAX];
	struct table table;
	struct file_id id;
	int r = make_file(w, round_up(need > w->options.reserve ? need : w->options.reserve, least), path, &table, &id, why);

	if (r < 0)
		return r;
	((struct table_head *)table.base)->heartbeat_ms = last_heartbeat(w);
	publish_image(&table, image);
	snprintf(final, sizeof(final), "%s/table", w->dir);
	if (rename(path, final) < 0) {
		r = report(why, -errno, "cannot put the table into %s: %s", w->dir, strerror(errno));
		unlink(path);
		table_unmap(&table);
		return r;
	}
	if (w->table.base) {
		store_release(&head_of(w)->retired, 1);
		table_unmap(&w->table);
	}
	w->table = table;
	w->id = id;
	return 0;
}

bool writer_has_directory(const struct table_writer *w)
{
	struct stat st;

	return fstat(w->dir_fd, &st) < 0 || file_is_current(w->dir, &(struct file_id){ st.st_dev, st.st_ino });
}

static bool has_lock(const struct table_writer *w)
{
	struct stat held, named;

	return fstat(w->lock_fd, &held) < 0 || (fstatat(w->dir_fd, WRITER_LOCK, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
						held.st_dev == named.st_dev && held.st_ino == named.st_ino);
}

int writer_keep_lock(struct table_writer *w, struct report *why)
{
	int fd = has_lock(w) ? w->lock_fd : writer_lock(w->dir_fd, w->dir, false, why);

	if (fd < 0)
		return fd;
	if (fd != w->lock_fd)
		close(w->lock_fd);
	w->lock_fd = fd;
	return 0;
}

/*
 * Then those alone see it who have it mapped. Without its directory they are all that there is, and it goes on for them; so it does
 * where the lock went with the table, and another writer has the directory by now: two would take the name from each other.
 */
bool writer_was_removed(struct table_writer *w)
{
	char path[PATH_MAX];
	struct report why;

	snprintf(path, sizeof(path), "%s/table", w->dir);
	return !file_is_current(path, &w->id) && writer_has_directory(w) && writer_keep_lock(w, &why) == 0;
}

/* Whether this writer would have made the file that is there, but for its size. */
static bool is_of_our_kind(struct table_writer *w)
{
	const struct table_head *head = head_of(w);

	return w->table.base && head->minor == TABLE_MINOR && head->head_size == HEAD_SIZE &&
	       !(head->flags & TABLE_STATIC) == !w->options.is_static &&
	       ((head->flags & TABLE_STATIC) || memcmp(w->boot_id, head->boot_id, sizeof(w->boot_id)) == 0);
}

static bool fits(struct table_writer *w, const struct image *image)
{
	const struct table_head *head = head_of(w);

	return is_of_our_kind(w) && !writer_was_removed(w) && image->size <= head->area_size &&
	       w->options.reserve <= head->area_size && head->rows == w->rows.limit && head->cursors == w->cursors.limit;
}

static void raise_limit(struct slots *slots, uint64_t need, uint64_t reserve, uint64_t least)
{
	if (need < reserve)
		need = reserve < TABLE_MAX_SLOTS ? reserve : TABLE_MAX_SLOTS;
	slots_raise_limit(slots, (uint32_t)round_up(need, least));
}

/* Room in the ledger for all that this generation names; more than needed, so that the next ones fit too. */
static int raise_limits(struct table_writer *w, const struct spec *spec, struct report *why)
{
	uint64_t endpoints = 0, ports = 0;

	for (size_t i = 0; i < spec->service_count; i++) {
		ports += spec->services[i].port_count;
		for (size_t j = 0; j < spec->services[i].port_count; j++)
			endpoints += spec->services[i].ports[j].endpoint_count;
	}
	if (endpoints > TABLE_MAX_SLOTS || ports > TABLE_MAX_SLOTS)
		return report(why, -E2BIG, "too many endpoints to publish: %llu, at most %u", (unsigned long long)endpoints,
			      TABLE_MAX_SLOTS);
	raise_limit(&w->rows, endpoints, w->options.reserve / ROW_SHARE, MIN_ROWS);
	raise_limit(&w->cursors, ports, w->options.reserve / CURSOR_SHARE, MIN_CURSORS);
	return 0;
}

static int build_and_publish(struct table_writer *w, const struct spec *spec, struct report *why)
{
	struct image_options options = { w->instance, w->generation + 1, clock_boot_ms(), clock_wall_ms() };
	struct image image;
	int r = raise_limits(w, spec, why);

	if (r == 0)
		r = image_build(spec, &options, &w->rows, &w->cursors, &image, why);
	if (r < 0)
		return r;
	if (fits(w, &image))
		publish_image(&w->table, &image);
	else
		r = publish_new_file(w, &image, why);
	free(image.bytes);
	return r;
}

int writer_publish(struct table_writer *w, const struct spec *spec, struct report *why)
{
	int r = build_and_publish(w, spec, why);

	if (r < 0) {
		restore_slots(w); /* out of memory again: slots are then given out anew, and scores begin anew */
		return r;
	}
	w->generation++;
	w->remembers_last = false;
	places_forget(&w->places);
	return 0;
}

int writer_patch(struct table_writer *w, const struct spec *spec, struct report *why)
{
	struct image_options options = { w->instance, w->generation + 1, clock_boot_ms(), clock_wall_ms() };
	struct patch last = w->last;
	int r;

	if (!w->table.base || w->generation == 0 || !is_of_our_kind(w) || writer_was_removed(w))
		return report(why, -ESTALE, "there is no table yet that could be changed in place");
	r = patch_build(&w->places, &w->table, spec, &options, &w->rows, &w->next, why);
	if (r < 0) {
		if (r != -ESTALE)
			restore_slots(w);
		return r;
	}
	publish_patch(w);
	w->generation++;
	w->last = w->next;
	w->next = last; /* its memory serves again */
	w->remembers_last = true;
	return 0;
}

bool writer_find_row(const struct table_writer *w, const struct addr *addr, uint32_t *ret_slot, uint32_t *ret_tag)
{
	const struct slot_entry *entry = slots_find(&w->rows, image_addr_key(addr));

	if (!entry || entry->users == 0)
		return false;
	*ret_slot = entry->slot;
	*ret_tag = table_tag(w->instance, addr);
	return true;
}

void writer_note(struct table_writer *w, const char *text)
{
	char cut[TABLE_NOTE_SIZE] = "";

	strncpy(cut, text, sizeof(cut) - 1);
	if (strcmp(cut, w->note.text) == 0)
		return;
	memcpy(w->note.text, cut, sizeof(cut));
	w->note.since_ms = clock_wall_ms();
	if (has_note(&w->table))
		store_note(&w->table, &w->note);
}

void writer_alive(struct table_writer *w, uint64_t delay_ms)
{
	w->note.alive_ms = clock_boot_ms();
	w->note.delay_ms = delay_ms;
	if (!has_note(&w->table))
		return;
	store_release(&note_of(&w->table)->alive_ms, w->note.alive_ms);
	store_release(&note_of(&w->table)->delay_ms, delay_ms);
}

void writer_heartbeat(struct table_writer *w)
{
	if (w->table.base)
		store_release(&head_of(w)->heartbeat_ms, clock_boot_ms());
}

const struct table *writer_table(const struct table_writer *w)
{
	return w->table.base ? &w->table : NULL;
}

/* In this order: who is told finds no name. Not another writer's. */
void writer_retire(struct table_writer *w)
{
	if (!w->table.base)
		return;
	if (has_lock(w))
		unlinkat(w->dir_fd, "table", 0);
	store_release(&head_of(w)->retired, 1);
}

void writer_close(struct table_writer *w)
{
	if (!w)
		return;
	table_unmap(&w->table);
	slots_done(&w->rows);
	slots_done(&w->cursors);
	places_forget(&w->places);
	patch_done(&w->last);
	patch_done(&w->next);
	if (w->dir_fd >= 0)
		close(w->dir_fd);
	if (w->lock_fd >= 0)
		close(w->lock_fd);
	free(w);
}
