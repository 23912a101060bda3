/* SPDX-License-Identifier: Apache-2.0 */
#include "support/tun.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support/cleanup.h"
#include "support/process.h"
#include "support/testing.h"

enum { HOSTS = 32, PACKET_SIZE = 2048, PENDING_MAX = 1024, OUR_SEQUENCE = 1000 };

struct host {
	atomic_uint rule, delay_us, syns, dials;
};

struct tun {
	struct host *host; /* shared with the responder */
	int home;          /* the network namespace that the test came from */
	pid_t pid;
};

struct packet {
	struct iphdr ip;
	union {
		struct tcphdr tcp;
		struct icmphdr icmp;
		unsigned char bytes[PACKET_SIZE - sizeof(struct iphdr)];
	};
};

/* An answer that waits for its time. */
struct pending {
	long due_us;
	struct packet packet;
};

struct responder {
	struct tun *tun;
	int fd;
	struct pending pending[PENDING_MAX];
	size_t count;
	uint32_t sequence[HOSTS][65536]; /* of the last SYN from each source port: one sent again carries the same */
};

static long now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static uint32_t add_words(const void *bytes, size_t length, uint32_t sum)
{
	const unsigned char *b = bytes;

	for (size_t i = 0; i + 1 < length; i += 2)
		sum += (uint32_t)b[i] << 8 | b[i + 1];
	if (length & 1)
		sum += (uint32_t)b[length - 1] << 8;
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static void finish_ip(struct packet *p, size_t payload, uint8_t protocol, const struct iphdr *to)
{
	p->ip = (struct iphdr){ .version = 4, .ihl = 5, .ttl = 64, .protocol = protocol };
	p->ip.tot_len = htons((uint16_t)(sizeof(p->ip) + payload));
	p->ip.saddr = to->daddr;
	p->ip.daddr = to->saddr;
	p->ip.check = fold(add_words(&p->ip, sizeof(p->ip), 0));
}

/* A segment back to where `to` came from, with `text` behind its header. */
static struct packet segment(const struct packet *to, bool syn, bool fin, bool rst, const char *text)
{
	size_t data = ntohs(to->ip.tot_len) - sizeof(to->ip) - to->tcp.doff * 4u, length = strlen(text);
	struct packet p = { .tcp = { .doff = 5 } };

	memcpy(p.bytes + sizeof(p.tcp), text, length);
	p.tcp.source = to->tcp.dest;
	p.tcp.dest = to->tcp.source;
	p.tcp.seq = to->tcp.ack ? to->tcp.ack_seq : htonl(OUR_SEQUENCE);
	if (to->tcp.syn) /* data in a SYN is not taken: it comes again */
		data = 0;
	p.tcp.ack_seq = htonl(ntohl(to->tcp.seq) + (uint32_t)data + to->tcp.syn + to->tcp.fin);
	p.tcp.ack = 1;
	p.tcp.syn = syn;
	p.tcp.fin = fin;
	p.tcp.rst = rst;
	p.tcp.psh = length > 0;
	p.tcp.window = htons(65000);
	length += sizeof(p.tcp);
	finish_ip(&p, length, IPPROTO_TCP, &to->ip);
	p.tcp.check =
		fold(add_words(&p.ip.saddr, 8, add_words(p.bytes, length, (uint32_t)IPPROTO_TCP + (uint32_t)length)));
	return p;
}

/* Behind the answer to a SYN. */
static struct packet reset_after(const struct packet *syn)
{
	struct packet established = *syn;

	established.tcp.syn = 0;
	established.tcp.ack = 1;
	established.tcp.seq = htonl(ntohl(syn->tcp.seq) + 1);
	established.tcp.ack_seq = htonl(OUR_SEQUENCE + 1);
	established.ip.tot_len = htons((uint16_t)(sizeof(syn->ip) + syn->tcp.doff * 4u));
	return segment(&established, false, false, true, "");
}

static struct packet unreachable(const struct packet *to)
{
	struct packet p = { .icmp = { .type = ICMP_DEST_UNREACH, .code = ICMP_HOST_UNREACH } };
	size_t length = sizeof(p.icmp) + sizeof(to->ip) + 8;

	memcpy(p.bytes + sizeof(p.icmp), to, sizeof(to->ip) + 8);
	p.icmp.checksum = fold(add_words(p.bytes, length, 0));
	finish_ip(&p, length, IPPROTO_ICMP, &to->ip);
	return p;
}

static void send_packet(struct responder *r, const struct packet *p)
{
	if (write(r->fd, p, ntohs(p->ip.tot_len)) < 0)
		_exit(1);
}

static void send_at(struct responder *r, struct packet p, unsigned delay_us)
{
	if (!delay_us || r->count == PENDING_MAX)
		send_packet(r, &p);
	else
		r->pending[r->count++] = (struct pending){ now_us() + delay_us, p };
}

/* Sends what is due; returns how long the next one has to wait, -1: there is none. */
static long send_due(struct responder *r)
{
	long now = now_us(), next = -1;

	for (size_t i = 0; i < r->count; i++) {
		long wait = r->pending[i].due_us - now;

		if (wait <= 0) {
			send_packet(r, &r->pending[i].packet);
			r->pending[i--] = r->pending[--r->count];
		} else if (next < 0 || wait < next) {
			next = wait;
		}
	}
	return next;
}

static void answer_syn(struct responder *r, struct host *host, const struct packet *p, bool first)
{
	switch (atomic_load(&host->rule)) {
	case TUN_REFUSE:
		send_at(r, segment(p, false, false, true, ""), atomic_load(&host->delay_us));
		break;
	case TUN_UNREACHABLE:
		send_at(r, unreachable(p), atomic_load(&host->delay_us));
		break;
	case TUN_RESET:
		send_at(r, segment(p, true, false, false, ""), 0);
		send_at(r, reset_after(p), 0);
		break;
	case TUN_DROP_FIRST:
		if (first)
			break;
		/* fallthrough */
	case TUN_ACCEPT:
		send_at(r, segment(p, true, false, false, ""), atomic_load(&host->delay_us));
		break;
	}
}

static void answer_rest(struct responder *r, const struct packet *p, int host)
{
	size_t data = ntohs(p->ip.tot_len) - sizeof(p->ip) - p->tcp.doff * 4u;
	char line[16];

	if (p->tcp.rst)
		return;
	snprintf(line, sizeof(line), "tun-%d\n", host);
	if (p->tcp.fin)
		send_at(r, segment(p, false, true, false, ""), 0);
	else if (data)
		send_at(r, segment(p, false, false, false, line), 0);
}

static void take(struct responder *r, const struct packet *p)
{
	int host = (int)(ntohl(p->ip.daddr) & 0xff);
	uint32_t *sequence;

	if (p->ip.version != 4 || p->ip.ihl != 5 || p->ip.protocol != IPPROTO_TCP || host >= HOSTS)
		return;
	if (atomic_load(&r->tun->host[host].rule) == TUN_VANISH)
		return;
	sequence = &r->sequence[host][p->tcp.source];
	if (p->tcp.syn) {
		bool first = *sequence != p->tcp.seq;

		*sequence = p->tcp.seq;
		atomic_fetch_add(&r->tun->host[host].syns, 1);
		atomic_fetch_add(&r->tun->host[host].dials, first);
		answer_syn(r, &r->tun->host[host], p, first);
	} else {
		answer_rest(r, p, host);
	}
}

/* Answers late by so little must not be later: as root, before whoever waits for them. */
static void hurry(void)
{
	sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){ .sched_priority = 10 });
}

