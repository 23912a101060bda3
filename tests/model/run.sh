#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh BUILD [PATTERN]: verifies the models that tests/model/list names, as many at a time as there are processors. A line of
# it is MODEL, holds|fails, -D options and behind a # what it shows. The exit status is 1 where one ends in another way.
set -u
here=$(dirname "$0")
build=${1:?usage: run.sh BUILD [PATTERN]}/model
pattern=${2:-.}

# one NUMBER MODEL EXPECTED OPTIONS...: prints a line, and leaves BUILD/NUMBER/failed where it is not as expected.
if [ "$build" = --one/model ]; then
	shift
	dir=$1 model=$2 expected=$3
	shift 3
	[ -d "$dir" ] || mkdir -p "$dir"
	src=$(cd "$here" && pwd)
	cd "$dir" || exit 1
	case $model$expected in litmus* | *fails) optimize=-O0 ;; *) optimize=-O1 ;; esac
	if ! { spin "$@" -a "$src/$model.pml" &&
		${CC:-cc} $optimize -w -DSAFETY -DNOCLAIM -DCOLLAPSE -DVECTORSZ=8192 -DMEMLIM=2048 -o pan pan.c; } >log 2>&1; then
		echo "FAIL  $model $*: cannot be built" && cat log && touch failed
		exit 0
	fi
	./pan -m100000 -w22 -E -n >log 2>&1
	states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' log)
	errors=$(sed -n 's/.*errors: \([0-9]*\).*/\1/p' log)
	broken=$(sed -n 's/.*assertion violated \(.*\) (at depth.*/\1/p' log)
	# A proof that ran out of something is none, and neither is a history that was too short a refutation.
	case "$expected:$errors:$broken" in
	holds:0:) grep -q 'max search depth too small\|out of memory' log && touch failed ;;
	fails:1:*count*MESSAGES* | fails:1:) touch failed ;;
	fails:1:*) ;;
	*) touch failed ;;
	esac
	printf '%-4s  %-7s %-5s %8s states  errors: %s  %s\n' "$([ -e failed ] && echo FAIL || echo ok)" "$model" "$expected" \
		"$states" "$errors" "$*${broken:+  $broken}"
	[ -e failed ] && cat log
	rm -f pan pan.* ./*.trail
	exit 0
fi

rm -rf "$build"
mkdir -p "$build"
command -v spin >/dev/null || { echo "check-model: spin is not installed (make deps)" >&2; exit 1; }
begun=$(date +%s)
grep -v '^#' "$here/list" | sed 's/#.*//' | grep -v '^ *$' | grep -e "$pattern" |
	awk -v b="$build" '{ printf "%s/%03d", b, NR; for (i = 1; i <= NF; i++) printf " %s", $i; print "" }' |
	xargs -P "$(nproc)" -L 1 sh "$0" --one
failed=$(ls "$build"/*/failed 2>/dev/null | wc -l)
all=$(ls -d "$build"/*/ | wc -l)
echo "$all models, $failed not as expected, $(($(date +%s) - begun)) s"
[ "$failed" -eq 0 ] && [ "$all" -gt 0 ]
