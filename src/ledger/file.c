/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger's file: opened if it may be used, made whole where it is missing. System calls only. */
#include <errno.h>
#include <sys/file.h>

#include "base/bytes.h"
#include "base/host.h"
#include "base/sys.h"
#include "base/text.h"
#include "ledger/ledger.h"

#define PATH_SIZE 288

static uint64_t align_up(uint64_t n, uint64_t to)
{
	return (n + to - 1) / to * to;
}

static bool is_sound(const struct ledger_head *head, size_t size)
{
	return head->file_size == size && head->head_size >= sizeof(*head) &&
	       head->cursor_size >= sizeof(struct ledger_cursor) && head->cursor_size % 64 == 0 &&
	       head->cursor_size <= 4096 && head->row_size >= sizeof(struct ledger_row) && head->row_size % 64 == 0 &&
	       head->row_size <= 4096 && head->cursors_offset >= head->head_size && head->cursors_offset % 64 == 0 &&
	       head->cursors_offset <= size && head->rows_offset <= size && head->rows_offset % 64 == 0 &&
	       head->cursors_offset + (uint64_t)head->cursors * head->cursor_size <= head->rows_offset &&
	       head->rows_offset + (uint64_t)head->rows * head->row_size <= size;
}

int ledger_attach(struct ledger *ret_ledger, void *base, size_t size, const uint8_t boot_id[16])
{
	struct ledger_head head;

	if (size < sizeof(head))
		return -EBADMSG;
	memcpy(&head, base, sizeof(head)); /* once: others can write it while it is being judged */
	if (head.magic != LEDGER_MAGIC)
		return -EBADMSG;
	if (head.major != LEDGER_MAJOR)
		return -EPROTO;
	if (table_sum(0, &head, offsetof(struct ledger_head, sum) / 8) != head.sum || !is_sound(&head, size) ||
	    memcmp(head.boot_id, boot_id, 16) != 0)
		return -EBADMSG;
	*ret_ledger = (struct ledger){ .base = base,
				       .size = size,
				       .cursors_offset = head.cursors_offset,
				       .rows_offset = head.rows_offset,
				       .cursors = head.cursors,
				       .rows = head.rows,
				       .cursor_size = head.cursor_size,
				       .row_size = head.row_size };
	return 0;
}

static int map_file(int fd, size_t size, int prot, const uint8_t boot_id[16], struct ledger *ret_ledger)
{
	void *base = sys_mmap(size, prot, MAP_SHARED, fd);
	int r;

	if (sys_mmap_failed(base))
		return (int)(long)base;
	r = ledger_attach(ret_ledger, base, size, boot_id);
	if (r < 0)
		sys_munmap(base, size);
	return r;
}

/* Something else altogether, which a wrong FAIRDIAL_LEDGER names, is not ours to replace. */
static bool was_ledger(int fd, size_t size)
{
	uint64_t magic = 0;

	return size == 0 || (sys_call(SYS_pread64, fd, (long)&magic, sizeof(magic), 0, 0, 0) == sizeof(magic) &&
			     magic == LEDGER_MAGIC);
}

/* Room on the disk for all of it: a hole in a full file system would kill whoever touches it. */
static int fill(int fd, uint64_t size)
{
	static const char zeros[4096];
	struct {
		uint64_t soft, hard;
	} limit;
	int r;

	/* Beyond RLIMIT_FSIZE the kernel answers with SIGXFSZ, which kills. */
	if (sys_call(SYS_prlimit64, 0, 1 /* RLIMIT_FSIZE */, 0, (long)&limit, 0, 0) == 0 && limit.soft < size)
		return -EFBIG;
	do {
		r = sys_fallocate(fd, 0, (int64_t)size);
	} while (r == -EINTR); /* tmpfs gives up when a signal is waiting */
	if (r != -EOPNOTSUPP)
		return r;
	for (uint64_t done = 0; done < size;) {
		uint64_t left = size - done;
		long n = sys_write(fd, zeros, left < sizeof(zeros) ? left : sizeof(zeros));

		if (n <= 0)
			return n < 0 ? (int)n : -ENOSPC;
		done += (uint64_t)n;
	}
	return 0;
}

