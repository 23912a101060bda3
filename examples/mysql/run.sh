#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh: three MariaDB servers behind one address, and the mysql command line. Stops what it starts.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
. "$root/examples/lib.sh"

commands=300
user=
[ "$(id -u)" = 0 ] && user=--user=root
small='--innodb-log-file-size=4M --innodb-buffer-pool-size=8M'
mysql=$(command -v mysql || command -v mariadb)

query() { # query ADDRESS: which server answers
	"$mysql" --no-defaults --connect-timeout=10 -h "$1" -P "$port" -N -e "select concat('server-', @@server_id)"
}

queries() { # queries ADDRESS COUNT: one process for each
	i=0
	while [ "$i" -lt "$2" ]; do
		query "$1" || echo "mysql: exit status $?"
		i=$((i + 1))
	done
}

start_mariadb() { # start_mariadb N: in the address and the folder of that number
	eval "address=\$address_$1"
	start_server "$scratch/$1.log" mariadbd --no-defaults $user $small --datadir="$scratch/$1" \
		--socket="$scratch/$1/socket" --pid-file="$scratch/$1/pid" --bind-address="$address" --port="$port" \
		--server-id="$1" --skip-grant-tables --skip-networking=0 --skip-name-resolve
	wait_for "$scratch/$1.log" query "$address"
}

say "Three MariaDB servers, and $commands runs of the mysql command line."
mariadb-install-db --no-defaults $user $small --datadir="$scratch/1" --auth-root-authentication-method=normal \
	--skip-test-db >"$scratch/install.log" 2>&1 || {
	tail -5 "$scratch/install.log" >&2
	exit 1
}
cp -a "$scratch/1" "$scratch/2"
cp -a "$scratch/1" "$scratch/3"
for i in 1 2 3; do
	start_mariadb "$i"
	eval "pid_$i=\$server"
done

say "As it is, a program dials the one address that it was given:"
shown "mysql -h $address_1 -e 'select @@server_id'"
queries "$address_1" 30 >"$scratch/without" 2>&1
must_have "$scratch/without" 30
show_counts "$scratch/without" server-1 server-2 server-3

cat >"$scratch/services.json" <<EOF
{ "services": [
	{ "name": "db", "addresses": ["$address_1"], "ports": [ { "port": $port } ],
	  "endpoints": [ "$address_1:$port", "$address_2:$port", "$address_3:$port" ] } ] }
EOF
mkdir "$scratch/run"
chmod 700 "$scratch/run"

say "The very same command, where that address is a Service's (least connections; each run is a process of its own):"
shown "fairdial publish --services services.json --dir run"
"$fairdial" publish --services "$scratch/services.json" --dir "$scratch/run" >/dev/null
shown "export LD_PRELOAD=libfairdial.so FAIRDIAL_DIR=run"
shown "mysql -h $address_1 -e 'select @@server_id'"
under_fairdial() {
	(
		LD_PRELOAD=$shim FAIRDIAL_DIR=$scratch/run
		export LD_PRELOAD FAIRDIAL_DIR
		"$@"
	)
}
under_fairdial queries "$address_1" "$commands" >"$scratch/with" 2>&1
must_have "$scratch/with" "$commands"
show_counts "$scratch/with" server-1 server-2 server-3
must_be_even "$scratch/with" 2 server-1 server-2 server-3

say "Server 2 is killed. The next 60 commands do not notice:"
shown "kill -9 $pid_2"
stop_server "$pid_2" KILL
under_fairdial queries "$address_1" 60 >"$scratch/killed" 2>&1
must_have "$scratch/killed" 60
show_counts "$scratch/killed" server-1 server-2 server-3
must_be_even "$scratch/killed" 2 server-1 server-3

say "It is started again. Once its ejection has ended, it is dialed again:"
start_mariadb 2
turns=100
until [ "$(under_fairdial query "$address_1")" = server-2 ]; do
	turns=$((turns - 1))
	[ "$turns" -gt 0 ] || { echo "FAILED: server 2 is not dialed again" >&2; exit 1; }
	sleep 0.2
done
under_fairdial queries "$address_1" 60 >"$scratch/back" 2>&1
must_have "$scratch/back" 60
show_counts "$scratch/back" server-1 server-2 server-3

say "What fairdial knows of it:"
shown "fairdial status"
"$fairdial" status --dir "$scratch/run" | sed 's/^/    /'
