# SPDX-License-Identifier: Apache-2.0
"""curl's own tests, with servers of their own: the first of them, which are about its protocols' everyday."""
import re

NAME = "curl"
TREE = "/mnt/trees/curl"
TESTS = ["1", "to", "400"]
LIMIT = 1800


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
	# It writes where it is. -a: go on after a failure; -n: no valgrind; -p: print the logs of what failed.
	each = 'mkdir curl && cp -r "$0/tests" "$0/src" curl && cd curl/tests && exec perl -I. ./runtests.pl -a -n -p "$@"'
	with open(log, "wb") as file:
		box.run(["sh", "-c", each, TREE, *(only or TESTS)], env, cwd="/tmp", log=file, timeout=LIMIT)
	return _results(log)


def _results(log):
	"""A line "test 0012...[what it is about]", then in one of its own whether that is OK; or "test 0012 SKIPPED: why"."""
	results = {}
	test = None
	with open(log, errors="replace") as file:
		for line in file:
			begun = re.match(r"test 0*(\d+)(\.\.\.| SKIPPED)", line)
			if begun:
				test = begun[1]
				results[test] = "skip" if "SKIPPED" in begun[2] else "fail"
			if test and " OK (" in line:
				results[test] = "ok"
				test = None
	return results
