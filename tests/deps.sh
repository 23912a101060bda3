#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# deps.sh [build|demo|differential|bench|fuzz|coverage]: installs what building and a first try with curl (and the demo, other people's
# suites, measuring, fuzzing) or, without a word, also testing needs, where it is missing.
# Debian, Ubuntu, Alpine and Fedora; as root or through sudo. Prints nothing when nothing is missing.
set -eu
what=${1:-test}

missing=
need() { # need COMMAND-OR-FILE PACKAGE(debian) PACKAGE(alpine) PACKAGE(fedora)
	case $1 in
	/*) for f in $1; do [ -e "$f" ] && return 0; done ;;
	*) command -v "$1" >/dev/null 2>&1 && return 0 ;;
	esac
	missing="$missing $(eval echo "\$$column")"
}

if command -v apt-get >/dev/null 2>&1; then
	column=2
elif command -v apk >/dev/null 2>&1; then
	column=3
elif command -v dnf >/dev/null 2>&1; then
	column=4
else
	echo "deps: no apt-get, apk or dnf here: install gcc, make, pkg-config, libcurl, jansson and cmocka by hand" >&2
	exit 0
fi

module() { # module NAME PACKAGES...: of Python, of the distribution's own, which need not be the first in PATH
	name=$1
	shift
	for python in python3 /usr/bin/python3; do
		"$python" -c "import $name" 2>/dev/null && return 0
	done
	need /nonexistent "$@"
}

header() { # header NAME PACKAGES...: a C header, looked for where the compiler looks
	name=$1
	shift
	echo "#include <$name>" | ${CC:-cc} -E -x c - >/dev/null 2>&1 || need /nonexistent "$@"
}

need cc gcc gcc gcc
[ "$column" = 3 ] && need /usr/include/stdio.h - musl-dev -
need pkg-config pkg-config pkgconf pkgconf-pkg-config
header curl/curl.h libcurl4-openssl-dev curl-dev libcurl-devel
header jansson.h libjansson-dev jansson-dev jansson-devel
header yaml.h libyaml-dev yaml-dev libyaml-devel
header microhttpd.h libmicrohttpd-dev libmicrohttpd-dev libmicrohttpd-devel
header curses.h libncurses-dev ncurses-dev ncurses-devel
need curl curl curl curl
need python3 python3 python3 python3
if [ "$what" != build ] && [ "$what" != fuzz ]; then
	need mariadbd mariadb-server mariadb mariadb-server
	need mysql mariadb-client mariadb-client mariadb
fi
if [ "$what" = test ]; then
	header cmocka.h libcmocka-dev cmocka-dev libcmocka-devel
	header openssl/ssl.h libssl-dev openssl-dev openssl-devel
	need clang clang clang clang
	need wget wget wget wget
	need node nodejs nodejs nodejs
	need javac default-jdk-headless openjdk17-jdk java-17-openjdk-devel
	need perl perl perl perl
	need bash bash bash bash
	need redis-server redis-server redis redis
	need redis-cli redis-tools redis redis
	need psql postgresql-client postgresql-client postgresql
	need '/usr/lib/postgresql/*/bin/postgres' postgresql postgresql postgresql-server
	need rabbitmq-server rabbitmq-server rabbitmq-server rabbitmq-server
	module grpc python3-grpcio py3-grpcio python3-grpcio
	module websockets python3-websockets py3-websockets python3-websockets
	module pika python3-pika py3-pika python3-pika
	need strace strace strace strace
	need openssl openssl openssl openssl
	need ip iproute2 iproute2 iproute
	need musl-gcc musl-tools musl-dev musl-gcc
	need readelf binutils binutils binutils
	need cmp diffutils diffutils diffutils
	# For the many kinds of hosts: other C libraries, another architecture, other allocators and runtimes.
	need mmdebstrap mmdebstrap mmdebstrap mmdebstrap
	need qemu-aarch64-static qemu-user-static qemu-aarch64 qemu-user-static
	need aarch64-linux-gnu-gcc 'gcc-aarch64-linux-gnu libc6-dev-arm64-cross' gcc-aarch64-none-elf gcc-aarch64-linux-gnu
	need go golang-go go golang
	need busybox busybox-static busybox busybox
	need valgrind valgrind valgrind valgrind
	need '/usr/lib/*/libjemalloc.so.2' libjemalloc2 jemalloc jemalloc
	need '/usr/lib/*/libtcmalloc_minimal.so.4' libtcmalloc-minimal4 gperftools gperftools-libs
	need setcap libcap2-bin libcap-utils libcap
	need spin spin spin spin
	# Pools of connections, which are closed under them.
	need nginx nginx-light nginx nginx
	module pymysql python3-pymysql py3-pymysql python3-PyMySQL
	module sqlalchemy python3-sqlalchemy py3-sqlalchemy python3-sqlalchemy
	module requests python3-requests py3-requests python3-requests
	module urllib3 python3-urllib3 py3-urllib3 python3-urllib3
	need npm npm npm nodejs-npm
	if [ "$column" = 2 ]; then
		need /usr/share/java/HikariCP.jar libhikaricp-java
		need /usr/share/java/mariadb-java-client.jar libmariadb-java
		need /usr/share/java/slf4j-api.jar libslf4j-java
	fi
	# What scrapes the metrics, draws a terminal, and reads the documents as their readers do.
	need promtool prometheus prometheus prometheus
	module prometheus_client python3-prometheus-client py3-prometheus-client python3-prometheus_client
	need tmux tmux tmux tmux
	need man man-db man-db man-db
	need mandoc mandoc mandoc mandoc
	need groff groff groff groff
	need zsh zsh zsh zsh
	if [ "$column" = 2 ]; then
		need dpkg-buildpackage dpkg-dev
		need dh debhelper
		need lintian lintian
		need debootstrap debootstrap
		need fakeroot fakeroot
		need /usr/share/bash-completion/bash_completion bash-completion
	fi
	# For manifests: JSON Schema, YAML, and kustomize (where it is too old for components, that check says so).
	module jsonschema python3-jsonschema py3-jsonschema python3-jsonschema
	module yaml python3-yaml py3-yaml python3-pyyaml
	need kubectl kubernetes-client kubectl kubernetes-client
fi

if [ "$what" = differential ]; then
	need unshare util-linux util-linux util-linux
	need setpriv util-linux setpriv util-linux
	need ip iproute2 iproute2 iproute2
	need dpkg-source dpkg-dev dpkg-dev dpkg-dev
	need g++ g++ g++ gcc-c++
	need cmake cmake cmake cmake
	need perl perl perl perl
	header openssl/ssl.h libssl-dev openssl-dev openssl-devel
	header zlib.h zlib1g-dev zlib-dev zlib-devel
fi

# What `make bench` compares with, loads with and draws with.
if [ "$what" = bench ]; then
	need unshare util-linux util-linux util-linux
	need ip iproute2 iproute2 iproute2
	need taskset util-linux util-linux-misc util-linux
	need sysctl procps procps procps-ng
	need hostname hostname busybox hostname
	need haproxy haproxy haproxy haproxy
	need nginx nginx-light nginx nginx
	need '/usr/lib*/nginx/modules/ngx_stream_module.so' libnginx-mod-stream nginx-mod-stream nginx-mod-stream
	need wrk wrk wrk wrk
	need sysbench sysbench sysbench sysbench
	need gnuplot gnuplot-nox gnuplot gnuplot
	need nft nftables nftables nftables
	need iptables-legacy-restore iptables iptables-legacy iptables-legacy
fi

[ "$what" = coverage ] && need gcovr gcovr gcovr gcovr

# libFuzzer, where it is in a package beside clang's: that is known when clang is there.
links_fuzzers() {
	echo 'int LLVMFuzzerTestOneInput(const char *data, unsigned long size) { return data && size; }' |
		clang -fsanitize=fuzzer,address -x c -o /dev/null - 2>/dev/null
}
if [ "$what" = fuzz ]; then
	need clang clang clang clang
	! command -v clang >/dev/null 2>&1 || links_fuzzers || need /nonexistent libclang-rt-dev compiler-rt compiler-rt
fi

[ -z "$missing" ] && exit 0
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
echo "deps: installing$missing" >&2
case $column in
2)
	$sudo apt-get update -qq >&2
	# A package that starts servers by itself is kept from doing so: tests start their own.
	$sudo env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends $missing >/dev/null
	;;
3) $sudo apk add --quiet $missing ;;
4) $sudo dnf install -y -q $missing ;;
esac
# Once more, with the compiler that was missing.
[ "$what" != fuzz ] || links_fuzzers || [ -n "${DEPS_AGAIN-}" ] || DEPS_AGAIN=1 exec sh "$0" fuzz
