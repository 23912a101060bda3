# SPDX-License-Identifier: Apache-2.0
"""curl's own tests, with servers of their own: the first of them, which are about its protocols' everyday."""
import re

NAME = "curl"
TREE = "/mnt/trees/curl"
TESTS = ["1", "to", "400"]
LIMIT = 1800
JOBS = 1  # it writes into its own folder


def prepare(box, archive):
	archive.source("curl", box.work + "/trees/curl")
	log = box.work + "/results/curl/build.log"
	build = """
		cd "$0" && { [ -e config.status ] || ./configure --quiet --disable-shared --with-openssl --disable-ldap \\
			--without-libpsl --without-zstd --without-brotli --without-nghttp2; } &&
		for part in lib src tests/server; do make -s -j"$(nproc)" -C $part || exit; done
	"""
	box.must(["sh", "-c", build, TREE], log)


def run(box, env, log, part=None, only=None):
	del part
	with open(log, "wb") as file:
		# -a: go on after a failure; -n: no valgrind; -p would print the logs of failed ones.
		box.run(["perl", "-I.", "./runtests.pl", "-a", "-n", "-p", *(only or TESTS)], env, cwd=TREE + "/tests", log=file, timeout=LIMIT)
	results = {}
	with open(log, errors="replace") as file:
		for line in file:
			m = re.match(r"test 0*(\d+)\.\.\.(.*)", line)
			if not m:
				continue
			if " OK (" in m[2] or m[2].startswith("OK"):
				results[m[1]] = "ok"
			else:
				results[m[1]] = "skip" if "SKIPPED" in m[2].upper() else "fail"
	return results
