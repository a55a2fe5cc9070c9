#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh: every lint script is one check.
set -u
cd "$(dirname "$0")/../.." || exit 2
passed=0
failed=0

check() {
	if out=$(sh "$@" 2>&1); then
		passed=$((passed + 1))
		[ -z "$out" ] || echo "$out"
	else
		failed=$((failed + 1))
		echo "$1 says:"
		echo "$out" | sed 's/^/  /'
	fi
}

check tests/lint/layers.sh
check tests/lint/objects.sh "${RELEASE_DIR:-build/release}"
check tests/lint/format.sh
check tests/lint/shell.sh
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
