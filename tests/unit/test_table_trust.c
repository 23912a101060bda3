/* SPDX-License-Identifier: Apache-2.0 */
/* Whose tables are believed, what stands in their place, who may write a directory, and a file system that is full. */
#include "support/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"
#include "support/table_builder.h"

enum { SOMEBODY = 12345, THE_SHIMS_OWNER = 12346 };

static int map(const char *dir)
{
	struct trust trust = { .euid = geteuid(), .shim_uid = geteuid() };
	struct table table;
	int r = table_map(dir, &trust, &table, NULL);

	if (r == 0)
		table_unmap(&table);
	return r;
}

static char *published(void)
{
	char *dir = scratch_dir();

	publish_alone(dir, builder_web("10.0.0.1:80"));
	return dir;
}

/* ---- owners and modes ---- */

static struct stat status(unsigned mode, unsigned uid)
{
	return (struct stat){ .st_mode = mode, .st_uid = uid };
}

static void files_of_root_the_user_and_the_shims_owner_are_trusted(void **state)
{
	struct trust trust = { .euid = SOMEBODY, .shim_uid = THE_SHIMS_OWNER };
	struct stat root = status(S_IFREG | 0644, 0), mine = status(S_IFREG | 0644, SOMEBODY);
	struct stat shims = status(S_IFREG | 0644, THE_SHIMS_OWNER), other = status(S_IFREG | 0644, 777);

	(void)state;
	assert_true(trust_file(&trust, &root));
	assert_true(trust_file(&trust, &mine));
	assert_true(trust_file(&trust, &shims));
	assert_false(trust_file(&trust, &other));
}

static void files_that_others_can_write_are_not_trusted(void **state)
{
	struct trust trust = { .euid = SOMEBODY, .shim_uid = SOMEBODY };

	(void)state;
	for (unsigned mode = 0; mode <= 07777; mode++) {
		struct stat st = status(S_IFREG | mode, 0);

		assert_int_equal(trust_file(&trust, &st), !(mode & 022));
	}
}

static void only_regular_files_are_trusted(void **state)
{
	static const unsigned kinds[] = { S_IFIFO, S_IFDIR, S_IFLNK, S_IFSOCK, S_IFCHR, S_IFBLK };
	struct trust trust = { .euid = 0, .shim_uid = 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct stat st = status(kinds[i] | 0644, 0);

		assert_false(trust_file(&trust, &st));
	}
}

static void directories_that_others_can_change_are_not_trusted_unless_sticky(void **state)
{
	struct trust trust = { .euid = SOMEBODY, .shim_uid = SOMEBODY };

	(void)state;
	for (unsigned mode = 0; mode <= 07777; mode++) {
		struct stat dir = status(S_IFDIR | mode, 0), other = status(S_IFDIR | mode, 777);

		assert_int_equal(trust_directory(&trust, &dir), !(mode & 022) || (mode & 01000));
		assert_false(trust_directory(&trust, &other));
	}
}

static void a_table_is_mapped_only_where_file_and_directory_are_trusted(void **state)
{
	char *dir = published(), *path = format("%s/table", dir);

	(void)state;
	assert_int_equal(map(dir), 0);
	assert_int_equal(chmod(path, 0664), 0);
	assert_int_equal(map(dir), -EPERM);
	assert_int_equal(chmod(path, 0646), 0);
	assert_int_equal(map(dir), -EPERM);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(map(dir), 0);
	assert_int_equal(chmod(dir, 0777), 0);
	assert_int_equal(map(dir), -EPERM);
	assert_int_equal(chmod(dir, 01777), 0);
	assert_int_equal(map(dir), 0);
	assert_int_equal(chmod(dir, 0700), 0);
}

static void another_users_table_is_refused(void **state)
{
	char *dir = published(), *path = format("%s/table", dir);
	struct trust trust = { .euid = geteuid(), .shim_uid = SOMEBODY };
	struct table table;

	(void)state;
	if (chown(path, SOMEBODY, (gid_t)-1) < 0)
		skip_because("only root can give files away");
	assert_int_equal(map(dir), -EPERM);
	assert_int_equal(table_map(dir, &trust, &table, NULL), 0); /* unless the shim is his */
	table_unmap(&table);
	assert_int_equal(chown(path, 0, (gid_t)-1), 0);
	assert_int_equal(map(dir), 0);
	assert_int_equal(chown(dir, SOMEBODY, (gid_t)-1), 0);
	assert_int_equal(map(dir), -EPERM);
}

