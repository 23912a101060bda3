# SPDX-License-Identifier: Apache-2.0
# Of the scripts that check rules (`. tests/rules.sh`): a scratch folder, and a line for each rule. They end with
# `end_of_rules`: its status is 1 if one is broken.
set -u
LC_ALL=C
export LC_ALL
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT

# rule TEXT: ok if nothing was printed to standard input; else what was printed is what breaks the rule.
rule() {
	cat >"$scratch/found"
	if [ -s "$scratch/found" ]; then
		printf 'FAIL  %s\n' "$1"
		sed 's/^/      /' "$scratch/found"
		: >"$scratch/broken" # a variable of a pipe's end would be gone with it
	else
		printf 'ok    %s\n' "$1"
	fi
}

end_of_rules() {
	[ ! -e "$scratch/broken" ]
}
