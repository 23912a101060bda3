# SPDX-License-Identifier: Apache-2.0
"""The tables that suites run under, and what the shim says afterwards that it did.

"nomatch" has one Service that nobody dials. "self" makes each TCP port of 127.0.0.1 and of ::1 a Service's, with that very
address and port for its only endpoint: every dial to them is decided by the shim, and should end where it would have ended.
So are addresses outside that answer nothing. One of the Services is called localhost, so that names are looked at too, and left to
/etc/hosts, which goes first.
"""
import json
import pathlib
import shutil
import subprocess

from sandbox import NOWHERE, root

PORTS = 256  # of one Service; checking the ports of a larger one takes time in squares
NOWHERE_PORTS = [80, 9123, 9999]
SHIM = "/mnt/shim/libfairdial.so"
TOOL = "/mnt/shim/fairdial"


def _service(name, address, ports):
	names = {"p%d" % port: port for port in ports}
	return {"name": name, "addresses": [address], "ports": [{"name": n, "port": p} for n, p in names.items()],
		"endpoints": [{"address": address, "ports": names}]}


def _services(name):
	if name == "nomatch":
		return [_service("nobody-dials-this", "192.0.2.77", [9])]
	services = [_service("%s-%d" % (family, first), address, range(first, min(first + PORTS, 65536)))
		    for family, address in (("four", "127.0.0.1"), ("six", "::1")) for first in range(1, 65536, PORTS)]
	services[0]["name"] = "localhost"
	return services + [_service("nowhere-%d" % n, address, NOWHERE_PORTS) for n, address in enumerate(NOWHERE)]


class Table:
	"""One of the tables, published anew: nothing has been dialed through it."""
	def __init__(self, box, name):
		self.box = box
		self.dir = "/mnt/tables/" + name
		folder = pathlib.Path(box.work) / "tables"
		subprocess.run(root(["rm", "-rf", str(folder / name)]), check=True)
		with open(folder / (name + ".json"), "w") as file:
			json.dump({"services": _services(name)}, file)
		box.must([TOOL, "publish", "--services", self.dir + ".json", "--dir", self.dir], folder / "publish.log")

	@property
	def env(self):
		return {"LD_PRELOAD": SHIM, "FAIRDIAL_DIR": self.dir}

	def attaches(self):
		"""Whether a program under this table has the shim, and the shim this table."""
		said = self.box.output(["bash", "-c", ": </dev/tcp/127.0.0.1/9; cat /proc/$$/maps"], {**self.env, "FAIRDIAL_TRACE": "attach"},
				       stderr=subprocess.STDOUT)
		return SHIM in said and "attach: %s/table mapped" % self.dir in said

	def dials(self):
		"""How many dials the shim has sent to endpoints of this table."""
		status = json.loads(self.box.output([TOOL, "status", "--json"], {"FAIRDIAL_DIR": self.dir}))
		return sum(endpoint["dials"] for service in status["services"] for port in service["ports"]
			   for endpoint in port["endpoints"])


def install(box, build):
	"""Puts the shim and the tool where the sandbox sees them."""
	folder = pathlib.Path(box.work) / "shim"
	folder.mkdir(exist_ok=True)
	for name in ("libfairdial.so", "fairdial"):
		shutil.copy(pathlib.Path(build) / name, folder / (name + ".new"))
		(folder / (name + ".new")).rename(folder / name)
