/* SPDX-License-Identifier: Apache-2.0 */
#include "inspect/why.h"

#include <unistd.h>

#include "table/layout.h"

/* What is so; what to do. */
static const struct why_row rows[WHY_COUNT] = {
	[WHY_COVERED] = {
		"covered",
		"libfairdial.so is loaded, and on",
		NULL,
	},

	[WHY_SERVICE_OFF] = {
		"service-off",
		"the mode of the Service, or of all, is off; else it would be spread",
		"set it to on",
	},
	[WHY_SERVICE_OBSERVED] = {
		"service-observe",
		"the mode of the Service, or of all, is observe: counted, not spread; else it would be",
		"set it to on",
	},
	[WHY_STANDS_DOWN] = {
		"stands-down",
		"fairdial stands down for this Service",
		"nothing, where another spreads it, as a mesh does",
	},

	[WHY_NOT_SEEN] = {
		"not-seen",
		"who holds it cannot be seen: another PID namespace, or another user",
		"ask in its own container (kubectl exec POD -c NAME -- /opt/fairdial/bin/fairdial status --coverage), "
		"or share the process namespace (shareProcessNamespace: true) and ask as root or as the same user",
	},
	[WHY_HIDDEN] = {
		"hidden",
		"another user's, or it hides its memory: nothing more can be seen of it",
		"ask as root, or as the same user",
	},
	[WHY_GO] = {
		"go",
		"a Go program: it dials by system calls of its own, past the C library",
		"spread in the program (gRPC: round_robin over a headless Service), or by a proxy",
	},
	[WHY_STATIC] = {
		"static",
		"a static program: no loader runs that would read LD_PRELOAD",
		"link it dynamically, or spread in the program or by a proxy",
	},
	[WHY_PRIVILEGED] = {
		"privileged",
		"its file lifts it (setuid, setgid, capabilities): the loader, or the shim, leaves it alone",
		"start it as the user, or with the capabilities, that it needs, without those marks on its file",
	},
	[WHY_OTHER_MACHINE] = {
		"other-machine",
		"a program for another machine, or of 32 bits, unlike libfairdial.so",
		"use a libfairdial.so for that machine (x86-64 or aarch64; there is none of 32 bits)",
	},
	[WHY_STARTED_BEFORE] = {
		"started-before-install",
		"it was started before libfairdial.so was put into its place",
		"start it again, with LD_PRELOAD",
	},
	[WHY_NO_FILE] = {
		"no-file",
		"the libfairdial.so that LD_PRELOAD names is not there, in its file system",
		"install or mount it there, and start the program again",
	},
	[WHY_NOEXEC] = {
		"noexec",
		"the libfairdial.so that LD_PRELOAD names is on a mount of which no code may be run (noexec)",
		"mount it without noexec, or put the file elsewhere, and start the program again",
	},
	[WHY_NOT_LOADED] = {
		"not-loaded",
		"LD_PRELOAD names libfairdial.so, and the loader did not take it",
		"make the file readable to its user; at its start the loader said on stderr why",
	},
	[WHY_LOST] = {
		"preload-lost",
		"LD_PRELOAD was lost on the way: who started it has it, it has not",
		"set it behind what clears or replaces the environment (env -i, sudo, su -, a script): "
		"sudo env LD_PRELOAD=… PROGRAM",
	},
	[WHY_NEVER] = {
		"preload-never",
		"nobody gave it LD_PRELOAD, nor who started it",
		"set LD_PRELOAD to the path of libfairdial.so in its container, or start it by `fairdial run`",
	},
	[WHY_OFF] = {
		"off",
		"switched off in its environment: FAIRDIAL is off, or not understood, or a list is longer than 511 bytes",
		"take that out, and start it again",
	},
	[WHY_OBSERVES] = {
		"observe",
		"FAIRDIAL=observe in its environment: counted, not spread; else it would be",
		"take that out, and start it again",
	},
	[WHY_OTHER_TABLE] = {
		"other-table",
		"the directory in which it looks (FAIRDIAL_DIR) has another table than this one",
		"ask about that one with --dir, or set FAIRDIAL_DIR to this one and start it again",
	},
	[WHY_NO_TABLE] = {
		"no-table",
		"there is no table where it looks (FAIRDIAL_DIR), in its file system",
		"mount the agent's directory there, or set FAIRDIAL_DIR, and start it again",
	},

	[WHY_LEFT_OUT] = {
		"left-out",
		"FAIRDIAL_ONLY or FAIRDIAL_EXCEPT in its environment leaves this Service out, or all that it dials",
		"change that, and start it again",
	},
	[WHY_STALE] = {
		"stale",
		"the agent has been silent for too long: dials go to the Service's own address",
		"`fairdial status` says what the agent lacks",
	},
	[WHY_NO_ENDPOINT] = {
		"no-endpoint",
		"the Service has no endpoint that may be dialed",
		"see to its pods",
	},
	[WHY_PAST_SHIM] = {
		"past-shim",
		"covered; but dialed before there was a table, or by a bare system call, or io_uring",
		"let it connect anew; where that changes nothing, it dials past the C library",
	},
};

