#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check_dist.sh VERSION DIR: unpacks DIR/fairdial-VERSION.tar.gz elsewhere, and proves that it holds every file of the
# repository, builds, installs and goes again, and that packing it there, without a repository, gives the same bytes. Run in the
# top folder.
set -eu
version=${1:?usage: check_dist.sh VERSION DIR}
dir=$(cd "${2:?usage: check_dist.sh VERSION DIR}" && pwd)
archive=$dir/fairdial-$version.tar.gz

fail() {
	echo "check-dist: $*" >&2
	exit 1
}

scratch=$(mktemp -d "${TMPDIR:-/tmp}/fairdial-dist-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
tar -C "$scratch" -xzf "$archive"
tree=$scratch/fairdial-$version
[ "$(ls "$scratch")" = "fairdial-$version" ] || fail "more than one folder in $archive"

(cd "$tree" && find . -type f | sed 's|^\./||' | LC_ALL=C sort) >"$scratch/packed"
if [ -e .git ]; then
	git ls-files | LC_ALL=C sort >"$scratch/tracked"
	diff "$scratch/tracked" "$scratch/packed" >&2 || fail "not the files of the repository (above)"
fi
while IFS= read -r file; do
	cmp -s "$file" "$tree/$file" || fail "$file is another than in the archive"
done <"$scratch/packed"

# What the caller's make has in its environment is not for this one.
unset MAKEFLAGS MFLAGS MAKELEVEL LD_PRELOAD FAIRDIAL_DIR FAIRDIAL_SERVICES
make -C "$tree" -j"$(nproc)" all >"$scratch/log" 2>&1 || { tail -20 "$scratch/log" >&2; fail "it does not build (above)"; }
case $("$tree/build/fairdial" --version) in
"fairdial $version ("*) ;;
*) fail "its tool has another version: $("$tree/build/fairdial" --version)" ;;
esac

# Installed twice, the second time over files that are there, wherever a distribution has its libraries.
for lib in lib lib64 "lib/$(uname -m)-linux-gnu"; do
	set -- DESTDIR="$scratch/system" PREFIX=/usr LIBDIR="/usr/$lib"
	for time in first second; do
		make -s -C "$tree" install "$@" >/dev/null || fail "make install fails the $time time"
	done
	find "$scratch/system" -name '*.tmp' | grep . >&2 && fail "make install leaves these behind"
	found=$("$scratch/system/usr/bin/fairdial" run --service web:80=127.0.0.1:9 -- sh -c 'echo "$LD_PRELOAD"') || found=nothing
	[ "$found" = "$scratch/system/usr/$lib/libfairdial.so" ] || fail "the tool finds $found, and not its shim in /usr/$lib"
	make -s -C "$tree" uninstall "$@" >/dev/null || fail "make uninstall fails"
	find "$scratch/system" ! -type d | grep . >&2 && fail "make uninstall leaves these behind"
done

# Names with blanks: where it may be, and where it would be cut into names of others.
make -s -C "$tree" install DESTDIR="$scratch/one two" >/dev/null || fail "make install fails with a blank in DESTDIR"
[ -x "$scratch/one two/usr/local/bin/fairdial" ] || fail "make install takes DESTDIR for something else, for the blank in it"
echo mine >"$scratch/one"
for target in install uninstall; do
	make -s -C "$tree" $target PREFIX="$scratch/one two" >/dev/null 2>&1 && fail "make $target takes a PREFIX with a blank"
	[ "$(cat "$scratch/one")" = mine ] || fail "make $target touches a file that is not its own, for a blank in PREFIX"
done

(cd "$tree" && sh src/package/dist.sh "$version" "$scratch/again") >/dev/null
cmp "$archive" "$scratch/again/fairdial-$version.tar.gz" >&2 || fail "packed again, it is not the same (above)"
echo "check-dist: $(wc -l <"$scratch/packed") files; they build, install, go again, and are packed to the same bytes"
