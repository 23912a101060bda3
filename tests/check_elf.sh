#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check_elf.sh SO MACHINE [IMPORTS EXPORTS ROWS MAP]: what a loader, any libc's and of any age, and a host may rely on in
# libfairdial.so, from the file itself. MACHINE is x86_64 or aarch64. The four lists are those of the tree unless given;
# READELF is the readelf that knows the machine. Run in the top folder. Prints each rule; the exit status is 1 if one is
# broken, 2 if the file cannot be read.
so=${1:?usage: check_elf.sh SO MACHINE [IMPORTS EXPORTS ROWS MAP]}
machine=${2:?usage: check_elf.sh SO MACHINE [IMPORTS EXPORTS ROWS MAP]}
imports=${3:-tests/data/shim-imports.txt}
exports=${4:-tests/data/shim-exports.txt}
rows=${5:-src/shim/symbols.h}
map=${6:-src/shim/exports.map}
readelf=${READELF:-readelf}
. "$(dirname "$0")/rules.sh"

die() {
	echo "check_elf: $*" >&2
	exit 2
}

case $machine in
x86_64) name=X86-64 page=0x1000 ;;
aarch64) name=AArch64 page=0x10000 ;; # kernels with pages of 4, 16 and 64 KiB
*) die "no rules for a machine called $machine" ;;
esac
for f in "$so" "$imports" "$exports" "$rows" "$map"; do
	[ -e "$f" ] || die "$f is missing"
done
command -v "$readelf" >/dev/null || die "$readelf is not installed (binutils)"

of() { # of FILE OPTION...: what readelf tells goes into that file
	to=$1
	shift
	"$readelf" "$@" -W "$so" >"$scratch/$to" 2>"$scratch/error" || die "$so: $(cat "$scratch/error")"
}
of head -h
of dynamic -d
of segments -l
of symbols -s
of dynsym --dyn-syms
of relocations -r
of notes -n
of frames --debug-dump=frames
grep -q '^ELF Header' "$scratch/head" || die "$so: not an ELF file"

# tags REGEX: lines of the dynamic section with such a tag.
tags() {
	grep -E "\(($1)\)" "$scratch/dynamic"
}

# needs TEXT COMMAND...: prints the text where the command finds nothing.
needs() {
	text=$1
	shift
	"$@" >/dev/null || echo "$text"
}

# ---- the kind of file ----

{
	needs "not ELF64" grep -Eq 'Class: +ELF64$' "$scratch/head"
	needs "not little-endian" grep -Eq 'Data: .*little endian$' "$scratch/head"
	needs "not a shared object" grep -Eq 'Type: +DYN ' "$scratch/head"
	needs "not for $name" grep -Eq "Machine: .*$name\$" "$scratch/head"
} | rule "a shared object: ELF64, little-endian, of the machine it was built for"
needs "another SONAME, or none" grep -Fq '(SONAME)             Library soname: [libfairdial.so]' "$scratch/dynamic" |
	rule "its name for the loader is libfairdial.so"
needs "no build-id in a segment" awk '/NT_GNU_BUILD_ID/ { f = 1 } END { exit !f }' "$scratch/notes" |
	rule "it has a build-id"
needs "no note of the owner fairdial with a text" grep -Eq '^ +fairdial +0x0*[1-9a-f]' "$scratch/notes" |
	rule "it tells its version without being run"

# ---- what it asks of the loader ----

tags 'NEEDED|AUXILIARY|FILTER' | rule "it needs no library"
tags 'RPATH|RUNPATH' | rule "it has no search path"
tags 'VERNEED' | rule "it asks for no version of a symbol"
tags 'VERDEF' | rule "it gives its own symbols no version, which a host that asks for the libc's would not take"
{
	needs "no DT_HASH" tags HASH
	needs "no DT_GNU_HASH" tags GNU_HASH
} | rule "every loader finds its symbols (both styles of hash)"
tags 'RELR' | rule "old loaders relocate it (no DT_RELR)"
{
	awk '$1 == "TLS"' "$scratch/segments"
	grep -E 'DTPMOD|DTPOFF|TPOFF|TPREL|TLSDESC' "$scratch/relocations"
	grep 'STATIC_TLS' "$scratch/dynamic"
} | rule "it has no thread-local storage, and uses none"
{
	awk '$4 == "IFUNC" || $5 == "UNIQUE"' "$scratch/symbols"
	grep IRELATIV "$scratch/relocations"
} | rule "it has no indirect functions and no unique symbols"

# ---- what lies where ----

flags_of() { # flags_of TYPE: "RWE 0x1000", flags without spaces and alignment, of each segment of that type
	awk -v type="$1" '$1 == type { at = ""; for (i = 7; i < NF; i++) at = at $i; print at, $NF }' "$scratch/segments"
}

flags_of GNU_STACK | awk '{ found = 1 } $1 ~ /E/ { print "GNU_STACK is", $1 } END { if (!found) print "no GNU_STACK" }' |
	rule "its stack is not executable"
flags_of LOAD | awk '$1 ~ /W/ && $1 ~ /E/ { print "a segment is", $1 }' | rule "no part of it is both written and run"
{
	needs "no GNU_RELRO" grep -q GNU_RELRO "$scratch/segments"
	needs "not bound at once" grep -Eq 'BIND_NOW|FLAGS_1.*NOW' "$scratch/dynamic"
} | rule "it is bound at once and then read-only (full RELRO)"
flags_of LOAD | while read -r flags align; do
	[ $((align)) -ge $((page)) ] || echo "a segment ($flags) is aligned to $align, not to $page"
done | rule "every kernel's pages suit it"

