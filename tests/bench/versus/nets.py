# SPDX-License-Identifier: Apache-2.0
"""Network namespaces: pods, the nodes that they are on, and the servers.

All of it lives in a process, mount and network namespace that this run made for itself: when its first process ends, however it
ends, the kernel ends all others and takes the namespaces back, and nothing of it was ever to be seen outside.

	pod-NAME eth0 10.244.N.K  --  10.244.N.1 node-NAME out 10.200.N.2  --  10.200.N.1 (servers: 10.244.0.11 ...)

Every connection goes the same way; what differs is what the node's tables, or a proxy in the pod, make of it.
"""
import os
import subprocess
import sys

INSIDE = "FAIRDIAL_BENCH_INSIDE"
FIRST_SERVER = 11


def enter():
	"""Starts this program again in namespaces of its own, and never returns; returns where it is already there."""
	if os.environ.get(INSIDE):
		for line in ("mount -t tmpfs tmpfs /run", "mkdir -p /run/netns /run/lock", "ip link set lo up"):
			run(line.split())
		return
	root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
	os.execvpe("unshare", ["unshare", *root, "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child",
			       sys.executable,
			       *sys.argv], {**os.environ, INSIDE: "1", "XTABLES_LOCKFILE": "/run/xtables.lock"})


def run(argv, **options):
	"""argv, which has to succeed; what it says is told only where it does not."""
	done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
	if done.returncode:
		raise OSError("%s: exit status %d: %s" % (" ".join(argv)[:200], done.returncode, done.stdout.strip()[-600:]))
	return done.stdout


def ip(lines):
	run(["ip", "-batch", "-"], input="\n".join(lines) + "\n")


def within(name, argv):
	"""argv, in the network namespace of that name. nsenter becomes argv, so the process that is started is that."""
	return ["nsenter", "--net=/run/netns/" + name, "--", *argv]


def server_addresses(count):
	return ["10.244.0.%d" % (FIRST_SERVER + i) for i in range(count)]


def make_servers(addresses):
	run(["sysctl", "-q", "-w", "net.core.somaxconn=8192", "net.ipv4.tcp_max_syn_backlog=8192"])
	ip(["addr add %s/32 dev lo" % address for address in addresses])


class Node:
	"""A node between its pods and the servers. Its tables are its own."""
	count = 0

	def __init__(self, name):
		Node.count += 1
		self.number, self.name, self.pods = Node.count, "node-" + name, 0
		n = self.number
		run(["ip", "netns", "add", self.name])
		ip(["link add up%d type veth peer name out netns %s" % (n, self.name), "addr add 10.200.%d.1/30 dev up%d" % (n, n),
		    "link set up%d up" % n])
		self.ip(["link set lo up", "addr add 10.200.%d.2/30 dev out" % n, "link set out up",
			 "route add 10.244.0.0/24 via 10.200.%d.1" % n])
		ip(["route add 10.244.%d.0/24 via 10.200.%d.2" % (n, n)])
		run(within(self.name, ["sysctl", "-q", "-w", "net.ipv4.ip_forward=1"]))

	def ip(self, lines):
		run(["ip", "-n", self.name, "-batch", "-"], input="\n".join(lines) + "\n")

	def add_pod(self, name):
		"""The name of the new namespace."""
		self.pods += 1
		pod, gateway = "pod-" + name, "10.244.%d.1" % self.number
		address, link = "10.244.%d.%d" % (self.number, self.pods + 1), "pod%d" % self.pods
		run(["ip", "netns", "add", pod])
		self.ip(["link add %s type veth peer name eth0 netns %s" % (link, pod), "addr add %s/32 dev %s" % (gateway, link),
			 "link set %s up" % link, "route add %s/32 dev %s" % (address, link)])
		run(["ip", "-n", pod, "-batch", "-"], input="link set lo up\naddr add %s/24 dev eth0\nlink set eth0 up\n"
		    "route add default via %s\n" % (address, gateway))
		return pod

	def set_iptables(self, text, more=()):
		run(within(self.name, ["iptables-legacy-restore", *more]), input=text)

	def set_nft(self, text):
		run(within(self.name, ["nft", "-f", "-"]), input=text)
