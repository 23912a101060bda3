# SPDX-License-Identifier: Apache-2.0
"""CPython's own tests: the release's Python, unpacked with its test suite, and the modules that have to do with sockets and processes.

Each module has a process of its own, so that a crash takes no other module along.
"""
import subprocess

PYTHON = "/mnt/trees/python/usr/bin/python%s"
CASES = "/mnt/cases/cpython_cases.py"
LIMIT = 1200  # seconds, a module


def _version():
	return subprocess.run(["/usr/bin/python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], check=True,
			      stdout=subprocess.PIPE, text=True).stdout.strip()


class Suite:
	def __init__(self, name):
		self.NAME = name
		self.DIALS = name != "test_subprocess"

	def prepare(self, box, archive):
		version = _version()
		self.python = PYTHON % version
		names = ["python%s-minimal", "libpython%s-minimal", "libpython%s-stdlib", "libpython%s-testsuite"]
		archive.binaries([name % version for name in names], box.work + "/trees/python")

	def run(self, box, env, log, part=None, only=None):
		del part
		results = {}
		with open(log, "wb") as file:
			for module in self._modules(box, only):
				box.run([self.python, "-B", CASES, *module], env, cwd="/tmp", log=file, timeout=LIMIT)
		with open(log, errors="replace") as file:
			for line in file:
				if line.startswith("case\t"):
					_, state, name = line.rstrip("\n").split("\t")
					# A test whose subtests failed is named more than once.
					results[name] = state if results.get(name) != "fail" else "fail"
		return results

	def _modules(self, box, only):
		"""Arguments of each process: the names of a module or of tests."""
		if only:
			return [[name] for name in only]
		return [[module] for module in self._expand(box, "test." + self.NAME)]

	def _expand(self, box, name):
		listing = box.output([self.python, "-B", CASES, "--modules", name], cwd="/tmp")
		return listing.split()


SUITES = [Suite(name) for name in ("test_socket", "test_subprocess", "test_ssl", "test_asyncio")]
