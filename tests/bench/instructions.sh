#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# instructions.sh BUILD [update]: counts the instructions of what every dial passes, and compares them with instructions.baseline:
# exit status 1 where one grew by more than a tenth. A count repeats where a time does not, but it is one compiler's and one
# machine's: the baseline has a block for each that somebody counted with; where there is none, that is said and nothing compared.
# Callgrind takes some system calls' work, the reading of a clock among them, for nothing.
set -eu
build=${1:?usage: instructions.sh BUILD [update]}
baseline=$(dirname "$0")/instructions.baseline
compiler=$(${CC:-cc} --version | sed -n '1s/^\([a-z]*\).* \([0-9][0-9]*\)\.[0-9.]*.*$/\1-\2/p')
compiler=$compiler-$(${CC:-cc} -dumpmachine | cut -d- -f1)

command -v valgrind >/dev/null || { echo "bench-instructions: valgrind is not installed: make deps" >&2; exit 1; }
counts=$(mktemp)
said=$(mktemp)
trap 'rm -f "$counts" "$said"' EXIT

count() {
	"$build/bench/bench" "$build" baseline >"$said" || { cat "$said"; exit 1; }
	grep '^count ' "$said" >>"$counts"
}

# What is done once a second falls into more or fewer of the dials, as the machine is slow or quick: it only ever adds.
least() {
	awk '{ if (!($2 in least)) name[++n] = $2; if (!($2 in least) || $3 < least[$2]) least[$2] = $3 }
		END { for (i = 1; i <= n; i++) print name[i], least[name[i]] }' "$counts"
}

compare() {
	least | awk -v compiler="$compiler" -v baseline="$baseline" '
	BEGIN {
		while ((getline line < baseline) > 0) {
			split(line, word, " ")
			if (word[1] == compiler) { was[word[2]] = word[3]; known++ }
		}
	}
	!known { printf "  %-18s %8.1f instructions\n", $1, $2; next }
	{
		seen[$1] = 1
		verdict = !($1 in was) ? "not in the baseline" : $2 > was[$1] * 1.1 ? "grew by more than a tenth" : "ok"
		bad += verdict != "ok"
		if ($1 in was)
			verdict = sprintf("baseline %8.1f  %+6.1f %%  %s", was[$1], ($2 / was[$1] - 1) * 100, verdict)
		printf "  %-18s %8.1f instructions, %s\n", $1, $2, verdict
	}
	END {
		for (name in was)
			if (!(name in seen)) { print "  " name ": in the baseline, but not counted"; bad++ }
		if (!known)
			print "nothing is compared: no baseline for " compiler " in " baseline " (UPDATE=1 writes it)"
		exit bad > 0
	}'
}

count
if [ "${2-}" = update ]; then
	count
	touch "$baseline"
	{ sed "/^$compiler /d" "$baseline" && least | sed "s/^/$compiler /"; } >"$baseline.new"
	mv "$baseline.new" "$baseline"
	cat "$baseline"
	exit 0
fi
for again in 1 2; do
	compare >/dev/null && break
	count
done
compare
