/* SPDX-License-Identifier: Apache-2.0 */
#include "support/tables.h"

#include "support/testing.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/process.h"
#include "support/services.h"
#include "support/table_builder.h"

#define ENDPOINTS "10.244.0.1:80 10.244.0.2:80"

const char *table_dir(void)
{
	const char *dir = scratch_dir();

	publish_alone(dir, builder_web(ENDPOINTS));
	return dir;
}

static const char *table_of(const char *dir)
{
	return format("%s/table", dir);
}

void change_head(const char *dir, void (*change)(struct table_head *head))
{
	size_t size;
	char *bytes = read_file(table_of(dir), &size);

	change((struct table_head *)bytes);
	repair_head(bytes);
	write_file(table_of(dir), bytes, size);
}

static uint64_t heartbeat_ms; /* of the table that is being made */

static void set_heartbeat(struct table_head *head)
{
	head->heartbeat_ms = heartbeat_ms;
}

const char *aged_table_dir(uint64_t silent_ms, uint32_t stale_after_ms)
{
	const struct writer_options options = { .is_static = false };
	const char *dir = scratch_dir();
	struct table_writer *writer = open_writer_with(dir, &options);
	struct table_builder *b = builder_web(ENDPOINTS);

	b->spec.stale_after_ms = stale_after_ms;
	b->spec.services[0].flags = SERVICE_OWN_ADDRESS;
	publish(writer, b);
	close_writer(writer);
	if (clock_boot_ms() <= silent_ms)
		fail_msg("this machine was started less than %llu ms ago", (unsigned long long)silent_ms);
	heartbeat_ms = clock_boot_ms() - silent_ms;
	change_head(dir, set_heartbeat);
	return dir;
}

/* ---- those that cannot be used ---- */

static const char *none(void)
{
	return scratch_dir();
}

static const char *no_directory(void)
{
	return format("%s/missing", scratch_dir());
}

static const char *a_file_for_a_directory(void)
{
	return table_of(table_dir());
}

static const char *changeable_by_others(void)
{
	const char *dir = table_dir();

	assert_int_equal(chmod(table_of(dir), 0666), 0);
	return dir;
}

static const char *replaceable_by_others(void)
{
	const char *dir = table_dir();

	assert_int_equal(chmod(dir, 0777), 0);
	return dir;
}

static const char *symbolic_link(void)
{
	const char *dir = scratch_dir();

	assert_int_equal(symlink(table_of(table_dir()), table_of(dir)), 0);
	return dir;
}

static const char *fifo(void)
{
	const char *dir = scratch_dir();

	assert_int_equal(mkfifo(table_of(dir), 0644), 0);
	return dir;
}

static const char *empty_file(void)
{
	const char *dir = scratch_dir();

	write_file(table_of(dir), "", 0);
	return dir;
}

static const char *other_bytes(void)
{
	const char *dir = scratch_dir();
	static char bytes[65536];

	memset(bytes, 'x', sizeof(bytes));
	write_file(table_of(dir), bytes, sizeof(bytes));
	return dir;
}

static const char *cut_short(void)
{
	const char *dir = table_dir();

	assert_int_equal(truncate(table_of(dir), 8192), 0);
	return dir;
}

/* In a name of the Service, which is under the sum of its row. */
static const char *damaged_row(void)
{
	const char *dir = table_dir();
	size_t size;
	char *bytes = read_file(table_of(dir), &size);
	char *at = memmem(bytes, size, "shop", 4);

	assert_non_null(at);
	*at = 'c';
	write_file(table_of(dir), bytes, size);
	return dir;
}

static void make_other_version(struct table_head *head)
{
	head->major++;
}

static const char *other_version(void)
{
	const char *dir = table_dir();

	change_head(dir, make_other_version);
	return dir;
}

static void make_other_boot(struct table_head *head)
{
	head->boot_id[5] ^= 1;
}

static const char *other_boot(void)
{
	const char *dir = aged_table_dir(0, 60000);

	change_head(dir, make_other_boot);
	return dir;
}

const struct bad_table bad_tables[] = {
	{ "none", none, "there is none", "fairdial publish", false },
	{ "no directory", no_directory, "there is none", "fairdial publish", false },
	{ "a file for a directory", a_file_for_a_directory, "there is a file where its directory is to be", "--dir", false },
	{ "changeable by others", changeable_by_others, "may be changed by one", "chmod go-w", false },
	{ "replaceable by others", replaceable_by_others, "may be changed by one", "chmod go-w", false },
	{ "a symbolic link", symbolic_link, "it is a symbolic link", "put the table itself there", false },
	{ "a FIFO", fifo, "no program of yours trusts", "", false },
	{ "an empty file", empty_file, "it is damaged", "publish it anew", false },
	{ "other bytes", other_bytes, "it is damaged", "publish it anew", false },
	{ "cut short", cut_short, "it is damaged", "publish it anew", false },
	{ "a damaged row", damaged_row, "it is damaged (", "publish it anew", true },
	{ "of another version", other_version, "another version", "publish it anew", false },
	{ "of another boot", other_boot, "an earlier boot", "start its agent again", false },
};

const size_t bad_table_count = sizeof(bad_tables) / sizeof(bad_tables[0]);
