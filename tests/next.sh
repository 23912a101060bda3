#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# next.sh DIR: the sources of the version after this one, into DIR/src: its tables have the next minor number and one more field
# at the end of their head and of each row (table/layout.h, "Compatibility"). Run in the top folder. What is as it was is not
# touched, so that make builds only what follows from a change.
set -eu
dir=${1:?usage: next.sh DIR}
longer='area|service|port_row|endpoint|address'

mkdir -p "$dir/src"
(cd "$dir" && find src -type f) | while IFS= read -r f; do
	[ -e "$f" ] || rm -f "$dir/$f"
done
find src -type d -exec mkdir -p "$dir/{}" \;
find src -type f ! -path src/table/layout.h -exec sh -c 'cmp -s "$2" "$1/$2" || cp "$2" "$1/$2"' sh "$dir" '{}' \;

awk -v longer="^struct table_($longer) \\\\{" -v size="sizeof\\\\(struct table_($longer)\\\\) == [0-9]+" '
$1 == "#define" && $2 == "TABLE_MINOR" { $3++ }
$0 ~ longer { inside = 1 }
inside && /^\};/ { print "\tuint64_t next;"; inside = 0; added++ }
match($0, size) {
	head = substr($0, 1, RSTART + RLENGTH - 1)
	number = head
	sub(/.* /, "", number)
	sub(/[0-9]+$/, number + 8, head)
	$0 = head substr($0, RSTART + RLENGTH)
}
{ print }
END { if (added != 5) { print "next.sh: src/table/layout.h is not as expected" | "cat >&2"; exit 1 } }
' src/table/layout.h >"$dir/layout.h"
cmp -s "$dir/layout.h" "$dir/src/table/layout.h" || cp "$dir/layout.h" "$dir/src/table/layout.h"
