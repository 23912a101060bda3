/* SPDX-License-Identifier: Apache-2.0 */
#include "table/mark.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

#include "base/bytes.h"
#include "base/host.h"
#include "base/sys.h"
#include "base/text.h"

#define MARK_MAGIC 0x6b72616d6c616964u /* "dialmark" */

#define SUM_WORDS (offsetof(struct mark, sum) / 8)

/* ---- the file ---- */

/* A second name could be that of a file of ours which somebody linked here for us to write over. */
static bool is_trusted(const struct trust *trust, const struct stat *st)
{
	return trust_file(trust, st) && st->st_nlink <= 1;
}

int mark_open(int dir_fd, const struct trust *trust, enum mark_opening opening)
{
	int flags = (opening == MARK_READ ? O_RDONLY : O_RDWR) | (opening == MARK_MAKE ? O_CREAT : 0);
	int fd = sys_openat(dir_fd, MARK_NAME, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644), r;
	struct stat st;

	if (fd < 0)
		return fd;
	r = sys_fstat(fd, &st);
	if (r == 0 && !is_trusted(trust, &st))
		r = -EPERM;
	if (r == 0)
		return fd;
	sys_close(fd);
	return r;
}

int mark_lock(int fd)
{
	return (int)sys_call(SYS_flock, fd, LOCK_EX | LOCK_NB, 0, 0, 0, 0);
}

void mark_unlock(int fd)
{
	sys_call(SYS_flock, fd, LOCK_UN, 0, 0, 0, 0);
}

/* Where one side does not know the boot, mark_is_due has the times to go by. */
static bool is_of_this_boot(const struct mark *mark)
{
	static const uint8_t unknown[16];
	uint8_t boot_id[16];

	host_boot_id(boot_id);
	return memcmp(mark->boot_id, boot_id, 16) == 0 || memcmp(mark->boot_id, unknown, 16) == 0 ||
	       memcmp(boot_id, unknown, 16) == 0;
}

static bool is_sound(const struct mark *mark)
{
	return mark->sum == table_sum(0, mark, SUM_WORDS) && mark->state < MARK_STATES && !mark->text[MARK_TEXT - 1] &&
	       is_of_this_boot(mark);
}

int mark_read(int fd, struct mark *mark)
{
	long n;

	memset(mark, 0, sizeof(*mark));
	n = sys_call(SYS_pread64, fd, (long)mark, sizeof(*mark), 0, 0, 0);
	if (n < 0)
		return (int)n;
	if (n > 0 && (n < (long)sizeof(mark->magic) || mark->magic != MARK_MAGIC))
		return -EINVAL;
	if (n < (long)sizeof(*mark) || !is_sound(mark))
		memset(mark, 0, sizeof(*mark));
	return 0;
}

int mark_write(int fd, struct mark *mark)
{
	struct {
		uint64_t soft, hard;
	} limit;
	long n;

	/* Beyond RLIMIT_FSIZE the kernel answers with SIGXFSZ, which kills. */
	if (sys_call(SYS_prlimit64, 0, 1 /* RLIMIT_FSIZE */, 0, (long)&limit, 0, 0) == 0 && limit.soft < sizeof(*mark))
		return -EFBIG;
	mark->magic = MARK_MAGIC;
	host_boot_id(mark->boot_id);
	mark->sum = table_sum(0, mark, SUM_WORDS);
	n = sys_call(SYS_pwrite64, fd, (long)mark, sizeof(*mark), 0, 0, 0);
	if (n < 0)
		return (int)n;
	return n == (long)sizeof(*mark) ? 0 : -ENOSPC;
}

int mark_hold(int fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int r = (int)sys_call(SYS_fcntl, fd, F_SETLK, (long)&lock, 0, 0, 0);

	return r == -EACCES ? -EAGAIN : r;
}

int mark_holder(int fd)
{
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET };

	/* A file system without such locks has no agent either: it could not hold it. */
	if (sys_call(SYS_fcntl, fd, F_GETLK, (long)&lock, 0, 0, 0) < 0 || lock.l_type == F_UNLCK)
		return 0;
	return lock.l_pid > 0 ? lock.l_pid : -1;
}

/* ---- what follows from it ---- */

/* The first one that published and died is replaced at once. */
uint32_t mark_pause_ms(const struct mark *mark)
{
	uint32_t pause_ms = MARK_LONGEST_MS, tries = mark->tries;

	if (mark->state == MARK_RUNNING && tries)
		tries--;
	if (tries == 0)
		return 0;
	if (tries <= 6) /* 32 s; the next one would be more than a minute */
		pause_ms = MARK_PAUSE_MS << (tries - 1);
	return mark->state == MARK_STARTED && pause_ms < MARK_GRACE_MS ? MARK_GRACE_MS : pause_ms;
}

/* Signed: a time that has not come yet is of another boot, or damage. */
static bool has_passed(const struct mark *mark, uint32_t ms, uint64_t now_ms)
{
	return now_ms < mark->time_ms || now_ms - mark->time_ms >= ms;
}

bool mark_is_due(const struct mark *mark, bool is_held, uint64_t now_ms)
{
	return !is_held && has_passed(mark, mark_pause_ms(mark), now_ms);
}

bool mark_has_failed(const struct mark *mark, bool is_held, uint64_t now_ms)
{
	if (mark->state == MARK_FAILED)
		return true;
	return mark->state == MARK_STARTED && !is_held && has_passed(mark, MARK_GRACE_MS, now_ms);
}

void mark_note_start(struct mark *mark, uint64_t now_ms)
{
	if (mark->state == MARK_RUNNING && has_passed(mark, MARK_LONGEST_MS, now_ms))
		mark->tries = 0;
	mark->time_ms = now_ms;
	mark->tries = mark->tries < UINT32_MAX ? mark->tries + 1 : UINT32_MAX;
	mark_note(mark, MARK_STARTED, NULL);
}

void mark_note(struct mark *mark, enum mark_state state, const char *text)
{
	struct text to;

	memset(mark->text, 0, sizeof(mark->text));
	to = text_into(mark->text, sizeof(mark->text));
	if (text)
		text_add(&to, text);
	mark->state = state;
	if (state == MARK_ENDED)
		mark->tries = 0;
}
