#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check_hazards.sh: every test that tests/HAZARDS.md names is there, and runs; every row has one, or says why not. Run in the
# top folder.
. tests/rules.sh
list=tests/HAZARDS.md

grep '^|' "$list" | grep -v -e '^|--' -e '^| # |' -e '^| what |' >"$scratch/rows"

# "FILE: `name`, `name`; FILE: `name`" of a row: a line for each name, with the file before it.
sed -n 's/^|.*|\([^|]*`[^|]*\)|$/\1/p' "$scratch/rows" | tr ';' '\n' | while IFS=: read -r file rest; do
	for name in $(echo "$rest" | grep -o '`[a-z0-9_]*`' | tr -d '`'); do
		echo $file "$name"
	done
done >"$scratch/tests"

while read -r file name; do
	case $file in
	unit/*) source=tests/unit/test_${file#unit/}.c ;;
	*) source=tests/integration/test_$file.c ;;
	esac
	grep -qs "TEST($name)" "$source" || echo "$name: not in $source"
done <"$scratch/tests" | rule "the tests of $list are there, $(wc -l <"$scratch/tests") in all"

for i in $(seq 25); do
	grep -q "^| $i |" "$scratch/rows" || echo "number $i is missing"
done | rule "each of 25 hazards has a row"
grep -v -e '`' -e 'no test: ' "$scratch/rows" | rule "each row has a test, or says why not"

end_of_rules
