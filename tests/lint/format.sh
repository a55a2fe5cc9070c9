#!/bin/sh
# SPDX-License-Identifier: MIT
# format.sh: our C looks as src/.clang-format says. Names the files that do not; `make format` puts them right.
set -u
cd "$(dirname "$0")/../.." || exit 2
command -v clang-format > /dev/null || {
	echo "clang-format is needed"
	exit 1
}
# Other versions lay out the same style in other ways: only the one the tree was formatted with can judge.
version=$(clang-format --version | sed -n 's/.*version \([0-9]*\).*/\1/p')
if [ "$version" != 14 ]; then
	echo "NOT JUDGED: the tree is formatted with clang-format 14, and this is $version"
	exit 0
fi
said=$(find src tests -name '*.[ch]' | LC_ALL=C sort | xargs clang-format --style=file:src/.clang-format --dry-run 2>&1)
[ -z "$said" ] || {
	echo "$said" | sed -n 's/^\([^: ]*\):.*\[-Wclang-format-violations\]$/\1: run make format/p' | uniq
	echo "$said" | grep -E -m 3 '^(Error|YAML)' # its own troubles
	exit 1
}