static void what_is_no_file_is_refused_at_once(void **state)
{
	char *dir = published(), *path = format("%s/table", dir), *other = format("%s/other", dir);

	(void)state;
	assert_int_equal(map(format("%s/missing", dir)), -ENOENT);
	assert_int_equal(map(path), -ENOTDIR);
	assert_int_equal(rename(path, other), 0);
	assert_int_equal(map(dir), -ENOENT);
	assert_int_equal(symlink(other, path), 0);
	assert_int_equal(map(dir), -ELOOP);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0644), 0);
	assert_int_equal(map(dir), -EPERM); /* without waiting for its writer */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_true(map(dir) < 0);
}

static void a_directory_that_is_a_link_is_followed_only_where_it_may_be(void **state)
{
	struct trust trust = { .euid = geteuid(), .shim_uid = geteuid() };
	char *dir = published(), *link = format("%s/link", scratch_dir());
	struct table table;

	(void)state;
	assert_int_equal(symlink(dir, link), 0);
	assert_int_equal(table_map(link, &trust, &table, NULL), 0);
	table_unmap(&table);
	trust.no_link = true;
	assert_true(table_map(link, &trust, &table, NULL) < 0);
	assert_int_equal(table_map(dir, &trust, &table, NULL), 0);
	table_unmap(&table);
}

static void the_mapped_file_is_told_from_a_later_one(void **state)
{
	char *dir = published(), *path = format("%s/table", dir);
	struct trust trust = { .euid = geteuid(), .shim_uid = geteuid() };
	struct file_id id;
	struct table table;

	(void)state;
	assert_int_equal(table_map(dir, &trust, &table, &id), 0);
	assert_true(file_is_current(path, &id));
	assert_int_equal(rename(path, format("%s/old", dir)), 0);
	assert_false(file_is_current(path, &id));
	publish_alone(dir, builder_web("10.0.0.2:80"));
	assert_false(file_is_current(path, &id));
	table_unmap(&table);
	table_unmap(&table); /* twice does no harm */
}

/* ---- the writer's side ---- */

static int try_writer(const char *dir, struct report *why)
{
	struct writer_options options = { .is_static = true };
	struct table_writer *writer;
	int r = writer_open(dir, &options, &writer, why);

	if (r == 0)
		writer_close(writer);
	return r;
}

static void a_second_writer_is_told_that_the_directory_is_busy(void **state)
{
	char *dir = scratch_dir();
	struct table_writer *writer = open_writer(dir);
	struct report why = { "" };

	(void)state;
	assert_int_equal(try_writer(dir, &why), -EBUSY);
	assert_non_null(strstr(why.text, dir));
	publish(writer, builder_web("10.0.0.1:80"));
	assert_int_equal(try_writer(dir, &why), -EBUSY);
	close_writer(writer);
	assert_int_equal(try_writer(dir, &why), 0);
}

/* Whether /proc/locks has it among those that wait: "1: -> FLOCK  ADVISORY  WRITE PID ...". */
static bool waits_for_lock(pid_t pid)
{
	FILE *file = fopen("/proc/locks", "re");
	char line[256];
	bool waits = false;
	int who;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "%*d: -> FLOCK %*s %*s %d", &who) == 1 && who == pid)
			waits = true;
	if (file)
		fclose(file);
	return waits;
}

static void a_patient_writer_follows_when_the_first_one_goes(void **state)
{
	char *dir = scratch_dir();
	struct table_writer *writer = open_writer(dir);
	int status_of;
	pid_t pid;

	(void)state;
	publish(writer, builder_web("10.0.0.1:80"));
	pid = fork();
	if (pid == 0) {
		struct writer_options options = { .is_static = true, .wait = true };
		struct report why;
		int r;

		close_writer(writer); /* the lock is on a description that both share */
		r = writer_open(dir, &options, &writer, &why);
		if (r == 0)
			r = writer_publish(writer, &builder_web("10.0.0.2:80")->spec, &why);
		_exit(r == 0 ? 0 : 1);
	}
	publish(writer, builder_web("10.0.0.3:80"));
	close_writer(writer);
	assert_int_equal(waitpid(pid, &status_of, 0), pid);
	assert_int_equal(status_of, 0);
	assert_int_equal(generation_of(map_table(dir)), 3);
}

static void take_signal(int signal)
{
	(void)signal;
}

