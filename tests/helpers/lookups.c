/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lookups [--every N] [--errno] NAME…: asks for each name in every way that getaddrinfo(3) and its elders know, and prints
 * what each way gets, one line a way. "-" is no name at all. --every N takes each Nth way alone; --errno prints but one line:
 * how many lookups succeeded, and how many of those left another errno behind.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#ifndef AI_IDN /* of glibc alone */
#define AI_IDN 0x40
#define AI_CANONIDN 0x80
#endif
#ifndef EAI_ADDRFAMILY
#define EAI_ADDRFAMILY -9
#endif
#ifndef EAI_NODATA
#define EAI_NODATA -5
#endif

#define COUNT(array) (sizeof(array) / sizeof(*(array)))
#define ROW(name) { name, #name }

enum { MARK = 12345, GUARD = 64, BUFFER = 1100, STEP = 4 };

struct row {
	int value;
	const char *name;
};

static const struct row families[] = { ROW(AF_UNSPEC), ROW(AF_INET), ROW(AF_INET6), ROW(AF_UNIX), { 99, "99" } };
static const struct row types[] = { { 0, "0" }, ROW(SOCK_STREAM), ROW(SOCK_DGRAM), ROW(SOCK_RAW), { 99, "99" } };
static const struct row protocols[] = { { 0, "0" }, ROW(IPPROTO_TCP), ROW(IPPROTO_UDP), ROW(IPPROTO_SCTP) };
static const struct row flags[] = {
	{ 0, "0" },
	ROW(AI_PASSIVE),
	ROW(AI_CANONNAME),
	ROW(AI_NUMERICHOST),
	ROW(AI_V4MAPPED),
	ROW(AI_ALL),
	ROW(AI_ADDRCONFIG),
	ROW(AI_NUMERICSERV),
	ROW(AI_IDN),
	ROW(AI_CANONIDN),
	ROW(0x1000),
	ROW(0x40000000),
	ROW(AI_V4MAPPED | AI_ALL),
	ROW(AI_V4MAPPED | AI_ADDRCONFIG),
	ROW(AI_V4MAPPED | AI_CANONNAME),
	ROW(AI_V4MAPPED | AI_ALL | AI_CANONNAME),
	ROW(AI_CANONNAME | AI_PASSIVE),
	ROW(AI_CANONNAME | AI_ADDRCONFIG),
	ROW(AI_CANONNAME | AI_CANONIDN),
	ROW(AI_CANONNAME | AI_NUMERICHOST),
	ROW(AI_CANONNAME | AI_NUMERICSERV),
	ROW(AI_NUMERICHOST | AI_NUMERICSERV),
	ROW(AI_PASSIVE | AI_ADDRCONFIG),
};
static const char *const services[] = { NULL, "80", "http", "nosuchservice", "99999", "", "0" };

static const struct row results[] = {
	{ 0, "0" },	    ROW(EAI_BADFLAGS), ROW(EAI_NONAME),	 ROW(EAI_AGAIN),  ROW(EAI_FAIL),   ROW(EAI_NODATA),
	ROW(EAI_FAMILY),    ROW(EAI_SOCKTYPE), ROW(EAI_SERVICE), ROW(EAI_MEMORY), ROW(EAI_SYSTEM), ROW(EAI_OVERFLOW),
	ROW(EAI_ADDRFAMILY),
};
static const struct row host_errors[] = { ROW(HOST_NOT_FOUND), ROW(TRY_AGAIN), ROW(NO_RECOVERY), ROW(NO_DATA),
					  { -1, "NETDB_INTERNAL" } };

static unsigned every = 1, ways;
static bool errno_only;
static unsigned succeeded, disturbed;

static const char *name_of(const struct row *rows, size_t count, int value)
{
	static char number[32];

	for (size_t i = 0; i < count; i++)
		if (rows[i].value == value)
			return rows[i].name;
	snprintf(number, sizeof(number), "%d", value);
	return number;
}

/* Whether it is this way's turn; errno is marked for it. */
static bool is_next(void)
{
	errno = MARK;
	return ways++ % every == 0;
}

static void note_success(void)
{
	succeeded++;
	if (errno != MARK)
		disturbed++;
}

static void show_text(const char *text)
{
	for (const unsigned char *at = (const unsigned char *)text; at && *at; at++)
		printf(*at > 32 && *at < 127 ? "%c" : "\\x%02x", *at);
	if (!text)
		printf("NULL");
}

