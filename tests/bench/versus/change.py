# SPDX-License-Identifier: Apache-2.0
"""From a change of the list to the first dial that uses it: fairdial's from the API on; of the others, their part of it."""
import os
import re
import time

import figures
import nets
import processes
import rules


def by_fairdial(setup, services, changes):
	"""Milliseconds of each change, from the API to a dial."""
	program = os.path.join(os.path.dirname(setup.client), "versus-change")
	text, _ = processes.finish([program, str(services), str(changes), os.path.abspath(setup.client)])
	return [int(ns) / 1e6 for ns in re.findall(r"^ns (\d+)$", text, re.M)][1:]  # the first also starts things


def by_rules(setup, set_rules, text_of, changes):
	"""Milliseconds that it takes to change the rules of one Service: text_of(endpoints before, endpoints after)."""
	whole, took = next(endpoints for name, _, endpoints in setup.services if name == "shop/web5"), []
	before = whole
	for turn in range(changes):
		after = whole[:-1] if turn % 2 == 0 else whole
		text = text_of(before, after)
		begun = time.monotonic()
		set_rules(text)
		took.append((time.monotonic() - begun) * 1000)
		before = after
	return took


def measure(setup, nodes, crowd, changes, tell):
	cluster = setup.cluster_addresses()["shop/web5"]
	ways = [
		("fairdial", "fairdial: from the API to a dial", lambda: by_fairdial(setup, crowd, changes)),
		("iptables-many", "iptables-restore --noflush alone", lambda: by_rules(
			setup, lambda text: nodes["many"].set_iptables(text, ["--noflush"]),
			lambda _, after: rules.iptables_change("shop/web5", cluster, after), max(2, changes // 10))),
		("nftables-many", "nft -f alone", lambda: by_rules(
			setup, nodes["sets"].set_nft, lambda before, after: rules.nft_change(
				"shop/web5", cluster, after, [of for of in before if of not in after]), max(2, changes // 10))),
	]
	rows = []
	for name, title, run in ways:
		try:
			values = run()
		except (OSError, processes.Trouble) as trouble:
			rows.append({"way": name, "title": title, "trouble": str(trouble)})
			continue
		rows.append({"way": name, "title": title, "unit": "ms", "values": values, **figures.summary(values),
			     "p99": figures.percentile(values, 99)})
		tell("a change, " + name, 1, 1)
	return rows
