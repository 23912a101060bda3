# SPDX-License-Identifier: Apache-2.0
"""The rules that kube-proxy writes on a node, as text for iptables-restore and for nft. Pure.

Those of pkg/proxy/iptables and pkg/proxy/nftables of Kubernetes, for ClusterIPs: chains, matches and comments in the same order,
without node ports and without what only other kinds of Services have. `services` is a list of (name, (address, port), endpoints),
an endpoint being (address, port); the last one has all others before it.
"""
import hashlib

POD_RANGE = "10.244.0.0/16"


def chain(kind, *of):
	"""KUBE-SVC-TCOU7JCQXEZGVUNU: a name of 16 letters for what it is of."""
	digest = hashlib.sha256("/".join(map(str, of)).encode()).hexdigest().upper()
	return "KUBE-%s-%s" % (kind, digest[:16])


def others(count):
	"""Services that nobody dials, of one endpoint each."""
	places = [(i // 250, i % 250 + 1) for i in range(count)]
	return [("default/other-%d" % i, ("10.97.%d.%d" % place, 80), [("10.245.%d.%d" % place, 8080)])
		for i, place in enumerate(places)]


def service_chains(name, cluster, endpoints):
	"""The chain of a Service and those of its endpoints: (names, rules)."""
	service = chain("SVC", name)
	names, picks, leaps = [service], [], []
	address, port = cluster
	picks.append('-A %s ! -s %s -d %s/32 -p tcp -m comment --comment "%s cluster IP" -m tcp --dport %d -j KUBE-MARK-MASQ'
		     % (service, POD_RANGE, address, name, port))
	for i, endpoint in enumerate(endpoints):
		leap = chain("SEP", name, *endpoint)
		names.append(leap)
		left = len(endpoints) - i
		chance = " -m statistic --mode random --probability %.10f" % (1 / left) if left > 1 else ""
		picks.append('-A %s -m comment --comment "%s -> %s:%d"%s -j %s' % (service, name, *endpoint, chance, leap))
		leaps.append('-A %s -s %s/32 -m comment --comment "%s" -j KUBE-MARK-MASQ' % (leap, endpoint[0], name))
		leaps.append('-A %s -p tcp -m comment --comment "%s" -m tcp -j DNAT --to-destination %s:%d'
			     % (leap, name, *endpoint))
	return names, picks + leaps


def leap_rules(services):
	return ['-A KUBE-SERVICES -d %s/32 -p tcp -m comment --comment "%s cluster IP" -m tcp --dport %d -j %s'
		% (*cluster[:1], name, cluster[1], chain("SVC", name)) for name, cluster, _ in services]


def iptables(services):
	"""All of it, for iptables-restore into tables that are empty."""
	names, rules = [], []
	for service in services:
		more_names, more_rules = service_chains(*service)
		names += more_names
		rules += more_rules
	return "\n".join([
		"*filter", ":KUBE-FORWARD - [0:0]", ":KUBE-PROXY-FIREWALL - [0:0]", ":KUBE-SERVICES - [0:0]",
		":KUBE-FIREWALL - [0:0]",
		'-A INPUT -j KUBE-FIREWALL', '-A OUTPUT -j KUBE-FIREWALL',
		*('-A %s -m conntrack --ctstate NEW -m comment --comment "kubernetes load balancer firewall" '
		  "-j KUBE-PROXY-FIREWALL" % hook for hook in ("INPUT", "FORWARD")),
		'-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD',
		'-A FORWARD -m conntrack --ctstate NEW -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
		'-A OUTPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
		"-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP",
		'-A KUBE-FORWARD -m comment --comment "kubernetes forwarding rules" -m mark --mark 0x4000/0x4000 -j ACCEPT',
		'-A KUBE-FORWARD -m comment --comment "kubernetes forwarding conntrack rule" '
		"-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
		"COMMIT",
		"*nat", ":KUBE-SERVICES - [0:0]", ":KUBE-POSTROUTING - [0:0]", ":KUBE-NODEPORTS - [0:0]", ":KUBE-MARK-MASQ - [0:0]",
		*(":%s - [0:0]" % name for name in names),
		'-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
		'-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
		'-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING',
		"-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN",
		"-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000",
		'-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully',
		"-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000",
		*rules,
		*leap_rules(services),
		'-A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this '
		'chain" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS',
		"COMMIT", ""])


def iptables_change(name, cluster, endpoints):
	"""What kube-proxy writes when the endpoints of one Service change: its chains, for iptables-restore --noflush."""
	names, rules = service_chains(name, cluster, endpoints)
	return "\n".join(["*nat", *(":%s - [0:0]" % n for n in names), *rules, "COMMIT", ""])


def nft_service(name, cluster, endpoints):
	service = chain("SVC", name)
	leaps = [chain("SEP", name, *endpoint) for endpoint in endpoints]
	lines = []
	for leap, (address, port) in zip(leaps, endpoints):
		lines += ["\tchain %s {" % leap, "\t\tip saddr %s jump mark-for-masquerade" % address,
			  "\t\tmeta l4proto tcp dnat to %s:%d" % (address, port), "\t}"]
	picks = ", ".join("%d : goto %s" % pair for pair in enumerate(leaps))
	lines += ["\tchain %s {" % service,
		  "\t\tip daddr %s tcp dport %d ip saddr != %s jump mark-for-masquerade" % (*cluster, POD_RANGE),
		  "\t\tnumgen random mod %d vmap { %s }" % (len(leaps), picks),
		  "\t}"]
	return lines


def nft(services):
	"""All of it, for nft -f."""
	lines = ["table ip kube-proxy {", "\tchain mark-for-masquerade { meta mark set meta mark or 0x4000; }",
		 "\tchain masquerading {", "\t\tmeta mark & 0x4000 == 0 return", "\t\tmeta mark set meta mark xor 0x4000",
		 "\t\tmasquerade fully-random", "\t}",
		 "\tset cluster-ips { type ipv4_addr; }", "\tchain reject-chain { reject; }"]
	for service in services:
		lines += nft_service(*service)
	lines += ["\tmap service-ips {", "\t\ttype ipv4_addr . inet_proto . inet_service : verdict",
		  "\t\telements = { %s }" % ",\n".join("%s . tcp . %d : goto %s" % (*cluster, chain("SVC", name))
						       for name, cluster, _ in services), "\t}",
		  "\tmap no-endpoint-services { type ipv4_addr . inet_proto . inet_service : verdict; }",
		  "\tchain services { ip daddr . meta l4proto . th dport vmap @service-ips; }",
		  "\tchain service-endpoints-check { ip daddr . meta l4proto . th dport vmap @no-endpoint-services; }",
		  "\tchain cluster-ips-check { ip daddr @cluster-ips reject; }",
		  "\tchain filter-forward {", "\t\ttype filter hook forward priority -110; policy accept;",
		  "\t\tct state new jump service-endpoints-check", "\t\tct state new jump cluster-ips-check", "\t}",
		  "\tchain nat-prerouting {", "\t\ttype nat hook prerouting priority dstnat; policy accept;", "\t\tjump services",
		  "\t}",
		  "\tchain nat-output {", "\t\ttype nat hook output priority -100; policy accept;", "\t\tjump services", "\t}",
		  "\tchain nat-postrouting {", "\t\ttype nat hook postrouting priority srcnat; policy accept;",
		  "\t\tjump masquerading", "\t}",
		  "}", ""]
	return "\n".join(lines)


def nft_change(name, cluster, endpoints, gone):
	"""The Service's chain anew, the chains of its endpoints made, those of endpoints that are gone deleted: one transaction."""
	service = chain("SVC", name)
	lines = ["add chain ip kube-proxy %s" % chain("SEP", name, *endpoint) for endpoint in endpoints]
	lines += ["flush chain ip kube-proxy %s" % service, "table ip kube-proxy {", *nft_service(name, cluster, endpoints), "}"]
	lines[len(endpoints):len(endpoints)] = ["flush chain ip kube-proxy %s" % chain("SEP", name, *endpoint)
						for endpoint in endpoints]
	for endpoint in gone:
		lines += ["flush chain ip kube-proxy %s" % chain("SEP", name, *endpoint),
			  "delete chain ip kube-proxy %s" % chain("SEP", name, *endpoint)]
	return "\n".join(lines + [""])
