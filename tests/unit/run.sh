#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh: runs every unit test program, then replays each fuzz target's corpus and kept crashes (a file is a case).
set -u
cd "$(dirname "$0")/../.." || exit 2
dir=${UNIT_DIR:-build/asan/unit}
passed=0
failed=0
log=$(mktemp) || exit 2
trap 'rm -f "$log"' EXIT

for source in tests/unit/test_*.c; do
	[ -e "$source" ] || continue
	name=$(basename "$source" .c)
	if timeout 120 "$dir/$name" > "$log" 2>&1; then status=0; else status=$?; fi
	line=$(tail -n 1 "$log")
	p=0
	f=0
	if echo "$line" | grep -Eq '^[0-9]+ passed, [0-9]+ failed$'; then
		p=${line%% *}
		f=${line#*, }
		f=${f%% *}
	elif [ $status -eq 0 ]; then
		status='no count'
	fi
	if [ "$f" -eq 0 ] && [ "$status" != 0 ]; then
		f=1
	fi
	if [ "$f" -gt 0 ]; then
		echo "$name: $p passed, $f failed (exit: $status)"
		tail -n 40 "$log" | sed 's/^/  /'
	fi
	passed=$((passed + p))
	failed=$((failed + f))
done

for source in tests/fuzz/fuzz_*.c; do
	[ -e "$source" ] || continue
	name=$(basename "$source" .c)
	name=${name#fuzz_}
	set --
	for file in tests/fuzz/corpus/"$name"/* tests/fuzz/crash/"$name"-*; do
		[ -f "$file" ] && set -- "$@" "$file"
	done
	if [ $# -eq 0 ]; then
		echo "fuzz_$name: no seed in tests/fuzz/corpus/$name"
		failed=$((failed + 1))
	elif timeout 120 "build/fuzz/fuzz_$name" -runs=0 -timeout=10 "$@" > "$log" 2>&1; then
		passed=$((passed + $#))
	else
		echo "fuzz_$name: the replay failed"
		tail -n 40 "$log" | sed 's/^/  /'
		failed=$((failed + 1))
	fi
done

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
