# SPDX-License-Identifier: Apache-2.0
"""libuv's own tests, in a runner that gives each a process of its own."""
import re

NAME = "libuv"
TREE = "/mnt/trees/libuv"
RUNNER = TREE + "/build/uv_run_tests_a"
# What the part for CI takes: the tests of what dials, resolves, forks and spawns.
PART = re.compile(r"^(tcp_|connect_|ping_pong|getaddrinfo_|gethostbyname|getnameinfo|fork_|spawn_|delayed_accept|multiple_listen|"
		  r"ipc_.*tcp|callback_stack|shutdown_|emfile|not_.*_after|poll_)")
SLOW = re.compile(r"^(tcp_writealot|tcp_write_queue_order|spawn_stdout_and_stderr_to_file2)$")
LIMIT = 1800


def prepare(box, archive):
	archive.source("libuv1", box.work + "/trees/libuv")
	log = box.work + "/results/libuv/build.log"
	box.must(["cmake", "-S", TREE, "-B", TREE + "/build", "-DLIBUV_BUILD_TESTS=ON"], log)
	box.must(["sh", "-c", 'exec make -s -j"$(nproc)" -C "$0" uv_run_tests_a', TREE + "/build"], log)


def _cases(box, part):
	listed = box.output([RUNNER, "--list"], cwd=TREE).split()
	return [name for name in listed if not part or (PART.match(name) and not SLOW.match(name))]


def run(box, env, log, part=None, only=None):
	names = only or (_cases(box, part) if part else [])
	# Tests leave files where they run, which has to be their own, and read test/fixtures there.
	each = """
		mkdir libuv && cd libuv && ln -s "$0/test" || exit
		[ $# -gt 0 ] || exec "$0/build/uv_run_tests_a"
		for name; do "$0/build/uv_run_tests_a" "$name"; done
	"""
	with open(log, "wb") as file:
		box.run(["sh", "-c", each, TREE, *names], env, cwd="/tmp", log=file, timeout=LIMIT)
	return _results(log)


def _results(log):
	"""TAP: "ok 12 - name", "not ok 12 - name", "ok 12 - name # SKIP why"."""
	results = {}
	with open(log, errors="replace") as file:
		for line in file:
			m = re.match(r"(not )?ok \d+ - (\w+)( # SKIP)?", line)
			if m:
				results[m[2]] = "fail" if m[1] else "skip" if m[3] else "ok"
	return results
