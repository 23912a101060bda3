/* SPDX-License-Identifier: Apache-2.0 */
/* resolver NAME: asks for a name in the ways that programs do, and prints what each gets, one line a way. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static void show_list(const struct addrinfo *list)
{
	char text[INET6_ADDRSTRLEN];

	for (; list; list = list->ai_next) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)list->ai_addr;
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)list->ai_addr;
		const void *address = list->ai_family == AF_INET ? (const void *)&in->sin_addr : &in6->sin6_addr;

		inet_ntop(list->ai_family, address, text, sizeof(text));
		printf(" %s port %d type %d protocol %d%s%s", text, ntohs(in->sin_port), list->ai_socktype,
		       list->ai_protocol, list->ai_canonname ? " name " : "",
		       list->ai_canonname ? list->ai_canonname : "");
	}
}

static void ask(const char *what, const char *name, const char *service, int family, int type, int flags)
{
	struct addrinfo hints = { .ai_family = family, .ai_socktype = type, .ai_flags = flags }, *list = NULL;
	int error = getaddrinfo(name, service, &hints, &list);

	printf("%s:", what);
	if (error)
		printf(" error %d", error);
	else
		show_list(list);
	printf("\n");
	if (!error)
		freeaddrinfo(list);
}

static void show_host(const char *what, const struct hostent *host, const int *error)
{
	char text[INET6_ADDRSTRLEN];

	printf("%s:", what);
	if (!host)
		printf(" error %d", *error);
	for (int i = 0; host && host->h_addr_list[i]; i++)
		printf(" %s %s length %d", host->h_name,
		       inet_ntop(host->h_addrtype, host->h_addr_list[i], text, sizeof(text)), host->h_length);
	printf("\n");
}

static void ask_reentrant(const char *name, size_t size)
{
	struct hostent host, *result = &host;
	char buffer[1024];
	int error = 0, status = gethostbyname_r(name, &host, buffer, size, &result, &error);

	printf("gethostbyname_r in %zu bytes: %s, result %s", size,
	       status == ERANGE ? "ERANGE"
	       : status         ? "error"
				: "0",
	       result ? "set" : "NULL");
	show_host("", result, &error);
}

int main(int argc, char **argv)
{
	const char *name = argv[1];
	struct addrinfo *list;
	int error;

	if (argc != 2)
		return 2;
	ask("stream", name, "80", AF_UNSPEC, SOCK_STREAM, 0);
	ask("any type", name, "80", AF_UNSPEC, 0, 0);
	ask("no service", name, NULL, AF_INET, SOCK_STREAM, 0);
	ask("service by name", name, "http", AF_INET, SOCK_STREAM, 0);
	ask("datagram", name, "53", AF_INET, SOCK_DGRAM, 0);
	ask("configured", name, "80", AF_UNSPEC, SOCK_STREAM, AI_ADDRCONFIG);
	ask("canonical", name, "80", AF_UNSPEC, SOCK_STREAM, AI_CANONNAME);
	ask("numeric only", name, "80", AF_UNSPEC, SOCK_STREAM, AI_NUMERICHOST);
	ask("numeric service only", name, "http", AF_INET, SOCK_STREAM, AI_NUMERICSERV);
	ask("IPv6", name, "80", AF_INET6, SOCK_STREAM, 0);
	ask("IPv6, mapped", name, "80", AF_INET6, SOCK_STREAM, AI_V4MAPPED);
	ask("IPv6, mapped, all", name, "80", AF_INET6, SOCK_STREAM, AI_V4MAPPED | AI_ALL);
	ask("no such family", name, "80", 999, SOCK_STREAM, 0);
	ask("no such type", name, "80", AF_INET, 99, 0);
	ask("unknown service", name, "nonsense-service", AF_INET, SOCK_STREAM, 0);
	ask("no name", NULL, "80", AF_INET, SOCK_STREAM, 0);
	ask("passive", NULL, "80", AF_INET, SOCK_STREAM, AI_PASSIVE);
	ask("neither", NULL, NULL, AF_INET, SOCK_STREAM, 0);
	error = getaddrinfo(name, "80", NULL, &list);
	printf("without hints: %d\n", error);
	if (!error)
		freeaddrinfo(list);
	show_host("gethostbyname", gethostbyname(name), &h_errno);
	show_host("gethostbyname2", gethostbyname2(name, AF_INET), &h_errno);
	show_host("gethostbyname2, IPv6", gethostbyname2(name, AF_INET6), &h_errno);
	ask_reentrant(name, 1024);
	ask_reentrant(name, 8);
	return 0;
}
