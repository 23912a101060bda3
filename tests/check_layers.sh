#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check_layers.sh BUILD: proves who may include whom, and what BUILD/libfairdial.so is made of. Run in the top folder.
# What the file itself has to be: check_elf.sh. Prints each rule; the exit status is 1 if one is broken.
build=${1:?usage: check_layers.sh BUILD}
so=$build/libfairdial.so
. "$(dirname "$0")/rules.sh"

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
ruled=
may() {
	folder=$1
	ruled="$ruled $1"
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
may yaml base yaml
may model base table model
may kube base metrics yaml model kube
may services base model kube services
may agent base table ledger metrics inspect model kube services agent
may launch base launch
may install base launch install
may inject base yaml model inject
may inspect base table inspect
may view base table ledger balance model inspect view
may metrics base table ledger balance metrics
may top base ledger balance view top
may explain base table ledger balance model inspect view explain
may cli base table balance yaml model kube services agent install inject inspect view explain top cli

includes $(for f in base table ledger balance shim launch install model agent inspect view explain; do sources $f; done) |
	grep -E '<(curl/|jansson|microhttpd|n?curses|yaml|openssl/)' |
	rule "only src/yaml, src/kube, src/services, src/inject, src/metrics, src/top and src/cli include a library's headers"

for f in $(find src -name '*.[ch]' | sort); do
	[ "$(dirname "$f" | tr -cd / | wc -c)" -eq 1 ] || echo "$f: not in a folder of src"
	folder=${f#src/}
	case " $ruled " in
	*" ${folder%%/*} "*) ;;
	*) echo "$f: in a folder that no rule names" ;;
	esac
done | rule "every source lies in a folder that has a rule"

# ---- what the shim is made of ----

[ -e "$so" ] || { echo "check_layers: $so is missing: run make first" >&2; exit 1; }
command -v readelf >/dev/null || { echo "check_layers: readelf is not installed (binutils)" >&2; exit 1; }
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
declares='src/shim/next.c:<stdlib.h> src/shim/next.c:<dlfcn.h> src/shim/mover.c:<pthread.h>'
includes $shim_sources |
	grep -E "<($libc_only)\.h>" |
	while IFS= read -r line; do
		file=${line%%:*} header=${line##*: }
		case " $declares " in
		*" $file:$header "*) ;;
		*) echo "$line" ;;
		esac
	done | rule "its sources include no <stdio.h>, <stdlib.h>, <pthread.h> or their like, but for $declares"

end_of_rules
