#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# coverage.sh BUILD [TEST...]: which lines and branches of src the tests reach, in all and by folder; with names of tests, by those alone.
#
# Built and run in a copy of the tree, BUILD/coverage/tree. The shim is counted in the very programs that tests preload it into: it is
# the same source, but with a C library, for gcov's counters to be written when a process ends. A process that is killed, that
# executes another program, or that sees another root counts nothing. What no test reaches is named, with the reason, in
# tests/unreached.txt. Tests that cannot do with such a shim are left out:
#	test_elf test_layers	its file is to depend on nothing, and this one needs a C library
#	test_stack		its counters and -O1 take more of the stack than there is to be
#	test_sandbox		filters of system calls kill a process that writes its counters
#	test_chaos		so do limits of files and memory
#	test_loaders test_libcs	it is loaded by other loaders, under other C libraries and under none
#	test_aarch64		it is another machine's
set -eu
build=$1
shift
tree=$build/coverage/tree
report=$(pwd)/$build/coverage
left_out='test_elf test_layers test_stack test_sandbox test_chaos test_loaders test_libcs test_aarch64'

mkdir -p "$tree"
tar -c --exclude=./build --exclude=./.git . | tar -x -C "$tree"
cd "$tree"
# Of tests that are named, unit tests need nothing but themselves.
wanted=all
[ $# -gt 0 ] || wanted='all build-tests next'
for test in "$@"; do
	if [ -f "tests/unit/$test.c" ]; then wanted="$wanted build/tests/$test"; else wanted="$wanted build-tests next"; fi
done
${MAKE:-make} -s --no-print-directory COVERAGE=1 $wanted
# Emptied, and for other users to write as well, as whom some tests run programs.
find build -name '*.gcno' | sed 's/gcno$/gcda/' | while read -r counts; do
	: >"$counts"
	chmod a+rw "$counts"
done
tests=$*
named=
if [ -z "$tests" ]; then
	named="$report/lines.json tests/unreached.txt"
	for source in tests/unit/test_*.c tests/integration/test_*.c; do
		name=$(basename "$source" .c)
		case " $left_out " in *" $name "*) ;; *) tests="$tests $name" ;; esac
	done
fi
# What gcov itself complains of (a counter it may not write) is none of the programs' output.
GCOV_ERROR_FILE=/dev/null sh tests/run.sh build/tests '*' $tests >"$report/tests.log" 2>&1 || true
tail -n 1 "$report/tests.log"
grep '^FAIL' "$report/tests.log" | sed 's/^/  not counted on: /' || true
# A count below zero, as a process that was killed while it wrote may leave, makes that one line unknown.
gcovr build --root . --filter 'src/' --gcov-ignore-parse-errors --exclude-unreachable-branches --exclude-throw-branches \
	--json-summary-pretty --json-summary "$report/summary.json" --json "$report/lines.json" \
	--html-details "$report/index.html" --txt "$report/files.txt" >/dev/null
PYTHONDONTWRITEBYTECODE=1 python3 -m unittest discover -q -b -s tests -p 'test_coverage.py'
PYTHONDONTWRITEBYTECODE=1 python3 tests/coverage.py "$report/summary.json" $named
