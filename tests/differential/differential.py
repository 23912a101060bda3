#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Test suites that others wrote, with and without the shim: the sets of tests that pass have to be equal.

	differential.py BUILD [--part ci] [SUITE...]

Each suite runs natively three times; a test that does not pass each time is left out, by name. Then it runs under the shim
twice: with a table that matches nothing, and with one that makes every TCP port of 127.0.0.1 and ::1 a Service whose only
endpoint is itself (tables.py). A test that fails there alone is run again, natively and under the shim: who fails again
differs, and the exit status is 1; who passes then is unstable, and is named.

Suites are taken from this machine's own release (archive.py), built and run without a network, without privileges, in
process ids and a /tmp of their own (sandbox.py); nothing is installed. Root or sudo makes the sandbox.

Under BUILD/differential: results/SUITE/RUN.log is what a run said, RUN.passed which tests passed; summary.json has it all.
A new suite is a module or an object with NAME, prepare(box, archive) and
run(box, env, log, part, only) -> {test: "ok", "fail" or "skip"};
with DIALS = False where it dials nothing over TCP.
"""
import argparse
import concurrent.futures
import fcntl
import json
import os
import pathlib
import shutil
import sys
import time

import suite_cares
import suite_cpython
import suite_curl
import suite_libuv
import tables
from archive import Archive
from sandbox import Sandbox

HERE = pathlib.Path(__file__).resolve().parent
SUITES = [suite_libuv, *suite_cpython.SUITES, suite_cares, suite_curl]
PARTS = {"ci": ["libuv", "test_socket"]}
# Runs of a suite at a time: most tests wait more than they work, and none sees what is another run's.
JOBS = 3
NATIVE_RUNS = 3
AGAIN = 2
TABLES = ("nomatch", "self")


class Run:
	"""Runs of one suite, each with a log and a list of tests that passed."""
	def __init__(self, box, suite, part):
		self.box, self.suite, self.part = box, suite, part
		self.folder = pathlib.Path(box.work) / "results" / suite.NAME

	def __call__(self, name, env=None, only=None):
		begun = time.monotonic()
		results = self.suite.run(self.box, env or {}, str(self.folder / (name + ".log")), self.part, only)
		passed = {test for test, state in results.items() if state == "ok"}
		(self.folder / (name + ".passed")).write_text("".join(test + "\n" for test in sorted(passed)))
		if not only:
			print("  %s %s: %d passed of %d, %.0f s" % (self.suite.NAME, name, len(passed), len(results),
								  time.monotonic() - begun), file=sys.stderr, flush=True)
		return results, passed


def side_by_side(function, items):
	with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
		return list(pool.map(function, items))


def native(run):
	"""What a suite's tests do without the shim: those that always pass, and the names of those that do not."""
	runs = side_by_side(run, ["native-%d" % n for n in range(1, NATIVE_RUNS + 1)])
	ran = {test for results, _ in runs for test, state in results.items() if state != "skip"}
	stable = set.intersection(*(passed for _, passed in runs))
	skipped = {test for results, _ in runs for test in results} - ran
	return {"ran": len(ran), "stable": sorted(stable), "left_out": sorted(ran - stable), "skipped": sorted(skipped)}


def again(run, table, name, missing):
	"""Splits tests that did not pass under the shim into those that differ and those that are unstable."""
	differ = set(missing)
	for turn in range(1, AGAIN + 1):
		if not differ:
			break
		only = sorted(differ)
		_, natively = run("%s-again-%d-native" % (name, turn), only=only)
		_, shimmed = run("%s-again-%d" % (name, turn), table.env, only)
		# Passing under the shim, or failing without it too, is not what the shim does.
		differ -= shimmed | (differ - natively)
	return sorted(differ), sorted(set(missing) - differ)


def shimmed(run, box, name, stable):
	"""The stable tests of a suite under the table of that name."""
	table = tables.Table(box, name)
	_, passed = run(name, table.env)
	dials = table.dials()
	differ, unstable = again(run, table, name, stable - passed)
	troubles = [] if table.attaches() else ["the shim or its table was not there"]
	if (dials > 0) != (name == "self" and getattr(run.suite, "DIALS", True)):
		troubles.append("the shim sent %d dials" % dials)
	return {"equal": len(stable & passed), "differ": differ, "unstable": unstable, "dials": dials, "troubles": troubles}


def differential(box, archive, suite, part):
	folder = pathlib.Path(box.work) / "results" / suite.NAME
	shutil.rmtree(folder, ignore_errors=True)
	folder.mkdir(parents=True)
	suite.prepare(box, archive)
	run = Run(box, suite, part)
	report = native(run)
	stable = set(report["stable"])
	report.update(zip(TABLES, side_by_side(lambda name: shimmed(run, box, name, stable), TABLES)))
	return report


def words(names):
	return " ".join(names) if names else "none"


def line(name, report):
	"""The one line about a suite."""
	def of(title, r):
		text = "%s: %d equal, %d dials by the shim" % (title, r["equal"], r["dials"])
		text += ", unstable: " + words(r["unstable"]) if r["unstable"] else ""
		text += ", DIFFER: " + words(r["differ"]) if r["differ"] else ""
		return text + "".join(", TROUBLE: " + t for t in r["troubles"])
	return "%s: %d native runs: %d stable of %d (left out: %s; the suite skips %d); %s; %s" % (
		name, NATIVE_RUNS, len(report["stable"]), report["ran"], words(report["left_out"]), len(report["skipped"]),
		of("no match", report["nomatch"]), of("mapped to itself", report["self"]))


def is_equal(report):
	return bool(report["stable"]) and not any(report[t]["differ"] or report[t]["troubles"] for t in TABLES)


def main():
	parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
	parser.add_argument("build")
	parser.add_argument("--part", choices=PARTS)
	parser.add_argument("suites", nargs="*", metavar="SUITE", help=", ".join(suite.NAME for suite in SUITES))
	args = parser.parse_args()
	wanted = args.suites or PARTS.get(args.part) or [suite.NAME for suite in SUITES]
	unknown = set(wanted) - {suite.NAME for suite in SUITES}
	if unknown:
		parser.error("no suite is called %s" % words(sorted(unknown)))

	work = pathlib.Path(args.build).resolve() / "differential"
	work.mkdir(parents=True, exist_ok=True)
	lock = open(work / "lock", "w")
	fcntl.flock(lock, fcntl.LOCK_EX)
	box = Sandbox(work)
	tables.install(box, args.build)
	shutil.copytree(HERE, work / "cases", dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
	archive = Archive(work)

	reports = {suite.NAME: differential(box, archive, suite, args.part) for suite in SUITES if suite.NAME in wanted}
	(work / "summary.json").write_text(json.dumps(reports, indent=2) + "\n")
	for name, report in reports.items():
		print(line(name, report), flush=True)
	return 0 if all(map(is_equal, reports.values())) else 1


if __name__ == "__main__":
	os.umask(0o022)
	sys.exit(main())
