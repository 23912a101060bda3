# SPDX-License-Identifier: Apache-2.0
"""Runs tests of CPython by name and writes a line "case STATE NAME" for each as it ends. With --modules: names a package's modules."""
import faulthandler
import importlib
import os
import pkgutil
import sys
import tempfile
import unittest

from test import support


class Result(unittest.TextTestResult):
	def _say(self, state, test):
		# A subtest speaks for its test; a class or module that could not be set up has a name of its own.
		test = getattr(test, "test_case", test)
		self.stream.flush()
		print("\ncase", state, test.id(), sep="\t", flush=True)  # programs that a test started may have left a line unended

	def addSuccess(self, test):
		super().addSuccess(test)
		self._say("ok", test)

	def addError(self, test, err):
		super().addError(test, err)
		self._say("fail", test)
		self._show(test, err)

	def addFailure(self, test, err):
		super().addFailure(test, err)
		self._say("fail", test)
		self._show(test, err)

	def addSubTest(self, test, subtest, err):
		super().addSubTest(test, subtest, err)
		if err is not None:
			self._say("fail", test)
			self._show(test, err)

	def addSkip(self, test, reason):
		super().addSkip(test, reason)
		self._say("skip", test)

	def addExpectedFailure(self, test, err):
		super().addExpectedFailure(test, err)
		self._say("ok", test)

	def addUnexpectedSuccess(self, test):
		super().addUnexpectedSuccess(test)
		self._say("fail", test)

	def _show(self, test, err):
		print(self._exc_info_to_string(err, test), flush=True)


def modules(name):
	"""The modules of tests in a package, or the one module."""
	module = importlib.import_module(name)
	if not hasattr(module, "__path__"):
		return [name]
	return sorted("%s.%s" % (name, m.name) for m in pkgutil.iter_modules(module.__path__) if m.name.startswith("test_"))


def main(words):
	if words[0] == "--modules":
		print("\n".join(modules(words[1])))
		return
	faulthandler.enable()
	support.verbose = False
	support.use_resources = []  # neither the network nor what takes a machine for itself
	os.chdir(tempfile.mkdtemp())
	tests = unittest.defaultTestLoader.loadTestsFromNames(words)
	runner = unittest.TextTestRunner(stream=sys.stdout, resultclass=Result, verbosity=0, warnings="ignore")
	runner.run(tests)


main(sys.argv[1:])
