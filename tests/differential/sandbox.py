# SPDX-License-Identifier: Apache-2.0
"""A place to run other people's tests in: no network but loopback, a /tmp and process ids of its own, and no privileges.

The work folder is /mnt in there, whatever may be above it outside. All that a command started ends with it. Names are those of
/etc/hosts, and no name server answers. Two addresses of the world's that suites dial are there, and answer nothing.
"""
import os
import signal
import subprocess

WORK = "/mnt"
USER = "65534"
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/mnt/home", "TMPDIR": "/tmp", "LANG": "C.UTF-8"}

NOWHERE = ["1.2.3.4", "8.8.8.8"]
FILES = {
	"hosts": "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n127.0.1.1 sandbox\n",
	"resolv.conf": "nameserver 127.0.0.1\n",
}

# The shell stays process 1: what it starts has the signals of any other program, and it buries orphans.
SETUP = """
ip link set lo up &&
for a in %s; do ip route add "$a/32" dev lo || exit 125; done &&
mount --bind "$1" /mnt &&
mount -t tmpfs -o mode=1777 tmpfs /tmp &&
mount --bind /mnt/etc/hosts /etc/hosts &&
mount --bind /mnt/etc/resolv.conf /etc/resolv.conf &&
echo sandbox >/proc/sys/kernel/hostname &&
cd "$2" || exit 125
shift 2
setpriv --reuid=%s --regid=%s --clear-groups --inh-caps=-all --no-new-privs -- env -i "$@"
exit $?
""" % (" ".join(NOWHERE), USER, USER)


def root(argv):
	"""argv, as root."""
	return argv if os.geteuid() == 0 else ["sudo", *argv]


class Sandbox:
	def __init__(self, work):
		self.work = str(work)
		for name, mode in (("home", 0o777), ("tables", 0o777), ("trees", 0o755)):
			path = os.path.join(self.work, name)
			os.makedirs(path, exist_ok=True)
			os.chmod(path, mode)
		os.makedirs(os.path.join(self.work, "etc"), exist_ok=True)
		for name, text in FILES.items():
			with open(os.path.join(self.work, "etc", name), "w") as file:
				file.write(text)

	def command(self, argv, env, cwd):
		values = ["%s=%s" % pair for pair in {**ENVIRONMENT, **env}.items()]
		return root(["unshare", "--net", "--mount", "--uts", "--pid", "--fork", "--mount-proc", "--kill-child",
			     "sh", "-c", SETUP, "sandbox", self.work, cwd, *values, *argv])

	def run(self, argv, env=None, cwd=WORK, log=None, timeout=None):
		"""Runs argv; returns its exit status, or None where time ran out. What it says goes to the open file log."""
		process = subprocess.Popen(self.command(argv, env or {}, cwd), stdin=subprocess.DEVNULL,
					   stdout=log or subprocess.DEVNULL, stderr=subprocess.STDOUT, start_new_session=True)
		try:
			return process.wait(timeout)
		except subprocess.TimeoutExpired:
			return None
		finally:
			if process.poll() is None:
				os.killpg(process.pid, signal.SIGKILL)
				process.wait()

	def must(self, argv, log_path, **options):
		"""Runs argv, which has to succeed: else its log is shown."""
		with open(log_path, "ab") as log:
			status = self.run(argv, log=log, **options)
		if status != 0:
			with open(log_path, errors="replace") as log:
				tail = log.read()[-4000:]
			raise SystemExit("%s\n%s: exit status %s (log: %s)" % (tail, " ".join(argv)[:200], status, log_path))

	def output(self, argv, env=None, cwd=WORK, stderr=None):
		"""What argv prints on standard output; it has to succeed."""
		return subprocess.run(self.command(argv, env or {}, cwd), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
				      stderr=stderr, check=True).stdout.decode()
