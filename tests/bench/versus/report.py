# SPDX-License-Identifier: Apache-2.0
"""What was measured as a table, and which goals it meets. Works on the structure that is also the JSON."""
import figures

BASE = "direct"


def summarize(values, base=None):
	"""One number of one variant: its summary, and that of its ratios to the base's of the same rounds."""
	row = {**figures.summary(values), "values": values}
	ratios = figures.ratios(values, base) if base else []
	if ratios:
		row["ratio"] = figures.summary(ratios)
	return row


def part(title, numbers, values):
	"""`numbers` and `values` as loads.PARTS and loads.measure have them."""
	made = {"title": title, "numbers": {}}
	for number, (name, unit, more) in numbers.items():
		of = {variant: summarize(found, values[number].get(BASE)) for variant, found in values[number].items() if found}
		made["numbers"][number] = {"title": name, "unit": unit, "more_is_better": more, "variants": of}
	return made


def ratio_between(row, name, other):
	"""The summary of one variant's values by another's of the same rounds; None where one is not there."""
	of, to = row["variants"].get(name), row["variants"].get(other)
	ratios = figures.ratios(of["values"], to["values"]) if of and to else []
	return figures.summary(ratios) if ratios else None


# ---- goals ----

def goal(what, value, unit, at, limit):
	good = value >= limit if at == "at least" else value <= limit
	return {"what": what, "value": value, "unit": unit, "goal": "%s %g" % (at, limit), "met": good}


def goals(result):
	found = []
	numbers = {name: row for of in result["parts"].values() for name, row in of["numbers"].items()}
	for pair in result.get("pairs", []):
		found.append(goal("%s over long-lived connections, ratio to direct" % pair["what"], pair["fairdial"]["median"], "x",
				  "at least", 0.99))
	for ours, theirs, name in (("fairdial", "iptables", "kube-proxy's rules"),
				   ("fairdial-many", "iptables-many", "rules of many Services, which both pass")):
		for number in ("dial_p50", "answer_p50"):
			ratio = ratio_between(numbers[number], ours, theirs) if number in numbers else None
			if ratio:
				found.append(goal("%s, ratio to %s" % (numbers[number]["title"], name), ratio["median"], "x",
						  "at most", 1))
	for row in result.get("evenness", []):
		if row["way"] == "fairdial" and "of one pod" in row["scenario"]:
			chance = next((of["spread"]["median"] for of in result["evenness"]
				       if of["scenario"] == row["scenario"] and of["way"] == "iptables"), None)
			what = "%s, max - min%s" % (row["scenario"], "" if chance is None else " (at random %g)" % chance)
			found.append(goal(what, row["most"], "", "at most", 1))
	return found


# ---- the table ----

def number(value):
	return "%.0f" % value if value >= 1000 else "%.4g" % value


def text_of_part(of, titles):
	lines = []
	for row in of["numbers"].values():
		lines += ["", "%s: %s" % (of["title"], row["title"]),
			  "  %-45s %13s  %-21s %-8s %s" % ("", "median", "quartiles", "/ direct", "quartiles")]
		for name, value in row["variants"].items():
			ratio = value.get("ratio")
			lines.append(("  %-45s %13s  %-21s %-8s %s" % (
				titles[name], number(value["median"]) + " " + row["unit"],
				number(value["low"]) + " to " + number(value["high"]),
				"%.3f" % ratio["median"] if ratio else "-",
				"%.3f to %.3f" % (ratio["low"], ratio["high"]) if ratio else "")).rstrip())
		for proxy in ("haproxy", "nginx"):
			ratio = ratio_between(row, "fairdial", proxy)
			if ratio and row["more_is_better"]:
				lines.append("  fairdial / %-34s %13.3f  %.3f to %.3f" % (
					titles[proxy].split(",")[0], ratio["median"], ratio["low"], ratio["high"]))
	return lines


def text_of_pairs(rows):
	def cell(of):
		return "%.3f (%.3f to %.3f)" % (of["median"], of["low"], of["high"])
	lines = ["", "requests a second over long-lived connections, turn by turn: the median ratio, and where it lies (95 of 100)"]
	lines += ["  %-6s fairdial / direct %-24s direct / direct %-24s %d turns" % (
		of["what"], cell(of["fairdial"]), cell(of["itself"]), of["rounds"]) for of in rows]
	return lines


def text_of_evenness(rows):
	lines, scenario = ["", "evenness: connections of the busiest server less those of the idlest"], None
	for row in rows:
		if row["scenario"] != scenario:
			scenario = row["scenario"]
			lines.append("  %s" % scenario)
		counts = row["counts"]
		shown = " ".join(map(str, counts)) if len(counts) <= 12 else "%d to %d" % (min(counts), max(counts))
		lines.append("    %-24s median %3d, most %3d of %2d; deviation %5.1f; the last: %s" % (
			row["way"], row["spread"]["median"], row["most"], row["trials"], row["deviation"]["median"], shown))
	lines.append("  (the lists of HAProxy and nginx are files here, and not changed)")
	return lines


def text_of_change(rows, crowd):
	lines = ["", "a change of one Service beside %s others" % "{:,}".format(crowd)]
	for row in rows:
		if "trouble" in row:
			lines.append("  %-45s not measured: %s" % (row["title"], row["trouble"]))
		else:
			lines.append("  %-45s %13s  %-21s 99 of 100: %s" % (row["title"], number(row["median"]) + " ms",
					number(row["low"]) + " to " + number(row["high"]), number(row["p99"])))
	lines.append("  (kube-proxy's own time is not in the last two: it watches too, and gathers for up to a second)")
	return lines


def text(result):
	lines = ["%(processor)s, %(processors)d processors, Linux %(kernel)s; " % result["machine"]
		 + ", ".join("%s %s" % pair for pair in result["settings"].items() if pair[0] != "quick")]
	for of in result["parts"].values():
		lines += text_of_part(of, result["titles"])
	if result.get("pairs"):
		lines += text_of_pairs(result["pairs"])
	if result.get("evenness"):
		lines += text_of_evenness(result["evenness"])
	if result.get("change"):
		lines += text_of_change(result["change"], result["settings"]["services"])
	lines += ["", "goals"] + ["  %-90s %8.3g %-2s %-13s %s" % (of["what"], of["value"], of["unit"], of["goal"],
								   "ok" if of["met"] else "missed")
				  for of in result["goals"]]
	lines += ["  not measured: %s: %s" % (name, why) for name, why in result["troubles"].items()]
	return "\n".join(lines) + "\n"
