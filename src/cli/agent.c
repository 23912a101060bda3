/* SPDX-License-Identifier: Apache-2.0 */
/* fairdial agent: follows the Kubernetes API, a services file, or both, and keeps table and ledger true. */
#include <errno.h>
#include <getopt.h>
#include <ifaddrs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/exporter.h"
#include "agent/log.h"
#include "agent/started.h"
#include "base/addr.h"
#include "base/duration.h"
#include "base/text.h"
#include "cli/cli.h"
#include "install/self.h"
#include "kube/config.h"
#include "model/addresses.h"
#include "model/label.h"
#include "model/policy.h"
#include "table/mode.h"

#define STEP_MS	      1000
#define STARTED_IDLE  600000
#define MAX_ADDRESSES 32
#define MAX_NAMES     64

/* Source, what of it, where to, whose pod, and how it behaves. */
enum {
	OPT_KUBECONFIG, OPT_SERVICES, OPT_NAMESPACE, OPT_ALL, OPT_SERVICE, OPT_MODE, OPT_DIR, OPT_PER_NAMESPACE, OPT_NO_LEDGER,
	OPT_SHARE_LEDGER, OPT_RANGE, OPT_NODE, OPT_ZONE, OPT_HOST_NETWORK, OPT_IGNORE_MESH, OPT_LISTEN, OPT_BACKOFF, OPT_IDLE,
	OPT_STARTED,
};

static const struct cli_option options[] = {
	[OPT_KUBECONFIG] = { "kubeconfig", "FILE", "how to reach the API (default: the pod's account, else $KUBECONFIG)" },
	[OPT_SERVICES] = { "services", "[-]FILE",
			   "alone or beside the API, whose Services of its names it replaces; -FILE may be missing" },
	[OPT_NAMESPACE] = { "namespace", "NS,...", "whose Services (default: this pod's)" },
	[OPT_ALL] = { "all-namespaces", NULL, "those of the whole cluster: for one agent a node" },
	[OPT_SERVICE] = { "service", "NAME,...", "these Services alone, NAME or NAME.NAMESPACE" },
	[OPT_MODE] = { "mode", "on|observe|off", "of Services whose mode nobody else says (default: on)" },
	[OPT_DIR] = { "dir", "DIR", "where table and ledger are (default: $FAIRDIAL_DIR, else /run/fairdial)" },
	[OPT_PER_NAMESPACE] = { "per-namespace", NULL, "DIR/NS/table for each namespace, for one agent a node; no ledger" },
	[OPT_NO_LEDGER] = { "no-ledger", NULL, "the programs are in other pods: keep no counts" },
	[OPT_SHARE_LEDGER] = { "share-ledger", NULL, "the directory is this pod's own: all its users share the counts" },
	[OPT_RANGE] = { "address-range", "PREFIX[,PREFIX]", "for Services without an address (default: 240.0.0.0/4)" },
	[OPT_NODE] = { "node", "NAME", "this pod's node (default: $NODE_NAME)" },
	[OPT_ZONE] = { "zone", "NAME", "and its zone (default: $NODE_ZONE, else that of any endpoint on the node)" },
	[OPT_HOST_NETWORK] = { "host-network", NULL, "the sockets seen here are the node's (default: where $POD_IP is $HOST_IP)" },
	[OPT_IGNORE_MESH] = { "ignore-mesh", NULL, "spread also where a service mesh listens in this pod" },
	[OPT_LISTEN] = { "listen", "ADDR:PORT", "serve /metrics, /healthz and /readyz there; :PORT is every address" },
	[OPT_BACKOFF] = { "backoff", "DURATION",
			  "the first pause after a failure of the API, later up to 37 times as long (default: 800ms)" },
	[OPT_IDLE] = { "exit-when-idle", "DURATION", "end, and take the table back, when nobody has used it for so long" },
	[OPT_STARTED] = { "autostarted", NULL, "as a program starts it: end where another agent is, and when idle (10m)" },
	{ 0 },
};

