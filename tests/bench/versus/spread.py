# SPDX-License-Identifier: Apache-2.0
"""How evenly clients of one connection each lie on the servers: at once, over many pods, and when the list of servers changes."""
import json
import signal
import subprocess

import figures
import nets
import processes
import rules
import variants

# Policies of the second fairdial where lists change: it moves what is too much, at quiet points.
REBALANCE = {"rebalance": "2s", "quiet": "200ms"}


def ports_of(setup, env, name=None):
	"""The ports of all Services, or of one, as `fairdial status` tells them."""
	done = subprocess.run([setup.tool, "status", "--json", "--dir", env["FAIRDIAL_DIR"], *([name] if name else [])],
			      stdout=subprocess.PIPE,
			      stderr=subprocess.DEVNULL, text=True)
	try:
		return [port for service in json.loads(done.stdout)["services"] for port in service["ports"]]
	except (ValueError, KeyError):
		return []


def wait_idle(setup, env):
	"""Until no connection is open, to the servers and to the pod's ledger, which hears of it a moment later."""
	setup.backend.wait_idle()
	if "FAIRDIAL_DIR" in env:
		processes.wait_until(lambda: not any(of["active"] for port in ports_of(setup, env) for of in port["endpoints"]),
				     "the ledger")


def on_servers(setup, servers):
	"""Open connections of the servers of a Service, in their order."""
	found = setup.backend.open()
	return [found[address] for address, _ in servers]


def endpoints_of(setup, service):
	return next(endpoints for name, _, endpoints in setup.services if name == service)


def one_herd(setup, variant, clients, service):
	argv, env = variant.client(setup, "herd", clients, service)
	herd = processes.Herd(argv, env)
	try:
		herd.wait_ready()
		return on_servers(setup, endpoints_of(setup, service))
	finally:
		herd.end()
		wait_idle(setup, env)


def row(scenario, clients, servers, way, trials):
	spreads = [figures.evenness(counts)["spread"] for counts in trials]
	return {"scenario": scenario, "clients": clients, "servers": servers, "way": way, "counts": trials[-1],
		"spread": figures.summary(spreads), "most": max(spreads), "trials": len(trials),
		"deviation": figures.summary([figures.evenness(counts)["deviation"] for counts in trials]),
		"idle": max(figures.evenness(counts)["idle"] for counts in trials)}


def within_a_pod(setup, ways, sizes, tell):
	"""All clients are processes of one pod, and start at once. `sizes`: (clients, servers, trials)."""
	rows = []
	for clients, servers, count in sizes:
		trials = {name: [] for name in ways}
		for turn in range(count):
			for name, variant in ways.items():
				trials[name].append(one_herd(setup, variant, clients, "shop/web%d" % servers))
			tell("%d clients on %d servers" % (clients, servers), turn + 1, count)
		rows += [row("%d clients of one pod on %d servers" % (clients, servers), clients, servers, name, trials[name])
			 for name in ways]
	return rows


# ---- many pods ----

def named(pod, argv):
	"""argv where the host is called that, as in a pod of that name."""
	return ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', pod, *argv]


def crowd_once(setup, pods, preload, clients, service):
	"""Clients of all pods at once, each with its pod's table and ledger."""
	address, port = setup.cluster_addresses()[service]
	herds = []
	try:
		for pod, env in pods:
			herds.append(processes.Herd(nets.within("pod-" + pod, named(pod, [
				setup.client, "herd", str(clients), preload or "-", address, str(port)])), env))
		for herd in herds:
			herd.wait_ready()
		return on_servers(setup, endpoints_of(setup, service))
	finally:
		for herd in herds:
			herd.end()
		setup.backend.wait_idle()


def with_agents(setup, names, ranked, clients, service, trials):
	"""The same with fairdial: an agent a pod, which knows its pod's ordinal or, where it has none, nothing of the others."""
	agents, pods, counts = [], [], []
	try:
		for name in names:
			agent, env = variants.start_agent(setup, "ranked-" + name if ranked else name, "pod-" + name,
							  setup.services,
							  pod_name=name if ranked else None)
			agents.append(agent)
			pods.append((name, env))
		for _, env in pods:
			wait_listed(setup, env, service, endpoints_of(setup, service))
		for _ in range(trials):
			counts.append(crowd_once(setup, pods, setup.shim, clients, service))
	finally:
		for agent in agents:
			processes.stop(agent)
	return counts


def across_pods(setup, node, count, trials, tell, missing):
	names, rows = ["client-%d" % i for i in range(count)], []
	for name in names:
		node.add_pod(name)
	for clients, servers in ((2, 5), (1, 7)):
		service = "shop/web%d" % servers
		scenario = "%d pods, %d client%s each, on %d servers" % (count, clients, "s" * (clients > 1), servers)
		ways = [
			("iptables", lambda: [crowd_once(setup, [(name, {}) for name in names], None, clients, service)
					      for _ in range(trials)]),
			("fairdial, no rank", lambda: with_agents(setup, names, False, clients, service, trials)),
			("fairdial, ordinals", lambda: with_agents(setup, names, True, clients, service, trials)),
		]
		for way, run in ways:
			try:
				rows.append(row(scenario, clients * count, servers, way, run()))
			except (OSError, processes.Trouble) as trouble:
				missing("%s, %s" % (scenario, way), str(trouble))
		tell(scenario, 1, 1)
	return rows