static void a_writer_that_waits_is_stopped_by_a_signal(void **state)
{
	char *dir = scratch_dir();
	struct table_writer *writer = open_writer(dir);
	long limit = now_ms() + 20000;
	int ended = 0;
	pid_t pid;

	(void)state;
	publish(writer, builder_web("10.0.0.1:80"));
	pid = fork();
	if (pid == 0) {
		struct writer_options options = { .wait = true };
		struct sigaction action = { .sa_handler = take_signal };
		struct report why = { "" };
		int r;

		sigaction(SIGTERM, &action, NULL);
		r = writer_open(dir, &options, &writer, &why);
		_exit(r == -EINTR && strstr(why.text, "interrupted") ? 42 : 1);
	}
	/* Not before it waits: then it has its handler. */
	while (waitpid(pid, &ended, WNOHANG) == 0 && now_ms() < limit) {
		if (waits_for_lock(pid))
			kill(pid, SIGTERM);
		sched_yield();
	}
	assert_true(WIFEXITED(ended));
	assert_int_equal(WEXITSTATUS(ended), 42);
	publish(writer, builder_web("10.0.0.2:80"));
}

/* Publishes, and stays until it is killed. */
static pid_t start_first_writer(const char *dir, const struct table_builder *b)
{
	char byte = 0;
	int ends[2];
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		struct writer_options options = { .is_static = false };
		struct table_writer *writer;
		struct report why;

		if (writer_open(dir, &options, &writer, &why) < 0 || writer_publish(writer, &b->spec, &why) < 0 ||
		    write(ends[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ends[1]);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	close(ends[0]);
	return pid;
}

static void a_patient_writer_continues_at_once_what_a_killed_one_had(void **state)
{
	struct table_builder *b = builder_web("10.0.0.1:80 10.0.0.2:80");
	struct writer_options options = { .wait = true };
	struct addr addr = addr_of("10.0.0.2:80");
	char *dir = scratch_dir();
	pid_t first = start_first_writer(dir, b), killer, self = getpid();
	struct table *table = map_table(dir);
	struct table_endpoint row = endpoint_at(table, "10.96.0.1:80", "10.0.0.2:80");
	uint64_t heartbeat = table_head(table)->heartbeat_ms;
	struct table_writer *writer;
	uint32_t slot, tag;

	(void)state;
	killer = fork();
	if (killer == 0) {
		for (long limit = now_ms() + 20000; !waits_for_lock(self) && now_ms() < limit;)
			sched_yield();
		kill(first, SIGKILL);
		_exit(0);
	}
	writer = open_writer_with(dir, &options);
	assert_int_equal(waitpid(killer, NULL, 0), killer);
	assert_int_equal(waitpid(first, NULL, 0), first);
	while (table_head(table)->heartbeat_ms == heartbeat) /* before anything is published */
		writer_heartbeat(writer);
	assert_true(writer_find_row(writer, &addr, &slot, &tag));
	assert_int_equal(slot, row.slot);
	assert_int_equal(tag, row.tag);
	assert_int_equal(generation_of(table), 1);
	publish(writer, builder_web("10.0.0.2:80 10.0.0.3:80"));
	assert_int_equal(generation_of(table), 2); /* in the file that was mapped before */
	assert_int_equal(endpoint_at(table, "10.96.0.1:80", "10.0.0.2:80").slot, row.slot);
	assert_int_equal(table_head(table)->retired, 0);
	assert_whole(table);
}

static void a_writer_refuses_what_no_reader_would_trust(void **state)
{
	char *dir = published(), *path = format("%s/table", dir);
	struct report why = { "" };

	(void)state;
	assert_int_equal(chmod(dir, 0777), 0);
	assert_int_equal(try_writer(dir, &why), -EPERM);
	assert_int_equal(chmod(dir, 0755), 0);
	assert_int_equal(chmod(path, 0666), 0);
	assert_int_equal(try_writer(dir, &why), -EPERM);
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(rename(path, format("%s/other", dir)), 0);
	assert_int_equal(symlink("other", path), 0);
	assert_true(try_writer(dir, &why) < 0);
	assert_non_null(strstr(why.text, dir));
}

static void a_missing_directory_is_made(void **state)
{
	char *dir = format("%s/run", scratch_dir());
	struct report why = { "" };
	struct stat st;

	(void)state;
	publish_alone(dir, builder_web("10.0.0.1:80"));
	assert_int_equal(map(dir), 0);
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 022, 0);
	assert_int_equal(try_writer(format("%s/table", dir), &why), -ENOTDIR);
	assert_int_equal(try_writer(format("%s/not/there", dir), &why), -ENOENT);
	assert_int_equal(try_writer(format("/%05000d", 1), &why), -ENAMETOOLONG);
}

static void the_table_has_the_mode_that_was_asked_for(void **state)
{
	struct writer_options options = { .is_static = true, .file_mode = 0600 };
	char *dir = scratch_dir(), *path = format("%s/table", dir);
	struct table_writer *writer;
	struct report why;
	struct stat st;
	mode_t before = umask(077);

	(void)state;
	assert_int_equal(writer_open(dir, &options, &writer, &why), 0);
	assert_int_equal(writer_publish(writer, &builder_web("10.0.0.1:80")->spec, &why), 0);
	writer_close(writer);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(unlink(path), 0);
	publish_alone(dir, builder_web("10.0.0.1:80"));
	umask(before);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_true((uint64_t)st.st_blocks * 512 >= (uint64_t)st.st_size); /* no holes */
}

static void heartbeats_count_only_where_an_agent_lives(void **state)
{
	struct writer_options options = { .is_static = false };
	struct table_builder *b = builder_web("10.0.0.1:80");
	char *dir = scratch_dir();
	struct table_writer *writer;
	struct table *table;
	struct report why;
	uint64_t first;

	(void)state;
	assert_int_equal(writer_open(dir, &options, &writer, &why), 0);
	writer_heartbeat(writer); /* before anything is published */
	assert_int_equal(writer_publish(writer, &b->spec, &why), 0);
	table = map_table(dir);
	assert_int_equal(table_head(table)->flags & TABLE_STATIC, 0);
	first = table_head(table)->heartbeat_ms;
	assert_true(first > 0);
	while (table_head(table)->heartbeat_ms == first)
		writer_heartbeat(writer);
	assert_true(table_head(table)->heartbeat_ms > first);
	writer_close(writer);
	publish_alone(dir, b); /* a static one now: those who hold the old file are told */
	assert_true(table_head(table)->retired != 0);
	assert_true(table_head(map_table(dir))->flags & TABLE_STATIC);
}

/* ---- a full file system ---- */

static int own_namespace = -1;

static void leave_mount(void *dir)
{
	umount2(dir, MNT_DETACH);
	setns(own_namespace, CLONE_NEWNS);
	close(own_namespace);
}

static void mount_small(char *dir, const char *size)
{
	own_namespace = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (own_namespace < 0 || unshare(CLONE_NEWNS) < 0)
		skip_because("no mount namespace of its own");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 || mount("test", dir, "tmpfs", 0, size) < 0) {
		setns(own_namespace, CLONE_NEWNS);
		skip_because("cannot mount a tmpfs");
	}
	after_test(leave_mount, dir);
}