struct names {
	const char *at[MAX_NAMES];
	size_t count;
};

struct arguments {
	const char *kubeconfig, *backoff, *idle;
	bool autostarted;
	struct names namespaces, services;
	struct table_policy policy;
	struct agent_options agent;
};

static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

/* Cuts at the commas, in place: the list is the process's own. */
static bool split(char *list, struct names *names)
{
	for (char *name = strtok(list, ","); name; name = strtok(NULL, ",")) {
		if (names->count == MAX_NAMES)
			return false;
		names->at[names->count++] = name;
	}
	return names->count > 0;
}

static bool take_mode(struct arguments *a, const char *mode)
{
	if (policy_set(&a->policy, policy_find("mode", strlen("mode")), mode, strlen(mode), ORIGIN_OPTION) < 0)
		return false;
	a->agent.model.policy = &a->policy;
	return true;
}

/* What an annotation of a pod may say passes, also where it is the name of nothing: a sidecar that ends would keep the pod down. */
static bool may_be_service(const char *text)
{
	return text[0] != '-' && text[0] != '.' && text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-.")] == '\0';
}

/* They go into the API's paths: a blank behind a comma would be a server that cannot be reached. */
static int check_names(const struct verb *verb, const struct arguments *a)
{
	for (size_t i = 0; i < a->namespaces.count; i++)
		if (!label_is_valid(slice_of(a->namespaces.at[i])))
			return cli_fail(verb, EXIT_USAGE, "--namespace '%s': expected " LABEL_EXPECTS, a->namespaces.at[i]);
	for (size_t i = 0; i < a->services.count; i++)
		if (!may_be_service(a->services.at[i]))
			return cli_fail(verb, EXIT_USAGE, "--service '%s': expected NAME or NAME.NAMESPACE, each " LABEL_EXPECTS,
					a->services.at[i]);
	return 0;
}

static int parse_idle(const struct verb *verb, struct arguments *a)
{
	uint32_t *idle_ms = &a->agent.idle_ms;

	if (a->autostarted)
		*idle_ms = STARTED_IDLE;
	if (a->idle && (duration_parse(a->idle, strlen(a->idle), idle_ms) < 0 || *idle_ms < 1000))
		return cli_fail(verb, EXIT_USAGE, "--exit-when-idle %s: expected a duration such as 10m, at least 1s", a->idle);
	if (*idle_ms && (a->agent.keeps_no_ledger || a->agent.per_namespace))
		return cli_fail(verb, EXIT_USAGE, "--%s and --%s exclude each other: use is what the ledger tells",
				a->agent.per_namespace ? "per-namespace" : "no-ledger", a->idle ? "exit-when-idle" : "autostarted");
	return 0;
}

