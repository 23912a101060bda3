# SPDX-License-Identifier: Apache-2.0
"""The ways from a client to its server. Each is a pod, an address to dial for each Service, and what the client is started with."""
import glob
import json
import os
import shutil

import nets
import processes
import proxies
import rules


class Variant:
	def __init__(self, name, title, pod, addresses, env=None, preload=None, helpers=()):
		self.name, self.title, self.pod, self.addresses = name, title, pod, addresses
		self.env, self.preload, self.helpers = env or {}, preload, list(helpers)  # helpers: its proxy, or its agent

	def command(self, argv):
		"""argv in its pod, and the environment to start it with. The program itself has the preload, not what starts it."""
		preload = ["env", "LD_PRELOAD=" + self.preload] if self.preload else []
		return nets.within(self.pod, processes.pinned([*preload, *argv], False)), self.env

	def client(self, setup, verb, count, service):
		"""client.c's `start` and `herd`, which give the preload to those that they start."""
		address, port = self.addresses[service]
		return nets.within(self.pod, [setup.client, verb, str(count), self.preload or "-", address, str(port)]), self.env


class Setup:
	"""What all variants share: programs, servers, Services, and a folder for files."""

	def __init__(self, build, folder, backend, services):
		self.tool, self.shim = os.path.join(build, "fairdial"), os.path.join(build, "libfairdial.so")
		self.client = os.path.join(build, "bench/versus-client")
		self.folder, self.backend, self.services = folder, backend, services

	def cluster_addresses(self):
		return {name: cluster for name, cluster, _ in self.services}

	def path(self, name):
		return os.path.join(self.folder, name)

	def services_file(self, name, services, policy=None):
		"""Written beside and renamed: whoever reads it sees the old or the new."""
		rows = [{"name": of.split("/")[1], "namespace": of.split("/")[0], "addresses": [cluster[0]],
			 "ports": [{"port": cluster[1]}], "endpoints": ["%s:%d" % at for at in endpoints],
			 **(policy or {})}
			for of, cluster, endpoints in services]
		path = self.path(name + ".json")
		with open(path + ".new", "w") as file:
			json.dump({"services": rows}, file)
		os.rename(path + ".new", path)
		return path

	def answers(self, variant, service):
		argv, env = variant.command([self.client, "dial", "1", *map(str, variant.addresses[service])])
		try:
			processes.finish(argv, env)
		except processes.Trouble:
			return False
		return True


def start_agent(setup, name, pod, services, policy=None, pod_name=None, host=False):
	"""A sidecar's agent: (process, environment of the clients)."""
	folder = setup.path(name)
	os.makedirs(folder, exist_ok=True)
	path = setup.services_file(name, services, policy)
	argv = [setup.tool, "agent", "--services", path, "--dir", folder]
	log = open(setup.path(name + ".log"), "a")
	agent = processes.start(nets.within(pod, ["env", "POD_NAME=" + pod_name, *argv] if pod_name else argv), log=log)
	log.close()
	return agent, {"FAIRDIAL_DIR": folder}


def with_fairdial(setup, name, title, pod, policy=None):
	agent, env = start_agent(setup, name, pod, setup.services, policy)
	return Variant(name, title, pod, setup.cluster_addresses(), env, setup.shim, [agent])


def with_proxy(setup, name, pod):
	if not shutil.which(name):
		raise processes.Trouble("%s is not installed: sh tests/deps.sh bench" % name)
	path = setup.path(name + ".conf")
	modules = glob.glob("/usr/lib*/nginx/modules/ngx_stream_module.so")
	if name == "nginx" and not modules:
		raise processes.Trouble("nginx has no stream module: sh tests/deps.sh bench")
	with open(path, "w") as file:
		file.write(proxies.haproxy(setup.services) if name == "haproxy" else
			   proxies.nginx(setup.services, setup.folder, os.path.dirname(modules[0])))
	argv = {"haproxy": ["haproxy", "-q", "-db", "-f", path],
		"nginx": ["nginx", "-e", "stderr", "-p", setup.folder, "-c", path]}[name]
	proxy = processes.start(nets.within(pod, argv))
	addresses = {of: ("127.0.0.1", proxies.local_port(i)) for i, (of, _, _) in enumerate(setup.services)}
	return Variant(name, {"haproxy": "HAProxy", "nginx": "nginx"}[name] + ", TCP proxy in the pod", pod, addresses,
		       helpers=[proxy])


def through_rules(setup, node, name, title, set_rules):
	set_rules()
	return Variant(name, title, node.add_pod(name), setup.cluster_addresses())


def make_all(setup, crowd, tell):
	"""Those that are possible here, by name and in order; of the others `tell` hears why not."""
	plain, few, many, sets = (nets.Node(name) for name in ("plain", "few", "many", "sets"))
	others, size = rules.others(crowd), "{:,}".format(crowd)
	direct = {of: endpoints[0] for of, _, endpoints in setup.services}
	makers = [
		("direct", lambda: Variant("direct", "a pod, dialed directly", plain.add_pod("direct"), direct)),
		("iptables", lambda: through_rules(setup, few, "iptables", "kube-proxy's rules, iptables",
						   lambda: few.set_iptables(rules.iptables(setup.services)))),
		("iptables-many", lambda: through_rules(setup, many, "iptables-many", "the same behind %s Services" % size,
							lambda: many.set_iptables(rules.iptables(others + setup.services)))),
		("nftables-many", lambda: through_rules(setup, sets, "nftables-many", "nftables, of %s Services" % size,
							lambda: sets.set_nft(rules.nft(others + setup.services)))),
		("haproxy", lambda: with_proxy(setup, "haproxy", plain.add_pod("haproxy"))),
		("nginx", lambda: with_proxy(setup, "nginx", plain.add_pod("nginx"))),
		("fairdial", lambda: with_fairdial(setup, "fairdial", "fairdial", plain.add_pod("fairdial"))),
		# In a cluster kube-proxy's rules are still there, and a connection to a pod passes all of them once.
		("fairdial-many", lambda: with_fairdial(setup, "fairdial-many", "fairdial, past iptables of %s" % size,
							many.add_pod("fairdial-many"))),
	]
	made = {}
	for name, make in makers:
		try:
			made[name] = make()
			processes.wait_until(lambda: setup.answers(made[name], "shop/web5"), "an answer", 15)
		except (OSError, processes.Trouble) as trouble:
			made.pop(name, None)
			tell(name, str(trouble))
	return made, {"plain": plain, "few": few, "many": many, "sets": sets}
