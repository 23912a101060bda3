# SPDX-License-Identifier: Apache-2.0
"""Sources and packages of this machine's own release, from where the machine has its packages.

apt does the work, with lists in the work folder: its signatures and sums are checked, and nothing is installed.
"""
import os
import pathlib
import shutil
import subprocess

from sandbox import USER, root


class Archive:
	def __init__(self, work):
		self.folder = pathlib.Path(work) / "apt"
		self.updated = False

	def _releases(self):
		lines = subprocess.run(["apt-get", "indextargets", "--format", "$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)",
					"Created-By: Packages"], check=True, stdout=subprocess.PIPE, text=True).stdout.split()
		return sorted({tuple(line.split("|")[1:]) for line in lines if line.split("|")[0] in ("Debian", "Ubuntu")})

	def _apt(self, *words, cwd=None):
		options = {"Dir::Etc::SourceList": self.folder / "sources.list", "Dir::Etc::SourceParts": "/dev/null",
			   "Dir::State::Lists": self.folder / "lists", "Dir::Cache": self.folder / "cache",
			   "APT::Sandbox::User": "root", "Acquire::Languages": "none", "Acquire::Retries": "3",
			   # An archive that is kept as of a day is as good here as one of today.
			   "Acquire::Check-Valid-Until": "false"}
		argv = ["apt-get", "-qq", *(word for key, value in options.items() for word in ("-o", "%s=%s" % (key, value))), *words]
		return subprocess.run(root(argv), cwd=cwd or self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

	def _update(self):
		if self.updated:
			return
		for name in ("lists/partial", "cache/archives/partial"):
			(self.folder / name).mkdir(parents=True, exist_ok=True)
		releases = self._releases()
		if not releases:
			raise SystemExit("differential: this machine has its packages from no Debian archive")
		with open(self.folder / "sources.list", "w") as file:
			for release in releases:
				file.write("deb {0}\ndeb-src {0}\n".format(" ".join(release)))
		done = self._apt("update")
		if done.returncode:
			raise SystemExit("differential: apt-get update: " + done.stdout)
		self.updated = True

	def source(self, package, tree):
		"""Unpacks the source of package, patched as Debian builds it, into the folder tree. Once."""
		def fetch(folder):
			# The newest, which a mirror may have under another of its releases.
			for release in ["", *("/" + r[1] for r in self._releases())]:
				done = self._apt("source", package + release, cwd=folder)
				unpacked = [p for p in folder.iterdir() if p.is_dir()]
				if done.returncode == 0 and unpacked:
					return unpacked[0]
			raise SystemExit("differential: no source of %s: %s" % (package, done.stdout))
		self._unpack(tree, fetch)

	def binaries(self, packages, tree):
		"""Unpacks packages into the folder tree; no script of theirs runs. Once."""
		def fetch(folder):
			done = self._apt("download", *packages, cwd=folder)
			if done.returncode:
				raise SystemExit("differential: no packages %s: %s" % (" ".join(packages), done.stdout))
			for deb in folder.glob("*.deb"):
				subprocess.run(["dpkg-deb", "-x", deb, folder / "root"], check=True)
			return folder / "root"
		self._unpack(tree, fetch)

	def _unpack(self, tree, fetch):
		if os.path.exists(tree):
			return
		self._update()
		folder = pathlib.Path(str(tree) + ".new")
		shutil.rmtree(folder, ignore_errors=True)
		folder.mkdir(parents=True)
		unpacked = fetch(folder)
		subprocess.run(root(["chown", "-R", "%s:%s" % (USER, USER), str(unpacked)]), check=True)
		os.rename(unpacked, tree)
		shutil.rmtree(folder)
