#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh BUILD SECONDS TARGET...: libFuzzer on each target for so long, from its corpus and what earlier runs have found. An input that
# breaks something is left in BUILD/fuzz-found/TARGET, and the exit status is 1: put it into tests/fuzz/corpus/TARGET, and mend.
set -eu
build=$1 seconds=$2
shift 2
failed=0
for target; do
	found=$build/fuzz-found/$target grown=$build/fuzz-grown/$target
	mkdir -p "$found" "$grown"
	log=$build/fuzz-found/$target.log
	# Leaks are looked for at the end, and a megabyte is more than any of these files has.
	if "$build/clang-fuzz/address/fuzz/$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
		-artifact_prefix="$found/" "$grown" "tests/fuzz/corpus/$target" >"$log" 2>&1; then
		runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
		cover=$(sed -n 's/.*cov: \([0-9]*\) .*/\1/p' "$log" | tail -1)
		echo "ok    $target: $runs runs in $seconds s, $cover edges"
	else
		failed=1
		tail -n 25 "$log"
		echo "FAIL  $target: see $log"
	fi
done
exit $failed
