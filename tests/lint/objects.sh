#!/bin/sh
# SPDX-License-Identifier: MIT
# objects.sh BUILD: what the linker sees must agree with the layers. For release objects; sanitizers add calls of their own.
#
# An object of base/ may call what base/ defines, one of proto/ what base/ and proto/ define; beyond that only memory and
# string functions, and what a compiler puts in by itself. digest.c, and it alone, may call BearSSL. And no object
# has a variable that outlives a call.
set -u
cd "$(dirname "$0")/../.." || exit 2
build=${1:-build/release}
libc='^(mem(cpy|move|set|cmp|chr|rchr|mem)|str(n?len|n?cmp|chr))$'
compiler='^(_GLOBAL_OFFSET_TABLE_|__stack_chk_(fail|guard)|__assert_fail|__(u?div|u?mod|u?mul|ash[lr]|lshr|clz|ctz|popcount|bswap)[a-z]*[0-9])$'
rc=0

calls() { # calls OBJECT DEFINING-OBJECT...: undefined names that none of the others defines
	object=$1
	shift
	{
		nm --defined-only -g "$@" | awk 'NF == 3 { print "d", $3 }'
		nm -u "$object" | awk '{ print "u", $NF }'
	} | awk '$1 == "d" { have[$2] = 1 } $1 == "u" && !($2 in have) { print $2 }' | grep -Ev "$libc" | grep -Ev "$compiler"
}

base=$(find "$build/base" -name '*.o' | LC_ALL=C sort)
proto=$(find "$build/proto" -name '*.o' | LC_ALL=C sort)
if [ -z "$base" ] || [ -z "$proto" ]; then
	echo "no objects in $build: run make first"
	exit 1
fi
# shellcheck disable=SC2086 # lists of names
for o in $base $proto; do
	case $o in
	"$build"/base/*) found=$(calls "$o" $base) ;;
	*/digest.o) found=$(calls "$o" $base $proto | grep -v '^br_') ;;
	*) found=$(calls "$o" $base $proto) ;;
	esac
	for name in $found; do
		echo "$o: calls $name"
		rc=1
	done
done

globals=$(find "$build/base" "$build/proto" "$build/io" "$build/app" "$build/main.o" -name '*.o' | LC_ALL=C sort |
	while read -r o; do
		objdump -t "$o" | awk -v o="$o" '{ for (i = 2; i < NF; i++)
			if ($i ~ /^\.t?(data|bss)/ && $i !~ /rel\.ro/ && $NF !~ /^\./) print o ": mutable global " $NF }'
	done)
[ -z "$globals" ] || {
	echo "$globals"
	rc=1
}
exit $rc
