/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/started.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_TRIES 50 /* a millisecond apart: whoever decides takes no longer, unless it was stopped in the middle */

struct started {
	int fd;
	struct mark mark;
};

static int open_mark(const char *dir, struct report *why)
{
	const struct trust trust = { .euid = geteuid(), .shim_uid = geteuid() };
	int dir_fd, fd;

	if (mkdir(dir, 0755) < 0 && errno == ENOENT)
		return report(why, -ENOENT, "cannot make the directory %s: the one that it is to be in does not exist: make that first", dir);
	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return report(why, -errno, "cannot make the directory %s: %s", dir, strerror(errno));
	dir_fd = trust_open_directory(dir, &trust);
	if (dir_fd < 0)
		return report(why, dir_fd, "cannot use the directory %s: %s", dir, strerror(-dir_fd));
	fd = mark_open(dir_fd, &trust, MARK_MAKE);
	close(dir_fd);
	return fd < 0 ? report(why, fd, "cannot open %s/%s: %s", dir, MARK_NAME, strerror(-fd)) : fd;
}

int started_open(const char *dir, struct started **ret, struct report *why)
{
	struct started *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return report(why, -ENOMEM, "out of memory");
	s->fd = r = open_mark(dir, why);
	if (r < 0)
		goto fail;
	r = mark_hold(s->fd);
	if (r == -EAGAIN) {
		r = report(why, -EBUSY, "an agent that was started so serves %s", dir);
		goto fail;
	}
	if (r == 0)
		r = mark_read(s->fd, &s->mark);
	if (r < 0) {
		report(why, r, "cannot use %s/%s: %s", dir, MARK_NAME, strerror(-r));
		goto fail;
	}
	*ret = s;
	return 0;
fail:
	started_close(s);
	return r;
}

static bool take_lock(int fd)
{
	for (int i = 0; i < LOCK_TRIES; i++) {
		if (mark_lock(fd) == 0)
			return true;
		poll(NULL, 0, 1);
	}
	return false;
}

void started_tell(struct started *s, enum mark_state state, const char *text)
{
	if (!s || (s->mark.state == state && strncmp(s->mark.text, text, MARK_TEXT - 1) == 0))
		return;
	if (!take_lock(s->fd))
		return; /* told the next time */
	if (mark_read(s->fd, &s->mark) == 0) { /* nobody starts another one while this one holds it */
		mark_note(&s->mark, state, text);
		mark_write(s->fd, &s->mark);
	}
	mark_unlock(s->fd);
}

void started_close(struct started *s)
{
	if (!s)
		return;
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}

void started_forget(const char *dir)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/%s", dir, MARK_NAME) < (int)sizeof(path))
		unlink(path);
}
