/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of a process's folder in /proc tell: made-up ones, damaged ones, and this process's own. */
#include "support/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "inspect/mapped.h"
#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"

static const char shim_line[] = "7f6500001000-7f6500002000 r-xp 00001000 00:27 4711                       /opt/libfairdial.so";
static const char table_line[] = "7f6500003000-7f6500004000 r--s 00000000 00:27 12 /run/fairdial/table";

static void take(struct mapped *mapped, const char *line)
{
	mapped_take_line(mapped, line, strlen(line));
}

/* ---- maps ---- */

static void shim_and_table_are_found(void **state)
{
	struct mapped mapped = { 0 };

	(void)state;
	take(&mapped, shim_line);
	take(&mapped, table_line);
	assert_true(mapped.shim.is_mapped && mapped.table.is_mapped);
	assert_false(mapped.shim.is_removed || mapped.table.is_removed);
	assert_string_equal(mapped.shim.path, "/opt/libfairdial.so");
	assert_string_equal(mapped.table.path, "/run/fairdial/table");
	assert_int_equal(mapped.shim.inode, 4711);
	assert_int_equal(mapped.shim.begin, 0x7f6500001000);
	assert_int_equal(mapped.shim.end, 0x7f6500002000);
}

static void other_parts_and_other_files_are_not_taken(void **state)
{
	static const char *const lines[] = {
		"",
		" ",
		"x",
		"7f65-7f66 r--p 00000000 00:27 2 /opt/libfairdial.so",     /* not its code */
		"7f65-7f66 r-xp 00000000 00:27 2 /opt/libfairdial.so.old", /* another name */
		"7f65-7f66 r-xp 00000000 00:27 2 libfairdial.so",
		"7f65-7f66 r--p 00000000 00:27 2 /run/fairdial/table", /* not shared */
		"7f65-7f66 r--s 00000000 00:27 2 /run/fairdial/stable",
		"7f65-7f66 r--s 00000000 00:27 2 [table]",
		"7f65-7f66 r-x 00000000 00:27 2 /opt/libfairdial.so",
		"7f65 r-xp 00000000 00:27 2 /opt/libfairdial.so", /* no range */
		"7f65-7f66 r-xp 00000000 00:27 2",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		struct mapped mapped = { 0 };

		take(&mapped, lines[i]);
		if (mapped.shim.is_mapped || mapped.table.is_mapped)
			fail_msg("taken: %s", lines[i]);
	}
}

static void removed_file_is_told_and_the_present_one_counts(void **state)
{
	struct mapped mapped = { 0 };

	(void)state;
	take(&mapped, format("%s (deleted)", shim_line));
	assert_true(mapped.shim.is_mapped && mapped.shim.is_removed);
	assert_string_equal(mapped.shim.path, "/opt/libfairdial.so");
	take(&mapped, table_line);
	take(&mapped, format("%s (deleted)", table_line));
	assert_true(mapped.table.is_mapped);
	assert_false(mapped.table.is_removed);
}

/* The bytes behind its end are not its own. */
static void line_that_ends_anywhere_does_no_harm(void **state)
{
	(void)state;
	for (size_t len = 0; len < sizeof(shim_line); len++) {
		char *line = malloc(len + !len);
		struct mapped mapped = { 0 };

		memcpy(line, shim_line, len);
		mapped_take_line(&mapped, line, len);
		assert_int_equal(mapped.shim.is_mapped, len >= sizeof(shim_line) - 1);
		free(line);
	}
}

static void path_that_is_too_long_is_not_taken(void **state)
{
	char *path = calloc(1, PATH_MAX + 64);
	struct mapped mapped = { 0 };

	(void)state;
	after_test(free, path);
	memset(path, 'x', PATH_MAX);
	path[0] = '/';
	take(&mapped, format("1-2 r-xp 0 0:0 1 %s/libfairdial.so", path));
	assert_false(mapped.shim.is_mapped);
	take(&mapped, "1111111111111111111111111111111111-2 r-xp 0 0:0 99999999999999999999999999 /libfairdial.so");
	assert_true(mapped.shim.is_mapped);
}

/* ---- a folder ---- */

static bool is_istio(uint16_t port)
{
	return port == 15001 || port == 15006;
}

struct folder {
	const char *path;
	int fd;
};

static void shut(void *fd)
{
	close(*(int *)fd);
}

static struct folder *folder(void)
{
	struct folder *f = calloc(1, sizeof(*f));

	after_test(free, f);
	f->path = scratch_dir();
	assert_int_equal(mkdir(format("%s/net", f->path), 0755), 0);
	f->fd = open(f->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	after_test(shut, &f->fd);
	return f;
}

static void put(const struct folder *f, const char *name, const void *bytes, size_t size)
{
	write_file(format("%s/%s", f->path, name), bytes, size);
}

static void put_text(const struct folder *f, const char *name, const char *text)
{
	put(f, name, text, strlen(text));
}

static void free_mapped(void *mapped)
{
	mapped_free(mapped);
	free(mapped);
}

static struct mapped *mapped_of(int process)
{
	struct mapped *mapped = calloc(1, sizeof(*mapped));

