# SPDX-License-Identifier: Apache-2.0
"""c-ares' own tests, which ask a DNS server of their own over UDP and TCP; those that ask the world's are not run."""
import re

NAME = "c-ares"
TREE = "/mnt/trees/c-ares"
RUNNER = TREE + "/build/bin/arestest"
LIMIT = 1200


def prepare(box, archive):
	archive.source("c-ares", box.work + "/trees/c-ares")
	log = box.work + "/results/c-ares/build.log"
	box.must(["cmake", "-S", TREE, "-B", TREE + "/build", "-DCARES_BUILD_TESTS=ON", "-DCMAKE_BUILD_TYPE=Debug"], log)
	box.must(["sh", "-c", 'exec make -s -j"$(nproc)" -C "$0" arestest', TREE + "/build"], log)


def run(box, env, log, part=None, only=None):
	del part
	with open(log, "wb") as file:
		box.run([RUNNER, "--gtest_color=no", "--gtest_filter=" + (":".join(only) if only else "-*.Live*")], env,
			cwd=TREE + "/test", log=file, timeout=LIMIT)
	results = {}
	with open(log, errors="replace") as file:
		for line in file:
			# What tests print may stand before it on the line.
			m = re.search(r"\[( +RUN +|  +OK|  FAILED |  SKIPPED) \] ([\w/]+\.[\w/]+)", line)
			if m:
				state = m[1].strip()
				results[m[2]] = {"OK": "ok", "SKIPPED": "skip"}.get(state, "fail")
	return results
