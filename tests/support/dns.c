/* SPDX-License-Identifier: Apache-2.0 */
#include "support/dns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"
#include "support/testing.h"
#include "support/tun.h"

enum { RECORDS = 32, ADDRESSES = 32, MESSAGE = 1024, HEADER = 12, TYPE_A = 1, TYPE_AAAA = 28 };

struct record {
	char name[256];
	unsigned count;
	struct {
		int family;
		unsigned char bytes[16];
	} address[ADDRESSES];
};

/* Shared with the server. A record is whole before `count` says so; no test changes one. */
struct dns {
	atomic_uint count, answered;
	struct record record[RECORDS];
	pid_t pid; /* written by the test alone */
};

static const char *why_not = "main has not asked for it";

/* ---- the namespaces ---- */

static bool put_over(const char *path, const char *text)
{
	char from[] = "/tmp/fairdial-dns-XXXXXX";
	int fd = mkstemp(from);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && fchmod(fd, 0644) == 0 &&
		    mount(from, path, NULL, MS_BIND, NULL) == 0;

	if (fd >= 0) {
		close(fd);
		unlink(from); /* the mount holds it */
	}
	return done;
}

/* For AI_ADDRCONFIG, which does not count loopback's own. One of IPv6 is had where the kernel has it. */
static bool add_addresses(void)
{
	struct {
		struct in6_addr address;
		uint32_t prefix;
		int index;
	} request = { .prefix = 64, .index = (int)if_nametoindex("lo") };
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET6, "fd00::99", &request.address);
	if (fd >= 0) {
		ioctl(fd, SIOCSIFADDR, &request);
		close(fd);
	}
	return bring_up("lo:1", "10.99.0.1") == 0;
}

void dns_need_namespaces(char **argv)
{
	if (geteuid() != 0 && !getenv("FAIRDIAL_TEST_UNSHARED") && system("unshare -Urnm true 2>/dev/null") == 0) {
		setenv("FAIRDIAL_TEST_UNSHARED", "1", 1);
		execlp("unshare", "unshare", "-Urnm", "--", argv[0], (char *)NULL);
	}
	if (unshare(CLONE_NEWNS | CLONE_NEWNET) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		why_not = "no namespaces of its own (run as root)";
	else if (bring_up("lo", NULL) || !add_addresses())
		why_not = "loopback does not come up";
	else if (!put_over("/etc/resolv.conf", "search shop.svc.cluster.local svc.cluster.local cluster.local\n"
					       "nameserver 127.0.0.1\noptions ndots:5 timeout:5\n") ||
		 !put_over("/etc/hosts", "127.0.0.1 localhost\n10.9.9.9 hosted.shop.svc.cluster.local\n") ||
		 !put_over("/etc/nsswitch.conf", "hosts: files dns\nservices: files\n"))
		why_not = "nothing can be mounted over /etc";
	else
		why_not = NULL;
}

void dns_put(const char *path, const char *text)
{
	if (why_not)
		skip_because("%s", why_not);
	write_file(path, text, strlen(text));
}

/* ---- the server ---- */

/* The name of the only question, dotted; the length of the question, or 0. */
static size_t read_question(const unsigned char *message, size_t size, char name[256])
{
	size_t at = HEADER, length = 0;

	while (at < size && message[at]) {
		size_t label = message[at];

		if (label > 63 || at + 1 + label >= size || length + label + 2 > 256)
			return 0;
		if (length)
			name[length++] = '.';
		memcpy(name + length, message + at + 1, label);
		length += label;
		at += 1 + label;
	}
	name[length] = '\0';
	return at + 5 <= size ? at + 5 - HEADER : 0;
}

static const struct record *find_record(const struct dns *d, const char *name)
{
	for (unsigned i = 0; i < atomic_load(&d->count); i++)
		if (strcasecmp(d->record[i].name, name) == 0)
			return &d->record[i];
	return NULL;
}

/* Turns a query into its answer, in place. Its size. */
static size_t answer(struct dns *d, unsigned char *message, size_t size)
{
	char name[256];
	size_t question = read_question(message, size, name), at = HEADER + question;
	unsigned type = question ? (unsigned)message[at - 3] : 0, answers = 0;
	const struct record *r = find_record(d, name);
	int family = type == TYPE_A ? AF_INET : type == TYPE_AAAA ? AF_INET6 : AF_UNSPEC;

	if (!question)
		return 0;
	for (unsigned i = 0; r && i < r->count; i++) {
		unsigned length = family == AF_INET ? 4 : 16;
		/* The name of the question; class IN; five seconds. */
		unsigned char head[] = { 0xc0, HEADER, 0, (unsigned char)type, 0, 1, 0, 0, 0, 5, 0, (unsigned char)length };

		if (r->address[i].family != family)
			continue;
		memcpy(message + at, head, sizeof(head));
		memcpy(message + at + sizeof(head), r->address[i].bytes, length);
		at += sizeof(head) + length;
		answers++;
	}
	message[2] = 0x84 | (message[2] & 1);	   /* an authoritative answer */
	message[3] = r ? 0x80 : 0x83;		   /* no error, or no such name */
	memset(message + 6, 0, 6);
	message[7] = (unsigned char)answers;
	atomic_fetch_add(&d->answered, answers > 0);
	return at;
}

static void serve(struct dns *d, int fd)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		unsigned char message[MESSAGE + ADDRESSES * 28];
		struct sockaddr_in from;
		socklen_t length = sizeof(from);
		ssize_t n = recvfrom(fd, message, MESSAGE, 0, (struct sockaddr *)&from, &length);
		size_t size = n >= HEADER ? answer(d, message, (size_t)n) : 0;

		if (size)
			sendto(fd, message, size, 0, (struct sockaddr *)&from, length);
	}
}

static void stop(void *what)
{
	struct dns *d = what;

	kill(d->pid, SIGKILL);
	waitpid(d->pid, NULL, 0);
	munmap(d, sizeof(*d));
}

struct dns *dns_start(void)
{
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct dns *d;
	pid_t pid;
	int fd;

	if (why_not)
		skip_because("%s", why_not);
	d = mmap(NULL, sizeof(*d), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (bind(fd, (struct sockaddr *)&here, sizeof(here)))
		fail_msg("the port of DNS: %s", strerror(errno));
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		serve(d, fd);
	if (pid < 0)
		fail_msg("fork: %s", strerror(errno));
	d->pid = pid;
	close(fd);
	after_test(stop, d);
	return d;
}

void dns_set(struct dns *d, const char *name, const char *addresses)
{
	struct record *r = &d->record[atomic_load(&d->count)];
	char *copy = format("%s", addresses), *word;

	snprintf(r->name, sizeof(r->name), strchr(name, '.') ? "%s" : "%s.shop.svc.cluster.local", name);
	while ((word = strsep(&copy, " "))) {
		int family = strchr(word, ':') ? AF_INET6 : AF_INET;

		r->address[r->count].family = family;
		assert_int_equal(inet_pton(family, word, r->address[r->count].bytes), 1);
		r->count++;
	}
	atomic_fetch_add(&d->count, 1);
}

unsigned dns_answered(const struct dns *d)
{
	return atomic_load(&d->answered);
}
