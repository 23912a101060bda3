/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger's file: opened if it may be used, made whole where it is missing. System calls only. */
#include <errno.h>
#include <sys/file.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/host.h"
#include "base/scratch.h"
#include "base/sys.h"
#include "base/text.h"
#include "ledger/ledger.h"

#define PATH_SIZE     288
#define BOOT_SLACK_MS 86400000u

/* What opening takes: too much for the stack of a hook. */
struct opening {
	const char *path;
	const struct ledger_options *options;
	uint8_t boot_id[16];
	struct stat st;
	struct ledger_head head; /* of a new one */
	char temporary[PATH_SIZE];
};

static uint64_t align_up(uint64_t n, uint64_t to)
{
	return (n + to - 1) / to * to;
}

static bool is_sound(const struct ledger_head *head, size_t size)
{
	return head->file_size == size && head->head_size >= sizeof(*head) &&
	       head->cursor_size >= LEDGER_CURSOR_LEAST && head->cursor_size % 64 == 0 &&
	       head->cursor_size <= 4096 && head->row_size >= sizeof(struct ledger_row) && head->row_size % 64 == 0 &&
	       head->row_size <= 4096 && head->cursors_offset >= head->head_size && head->cursors_offset % 64 == 0 &&
	       head->cursors_offset <= size && head->rows_offset <= size && head->rows_offset % 64 == 0 &&
	       head->cursors_offset + (uint64_t)head->cursors * head->cursor_size <= head->rows_offset &&
	       head->rows_offset + (uint64_t)head->rows * head->row_size <= size;
}

/*
 * Whoever cannot tell the boot, because there is no /proc, takes any ledger, and everybody takes his: to make it anew would part
 * the processes of a pod. That it is not older than the boot, open_existing sees.
 */
static bool boots_match(const uint8_t a[16], const uint8_t b[16])
{
	static const uint8_t unknown[16];

	return memcmp(a, b, 16) == 0 || memcmp(a, unknown, 16) == 0 || memcmp(b, unknown, 16) == 0;
}