__attribute__((noinline)) /* its head need not lie on the stack beside make's path */
static int write_head(int fd, const struct ledger_options *options, const uint8_t boot_id[16])
{
	struct ledger_head head;

	memset(&head, 0, sizeof(head));
	head.magic = LEDGER_MAGIC;
	head.major = LEDGER_MAJOR;
	head.minor = LEDGER_MINOR;
	head.head_size = sizeof(head);
	memcpy(head.boot_id, boot_id, 16);
	head.cursors = options->cursors;
	head.rows = options->rows;
	head.cursor_size = sizeof(struct ledger_cursor);
	head.row_size = sizeof(struct ledger_row);
	head.cursors_offset = align_up(sizeof(head), 64);
	head.rows_offset = align_up(head.cursors_offset + (uint64_t)head.cursors * head.cursor_size, 128);
	head.file_size = head.rows_offset + (uint64_t)head.rows * head.row_size;
	head.sum = table_sum(0, &head, offsetof(struct ledger_head, sum) / 8);

	int r = fill(fd, head.file_size);

	if (r == 0)
		r = (int)sys_call(SYS_pwrite64, fd, (long)&head, sizeof(head), 0, 0, 0);
	return r < 0 ? r : 0;
}

static int temporary_name(const char *path, char *buf)
{
	struct text text = text_into(buf, PATH_SIZE);
	uint64_t random = 0;

	if (sys_getrandom(&random, sizeof(random)) != sizeof(random))
		random = (uint64_t)(uintptr_t)&text ^ (uint64_t)sys_getpid() << 40;
	text_add(&text, path);
	text_add(&text, ".");
	text_add_number(&text, random, 16);
	return text.full ? -ENAMETOOLONG : 0;
}

