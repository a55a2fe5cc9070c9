#!/bin/sh
# SPDX-License-Identifier: MIT
# verify.sh BIN PAGE_BYTES: is BIN the static, hardened, small program we promise? Says every reason why not.
set -eu
bin=$1
page=$2
limit=500 # KB, for the program and for the page
rc=0

bad() {
	printf '%s: %s\n' "$bin" "$*" >&2
	rc=1
}

[ -f "$bin" ] || { bad "is not there"; exit 1; }
head=$(readelf -hW "$bin")
segments=$(readelf -lW "$bin")
dynamic=$(readelf -dW "$bin")

# has WHAT TEXT: does a line of TEXT match?
has() {
	printf '%s\n' "$2" | grep -Eq "$1"
}

has 'Type: +DYN' "$head" || bad "is not position independent (ET_DYN)"
has '^ +INTERP' "$segments" && bad "asks for a dynamic linker (PT_INTERP)"
has '\(NEEDED\)' "$dynamic" && bad "needs shared libraries (DT_NEEDED)"
has '\(TEXTREL\)' "$dynamic" && bad "relocates its code (DT_TEXTREL)"
has '^ +GNU_RELRO' "$segments" || bad "has no RELRO segment"
has 'BIND_NOW|FLAGS_1.*NOW' "$dynamic" || bad "does not bind at start (-z now)"
has '^ +GNU_STACK .* RW +0x' "$segments" || bad "may have an executable stack"
has '^ +LOAD .* RWE' "$segments" && bad "has a segment both writable and executable"
grep -aq 'GLIBC_[0-9P]' "$bin" && bad "holds glibc symbols"
readelf -SW "$bin" | grep -Eq ' \.(symtab|debug_info) ' && bad "is not stripped"
readelf -SW "$bin" | grep -q ' \.gnu_debuglink ' || bad "does not name its debug symbols"

kb() {
	echo $((($1 + 999) / 1000))
}
size=$(wc -c < "$bin")
program=$((size - page))
echo "program $(kb "$program") KB (limit $limit), page $(kb "$page") KB (limit $limit)"
[ "$program" -gt 0 ] || bad "does not hold the page"
[ "$program" -le $((limit * 1000)) ] || bad "the program is over its limit"
[ "$page" -le $((limit * 1000)) ] || bad "the page is over its limit"
exit $rc
