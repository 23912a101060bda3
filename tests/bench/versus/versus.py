# SPDX-License-Identifier: Apache-2.0
"""versus.py BUILD [--rounds N] [--seconds N] [--quick]: fairdial beside a direct dial, kube-proxy's rules, HAProxy and nginx.

All in one run, in network namespaces of its own, the variants in turns. Prints a table, and writes it with the numbers as JSON and
pictures into BUILD/bench. Timings never fail it, nor does what is not possible here, which is told with the reason; --quick,
where a run takes seconds and no time means anything, fails unless all of it answers and is spread as it should be.
"""
import argparse
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
import time

import change
import loads
import nets
import pairs
import plots
import processes
import report
import rules
import spread
import variants

SERVERS = 20
PORT = 8080


def machine():
	name = platform.machine()
	with open("/proc/cpuinfo") as file:
		for line in file:
			if line.startswith("model name"):
				name = line.split(":")[1].strip()
				break
	return {"processor": name, "processors": os.cpu_count(), "kernel": platform.release()}


def services(addresses):
	web = [("shop/web%d" % count, ("10.96.0.%d" % count, 80), [(address, PORT) for address in addresses[:count]])
	       for count in (5, 7, 20)]
	return web + [("shop/db", ("10.96.1.5", 3306), [(address, 3306) for address in addresses[:5]])]


def tell(what, turn, of):
	if sys.stderr.isatty():
		sys.stderr.write("\r\033[K%s: %d of %d" % (what, turn, of) if turn < of else "\r\033[K")


def rounds_of(part, rounds):
	"""What is quick is measured more often, and less often what does not differ from turn to turn."""
	return {"dial": 3 * rounds, "memory": min(3, rounds)}.get(part, rounds)


def measure_loads(setup, made, sizes, result, missing):
	for name, (title, _, _, numbers) in loads.PARTS.items():
		try:
			if name == "mysql":
				setup.database = loads.start_database(setup)
			values = loads.measure(setup, made, name, rounds_of(name, sizes["rounds"]), sizes, tell)
		except (OSError, processes.Trouble) as trouble:
			missing(title, str(trouble))
			continue
		result["parts"][name] = report.part(title, numbers, values)


def measure_evenness(setup, made, nodes, sizes, result, missing):
	ways = {name: made[name] for name in ("iptables", "nftables-many", "haproxy", "nginx", "fairdial") if name in made}
	targets = [(address, PORT) for address in setup.backend.addresses]
	rows = result["evenness"] = []
	pods, herd, trials = sizes["pods"], sizes["herd"], sizes["list_trials"]
	for title, run in (
		("evenness within a pod", lambda: spread.within_a_pod(setup, ways, sizes["herds"], tell)),
		("evenness across pods", lambda: spread.across_pods(setup, nodes["few"], pods, trials, tell, missing)),
		("evenness after changes", lambda: spread.when_the_list_changes(setup, targets, herd, trials, tell, missing)),
	):
		try:
			rows += run()
		except (OSError, processes.Trouble) as trouble:
			missing(title, str(trouble))


def measure(build, folder, sizes):
	result = {"machine": machine(), "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "troubles": {}, "parts": {},
		  "settings": {name: sizes[name] for name in ("rounds", "seconds", "services", "quick")}}
	addresses = nets.server_addresses(SERVERS)
	nets.make_servers(addresses)
	backend = processes.Backend(os.path.join(build, "bench/versus-backend"), PORT, addresses)
	setup = variants.Setup(build, folder, backend, services(addresses))

	def missing(what, why):
		result["troubles"][what] = why

	made, nodes = variants.make_all(setup, sizes["services"], missing)
	try:
		measure_all(setup, made, nodes, sizes, result, missing)
	finally:
		for variant in made.values():
			for helper in variant.helpers:
				processes.stop(helper)
	return result


