/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/autostart.h"

#include <errno.h>
#include <sys/prctl.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/scratch.h"
#include "base/signals.h"
#include "base/sys.h"
#include "base/trace.h"
#include "shim/next.h"
#include "shim/spawn.h"
#include "table/atomics.h"
#include "table/map.h"
#include "table/mark.h"

#define ENVIRONMENT 8192
#define VARIABLES   32

/* ---- the agent's environment ---- */

enum variable_kind { AS_IT_IS, A_PATH, SERVICES };

/*
 * What the agent reads, and what its libraries do to reach the API. Nothing else of the program's is handed on: it may have
 * secrets, and LD_PRELOAD and its like are the program's own. Relative paths are made absolute: the agent's directory is the
 * root.
 */
static const struct variable {
	const char *name;
	enum variable_kind kind;
} variables[] = {
	{ "PATH", AS_IT_IS },
	{ "HOME", AS_IT_IS },
	{ "TZ", AS_IT_IS },
	{ "KUBERNETES_SERVICE_HOST", AS_IT_IS },
	{ "KUBERNETES_SERVICE_PORT", AS_IT_IS },
	{ "KUBERNETES_SERVICE_PORT_HTTPS", AS_IT_IS },
	{ "KUBECONFIG", A_PATH },
	{ "FAIRDIAL_SERVICES", SERVICES },
	{ "FAIRDIAL_LEDGER", A_PATH },
	{ "POD_NAME", AS_IT_IS },
	{ "POD_NAMESPACE", AS_IT_IS },
	{ "POD_IP", AS_IT_IS },
	{ "POD_IPS", AS_IT_IS },
	{ "HOST_IP", AS_IT_IS },
	{ "NODE_NAME", AS_IT_IS },
	{ "NODE_ZONE", AS_IT_IS },
	{ "HTTPS_PROXY", AS_IT_IS },
	{ "https_proxy", AS_IT_IS },
	{ "NO_PROXY", AS_IT_IS },
	{ "no_proxy", AS_IT_IS },
	{ "SSL_CERT_FILE", A_PATH },
	{ "SSL_CERT_DIR", A_PATH },
};

#define VARIABLE_COUNT (sizeof(variables) / sizeof(variables[0]))

_Static_assert(VARIABLE_COUNT + 2 <= VARIABLES, "each, one of our own, and NULL");

/* "NAME=VALUE", NUL, and so on. Written before the settings are released, read after. */
static char kept[ENVIRONMENT];
static bool kept_whole;

static bool is_inline(const char *value)
{
	while (*value && *value != '=')
		value++;
	return *value == '=';
}

__attribute__((noinline)) /* its path is not for the stack of the rest */
static bool keep_path(struct text *out, const char *value)
{
	char path[SETTINGS_PATH];
	struct text text = text_into(path, sizeof(path));

	text_add(&text, value);
	if (text.full)
		return false;
	settings_make_absolute(path);
	text_add(out, path);
	return path[0] != '\0';
}

static bool keep(struct text *out, const struct variable *variable)
{
	const char *value = next_getenv(variable->name);

	if (!value || !*value)
		return true;
	text_add(out, variable->name);
	text_add_char(out, '=');
	if (value[0] != '/' && (variable->kind == A_PATH || (variable->kind == SERVICES && !is_inline(value)))) {
		if (!keep_path(out, value))
			return false;
	} else {
		text_add(out, value);
	}
	text_add_char(out, '\0');
	return !out->full;
}

/* One that does not fit: an agent that follows less than it was told to is worse than none. */
void autostart_keep_environment(void)
{
	struct text out = text_into(kept, sizeof(kept));

	kept_whole = true;
	for (size_t i = 0; i < VARIABLE_COUNT; i++)
		kept_whole &= keep(&out, &variables[i]);
}

/* ---- this process ---- */

/*
 * After unshare(CLONE_NEWPID) the next child is PID 1 of a new namespace, and the end of that is the end of it. The link of
 * children's namespace is empty until then. Where /proc does not tell, there is no sign of such a thing.
 */
