#!/bin/sh
# SPDX-License-Identifier: MIT
# build.sh: from a bare Debian 12 or Ubuntu 22.04/24.04 to dist/ollachat. `./build.sh help` says what it can do.
set -eu
cd "$(dirname "$0")"

# The release has fixed flags: what the caller's shell says to other builds does not count here.
unset CC CFLAGS CPPFLAGS LDFLAGS MAKEFLAGS MFLAGS DEBUG SAN V OLLACHAT_BIN
unset CPATH C_INCLUDE_PATH LIBRARY_PATH COMPILER_PATH GCC_EXEC_PREFIX REALGCC
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
umask 022
logs=build/log
mode=build

usage() {
	cat <<-'EOF'
		./build.sh               build dist/ollachat, with dist/ollachat-backend and dist/ollachat-frontend beside it
		./build.sh demo [OPTION...]  build, then run `dist/ollachat demo` on http://127.0.0.1:3000
		./build.sh test          build, then run every test; the last line is `N passed, N failed`
		./build.sh help          this text

		As root, packages that are missing are installed with apt; otherwise they are named. Third-party sources
		are fetched by package name, once; see vendor/README.md. Logs of each step: build/log/.
		In the environment: WERROR=1 makes warnings errors; OLLACHAT_NO_BROWSER=1 leaves the browser tests out.
	EOF
}

say() {
	printf '%s\n' "$*"
}

fail() {
	printf 'build.sh: %s\n' "$*" >&2
	if [ "$mode" = test ]; then
		say '0 passed, 1 failed'
	fi
	exit 1
}

# step NAME TEXT COMMAND...: one line on the screen, the rest in a log
step() {
	step_log=$logs/$1.log
	say "$2"
	shift 2
	if ! "$@" > "$step_log" 2>&1 < /dev/null; then
		tail -n 40 "$step_log" >&2
		fail "that failed; all of it is in $step_log"
	fi
}

has() {
	command -v "$1" > /dev/null 2>&1
}

# --- packages -----------------------------------------------------------------------------------------------

node_major() {
	v=$(node --version 2> /dev/null) || v=v0
	v=${v#v}
	say "${v%%.*}"
}

has_chromium() {
	for b in "${CHROMIUM:-}" chromium chromium-browser google-chrome google-chrome-stable; do
		# Ubuntu's chromium-browser is a stub that wants a snap: only one that answers counts.
		[ -n "$b" ] && has "$b" && timeout 30 "$b" --version > /dev/null 2>&1 && return 0
	done
	return 1
}

is_debian() {
	grep -q '^ID=debian' /etc/os-release 2> /dev/null
}

# What the build needs; npm (and the node it runs on) of any origin and version will do.
packages_for_build() {
	echo gcc make musl-tools binutils xz-utils gzip brotli ca-certificates
	has npm || echo npm
}

# The tests: a native libc and sanitizers, libFuzzer, checkers, Python for the HTTP suites (with the parser that judges
# the metrics), other TLS clients, load balancers, a browser.
packages_for_test() {
	echo libc6-dev python3 python3-prometheus-client shellcheck clang clang-format openssl curl sslscan haproxy nginx
	if [ "${OLLACHAT_NO_BROWSER:-}" != 1 ] && is_debian && ! has_chromium; then
		echo chromium fonts-dejavu-core
	fi
}

# clang's sanitizer and fuzzer libraries are a package of their own in newer releases, named by version.
package_of_clang_rt() {
	v=$(apt-cache depends clang 2> /dev/null | sed -n 's/^ *Depends: clang-\([0-9][0-9]*\)$/\1/p' | head -n 1)
	if [ -n "$v" ] && apt-cache show "libclang-rt-$v-dev" > /dev/null 2>&1; then
		echo "libclang-rt-$v-dev"
	fi
}

missing_of() {
	for p; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2> /dev/null)" = installed ] || printf '%s ' "$p"
	done
}

# Servers that the tests bring do not become services of this machine: none is started.
install_packages() {
	policy=/usr/sbin/policy-rc.d
	ours=no
	if [ "$mode" = test ] && [ ! -e "$policy" ]; then
		ours=yes
		trap 'rm -f "$policy"' EXIT
		trap 'exit 129' HUP
		trap 'exit 130' INT
		trap 'exit 143' TERM
		printf '#!/bin/sh\nexit 101\n' > "$policy"
		chmod 755 "$policy"
	fi
	installed=0
	{ apt-get -q update && apt-get -q install -y --no-install-recommends "$@"; } || installed=$?
	if [ "$ours" = yes ]; then
		rm -f "$policy"
		trap - EXIT HUP INT TERM
	fi
	return "$installed"
}

# need STEP LIST...: installs what is missing of the list, or says what to install
need() {
	name=$1
	shift
	if ! has dpkg-query; then
		say "No dpkg here: taking it that these are installed: $*"
		return
	fi
	missing=$(missing_of "$@")
	[ -n "$missing" ] || return 0
	if [ "$(id -u)" -ne 0 ]; then
		say "Some packages are missing. Please run this, then try again:"
		say "  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${missing% }"
		fail "packages are missing: ${missing% }"
	fi
	# shellcheck disable=SC2086 # a list
	step "$name" "Installing with apt: ${missing% }" install_packages $missing
}

setup_packages() {
	list=$(packages_for_build)
	[ "$mode" != test ] || list="$list $(packages_for_test)"
	# shellcheck disable=SC2086 # a list
	need packages $list
	if [ "$mode" = test ] && has apt-cache; then
		rt=$(package_of_clang_rt)
		[ -z "$rt" ] || need packages-clang "$rt"
	fi
}

# --- building -----------------------------------------------------------------------------------------------

jobs_count() {
	nproc 2> /dev/null || echo 2
}

build() {
	step fetch "Third-party sources: from the package archives, once, checked by hash" vendor/fetch.sh src web
	step make "Building dist/ollachat (static, musl)" make -j"$(jobs_count)" all
	tests/build/verify.sh dist/ollachat "$(cat build/web/assets.bytes)" || fail "dist/ollachat is not what it has to be"
}

setup_tests() {
	sets="test"
	[ "$(node_major)" -ge 22 ] || sets="$sets node"
	if [ "${OLLACHAT_NO_BROWSER:-}" != 1 ] && ! has_chromium; then
		sets="$sets browser"
	fi
	# shellcheck disable=SC2086 # a list
	step fetch-test "Test packages: $sets" vendor/fetch.sh $sets
	step make-test "Building the sanitizer flavour, unit tests and fuzz targets" \
		make -j"$(jobs_count)" asan unit-programs fuzz-programs wound
}

case ${1:-} in
'')
	mkdir -p "$logs"
	setup_packages
	build
	;;
demo)
	shift
	mkdir -p "$logs"
	setup_packages
	build
	exec dist/ollachat demo "$@"
	;;
test)
	mode="test"
	mkdir -p "$logs"
	setup_packages
	build
	setup_tests
	say "Testing"
	exec tests/run.sh
	;;
help | -h | --help)
	usage
	;;
*)
	usage >&2
	exit 2
	;;
esac