static void a_full_file_system_leaves_the_published_table(void **state)
{
	struct table_builder *small = builder_web("10.0.0.1:80"), *large = builder_web("");
	char *dir = scratch_dir(), *expected, *now;
	struct table_writer *writer;
	struct report why = { "" };
	struct table *table;

	(void)state;
	mount_small(dir, "size=200k,mode=0755");
	for (unsigned i = 0; i < 20000; i++) {
		struct addr addr = addr_of(format("10.2.%u.%u:80", i >> 8, i & 255));

		builder_endpoint(&large->spec.services[0].ports[0], &addr, 1);
	}
	writer = open_writer(dir);
	publish(writer, small);
	table = map_table(dir);
	expected = port_answers(table, &small->spec);
	for (int i = 0; i < 5; i++)
		assert_int_equal(writer_publish(writer, &large->spec, &why), -ENOSPC);
	assert_non_null(strstr(why.text, dir));
	assert_int_equal(files_in(dir), 1);
	assert_whole(table);
	assert_int_equal(table_head(table)->retired, 0);
	now = port_answers(map_table(dir), &small->spec);
	assert_string_equal(now, expected);
	free(now);
	free(expected);
	publish(writer, builder_web("10.0.0.9:80"));
	assert_whole(table);
	assert_int_equal(generation_of(table), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(files_of_root_the_user_and_the_shims_owner_are_trusted),
		TEST(files_that_others_can_write_are_not_trusted),
		TEST(only_regular_files_are_trusted),
		TEST(directories_that_others_can_change_are_not_trusted_unless_sticky),
		TEST(a_table_is_mapped_only_where_file_and_directory_are_trusted),
		TEST(another_users_table_is_refused),
		TEST(what_is_no_file_is_refused_at_once),
		TEST(a_directory_that_is_a_link_is_followed_only_where_it_may_be),
		TEST(the_mapped_file_is_told_from_a_later_one),
		TEST(a_second_writer_is_told_that_the_directory_is_busy),
		TEST(a_patient_writer_follows_when_the_first_one_goes),
		TEST(a_writer_that_waits_is_stopped_by_a_signal),
		TEST(a_patient_writer_continues_at_once_what_a_killed_one_had),
		TEST(a_writer_refuses_what_no_reader_would_trust),
		TEST(a_missing_directory_is_made),
		TEST(the_table_has_the_mode_that_was_asked_for),
		TEST(heartbeats_count_only_where_an_agent_lives),
		TEST(a_full_file_system_leaves_the_published_table),
	};

	return RUN_TESTS(tests);
}
