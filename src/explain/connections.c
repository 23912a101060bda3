/* SPDX-License-Identifier: Apache-2.0 */
/* What a process has open to the Services of the table: its descriptors, what the kernel says of their sockets, and why. */
#include "explain/explain.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "balance/move.h"

/* ---- all sockets, with their peers ---- */

struct peers {
	struct addr *at;
	size_t count, room;
};

/* All are of interest: the kernel's list tells no peer twice. A list that is asked for again has its peers behind the first. */
static long note_peer(const void *of, const struct addr *peer)
{
	struct peers *peers = *(struct peers *const *)of;
	size_t room = peers->room ? peers->room * 2 : 256;
	struct addr *more;

	if (peers->count == peers->room) {
		more = reallocarray(peers->at, room, sizeof(*more));
		if (!more)
			return -ENOMEM;
		peers->at = more;
		peers->room = room;
	}
	peers->at[peers->count] = *peer;
	return (long)peers->count++;
}

/* ---- its descriptors ---- */

static int compare_connections(const void *a, const void *b)
{
	const struct explain_connection *left = a, *right = b;

	return (left->fd > right->fd) - (left->fd < right->fd);
}

static int add_descriptor(struct explain_connections *to, int fd, uint32_t inode)
{
	struct explain_connection *more = reallocarray(to->at, to->count + 1, sizeof(*more));

	if (!more)
		return -ENOMEM;
	to->at = more;
	to->at[to->count++] = (struct explain_connection){ .fd = fd, .inode = inode };
	return 0;
}

/* 1: it is a socket; 0: another file. Or -ENOMEM. */
static int take_descriptor(int dir, const char *name, struct explain_connections *to)
{
	char link[64];
	ssize_t n = readlinkat(dir, name, link, sizeof(link) - 1);
	unsigned inode;
	int r;

	link[n > 0 ? n : 0] = '\0';
	if (sscanf(link, "socket:[%u]", &inode) != 1)
		return 0;
	r = add_descriptor(to, atoi(name), inode);
	return r < 0 ? r : 1;
}

