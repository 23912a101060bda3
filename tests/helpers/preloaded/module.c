/* SPDX-License-Identifier: Apache-2.0 */
/* A module that dials, for helpers/modules.c to load. */
#include <sys/socket.h>

int module_connect(int fd, const struct sockaddr *to, socklen_t length);

int module_connect(int fd, const struct sockaddr *to, socklen_t length)
{
	return connect(fd, to, length);
}