/* A long name by its beginning and its length. */
static void show_node(const char *node)
{
	char beginning[24];

	snprintf(beginning, sizeof(beginning), "%s", node ? node : "NULL");
	show_text(beginning);
	if (node && strlen(node) >= sizeof(beginning))
		printf("…(%zu)", strlen(node));
}

static void show_address(int family, const void *bytes)
{
	char text[INET6_ADDRSTRLEN];

	printf("%s", inet_ntop(family, bytes, text, sizeof(text)) ? text : "no address");
}

/* ---- getaddrinfo ---- */

static void show_entry(const struct addrinfo *ai)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)ai->ai_addr;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)ai->ai_addr;
	const bool is_v4 = ai->ai_family == AF_INET;

	printf(" | %s %s %d ", name_of(families, COUNT(families), ai->ai_family),
	       name_of(types, COUNT(types), ai->ai_socktype), ai->ai_protocol);
	show_address(ai->ai_family, is_v4 ? (const void *)&in->sin_addr : &in6->sin6_addr);
	printf(" port %d", ntohs(is_v4 ? in->sin_port : in6->sin6_port));
	if (ai->ai_addr->sa_family != ai->ai_family || ai->ai_addrlen != (is_v4 ? sizeof(*in) : sizeof(*in6)))
		printf(" family %d length %u", ai->ai_addr->sa_family, (unsigned)ai->ai_addrlen);
	if (!is_v4 && (in6->sin6_scope_id || in6->sin6_flowinfo))
		printf(" scope %u flow %u", in6->sin6_scope_id, in6->sin6_flowinfo);
	if (ai->ai_canonname) {
		printf(" name ");
		show_text(ai->ai_canonname);
	}
}

static void show_list(int result, const struct addrinfo *list)
{
	printf(": %s", name_of(results, COUNT(results), result));
	if (result == EAI_SYSTEM)
		printf(" errno %d", errno);
	for (; result == 0 && list; list = list->ai_next)
		show_entry(list);
	printf("\n");
}

static void ask(const char *node, const char *service, const struct addrinfo *hints, const char *hints_text)
{
	struct addrinfo *list = NULL;
	int result;

	if (!is_next())
		return;
	result = getaddrinfo(node, service, hints, &list);
	if (result == 0)
		note_success();
	if (!errno_only) {
		printf("getaddrinfo ");
		show_node(node);
		printf(" service %s %s", service ? service : "NULL", hints_text);
		show_list(result, list);
	}
	if (result == 0)
		freeaddrinfo(list);
}

static void ask_with(const char *node, const struct row *family, const struct row *type, const struct row *protocol,
		     const struct row *flag)
{
	struct addrinfo hints = { .ai_family = family->value,
				  .ai_socktype = type->value,
				  .ai_protocol = protocol->value,
				  .ai_flags = flag->value };
	char text[200];

	snprintf(text, sizeof(text), "%s %s %s %s", family->name, type->name, protocol->name, flag->name);
	for (size_t i = 0; i < COUNT(services); i++)
		ask(node, services[i], &hints, text);
}

static void ask_all(const char *node)
{
	for (size_t i = 0; i < COUNT(services); i++)
		ask(node, services[i], NULL, "without hints");
	for (size_t f = 0; f < COUNT(families); f++)
		for (size_t t = 0; t < COUNT(types); t++)
			for (size_t p = 0; p < COUNT(protocols); p++)
				for (size_t g = 0; g < COUNT(flags); g++)
					ask_with(node, &families[f], &types[t], &protocols[p], &flags[g]);
}

/* ---- gethostbyname and the like ---- */

static void show_failure(int error)
{
	printf(": %s", name_of(host_errors, COUNT(host_errors), error));
	if (error == -1)
		printf(" errno %d", errno);
}

static void show_host(const struct hostent *host)
{
	printf(": name ");
	show_text(host->h_name);
	for (char **alias = host->h_aliases; *alias; alias++) {
		printf(" alias ");
		show_text(*alias);
	}
	printf(" %s length %d", name_of(families, COUNT(families), host->h_addrtype), host->h_length);
	for (char **at = host->h_addr_list; *at; at++) {
		printf(" ");
		show_address(host->h_addrtype, *at);
	}
}

static void ask_static(const char *name, const struct row *family)
{
	struct hostent *host;

	if (!is_next())
		return;
	host = family ? gethostbyname2(name, family->value) : gethostbyname(name);
	if (host)
		note_success();
	if (errno_only)
		return;
	printf("gethostbyname%s ", family ? "2" : "");
	show_node(name);
	printf(" %s", family ? family->name : "");
	if (host)
		show_host(host);
	else
		show_failure(h_errno);
	printf("\n");
}