	assert_int_equal(mapped_take(process, is_istio, mapped), 0);
	after_test(free_mapped, mapped);
	return mapped;
}

static void empty_folder_tells_nothing(void **state)
{
	struct mapped *mapped = mapped_of(folder()->fd);

	(void)state;
	assert_false(mapped->is_read || mapped->is_first || mapped->shim.is_mapped);
	assert_null(mapped->preload);
	assert_null(mapped->command);
	assert_int_equal(mapped->mesh_port, 0);
}

static void whole_folder_is_read(void **state)
{
	static const char environment[] = "A=LD_PRELOAD=x\0LD_PRELOAD=/a:/b\0LD_PRELOAD=/c\0LD_PRELOAD";
	static const char command[] = "sh\0-c\0exec curl\0\0";
	struct folder *f = folder();
	struct mapped *mapped;

	(void)state;
	put_text(f, "maps", format("%s\n%s", table_line, shim_line)); /* no newline at its end */
	put(f, "environ", environment, sizeof(environment));
	put(f, "cmdline", command, sizeof(command));
	put_text(f, "status", "Name:\tx\nNSpid:\t4242\t1\nPid:\t4242\n");
	mapped = mapped_of(f->fd);
	assert_true(mapped->is_read && mapped->is_first && mapped->shim.is_mapped && mapped->table.is_mapped);
	assert_string_equal(mapped->preload, "/a:/b");
	assert_string_equal(mapped->command, "sh -c exec curl");
}

static void first_process_is_told_by_its_innermost_number(void **state)
{
	static const struct {
		const char *line;
		bool is_first;
	} rows[] = {
		{ "NSpid:\t1\n", true },
		{ "NSpid:\t77\t1\n", true },
		{ "NSpid:\t1\t77\n", false },
		{ "NSpid:\t11\n", false },
		{ "NSpid:\t4242\t21\n", false },
		{ "NSpid:\n", false },
		{ "NSpid:", false },
		{ "NSpid:1", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct folder *f = folder();

		put_text(f, "status", rows[i].line);
		if (mapped_of(f->fd)->is_first != rows[i].is_first)
			fail_msg("%s", rows[i].line);
	}
}

static void paths_are_those_of_the_process(void **state)
{
	struct folder *f = folder();

	(void)state;
	put_text(f, "maps", "7f65-7f66 r-xp 0 0:0 1 /in/side/opt/libfairdial.so\n7f67-7f68 r--s 0 0:0 1 /in/sider/table\n");
	assert_int_equal(symlink("/in/side", format("%s/root", f->path)), 0);
	assert_string_equal(mapped_of(f->fd)->shim.path, "/opt/libfairdial.so");
	assert_string_equal(mapped_of(f->fd)->table.path, "/in/sider/table");
}

/* Before the line that tells it stand a user's groups. */
static void user_of_many_groups_hides_nothing(void **state)
{
	struct folder *f = folder();
	const size_t size = 300000;
	char *text = malloc(size + 64);

	(void)state;
	after_test(free, text);
	memset(text, '7', size);
	strcpy(text + size, "\nNSpid:\t5\t1\n");
	put_text(f, "status", text);
	assert_true(mapped_of(f->fd)->is_first);
}

static void mesh_is_found_by_what_listens(void **state)
{
	static const char head[] = "  sl  local_address rem_address   st\n";
	struct folder *f = folder();

	(void)state;
	put_text(f, "net/tcp", format("%s   0: 0100007F:3A99 0100007F:0050 01 x\n   1: 00000000:0050 00000000:0000 0A x\n", head));
	assert_int_equal(mapped_of(f->fd)->mesh_port, 0); /* 15001 is connected, 80 listens */
	put_text(f, "net/tcp", format("%s   1: 00000000:3A9E 00000000:0000 0A x\n", head));
	assert_int_equal(mapped_of(f->fd)->mesh_port, 15006);
	put_text(f, "net/tcp6",
		 format("%s   1: 00000000000000000000000000000000:3A99 00000000000000000000000000000000:0000 0A x\n", head));
	assert_int_equal(mapped_of(f->fd)->mesh_port, 15001);
	put_text(f, "net/tcp", "garbage\n\n: : :\n 1: 00:3A9E");
	assert_int_equal(mapped_of(f->fd)->mesh_port, 15001);
}

static void own_memory_tells_of_a_file_that_it_maps(void **state)
{
	const char *dir = scratch_dir(), *path = format("%s/libfairdial.so", dir);
	int process = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC), fd;
	struct mapped *mapped;
	char first[4] = "";
	void *at;

	(void)state;
	write_file(path, "one", 3);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	at = mmap(NULL, 3, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	close(fd);
	if (at == MAP_FAILED)
		skip_because("no code may be mapped from the scratch folder");
	assert_clean(run_shell(NULL, "printf two >%s.new && mv %s.new %s", path, path, path));
	mapped = mapped_of(process);
	assert_true(mapped->shim.is_mapped && mapped->shim.is_removed);
	assert_string_equal(mapped->shim.path, path);
	fd = mapped_open(process, &mapped->shim);
	munmap(at, 3);
	close(process);
	if (fd == -EPERM)
		skip_because("this user may not open what another has mapped");
	assert_true(fd >= 0);
	assert_int_equal(read(fd, first, 3), 3);
	assert_string_equal(first, "one"); /* not what is in its place */
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(shim_and_table_are_found),
		TEST(other_parts_and_other_files_are_not_taken),
		TEST(removed_file_is_told_and_the_present_one_counts),
		TEST(line_that_ends_anywhere_does_no_harm),
		TEST(path_that_is_too_long_is_not_taken),
		TEST(empty_folder_tells_nothing),
		TEST(whole_folder_is_read),
		TEST(first_process_is_told_by_its_innermost_number),
		TEST(paths_are_those_of_the_process),
		TEST(user_of_many_groups_hides_nothing),
		TEST(mesh_is_found_by_what_listens),
		TEST(own_memory_tells_of_a_file_that_it_maps),
	};

	return RUN_TESTS(tests);
}