/* All of a process. */
static int list_descriptors(DIR *dir, struct explain_connections *to)
{
	struct dirent *entry;
	int r = 0;

	while (r >= 0 && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			r = take_descriptor(dirfd(dir), entry->d_name, to);
	if (to->count)
		qsort(to->at, to->count, sizeof(*to->at), compare_connections);
	return r < 0 ? r : 0;
}

static int take_one(DIR *dir, int fd, struct explain_connections *to)
{
	char name[16];
	struct stat st;
	int r;

	snprintf(name, sizeof(name), "%d", fd);
	if (fstatat(dirfd(dir), name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? -EBADF : -errno;
	r = take_descriptor(dirfd(dir), name, to);
	return r > 0 ? 0 : r < 0 ? r : -ENOTSOCK;
}

static int take_descriptors(int pid, int wanted, struct explain_connections *to)
{
	char path[64];
	DIR *dir;
	int r;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	if (!dir)
		return errno == ENOENT ? -ESRCH : -errno;
	r = wanted < 0 ? list_descriptors(dir, to) : take_one(dir, wanted, to);
	closedir(dir);
	return r;
}

/* Those that are open TCP connections, with their peers. */
static void keep_open(struct explain_connections *to, const struct sockets *sockets, const struct peers *peers)
{
	size_t kept = 0;

	for (size_t i = 0; i < to->count; i++) {
		const struct socket_seen *socket = sockets_find(sockets, to->at[i].inode);

		if (!socket)
			continue;
		to->at[kept] = to->at[i];
		to->at[kept++].peer = peers->at[socket->target];
	}
	to->count = kept;
}

/* ---- what they go to ---- */

static bool has_address(const struct snapshot_service *s, const struct addr *peer)
{
	for (size_t i = 0; i < s->address_count; i++)
		if (memcmp(s->addresses[i].ip, peer->ip, sizeof(peer->ip)) == 0)
			return true;
	return false;
}

static const struct snapshot_endpoint *endpoint_at(const struct snapshot_port *port, const struct addr *peer)
{
	for (size_t i = 0; i < port->endpoint_count; i++)
		if (addr_equal(&port->endpoints[i].addr, peer))
			return &port->endpoints[i];
	return NULL;
}

static void add_other(struct explain_connection *c, const struct snapshot_service *s)
{
	size_t known = c->other_count < SNAPSHOT_SHARED ? c->other_count : SNAPSHOT_SHARED;

	if (known && c->others[known - 1] == s) /* another port of it */
		return;
	if (c->other_count < SNAPSHOT_SHARED)
		c->others[c->other_count] = s;
	if (c->other_count <= SNAPSHOT_SHARED)
		c->other_count++;
}

static void take_endpoint(struct explain_connection *c, const struct snapshot_service *s, const struct snapshot_port *port)
{
	const struct snapshot_endpoint *endpoint = strcmp(port->protocol, "TCP") == 0 ? endpoint_at(port, &c->peer) : NULL;

	if (!endpoint)
		return;
	if (c->endpoint) {
		if (c->service != s)
			add_other(c, s);
		return;
	}
	c->endpoint = endpoint;
	c->service = s;
	c->port = port;
}

/* An endpoint goes before an address: who is dialed there is dialed as such. */
static void find_target(const struct snapshot *snapshot, struct explain_connection *c)
{
	for (size_t i = 0; i < snapshot->service_count; i++)
		for (size_t j = 0; j < snapshot->services[i].port_count; j++)
			take_endpoint(c, &snapshot->services[i], &snapshot->services[i].ports[j]);
	for (size_t i = 0; !c->service && i < snapshot->service_count; i++) {
		const struct snapshot_service *s = &snapshot->services[i];

		for (size_t j = 0; j < s->port_count && has_address(s, &c->peer); j++)
			if (s->ports[j].port == addr_port(&c->peer) && strcmp(s->ports[j].protocol, "TCP") == 0) {
				c->service = s;
				c->port = &s->ports[j];
			}
	}
}

static void find_targets(const struct snapshot *snapshot, struct explain_connections *to, bool all)
{
	size_t kept = 0;

	for (size_t i = 0; i < to->count; i++) {
		find_target(snapshot, &to->at[i]);
		if (all || to->at[i].service)
			to->at[kept++] = to->at[i];
	}
	to->count = kept;
}

/* ---- why not ---- */

static struct why_service facts_of(const struct snapshot *snapshot, const struct snapshot_service *s)
{
	struct why_service facts = { .name = s->name, .namespace = s->namespace, .stands_down = s->stand_down[0],
				     .is_stale = !snapshot->is_static && s->has_own_address &&
						 snapshot->age_ms > snapshot->stale_after_ms };

	facts.mode = strcmp(s->mode, "on") == 0 ? MODE_ON : strcmp(s->mode, "observe") == 0 ? MODE_OBSERVE : MODE_OFF;
	for (size_t i = 0; i < s->port_count; i++)
		for (size_t j = 0; j < s->ports[i].endpoint_count; j++)
			facts.has_endpoint |= s->ports[i].endpoints[j].usable;
	return facts;
}

/* Why none of its dials is spread by this table; what its environment alone says is judged with each Service. */
static const struct why_row *unspread(const struct process_seen *process)
{
	enum why why = process ? why_process(process) : WHY_NOT_SEEN;

	return why == WHY_COVERED || why == WHY_OBSERVES || why == WHY_OFF || why == WHY_LEFT_OUT ? NULL : why_row(why);
}

static void take_reason(const struct snapshot *snapshot, const struct process_seen *process, struct explain_connection *c)
{
	struct why_service facts;
	enum why why;

	if (!c->service)
		return;
	facts = facts_of(snapshot, c->service);
	why = !c->endpoint ? why_connection(process, &facts) : process ? why_process(process) : WHY_NOT_SEEN;
	c->why = why == WHY_COVERED ? NULL : why_row(why);
}

static int take_reasons(const struct explain_place *place, const struct snapshot *snapshot, struct sockets *sockets,
			struct explain_connections *to)
{
	struct processes_context context = { .shim_path = place->shim_path, .wanted = to->pid };
	const struct process_seen *process;
	struct processes processes;
	char path[PATH_MAX];
	struct stat st;
	int r;

	if (snprintf(path, sizeof(path), "%s/table", place->dir) < (int)sizeof(path) && stat(path, &st) == 0)
		context.table = (struct file_id){ st.st_dev, st.st_ino };
	r = processes_list(&context, sockets, &processes);
	if (r < 0)
		return r;
	process = processes_find(&processes, to->pid);
	if (process)
		snprintf(to->program, sizeof(to->program), "%s", process->name);
	to->unspread = unspread(process);
	for (size_t i = 0; i < to->count; i++)
		take_reason(snapshot, process, &to->at[i]);
	processes_free(&processes);
	return 0;
}

/* ---- what will become of it ---- */

enum explain_stay explain_stay_of(const struct explain_connection *c, const struct explanation *now)
{
	const struct explain_family *f = &now->ports[0].families[0];

	if (!c->endpoint)
		return STAY_OWN_ADDRESS;
	if (now->is_headless)
		return STAY_HEADLESS;
	if (!move_is_asked_for(&now->policy))
		return STAY_NOT_ASKED;
	if (f->affinity_s)
		return STAY_AFFINITY;
	if (f->pass == PASS_OBSERVED)
		return STAY_OBSERVED;
	if (c->why)
		return STAY_NOT_SPREAD;
	if ((f->pass != PASS_NO && f->pass != PASS_NO_ENDPOINT) || !(now->snapshot->is_static || now->snapshot->alive))
		return STAY_PASSES;
	return STAY_NO;
}

/* ---- the whole ---- */

int explain_connections(const struct explain_place *place, const struct snapshot *snapshot, int pid, int fd,
			struct explain_connections *to)
{
	struct peers peers = { 0 }, *of = &peers;
	struct sockets_filter filter = { note_peer, &of };
	struct sockets sockets = { 0 };
	int r;

	*to = (struct explain_connections){ .pid = pid, .is_one = fd >= 0 };
	r = take_descriptors(pid, fd, to);
	if (r == 0)
		r = sockets_list(&filter, &sockets);
	if (r == 0) {
		keep_open(to, &sockets, &peers);
		to->open = to->count;
		find_targets(snapshot, to, fd >= 0);
		r = fd >= 0 && to->count == 0 ? -ENOTCONN : take_reasons(place, snapshot, &sockets, to);
	}
	sockets_free(&sockets);
	free(peers.at);
	if (r < 0)
		explain_connections_free(to);
	return r;
}

void explain_connections_free(struct explain_connections *connections)
{
	free(connections->at);
	memset(connections, 0, sizeof(*connections));
}
