#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run.sh: three web servers behind one name, and curl, which knows nothing of it. Stops what it starts.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
. "$root/examples/lib.sh"

commands=90

say "Three web servers, and $commands runs of curl."
for i in 1 2 3; do
	eval "address=\$address_$i"
	start_server "$scratch/$i.log" python3 "$root/examples/curl/backend.py" "$address" "$port" "server-$i"
	wait_for "$scratch/$i.log" curl -sf "http://$address:$port/"
done
endpoints=$address_1:$port,$address_2:$port,$address_3:$port

cat >"$scratch/curls" <<'EOF'
# curls URL COUNT: one process for each request
i=0
while [ "$i" -lt "$2" ]; do
	curl -sS --max-time 10 "$1" || echo "curl: exit status $?"
	i=$((i + 1))
done
EOF

say "As it is, a program takes the first address that it gets:"
shown "curl http://$address_1:$port/"
sh "$scratch/curls" "http://$address_1:$port/" "$commands" >"$scratch/without"
must_have "$scratch/without" "$commands"
show_counts "$scratch/without" server-1 server-2 server-3

say "Under fairdial, the name is a Service, and each curl is a dial:"
shown "fairdial run --service 'web:80=$endpoints' -- sh -c 'curl http://web/; curl http://web/; …'"
"$fairdial" run --service "web:80=$endpoints" --balance round_robin -- \
	sh "$scratch/curls" http://web/ "$commands" >"$scratch/with" 2>&1
must_have "$scratch/with" "$commands"
show_counts "$scratch/with" server-1 server-2 server-3
must_be_even "$scratch/with" 1 server-1 server-2 server-3
