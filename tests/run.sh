#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh DIR PATTERN TEST...: runs cmocka programs one after the other; the last line counts tests. EMULATOR runs them where
# this machine cannot.
set -u
dir=$1 pattern=$2
shift 2

FAIRDIAL_TEST_ROOT=$(pwd)
export FAIRDIAL_TEST_ROOT
TEST_FILTER=$pattern
export TEST_FILTER
CMOCKA_MESSAGE_OUTPUT=stdout
export CMOCKA_MESSAGE_OUTPUT

log=$(mktemp)
trap 'rm -f "$log"' EXIT
passed=0 failed=0 skipped=0
for test in "$@"; do
	${EMULATOR-} "$dir/$test" >"$log" 2>&1
	status=$?
	p=$(grep -c '^\[       OK \]' "$log")
	f=$(grep '^\[  FAILED  \] [a-z0-9_]*$' "$log" | sort -u | wc -l) # cmocka names them twice
	s=$(grep '^\[  SKIPPED \] [a-z0-9_]*$' "$log" | sort -u | wc -l)
	[ "$status" -ne 0 ] && [ "$f" -eq 0 ] && f=1
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	if [ "$f" -ne 0 ]; then
		printf 'FAIL  %s (exit status %d)\n' "$test" "$status"
		cat "$log"
	else
		printf 'ok    %-28s %d tests\n' "$test" "$p"
		grep '^skip: ' "$log"
	fi
done
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
if [ $((passed + failed + skipped)) -eq 0 ]; then
	echo "no test matches: T names a program of tests/unit or tests/integration, N is a pattern of test names" >&2
	exit 1
fi
[ "$failed" -eq 0 ]