# ---- lists that change ----

SERVICE = ("shop/lists", ("10.96.0.99", 80))


def wait_listed(setup, env, service, endpoints):
	processes.wait_until(lambda: sorted((of["address"], of["port"]) for port in ports_of(setup, env, service.split("/")[1])
						     for of in port["endpoints"]) == sorted(endpoints), "the agent's table")


class ByRules:
	def __init__(self, setup, name):
		self.node, self.preload, self.env, self.agent = nets.Node(name), None, {}, None
		self.pod = self.node.add_pod(name)
		self.node.set_iptables(rules.iptables([(*SERVICE, [("10.244.0.11", 8080)])]))

	def set(self, setup, endpoints):
		self.node.set_iptables(rules.iptables_change(*SERVICE, endpoints), ["--noflush"])

	def close(self):
		pass


class ByFairdial:
	def __init__(self, setup, name, policy=None):
		self.node, self.preload, self.policy, self.name = nets.Node(name), setup.shim, policy, name
		self.pod, self.agent, self.env = self.node.add_pod(name), None, {}

	def set(self, setup, endpoints):
		if self.agent:
			setup.services_file(self.name, [(*SERVICE, endpoints)], self.policy)
			self.agent.send_signal(signal.SIGHUP) # it would see by itself, within a second
		else:
			self.agent, self.env = variants.start_agent(setup, self.name, self.pod, [(*SERVICE, endpoints)],
								    self.policy)
		wait_listed(setup, self.env, SERVICE[0], endpoints)

	def close(self):
		if self.agent:
			processes.stop(self.agent)


def herd_of(setup, way, clients):
	herd = processes.Herd(nets.within(way.pod, [setup.client, "herd", str(clients), way.preload or "-", SERVICE[1][0],
						    str(SERVICE[1][1])]),
			      way.env)
	herd.wait_ready()
	return herd


def settle(setup, endpoints, limit):
	"""Until they lie evenly, or for so many seconds: what moves, moves at its own pace."""
	try:
		processes.wait_until(lambda: figures.evenness(on_servers(setup, endpoints))["spread"] <= 1, "evenness", limit)
	except processes.Trouble:
		pass


def scale_up(setup, way, servers, clients, limit):
	"""From 3 to 6: what becomes of clients that were there, and after as many new ones: two lists of counts."""
	herds = []
	try:
		way.set(setup, servers[:3])
		herds.append(herd_of(setup, way, clients))
		way.set(setup, servers)
		if limit:
			settle(setup, servers, limit)
			herds[0].serve_again()
		old = on_servers(setup, servers)
		herds.append(herd_of(setup, way, clients))
		return old, on_servers(setup, servers)
	finally:
		for herd in herds:
			herd.end()
		wait_idle(setup, way.env)


def rolling_restart(setup, way, old, new, clients, limit):
	"""Each server has a successor at another address; when that is listed, the old one is taken from the list and ends."""
	herd = None
	try:
		current = list(old)
		way.set(setup, current)
		herd = herd_of(setup, way, clients)
		for before, after in zip(old, new):
			way.set(setup, current + [after])
			current = [of for of in current if of != before] + [after]
			way.set(setup, current)
			setup.backend.command("stop " + before[0])
			herd.serve_again()
		if limit:
			settle(setup, new, limit)
			herd.serve_again()
		return on_servers(setup, new)
	finally:
		if herd:
			herd.end()
		for address, _ in old:
			setup.backend.command("go " + address)
		wait_idle(setup, way.env)


def changed_lists(setup, way, servers, clients, patience, trials):
	"""Counts by trial: after 3 servers became 6, when as many clients have come, and after a rolling restart."""
	try:
		ups = [scale_up(setup, way, servers[:6], clients, patience) for _ in range(trials)]
		restarts = [rolling_restart(setup, way, servers[:6], servers[6:12], clients, patience) for _ in range(trials)]
	finally:
		way.close()
	return [old for old, _ in ups], [all_of for _, all_of in ups], restarts


def when_the_list_changes(setup, servers, clients, trials, tell, missing):
	rows, limit = [], 15
	makers = [("iptables", lambda: ByRules(setup, "lists0"), 0), ("fairdial", lambda: ByFairdial(setup, "lists1"), 0),
		  ("fairdial, rebalance", lambda: ByFairdial(setup, "lists2", REBALANCE), limit)]
	for name, make, patience in makers:
		try:
			old, all_of, restarts = changed_lists(setup, make(), servers, clients, patience, trials)
		except (OSError, processes.Trouble) as trouble:
			missing("a list that changes, " + name, str(trouble))
			continue
		rows.append(row("%d clients, servers from 3 to 6" % clients, clients, 6, name, old))
		rows.append(row("and as many new clients", clients * 2, 6, name, all_of))
		rows.append(row("%d clients, 6 servers restarted in turn" % clients, clients, 6, name, restarts))
		tell("a list that changes, " + name, trials, trials)
	order = list(dict.fromkeys(r["scenario"] for r in rows))
	return sorted(rows, key=lambda r: order.index(r["scenario"]))
