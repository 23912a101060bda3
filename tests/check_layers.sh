#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check_layers.sh BUILD: proves who may include and need whom, from the sources and from BUILD/libfairdial.so. Run in
# the top folder. Prints each rule; the exit status is 1 if one is broken.
set -u
LC_ALL=C
export LC_ALL
build=${1:?usage: check_layers.sh BUILD}
so=$build/libfairdial.so
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
broken=0

# rule TEXT: ok if nothing was printed to standard input; else what was printed is what breaks the rule.
rule() {
	cat >"$scratch/found"
	if [ -s "$scratch/found" ]; then
		printf 'FAIL  %s\n' "$1"
		sed 's/^/      /' "$scratch/found"
		broken=1
	else
		printf 'ok    %s\n' "$1"
	fi
}

# ---- what the sources include ----

# includes FILE...: "FILE:LINE: <header>" or "FILE:LINE: "header"" for each #include line.
includes() {
	[ $# = 0 ] || awk '/^[ \t]*#[ \t]*include/ { sub(/^[ \t]*#[ \t]*include[_a-z]*[ \t]*/, ""); sub(/[ \t].*$/, "")
		print FILENAME ":" FNR ": " $0 }' "$@"
}

sources() { # of a folder
	find "src/$1" -name '*.[ch]' 2>/dev/null | sort
}

# may FOLDER ALLOWED...: own headers come from these folders only, each named from src/ on.
may() {
	folder=$1
	shift
	allowed=$(echo "$*" | tr ' ' '|')
	includes $(sources "$folder") | grep '"' | grep -Ev ": \"($allowed)/[a-z0-9_]+\.h\"\$" |
		rule "src/$folder includes only $*"
}

may base base
may table base table
may ledger base table ledger
may balance base table ledger balance
may shim base table ledger balance shim
may agent base table ledger agent
may cli base table ledger balance agent cli

includes $(for f in base table ledger balance shim; do sources $f; done) |
	grep -E '<(curl/|jansson|microhttpd|n?curses|yaml|openssl/)' |
	rule "only src/agent and src/cli include a library's headers"

for f in $(find src -name '*.[ch]' | sort); do
	[ "$(dirname "$f" | tr -cd / | wc -c)" -eq 1 ] || echo "$f: not in a folder of src"
	case $f in
	src/base/* | src/table/* | src/ledger/* | src/balance/* | src/shim/* | src/agent/* | src/cli/*) ;;
	*) echo "$f: in a folder that no rule names" ;;
	esac
done | rule "every source lies in a folder that has a rule"

# ---- what the shim is made of ----

[ -e "$so" ] || { echo "check_layers: $so is missing: run make first" >&2; exit 1; }
command -v readelf >/dev/null || { echo "check_layers: readelf is not installed (binutils)" >&2; exit 1; }
readelf -dW "$so" >"$scratch/dynamic"
readelf -lW "$so" >"$scratch/segments"
readelf -sW "$so" >"$scratch/symbols"
readelf --dyn-syms -W "$so" >"$scratch/dynsym"

# The debugging information names the source of each compilation unit that went in, also where the link is optimised whole.
readelf --debug-dump=info "$so" 2>/dev/null | grep -oE 'src/[a-z]+/[a-z_0-9]+\.c' | sed 's|.*/||' | sort -u >"$scratch/linked"
[ -s "$scratch/linked" ] || echo "$so: has no debugging information: it must not be stripped yet" >"$scratch/none"
cat "$scratch/none" 2>/dev/null | rule "libfairdial.so tells what it is made of"

# Sources of the shared folders that need a C library: for the tool alone.
tool_only='base/report.c table/writer.c table/patch.c table/image.c table/slots.c table/strings.c table/check.c table/note.c'
for f in $tool_only; do
	[ -e "src/$f" ] || echo "src/$f: named here, but not there"
	grep -qx "${f##*/}" "$scratch/linked" && echo "src/$f: linked into libfairdial.so"
done | rule "not in libfairdial.so: $tool_only"

shim_sources=$(sources shim
for f in base table ledger balance; do
	for s in $(sources $f); do
		case $s in
		*.h) ;;
		*) grep -qx "${s##*/}" "$scratch/linked" && echo "$s" ;;
		esac
	done
done)

for s in $(echo $shim_sources); do
	case $s in
	*.h) ;;
	*) grep -qx "${s##*/}" "$scratch/linked" || echo "$s: not linked into libfairdial.so" ;;
	esac
done | rule "all of src/shim is in libfairdial.so"