awk '$1 == "LOAD" && $0 ~ / R?WE? +0x/ { print $3, $6 }' "$scratch/segments" >"$scratch/written"
# Where of each relocation; those of x86-64 and aarch64 that no segment that is written holds.
{
	grep TEXTREL "$scratch/dynamic"
	awk '$3 ~ /^R_/ { print $1, $3 }' "$scratch/relocations" | while read -r at kind; do
		while read -r start size; do
			[ $((0x$at - start)) -ge 0 ] && [ $((0x$at - start)) -lt $((size)) ] && continue 2
		done <"$scratch/written"
		echo "0x$at $kind"
	done
} | rule "its code is not relocated"

# ---- what runs by itself ----

{
	needs "no DT_INIT_ARRAY" tags INIT_ARRAY
	awk '/\(INIT_ARRAYSZ\)/ && $3 < 8 { print "DT_INIT_ARRAY is empty" }' "$scratch/dynamic"
} | rule "a constructor of it runs when a program starts"
tags 'FINI|FINI_ARRAY' | rule "nothing of it runs when a program ends"

# Cancellation of a thread, and an exception that a handler throws, unwind through our frames.
awk '$4 == "FUNC" && $5 == "GLOBAL" && $7 != "UND" { print $2, $8 }' "$scratch/dynsym" >"$scratch/functions"
{
	needs "no GNU_EH_FRAME segment" grep -q GNU_EH_FRAME "$scratch/segments"
	# Those of .debug_frame are for the debugger alone.
	awk '/^Contents of the/ { loaded = /\.eh_frame/ } loaded' "$scratch/frames" |
		sed -n 's/.* FDE .* pc=\([0-9a-f]*\)\.\.\([0-9a-f]*\)$/\1 \2/p' |
		awk 'BEGIN { n = 0 }
			part == 1 { from[n] = $1; to[n++] = $2; next }
			{ for (i = 0; i < n; i++) if (from[i] <= $1 && $1 < to[i]) next; print "of no frame:", $2 }' \
			part=1 - part=2 "$scratch/functions"
} | rule "what it exports can be unwound"

# ---- its symbols ----

# A symbol's version is cut off, and so are comments of the lists.
names() {
	sed -e 's/@.*//' -e 's/#.*//' -e '/^[[:space:]]*$/d' "$@" | sort -u
}

awk '$7 == "UND" && $8 != "" { print $5, $8 }' "$scratch/dynsym" >"$scratch/undefined"
# Which object beside the file asks for a symbol, for people.
who_asks() {
	while read -r binding name; do
		echo "$name ($binding)"
		for o in $(find "$(dirname "$so")/shim" -name '*.o' 2>/dev/null); do
			"$readelf" -sW "$o" | awk -v n="$name" '$7 == "UND" && $8 == n { f = 1 } END { exit !f }' &&
				echo "wanted by $o"
		done
	done
}
grep -v '^WEAK ' "$scratch/undefined" | who_asks | rule "what it takes from the host is weak"
awk '{ print $2 }' "$scratch/undefined" | names >"$scratch/wanted"
names "$imports" >"$scratch/imports"
{
	comm -23 "$scratch/wanted" "$scratch/imports" | sed 's/^/WEAK /' | who_asks
	comm -13 "$scratch/wanted" "$scratch/imports" | sed 's/$/: in the list, but nobody wants it/'
} | rule "and is what the list of imports says"

# A version that is defined is a symbol too, but nothing that is exported.
awk 'part == 1 { if (sub(/.*@@/, "", $8)) version[$8]; next }
	$7 != "UND" && $7 != "Ndx" && ($5 == "GLOBAL" || $5 == "WEAK") && $8 != "" && !($7 == "ABS" && $8 in version) {
		print $4, $8 }' part=1 "$scratch/dynsym" part=2 "$scratch/dynsym" >"$scratch/exported"
awk '{ print $2 }' "$scratch/exported" | names >"$scratch/defined"
names "$exports" >"$scratch/exports"
{
	comm -23 "$scratch/defined" "$scratch/exports" | sed 's/$/: exported, but not in the list/'
	comm -13 "$scratch/defined" "$scratch/exports" | sed 's/$/: in the list, but not exported/'
} | rule "it exports what the list of exports says"
awk '$1 != "FUNC" { print $2 ": " $1 }' "$scratch/exported" | rule "and nothing but functions"

against() { # against FILE < names: where they and the list of exports differ
	names >"$scratch/list"
	comm -23 "$scratch/exports" "$scratch/list" | sed "s|\$|: not in $1|"
	comm -13 "$scratch/exports" "$scratch/list" | sed "s|\$|: only in $1|"
}
sed -n 's/.*[[:space:]]row(\([a-z0-9_]*\)).*/\1/p' "$rows" | against "$rows" |
	rule "the rows of the shim's table of symbols are the same"
sed -n '/global:/,/local:/s/^[[:space:]]*\([a-z0-9_]*\);$/\1/p' "$map" | against "$map" |
	rule "and the names of the linker's map"

# The mover's thread, which is made where somebody asks for it (src/shim/mover.c).
wanted='pthread_(create|attr_(init|destroy|setdetachstate|setstacksize))'
unwanted='v?(f|d|s|sn|as)?printf|puts|fputs|fopen|malloc|calloc|realloc|free|abort|exit|pthread_.*|sigaction|fork'
awk '{ sub(/@.*/, "", $8); print $8 }' "$scratch/symbols" | grep -Ex "_*($unwanted)(_chk)?" |
	grep -Evx "$wanted" | sort -u | rule "no printf, malloc, exit, thread or signal handler is in it or wanted by it"

end_of_rules
