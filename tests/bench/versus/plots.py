# SPDX-License-Identifier: Apache-2.0
"""Pictures of a result: gnuplot's input, and SVG files from it."""
import os
import subprocess

HEAD = """set terminal svg size 900,360 font "sans-serif,12" background rgb "white"
set style data histogram
set style histogram errorbars gap 1.5 lw 1
set style fill solid 0.75 noborder
set grid ytics lc rgb "#dddddd"
set border 3 lc rgb "#888888"
set tics nomirror
set xtics rotate by -20 noenhanced
set key outside top center horizontal
set errorbars 0.5 front lc rgb "#444444"
set linetype 1 lc rgb "#2a6fb0"
set linetype 2 lc rgb "#e08a1e"
set linetype 3 lc rgb "#5a9b4a"
set linetype 4 lc rgb "#9a5fb5"
"""


def quoted(text):
	return '"%s"' % text.replace('"', "'")


def bars(title, unit, names, series, log=False):
	"""Bars with quartiles: `series` is a list of (title, {name: {"median", "low", "high"}})."""
	rows = [" ".join([quoted(name), *("%g %g %g" % tuple(of[name][key] for key in ("median", "low", "high")) if name in of else
					  "NaN NaN NaN" for _, of in series)]) for name in names]
	plots = ["$data using %d:%d:%d%s title %s" % (2 + 3 * i, 3 + 3 * i, 4 + 3 * i, ":xtic(1)" if i == 0 else "",
						      quoted(of_title))
		 for i, (of_title, _) in enumerate(series)]
	return HEAD + "set title %s noenhanced\nset ylabel %s noenhanced\n%s$data << EOD\n%s\nEOD\nplot %s\n" % (
		quoted(title), quoted(unit), "set logscale y\n" if log else "set yrange [0:*]\n", "\n".join(rows), ", ".join(plots))


def pictures(result):
	"""{name of the file: input for gnuplot}"""
	made, numbers = {}, {name: row for of in result["parts"].values() for name, row in of["numbers"].items()}
	names = list(result["titles"])

	def pick(*keys, ratio=False):
		return [(title, {name: of["ratio"] if ratio else of for name, of in numbers[key]["variants"].items()
				 if not ratio or "ratio" in of}) for key, title in keys if key in numbers]

	rates = pick(("http_rate", "HTTP, wrk"), ("mysql_rate", "MySQL, sysbench"), ratio=True)
	if rates:
		made["rates"] = bars("Requests a second over long-lived connections: ratio to a direct dial", "ratio", names, rates)
	dials = pick(("dial_p50", "connect(), median"), ("dial_p99", "connect(), 99 of 100"),
		     ("answer_p50", "first answer, median"), ("answer_p99", "first answer, 99 of 100"))
	if dials:
		made["dials"] = bars("Time to dial", "us", names, dials, log=True)
	cpu = pick(("http_cpu", "HTTP, wrk"), ("mysql_cpu", "MySQL, sysbench"))
	if cpu:
		made["processor"] = bars("Processor time of a million requests, all that take part", "s", names, cpu)
	if result.get("evenness"):
		scenarios = list(dict.fromkeys(row["scenario"] for row in result["evenness"]))
		ways = [way for way in ("iptables", "fairdial", "fairdial, no rank", "fairdial, ordinals", "fairdial, rebalance")
			if any(row["way"] == way for row in result["evenness"])]
		made["evenness"] = bars("Connections of the busiest server less those of the idlest", "connections", scenarios, [
			(way, {row["scenario"]: row["spread"] for row in result["evenness"] if row["way"] == way}) for way in ways])
	changes = {row["title"]: row for row in result.get("change", []) if "trouble" not in row}
	if changes:
		last = {name: dict.fromkeys(("median", "low", "high"), row["p99"]) for name, row in changes.items()}
		made["change"] = bars("A change of one Service", "ms", list(changes),
				      [("median", changes), ("99 of 100", last)], log=True)
	return made


def draw(result, folder):
	"""The files that were written. Raises OSError where gnuplot is not there or fails."""
	files = []
	for name, text in pictures(result).items():
		path = os.path.join(folder, "versus-%s.svg" % name)
		done = subprocess.run(["gnuplot", "-"], input="set output %s\n%s" % (quoted(path), text), stdout=subprocess.DEVNULL,
				      stderr=subprocess.PIPE, text=True)
		if done.returncode:
			raise OSError("gnuplot: " + done.stderr.strip()[-300:])
		files.append(path)
	return files