static int parse(const struct verb *verb, int argc, char **argv, struct arguments *a)
{
	struct agent_options *o = &a->agent;
	struct address_ranges ranges;
	int option;

	while ((option = cli_option(verb, argc, argv)) >= 0) {
		switch (option) {
		case OPT_SERVICES: o->services = optarg; break;
		case OPT_KUBECONFIG: a->kubeconfig = optarg; break;
		case OPT_ALL: o->kube.all_namespaces = true; break;
		case OPT_DIR: o->dir = optarg; break;
		case OPT_RANGE: o->model.address_range = optarg; break;
		case OPT_NODE: o->model.node = optarg; break;
		case OPT_ZONE: o->model.zone = optarg; break;
		case OPT_HOST_NETWORK: o->shared_network = true; break;
		case OPT_NO_LEDGER: o->keeps_no_ledger = true; break;
		case OPT_SHARE_LEDGER: o->shares_ledger = true; break;
		case OPT_IGNORE_MESH: o->ignores_mesh = true; break;
		case OPT_BACKOFF: a->backoff = optarg; break;
		case OPT_PER_NAMESPACE: o->per_namespace = true; break;
		case OPT_MODE:
			if (!take_mode(a, optarg))
				return cli_fail(verb, EXIT_USAGE, "--mode %s: expected on, observe or off", optarg);
			break;
		case OPT_LISTEN:
			if (exporter_parse(optarg, &o->listen) < 0)
				return cli_fail(verb, EXIT_USAGE, "--listen %s: expected ADDR:PORT, [ADDR]:PORT or :PORT", optarg);
			o->listens = true;
			break;
		case OPT_IDLE: a->idle = optarg; break;
		case OPT_STARTED: a->autostarted = true; break;
		default:
			if (!split(optarg, option == OPT_NAMESPACE ? &a->namespaces : &a->services))
				return cli_fail(verb, EXIT_USAGE, "--%s: name 1 to %d, with commas between", options[option].name,
						MAX_NAMES);
		}
	}
	if (check_names(verb, a))
		return EXIT_USAGE;
	if (optind < argc)
		return cli_fail_argument(verb, argv[optind]);
	if (address_ranges_parse(o->model.address_range, &ranges) < 0)
		return cli_fail(verb, EXIT_USAGE, "--address-range %s: expected a prefix such as 240.0.0.0/4, or one of each family",
				o->model.address_range);
	if (o->kube.all_namespaces && a->namespaces.count)
		return cli_fail(verb, EXIT_USAGE, "--all-namespaces and --namespace exclude each other");
	if (o->per_namespace && o->shares_ledger)
		return cli_fail(verb, EXIT_USAGE, "--per-namespace and --share-ledger exclude each other");
	if (o->keeps_no_ledger && o->shares_ledger)
		return cli_fail(verb, EXIT_USAGE, "--no-ledger and --share-ledger exclude each other");
	if (a->backoff && (duration_parse(a->backoff, strlen(a->backoff), &o->kube.timing.backoff_ms) < 0 || !o->kube.timing.backoff_ms ||
			   o->kube.timing.backoff_ms > 60000))
		return cli_fail(verb, EXIT_USAGE, "--backoff %s: expected a duration such as 800ms, at most 1m", a->backoff);
	if (a->backoff) { /* the others in the proportion of the usual ones: 30 s, 2 min and 1 min for 800 ms */
		o->kube.timing.backoff_max_ms = o->kube.timing.backoff_ms * 75 / 2;
		o->kube.timing.healthy_ms = o->kube.timing.backoff_ms * 150;
		o->kube.timing.garbled_ms = o->kube.timing.backoff_ms * 75;
	}
	return parse_idle(verb, a);
}

/* Inline services, or a file's path, as everywhere. */
static void take_variables(struct agent_options *o)
{
	const char *services = variable("FAIRDIAL_SERVICES"), *pod_ip = variable("POD_IP"), *host_ip = variable("HOST_IP");

	if (!o->services && services) {
		if (strchr(services, '=') && access(services, F_OK) < 0)
			o->inline_services = services;
		else
			o->services = services;
	}
	if (!o->dir)
		o->dir = variable("FAIRDIAL_DIR");
	if (!o->dir)
		o->dir = "/run/fairdial";
	o->ledger = variable("FAIRDIAL_LEDGER");
	if (!o->model.node)
		o->model.node = variable("NODE_NAME");
	if (!o->model.zone)
		o->model.zone = variable("NODE_ZONE");
	if (pod_ip && host_ip && strcmp(pod_ip, host_ip) == 0)
		o->shared_network = true;
}

/* ---- who this pod is ---- */

static void add_address(struct agent_options *o, struct addr *addresses, const struct addr *addr)
{
	if (o->model.address_count < MAX_ADDRESSES)
		addresses[o->model.address_count++] = *addr;
}

