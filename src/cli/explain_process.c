/* SPDX-License-Identifier: Apache-2.0 */
/* What a process has open to the Services of the table: its descriptors, and what the kernel says of their sockets. */
#include "cli/explain.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "inspect/why.h"

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

static int list_descriptors(int pid, int wanted, struct explain_connections *to)
{
	char path[64], link[64];
	struct dirent *entry;
	bool found = false;
	int r = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	if (!dir)
		return errno == ENOENT ? -ESRCH : -errno;
	while (r == 0 && (entry = readdir(dir))) {
		ssize_t n = readlinkat(dirfd(dir), entry->d_name, link, sizeof(link) - 1);
		int fd = atoi(entry->d_name);
		unsigned inode;

		if (entry->d_name[0] == '.' || (wanted >= 0 && fd != wanted))
			continue;
		found = true;
		link[n > 0 ? n : 0] = '\0';
		if (sscanf(link, "socket:[%u]", &inode) == 1)
			r = add_descriptor(to, fd, inode);
	}
	closedir(dir);
	if (to->count)
		qsort(to->at, to->count, sizeof(*to->at), compare_connections);
	if (r == 0 && wanted >= 0 && !found)
		return -EBADF;
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

static void take_endpoint(struct explain_connection *c, const struct snapshot_service *s, const struct snapshot_port *port)
{
	const struct snapshot_endpoint *endpoint = strcmp(port->protocol, "TCP") == 0 ? endpoint_at(port, &c->peer) : NULL;

	if (!endpoint)
		return;
	if (c->endpoint) {
		if (c->service != s && c->other_count < SNAPSHOT_SHARED)
			c->others[c->other_count++] = s;
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

static void take_reason(const struct snapshot *snapshot, const struct process_seen *process, struct explain_connection *c)
{
	struct why_service facts;
	enum why why;

	if (!c->service)
		return;
	facts = facts_of(snapshot, c->service);
	why = !c->endpoint ? why_connection(process, &facts) : process ? why_process(process) : WHY_NOT_SEEN;
	if (why == WHY_COVERED)
		return;
	c->why = why_row(why)->name;
	c->why_text = why_row(why)->text;
	c->remedy = why_row(why)->remedy;
}

static int take_reasons(const char *dir, const struct snapshot *snapshot, struct sockets *sockets, struct explain_connections *to)
{
	struct processes_context context = { .shim_path = NULL };
	const struct process_seen *process;
	char path[PATH_MAX], shim[PATH_MAX];
	struct processes processes;
	struct stat st;
	int r;

	if (snprintf(path, sizeof(path), "%s/table", dir) < (int)sizeof(path) && stat(path, &st) == 0)
		context.table = (struct file_id){ st.st_dev, st.st_ino };
	if (cli_shim_path(shim) == 0)
		context.shim_path = shim;
	r = processes_list(&context, sockets, &processes);
	if (r < 0)
		return r;
	process = processes_find(&processes, to->pid);
	if (process)
		snprintf(to->program, sizeof(to->program), "%s", process->name);
	for (size_t i = 0; i < to->count; i++)
		take_reason(snapshot, process, &to->at[i]);
	processes_free(&processes);
	return 0;
}

int explain_connections(const char *dir, const struct snapshot *snapshot, int pid, int fd, struct explain_connections *to)
{
	struct peers peers = { 0 }, *of = &peers;
	struct sockets_filter filter = { note_peer, &of };
	struct sockets sockets = { 0 };
	int r;

	*to = (struct explain_connections){ .pid = pid };
	r = list_descriptors(pid, fd, to);
	if (r == 0)
		r = sockets_list(&filter, &sockets);
	if (r == 0) {
		keep_open(to, &sockets, &peers);
		to->open = to->count;
		find_targets(snapshot, to, fd >= 0);
		r = fd >= 0 && to->count == 0 ? -ENOTCONN : take_reasons(dir, snapshot, &sockets, to);
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
