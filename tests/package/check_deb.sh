#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check_deb.sh VERSION DIR ROOTS MACHINE: proves of the packages in DIR that Debian's rules hold, that the shim is what loaders and
# hosts may rely on, and that in a fresh system, with no more than what it depends on, it installs, works and goes again without a
# trace. Run in the top folder, as root. Exit status 77, and a line that says why, where no such system can be made here.
set -eu
version=${1:?usage: check_deb.sh VERSION DIR ROOTS MACHINE}
dir=${2:?usage: check_deb.sh VERSION DIR ROOTS MACHINE}
roots=${3:?usage: check_deb.sh VERSION DIR ROOTS MACHINE}
machine=${4:?usage: check_deb.sh VERSION DIR ROOTS MACHINE}
. tests/guest.sh

arch=$(dpkg --print-architecture)
deb=$dir/fairdial_$version-1_$arch.deb
[ -e "$deb" ] || fail "$deb is missing: make deb"

command -v lintian >/dev/null || fail "lintian is not installed: make deps"
lintian --allow-root --fail-on error,warning "$dir/fairdial_$version-1_$arch.changes" >&2 || fail "lintian objects (above)"
dpkg-deb -x "$deb" "$scratch/unpacked"
sh tests/check_elf.sh "$scratch/unpacked/usr/lib/$machine-linux-gnu/libfairdial.so" "$machine" >"$scratch/elf" || {
	grep -v '^ok' "$scratch/elf" >&2
	fail "the packaged shim breaks rules (above)"
}

guest_new "$roots" bookworm
mkdir "$guest/check"
cp "$deb" "$guest/check/fairdial.deb"
cp tests/package/in_guest.sh "$guest/check/"
for page in src/man/*.[157]; do
	[ ! -e "$page" ] || basename "$page"
done >"$guest/check/pages"
guest_run 900 host /bin/sh /check/in_guest.sh prepare >"$scratch/log" 2>&1 || {
	tail -20 "$scratch/log" >&2
	fail "the other system cannot be prepared (above)"
}
guest_run 300 own /bin/sh /check/in_guest.sh check
echo "check-deb: lintian, the shim's file, and a system where it was installed, used and purged agree"
