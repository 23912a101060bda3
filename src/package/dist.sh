#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# dist.sh VERSION DIR: the sources as DIR/fairdial-VERSION.tar.gz. Run in the top folder. The same sources give the same bytes:
# order, owners, modes and times are fixed, the time being that of the last commit, or of the Makefile where there is no
# repository, as in what was unpacked. SOURCE_DATE_EPOCH goes before both.
set -eu
version=${1:?usage: dist.sh VERSION DIR}
dir=${2:?usage: dist.sh VERSION DIR}
name=fairdial-$version

tar --version 2>/dev/null | grep -q GNU || {
	echo "dist: tar is not GNU tar, which alone fixes owners and times: install it" >&2
	exit 1
}
mkdir -p "$dir"
scratch=$(mktemp -d "$dir/.pack.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

# What is under version control, as it is in the tree now; else what may lie in the top folder.
if [ -e .git ]; then
	git ls-files -z >"$scratch/files"
	time=$(git log -1 --format=%ct)
else
	find src tests examples Makefile README.md LICENSE .[a-z]* -type f ! -name '*.pyc' -print0 >"$scratch/files"
	time=$(stat -c %Y Makefile)
fi
[ -s "$scratch/files" ] || { echo "dist: no files here: run it in the top folder" >&2; exit 1; }

LC_ALL=C sort -z -o "$scratch/files" "$scratch/files"
tar --create --null --verbatim-files-from --files-from="$scratch/files" --format=gnu --transform="s|^|$name/|" \
	--owner=0 --group=0 --numeric-owner --mode=u+rw,go+u,go-w --mtime="@${SOURCE_DATE_EPOCH:-$time}" \
	--file="$scratch/$name.tar"
gzip -9n "$scratch/$name.tar"
chmod 644 "$scratch/$name.tar.gz"
mv -f "$scratch/$name.tar.gz" "$dir/"
echo "dist: $dir/$name.tar.gz"
