#!/bin/sh
# SPDX-License-Identifier: MIT
# fetch.sh [SET...]: brings third-party sources into git-ignored folders; sets: src web test node browser
# (default: src web). OLLACHAT_ETC=/etc is where the machine's apt sources are read.
# What is there already, and is what the lock says, is left alone: a filled folder works offline.
set -eu

cd "$(dirname "$0")"
cache=$PWD/cache
etc=${OLLACHAT_ETC:-/etc}
tmp=

die() {
	printf 'vendor/fetch.sh: %s\n' "$*" >&2
	exit 1
}

cleanup() {
	[ -z "$tmp" ] || rm -rf "$tmp"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

sha256() {
	sha256sum "$1" | cut -d ' ' -f 1
}

# --- src: C sources from the distribution's source packages -------------------------------------------------

os_release() {
	sed -n "s/^$1=//p" "$etc/os-release" | tr -d "\"'"
}

# Writes deb-src twins of the machine's own binary sources into $1. Only the release's main suite is needed;
# a third party's entry that looks alike does no harm, for the bytes are judged by their hash. One-line entries come
# first, as in /etc/apt: where both kinds name an archive, apt takes a later Signed-By, but not the lack of one.
derive_sources() {
	codename=$(os_release VERSION_CODENAME)
	distro=$(os_release ID)
	[ -n "$codename" ] || die "$etc/os-release names no VERSION_CODENAME: is this Debian or Ubuntu?"
	case $distro in
	ubuntu) wanted='main universe' ;;
	*) wanted=main ;;
	esac

	for list in "$etc/apt/sources.list" "$etc"/apt/sources.list.d/*.list; do
		[ -r "$list" ] && cat "$list" && echo
	done | awk -v codename="$codename" -v wanted="$wanted" '
		$1 == "deb" {
			sub(/#.*/, ""); $1 = "deb-src"; i = 2; options = ""
			if ($2 ~ /^\[/) {
				for (; i <= NF; i++) {
					options = options " " $i
					if ($i ~ /\]$/) { i++; break }
				}
			}
			if ($(i + 1) != codename) next
			for (c = i + 2; c <= NF; c++) if ($c == "main") break
			line = "deb-src" options " " $i " " codename " " wanted
			if (c <= NF && !seen[line]++) print line
		}' > "$1/0-from-list.list"

	for list in "$etc"/apt/sources.list.d/*.sources; do
		[ -r "$list" ] && cat "$list" && echo
	done | awk -v codename="$codename" -v wanted="$wanted" '
		function has(words, word) { return index(" " words " ", " " word " ") }
		function flush() {
			if (has(f["types"], "deb") && has(f["suites"], codename) && has(f["components"], "main") \
			    && tolower(f["enabled"]) != "no")
				printf "Types: deb-src\nSuites: %s\nComponents: %s\n%s\n", codename, wanted, kept
			kept = ""; split("", f)
		}
		/^#/ { next }
		/^[ \t]*$/ { flush(); next }
		/^[ \t]/ { if (keep) kept = kept $0 "\n"; else f[key] = f[key] " " $0; next }
		{
			key = tolower($0); sub(/[ \t]*:.*/, "", key)
			value = $0; sub(/^[^:]*:[ \t]*/, "", value); gsub(/[ \t]+/, " ", value)
			f[key] = value
			keep = key != "types" && key != "suites" && key != "components" && key != "enabled" && key != "architectures"
			if (keep) kept = kept $0 "\n"
		}
		END { flush() }' > "$1/1-from-deb822.sources"

	[ -s "$1/0-from-list.list" ] || rm "$1/0-from-list.list"
	[ -s "$1/1-from-deb822.sources" ] || rm "$1/1-from-deb822.sources"
	[ -n "$(ls "$1")" ] || die "no apt source of $distro $codename found to take source packages from"
}

# Puts the original tarballs of the packages named into the folder $tmp/get, by an apt with lists and cache of its
# own: the machine's configuration is read (proxies, keys), its state is not touched.
apt_download() {
	command -v apt-get > /dev/null || die "apt-get is needed to fetch $*"
	tmp=$(mktemp -d)
	mkdir -p "$tmp/sources" "$tmp/lists/partial" "$tmp/cache/archives/partial" "$tmp/get"
	chmod 755 "$tmp"
	# apt, when root, downloads as _apt
	chown _apt "$tmp/lists/partial" "$tmp/cache/archives/partial" "$tmp/get" 2> /dev/null || true
	derive_sources "$tmp/sources"
	cat > "$tmp/apt.conf" <<-EOF
		Dir::Etc::sourcelist "/dev/null";
		Dir::Etc::sourceparts "$tmp/sources";
		Dir::State::lists "$tmp/lists";
		Dir::Cache "$tmp/cache";
		Acquire::Languages "none";
		Acquire::Retries "3";
		#clear APT::Update::Pre-Invoke;
		#clear APT::Update::Post-Invoke;
		#clear APT::Update::Post-Invoke-Success;
	EOF
	# One source that fails is no harm while another has the packages.
	apt-get -c "$tmp/apt.conf" -qq update > "$tmp/log" 2>&1 || true
	if ! (cd "$tmp/get" && apt-get -c "$tmp/apt.conf" -qq source --tar-only --download-only "$@") >> "$tmp/log" 2>&1; then
		tail -n 20 "$tmp/log" >&2
		die "apt could not fetch the source packages $*; the files named in vendor/lock may also be put into vendor/cache/tar by hand"
	fi
}

