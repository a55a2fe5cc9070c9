#!/bin/sh
# SPDX-License-Identifier: MIT
# format.sh: our C looks as src/.clang-format says. Names the files that do not; `make format` puts them right.
set -u
cd "$(dirname "$0")/../.." || exit 2
command -v clang-format > /dev/null || {
	echo "clang-format is needed"
	exit 1
}
said=$(find src tests -name '*.[ch]' | LC_ALL=C sort | xargs clang-format --style=file:src/.clang-format --dry-run 2>&1)
[ -z "$said" ] || {
	echo "$said" | sed -n 's/^\([^: ]*\):.*\[-Wclang-format-violations\]$/\1: run make format/p' | uniq
	echo "$said" | grep -E -m 3 '^(Error|YAML)' # its own troubles
	exit 1
}
