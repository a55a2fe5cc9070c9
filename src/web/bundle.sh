#!/bin/sh
# SPDX-License-Identifier: MIT
# bundle.sh OUTDIR: makes the files to serve from the page's sources. Needs vendor/web/node_modules (npm ci); no Node.
set -eu
LC_ALL=C
export LC_ALL

die() {
	printf 'bundle.sh: %s\n' "$*" >&2
	exit 1
}

[ $# -eq 1 ] || { echo "usage: bundle.sh OUTDIR" >&2; exit 2; }
mkdir -p "$1"
out=$(cd "$1" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
vendor=$here/../../vendor/web/node_modules

case $(uname -m) in
x86_64 | amd64) esbuild=$vendor/@esbuild/linux-x64/bin/esbuild ;;
aarch64 | arm64) esbuild=$vendor/@esbuild/linux-arm64/bin/esbuild ;;
*) die "no esbuild for $(uname -m)" ;;
esac
[ -f "$esbuild" ] || die "$esbuild is not there: run npm ci --ignore-scripts in vendor/web"
[ -x "$esbuild" ] || chmod +x "$esbuild"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' INT TERM HUP
cd "$here"

# bundle ENTRY FILE OPTION...: one entry point to one file
bundle() {
	entry=$1
	file=$2
	shift 2
	# Private members are younger than ES2020, but every browser that has <dialog> and inert has them.
	NODE_PATH=$vendor "$esbuild" "$entry" --bundle --minify --target=es2020 --supported:class-field=true \
		--supported:class-private-field=true --supported:class-private-method=true --supported:class-private-accessor=true \
		--charset=utf8 --legal-comments=none --log-level=warning --outfile="$tmp/$file" "$@"
}

# publish FILE TOKEN: moves it to assets/ under a name with its hash, and puts that name in place of @TOKEN@
publish() {
	hash=$(sha256sum "$tmp/$1" | cut -c 1-12)
	name=assets/${1%.*}-$hash.${1##*.}
	mv "$tmp/$1" "$out/$name"
	echo "s|@$2@|/$name|g" >> "$tmp/names.sed"
}

# name_in FILE: fills in the names published so far
name_in() {
	sed -f "$tmp/names.sed" "$1"
}

rm -rf "$out/assets" "$out/index.html"
mkdir "$out/assets"

bundle theme.js theme.js --format=iife
bundle main.js main.js --format=esm
bundle styles/main.css style.css
cp logo.svg "$tmp/logo.svg"
{
	for library in marked highlight.js; do
		printf '%s\n\n' "$library" | tr '[:lower:]' '[:upper:]'
		cat "$vendor/$library/LICENSE"
		printf '\n\n'
	done
} > "$tmp/licences.txt"

publish theme.js THEME
publish main.js MAIN
publish style.css STYLE
publish logo.svg LOGO
publish licences.txt LICENCES
name_in manifest.webmanifest > "$tmp/manifest.webmanifest"
publish manifest.webmanifest MANIFEST
name_in index.html > "$out/index.html"
if grep -n '@[A-Z]*@' "$out/index.html"; then die "a name above was not filled in"; fi
