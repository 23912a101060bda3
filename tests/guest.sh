# SPDX-License-Identifier: Apache-2.0
# guest.sh: another system, a copy of one of tests/roots.sh, in which programs run with processes and mounts of their own. To be
# sourced, with `set -eu`, in the top folder. What it makes and starts is gone when the script ends, however it ends.

who=$(basename "$0" .sh | tr _ -)

fail() {
	echo "$who: $*" >&2
	exit 1
}

skip() { # exit status 77
	echo "skip: $who: $*" >&2
	exit 77
}

scratch=$(mktemp -d "${TMPDIR:-/tmp}/fairdial-guest-XXXXXX")
guest=$scratch/root
trap 'rm -rf --one-file-system "$scratch"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# guest_new ROOTS NAME: the system of tests/roots.sh NAME, kept in ROOTS, as $guest. It has its packages from where this machine
# has its own, and knows the same hosts.
guest_new() {
	[ "$(id -u)" = 0 ] || skip "another system needs root"
	for tool in mmdebstrap unshare ip; do
		command -v "$tool" >/dev/null || fail "$tool is not installed: make deps"
	done
	timeout 900 sh tests/roots.sh "$1/$2" "$2" || exit
	cp -a --reflink=auto "$1/$2" "$guest"
	chmod 755 "$scratch"
	rm -f "$guest"/etc/apt/sources.list "$guest"/etc/apt/sources.list.d/*
	apt-get indextargets --format 'deb $(REPO_URI) $(CODENAME) $(COMPONENT)' 'Created-By: Packages' 'Origin: Debian' |
		sort -u >"$guest/etc/apt/sources.list"
	[ -s "$guest/etc/apt/sources.list" ] || skip "this machine has its packages from no Debian archive"
	apt-config dump Acquire | grep -E '^Acquire::(https?|Retries|Check-Valid-Until)' >"$guest/etc/apt/apt.conf.d/90host" || true
	cat /etc/resolv.conf >"$guest/etc/resolv.conf"
	cat /etc/hosts >"$guest/etc/hosts"
}

# guest_run SECONDS NET SCRIPT [ARG...]: runs a file of $guest there, for so long at most. NET is `host`, or `own` for a network
# that has nothing but loopback.
guest_run() {
	seconds=$1 net=
	[ "$2" = host ] || net=--net
	shift 2
	timeout --kill-after=10 "$seconds" unshare --mount --pid --fork --kill-child $net sh -eu -c '
		guest=$1
		shift
		mount -t proc proc "$guest/proc"
		mount --rbind /dev "$guest/dev"
		[ -z "$1" ] || ip link set lo up
		shift
		exec chroot "$guest" /usr/bin/env -i HOME=/root TERM=dumb PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
			${http_proxy:+"http_proxy=$http_proxy"} ${https_proxy:+"https_proxy=$https_proxy"} "$@"
	' sh "$guest" "$net" "$@" </dev/null
}
