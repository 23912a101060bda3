#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check_hazards.sh: every test that tests/HAZARDS.md, and the README's model of who may do what, name is there, and runs; every row
# has one, or says why not. Run in the top folder.
. tests/rules.sh
list=tests/HAZARDS.md

grep '^|' "$list" | grep -v -e '^|--' -e '^| # |' -e '^| what |' >"$scratch/rows"

# "FILE: `name`, `name`; FILE: `name`" of a row: a line for each name, with the file before it.
tests_of() {
	sed -n 's/^|.*|\([^|]*`[^|]*\)|$/\1/p' "$1" | tr ';' '\n' | while IFS=: read -r file rest; do
		for name in $(echo "$rest" | grep -o '`[a-z0-9_]*`' | tr -d '`'); do
			echo $file "$name"
		done
	done
}

missing_of() {
	while read -r file name; do
		case $file in
		unit/*) source=tests/unit/test_${file#unit/}.c ;;
		*) source=tests/integration/test_$file.c ;;
		esac
		grep -qs -e "TEST($name)" -e "cmocka_unit_test($name)" "$source" || echo "$name: not in $source"
	done
}

tests_of "$scratch/rows" >"$scratch/tests"
missing_of <"$scratch/tests" | rule "the tests of $list are there, $(wc -l <"$scratch/tests") in all"

for i in $(seq 25); do
	grep -q "^| $i |" "$scratch/rows" || echo "number $i is missing"
done | rule "each of 25 hazards has a row"
grep -v -e '`' -e 'no test: ' "$scratch/rows" | rule "each row has a test, or says why not"

# The README's model of who may do what: a table for each of them, whose rows end in the tests of what they say.
sed -n '/^### Who may do what$/,/^###* Why not/p' README.md | grep '^|' | grep -v -e '^|--' -e '^| it cannot | tests |$' >"$scratch/rows"
tests_of "$scratch/rows" >"$scratch/tests"
missing_of <"$scratch/tests" | rule "the tests of who may do what (README.md) are there, $(wc -l <"$scratch/tests") in all"
[ "$(wc -l <"$scratch/rows")" -ge 25 ] || echo "$(wc -l <"$scratch/rows") rows" >"$scratch/few"
cat "$scratch/few" 2>/dev/null | rule "it has 25 rows at least"
grep -v '| [a-z_/]*: `[a-z0-9_]*`.* |$' "$scratch/rows" | rule "each of its rows has a test"

end_of_rules
