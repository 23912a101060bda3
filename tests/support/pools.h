/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pools of connections as programs have them, at constant load, while the list under them changes: three servers, then six,
 * then two. All servers go on serving all the time, so a request that fails does so because its connection was closed. The client
 * prints "backend-3" for each request, or "failed" and why; its lines are what a test waits for.
 */
#ifndef FAIRDIAL_TESTS_POOLS_H
#define FAIRDIAL_TESTS_POOLS_H

#include <stdbool.h>
#include <stddef.h>

struct agent_run;
struct place;
struct process;
struct services;

/* What divides evenly by three, six and two: who has its share has as many as any other. */
enum { POOL_SERVERS = 6, POOL_CONNECTIONS = 12 };

/* Between two requests on a connection: `quiet` is a quarter of it, so a connection is quiet for most of the time. */
#define POOL_PAUSE_S "0.4"

struct pool {
	const char *title;
	struct services *s; /* of a Service `web`, whose file an agent follows: it is told of each connection that ends */
	struct agent_run *agent;
	int port;
	const struct place *places;
	/* Counts the connections of each server. */
	void (*count)(const void *what, unsigned *open);
	const void *what;
	bool terminating; /* who goes is in the list still, and says so */
	unsigned slack;	  /* the most and the fewest connections of a server may be so far apart */
	const char *pace; /* "\"rebalance\": \"4s\", \"quiet\": \"100ms\"" where NULL, which is for the pauses above */
	struct process *client;
	unsigned answers, failed;
	const char *failures; /* as the client told them */
};

/* `count` for servers that do not count themselves: what the kernel has of connections that neither side has closed. */
void pool_count_by_kernel(const void *places, unsigned *open);

/* Writes the first list, of three, and starts the agent. */
void pool_open(struct pool *p);

/* All of it, from the client's first lines on: even over three, six, two; counts are printed. Ends the client. */
void pool_follow(struct pool *p);

/* Connections that were closed for this reason, as status tells. */
unsigned pool_moved(struct pool *p, const char *reason);

/* A python that has these modules ("pymysql, sqlalchemy"), the first in PATH or the distribution's own; skips the test without. */
const char *python_with(const char *modules);

#endif