fetch_src() {
	mkdir -p "$cache/tar"
	missing=
	while read -r name version hash licence file; do
		case $name in '' | '#'*) continue ;; esac
		[ "$(cat "$cache/$name/.sha256" 2> /dev/null)" = "$hash" ] && continue
		[ -f "$cache/tar/$file" ] && [ "$(sha256 "$cache/tar/$file")" = "$hash" ] && continue
		missing="$missing $name"
	done < lock
	# shellcheck disable=SC2086 # a list of package names
	[ -z "$missing" ] || apt_download $missing

	while read -r name version hash licence file; do
		case $name in '' | '#'*) continue ;; esac
		[ "$(cat "$cache/$name/.sha256" 2> /dev/null)" = "$hash" ] && continue
		tar=$cache/tar/$file
		if [ -n "$tmp" ] && [ -f "$tmp/get/$file" ]; then
			cp "$tmp/get/$file" "$tar.new"
			mv "$tar.new" "$tar"
		fi
		[ -f "$tar" ] || die "$name: the archive has no file $file ($version), but: $(cd "${tmp:-/nowhere}/get" 2> /dev/null && echo ./*)"
		got=$(sha256 "$tar")
		if [ "$got" != "$hash" ]; then
			mv "$tar" "$tar.refused"
			die "$file REFUSED: its SHA-256 is $got, vendor/lock wants $hash (kept as vendor/cache/tar/$file.refused)"
		fi
		rm -rf "${cache:?}/$name" "$cache/$name.new"
		mkdir "$cache/$name.new"
		tar -xf "$tar" -C "$cache/$name.new" --strip-components=1 --no-same-owner
		echo "$hash" > "$cache/$name.new/.sha256"
		mv "$cache/$name.new" "$cache/$name"
		echo "fetched $name $version ($licence)"
	done < lock
}

# --- npm sets ------------------------------------------------------------------------------------------------

# npm checks every file against the lock's SHA-512; scripts of packages are never run.
fetch_npm() {
	set=$1
	hash=$(sha256 "$set/package-lock.json")
	[ "$(cat "$set/node_modules/.lock-sha256" 2> /dev/null)" = "$hash" ] && return
	command -v npm > /dev/null || die "npm is needed to fetch vendor/$set"
	(cd "$set" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error > /dev/null) ||
		die "npm ci failed in vendor/$set"
	mkdir -p "$set/node_modules"
	echo "$hash" > "$set/node_modules/.lock-sha256"
	echo "fetched vendor/$set"
}

# The npm package holds Chromium as brotli files made for another place; laid out here, with a starter, it is an
# ordinary executable: vendor/cache/browser/chromium.
fetch_browser() {
	hash=$(sha256 browser/package-lock.json)
	[ "$(cat "$cache/browser/.lock-sha256" 2> /dev/null)" = "$hash" ] && return
	[ "$(uname -m)" = x86_64 ] || die "no packaged Chromium for $(uname -m): install one and put it in PATH as chromium"
	fetch_npm browser
	from=browser/node_modules/@sparticuz/chromium/bin
	new=$cache/browser.new
	rm -rf "$new"
	mkdir -p "$new"
	brotli -d -c "$from/chromium.br" > "$new/chromium-bin"
	for part in al2023 swiftshader fonts; do
		brotli -d -c "$from/$part.tar.br" | tar -x -C "$new" --no-same-owner
	done
	cat > "$new/fonts.conf" <<-'EOF'
		<?xml version="1.0"?>
		<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
		<fontconfig>
		<dir prefix="relative">fonts</dir>
		<dir>/usr/share/fonts</dir>
		<cachedir prefix="relative">fonts-cache</cachedir>
		</fontconfig>
	EOF
	cat > "$new/chromium" <<-'EOF'
		#!/bin/sh
		here=$(dirname "$(readlink -f "$0")")
		LD_LIBRARY_PATH=$here/lib FONTCONFIG_FILE=$here/fonts.conf exec "$here/chromium-bin" "$@"
	EOF
	chmod 755 "$new/chromium" "$new/chromium-bin"
	echo "$hash" > "$new/.lock-sha256"
	rm -rf "$cache/browser" browser/node_modules
	mv "$new" "$cache/browser"
}

[ $# -gt 0 ] || set -- src web
for want; do
	case $want in
	src) fetch_src ;;
	web | test | node) fetch_npm "$want" ;;
	browser) fetch_browser ;;
	*) die "unknown set '$want' (src web test node browser)" ;;
	esac
done
