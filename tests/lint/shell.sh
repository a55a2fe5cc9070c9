#!/bin/sh
# SPDX-License-Identifier: MIT
# shell.sh: shellcheck on all shell of ours.
set -u
cd "$(dirname "$0")/../.." || exit 2
command -v shellcheck > /dev/null || {
	echo "shellcheck is needed"
	exit 1
}
{
	find . \( -path ./build -o -path ./dist -o -path ./vendor/cache -o -name node_modules -o -name .git \) -prune -o -name '*.sh' -print
	[ ! -e .ci/run ] || echo .ci/run
} | LC_ALL=C sort | xargs shellcheck
