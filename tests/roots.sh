#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# roots.sh DIR NAME: unpacks another system's packages into DIR, for programs of its C library that tests run there. Nothing of
# them is installed: no script of a package runs, but those of whole systems. Where DIR is there already, it is left as it is.
#
#	bullseye	glibc 2.31, whose dlsym is in a library of its own; curl, mysql, Python
#	newest		the newest Debian's glibc and musl; curl
#	arm64		this machine's release for aarch64, with what building tests for it needs; curl
#	bookworm	a whole system, the least that packages can be installed into
#	newcomer	the same with what README.md asks of a newcomer: git, make and a compiler
#
# Exit status 77, and a line that says why, where this machine's package source does not have it, or may not unpack it.
set -u
dir=${1:?usage: roots.sh DIR NAME}
name=${2:?usage: roots.sh DIR NAME}

cannot() {
	echo "roots: cannot unpack $name: $*" >&2
	exit 77
}

arch= variant=extract
case $name in
bullseye) suite=bullseye packages=base-files,curl,mariadb-client,python3-minimal,libpython3-stdlib ;;
newest) suite=forky packages=base-files,curl,musl ;;
arm64)
	suite=$(. /etc/os-release && echo "${VERSION_CODENAME-}") arch=--architectures=arm64
	packages=base-files,curl,libc6-dev,linux-libc-dev,libgcc-12-dev,libcmocka-dev,libcurl4-openssl-dev,libjansson-dev,libyaml-dev,libssl-dev
	;;
bookworm) suite=bookworm variant=minbase packages=base-files ;;
newcomer) suite=bookworm variant=minbase packages=git,make,gcc,libc6-dev,ca-certificates ;;
*) echo "roots: no root is called $name" >&2; exit 2 ;;
esac

[ -d "$dir" ] && exit 0
[ "$(id -u)" = 0 ] || cannot "needs root"
command -v mmdebstrap >/dev/null || cannot "mmdebstrap is not installed"
# Where this machine has its own packages from.
source=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -E '/debian/?$' | head -n 1)
[ -n "$source" ] || cannot "this machine has its packages from no Debian archive"

mkdir -p "$(dirname "$dir")"
tmp=$(mktemp -d "$dir.XXXXXX") || exit 1
trap 'rm -rf "$tmp"' EXIT
chmod 755 "$tmp"
# A mirror that is kept as of a day is as good here as one of today.
mmdebstrap --quiet --mode=root --variant=$variant --aptopt='Acquire::Check-Valid-Until "false"' $arch \
	--include="$packages" "$suite" "$tmp" "$source" >"$tmp.log" 2>&1 ||
	{ cat "$tmp.log" >&2; rm -f "$tmp.log"; cannot "mmdebstrap failed (above)"; }
rm -f "$tmp.log"
mkdir -p "$tmp/proc" "$tmp/dev" "$tmp/tmp" "$tmp/run" "$tmp/sys"
mv -T "$tmp" "$dir" 2>/dev/null || [ -d "$dir" ] # another run was faster
