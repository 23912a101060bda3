/* SPDX-License-Identifier: Apache-2.0 */
#include "explain/explain.h"

static const struct explain_row passes[PASS_COUNT] = {
	[PASS_NO] = { "no", "" },
	[PASS_NOT_TCP] = { "not-tcp", "only TCP is spread" },
	[PASS_PROCESS] = { "process", "the process is not spread by this table" },
	[PASS_PROCESS_OFF] = { "process-off", "FAIRDIAL, or a list that is too long, switches this process off" },
	[PASS_SERVICE_OFF] = { "service-off", "the mode of the Service, or of all, is off" },
	[PASS_LISTS] = { "left-out", "FAIRDIAL_ONLY or FAIRDIAL_EXCEPT leaves this Service out" },
	[PASS_STANDS_DOWN] = { "stands-down", "the Service stands down" },
	[PASS_STALE] = { "stale", "the table is too old to be believed: its agent is silent" },
	[PASS_QUIET] = { "quiet", "its agent is silent, so names are left to DNS, in the order that DNS gives" },
	[PASS_OBSERVED] = { "observed", "mode observe: counted, and not changed" },
	[PASS_NO_ENDPOINT] = { "no-endpoint", "no endpoint can be dialed" },
};

static const struct explain_row outs[OUT_COUNT] = {
	[OUT_NO] = { "candidate", "" },
	[OUT_NOT_READY] = { "not-ready", "not ready" },
	[OUT_TERMINATING] = { "terminating", "terminating" },
	[OUT_LEFT_OUT] = { "left-out", "left out: other endpoints go before it, by topology or weight" },
	[OUT_EJECTED] = { "ejected", "ejected" },
	[OUT_ON_TRIAL] = { "on-trial", "ejected; one dial tries it at this moment" },
	[OUT_OTHER_FAMILY] = { "other-family", "of the other address family" },
};

static const struct explain_row sights[SIGHT_COUNT] = {
	[SIGHT_CERTAIN] = { "certain", "" },
	[SIGHT_CHANCE] = { "by-chance", "by chance" },
	[SIGHT_NO_LEDGER] = { "no-ledger", "without a ledger each process chooses for itself" },
	[SIGHT_OTHER_HOST] = { "other-host-name", "it follows from the host name of that process, which is not ours" },
};

static const struct explain_row stays[STAY_COUNT] = {
	[STAY_NO] = { "may-move", "" },
	[STAY_NOT_ASKED] = { "not-asked", "drain, rebalance and max_age are off" },
	[STAY_AFFINITY] = { "affinity", "sessionAffinity: its connections never leave" },
	[STAY_NOT_SPREAD] = { "process", "nothing in its process would close it: the shim is not at work there" },
	[STAY_OWN_ADDRESS] = { "own-address", "it goes to the Service's own address: it is not ours" },
	[STAY_HEADLESS] = { "headless", "it was dialed by a pod's own address, as a headless Service's are: it is not ours" },
	[STAY_OBSERVED] = { "observed", "mode observe: that it would have been closed is counted, and it stays" },
	[STAY_PASSES] = { "not-now", "as long as dials pass through, or the agent is silent, nothing is closed" },
};

const struct explain_row *explain_pass_row(enum explain_pass pass)
{
	return &passes[pass < PASS_COUNT ? pass : PASS_NO];
}

const struct explain_row *explain_out_row(enum explain_out out)
{
	return &outs[out < OUT_COUNT ? out : OUT_NO];
}

const struct explain_row *explain_sight_row(enum explain_sight sight)
{
	return &sights[sight < SIGHT_COUNT ? sight : SIGHT_CERTAIN];
}

const struct explain_row *explain_stay_row(enum explain_stay stay)
{
	return &stays[stay < STAY_COUNT ? stay : STAY_NO];
}
