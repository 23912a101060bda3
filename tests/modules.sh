#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# modules.sh DIR NAME...: installs modules of Node.js into DIR/node_modules, for programs that tests run; no script of a module
# runs. Where DIR is there already, it is left as it is.
#
# Exit status 77, and a line that says why, where npm does not have them here.
set -u
dir=${1:?usage: modules.sh DIR NAME...}
shift

cannot() {
	echo "modules: cannot install $*" >&2
	exit 77
}

[ -d "$dir" ] && exit 0
command -v npm >/dev/null || cannot "$*: npm is not installed"
mkdir -p "$(dirname "$dir")"
tmp=$(mktemp -d "$dir.XXXXXX") || exit 1
trap 'rm -rf "$tmp" "$tmp.log"' EXIT
npm install --prefix "$tmp" --no-audit --no-fund --no-save --no-package-lock --ignore-scripts --fetch-retries=1 \
	--fetch-timeout=30000 "$@" >"$tmp.log" 2>&1 || { cat "$tmp.log" >&2; cannot "$*: npm failed (above)"; }
mv -T "$tmp" "$dir" 2>/dev/null || [ -d "$dir" ] # another run was faster