/* A file without a name in the folder of `path`: whoever is killed before it has one leaves nothing behind. */
__attribute__((noinline)) /* no two paths lie on the stack at once; likewise below */
static int open_unnamed(const char *path)
{
	char dir[PATH_SIZE];
	struct text text = text_into(dir, sizeof(dir));
	struct slice before = { path, 0 };

	for (size_t i = 0; path[i]; i++)
		if (path[i] == '/')
			before.len = i + 1;
	text_add_slice(&text, before);
	text_add(&text, ".");
	return text.full ? -ENAMETOOLONG : sys_openat(AT_FDCWD, dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

/* By its descriptor, which not everybody may do (linkat(2)), else by the name that /proc has for it. */
static int name_unnamed(int fd, const char *path)
{
	char name[40];
	struct text text = text_into(name, sizeof(name));
	int r = sys_linkat(fd, "", path, AT_EMPTY_PATH);

	if (r == 0 || r == -EEXIST)
		return r;
	text_add(&text, "/proc/self/fd/");
	text_add_number(&text, (uint64_t)fd, 10);
	return sys_linkat(AT_FDCWD, name, path, AT_SYMLINK_FOLLOW);
}

static int write_whole(int fd, const struct ledger_options *options, const uint8_t boot_id[16])
{
	int r = write_head(fd, options, boot_id);

	return r < 0 ? r : sys_fchmod(fd, options->mode);
}

/* -EOPNOTSUPP where a file cannot be without a name, or cannot be given one. */
static int make_unnamed(const char *path, const struct ledger_options *options, const uint8_t boot_id[16])
{
	int fd = open_unnamed(path), r;

	if (fd < 0)
		return -EOPNOTSUPP;
	r = write_whole(fd, options, boot_id);
	if (r == 0) {
		r = name_unnamed(fd, path);
		r = r == 0 || r == -EEXIST ? r : -EOPNOTSUPP;
	}
	sys_close(fd);
	return r;
}

__attribute__((noinline))
static int make_named(const char *path, const struct ledger_options *options, const uint8_t boot_id[16], bool replace)
{
	char temporary[PATH_SIZE];
	int fd, r = temporary_name(path, temporary);

	if (r < 0)
		return r;
	fd = sys_openat(AT_FDCWD, temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return fd;
	r = write_whole(fd, options, boot_id);
	sys_close(fd);
	if (r == 0 && replace)
		r = sys_rename(temporary, path);
	else if (r == 0)
		r = sys_linkat(AT_FDCWD, temporary, path, 0);
	if (r < 0 || !replace)
		sys_unlink(temporary);
	return r;
}

/*
 * Whole before it has its name, so that nobody ever maps a part of it. Only a rename puts it in the place of another, for
 * which it needs a name before: there, one that is killed may leave a file behind.
 */
static int make(const char *path, const struct ledger_options *options, const uint8_t boot_id[16], bool replace)
{
	int r = replace ? -EOPNOTSUPP : make_unnamed(path, options, boot_id);

	if (r == -EOPNOTSUPP)
		r = make_named(path, options, boot_id, replace);
	return r == -EEXIST ? 0 : r; /* another process was first, and its file is as good */
}

/*
 * Puts a new file in the place of one that is of no use, which `fd` holds. One process does, and those that come at the same
 * moment take its file: who replaced it later would part from the others. The lock is for that moment only, nobody waits
 * long for it, and it ends with its holder.
 */
static int replace(const char *path, int fd, const struct stat *bad, const struct ledger_options *options,
		   const uint8_t boot_id[16])
{
	const struct file_id id = { bad->st_dev, bad->st_ino };
	int r = -EAGAIN;

	for (int i = 0; i < 50 && r == -EAGAIN; i++) {
		r = (int)sys_call(SYS_flock, fd, LOCK_EX | LOCK_NB, 0, 0, 0, 0);
		if (r == -EAGAIN)
			sys_poll(NULL, 0, 1);
	}
	if (r == 0 && file_is_current(path, &id))
		r = make(path, options, boot_id, true);
	return r < 0 ? r : -EAGAIN;
}

/* -EAGAIN: there is another file by now, to be opened instead. */
static int open_existing(const char *path, const struct ledger_options *options, const uint8_t boot_id[16],
			 struct ledger *ret_ledger)
{
	struct stat st;
	bool mine, reads = options->opening == LEDGER_READ;
	int prot = reads ? PROT_READ : PROT_READ | PROT_WRITE;
	int r, fd;

	fd = sys_openat(AT_FDCWD, path, (reads ? O_RDONLY : O_RDWR) | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);

	if (fd < 0)
		return fd;
	r = sys_fstat(fd, &st);
	if (r < 0)
		goto out;
	mine = st.st_uid == options->trust->euid;
	r = -EPERM;
	if (!S_ISREG(st.st_mode) || !(mine || st.st_uid == 0 || st.st_uid == options->trust->shim_uid))
		goto out;
	if ((uint64_t)st.st_size < sizeof(struct ledger_head))
		r = -EBADMSG;
	else
		r = map_file(fd, (size_t)st.st_size, prot, boot_id, ret_ledger);
	if (r == 0)
		ret_ledger->id = (struct file_id){ st.st_dev, st.st_ino };
	if (options->opening != LEDGER_MAKE)
		goto out;
	if (r == 0 && mine && (ret_ledger->rows < options->rows || ret_ledger->cursors < options->cursors)) {
		ledger_close(ret_ledger);
		r = -EUCLEAN;
	} else if (r == -EBADMSG && mine && was_ledger(fd, (size_t)st.st_size)) {
		r = -EUCLEAN;
	}
	if (r == -EUCLEAN)
		r = replace(path, fd, &st, options, boot_id);
out:
	sys_close(fd);
	return r;
}

int ledger_open(const char *path, const struct ledger_options *options, struct ledger *ret_ledger)
{
	uint8_t boot_id[16];
	int r;

	ret_ledger->base = NULL;
	host_boot_id(boot_id);
	for (int i = 0; i < 4; i++) {
		r = open_existing(path, options, boot_id, ret_ledger);
		if (r == -ENOENT && options->opening == LEDGER_MAKE)
			r = make(path, options, boot_id, false) < 0 ? -ENOENT : -EAGAIN;
		if (r != -EAGAIN)
			break;
	}
	return r;
}

void ledger_close(struct ledger *ledger)
{
	if (ledger->base)
		sys_munmap(ledger->base, ledger->size);
	ledger->base = NULL;
}