/* What the downward API says of them ("10.0.0.1,fd00::1"), else those of the interfaces. */
static void find_addresses(struct agent_options *o, struct addr *addresses)
{
	const char *given = variable("POD_IPS") ? variable("POD_IPS") : variable("POD_IP");
	struct slice rest = slice_of(given);
	struct ifaddrs *interfaces = NULL;
	struct addr addr;

	o->model.addresses = addresses;
	while (rest.at) {
		struct slice one = slice_cut(&rest, ',');

		if (addr_parse_ip(one.at, one.len, &addr) == 0)
			add_address(o, addresses, &addr);
	}
	if (given || getifaddrs(&interfaces) < 0)
		return;
	for (struct ifaddrs *i = interfaces; i; i = i->ifa_next) {
		bool is_v4 = i->ifa_addr && i->ifa_addr->sa_family == AF_INET;

		if (i->ifa_addr && addr_from_sockaddr(&addr, i->ifa_addr, is_v4 ? 16 : 28) &&
		    !(addr.is_v4 ? addr.ip[12] == 127 : addr.ip[0] == 0xfe || (addr.ip[0] == 0 && addr.ip[15] == 1)))
			add_address(o, addresses, &addr);
	}
	freeifaddrs(interfaces);
}

static const char *pod_name(void)
{
	static char host[256];
	const char *given = variable("POD_NAME");

	if (given)
		return given;
	return gethostname(host, sizeof(host) - 1) == 0 ? host : NULL;
}

/* ---- the API ---- */

/* 1 where there is one; 0 where a services file is all there is; a negative errno. */
static int find_api(const struct arguments *a, struct kube_config *config, struct report *why)
{
	const char *kubeconfig = a->kubeconfig;
	bool has_services = a->agent.services || a->agent.inline_services;
	int r;

	if (!kubeconfig) {
		r = kube_config_in_cluster("", config, why);
		if (r != -ENOENT)
			return r < 0 ? r : 1;
		if (has_services)
			return 0;
		kubeconfig = variable("KUBECONFIG");
	}
	if (!kubeconfig && a->autostarted)
		return report(why, -ENOENT,
			      "which source? Mount the service account's token, or set KUBECONFIG or FAIRDIAL_SERVICES, for the "
			      "program that starts it");
	if (!kubeconfig)
		return report(why, -ENOENT,
			      "which source? This is no pod with a service account: name --kubeconfig FILE, or --services FILE");
	r = kube_config_load(kubeconfig, config, why);
	return r < 0 ? r : 1;
}

/* A services file is published whole: who chose among what the API has, and is alone with a file, is told so. */
static void warn_of_choices(const struct verb *verb, const struct arguments *a)
{
	const char *choice = a->services.count			 ? "service" :
			     a->namespaces.count		 ? "namespace" :
			     a->agent.kube.all_namespaces ? "all-namespaces" :
							    NULL;

	if (choice)
		cli_fail(verb, EXIT_DONE,
			 "warning: --%s chooses among what the API has, and no API is followed here: the services file is published "
			 "whole",
			 choice);
}

/* ---- signals, and a shim around ourselves ---- */

static void on_signal(int number)
{
	if (number == SIGHUP)
		agent_reload();
	else
		agent_stop();
}