__attribute__((noinline))
static bool has_own_children(void)
{
	char own[64], theirs[64];
	long n = sys_call(SYS_readlinkat, AT_FDCWD, (long)"/proc/self/ns/pid", (long)own, sizeof(own), 0, 0);
	long m = sys_call(SYS_readlinkat, AT_FDCWD, (long)"/proc/self/ns/pid_for_children", (long)theirs, sizeof(theirs), 0, 0);

	if (n <= 0)
		return true;
	return n == m && slice_equal((struct slice){ own, (size_t)n }, (struct slice){ theirs, (size_t)m });
}

static bool has_one_user(void)
{
	return sys_call(SYS_getuid, 0, 0, 0, 0, 0, 0) == sys_call(SYS_geteuid, 0, 0, 0, 0, 0, 0) &&
	       sys_call(SYS_getgid, 0, 0, 0, 0, 0, 0) == sys_call(SYS_getegid, 0, 0, 0, 0, 0, 0);
}

static bool adopts_orphans(void)
{
	int subreaper = 0;

	return sys_call(SYS_prctl, PR_GET_CHILD_SUBREAPER, (long)&subreaper, 0, 0, 0, 0) < 0 || subreaper;
}

/* NULL: this process may. `*ret_ever`: it could later. */
static const char *why_not_from_here(bool *ret_ever)
{
	*ret_ever = false;
	if (!kept_whole)
		return "what it needs of the environment is too long to be kept";
	if (sys_getpid() == 1)
		return "this process is PID 1, whose child it would become";
	if (adopts_orphans())
		return "this process adopts orphans (a subreaper), and it would become its child";
	*ret_ever = true;
	if (!has_one_user())
		return "this process has another user or group than its own just now";
	return has_own_children() ? NULL : "the next child of this process is PID 1 of another namespace";
}

static bool may_start(void)
{
	bool ever;

	return why_not_from_here(&ever) == NULL;
}

/* ---- the binary ---- */

/* The next name of a path, in that folder. `*path` becomes what follows it: empty at the end. */
__attribute__((noinline)) /* the name is not for the stack of what comes after */
static int open_next(int folder, const char **path)
{
	char name[SETTINGS_PATH];
	struct text text = text_into(name, sizeof(name));

	while (**path == '/')
		(*path)++;
	while (**path && **path != '/')
		text_add_char(&text, *(*path)++);
	return text.len == 0 || text.full ? -ENOENT : sys_openat(folder, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
}

__attribute__((noinline))
static int check_folder(int fd, const struct trust *trust)
{
	struct stat st;
	int r = sys_fstat(fd, &st);

	if (r < 0)
		return r;
	return trust_directory(trust, &st) ? 0 : -EPERM;
}

/* A program with rights of its own would be started with them. */
__attribute__((noinline))
static int check_program(int fd, const struct trust *trust)
{
	struct stat st;
	int r = sys_fstat(fd, &st);

	if (r < 0)
		return r;
	if (!trust_file(trust, &st) || (st.st_mode & (S_ISUID | S_ISGID)))
		return -EPERM;
	return st.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH) ? 0 : -EACCES;
}

/* From the root on, each name in the folder that was checked before it. */
int autostart_check_binary(const char *path, const struct trust *trust)
{
	int at = sys_openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC, 0), r = at < 0 ? at : check_folder(at, trust);

	do {
		int next = r == 0 ? open_next(at, &path) : r;

		if (at >= 0)
			sys_close(at);
		at = next;
		if (at < 0)
			return at == -ENOTDIR ? -ENOENT : at;
		r = *path ? check_folder(at, trust) : check_program(at, trust);
	} while (r == 0 && *path);
	sys_close(at);
	return r;
}

/* ---- a start ---- */

/* Too much for the stack of a hook. */
struct work {
	const struct settings *settings;
	struct trust trust;
	struct mark mark;
	const char *dir;
	char user_dir[40];
	char binary[SETTINGS_PATH + 24];
	char line[2 * SETTINGS_PATH + MARK_TEXT];
	char *argv[8], *envp[VARIABLES];
};

static void trace(struct work *w, const char *what, const char *why)
{
	struct text line;

	if (!(w->settings->trace & TRACE_ATTACH))
		return;
	line = trace_begin(w->line, sizeof(w->line), "attach");
	text_add(&line, w->dir);
	text_add(&line, what);
	text_add(&line, why);
	trace_end(&line, w->settings->trace_path);
}

