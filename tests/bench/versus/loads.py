# SPDX-License-Identifier: Apache-2.0
"""What is measured of one variant in one turn: each function returns numbers by name."""
import os
import re
import shutil

import figures
import nets
import processes

HERE = os.path.dirname(os.path.abspath(__file__))
CONNECTIONS = 32
FIRST_DIALS = 20 # of a process: they find caches cold, and are those of "a process that dials once"


def numbers(text):
	return [[float(word) for word in line.split()] for line in text.splitlines()]


def dial(setup, variant, turn):
	argv, env = variant.command([setup.client, "dial", str(FIRST_DIALS + turn["dials"]),
				     *map(str, variant.addresses["shop/web5"])])
	with setup.backend.restless():
		rows = numbers(processes.finish(argv, env)[0])[FIRST_DIALS:]
	connected, answered = [row[0] / 1000 for row in rows], [row[1] / 1000 for row in rows]
	return {"dial_p50": figures.percentile(connected, 50), "dial_p99": figures.percentile(connected, 99),
		"answer_p50": figures.percentile(answered, 50), "answer_p99": figures.percentile(answered, 99)}


def life(setup, variant, turn):
	argv, env = variant.client(setup, "start", turn["starts"], "shop/web5")
	lives = [row[0] / 1e6 for row in numbers(processes.finish(argv, env)[0])]
	return {"life": figures.percentile(lives, 50)}


def loaded(variant, servers, argv, env):
	"""What argv says, and all processor time meanwhile: its own, of what helps it, and of the servers."""
	others = [*variant.helpers, *servers]
	before = processes.cpu_seconds(others)
	text, own = processes.finish(argv, env)
	return text, own + processes.cpu_seconds(others) - before


def http(setup, variant, turn):
	address, port = variant.addresses["shop/web5"]
	argv, env = variant.command(["wrk", "-t1", "-c%d" % CONNECTIONS, "-d%ds" % turn["seconds"], "-s",
				     os.path.join(HERE, "wrk.lua"),
				     "http://%s:%d/" % (address, port)])
	text, cpu = loaded(variant, [setup.backend.process], argv, env)
	found = re.search(r"^done (\d+) ([\d.]+) (\d+) (\d+)$", text, re.M)
	if not found or int(found[4]) or not int(found[1]):
		raise processes.Trouble("wrk: " + text.strip()[-200:])
	requests, seconds = int(found[1]), float(found[2])
	return {"http_rate": requests / seconds, "http_p99": float(found[3]), "http_cpu": cpu * 1e6 / requests}


def mysql(setup, variant, turn):
	address, port = variant.addresses["shop/db"]
	argv, env = variant.command(["sysbench", "--db-driver=mysql", "--mysql-host=" + address, "--mysql-port=%d" % port,
				     "--mysql-user=root", "--mysql-db=", "--threads=8", "--time=%d" % turn["seconds"],
				     "--events=%d" % turn["queries"], "--percentile=99",
				     os.path.join(HERE, "select.lua"), "run"])
	text, cpu = loaded(variant, [setup.database], argv, env)
	queries, rate = re.search(r"total:\s+(\d+)", text), re.search(r"queries:\s+\d+\s+\(([\d.]+) per sec", text)
	last = re.search(r"99th percentile:\s+([\d.]+)", text)
	if not queries or not rate or not last or not int(queries[1]):
		raise processes.Trouble("sysbench: " + text.strip()[-200:])
	return {"mysql_rate": float(rate[1]), "mysql_p99": float(last[1]) * 1000, "mysql_cpu": cpu * 1e6 / int(queries[1])}


def memory(setup, variant, turn):
	argv, env = variant.client(setup, "herd", turn["clients"], "shop/web5")
	herd = processes.Herd(argv, env)
	try:
		herd.wait_ready()
		kib = [value for value in map(processes.private_kib, herd.pids()) if value]
		helpers = sum(processes.private_kib(pid) or 0 for helper in variant.helpers for pid in processes.family(helper.pid))
	finally:
		herd.end()
	return {"client_memory": figures.percentile(kib, 50), "helper_memory": helpers}


def start_database(setup):
	"""One MariaDB behind all addresses, for the reason that there is one backend."""
	for program in ("mariadbd", "mariadb-install-db", "sysbench"):
		if not shutil.which(program):
			raise processes.Trouble("%s is not installed: sh tests/deps.sh bench" % program)
	folder, common = setup.path("database"), ["--no-defaults", "--user=root", "--innodb-log-file-size=4M"]
	nets.run(["mariadb-install-db", *common, "--datadir=" + folder, "--auth-root-authentication-method=normal",
		  "--skip-test-db"])
	log = open(setup.path("database.log"), "w")
	argv = ["mariadbd", *common, "--datadir=" + folder, "--socket=%s/socket" % folder, "--pid-file=%s/pid" % folder,
		"--bind-address=0.0.0.0", "--port=3306", "--skip-grant-tables", "--skip-networking=0", "--skip-name-resolve",
		"--innodb-buffer-pool-size=8M", "--max-connections=500", "--thread-cache-size=100", "--back-log=500"]
	database = processes.start(processes.pinned(argv, True), log=log)
	log.close()
	processes.wait_until(lambda: os.path.exists(folder + "/socket") or database.poll() is not None, "MariaDB")
	if database.poll() is not None:
		raise processes.Trouble("MariaDB does not start: see its log")
	return database


# name: (title, what to run, what it needs, {number: (title, unit, more is better)})
PARTS = {
	"dial": ("time to dial, each connection new", dial, None, {
		"dial_p50": ("connect(), median", "us", False), "dial_p99": ("connect(), 99 of 100", "us", False),
		"answer_p50": ("until the first answer, median", "us", False),
		"answer_p99": ("until the first answer, 99 of 100", "us", False)}),
	"http": ("HTTP over %d long-lived connections, wrk" % CONNECTIONS, http, "wrk", {
		"http_rate": ("requests a second", "/s", True), "http_p99": ("99 of 100", "us", False),
		"http_cpu": ("processor time of a million requests, all that take part", "s", False)}),
	"mysql": ("MySQL over 8 long-lived connections, sysbench, SELECT 1", mysql, "sysbench", {
		"mysql_rate": ("queries a second", "/s", True), "mysql_p99": ("99 of 100", "us", False),
		"mysql_cpu": ("processor time of a million queries, all that take part", "s", False)}),
	"life": ("a process that dials once and ends", life, None, {"life": ("from start to end, median", "ms", False)}),
	"memory": ("private memory", memory, None, {
		"client_memory": ("of a client process, median", "KiB", False),
		"helper_memory": ("of the proxy or the agent in its pod", "KiB", False)}),
}


def measure(setup, variants, part, rounds, turn, tell):
	"""{number: {variant: values by round}}. The variants take turns, every second round backwards."""
	_, run, program, rows = PARTS[part]
	if program and not shutil.which(program):
		raise processes.Trouble("%s is not installed: sh tests/deps.sh bench" % program)
	values = {number: {name: [] for name in variants} for number in rows}
	for round_number in range(rounds):
		order = list(variants.values())
		for variant in order if round_number % 2 == 0 else reversed(order):
			for number, value in run(setup, variant, turn).items():
				values[number][variant.name].append(value)
		tell(part, round_number + 1, rounds)
	return values
