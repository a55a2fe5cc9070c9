#!/bin/sh
# SPDX-License-Identifier: MIT
# embed.sh FILESDIR OUTDIR: makes OUTDIR/assets.c (interface: src/app/assets.h) and OUTDIR/embed/, the bytes it
# includes, from the files under FILESDIR. Compile with -Wa,-IOUTDIR. Prints how many bytes were embedded.
set -eu
LC_ALL=C
export LC_ALL

[ $# -eq 2 ] || { echo "usage: embed.sh FILESDIR OUTDIR" >&2; exit 2; }
files=$1
out=$2
c=$out/assets.c.new

die() {
	printf 'embed.sh: %s\n' "$*" >&2
	exit 1
}

type_of() {
	case $1 in
	*.html) echo 'text/html; charset=utf-8' ;;
	*.js) echo 'text/javascript; charset=utf-8' ;;
	*.css) echo 'text/css; charset=utf-8' ;;
	*.txt) echo 'text/plain; charset=utf-8' ;;
	*.json) echo 'application/json' ;;
	*.webmanifest) echo 'application/manifest+json' ;;
	*.svg) echo 'image/svg+xml' ;;
	*.png) echo 'image/png' ;;
	*.ico) echo 'image/x-icon' ;;
	*.woff2) echo 'font/woff2' ;;
	*) die "no media type known for $1" ;;
	esac
}

# A bundler's hash is 8 or more capitals and digits, or hex, before the ending.
is_immutable() {
	echo "$1" | grep -Eq '^/assets/.*-([0-9A-Z]{8,}|[0-9a-f]{8,})\.[a-z0-9]+$' && echo true || echo false
}

size_of() {
	wc -c < "$1" | tr -d ' '
}

# bytes LABEL NAME: places the file OUTDIR/NAME in the image
bytes() {
	printf '__asm__(".section .rodata.assets,\\"a\\",%%progbits\\n"\n'
	printf '\t".balign 16\\n%s:\\n.incbin \\"%s\\"\\n.previous\\n");\n' "$1" "$2"
	printf 'extern const char %s[] __attribute__((visibility("hidden")));\n' "$1"
}

# coded IDENTITY CODED: keeps the coded file only when it is smaller
keep_if_smaller() {
	[ "$(size_of "$2")" -lt "$(size_of "$1")" ] || rm "$2"
}

# slice LABEL NAME: an initialiser
slice() {
	if [ -f "$out/$2" ]; then
		printf '{ %s, %s }' "$1" "$(size_of "$out/$2")"
	else
		printf '{ "", 0 }'
	fi
}

[ -f "$files/index.html" ] || die "no index.html in $files"
mkdir -p "$out"
rm -rf "$out/embed"
mkdir "$out/embed"
cp -R "$files/." "$out/embed/"
(cd "$out/embed" && find . -type f) | sed 's/^\.//' | sort > "$out/names"
if grep -Ev '^(/[A-Za-z0-9_][A-Za-z0-9._-]*)+$' "$out/names" >&2; then
	die "a name above is not plain enough for a path of the page"
fi

{
	echo '/* Written by src/web/embed.sh. */'
	echo '#include "app/assets.h"'
	echo
	i=0
	while read -r path; do
		f=$out/embed$path
		gzip -n -9 -c "$f" > "$f.gz"
		keep_if_smaller "$f" "$f.gz"
		brotli -q 11 -c "$f" > "$f.br"
		keep_if_smaller "$f" "$f.br"
		for coding in '' .gz .br; do
			[ -f "$f$coding" ] && bytes "asset_${i}$(echo "$coding" | tr . _)" "embed$path$coding"
		done
		i=$((i + 1))
	done < "$out/names"

	echo
	echo 'const struct asset assets[] = {'
	i=0
	while read -r path; do
		type=$(type_of "$path")
		etag=$(sha256sum "$out/embed$path" | cut -c 1-16)
		printf '\t{ SLICE_INIT("%s"), SLICE_INIT("%s"),\n' "$path" "$type"
		printf '\t  SLICE_INIT("\\"%s\\""), %s,\n' "$etag" "$(is_immutable "$path")"
		printf '\t  %s,\n' "$(slice "asset_$i" "embed$path")"
		printf '\t  %s,\n' "$(slice "asset_${i}_gz" "embed$path.gz")"
		printf '\t  %s },\n' "$(slice "asset_${i}_br" "embed$path.br")"
		i=$((i + 1))
	done < "$out/names"
	echo '};'
	echo "const size_t assets_count = $i;"
} > "$c"
mv "$c" "$out/assets.c"

total=$(find "$out/embed" -type f -exec cat {} + | wc -c | tr -d ' ')
echo "$total" > "$out/assets.bytes"
echo "embedded $total bytes"
