#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# newcomer.sh ROOTS: somebody who has git, make and a compiler, and nothing else, clones this repository (its last commit, not
# what is uncommitted), does what its README.md says under "Try it", line by line, and then spreads a program of their own over
# the two servers of that section. Prints how long that took. Run in the top folder, as root. Exit status 77, and a line that
# says why, where no such system can be made here, or its servers' ports are taken.
#
# LIMIT: fails where it takes more seconds than that; 300, the promise, where this machine had nothing else to do at the beginning,
# else none.
set -eu
roots=${1:?usage: newcomer.sh ROOTS}
. tests/guest.sh

busy=$(awk -v all="$(nproc)" '($1 > all / 2) { print $1 }' /proc/loadavg)

mkdir "$scratch/check"
git clone --quiet --bare --no-hardlinks . "$scratch/check/fairdial.git"
git -C "$scratch/check/fairdial.git" show HEAD:README.md >"$scratch/readme"
# The commands: what is indented in that section, and what has a prompt before it, where answers are shown as well. A line that
# ends in a backslash goes on.
awk '/^## / { inside = $0 == "## Try it" } /^```/ { fenced = !fenced }
	inside && sub(fenced ? "^[$] " : "^    ", "") { if (sub(/\\$/, "")) printf "%s", $0; else print }' \
	"$scratch/readme" >"$scratch/check/commands"
[ -s "$scratch/check/commands" ] || fail "README.md has no section \"Try it\", or no commands in it"
grep -o '127\.0\.0\.[0-9]*:[0-9]*' "$scratch/check/commands" | sort -u | tr : ' ' | while read -r address port; do
	! python3 -c "import socket; socket.create_connection(('$address', $port), 1)" 2>/dev/null ||
		skip "something on this machine listens on $address:$port already, where README.md has a server"
done

guest_new "$roots" newcomer
mv "$scratch/check" "$guest/check"
cp tests/package/in_newcomer.sh "$guest/check/"

guest_run 1800 host /bin/bash /check/in_newcomer.sh >"$scratch/log" 2>&1 || {
	tail -25 "$scratch/log" >&2
	fail "README.md does not lead there (above)"
}
sed -n '/^\$ /p; /^  ([0-9]* s)$/p; /^newcomer: /p' "$scratch/log"
seconds=$(sed -n 's/^newcomer: .* after \([0-9]*\) seconds.*/\1/p' "$scratch/log")
if [ -z "${LIMIT-}" ] && [ -n "$busy" ]; then
	echo "newcomer: not held against the limit of 300: this machine had other things to do (load $busy)"
elif [ "$seconds" -gt "${LIMIT:-300}" ]; then
	cat "$scratch/log" >&2
	fail "it took $seconds seconds, more than ${LIMIT:-300}"
fi
