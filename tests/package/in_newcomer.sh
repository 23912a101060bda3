# SPDX-License-Identifier: Apache-2.0
# in_newcomer.sh: the part of newcomer.sh that runs in the other system, by bash, as a newcomer's shell is. /check/commands has what
# README.md says. In one shell, because a command may want the jobs of one before.
begin=$SECONDS

fail() {
	echo "newcomer: $*" >&2
	exit 1
}

do_line() { # as somebody types it
	echo "$ $1"
	eval "$1"
	status=$?
	[ "$status" = 0 ] || fail "exit status $status of: $1"
}

cd || exit
do_line 'git clone --quiet /check/fairdial.git'
cd fairdial || exit
while IFS= read -r line <&3; do
	do_line "$line"
	echo "  ($((SECONDS - begin)) s)"
done 3</check/commands
for turn in $(seq 50); do
	[ -n "$(jobs -r)" ] || break
	sleep 0.2
done
[ -z "$(jobs -r)" ] || fail "README.md's last command leaves running: $(jobs -r)"

# What README.md runs under fairdial is curl; this is the newcomer's own.
cat >own.py <<'PROGRAM'
from urllib.request import urlopen

for _ in range(10):
    print(urlopen("http://web/", timeout=10).read().decode(), end="")
PROGRAM
servers=$(grep -m 1 'backend\.py' /check/commands) || fail "README.md starts no servers with backend.py"
run=$(grep -m 1 '^build/fairdial run .* -- ' /check/commands) || fail "README.md has no command that begins with build/fairdial run"
do_line "$servers"
do_line "${run%% -- *} -- python3 own.py >own.txt"
took=$((SECONDS - begin))
counts=$(sort own.txt | uniq -c)
[ "$(echo $counts)" = "5 server-1 5 server-2" ] || fail "the newcomer's program is not spread: $counts"
kill $(jobs -p)
echo "newcomer: a program of one's own is spread, 5 and 5, after $took seconds"
