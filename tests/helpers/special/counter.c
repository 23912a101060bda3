/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A preloaded object as others write them: it counts the calls of connect and getaddrinfo that come by, passes them on to
 * whoever is next, and at the end says on stderr "NAME: N connects, M lookups". Compiled with -shared -nostdlib and
 * -DNAME=\"NAME\": like the shim, it is for any C library.
 */
#include <dlfcn.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>

#pragma weak dlsym

/* glibc before 2.34 has dlsym in a library of its own, and this inside. */
extern void *_dl_sym(void *handle, const char *name, void *who) __attribute__((weak));

static atomic_int connects, lookups;

static void *next(const char *name)
{
	return dlsym ? dlsym(RTLD_NEXT, name) : _dl_sym(RTLD_NEXT, name, (void *)next);
}

int connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	__typeof__(connect) *real = (__typeof__(connect) *)next("connect");

	atomic_fetch_add(&connects, 1);
	return real(fd, sa, len);
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **list)
{
	__typeof__(getaddrinfo) *real = (__typeof__(getaddrinfo) *)next("getaddrinfo");

	atomic_fetch_add(&lookups, 1);
	return real(node, service, hints, list);
}

__attribute__((destructor)) static void tell(void)
{
	dprintf(2, "%s: %d connects, %d lookups\n", NAME, atomic_load(&connects), atomic_load(&lookups));
}