# Headers of the C library that declare what a guest must not call; FILE:HEADER where one is taken for a declaration.
libc_only='stdio|stdlib|malloc|alloca|pthread|threads|dlfcn|unistd|signal|syslog|locale|wchar|assert|err|stdarg|spawn'
declares='src/shim/next.c:<stdlib.h> src/shim/next.c:<dlfcn.h>'
includes $shim_sources |
	grep -E "<($libc_only)\.h>" |
	while IFS= read -r line; do
		file=${line%%:*} header=${line##*: }
		case " $declares " in
		*" $file:$header "*) ;;
		*) echo "$line" ;;
		esac
	done | rule "its sources include no <stdio.h>, <stdlib.h>, <pthread.h> or their like, but for $declares"

# ---- libfairdial.so: what the loader sees ----

grep '(NEEDED)' "$scratch/dynamic" | rule "libfairdial.so needs no library"
grep -E 'RPATH|RUNPATH' "$scratch/dynamic" | rule "it has no search path"
grep -E 'VERNEED' "$scratch/dynamic" | rule "it asks for no version of a symbol"
grep -E 'TEXTREL' "$scratch/dynamic" | rule "its code is not relocated"
awk '$1 == "TLS"' "$scratch/segments" | rule "it has no thread-local storage"
awk '$1 == "GNU_STACK" { found = 1; if ($0 ~ /E  *0x/) print } END { if (!found) print "no GNU_STACK" }' \
	"$scratch/segments" | rule "its stack is not executable"
awk '$1 == "LOAD" && $0 ~ / RWE /' "$scratch/segments" | rule "no part of it is both written and run"
{
	grep -q GNU_RELRO "$scratch/segments" || echo "no GNU_RELRO segment"
	grep -Eq 'BIND_NOW|FLAGS_1.*NOW' "$scratch/dynamic" || echo "not bound at once"
} | rule "it is bound at once and then read-only (full RELRO)"
awk '$4 == "IFUNC" || $5 == "UNIQUE"' "$scratch/symbols" | rule "it has no indirect functions and no unique symbols"

# ---- its symbols ----

# A symbol's version is cut off, and so are comments of the lists.
names() {
	sed -e 's/@.*//' -e 's/#.*//' -e '/^[[:space:]]*$/d' "$@" | sort -u
}

awk '$7 == "UND" && $8 != "" { print $5, $8 }' "$scratch/dynsym" >"$scratch/undefined"
# Which object asks for a symbol, for people.
who_asks() {
	while read -r binding name; do
		for o in $(find "$build/shim" -name '*.o'); do
			readelf -sW "$o" | awk -v n="$name" '$7 == "UND" && $8 == n { f = 1 } END { exit !f }' &&
				echo "$name ($binding): wanted by $o"
		done
	done
}
grep -v '^WEAK ' "$scratch/undefined" | who_asks | rule "what it takes from the host is weak"
awk '{ print $2 }' "$scratch/undefined" | names >"$scratch/imports"
names tests/data/shim-imports.txt >"$scratch/golden"
{
	comm -23 "$scratch/imports" "$scratch/golden" | sed 's/^/WEAK /' | who_asks
	comm -13 "$scratch/imports" "$scratch/golden" | sed 's/$/: in the list, but nobody wants it/'
} | rule "and is what tests/data/shim-imports.txt lists"

awk '$7 != "UND" && $7 != "Ndx" && ($5 == "GLOBAL" || $5 == "WEAK") && $8 != "" { print $8 }' "$scratch/dynsym" |
	names >"$scratch/defined"
against() { # against FILE < names: where the object's exports and that list differ
	names >"$scratch/list"
	comm -23 "$scratch/defined" "$scratch/list" | sed "s|\$|: exported, but not in $1|"
	comm -13 "$scratch/defined" "$scratch/list" | sed "s|\$|: in $1, but not exported|"
}
against tests/data/shim-exports.txt <tests/data/shim-exports.txt |
	rule "it defines what tests/data/shim-exports.txt lists"
sed -n 's/.*[[:space:]]row(\([a-z0-9_]*\)).*/\1/p' src/shim/symbols.h | against src/shim/symbols.h |
	rule "the rows of src/shim/symbols.h are the same"
sed -n '/global:/,/local:/s/^[[:space:]]*\([a-z0-9_]*\);$/\1/p' src/shim/exports.map | against src/shim/exports.map |
	rule "and the names of src/shim/exports.map"

unwanted='v?(f|d|s|sn|as)?printf|puts|fputs|fopen|malloc|calloc|realloc|free|abort|exit|pthread_.*|sigaction|fork'
awk '{ sub(/@.*/, "", $8); print $8 }' "$scratch/symbols" | grep -Ex "_*($unwanted)(_chk)?" | grep -vx '_pthread_cleanup_p[a-z]*' |
	sort -u | rule "no printf, malloc, exit, thread or signal handler is in it or wanted by it"

exit $broken