const struct why_row *why_row(enum why why)
{
	return &rows[why];
}

/* A program that its loader could not put the shim into, whatever it is told. */
static bool is_out_of_reach(const struct process_seen *p, enum why *ret)
{
	if (p->has_kind && (p->kind.linkage == ELF_STATIC || p->kind.linkage == ELF_STATIC_PIE))
		*ret = WHY_STATIC;
	else if (p->is_privileged)
		*ret = WHY_PRIVILEGED;
	else if (p->has_kind && p->shim.has_kind && !elf_is_same_machine(&p->kind, &p->shim.kind))
		*ret = WHY_OTHER_MACHINE;
	else
		return false;
	return true;
}

/* Both times are rounded to a tick, and one is converted from another clock: with one more between them it is sure. */
static bool started_before(const struct process_seen *p)
{
	const uint64_t tick_ms = 1000 / (uint64_t)sysconf(_SC_CLK_TCK);

	return p->shim.presence == SHIM_THERE && p->start_ms + 2 * tick_ms <= p->shim.placed_ms;
}

static enum why why_not_loaded(const struct process_seen *p)
{
	enum why why;

	if (is_out_of_reach(p, &why))
		return why;
	if (started_before(p))
		return WHY_STARTED_BEFORE;
	if (!p->environment.names_shim)
		return p->inherits ? WHY_LOST : WHY_NEVER;
	if (p->shim.presence == SHIM_MISSING)
		return WHY_NO_FILE;
	return p->shim.presence == SHIM_THERE && p->shim.is_noexec ? WHY_NOEXEC : WHY_NOT_LOADED;
}

enum why why_process(const struct process_seen *p)
{
	if (p->is_hidden || (!p->is_loaded && !p->environment.is_known))
		return WHY_HIDDEN;
	if (p->has_kind && p->kind.is_go)
		return WHY_GO;
	if (!p->is_loaded)
		return why_not_loaded(p);
	if (p->is_privileged)
		return WHY_PRIVILEGED;
	if (p->environment.mode == MODE_OFF)
		return WHY_OFF;
	if (p->table == TABLE_OTHER || p->table == TABLE_NONE)
		return p->table == TABLE_OTHER ? WHY_OTHER_TABLE : WHY_NO_TABLE;
	if (p->leaves_all_out)
		return WHY_LEFT_OUT;
	return p->environment.mode == MODE_OBSERVE ? WHY_OBSERVES : WHY_COVERED;
}

/* Of one whose dials are spread, or would be but for its mode. */
static enum why why_of_reachable(const struct process_seen *p, const struct why_service *s)
{
	if (!environment_allows(&p->environment, s->name, s->namespace))
		return WHY_LEFT_OUT;
	if (s->is_stale)
		return WHY_STALE;
	if (!s->has_endpoint)
		return WHY_NO_ENDPOINT;
	if (s->mode != MODE_ON)
		return s->mode == MODE_OBSERVE ? WHY_SERVICE_OBSERVED : WHY_SERVICE_OFF;
	return p->environment.mode == MODE_OBSERVE ? WHY_OBSERVES : WHY_PAST_SHIM;
}

enum why why_connection(const struct process_seen *p, const struct why_service *s)
{
	enum why why;

	/* Somebody else spreads it: nothing is to be done about this one. */
	if (s->stands_down)
		return WHY_STANDS_DOWN;
	if (!p)
		return WHY_NOT_SEEN;
	why = why_process(p);
	return why == WHY_COVERED || why == WHY_OBSERVES ? why_of_reachable(p, s) : why;
}
