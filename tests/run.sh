#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh DIR PATTERN TEST...: runs cmocka programs, as many at once as JOBS says (the machine's processors); the last line counts
# tests. Each program has addresses, ports, directories and, where it needs them, namespaces of its own. EMULATOR
# runs them where this machine cannot.
set -u

# run.sh --one DIR TEST RESULTS: runs one, prints what came of it in one piece, and leaves "PASSED FAILED SKIPPED" in RESULTS/TEST.
run_one() {
	dir=$1 test=$2 results=$3
	log=$results/$test.log
	began=$(date +%s)
	${EMULATOR-} "$dir/$test" >"$log" 2>&1
	status=$?
	p=$(grep -c '^\[       OK \]' "$log")
	f=$(grep '^\[  FAILED  \] [a-z0-9_]*$' "$log" | sort -u | wc -l) # cmocka names them twice
	s=$(grep '^\[  SKIPPED \] [a-z0-9_]*$' "$log" | sort -u | wc -l)
	[ "$status" -ne 0 ] && [ "$f" -eq 0 ] && f=1
	echo "$p $f $s" >"$results/$test"
	if [ "$f" -ne 0 ]; then
		said=$(printf 'FAIL  %s (exit status %d)\n' "$test" "$status" && cat "$log")
	else
		said=$(printf 'ok    %-28s %4d tests %5d s\n' "$test" "$p" $(($(date +%s) - began)) && grep '^skip: ' "$log")
	fi
	printf '%s\n' "$said"
	rm -f "$log"
}

if [ "$1" = --one ]; then
	shift
	run_one "$@"
	exit 0
fi

dir=$1 pattern=$2
shift 2

FAIRDIAL_TEST_ROOT=$(pwd)
export FAIRDIAL_TEST_ROOT
TEST_FILTER=$pattern
export TEST_FILTER
CMOCKA_MESSAGE_OUTPUT=stdout
export CMOCKA_MESSAGE_OUTPUT

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
printf '%s\n' "$@" | xargs -P "${JOBS:-$(nproc)}" -I '{}' sh "$0" --one "$dir" '{}' "$results"

passed=0 failed=0 skipped=0
for test in "$@"; do
	# One that was not even run is not passed over in silence.
	[ -e "$results/$test" ] || { echo "FAIL  $test (not run)"; echo "0 1 0" >"$results/$test"; }
	read -r p f s <"$results/$test"
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
done
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
if [ $((passed + failed + skipped)) -eq 0 ]; then
	echo "no test matches: T names a program of tests/unit or tests/integration, N is a pattern of test names" >&2
	exit 1
fi
[ "$failed" -eq 0 ]
