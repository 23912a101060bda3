#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# deb.sh VERSION DIST DIR: DIST/fairdial-VERSION.tar.gz as Debian packages, source and binary, in DIR. Run in the top folder, by
# anybody. Installs nothing: says what is missing.
set -eu
version=${1:?usage: deb.sh VERSION DIST DIR}
dist=${2:?usage: deb.sh VERSION DIST DIR}
dir=${3:?usage: deb.sh VERSION DIST DIR}

fail() {
	echo "deb: $*" >&2
	exit 1
}

for tool in dpkg-buildpackage dh; do
	command -v "$tool" >/dev/null || fail "$tool is not installed: apt-get install dpkg-dev debhelper, or make deps"
done
head -n 1 src/package/debian/changelog | grep -q "^fairdial ($version-" ||
	fail "the Makefile's version is $version: write an entry for it in src/package/debian/changelog"

rm -rf "$dir"
mkdir -p "$dir"
tar -C "$dir" -xzf "$dist/fairdial-$version.tar.gz"
cp "$dist/fairdial-$version.tar.gz" "$dir/fairdial_$version.orig.tar.gz"
cp -R "$dir/fairdial-$version/src/package/debian" "$dir/fairdial-$version/debian"

# What the caller's make has in its environment is not for this one.
unset MAKEFLAGS MFLAGS MAKELEVEL CFLAGS CPPFLAGS LDFLAGS PREFIX LIBDIR BUILD
(cd "$dir/fairdial-$version" && dpkg-buildpackage --no-sign -j"$(nproc)") >"$dir/log" 2>&1 || {
	grep -A 3 'Unmet build dep' "$dir/log" >&2 || tail -20 "$dir/log" >&2
	fail "dpkg-buildpackage failed (above, and $dir/log); what is missing, make deps installs"
}
rm -rf "$dir/fairdial-$version"
ls "$dir"/*.deb
