# SPDX-License-Identifier: Apache-2.0
"""Whether long-lived connections lose anything: each turn of fairdial between two of a direct dial, and these by each other.

What a second can tell apart on a machine is not known before; the direct dial's ratio to itself says it.
"""
import copy

import figures
import loads
import processes
import report

ROWS = (("http", "http_rate", "HTTP"), ("mysql", "mysql_rate", "MySQL"))


def row(what, before, ours, behind):
	return {"what": what, "rounds": len(ours),
		"fairdial": figures.interval(figures.ratios(ours, [(a + b) / 2 for a, b in zip(before, behind)])),
		"itself": figures.interval(figures.ratios(behind, before))}


def measure(setup, made, parts, sizes, tell, missing):
	"""Rows for the loads that are among `parts`; why others are not, `missing` has heard before."""
	again = copy.copy(made[report.BASE])
	again.name = "again"
	ways = {of.name: of for of in (made[report.BASE], made["fairdial"], again)}
	rows = []
	for part, number, what in ROWS:
		if part not in parts:
			continue
		try:
			values = loads.measure(setup, ways, part, sizes["pairs"], sizes, tell)[number]
		except (OSError, processes.Trouble) as trouble:
			missing("%s in pairs" % what, str(trouble))
			continue
		rows.append(row(what, values[report.BASE], values["fairdial"], values["again"]))
	return rows