/* A call of the form that has a buffer. */
struct call {
	const char *name;
	const struct row *family; /* NULL: gethostbyname_r */
	char *buffer;
	size_t size;
	struct hostent host, *result;
	int status, error;
};

static void make_call(struct call *c)
{
	memset(c->buffer, 'g', c->size + GUARD);
	c->result = &c->host;
	c->error = MARK;
	errno = MARK;
	if (c->family)
		c->status = gethostbyname2_r(c->name, c->family->value, &c->host, c->buffer, c->size, &c->result, &c->error);
	else
		c->status = gethostbyname_r(c->name, &c->host, c->buffer, c->size, &c->result, &c->error);
	if (c->result && !c->status)
		note_success();
}

static bool is_inside(const struct call *c, const char *at)
{
	return at >= c->buffer && at < c->buffer + c->size;
}

/* What a caller may rely on, whatever the answer is. NULL where all of it holds. */
static const char *broken_promise(const struct call *c)
{
	for (size_t i = c->size; i < c->size + GUARD; i++)
		if (c->buffer[i] != 'g')
			return "wrote beyond the buffer";
	if (c->result && c->result != &c->host)
		return "a result that is somebody else's";
	if (c->result && c->status)
		return "a result and a failure";
	if (c->result && (!is_inside(c, c->host.h_name) || !is_inside(c, c->host.h_addr_list[0])))
		return "an answer outside of the buffer";
	return NULL;
}

/* The same for every size that is enough. */
static bool is_same(const struct call *c, const struct call *first)
{
	return c->status == first->status && !c->result == !first->result && c->error == first->error &&
	       (!c->result || (strcmp(c->host.h_name, c->buffer + (first->host.h_name - first->buffer)) == 0 &&
			       c->host.h_addrtype == first->host.h_addrtype));
}

/* Every size of buffer: those that are too small say so, and from some size on the answer is the same. */
static void ask_reentrant(const char *name, const struct row *family, size_t offset)
{
	static char memory[BUFFER + GUARD + 16] __attribute__((aligned(16)));
	struct call c = { .name = name, .family = family, .buffer = memory + offset }, first = { .size = 0 };
	bool is_enough = false;
	char title[100];

	if (!is_next())
		return;
	snprintf(title, sizeof(title), "gethostbyname%s_r at %zu %s", family ? "2" : "", offset, family ? family->name : "");
	for (c.size = 0; c.size <= BUFFER; c.size += STEP) {
		const char *broken;

		make_call(&c);
		broken = broken_promise(&c);
		if (!broken && is_enough && !is_same(&c, &first))
			broken = "another answer in a larger buffer";
		if (broken)
			printf("%s in %zu bytes: %s\n", title, c.size, broken);
		if (!is_enough && c.status != ERANGE) {
			is_enough = true;
			first = c;
		}
	}
	if (errno_only)
		return;
	printf("%s ", title);
	show_node(name);
	printf(" status %d", c.status);
	if (c.result)
		show_host(&c.host);
	else
		show_failure(c.error);
	printf("\nenough for %s ", title);
	show_node(name);
	printf(": %zu\n", first.size);
}

static void ask_hosts(const char *name)
{
	ask_static(name, NULL);
	for (size_t f = 1; f < 3; f++) /* glibc aborts at any other */
		ask_static(name, &families[f]);
	for (size_t offset = 0; offset < 4; offset += 3) {
		ask_reentrant(name, NULL, offset);
		for (size_t f = 1; f < 3; f++)
			ask_reentrant(name, &families[f], offset);
	}
}

int main(int argc, char **argv)
{
	int i = 1;

	for (; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
		if (strcmp(argv[i], "--errno") == 0)
			errno_only = true;
		else if (strcmp(argv[i], "--every") == 0 && i + 1 < argc)
			every = (unsigned)atoi(argv[++i]);
		else
			return 2;
	}
	if (i == argc || every == 0)
		return 2;
	for (; i < argc; i++) {
		const char *name = strcmp(argv[i], "-") == 0 ? NULL : argv[i];

		ask_all(name);
		if (name)
			ask_hosts(name);
	}
	if (errno_only)
		printf("%u lookups succeeded, %u changed errno\n", succeeded, disturbed);
	return 0;
}
