#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check_hazards.sh: every test that tests/HAZARDS.md names is there, and runs; every row has one, or says why not. Run in the
# top folder.
set -u
list=tests/HAZARDS.md
broken=0

fail() {
	echo "FAIL  $*"
	broken=1
}

# "FILE: `name`, `name`; FILE: `name`" of each row, a name a line with its file before it.
names=$(sed -n 's/^|.*|\([^|]*`[^|]*\)|$/\1/p' "$list" | tr ';' '\n' | while IFS=: read -r file rest; do
	for name in $(echo "$rest" | grep -o '`[a-z0-9_]*`' | tr -d '`'); do
		echo "$(echo $file) $name"
	done
done)

count=0
while read -r file name; do
	case $file in
	unit/*) source=tests/unit/test_${file#unit/}.c ;;
	*) source=tests/integration/test_$file.c ;;
	esac
	count=$((count + 1))
	[ -e "$source" ] || { fail "$list: there is no $source"; continue; }
	grep -q "TEST($name)" "$source" || fail "$list: no test $name in $source"
done <<LIST
$names
LIST

rows=$(grep -c '^| [0-9]* |' "$list")
[ "$rows" -eq 25 ] || fail "$list: $rows hazards are numbered, not 25"
grep '^|' "$list" | grep -v '^|--' | grep -v '^| #\|^| what |' | grep -v '`' | grep -v 'no test: ' | while read -r row; do
	echo "$row"
done >"${TMPDIR:-/tmp}/hazards.$$"
[ -s "${TMPDIR:-/tmp}/hazards.$$" ] && fail "$list: rows without a test or a reason: $(cat "${TMPDIR:-/tmp}/hazards.$$")"
rm -f "${TMPDIR:-/tmp}/hazards.$$"

[ "$broken" -eq 0 ] && echo "ok    $count tests of $list are there"
exit $broken