static void respond(struct tun *t, int fd)
{
	struct responder *r = calloc(1, sizeof(*r));
	struct packet packet;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_TIMERSLACK, 1);
	hurry();
	r->tun = t;
	r->fd = fd;
	for (;;) {
		long wait = send_due(r);
		struct timespec limit = { wait / 1000000, wait % 1000000 * 1000 };
		struct pollfd readable = { fd, POLLIN, 0 };

		if (ppoll(&readable, 1, wait < 0 ? NULL : &limit, NULL) > 0 && read(fd, &packet, sizeof(packet)) > 0)
			take(r, &packet);
	}
}

/* Address and state of one interface. */
int bring_up(const char *name, const char *address)
{
	struct ifreq request = { 0 };
	struct sockaddr_in *in = (struct sockaddr_in *)&request.ifr_addr;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), bad = 0;

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (address) {
		in->sin_family = AF_INET;
		inet_pton(AF_INET, address, &in->sin_addr);
		bad |= ioctl(fd, SIOCSIFADDR, &request);
		inet_pton(AF_INET, "255.255.255.0", &in->sin_addr);
		bad |= ioctl(fd, SIOCSIFNETMASK, &request);
	}
	request.ifr_flags = IFF_UP | IFF_RUNNING;
	bad |= ioctl(fd, SIOCSIFFLAGS, &request);
	close(fd);
	return bad;
}

static int open_device(void)
{
	struct ifreq request = { .ifr_name = "fairdial0", .ifr_flags = IFF_TUN | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (fd >= 0 && ioctl(fd, TUNSETIFF, &request) == 0 && bring_up("fairdial0", "10.99.0.1") == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static void tun_end(void *what)
{
	struct tun *t = what;
	int status;

	if (t->pid > 0) {
		kill(t->pid, SIGKILL);
		waitpid(t->pid, &status, 0);
	}
	if (setns(t->home, CLONE_NEWNET))
		_exit(1); /* the tests after it would run in the wrong place */
	close(t->home);
	munmap(t->host, HOSTS * sizeof(*t->host));
	free(t);
}

struct tun *tun_open(void)
{
	struct tun *t = calloc(1, sizeof(*t));
	int fd;

	t->home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (t->home < 0 || unshare(CLONE_NEWNET))
		skip_because("no network namespace of its own (run as root): %s", strerror(errno));
	t->host = mmap(NULL, HOSTS * sizeof(*t->host), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	after_test(tun_end, t);
	fd = open_device();
	if (fd < 0)
		skip_because("no TUN device: %s", strerror(errno));
	if (bring_up("lo", NULL))
		fail_msg("loopback: %s", strerror(errno));
	fflush(stdout);
	t->pid = fork();
	if (t->pid == 0)
		respond(t, fd);
	close(fd);
	return t;
}

void tun_need_root(char **argv)
{
	if (geteuid() == 0) {
		if (getenv("FAIRDIAL_TEST_UNSHARED"))
			bring_up("lo", NULL);
		return;
	}
	if (system("unshare -Urn true 2>/dev/null") == 0) {
		setenv("FAIRDIAL_TEST_UNSHARED", "1", 1);
		execlp("unshare", "unshare", "-Urn", "--", argv[0], (char *)NULL);
	}
}

const char *tun_address(int host)
{
	return format("10.99.0.%d", host);
}

void tun_set(struct tun *t, int host, enum tun_rule rule, unsigned delay_us)
{
	atomic_store(&t->host[host].delay_us, delay_us);
	atomic_store(&t->host[host].rule, rule);
}

unsigned tun_syns(const struct tun *t, int host)
{
	return atomic_load(&t->host[host].syns);
}

unsigned tun_dials(const struct tun *t, int host)
{
	return atomic_load(&t->host[host].dials);
}