def measure_all(setup, made, nodes, sizes, result, missing):
	result["titles"] = {name: variant.title for name, variant in made.items()}
	# All are made, and answer; a load of a whole second is for fewer where it is only to be seen that it runs.
	loaded = {name: variant for name, variant in made.items() if name not in sizes["without"]}
	try:
		measure_loads(setup, loaded, sizes, result, missing)
		if "fairdial" in made and "direct" in made:
			result["pairs"] = pairs.measure(setup, made, result["parts"], sizes, tell, missing)
	finally:
		if getattr(setup, "database", None):
			processes.stop(setup.database)
	measure_evenness(setup, made, nodes, sizes, result, missing)
	result["change"] = change.measure(setup, nodes, sizes["services"], sizes["changes"], tell)
	result["goals"] = report.goals(result)


def failures(result):
	"""What a quick run is there to find: everything answers, and connections lie where they should. No time among it."""
	found = ["%s: %s" % pair for pair in result["troubles"].items()]
	found += ["%s: %s" % (row["title"], row["trouble"]) for row in result["change"] if "trouble" in row]
	for row in result["evenness"]:
		even = row["way"] in ("fairdial", "fairdial, ordinals", "fairdial, rebalance")
		if even and "from 3 to 6" not in row["scenario"] and row["most"] > 1:
			found.append("%s, %s: %s" % (row["scenario"], row["way"], row["counts"]))
	return found


def write(result, folder, quick):
	with open(os.path.join(folder, "versus.json"), "w") as file:
		json.dump(result, file, indent=1)
		file.write("\n")
	text = "Quick: for whether it works; no time below means anything.\n" * quick + report.text(result)
	with open(os.path.join(folder, "versus.txt"), "w") as file:
		file.write(text)
	print(text, end="", flush=True)
	try:
		files = plots.draw(result, folder)
	except OSError as trouble:
		print("no pictures: %s" % trouble)
	else:
		print("written: %s" % " ".join(os.path.relpath(path) for path in [os.path.join(folder, "versus.json"), *files]))


QUICK = {"quick": True, "rounds": 1, "seconds": 1, "services": 50, "dials": 50, "starts": 5, "clients": 10, "queries": 200,
	 "herds": ((2, 5, 2), (50, 7, 1)), "pods": 10,
	 "pairs": 1, "list_trials": 1, "herd": 24, "changes": 10, "without": ("iptables-many", "fairdial-many")}
FULL = {"quick": False, "rounds": 13, "seconds": 1, "services": 5000, "dials": 200, "starts": 40, "clients": 100,
	"queries": 0, "herds": ((2, 5, 15), (50, 7, 5), (1000, 20, 2)), "pods": 50, "pairs": 50, "list_trials": 1, "herd": 60,
	"changes": 200,
	"without": ()}


def arguments():
	parser = argparse.ArgumentParser(description=__doc__)
	parser.add_argument("build")
	parser.add_argument("--rounds", type=int)
	parser.add_argument("--seconds", type=int)
	parser.add_argument("--quick", action="store_true")
	given = parser.parse_args()
	sizes = dict(QUICK if given.quick else FULL)
	for name in ("rounds", "seconds"):
		if getattr(given, name):
			sizes[name] = getattr(given, name)
	return given, sizes


def main():
	given, sizes = arguments()
	if not shutil.which("unshare") or not shutil.which("ip"):
		print("bench: versus is not measured: no unshare or no ip here: sh tests/deps.sh bench")
		return 1
	nets.enter()
	build = os.path.abspath(given.build)
	signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
	with tempfile.TemporaryDirectory(prefix="versus-", dir="/run") as folder:
		os.chmod(folder, 0o755)
		result = measure(build, folder, sizes)
		write(result, os.path.join(build, "bench"), given.quick)
	found = failures(result) if given.quick else []
	for line in found:
		print("versus: " + line, file=sys.stderr)
	return 1 if found else 0


if __name__ == "__main__":
	try:
		sys.exit(main())
	except KeyboardInterrupt:
		sys.exit(130)
