/* SPDX-License-Identifier: Apache-2.0 */
/*
 * modules MODULE HOW HOST PORT: dials once through a function that is found in another way than by linking, and prints
 * the answer. HOW is "default", "next" or "libc" for dlsym(3) with RTLD_DEFAULT, with RTLD_NEXT and with the libc's own
 * handle; else MODULE is loaded with the flags that HOW names, joined by "+" (lazy, now, local, global, deepbind), and
 * dials itself.
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef int connect_function(int, const struct sockaddr *, socklen_t);

static int flags_of(const char *how)
{
	static const struct {
		const char *name;
		int flag;
	} flags[] = { { "lazy", RTLD_LAZY },	 { "now", RTLD_NOW },		{ "local", RTLD_LOCAL },
		      { "global", RTLD_GLOBAL }, { "deepbind", RTLD_DEEPBIND } };
	int all = 0;

	for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++)
		if (strstr(how, flags[i].name))
			all |= flags[i].flag;
	return all;
}

static void *find(const char *module, const char *how)
{
	void *handle;

	if (strcmp(how, "default") == 0)
		return dlsym(RTLD_DEFAULT, "connect");
	if (strcmp(how, "next") == 0)
		return dlsym(RTLD_NEXT, "connect");
	if (strcmp(how, "libc") == 0)
		return dlsym(dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD), "connect");
	handle = dlopen(module, flags_of(how));
	return handle ? dlsym(handle, "module_connect") : NULL;
}

int main(int argc, char **argv)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	connect_function *dial;
	char line[128] = "";
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (argc != 5)
		return 2;
	dial = (connect_function *)find(argv[1], argv[2]);
	if (!dial) {
		fprintf(stderr, "%s\n", dlerror());
		return 1;
	}
	inet_pton(AF_INET, argv[3], &to.sin_addr);
	to.sin_port = htons((uint16_t)atoi(argv[4]));
	if (dial(fd, (const struct sockaddr *)&to, sizeof(to)) || send(fd, "who\n", 4, MSG_NOSIGNAL) != 4 ||
	    recv(fd, line, sizeof(line) - 1, 0) <= 0)
		strcpy(line, strerror(errno));
	printf("%s", line);
	return 0;
}
