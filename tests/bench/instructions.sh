#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# instructions.sh BUILD [update]: counts the instructions of what every dial passes, and compares them with instructions.baseline:
# exit status 1 where one grew by more than a tenth. A count repeats where a time does not, but it is one compiler's and one
# machine's: the baseline has a block for each that somebody counted with, and where there is none, that is said and nothing compared.
# Callgrind takes some system calls' work, the reading of a clock among them, for nothing.
set -eu
build=${1:?usage: instructions.sh BUILD [update]}
baseline=$(dirname "$0")/instructions.baseline
compiler=$(${CC:-cc} --version | sed -n '1s/^\([a-z]*\).* \([0-9][0-9]*\)\.[0-9.]*.*$/\1-\2/p')-$(${CC:-cc} -dumpmachine | cut -d- -f1)

command -v valgrind >/dev/null || { echo "bench-instructions: valgrind is not installed: make deps" >&2; exit 1; }
counts=$(mktemp)
trap 'rm -f "$counts"' EXIT
"$build/bench/bench" "$build" baseline >"$counts" || { cat "$counts"; exit 1; }

if [ "${2-}" = update ]; then
	{
		sed "/^$compiler /d" "$baseline" 2>/dev/null || true
		awk -v compiler="$compiler" '$1 == "count" { print compiler, $2, $3 }' "$counts"
	} >"$baseline.new"
	mv "$baseline.new" "$baseline"
	grep "^$compiler " "$baseline"
	exit 0
fi

awk -v compiler="$compiler" '
	NR == FNR { if ($1 == compiler) { was[$2] = $3; known++ } next }
	$1 != "count" { next }
	{
		seen[$2] = 1
		verdict = !($2 in was) ? "not in the baseline" : $3 > was[$2] * 1.1 ? "GREW" : "ok"
		printf "  %-18s %8.1f instructions, baseline %8.1f  %+6.1f %%  %s\n", $2, $3, was[$2], was[$2] ? ($3 / was[$2] - 1) * 100 : 0, verdict
		if (verdict == "GREW" || (known && verdict != "ok"))
			bad++
	}
	END {
		for (name in was)
			if (!(name in seen)) { print "  " name ": in the baseline, but not counted"; bad++ }
		if (!known)
			print "bench-instructions: nothing is compared: no baseline for " compiler " in tests/bench/instructions.baseline (UPDATE=1 writes it)"
		exit bad > 0
	}' "$baseline" "$counts"
