#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# check_image.sh ROOTS: builds examples/kubernetes/Dockerfile as an engine would, with buildah, which needs no engine; the image
# that it begins FROM is a system of tests/roots.sh under that name, so that no registry is asked. Proves that the image runs, that
# its tool was built with all libraries, and that nothing else is in it. Run in the top folder, as root. Exit status 77, and a line
# that says why, where that cannot be done.
set -eu
roots=${1:?usage: check_image.sh ROOTS}
. tests/guest.sh

file=examples/kubernetes/Dockerfile
command -v buildah >/dev/null || skip "buildah is not installed"
base=$(sed -n 's/^FROM \([^ ]*\) AS .*/\1/p' "$file")
[ "$base" = debian:bookworm-slim ] || fail "$file begins FROM $base, of which tests/roots.sh knows nothing"
guest_new "$roots" bookworm
tar -C "$guest" --exclude='./dev/*' -cf "$scratch/base.tar" .

# build COMMAND...: of buildah, which keeps what it makes in $scratch, and its mounts to itself.
cat >"$scratch/build.sh" <<'SCRIPT'
store="--storage-driver vfs --root $1/store --runroot $1/run"
export BUILDAH_ISOLATION=chroot
container=$(buildah $store from scratch)
buildah $store add -q "$container" "$1/base.tar" / >/dev/null
buildah $store commit -q --rm "$container" "docker.io/library/$3" >/dev/null
buildah $store build --pull-never --network host -f "$2" -t fairdial:check .
container=$(buildah $store from --pull-never localhost/fairdial:check)
(cd "$(buildah $store mount "$container")" && find . -type f -o -type l | sort) >"$1/files"
buildah $store inspect --format '{{.OCIv1.Config.User}} {{.OCIv1.Config.Entrypoint}}' "$container" >"$1/config"
buildah $store run --network none "$container" -- /bin/fairdial --version >"$1/version"
SCRIPT
timeout --kill-after=10 1200 unshare --mount --pid --fork --kill-child --mount-proc \
	sh -eu "$scratch/build.sh" "$scratch" "$file" "$base" >"$scratch/log" 2>&1 </dev/null || {
	tail -20 "$scratch/log" >&2
	fail "the image does not build, or its tool does not run (above)"
}
[ "$(cat "$scratch/config")" = "65532:65532 [/bin/fairdial]" ] || fail "its user and entry point are $(cat "$scratch/config")"
for library in libcurl jansson libyaml libmicrohttpd ncurses; do
	grep -q "[ (]$library " "$scratch/version" || fail "its tool was built without $library: $(cat "$scratch/version")"
done
grep -Ev '^\./(libfairdial\.so|bin/fairdial|lib/[^/]*(/[^/]*)?|lib/terminfo/./[^/]*)$' "$scratch/files" >&2 && fail "what are these in the image?"
echo "check-image: $(wc -l <"$scratch/files") files; $(cat "$scratch/version")"
