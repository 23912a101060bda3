/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger's file: made whole, replaced where it is ours and of no use, never taken from strangers. */
#include "support/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/cleanup.h"
#include "support/ledgers.h"
#include "support/process.h"
#include "support/refusals.h"
#include "support/services.h"
#include "support/table_builder.h"

enum { ROWS = 64, RACERS = 20, STRANGER = 12345 };

static const struct ledger_key key = { 1, 7 };

static char *ledger_path(void)
{
	return format("%s/ledger", scratch_dir());
}

static int try_open(const char *path, enum ledger_opening opening)
{
	struct ledger ledger;
	int r = open_ledger(path, ROWS, opening, &ledger);

	if (r == 0)
		ledger_close(&ledger);
	else
		assert_null(ledger.base);
	return r;
}

static ino_t inode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

static uint32_t active_in(const char *path)
{
	struct ledger ledger;
	uint32_t active;

	assert_int_equal(open_ledger(path, ROWS, LEDGER_EXISTING, &ledger), 0);
	active = ledger_load(&ledger, key, 1000).active;
	ledger_close(&ledger);
	return active;
}

/* ---- made and found ---- */

static void it_is_made_whole_with_its_mode_and_size(void **state)
{
	char *dir = scratch_dir(), *path = format("%s/ledger", dir);
	struct trust trust = { .euid = geteuid(), .shim_uid = geteuid() };
	struct ledger_options options = { .rows = 1000, .cursors = 30, .mode = 0666, .trust = &trust };
	mode_t before = umask(077);
	struct ledger ledger;
	struct stat st;

	(void)state;
	assert_int_equal(ledger_open(path, &options, &ledger), 0);
	umask(before);
	assert_true(ledger.rows >= 1000 && ledger.cursors >= 30);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0666);
	assert_true((uint64_t)st.st_size >= 1000 * sizeof(struct ledger_row));
	assert_true((uint64_t)st.st_blocks * 512 >= (uint64_t)st.st_size); /* no holes */
	assert_int_equal(files_in(dir), 1);
	ledger_close(&ledger);
	ledger_close(&ledger); /* twice does no harm */
	path = ledger_path();
	assert_int_equal(try_open(path, LEDGER_MAKE), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void all_who_open_it_share_it(void **state)
{
	char *path = ledger_path();
	struct ledger one, two;

	(void)state;
	assert_int_equal(open_ledger(path, ROWS, LEDGER_MAKE, &one), 0);
	assert_int_equal(open_ledger(path, ROWS, LEDGER_MAKE, &two), 0);
	ledger_claim(&one, key);
	assert_int_equal(ledger_load(&two, key, 1000).active, 1);
	ledger_close(&one);
	ledger_close(&two);
	assert_int_equal(active_in(path), 1);
}

static void nothing_is_made_where_only_an_existing_one_is_wanted(void **state)
{
	char *dir = scratch_dir(), *path = format("%s/ledger", dir);

	(void)state;
	assert_int_equal(try_open(path, LEDGER_EXISTING), -ENOENT);
	assert_int_equal(try_open(path, LEDGER_COPY), -ENOENT);
	assert_int_equal(files_in(dir), 0);
	write_file(path, "hello", 5);
	assert_int_equal(try_open(path, LEDGER_EXISTING), -EBADMSG);
	assert_int_equal(try_open(path, LEDGER_COPY), -EBADMSG);
	assert_int_equal(files_in(dir), 1);
}

static void reading_needs_no_permission_to_write(void **state)
{
	char *dir = scratch_dir(), *path = format("%s/ledger", dir);
	struct ledger ledger;
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(open_ledger(path, ROWS, LEDGER_MAKE, &ledger), 0);
	ledger_claim(&ledger, key);
	ledger_close(&ledger);
	assert_int_equal(open_ledger(path, 10 * ROWS, LEDGER_COPY, &ledger), 0); /* too small, and taken as it is */
	assert_int_equal(ledger_load(&ledger, key, 1000).active, 1);
	ledger_close(&ledger);
	if (geteuid() != 0)
		skip_because("only root can become somebody else");
	assert_int_equal(chmod(dir, 0755), 0);
	assert_int_equal(chmod(path, 0644), 0);
	pid = fork();
	if (pid == 0) {
		if (setuid(STRANGER) < 0 || open_ledger(path, ROWS, LEDGER_COPY, &ledger) < 0)
			_exit(1);
		_exit(ledger_load(&ledger, key, 1000).active == 1 ? 0 : 2);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* ---- replaced ---- */

static void assert_replaced(const char *path)
{
	ino_t before = inode_of(path);
	struct ledger ledger;
	int r = open_ledger(path, ROWS, LEDGER_MAKE, &ledger);

	if (r < 0)
		fail_msg("ledger_open: %s", strerror(-r));
	assert_true(inode_of(path) != before);
	assert_true(ledger.rows >= ROWS);
	ledger_claim(&ledger, key);
	assert_int_equal(ledger_load(&ledger, key, 1000).active, 1);
	ledger_close(&ledger);
}

static void a_damaged_one_of_ours_is_replaced(void **state)
{
	char *path = ledger_path(), *bytes;
	size_t size;

	(void)state;
	assert_int_equal(try_open(path, LEDGER_MAKE), 0);
	bytes = read_file(path, &size);
	for (size_t at = 8; at < 80; at += at < 16 ? 1 : 7) { /* the number of a version, too */
		bytes[at] ^= 0x55;
		write_file(path, bytes, size);
		bytes[at] ^= 0x55;
		assert_replaced(path);
	}
}

static void one_of_ours_that_was_cut_is_replaced(void **state)
{
	static const size_t sizes[] = { 4096, 200, 100, 72, 8, 0 };
	char *path = ledger_path();

	(void)state;
	assert_int_equal(try_open(path, LEDGER_MAKE), 0);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_int_equal(truncate(path, (off_t)sizes[i]), 0);
		assert_replaced(path);
	}
}

static void what_was_never_a_ledger_is_left_alone(void **state)
{
	char *path = ledger_path();
	size_t size;

	(void)state;
	write_file(path, "my dear diary", 13); /* a wrong FAIRDIAL_LEDGER */
	assert_int_equal(try_open(path, LEDGER_MAKE), -EBADMSG);
	assert_string_equal(read_file(path, &size), "my dear diary");
}

static void one_of_another_boot_is_replaced(void **state)
{
	char *path = ledger_path(), *bytes;
	struct ledger_head *head;
	size_t size;

	(void)state;
	assert_int_equal(try_open(path, LEDGER_MAKE), 0);
	bytes = read_file(path, &size);
	head = (struct ledger_head *)(void *)bytes;
	head->boot_id[5] ^= 1;
	head->sum = table_sum(0, head, offsetof(struct ledger_head, sum) / 8);
	write_file(path, bytes, size);
	assert_replaced(path);
}

static void one_of_an_unknown_boot_is_kept(void **state)
{
	char *path = ledger_path(), *bytes;
	struct stat before, after;
	struct ledger_head *head;
	size_t size;

	(void)state;
	assert_int_equal(try_open(path, LEDGER_MAKE), 0);
	bytes = read_file(path, &size);
	head = (struct ledger_head *)(void *)bytes;
	memset(head->boot_id, 0, sizeof(head->boot_id)); /* as a process without /proc makes it */
	head->sum = table_sum(0, head, offsetof(struct ledger_head, sum) / 8);
	write_file(path, bytes, size);
	assert_int_equal(stat(path, &before), 0);
	assert_int_equal(try_open(path, LEDGER_MAKE), 0);
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(after.st_ino, before.st_ino);
}

static void one_that_is_too_small_is_replaced(void **state)
{
	char *dir = scratch_dir(), *path = format("%s/ledger", dir);
	struct ledger small;

	(void)state;
	assert_int_equal(open_ledger(path, 8, LEDGER_MAKE, &small), 0);
	ledger_claim(&small, key);
	assert_replaced(path);
	assert_int_equal(ledger_load(&small, key, 1000).active, 1); /* whoever has it mapped keeps it */
	ledger_close(&small);
	assert_int_equal(files_in(dir), 1);
}

static void another_version_is_left_alone(void **state)
{
	char *path = ledger_path(), *bytes;
	struct ledger_head *head;
	ino_t inode;
	size_t size;

	(void)state;
	assert_int_equal(try_open(path, LEDGER_MAKE), 0);
	bytes = read_file(path, &size);
	head = (struct ledger_head *)(void *)bytes;
	head->major++;
	head->sum = table_sum(0, head, offsetof(struct ledger_head, sum) / 8);
	write_file(path, bytes, size);
	inode = inode_of(path);
	assert_int_equal(try_open(path, LEDGER_MAKE), -EPROTO);
	assert_true(inode_of(path) == inode);
}

/* Programs that run already have it, and would be parted from those that come. */
static void one_of_the_version_before_is_kept(void **state)
{
	char *path = ledger_path();
	struct ledger ledger;
	ino_t inode;

	(void)state;
	open_older_ledger(path, ROWS, &ledger);
	inode = inode_of(path);
	ledger_claim(&ledger, key);
	for (int opening = LEDGER_MAKE; opening <= LEDGER_COPY; opening++)
		assert_int_equal(try_open(path, (enum ledger_opening)opening), 0);
	assert_true(inode_of(path) == inode);
	assert_int_equal(active_in(path), 1);
	ledger_close(&ledger);
}

static void what_others_own_is_not_taken_and_not_replaced(void **state)
{
	char *path = ledger_path();
	struct trust trust = { .euid = geteuid(), .shim_uid = STRANGER };
	struct ledger_options options = { .rows = 10 * ROWS, .cursors = 1, .trust = &trust };
	struct ledger ledger;
	ino_t inode;

	(void)state;
	assert_int_equal(try_open(path, LEDGER_MAKE), 0);
	if (chown(path, STRANGER, (gid_t)-1) < 0)
		skip_because("only root can give files away");
	inode = inode_of(path);
	for (int opening = LEDGER_MAKE; opening <= LEDGER_COPY; opening++)
		assert_int_equal(try_open(path, (enum ledger_opening)opening), -EPERM);
	assert_int_equal(ledger_open(path, &options, &ledger),
			 0); /* the shim's owner may; too small, but not ours to replace */
	ledger_close(&ledger);
	assert_true(inode_of(path) == inode);
	assert_int_equal(truncate(path, 100), 0);
	assert_int_equal(ledger_open(path, &options, &ledger), -EBADMSG);
	assert_true(inode_of(path) == inode);
}

static void what_is_no_file_is_refused(void **state)
{
	char *dir = scratch_dir(), *path = format("%s/ledger", dir);

	(void)state;
	assert_int_equal(symlink("elsewhere", path), 0);
	assert_int_equal(try_open(path, LEDGER_MAKE), -ELOOP);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_true(try_open(path, LEDGER_MAKE) < 0);
	assert_true(try_open(path, LEDGER_COPY) < 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_true(try_open(path, LEDGER_MAKE) < 0);
	assert_int_equal(try_open(format("%s/missing/ledger", dir), LEDGER_MAKE), -ENOENT);
	assert_int_equal(try_open(format("%s/%0280d", dir, 1), LEDGER_MAKE), -ENAMETOOLONG);
	assert_int_equal(files_in(dir), 1);
}

static void a_limit_on_the_size_of_files_kills_nobody(void **state)
{
	struct rlimit small = { 1000, 1000 };
	char *dir = scratch_dir(), *path = format("%s/ledger", dir);
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		struct ledger ledger;

		setrlimit(RLIMIT_FSIZE, &small); /* ulimit -f: what goes beyond it gets SIGXFSZ */
		_exit(open_ledger(path, ROWS, LEDGER_MAKE, &ledger) < 0 && !ledger.base ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(files_in(dir), 0);
	assert_int_equal(try_open(path, LEDGER_MAKE), 0);
}

/* ---- races ---- */

static void wait_for_all(const pid_t *pids)
{
	for (int i = 0; i < RACERS; i++) {
		int status;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
}

/* Twenty processes open it at once, and each claims a place in what it got. */
static void race(const char *path)
{
	pid_t pids[RACERS];
	int gate[2];

	assert_int_equal(pipe(gate), 0);
	for (int i = 0; i < RACERS; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			struct ledger ledger;
			char byte;

			close(gate[1]);
			if (read(gate[0], &byte, 1) != 0)
				_exit(2);
			if (open_ledger(path, ROWS, LEDGER_MAKE, &ledger) < 0)
				_exit(1);
			ledger_claim(&ledger, key);
			_exit(0);
		}
	}
	close(gate[0]);
	close(gate[1]); /* off they go */
	wait_for_all(pids);
}

static void processes_that_race_to_make_it_share_one(void **state)
{
	(void)state;
	for (int round = 0; round < 20; round++) {
		char *dir = scratch_dir(), *path = format("%s/ledger", dir);

		race(path);
		assert_int_equal(active_in(path), RACERS);
		assert_int_equal(files_in(dir), 1);
	}
}

static void processes_that_race_to_replace_it_share_one(void **state)
{
	const uint64_t magic = LEDGER_MAGIC;

	(void)state;
	for (int round = 0; round < 40; round++) {
		char *dir = scratch_dir(), *path = format("%s/ledger", dir);

		write_file(path, &magic, sizeof(magic));
		race(path);
		assert_int_equal(active_in(path), RACERS);
		assert_int_equal(files_in(dir), 1);
	}
}

/* ---- file systems, and kernels, that have less ---- */

static int open_without_room_at_once(void *path)
{
	refuse_call(SYS_fallocate, EOPNOTSUPP);
	return -try_open(path, LEDGER_MAKE);
}

static int open_in_a_full_one(void *path)
{
	refuse_call(SYS_fallocate, EOPNOTSUPP);
	refuse_call(SYS_write, ENOSPC);
	return -try_open(path, LEDGER_MAKE);
}

static int open_without_unnamed_files(void *path)
{
	refuse_call_with(SYS_openat, 2, O_TMPFILE | O_RDWR | O_CLOEXEC, EOPNOTSUPP);
	refuse_call(SYS_getrandom, EAGAIN); /* a temporary name is another one all the same */
	return -try_open(path, LEDGER_MAKE);
}

static int open_without_renames(void *path)
{
	refuse_call(SYS_renameat2, EPERM);
	return -try_open(path, LEDGER_MAKE);
}

static void assert_has_no_holes(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_true((uint64_t)st.st_size >= ROWS * sizeof(struct ledger_row));
	assert_true((uint64_t)st.st_blocks * 512 >= (uint64_t)st.st_size);
}

static void where_room_cannot_be_taken_at_once_it_is_written(void **state)
{
	char *dir = scratch_dir(), *path = format("%s/ledger", dir);

	(void)state;
	assert_int_equal(in_forked_child(open_without_room_at_once, path), 0);
	assert_has_no_holes(path);
	assert_int_equal(try_open(path, LEDGER_EXISTING), 0);
	assert_int_equal(files_in(dir), 1);
}

static void in_a_full_file_system_none_is_made_and_nothing_is_left(void **state)
{
	char *dir = scratch_dir(), *path = format("%s/ledger", dir);

	(void)state;
	assert_int_equal(in_forked_child(open_in_a_full_one, path), ENOENT);
	assert_int_equal(files_in(dir), 0);
}

static void where_a_file_cannot_be_without_a_name_it_has_another_one_first(void **state)
{
	char *dir = scratch_dir(), *path = format("%s/ledger", dir);
	ino_t before;

	(void)state;
	assert_int_equal(in_forked_child(open_without_unnamed_files, path), 0);
	assert_has_no_holes(path);
	assert_int_equal(truncate(path, 100), 0); /* of no use */
	before = inode_of(path);
	assert_int_equal(in_forked_child(open_without_unnamed_files, path), 0);
	assert_int_not_equal(inode_of(path), before);
	assert_has_no_holes(path);
	assert_int_equal(files_in(dir), 1);
}

static void one_that_cannot_be_replaced_stays_and_nothing_is_left(void **state)
{
	char *dir = scratch_dir(), *path = format("%s/ledger", dir);
	ino_t before;

	(void)state;
	write_file(path, "", 0);
	before = inode_of(path);
	assert_int_equal(in_forked_child(open_without_renames, path), EPERM);
	assert_int_equal(inode_of(path), before);
	assert_int_equal(files_in(dir), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_is_made_whole_with_its_mode_and_size),
		TEST(all_who_open_it_share_it),
		TEST(nothing_is_made_where_only_an_existing_one_is_wanted),
		TEST(reading_needs_no_permission_to_write),
		TEST(a_damaged_one_of_ours_is_replaced),
		TEST(one_of_ours_that_was_cut_is_replaced),
		TEST(what_was_never_a_ledger_is_left_alone),
		TEST(one_of_another_boot_is_replaced),
		TEST(one_of_an_unknown_boot_is_kept),
		TEST(one_that_is_too_small_is_replaced),
		TEST(another_version_is_left_alone),
		TEST(one_of_the_version_before_is_kept),
		TEST(what_others_own_is_not_taken_and_not_replaced),
		TEST(what_is_no_file_is_refused),
		TEST(a_limit_on_the_size_of_files_kills_nobody),
		TEST(processes_that_race_to_make_it_share_one),
		TEST(processes_that_race_to_replace_it_share_one),
		TEST(where_room_cannot_be_taken_at_once_it_is_written),
		TEST(in_a_full_file_system_none_is_made_and_nothing_is_left),
		TEST(where_a_file_cannot_be_without_a_name_it_has_another_one_first),
		TEST(one_that_cannot_be_replaced_stays_and_nothing_is_left),
	};

	return RUN_TESTS(tests);
}
