#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh [SUITE...]: runs the suites (all of them without arguments) and ends with one line, `N passed, N failed`.
# A suite is a command whose last line says the same. One that says nothing of the kind, or fails in silence, has
# failed once. The program under test is OLLACHAT_BIN (dist/ollachat).
set -u
cd "$(dirname "$0")/.." || exit 2

all='unit http cli faults tls system clients e2e lint build asan-http asan-cli asan-faults asan-tls'
OLLACHAT_BIN=${OLLACHAT_BIN:-dist/ollachat}
UNIT_DIR=${UNIT_DIR:-build/asan/unit}
RELEASE_DIR=${RELEASE_DIR:-build/release}
asan_bin=${UNIT_DIR%/unit}/ollachat
case $OLLACHAT_BIN in /*) ;; *) OLLACHAT_BIN=$PWD/$OLLACHAT_BIN ;; esac
export OLLACHAT_BIN UNIT_DIR RELEASE_DIR PYTHONDONTWRITEBYTECODE=1
logs=build/log
limit=900 # seconds a suite may take
passed=0
failed=0

# The official clients want Node 22; where the machine's own is older, vendor/node has one.
use_node() {
	v=$(node --version 2> /dev/null) || v=v0
	v=${v#v}
	[ "${v%%.*}" -ge 22 ] && return
	for d in "$PWD"/vendor/node/node_modules/node-linux-*/bin; do
		[ -x "$d/node" ] && PATH=$d:$PATH
	done
}

# CHROMIUM is the browser of the e2e suite. A stub that only wants to install something else does not answer.
use_chromium() {
	for b in "${CHROMIUM:-}" chromium chromium-browser google-chrome google-chrome-stable "$PWD/vendor/cache/browser/chromium"; do
		[ -n "$b" ] || continue
		CHROMIUM=$(command -v "$b") && timeout 30 "$CHROMIUM" --version > /dev/null 2>&1 && export CHROMIUM && return
	done
	unset CHROMIUM
}

sanitized() {
	if [ ! -x "$asan_bin" ]; then
		echo "$asan_bin is not there: make asan"
		return 1
	fi
	env OLLACHAT_BIN="$PWD/$asan_bin" \
		ASAN_OPTIONS="abort_on_error=1:detect_leaks=1:detect_stack_use_after_return=1${ASAN_OPTIONS:+:$ASAN_OPTIONS}" \
		UBSAN_OPTIONS="print_stacktrace=1${UBSAN_OPTIONS:+:$UBSAN_OPTIONS}" "$@"
}

e2e() {
	use_chromium
	if [ -z "${CHROMIUM:-}" ]; then
		echo "the browser suite needs a Chromium in PATH (or in CHROMIUM); OLLACHAT_NO_BROWSER=1 leaves the suite out"
		return 1
	fi
	node tests/e2e/run.mjs
}

suite() {
	case $1 in
	unit) sh tests/unit/run.sh ;;
	http) python3 tests/http/run.py ;;
	cli) python3 tests/cli/run.py ;;
	faults) python3 tests/faults/run.py ;;
	tls) python3 tests/tls/run.py ;;
	system) python3 tests/system/run.py ;;
	clients) node tests/clients/run.mjs ;;
	e2e) e2e ;;
	lint) sh tests/lint/run.sh ;;
	build) sh tests/build/run.sh ;;
	asan-http) sanitized python3 tests/http/run.py ;;
	asan-cli) sanitized python3 tests/cli/run.py ;;
	asan-faults) sanitized python3 tests/faults/run.py ;;
	asan-tls) sanitized python3 tests/tls/run.py ;;
	*) echo "no such suite: $1" && return 1 ;;
	esac
}

# A suite runs in a process of its own, so that a limit can be put on it.
if [ "${1:-}" = --one ]; then
	use_node
	suite "$2"
	exit
fi

run_suite() {
	name=$1
	log=$logs/test-$name.log
	start=$(date +%s)
	timeout -k 10 "$limit" tests/run.sh --one "$name" > "$log" 2>&1 < /dev/null
	status=$?
	took=$(($(date +%s) - start))
	line=$(grep -v '^[[:space:]]*$' "$log" | tail -n 1)
	if echo "$line" | grep -Eq '^[0-9]+ passed, [0-9]+ failed$'; then
		p=${line%% *}
		f=${line#*, }
		f=${f%% *}
	else
		p=0
		f=0
		[ $status -ne 0 ] || status=1
		echo "(no line 'N passed, N failed' at the end)" >> "$log"
	fi
	[ $status -ne 124 ] || echo "(stopped: it took longer than $limit s)" >> "$log"
	if [ "$f" -eq 0 ] && { [ $status -ne 0 ] || [ "$p" -eq 0 ]; }; then
		f=1
	fi
	printf '  %-12s %5d passed, %d failed  (%d s)\n' "$name" "$p" "$f" "$took"
	if [ "$f" -gt 0 ]; then
		tail -n 60 "$log" | sed 's/^/    | /'
		echo "    all of it: $log"
	fi
	passed=$((passed + p))
	failed=$((failed + f))
}

set -- "${@:-$all}"
mkdir -p "$logs"
# shellcheck disable=SC2048,SC2086 # names of suites hold no blanks; the default is one string of them
for name in $*; do
	if [ "$name" = e2e ] && [ "${OLLACHAT_NO_BROWSER:-}" = 1 ]; then
		echo "  e2e          NOT RUN: OLLACHAT_NO_BROWSER=1. The page was NOT tested in a browser."
		continue
	fi
	run_suite "$name"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
