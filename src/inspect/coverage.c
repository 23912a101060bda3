/* SPDX-License-Identifier: Apache-2.0 */
#include "inspect/coverage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "inspect/sockets.h"

/* ---- destinations ---- */

static int compare_targets(const void *a, const void *b)
{
	const struct coverage_target *left = a, *right = b;
	int order = addr_compare(&left->addr, &right->addr);

	return order ? order : (int)right->is_endpoint - (int)left->is_endpoint;
}

static void sort_targets(struct coverage_question *q)
{
	size_t kept = 0;

	if (q->target_count)
		qsort(q->targets, q->target_count, sizeof(*q->targets), compare_targets);
	for (size_t i = 0; i < q->target_count; i++)
		if (kept == 0 || !addr_equal(&q->targets[kept - 1].addr, &q->targets[i].addr))
			q->targets[kept++] = q->targets[i];
	q->target_count = kept;
}

static int compare_addresses(const void *a, const void *b)
{
	return addr_compare(&((const struct coverage_target *)a)->addr, &((const struct coverage_target *)b)->addr);
}

static long find_target(const void *of, const struct addr *peer)
{
	const struct coverage_question *q = of;
	struct coverage_target wanted = { .addr = *peer }, *found;

	found = q->target_count ? bsearch(&wanted, q->targets, q->target_count, sizeof(wanted), compare_addresses) : NULL;
	return found ? found - q->targets : -ENOENT;
}

/* ---- counting ---- */

static int compare_sockets(const void *a, const void *b)
{
	const struct socket_seen *left = a, *right = b;

	if (left->target != right->target)
		return left->target < right->target ? -1 : 1;
	return (left->holder > right->holder) - (left->holder < right->holder);
}

static void count_through(const struct coverage_question *q, struct coverage *c, const struct socket_seen *socket,
			  const struct process_seen *process)
{
	const struct coverage_target *target = &q->targets[socket->target];
	struct coverage_through *last = c->through_count ? &c->through[c->through_count - 1] : NULL;

	c->through_open++;
	if (last && last->target == target && last->process == process) {
		last->open++;
		return;
	}
	c->through[c->through_count++] = (struct coverage_through){
		.target = target,
		.process = process,
		.open = 1,
	};
}

/* ---- reasons ---- */

static bool leaves_out(const struct process_seen *p, const struct why_service *s)
{
	return !environment_allows(&p->environment, s->name, s->namespace);
}

/* A process that has lists of its own. Where it dials nothing, it is judged by all that there is. */
static bool leaves_all_out(const struct coverage_question *q, const struct coverage *c, const struct process_seen *p)
{
	bool dials = p->direct + p->through, all = true;

	if (p->direct || (!p->environment.only && !p->environment.except))
		return false;
	for (size_t i = 0; all && dials && i < c->through_count; i++)
		all = c->through[i].process != p || leaves_out(p, &q->services[c->through[i].target->service]);
	for (size_t i = 0; all && !dials && i < q->service_count; i++)
		all = leaves_out(p, &q->services[i]);
	return all && (dials || q->service_count);
}

static void find_reasons(const struct coverage_question *q, struct coverage *c)
{
	for (size_t i = 0; i < c->processes.count; i++)
		c->processes.at[i].leaves_all_out = leaves_all_out(q, c, &c->processes.at[i]);
	for (size_t i = 0; i < c->through_count; i++) {
		struct coverage_through *t = &c->through[i];

		t->why = why_connection(t->process, &q->services[t->target->service]);
		c->would_be += why_is_mode(t->why) ? t->open : 0;
	}
}

/* ---- sockets ---- */

static int count_sockets(const struct coverage_question *q, struct sockets *sockets, struct coverage *c)
{
	c->through = calloc(sockets->count + 1, sizeof(*c->through));
	if (!c->through)
		return -ENOMEM;
	if (sockets->count)
		qsort(sockets->at, sockets->count, sizeof(*sockets->at), compare_sockets);
	for (size_t i = 0; i < sockets->count; i++) {
		const struct socket_seen *socket = &sockets->at[i];
		bool is_direct = q->targets[socket->target].is_endpoint;
		struct process_seen *process = NULL;

		if (socket->holder != SOCKET_NOBODY) {
			process = &c->processes.at[socket->holder];
			process->direct += is_direct;
			process->through += !is_direct;
		}
		if (is_direct)
			c->direct++;
		else
			count_through(q, c, socket, process);
	}
	find_reasons(q, c);
	return 0;
}

int coverage_take(struct coverage_question *q, struct coverage *ret_coverage)
{
	struct sockets_filter filter = { find_target, q };
	struct coverage c = { 0 };
	struct sockets sockets;
	int r;

	sort_targets(q);
	r = sockets_list(&filter, &sockets);
	if (r < 0)
		return r;
	r = processes_list(&q->context, &sockets, &c.processes);
	if (r == 0)
		r = count_sockets(q, &sockets, &c);
	sockets_free(&sockets);
	if (r < 0)
		coverage_free(&c);
	else
		*ret_coverage = c;
	return r;
}

void coverage_free(struct coverage *coverage)
{
	processes_free(&coverage->processes);
	free(coverage->through);
	memset(coverage, 0, sizeof(*coverage));
}