/* In the order of what is likely: `fairdial install`, the build folder, `make install`. */
static int find_binary(struct work *w)
{
	static const char *const places[] = { "bin/fairdial", "fairdial", "../bin/fairdial" };
	struct slice folder = slice_of(w->settings->beside);
	int r = -ENOENT;

	if (folder.len < 3)
		return -ENOENT;
	folder.len -= 3; /* "run" */
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]) && r == -ENOENT; i++) {
		struct text path = text_into(w->binary, sizeof(w->binary));

		text_add_slice(&path, folder);
		text_add(&path, places[i]);
		if (!path.full)
			r = autostart_check_binary(w->binary, &w->trust);
	}
	return r;
}

static void fill_arguments(struct work *w)
{
	static const char *const arguments[] = { "fairdial", "agent", "--autostarted", "--dir" };
	size_t n = 0;

	for (; n < sizeof(arguments) / sizeof(arguments[0]); n++)
		w->argv[n] = (char *)arguments[n];
	w->argv[n] = (char *)w->dir;
	w->argv[n + 1] = NULL;
}

/* FAIRDIAL=off: where /etc/ld.so.preload has us, we are in the agent too. */
static void fill_environment(struct work *w)
{
	size_t n = 0;

	for (char *at = kept; at < kept + sizeof(kept) && *at && n < VARIABLES - 2; at += text_len(at) + 1)
		w->envp[n++] = at;
	w->envp[n++] = (char *)"FAIRDIAL=off";
	w->envp[n] = NULL;
}

static const struct trace_word errors[] = {
	{ ENOENT, "there is no fairdial beside libfairdial.so, nor bin/fairdial or ../bin/fairdial" },
	{ EPERM, "the fairdial beside libfairdial.so is not to be trusted: it, or a folder above it, belongs to another user, can be "
		 "changed by others, or is a symbolic link" },
	{ EACCES, "the fairdial beside libfairdial.so is no program that this user may run" },
	{ ENOEXEC, "the fairdial beside libfairdial.so is no program for this machine" },
	{ EAGAIN, "this user has too many processes" },
	{ 0, NULL },
};

/* What cannot be started is noted where people look: fairdial status. */
static void note_failure(struct work *w, int fd, int error)
{
	struct text text;

	mark_note(&w->mark, MARK_FAILED, NULL);
	text = text_into(w->mark.text, sizeof(w->mark.text));
	trace_add_error(&text, errors, error);
	mark_write(fd, &w->mark);
	trace(w, " no agent could be started: ", w->mark.text);
}

/* The mark first: who cannot write one does not know how often it was tried. */
static enum autostart_result start(struct work *w, int fd)
{
	int r;

	mark_note_start(&w->mark, clock_boot_ms());
	if (mark_write(fd, &w->mark) < 0) {
		trace(w, " no agent is started: ", "its mark cannot be written");
		return AUTOSTART_NO;
	}
	r = find_binary(w);
	if (r == 0) {
		fill_arguments(w);
		fill_environment(w);
		r = spawn_detached(w->binary, w->argv, w->envp);
	}
	if (r < 0) {
		note_failure(w, fd, -r);
		return AUTOSTART_FAILED;
	}
	trace(w, " an agent is started: ", w->binary);
	return AUTOSTART_COMING;
}

static enum autostart_result decide(struct work *w, int fd, bool may)
{
	uint64_t now_ms = clock_boot_ms();
	bool held;

	if (mark_read(fd, &w->mark) < 0)
		return AUTOSTART_NO;
	held = mark_holder(fd) != 0;
	if (may && mark_is_due(&w->mark, held, now_ms))
		return start(w, fd);
	if (w->mark.state == MARK_NONE)
		return AUTOSTART_NO;
	if (w->mark.state == MARK_RUNNING && held)
		return AUTOSTART_RUNS;
	return mark_has_failed(&w->mark, held, now_ms) ? AUTOSTART_FAILED : AUTOSTART_COMING;
}

/* ---- the directory ---- */

/* As the agent would make it; /tmp/fairdial-UID is for this user alone. */
static int open_dir(const struct work *w, unsigned made_mode)
{
	bool made = made_mode && sys_call(SYS_mkdirat, AT_FDCWD, (long)w->dir, made_mode, 0, 0, 0) == 0;
	int fd = trust_open_directory(w->dir, &w->trust);

	if (fd >= 0 && made)
		sys_fchmod(fd, made_mode); /* whatever the program's umask is */
	return fd;
}

