# SPDX-License-Identifier: Apache-2.0
# lib.sh: what the examples share. To be sourced, with `set -eu`; $root is the repository, or the folder of an installed
# fairdial's documents.
# Servers live in a scratch directory and are stopped, by the ids of what was started, when the script ends.

fairdial=$root/build/fairdial
[ -e "$root/Makefile" ] || fairdial=$(command -v fairdial) || fairdial=
if ! [ -x "$fairdial" ]; then
	echo "run 'make' first: $root/build has no fairdial, and none is installed" >&2
	exit 1
fi
unset LD_PRELOAD FAIRDIAL FAIRDIAL_DIR FAIRDIAL_LEDGER FAIRDIAL_ONLY FAIRDIAL_EXCEPT FAIRDIAL_BALANCE FAIRDIAL_SERVICES
unset FAIRDIAL_TRACE FAIRDIAL_WAIT http_proxy HTTP_PROXY all_proxy ALL_PROXY || true

# The shim that it has with it.
shim=$("$fairdial" run --service x:1=127.0.0.1:1 -- sh -c 'echo "$LD_PRELOAD"')

scratch=$(mktemp -d "${TMPDIR:-/tmp}/fairdial-example-XXXXXX")
chmod 755 "$scratch"
servers=

stop_server() { # stop_server PID [SIGNAL]: and waits for it, which is over soon
	kill "-${2:-TERM}" "$1" 2>/dev/null || true
	for turn in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
		kill -0 "$1" 2>/dev/null || break
		sleep 0.2
	done
	kill -KILL "$1" 2>/dev/null || true
	wait "$1" 2>/dev/null || true
}

clean_up() {
	trap '' INT TERM HUP # a second Ctrl-C does not stop the cleaning
	for server in $servers; do
		kill -TERM "$server" 2>/dev/null || true # all at once, so that they end together
	done
	for server in $servers; do
		stop_server "$server"
	done
	rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

start_server() { # start_server LOG COMMAND...: in the background; its id becomes $server
	log=$1
	shift
	"$@" >"$log" 2>&1 </dev/null &
	server=$!
	servers="$servers $server"
}

wait_for() { # wait_for LOG COMMAND...: until it succeeds, half a minute at most
	log=$1
	shift
	turns=300
	until "$@" >/dev/null 2>&1; do
		turns=$((turns - 1))
		if [ "$turns" -eq 0 ]; then
			echo "a server does not answer:" >&2
			tail -5 "$log" >&2
			exit 1
		fi
		sleep 0.1
	done
}

# An address of loopback for each of three servers, and a port that is free on all of them.
set -- $(python3 - <<'EOF'
import random
import socket

for _ in range(100):
    net, port = f"127.{random.randint(1, 60)}.{random.randint(0, 255)}", random.randint(12000, 30000)
    addresses = [f"{net}.{i}" for i in (1, 2, 3)]
    try:
        for address in addresses:
            with socket.socket() as s:
                s.bind((address, port))
    except OSError:
        continue
    print(*addresses, port)
    break
EOF
)
address_1=$1 address_2=$2 address_3=$3 port=$4

if [ -t 1 ]; then
	bold=$(printf '\033[1m') green=$(printf '\033[32m') plain=$(printf '\033[0m') bars=yes
else
	bold='' green='' plain='' bars=''
fi
case ${LC_ALL:-${LC_CTYPE:-${LANG:-}}} in
*UTF-8* | *utf8* | *utf-8*) block=█ ;;
*) block='#' ;;
esac

say() {
	printf '\n%s%s%s\n' "$bold" "$*" "$plain"
}

shown() { # shown COMMAND: as one would type it
	printf '  $ %s\n' "$*"
}

show_counts() { # show_counts FILE NAME...: how often each name is a line of the file, as bars on a terminal
	file=$1
	shift
	for name; do
		count=$(grep -cx "$name" "$file" || true)
		printf '    %-12s %4d' "$name" "$count"
		if [ -n "$bars" ]; then
			printf '  %s' "$green"
			awk -v n="$count" -v all="$(wc -l <"$file")" -v block="$block" \
				'BEGIN { for (i = 0; all && i < n * 50 / all; i++) printf "%s", block }'
			printf '%s' "$plain"
		fi
		printf '\n'
	done
}

must_have() { # must_have FILE LINES: every command has answered, and nothing else was printed
	if [ "$(grep -cx 'server-[123]' "$1" || true)" -ne "$2" ] || [ "$(wc -l <"$1")" -ne "$2" ]; then
		echo "FAILED: not every command got its answer:" >&2
		grep -vx 'server-[123]' "$1" | head -5 >&2
		exit 1
	fi
}

must_be_even() { # must_be_even FILE SLACK NAME...: no two counts are further apart
	file=$1 slack=$2 most=0 least=1000000
	shift 2
	for name; do
		count=$(grep -cx "$name" "$file" || true)
		[ "$count" -gt "$most" ] && most=$count
		[ "$count" -lt "$least" ] && least=$count
	done
	if [ $((most - least)) -gt "$slack" ]; then
		echo "FAILED: not even: from $least to $most" >&2
		exit 1
	fi
}
