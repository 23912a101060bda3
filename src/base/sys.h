/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System calls without a C library. The shim runs in processes whose libc may be glibc, musl or none, and must
 * neither touch their errno nor act as a cancellation point where they did not call one.
 *
 * Every function returns what the kernel returns: 0 or more, or a negative errno. All are async-signal-safe.
 */
#ifndef FAIRDIAL_BASE_SYS_H
#define FAIRDIAL_BASE_SYS_H

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

struct pollfd;
struct utsname;

#if defined(__x86_64__)
static inline long sys_call(long n, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}
#elif defined(__aarch64__)
static inline long sys_call(long n, long a, long b, long c, long d, long e, long f)
{
	register long x8 __asm__("x8") = n;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;

	__asm__ volatile("svc 0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
	return x0;
}
#else
#error "fairdial knows the system calls of x86-64 and aarch64"
#endif

static inline int sys_openat(int dir, const char *path, int flags, unsigned mode)
{
	return (int)sys_call(SYS_openat, dir, (long)path, flags, mode, 0, 0);
}

static inline int sys_close(int fd)
{
	return (int)sys_call(SYS_close, fd, 0, 0, 0, 0, 0);
}

/*
 * As the libc of the process asks, with the calls that its loader has made before: a program may be confined to those that it makes
 * itself (seccomp(2)). stat.c has them.
 */
int sys_fstat(int fd, struct stat *ret);
int sys_stat(const char *path, struct stat *ret);

static inline long sys_read(int fd, void *buf, size_t n)
{
	return sys_call(SYS_read, fd, (long)buf, (long)n, 0, 0, 0);
}

static inline long sys_write(int fd, const void *buf, size_t n)
{
	return sys_call(SYS_write, fd, (long)buf, (long)n, 0, 0, 0);
}

static inline int sys_fallocate(int fd, int64_t offset, int64_t len)
{
	return (int)sys_call(SYS_fallocate, fd, 0, offset, len, 0, 0);
}

static inline int sys_fchmod(int fd, unsigned mode)
{
	return (int)sys_call(SYS_fchmod, fd, mode, 0, 0, 0, 0);
}

static inline int sys_linkat(int dir, const char *from, const char *to, int flags)
{
	return (int)sys_call(SYS_linkat, dir, (long)from, AT_FDCWD, (long)to, flags, 0);
}

static inline int sys_rename(const char *from, const char *to)
{
	return (int)sys_call(SYS_renameat2, AT_FDCWD, (long)from, AT_FDCWD, (long)to, 0, 0);
}

static inline int sys_unlink(const char *path)
{
	return (int)sys_call(SYS_unlinkat, AT_FDCWD, (long)path, 0, 0, 0, 0);
}

/* Returns the address, or a negative errno as a small negative number: see sys_mmap_failed. */
static inline void *sys_mmap(size_t len, int prot, int flags, int fd)
{
	return (void *)sys_call(SYS_mmap, 0, (long)len, prot, flags, fd, 0);
}

/*
 * Zeros in the place of a mapping, in one step for all threads that may be reading there (mmap(2), MAP_FIXED); it stays as it is
 * where that fails. Before Linux 6.12 one exception: a writable one, where overcommit is off and no memory is left, is gone then.
 * Where all that comes is locked (mlockall(2), MCL_FUTURE) a writable one takes its memory at once.
 */
static inline void sys_mmap_zeros(void *at, size_t len, int prot)
{
	sys_call(SYS_mmap, (long)at, (long)len, prot, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

static inline int sys_mmap_failed(const void *map)
{
	return (unsigned long)map > -4096ul;
}

static inline int sys_munmap(void *at, size_t len)
{
	return (int)sys_call(SYS_munmap, (long)at, (long)len, 0, 0, 0, 0);
}

static inline long sys_getrandom(void *buf, size_t n)
{
	return sys_call(SYS_getrandom, (long)buf, (long)n, 1 /* GRND_NONBLOCK */, 0, 0, 0);
}

static inline uint32_t sys_geteuid(void)
{
	return (uint32_t)sys_call(SYS_geteuid, 0, 0, 0, 0, 0, 0);
}

static inline int sys_getresuid(uint32_t *real, uint32_t *effective, uint32_t *saved)
{
	return (int)sys_call(SYS_getresuid, (long)real, (long)effective, (long)saved, 0, 0, 0);
}

static inline int sys_getpid(void)
{
	return (int)sys_call(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

static inline int sys_uname(struct utsname *ret)
{
	return (int)sys_call(SYS_uname, (long)ret, 0, 0, 0, 0, 0);
}

static inline int sys_clock_gettime(int clock, struct timespec *ret)
{
	return (int)sys_call(SYS_clock_gettime, clock, (long)ret, 0, 0, 0, 0);
}

static inline int sys_poll(struct pollfd *fds, unsigned n, int timeout_ms)
{
#ifdef SYS_poll /* which the libc would call, and a filter permits */
	return (int)sys_call(SYS_poll, (long)fds, n, timeout_ms, 0, 0, 0);
#else
	struct timespec ts = { timeout_ms / 1000, timeout_ms % 1000 * 1000000L };

	return (int)sys_call(SYS_ppoll, (long)fds, n, (long)&ts, 0, 8, 0);
#endif
}

static inline int sys_socket(int family, int type, int protocol)
{
	return (int)sys_call(SYS_socket, family, type, protocol, 0, 0, 0);
}

static inline int sys_connect(int fd, const void *sa, uint32_t len)
{
	return (int)sys_call(SYS_connect, fd, (long)sa, len, 0, 0, 0);
}

static inline long sys_sendto(int fd, const void *buf, size_t n, int flags, const void *sa, uint32_t len)
{
	return sys_call(SYS_sendto, fd, (long)buf, (long)n, flags, (long)sa, len);
}

static inline long sys_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	return sys_call(SYS_sendmsg, fd, (long)msg, flags, 0, 0, 0);
}

static inline long sys_sendmmsg(int fd, void *msgs, unsigned n, int flags)
{
	return sys_call(SYS_sendmmsg, fd, (long)msgs, n, flags, 0, 0);
}

static inline long sys_recv(int fd, void *buf, size_t n, int flags)
{
	return sys_call(SYS_recvfrom, fd, (long)buf, (long)n, flags, 0, 0);
}

static inline int sys_getsockname(int fd, void *sa, uint32_t *len)
{
	return (int)sys_call(SYS_getsockname, fd, (long)sa, (long)len, 0, 0, 0);
}

static inline int sys_getpeername(int fd, void *sa, uint32_t *len)
{
	return (int)sys_call(SYS_getpeername, fd, (long)sa, (long)len, 0, 0, 0);
}

static inline int sys_getsockopt(int fd, int level, int name, void *value, uint32_t *len)
{
	return (int)sys_call(SYS_getsockopt, fd, level, name, (long)value, (long)len, 0);
}

static inline int sys_setsockopt(int fd, int level, int name, const void *value, uint32_t len)
{
	return (int)sys_call(SYS_setsockopt, fd, level, name, (long)value, len, 0);
}

/* An option that is an int, or a negative errno. */
static inline int sys_getsockopt_int(int fd, int level, int name, int *ret)
{
	uint32_t len = sizeof(*ret);

	return sys_getsockopt(fd, level, name, ret, &len);
}

static inline int sys_fcntl_getfl(int fd)
{
	return (int)sys_call(SYS_fcntl, fd, F_GETFL, 0, 0, 0, 0);
}

#endif