static void handle_signals(void)
{
	static const int numbers[] = { SIGTERM, SIGINT, SIGHUP };
	struct sigaction action = { .sa_handler = on_signal }; /* no SA_RESTART: one that waits for another agent ends */

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaction(numbers[i], &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/*
 * An agent whose own dials were spread by what it publishes could lose the API server for good. The launcher of an installed
 * tree keeps out what LD_PRELOAD names, but not what /etc/ld.so.preload does.
 */
static void leave_shim(char **argv)
{
	const char *mode = getenv("FAIRDIAL");

	if (!self_has_loaded("libfairdial.so") || (mode && mode_word_is(slice_of(mode), "off")))
		return;
	setenv("FAIRDIAL", "off", 1);
	log_line("cannot start again without the shim: %s; its own dials may be spread", strerror(-self_execute(argv)));
}

/* ---- the verb ---- */

/* What a program that started us waits for; and where its user will look, as our log goes nowhere. */
static int fail(const struct verb *verb, const struct arguments *a, const char *text)
{
	started_tell(a->agent.started, MARK_FAILED, text);
	return cli_fail(verb, EXIT_FAILED, "%s", text);
}

static int serve(const struct verb *verb, const struct arguments *a)
{
	struct agent *agent = NULL;
	struct report why;
	int r;

	handle_signals();
	r = agent_open(&a->agent, &agent, &why);
	if (r == -EINTR || (r == -EBUSY && a->autostarted))
		return EXIT_DONE;
	if (r < 0)
		return fail(verb, a, why.text);
	while (agent_step(agent, STEP_MS))
		;
	agent_close(agent);
	return EXIT_DONE;
}

static int follow(const struct verb *verb, struct arguments *a)
{
	struct addr addresses[MAX_ADDRESSES];
	struct kube_config config = { 0 };
	struct report why;
	int r = find_api(a, &config, &why);

	if (r < 0)
		return fail(verb, a, why.text);
	a->agent.config = r ? &config : NULL;
	if (!r)
		warn_of_choices(verb, a);
	a->agent.kube.own = variable("POD_NAMESPACE") ? variable("POD_NAMESPACE") : config.namespace ? config.namespace : "default";
	a->agent.kube.namespaces = a->namespaces.at;
	a->agent.kube.namespace_count = a->namespaces.count;
	a->agent.kube.services = a->services.at;
	a->agent.kube.service_count = a->services.count;
	a->agent.model.namespace = a->agent.kube.own;
	a->agent.model.pod = pod_name();
	find_addresses(&a->agent, addresses);
	r = serve(verb, a);
	kube_config_done(&config);
	return r;
}

static int run(const struct verb *verb, int argc, char **argv)
{
	struct arguments a = { .policy = policy_defaults(), .agent = { .kube.timing = kube_timing_defaults() } };
	struct report why;
	int r;

	leave_shim(argv - 1); /* before lists in it are cut */
	r = parse(verb, argc, argv, &a);
	if (r)
		return r;
	take_variables(&a.agent);
	r = a.autostarted ? started_open(a.agent.dir, &a.agent.started, &why) : 0;
	if (r == -EBUSY)
		return EXIT_DONE;
	if (r < 0)
		return cli_fail(verb, EXIT_FAILED, "%s", why.text);
	r = follow(verb, &a);
	started_close(a.agent.started);
	return r;
}

const struct verb agent_verb = {
	.name = "agent",
	.usage = "[--kubeconfig FILE] [--namespace NS,...|--all-namespaces] [--service NAME,...] [--services FILE] [--dir DIR] "
		 "[--listen ADDR:PORT]",
	.summary = "follows the Kubernetes API, or a services file, and keeps the table true",
	.more = "Runs in the foreground and logs to standard error. It may list and watch services and\n"
	"endpointslices, no more:\n\n"
	"  kubectl create role fairdial --verb=list,watch --resource=services,endpointslices.discovery.k8s.io\n"
	"  kubectl create rolebinding fairdial --role=fairdial --serviceaccount=NAMESPACE:ACCOUNT\n\n"
	"A services file is read again when it changes, and on SIGHUP; a bad one is told, and the last good one stays. As -FILE\n"
	"it may be missing, now or later: what it said goes with it. SIGTERM ends the agent, and the table stays. A second agent\n"
	"on a directory waits for the first to end, and goes on where it was.\n\n"
	"The mode of a Service is that of its entry in the services file, else of its annotation fairdial.dev/mode, else of the\n"
	"file's \"defaults\", else of --mode. The file's own \"mode\" and a program's FAIRDIAL can only be more cautious: off before\n"
	"observe before on. All of it is honoured at the next dial. An annotation of a mode\n"
	"that is not understood makes its Service off; the log names it.\n\n"
	"With --listen it serves /metrics for Prometheus (also as OpenMetrics), /healthz, which is 200 while the agent turns its\n"
	"loop, and /readyz, which is 200 while a table is published and vouched for, and otherwise says why not. Numbers of\n"
	"Services need a ledger; at most 1,000 Service ports have series of their own, those that are dialed first.",
	.options = options,
	.run = run,
};
