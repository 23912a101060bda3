#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check_man.sh PAGE...: man and mandoc have nothing to say about the manual pages, not a word; and each is about what its name says.
# First it proves that it refuses a page with one mistake of each kind.
set -u
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT

# Manuals of others that ours may refer to: whether this machine has them does not count.
foreign='bash.1 curl.1 kubectl.1 capabilities.7 clone.2 connect.2 environ.7 getaddrinfo.3 gethostbyname.3 ld.so.8 resolv.conf.5
	hosts.5 seccomp.2 sendto.2 sendmsg.2 signal-safety.7 sock_diag.7 socket.7 tcp.7 unix.7 write.2 open.2 proc.5 tmpfs.5 zsh.1'

for tool in man mandoc groff; do
	command -v $tool >/dev/null || { echo "check_man: no $tool here: make deps" >&2; exit 1; }
done
[ $# -gt 0 ] || { echo 'usage: check_man.sh PAGE...' >&2; exit 2; }
cp "$@" "$scratch" || exit 1
cd "$scratch" || exit 1
# Whom ours refer to, in a place where mandoc looks, and not where this machine's are.
for page in $foreign fairdial.1 fairdial-services.5 libfairdial.7; do
	mkdir -p "manuals/man${page##*.}"
	echo '.Dd November 26, 2026' >"manuals/man${page##*.}/$page"
done
export MANPATH=$scratch/manuals

# findings PAGE: what there is to say, a line each.
findings() {
	mandoc -T lint -W style "$1" 2>&1 | grep -v '^mandoc: outdated mandoc.db lacks ' # they are found, and not in an index
	LC_ALL=C.UTF-8 MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z "$1" 2>&1 >/dev/null
	title=$(printf '%s %s' "${1%.*}" "${1##*.}" | tr '[:lower:]' '[:upper:]')
	grep -qx "\\.Dt $title" "$1" || echo "$1: no line .Dt $title"
	for section in NAME DESCRIPTION EXAMPLES 'SEE ALSO'; do
		grep -qxE "\\.Sh \"?$section\"?" "$1" || echo "$1: no section $section"
	done
	grep -n '.[[:space:]]$' "$1" | sed "s/^/$1:/; s/\$/: a blank at the end/"
}

refuses() { # refuses WHAT SED-SCRIPT
	mkdir -p bad
	sed "$2" "$first" >"bad/$first"
	cmp -s "$first" "bad/$first" && { echo "check_man: the mistake '$1' was not made" >&2; exit 1; }
	mv "$first" good
	cp "bad/$first" "$first"
	found=$(findings "$first")
	mv good "$first"
	[ -n "$found" ] || { echo "check_man: would not see $1" >&2; exit 1; }
}

first=${1##*/}
refuses 'a macro that there is not' '0,/^\.Sh DESCRIPTION/s//.Sh DESCRIPTION\n.Zz nonsense/'
refuses 'a list without an end' '0,/^\.El/{/^\.El/d}'
refuses 'a reference to a page that nobody has' '0,/^\.Sh SEE ALSO/s//.Sh SEE ALSO\n.Xr nobody 1 ,/'
refuses 'a title of another page' 's/^\.Dt .*/.Dt OTHER 1/'
refuses 'a section that is missing' '/^\.Sh EXAMPLES/d'
refuses 'a character that there is not' '0,/^\.Sh DESCRIPTION/s//.Sh DESCRIPTION\n\\[nonsense]/'
refuses 'a blank at the end of a line' '0,/^\.Sh DESCRIPTION/s//.Sh DESCRIPTION\nwords /'

status=0
for page; do
	page=${page##*/}
	found=$(findings "$page")
	if [ -n "$found" ]; then
		printf 'FAIL  %s\n%s\n' "$page" "$found"
		status=1
	else
		printf 'ok    %s\n' "$page"
	fi
done
exit $status
