/* SPDX-License-Identifier: Apache-2.0 */
/* Names of errno, which no two C libraries give in the same words. */
#ifndef FAIRDIAL_TESTS_ERRORS_H
#define FAIRDIAL_TESTS_ERRORS_H

#include <errno.h>
#include <stdio.h>

static const char *error_name(int error)
{
	static char other[32];

	switch (error) {
#define row(name)                                                                                                    \
	case name:                                                                                                   \
		return #name;
		row(EPERM) row(ENOENT) row(EINTR) row(EIO) row(EBADF) row(EAGAIN) row(EACCES) row(EFAULT) row(EINVAL)
		row(EPIPE) row(ENOTSOCK) row(EDESTADDRREQ) row(EPROTOTYPE) row(ENOPROTOOPT) row(EPROTONOSUPPORT)
		row(EOPNOTSUPP) row(EAFNOSUPPORT) row(EADDRINUSE) row(EADDRNOTAVAIL) row(ENETUNREACH)
		row(ECONNABORTED) row(ECONNRESET) row(EISCONN) row(ENOTCONN) row(ETIMEDOUT) row(ETIME)
		row(ECONNREFUSED) row(EHOSTUNREACH) row(EALREADY) row(EINPROGRESS)
#undef row
	}
	snprintf(other, sizeof(other), "errno-%d", error);
	return other;
}

#endif
