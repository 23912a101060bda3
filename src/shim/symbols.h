/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions that the shim stands in front of: one row each. exports.map lists the same names, and the hooks
 * themselves are ordinary definitions in hook_connect.c and hook_names.c.
 */
#ifndef FAIRDIAL_SHIM_SYMBOLS_H
#define FAIRDIAL_SHIM_SYMBOLS_H

#include <netdb.h>
#include <sys/socket.h>

#define SHIM_SYMBOLS(row)                                                                                            \
	row(connect)                                                                                                 \
	row(sendto)                                                                                                  \
	row(sendmsg)                                                                                                 \
	row(sendmmsg)                                                                                                \
	row(getaddrinfo)                                                                                             \
	row(gethostbyname)                                                                                           \
	row(gethostbyname2)                                                                                          \
	row(gethostbyname_r)                                                                                         \
	row(gethostbyname2_r)

#endif