int ledger_attach(struct ledger *ret_ledger, void *base, size_t size, const uint8_t boot_id[16])
{
	struct ledger_head head;

	if (size < sizeof(head))
		return -EBADMSG;
	memcpy(&head, base, sizeof(head)); /* once: others can write it while it is being judged */
	if (head.magic != LEDGER_MAGIC || table_sum(0, &head, offsetof(struct ledger_head, sum) / 8) != head.sum)
		return -EBADMSG;
	if (head.major != LEDGER_MAJOR)
		return -EPROTO;
	if (!is_sound(&head, size) || !boots_match(head.boot_id, boot_id))
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

static int map_file(int fd, size_t size, int flags, const uint8_t boot_id[16], struct ledger *ret_ledger)
{
	void *base = sys_mmap(size, PROT_READ | PROT_WRITE, flags, fd);
	int r;

	if (sys_mmap_failed(base))
		return -ENOMEM; /* not -EAGAIN, which means another file */
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
	int r = -EINTR;

	/* Beyond RLIMIT_FSIZE the kernel answers with SIGXFSZ, which kills. */
	if (sys_call(SYS_prlimit64, 0, 1 /* RLIMIT_FSIZE */, 0, (long)&limit, 0, 0) == 0 && limit.soft < size)
		return -EFBIG;
	/* tmpfs gives up, and begins anew, when a signal is waiting: a program's timer may be faster than that. */
	for (int i = 0; i < 16 && r == -EINTR; i++)
		r = sys_fallocate(fd, 0, (int64_t)size);
	if (r != -EOPNOTSUPP && r != -ENOSYS && r != -EINTR)
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

static void write_head_of(const struct opening *o, struct ledger_head *head)
{
	memset(head, 0, sizeof(*head));
	head->magic = LEDGER_MAGIC;
	head->major = LEDGER_MAJOR;
	head->minor = LEDGER_MINOR;
	head->head_size = sizeof(*head);
	memcpy(head->boot_id, o->boot_id, 16);
	head->cursors = o->options->cursors;
	head->rows = o->options->rows;
	head->cursor_size = sizeof(struct ledger_cursor);
	head->row_size = sizeof(struct ledger_row);
	head->cursors_offset = align_up(sizeof(*head), 64);
	head->rows_offset = align_up(head->cursors_offset + (uint64_t)head->cursors * head->cursor_size, 128);
	head->file_size = head->rows_offset + (uint64_t)head->rows * head->row_size;
	head->sum = table_sum(0, head, offsetof(struct ledger_head, sum) / 8);
}

static int write_whole(struct opening *o, int fd)
{
	long r;

	write_head_of(o, &o->head);
	r = fill(fd, o->head.file_size);
	if (r == 0)
		r = sys_call(SYS_pwrite64, fd, (long)&o->head, sizeof(o->head), 0, 0, 0);
	return r < 0 ? (int)r : sys_fchmod(fd, o->options->mode);
}

static int name_temporary(struct opening *o)
{
	struct text text = text_into(o->temporary, sizeof(o->temporary));
	uint64_t random = 0;

	if (sys_getrandom(&random, sizeof(random)) != sizeof(random))
		random = (uint64_t)(uintptr_t)&text ^ (uint64_t)sys_getpid() << 40;
	text_add(&text, o->path);
	text_add(&text, ".");
	text_add_number(&text, random, 16);
	return text.full ? -ENAMETOOLONG : 0;
}

/* A file without a name in the folder that `path` is in: whoever is killed before it has one leaves nothing behind. */
static int open_unnamed(struct opening *o)
{
	struct text dir = text_into(o->temporary, sizeof(o->temporary));
	struct slice before = { o->path, 0 };

	for (size_t i = 0; o->path[i]; i++)
		if (o->path[i] == '/')
			before.len = i + 1;
	text_add_slice(&dir, before);
	text_add(&dir, ".");
	return dir.full ? -ENAMETOOLONG : sys_openat(AT_FDCWD, o->temporary, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

/* By its descriptor, which not everybody may do (linkat(2)), else by the name that /proc has for it. */
static int name_unnamed(int fd, const char *name)
{
	char proc[32];
	struct text text = text_into(proc, sizeof(proc));
	int r = sys_linkat(fd, "", name, AT_EMPTY_PATH);

	if (r == 0 || r == -EEXIST)
		return r;
	text_add(&text, "/proc/self/fd/");
	text_add_number(&text, (uint64_t)fd, 10);
	return sys_linkat(AT_FDCWD, proc, name, AT_SYMLINK_FOLLOW);
}

/* Only a rename puts it in the place of another, for which it needs a name before, and has one no longer than that takes. */
static int put_in_place(struct opening *o, int fd)
{
	int r = name_temporary(o);

	if (r == 0)
		r = name_unnamed(fd, o->temporary);
	if (r < 0)
		return r;
	r = sys_rename(o->temporary, o->path);
	if (r < 0)
		sys_unlink(o->temporary);
	return r;
}

/* -EOPNOTSUPP where a file cannot be without a name, or cannot be given one. */
static int make_unnamed(struct opening *o, bool replace)
{
	int fd = open_unnamed(o), r;

	if (fd < 0)
		return -EOPNOTSUPP;
	r = write_whole(o, fd);
	if (r == 0) {
		r = replace ? put_in_place(o, fd) : name_unnamed(fd, o->path);
		r = r == 0 || (r == -EEXIST && !replace) ? r : -EOPNOTSUPP;
	}
	sys_close(fd);
	return r;
}

static int make_named(struct opening *o, bool replace)
{
	int fd, r = name_temporary(o);

	if (r < 0)
		return r;
	fd = sys_openat(AT_FDCWD, o->temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return fd;
	r = write_whole(o, fd);
	sys_close(fd);
	if (r == 0 && replace)
		r = sys_rename(o->temporary, o->path);
	else if (r == 0)
		r = sys_linkat(AT_FDCWD, o->temporary, o->path, 0);
	if (r < 0 || !replace)
		sys_unlink(o->temporary);
	return r;
}

/*
 * Whole before it has its name, so that nobody ever maps a part of it. Where it has a temporary name first, one that is killed
 * may leave a file behind.
 */
static int make(struct opening *o, bool replace)
{
	int r = make_unnamed(o, replace);

	if (r == -EOPNOTSUPP)
		r = make_named(o, replace);
	return r == -EEXIST ? 0 : r; /* another process was first, and its file is as good */
}

/*
 * Puts a new file in the place of one that is of no use, which `fd` holds. One process does, and those that come at the same
 * moment take its file: who replaced it later would part from the others. The lock is for that moment only, nobody waits
 * long for it, and it ends with its holder.
 */
static int replace(struct opening *o, int fd)
{
	const struct file_id id = { o->st.st_dev, o->st.st_ino };
	int r = -EAGAIN;

	for (int i = 0; i < 50 && r == -EAGAIN; i++) {
		r = (int)sys_call(SYS_flock, fd, LOCK_EX | LOCK_NB, 0, 0, 0, 0);
		if (r == -EAGAIN)
			sys_poll(NULL, 0, 1);
	}
	if (r == -EAGAIN) /* its holder has stopped: without a ledger for now */
		return -EBUSY;
	if (r == 0 && file_is_current(o->path, &id))
		r = make(o, true);
	return r < 0 ? r : -EAGAIN;
}

/*
 * Where one side does not know the boot: a file that was last touched before it is of an earlier one. Its times are of the wall
 * clock, which may have been set since by as much as a day.
 */
static bool is_of_this_boot(const struct opening *o, const struct ledger *ledger)
{
	static const uint8_t unknown[16];
	const struct ledger_head *head = (const struct ledger_head *)ledger->base;

	if (memcmp(o->boot_id, unknown, 16) != 0 && memcmp(head->boot_id, unknown, 16) != 0)
		return true;
	return (uint64_t)o->st.st_ctim.tv_sec * 1000 + BOOT_SLACK_MS >= clock_wall_ms() - clock_boot_ms();
}

/* What there is, and whether it is to be replaced: -EUCLEAN. `mine`: by us. */
static int map_existing(struct opening *o, int fd, bool mine, struct ledger *ret_ledger)
{
	int flags = o->options->opening == LEDGER_COPY ? MAP_PRIVATE : MAP_SHARED;
	size_t size = (size_t)o->st.st_size;
	int r = -EBADMSG;

	if (size >= sizeof(struct ledger_head))
		r = map_file(fd, size, flags, o->boot_id, ret_ledger);
	if (r == 0 && !is_of_this_boot(o, ret_ledger)) {
		ledger_close(ret_ledger);
		r = -EBADMSG;
	}
	if (r == 0)
		ret_ledger->id = (struct file_id){ o->st.st_dev, o->st.st_ino };
	if (o->options->opening != LEDGER_MAKE || !mine)
		return r;
	if (r == 0 && (ret_ledger->rows < o->options->rows || ret_ledger->cursors < o->options->cursors)) {
		ledger_close(ret_ledger);
		return -EUCLEAN;
	}
	return r == -EBADMSG && was_ledger(fd, size) ? -EUCLEAN : r;
}

/* -EAGAIN: there is another file by now, to be opened instead. */
static int open_existing(struct opening *o, struct ledger *ret_ledger)
{
	const struct trust *trust = o->options->trust;
	int access = o->options->opening == LEDGER_COPY ? O_RDONLY : O_RDWR;
	int fd = sys_openat(AT_FDCWD, o->path, access | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
	bool mine;
	int r;

	if (fd < 0)
		return fd;
	r = sys_fstat(fd, &o->st);
	mine = o->st.st_uid == trust->euid;
	if (r == 0 && (!S_ISREG(o->st.st_mode) || !(mine || o->st.st_uid == 0 || o->st.st_uid == trust->shim_uid)))
		r = -EPERM;
	if (r == 0)
		r = map_existing(o, fd, mine, ret_ledger);
	if (r == -EUCLEAN)
		r = replace(o, fd);
	sys_close(fd);
	return r;
}

static int open_or_make(struct opening *o, struct ledger *ret_ledger)
{
	int r = -EAGAIN;

	host_boot_id(o->boot_id);
	for (int i = 0; i < 4 && r == -EAGAIN; i++) {
		r = open_existing(o, ret_ledger);
		if (r == -ENOENT && o->options->opening == LEDGER_MAKE)
			r = make(o, false) < 0 ? -ENOENT : -EAGAIN;
	}
	return r;
}

int ledger_open(const char *path, const struct ledger_options *options, struct ledger *ret_ledger)
{
	struct opening *o = scratch_take(sizeof(*o));
	int r;

	ret_ledger->base = NULL;
	if (!o)
		return -ENOMEM;
	o->path = path;
	o->options = options;
	r = open_or_make(o, ret_ledger);
	scratch_give(o, sizeof(*o));
	return r;
}

void ledger_close(struct ledger *ledger)
{
	if (ledger->base)
		sys_munmap(ledger->base, ledger->size);
	ledger->base = NULL;
}

void ledger_blank(const struct ledger *ledger)
{
	if (ledger->base)
		sys_mmap_zeros(ledger->base, ledger->size, PROT_READ | PROT_WRITE);
}
