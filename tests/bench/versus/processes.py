# SPDX-License-Identifier: Apache-2.0
"""Servers and clients of this run: what they use, and what they say."""
import contextlib
import os
import signal
import subprocess
import time

LIMIT = 60  # seconds; whoever needs longer hangs

CPU_OF_PROCESS = 2  # CPUCLOCK_SCHED: all threads, in ns, also those that have ended


class Trouble(Exception):
	"""Something cannot be measured; says why."""


def pinned(argv, to_server):
	"""Clients on the first processor, servers on the last: whether both happen to share one changes a time more than what is on
	the way. Proxies and agents run where they may."""
	processors = sorted(os.sched_getaffinity(0))
	return ["taskset", "-c", str(processors[-1 if to_server else 0]), *argv] if len(processors) > 1 else argv


def start(argv, env=None, talks=False, log=None):
	pipe = subprocess.PIPE if talks else subprocess.DEVNULL
	return subprocess.Popen(argv, env={**os.environ, **(env or {})}, stdin=pipe, stdout=pipe,
				stderr=log if log is not None else None, text=True)


def stop(process):
	if process.poll() is None:
		process.send_signal(signal.SIGTERM)
	try:
		process.wait(10)
	except subprocess.TimeoutExpired:
		process.kill()
		process.wait()
	for pipe in (process.stdin, process.stdout):
		if pipe:
			pipe.close()


def wait_until(true, what, limit=LIMIT):
	until = time.monotonic() + limit
	while not true():
		if time.monotonic() > until:
			raise Trouble("waited %d s for %s" % (limit, what))
		time.sleep(0.02)


def finish(argv, env=None):
	"""What argv says, and the seconds of processor time that it took."""
	read_end, write_end = os.pipe()
	process = subprocess.Popen(argv, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL, stdout=write_end,
				   stderr=subprocess.STDOUT)
	os.close(write_end)
	with os.fdopen(read_end, errors="replace") as said:
		text = said.read()
	_, status, usage = os.wait4(process.pid, 0)
	process.returncode = os.waitstatus_to_exitcode(status)
	if process.returncode:
		raise Trouble("%s: exit status %d: %s" % (" ".join(argv)[-160:], process.returncode, text.strip()[-300:]))
	return text, usage.ru_utime + usage.ru_stime


def family(pid):
	"""The process and those that it started."""
	pids = [pid]
	for of in pids:
		try:
			with open("/proc/%d/task/%d/children" % (of, of)) as file:
				pids += map(int, file.read().split())
		except OSError:
			pass
	return pids


def cpu_seconds(processes):
	return sum(time.clock_gettime(~pid << 3 | CPU_OF_PROCESS) for process in processes for pid in family(process.pid))


def private_kib(pid):
	"""What this process alone holds. None where it is gone."""
	try:
		with open("/proc/%d/smaps_rollup" % pid) as file:
			return sum(int(line.split()[1]) for line in file if line.startswith(("Private_Clean", "Private_Dirty")))
	except OSError:
		return None


class Backend:
	"""backend.c: the servers behind all addresses."""

	def __init__(self, program, port, addresses):
		self.addresses, self.port = addresses, port
		self.process = start(pinned([program, str(port), *addresses], True), talks=True)
		if self.process.stdout.readline() != "ready\n":
			raise Trouble("the backend does not start")

	def command(self, line):
		self.process.stdin.write(line + "\n")
		self.process.stdin.flush()
		return self.process.stdout.readline().strip()

	def open(self):
		"""Open connections by address."""
		return {address: int(pair.split("/")[0]) for address, pair in zip(self.addresses, self.command("counts").split())}

	@contextlib.contextmanager
	def restless(self):
		"""Meanwhile nothing that comes to it has to wake it: see backend.c."""
		self.command("spin")
		try:
			yield
		finally:
			self.command("rest")

	def wait_idle(self):
		wait_until(lambda: not any(self.open().values()), "the servers' connections to close")


class Herd:
	"""Clients of one connection each, at once: client.c."""

	def __init__(self, argv, env):
		self.process = start(argv, env, talks=True)

	def expect(self, word):
		said = self.process.stdout.readline().strip()
		if said != word:
			raise Trouble("the clients are not served: they say '%s'" % said)

	def wait_ready(self):
		self.expect("ready")

	def serve_again(self):
		"""Each asks once more, on its connection or on a new one."""
		self.process.stdin.write("try\n")
		self.process.stdin.flush()
		self.expect("served")

	def pids(self):
		return family(self.process.pid)[1:]

	def end(self):
		if not self.process.stdin.closed:
			try:
				self.process.stdin.close()
			except BrokenPipeError:
				pass
		try:
			self.process.wait(LIMIT)
		except subprocess.TimeoutExpired:
			stop(self.process)
		self.process.stdout.close()
