#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh BUILD SECONDS TARGET...: libFuzzer on each target for so long, as many at once as JOBS says (the machine's processors),
# from its corpus and what earlier runs have found. An input that breaks something is left in BUILD/fuzz-found/TARGET, and the
# exit status is not 0: put it into tests/fuzz/corpus/TARGET, and mend. Nothing is written outside of BUILD. With SEED, the same
# each time, as far as it comes in that time.
set -eu

# run.sh --one BUILD SECONDS TARGET
fuzz_one() {
	build=$1 seconds=$2 target=$3
	found=$build/fuzz-found/$target grown=$build/fuzz-grown/$target log=$build/fuzz-found/$target.log
	mkdir -p "$found" "$grown"
	words=
	case $target in
	inject | kube | kubeconfig | services | watch) words=tests/fuzz/words.dict ;;
	esac
	# What is freed is kept apart for a while, to be found when it is used: a quarter of what AddressSanitizer would keep.
	if ASAN_OPTIONS="quarantine_size_mb=64:${ASAN_OPTIONS-}" "$build/clang-fuzz/address/fuzz/$target" ${words:+"-dict=$words"} \
		${SEED:+"-seed=$SEED"} -max_total_time="$seconds" -timeout=20 -rss_limit_mb=1024 -print_final_stats=1 \
		-artifact_prefix="$found/" "$grown" "tests/fuzz/corpus/$target" >"$log" 2>&1; then
		runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
		cover=$(sed -n 's/.*cov: \([0-9]*\) .*/\1/p' "$log" | tail -1)
		echo "ok    $target: $runs runs in $seconds s, $cover edges"
		return
	fi
	input=$(sed -n 's/.*Test unit written to //p' "$log" | tail -1)
	{
		grep -v '^#[0-9]*	\|^"' "$log" | tail -n 40
		# For who has this output and not this machine.
		[ -z "$input" ] || head -c 65536 "$input" | base64
		echo "FAIL  $target: see $log; its input${input:+, above in base64}: ${input:-none was kept}"
	} >"$log.told"
	cat "$log.told"
	return 1
}

if [ "$1" = --one ]; then
	shift
	fuzz_one "$@" || exit 1
	exit 0
fi

build=$1 seconds=$2
shift 2
if [ $# -eq 0 ]; then
	echo "no target: T names one of tests/fuzz/fuzz_T.c" >&2
	exit 1
fi
printf '%s\n' "$@" | xargs -P "${JOBS:-$(nproc)}" -I '{}' sh "$0" --one "$build" "$seconds" '{}'
