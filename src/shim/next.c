/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/next.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/auxv.h>

#include "base/sys.h"
#include "table/atomics.h"

extern __typeof__(dlsym) dlsym __attribute__((weak));
extern __typeof__(dladdr) dladdr __attribute__((weak));
extern __typeof__(dlopen) dlopen __attribute__((weak));
extern __typeof__(getenv) getenv __attribute__((weak));
extern __typeof__(getauxval) getauxval __attribute__((weak));
extern int *__errno_location(void) __attribute__((weak));

/*
 * glibc before 2.34 keeps dlsym in libdl.so.2, which many programs do not load; its libc.so.6 has this one inside
 * (GLIBC_PRIVATE), which takes the caller's address as an argument.
 */
extern void *_dl_sym(void *handle, const char *name, void *who) __attribute__((weak));

/* Likewise in place of dladdr; the last two arguments may be NULL. */
extern int _dl_addr(const void *address, Dl_info *ret_info, void **ret_map, void **ret_symbol) __attribute__((weak));

/*
 * Where the process began, as glibc's loader knows it: for programs that dial before the libc's own constructor has run
 * (.preinit_array), when getenv(3) finds nothing yet. There lie argc, argv and the environment, each of these two with a NULL
 * behind.
 */
extern void *__libc_stack_end __attribute__((weak));

static struct next found;
static int looked_up;

/* The first and the last byte of this object, by the linker. */
extern const char __ehdr_start[] __attribute__((visibility("hidden")));
extern const char _end[] __attribute__((visibility("hidden")));

static bool is_own(const void *function)
{
	return (uintptr_t)function >= (uintptr_t)__ehdr_start && (uintptr_t)function < (uintptr_t)_end;
}

/* By a handle, which means the same whoever asks. It is kept: a libc is never unloaded. */
static void *find_in_libc(const char *name)
{
	Dl_info info = { 0 };
	void *libc;

	if (!dlopen || !dladdr || !__errno_location || !dladdr((void *)__errno_location, &info))
		return NULL;
	libc = dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
	return libc ? dlsym(libc, name) : NULL;
}

/*
 * Where another object stands in front of dlsym itself, RTLD_NEXT may mean what comes after *that* object: ours, if it
 * was loaded before us. A hook that took itself for the next one would never return.
 */
static void *find(const char *name)
{
	void *function = NULL;

	if (dlsym)
		function = dlsym(RTLD_NEXT, name);
	else if (_dl_sym)
		function = _dl_sym(RTLD_NEXT, name, (void *)find);
	if (is_own(function))
		function = find_in_libc(name);
	return is_own(function) ? NULL : function;
}

const struct next *next_functions(void)
{
	/* Two threads may both look up: they store the same values, and the flag is released after them. */
	if (!load_acquire_int(&looked_up)) {
#define row(name) __atomic_store_n((void **)&found.name, find(#name), __ATOMIC_RELAXED);
		SHIM_SYMBOLS(row)
#undef row
		store_release_int(&looked_up, 1);
	}
	return &found;
}

int errno_get(void)
{
	return __errno_location ? *__errno_location() : 0;
}

void errno_set(int value)
{
	if (__errno_location)
		*__errno_location() = value;
}

/* A system call's result as the libc returns it. */
static long to_errno(long r)
{
	if (r >= 0)
		return r;
	errno_set((int)-r);
	return -1;
}

int next_connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	const struct next *next = next_functions();

	if (next->connect)
		return next->connect(fd, sa, len);
	return (int)to_errno(sys_connect(fd, sa, len));
}

/* A libc's result as the kernel gives it. -EIO: it failed, and there is no errno to say how. */
static long from_errno(long r)
{
	int error = r < 0 ? errno_get() : 0;

	if (r >= 0)
		return r;
	return error ? -error : -EIO;
}

int next_dial(int fd, const struct sockaddr *sa, socklen_t len)
{
	const struct next *next = next_functions();

	return next->connect ? (int)from_errno(next->connect(fd, sa, len)) : sys_connect(fd, sa, len);
}

void next_test_cancel(void)
{
	const struct next *next = next_functions();
	int before = errno_get();

	if (next->connect)
		next->connect(-1, NULL, 0);
	errno_set(before);
}

ssize_t next_send_flat(int fd, const void *buf, size_t n, int flags, const struct sockaddr *sa, socklen_t len)
{
	const struct next *next = next_functions();

	return next->sendto ? from_errno(next->sendto(fd, buf, n, flags, sa, len)) : sys_sendto(fd, buf, n, flags, sa, len);
}

ssize_t next_send(int fd, const struct msghdr *msg, int flags)
{
	const struct next *next = next_functions();

	return next->sendmsg ? from_errno(next->sendmsg(fd, msg, flags)) : sys_sendmsg(fd, msg, flags);
}

ssize_t next_sendto(int fd, const void *buf, size_t n, int flags, const struct sockaddr *sa, socklen_t len)
{
	const struct next *next = next_functions();

	if (next->sendto)
		return next->sendto(fd, buf, n, flags, sa, len);
	return to_errno(sys_sendto(fd, buf, n, flags, sa, len));
}

ssize_t next_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	const struct next *next = next_functions();

	if (next->sendmsg)
		return next->sendmsg(fd, msg, flags);
	return to_errno(sys_sendmsg(fd, msg, flags));
}

int next_sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags)
{
	const struct next *next = next_functions();

	if (next->sendmmsg)
		return next->sendmmsg(fd, msgs, n, flags);
	return (int)to_errno(sys_sendmmsg(fd, msgs, n, flags));
}

bool next_is_privileged(void)
{
	return getauxval && getauxval(AT_SECURE);
}

uint32_t next_start_euid(void)
{
	return getauxval ? (uint32_t)getauxval(AT_EUID) : sys_geteuid();
}

/* The value, if `entry` is NAME=VALUE. */
static const char *value_of(const char *entry, const char *name)
{
	while (*name && *entry == *name)
		entry++, name++;
	return *name == '\0' && *entry == '=' ? entry + 1 : NULL;
}

static const char *getenv_at_start(const char *name)
{
	long *start = &__libc_stack_end ? __libc_stack_end : NULL;
	char **entry = start ? (char **)start + 1 + *start + 1 : NULL;
	const char *value = NULL;

	if (!entry)
		return NULL;
	while (*entry && !value)
		value = value_of(*entry++, name);
	return value;
}

const char *next_getenv(const char *name)
{
	const char *value = getenv ? getenv(name) : NULL;

	return value ? value : getenv_at_start(name);
}

const char *next_shim_path(void)
{
	Dl_info info = { 0 };

	if (dladdr)
		return dladdr((void *)next_shim_path, &info) ? info.dli_fname : NULL;
	if (_dl_addr)
		return _dl_addr((void *)next_shim_path, &info, NULL, NULL) ? info.dli_fname : NULL;
	return NULL;
}
