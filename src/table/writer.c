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
#include "table/slots.h"

#define TEMPORARY    ".table."
#define HEAD_SIZE    4096
#define MIN_AREA     (64u * 1024)
#define MIN_ROWS     64u
#define MIN_CURSORS  64u

struct table_writer {
	char dir[PATH_MAX - 32];
	int dir_fd; /* holds the flock */
	struct writer_options options;
	struct table table; /* mapped for writing; base NULL before the first publish */
	struct slots rows, cursors;
	uint64_t instance, generation;
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

static int take_directory(struct table_writer *w, struct report *why)
{
	struct stat st;
	struct trust trust = { .euid = geteuid(), .shim_uid = geteuid() };

	if (mkdir(w->dir, 0755) < 0 && errno != EEXIST)
		return report(why, -errno, "cannot make the directory %s: %s", w->dir, strerror(errno));
	w->dir_fd = open(w->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (w->dir_fd < 0 || fstat(w->dir_fd, &st) < 0)
		return report(why, -errno, "cannot open the directory %s: %s", w->dir, strerror(errno));
	if (!trust_directory(&trust, &st))
		return report(why, -EPERM,
			      "%s may be changed by other users, so no program would trust a table in it: "
			      "make it yours, and not writable by others (chmod go-w)",
			      w->dir);
	if (flock(w->dir_fd, LOCK_EX | (w->options.wait ? 0 : LOCK_NB)) < 0) {
		if (errno == EWOULDBLOCK)
			return report(why, -EBUSY, "another fairdial publishes into %s: stop it, or choose another --dir",
				      w->dir);
		return report(why, -errno, "cannot lock %s: %s", w->dir, strerror(errno));
	}
	return 0;
}

/*
 * Slots go on where the last writer left them, or a publish that failed found them: the current generation tells whose
 * they are.
 */
static int restore_slots(struct table_writer *w)
{
	struct table_view view;
	struct table_endpoint endpoint;
	struct table_port port;
	struct slot_key key;

	slots_done(&w->rows);
	slots_done(&w->cursors);
	if (slots_init(&w->rows, w->table.base ? head_of(w)->rows : 0) < 0 ||
	    slots_init(&w->cursors, w->table.base ? head_of(w)->cursors : 0) < 0)
		return -ENOMEM;
	if (!w->table.base || !table_begin(&w->table, &view))
		return 0;
	for (uint32_t i = 0; table_endpoint(&view, i, &endpoint) == 0; i++)
		slots_restore(&w->rows, image_endpoint_key(&endpoint), endpoint.slot, endpoint.added_ms);
	for (uint32_t i = 0; table_port(&view, i, &port) == 0; i++)
		if (image_port_key(&view, &port, &key) == 0)
			slots_restore(&w->cursors, key, port.cursor, 0);
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
	w->instance = head_of(w)->instance;
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
	w->dir_fd = -1;
	w->options = *options;
	w->instance = random_word();
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
	host_boot_id(head->boot_id);
	head->sum = table_sum(0, head, offsetof(struct table_head, sum) / 8);
}

/* A new file under a temporary name, full size and mapped. */
static int make_file(struct table_writer *w, uint64_t area_size, char *path, struct table *ret_table, struct report *why)
{
	uint64_t size = HEAD_SIZE + 2 * area_size;
	struct table_head *head;
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
	if (fchmod(fd, w->options.file_mode ? w->options.file_mode : 0644) < 0) {
		r = report(why, -errno, "cannot set the mode of %s: %s", path, strerror(errno));
		goto fail;
	}
	head = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (head == MAP_FAILED) {
		r = report(why, -errno, "cannot map %s: %s", path, strerror(errno));
		goto fail;
	}
	fill_head(w, head, area_size);
	close(fd);
	return table_attach(ret_table, head, size);
fail:
	close(fd);
	unlink(path);
	return r;
}

/* Step 1 to 4 of layout.h, into the area of `table` that is not current. */
static void publish_image(struct table *table, const struct image *image)
{
	struct table_head *head = (struct table_head *)table->base;
	uint64_t target = (load_relaxed(&head->current) & 1) ^ 1;
	struct table_area *area = (struct table_area *)(table->base + table->area_offset[target]);
	uint64_t odd = load_relaxed(&area->seq) | 1;

	store_release(&area->seq, odd);
	store_words((uint64_t *)area + 1, (const uint64_t *)image->bytes + 1, image->size / 8 - 1);
	store_release(&head->heartbeat_ms, clock_boot_ms());
	store_release(&area->seq, odd + 1);
	store_release(&head->current, image->generation << 1 | target);
}

/* The image does not fit, or the file is of another kind: a new file takes over the name, and the old one says so. */
static int publish_new_file(struct table_writer *w, const struct image *image, struct report *why)
{
	char path[PATH_MAX], final[PATH_MAX];
	struct table table;
	int r = make_file(w, round_up(image->size + image->size / 2, MIN_AREA), path, &table, why);

	if (r < 0)
		return r;
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
	return 0;
}

static bool fits(struct table_writer *w, const struct image *image)
{
	uint8_t boot_id[16];
	const struct table_head *head = head_of(w);

	if (!w->table.base || image->size > head->area_size || head->rows != w->rows.limit ||
	    head->cursors != w->cursors.limit || !(head->flags & TABLE_STATIC) != !w->options.is_static)
		return false;
	host_boot_id(boot_id);
	return (head->flags & TABLE_STATIC) || memcmp(boot_id, head->boot_id, sizeof(boot_id)) == 0;
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
	slots_raise_limit(&w->rows, (uint32_t)round_up(endpoints, MIN_ROWS));
	slots_raise_limit(&w->cursors, (uint32_t)round_up(ports, MIN_CURSORS));
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

	if (r == 0)
		w->generation++;
	else
		restore_slots(w); /* out of memory again: slots are then given out anew, and scores begin anew */
	return r;
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

void writer_close(struct table_writer *w)
{
	if (!w)
		return;
	table_unmap(&w->table);
	slots_done(&w->rows);
	slots_done(&w->cursors);
	if (w->dir_fd >= 0)
		close(w->dir_fd);
	free(w);
}