/* The mark of a directory; a negative errno where it is to be another directory, or none. */
static int open_mark(struct work *w, unsigned made_mode, enum mark_opening opening)
{
	int dir_fd = open_dir(w, opening == MARK_MAKE ? made_mode : 0), fd = dir_fd;

	if (dir_fd >= 0) {
		fd = mark_open(dir_fd, &w->trust, opening);
		sys_close(dir_fd);
	}
	return fd;
}

static enum autostart_result decide_alone(struct work *w, int fd, bool may)
{
	enum autostart_result result = AUTOSTART_COMING; /* somebody else decides now */

	if (!may) {
		result = decide(w, fd, false);
	} else if (mark_lock(fd) == 0) {
		result = decide(w, fd, true);
		mark_unlock(fd);
	}
	sys_close(fd);
	return result;
}

static void name_user_dir(struct work *w)
{
	struct text path = text_into(w->user_dir, sizeof(w->user_dir));

	text_add(&path, "/tmp/fairdial-");
	text_add_number(&path, w->trust.euid, 10);
}

/* Where the shim looks for a table, the first that this user can write. */
static int choose_dir(struct work *w, enum mark_opening opening)
{
	const struct settings *s = w->settings;
	const char *const places[] = { s->beside, "/run/fairdial" };
	int fd = -ENOENT;

	w->dir = s->dir;
	if (s->has_dir)
		return s->dir[0] ? open_mark(w, 0755, opening) : -ENOENT;
	for (size_t i = 0; i < 2 && fd < 0; i++) {
		w->dir = places[i];
		if (w->dir[0])
			fd = open_mark(w, 0, opening);
	}
	if (fd >= 0)
		return fd;
	name_user_dir(w);
	w->dir = w->user_dir;
	w->trust.no_link = true; /* anybody can make one there */
	return open_mark(w, 0700, opening);
}

static struct work *work_new(const struct settings *s)
{
	struct work *w = scratch_take(sizeof(*w));

	if (!w)
		return NULL;
	w->settings = s;
	w->trust.euid = sys_geteuid();
	w->trust.shim_uid = s->shim_uid == UINT32_MAX ? w->trust.euid : s->shim_uid;
	return w;
}

/* Once a process: it may dial often. */
static void trace_declined(struct work *w, const char *why)
{
	static int is_told;

	if (swap_if_int(&is_told, 0, 1))
		trace(w, " no agent is started: ", why);
}

static enum autostart_result start_where_it_belongs(struct work *w)
{
	enum autostart_result result = AUTOSTART_NO;
	bool ever;
	const char *why = why_not_from_here(&ever);
	int fd = choose_dir(w, why ? MARK_READ : MARK_MAKE);

	if (fd >= 0)
		result = decide_alone(w, fd, !why);
	if (result == AUTOSTART_NO && why) {
		trace_declined(w, why);
		result = ever ? AUTOSTART_NO : AUTOSTART_NEVER;
	} else if (fd < 0) {
		trace_declined(w, "this user has no directory for its table, or one that is not to be trusted");
	}
	return result;
}

static void start_there(struct work *w, const char *dir)
{
	int fd;

	w->dir = dir;
	fd = open_mark(w, 0, MARK_WRITE);
	if (fd >= 0 && mark_holder(fd) == 0 && may_start())
		decide_alone(w, fd, true);
	else if (fd >= 0)
		sys_close(fd);
}

/*
 * No signal meanwhile: a handler that leaves the dial (longjmp, or a thread that is cancelled at any time) would leave the lock of
 * the mark held, for as long as the program lives.
 */
enum autostart_result autostart_agent(const struct settings *s)
{
	uint64_t mask = signals_mask(SIGNALS_ALL);
	struct work *w = work_new(s);
	enum autostart_result result = w ? start_where_it_belongs(w) : AUTOSTART_NO;

	scratch_give(w, sizeof(*w));
	signals_mask(mask);
	return result;
}

/* Likewise. */
void autostart_replace(const struct settings *s, const char *dir)
{
	uint64_t mask = signals_mask(SIGNALS_ALL);
	struct work *w = work_new(s);

	if (w)
		start_there(w, dir);
	scratch_give(w, sizeof(*w));
	signals_mask(mask);
}
