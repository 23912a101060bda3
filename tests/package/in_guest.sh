# SPDX-License-Identifier: Apache-2.0
# in_guest.sh prepare|check: the part of check_deb.sh that runs in the other system: first with a network, to get what the package
# depends on and what the check uses; then without one, from the installation to the purge.
set -eu
export DEBIAN_FRONTEND=noninteractive

fail() {
	echo "check-deb: $*" >&2
	exit 1
}

everything() { # that a purge may leave behind
	find / -xdev \( -path /proc -o -path /dev -o -path /check -o -path /tmp -o -path /var/lib/dpkg -o -path /var/cache -o \
		-path /var/log \) -prune -o -print | LC_ALL=C sort
}

if [ "$1" = prepare ]; then
	apt-get update -qq
	apt-get satisfy -y -qq --no-install-recommends "$(dpkg-deb -f /check/fairdial.deb Depends)"
	apt-get install -y -qq --no-install-recommends curl python3 man-db bash-completion
	exit 0
fi

everything >/check/before
dpkg -i /check/fairdial.deb >/check/log 2>&1 || { cat /check/log >&2; fail "it does not install (above)"; }

# The examples bring servers of their own, and see to it that curl's dials are spread evenly.
sh /usr/share/doc/fairdial/examples/curl/run.sh || fail "the example does not spread curl with the installed tool"

# The loader finds the shim by its name, and the shim a table of ours.
for i in 1 2; do
	python3 /usr/share/doc/fairdial/examples/curl/backend.py "127.0.0.$i" 8080 "server-$i" &
	until curl -sf "http://127.0.0.$i:8080/" >/dev/null; do sleep 0.1; done
done
mkdir -m 700 /tmp/table
echo '{"services":[{"name":"web","ports":[{"port":80}],"endpoints":["127.0.0.1:8080","127.0.0.2:8080"]}]}' |
	fairdial publish --services - --dir /tmp/table
said=$(for i in 1 2 3 4; do
	FAIRDIAL_DIR=/tmp/table LD_PRELOAD=libfairdial.so curl -sS --max-time 10 http://web/ 2>&1
done | sort | uniq -c)
[ "$(echo $said)" = "2 server-1 2 server-2" ] || fail "LD_PRELOAD=libfairdial.so, without a path, does not spread: $said"

fairdial install /tmp/tree >/dev/null || fail "fairdial install fails"
/tmp/tree/bin/fairdial --version | grep -q '^fairdial ' || fail "the tree of fairdial install does not run"

while read -r page; do
	man -w "${page##*.}" "${page%.*}" >/dev/null || fail "man does not find $page"
done </check/pages
if [ -e /usr/share/bash-completion/completions/fairdial ]; then
	bash -c '. /usr/share/bash-completion/bash_completion; _completion_loader fairdial; complete -p fairdial' >/dev/null ||
		fail "bash does not load the completion"
fi

dpkg --purge fairdial >/check/log 2>&1 || { cat /check/log >&2; fail "it does not purge (above)"; }
everything >/check/after
diff /check/before /check/after >&2 || fail "a purge leaves this behind, or takes it with it (above)"
dpkg-query -W fairdial >/dev/null 2>&1 && fail "dpkg still knows it after a purge"
exit 0
