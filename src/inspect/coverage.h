/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which open connections to known Services are direct to an endpoint, which go through a Service's own address, whose they are,
 * and why. Of the network namespace and, as far as they can be seen, the processes of the caller.
 *
 * Where the network itself exchanges the address within connect(2) (Cilium's socket load balancing does), the kernel lists an
 * endpoint for every connection, whoever picked it: all are direct then, and only what is said of the processes tells who is
 * spread.
 */
#ifndef FAIRDIAL_INSPECT_COVERAGE_H
#define FAIRDIAL_INSPECT_COVERAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/addr.h"
#include "inspect/processes.h"
#include "inspect/why.h"

/* A destination of interest: an endpoint, or a Service's own address with a port. */
struct coverage_target {
	struct addr addr;
	bool is_endpoint;
	size_t service; /* a row of the Services, where it is none */
};

struct coverage_question {
	struct coverage_target *targets; /* sorted here; of two of one address, endpoints win, who are dialed there as such */
	size_t target_count;
	const struct why_service *services;
	size_t service_count;
	struct processes_context context;
};

/* Connections of one process to one address. */
struct coverage_through {
	const struct coverage_target *target;
	const struct process_seen *process; /* NULL: nobody was seen to hold them */
	size_t open;
	enum why why;
};

struct coverage {
	struct processes processes; /* with what each holds, `direct` and `through` */
	size_t direct, through_open;
	size_t would_be; /* of those through, that would be spread, were a mode on */
	struct coverage_through *through; /* in the order of addresses, then of pids; nobody's at the end */
	size_t through_count;
};

/*
 * 0, or a negative errno. The caller frees the answer, before the question's arrays, into which it points. Takes time in
 * proportion to the sockets and to the descriptors of all processes.
 */
int coverage_take(struct coverage_question *question, struct coverage *ret_coverage);
void coverage_free(struct coverage *coverage);

#endif
