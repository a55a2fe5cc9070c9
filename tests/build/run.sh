#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh: the build itself: what comes out, that it comes out the same elsewhere, and that the scripts refuse what
# they should. Nothing here needs a network.
set -u
cd "$(dirname "$0")/../.." || exit 2
top=$PWD
passed=0
failed=0
# beside the checkout's own build, so that big folders can be hard-linked
work=$top/build/tests-build
rm -rf "$work"
mkdir -p "$work"

ok() { # ok WHAT COMMAND...: the command must succeed
	what=$1
	shift
	if out=$("$@" 2>&1); then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAILED: $what"
		echo "$out" | tail -n 20 | sed 's/^/  /'
	fi
}

link_tree() { # a copy that costs nothing
	cp -al "$1" "$2" 2> /dev/null || cp -a "$1" "$2"
}

# --- the program --------------------------------------------------------------------------------------------

# A folder with another name and depth, by way of a symbolic link; same bytes wanted, of program and debug symbols.
build_elsewhere() {
	there=$work/a/folder/of/another/length
	mkdir -p "$there/vendor"
	cp -R Makefile src "$there/"
	cp -R vendor/lock vendor/fetch.sh "$there/vendor/"
	link_tree vendor/cache "$there/vendor/cache"
	link_tree vendor/web "$there/vendor/web"
	ln -s "$there" "$work/link"
	(cd "$work/link" && make -j"$(nproc)" all) > "$work/elsewhere.log" 2>&1 || {
		tail -n 20 "$work/elsewhere.log"
		return 1
	}
	cmp dist/ollachat "$there/dist/ollachat" && cmp dist/ollachat.debug "$there/dist/ollachat.debug"
}

role_answers() {
	"dist/$1" --version | grep -q '^ollachat'
}

no_paths_inside() {
	! grep -aqF "$top" "$1"
}

debug_is_linked() {
	readelf -p .gnu_debuglink dist/ollachat | grep -q 'ollachat\.debug' && readelf -S dist/ollachat.debug | grep -q '\.debug_info'
}

install_and_back() {
	make -s install DESTDIR="$work/root" PREFIX=/usr || return 1
	cmp dist/ollachat "$work/root/usr/bin/ollachat" || return 1
	[ "$(readlink "$work/root/usr/bin/ollachat-backend")" = ollachat ] || return 1
	[ "$(readlink "$work/root/usr/bin/ollachat-frontend")" = ollachat ] || return 1
	make -s uninstall DESTDIR="$work/root" PREFIX=/usr || return 1
	[ -z "$(find "$work/root" ! -type d)" ]
}

ok "make all" make -s all
ok "static, hardened, small" tests/build/verify.sh dist/ollachat "$(cat build/web/assets.bytes)"
ok "a second make has nothing to do" make -q all
ok "the same bytes in another folder" build_elsewhere
ok "no path of this machine in the program" no_paths_inside dist/ollachat
ok "no path of this machine in the symbols" no_paths_inside dist/ollachat.debug
ok "symbols are linked" debug_is_linked
for role in ollachat ollachat-backend ollachat-frontend; do
	ok "$role --version" role_answers "$role"
done
ok "install, uninstall" install_and_back

# --- embed.sh -------------------------------------------------------------------------------------------------

embeds() {
	in=$work/embed/in
	out=$work/embed/out
	mkdir -p "$in/assets" "$out"
	echo '<!doctype html><p>a</p><p>a</p><p>a</p><p>a</p><p>a</p><p>a</p>' > "$in/index.html"
	seq 1 500 > "$in/assets/app-AB12CD34.js"
	echo x > "$in/assets/about-us.txt"
	echo '{}' > "$in/manifest.webmanifest"
	src/web/embed.sh "$in" "$out" || return 1
	grep -o 'SLICE_INIT("/[^"]*")' "$out/assets.c" > "$work/embed/paths"
	printf 'SLICE_INIT("%s")\n' /assets/about-us.txt /assets/app-AB12CD34.js /index.html /manifest.webmanifest |
		cmp - "$work/embed/paths" || return 1
	etag=$(sha256sum "$in/index.html" | cut -c 1-16)
	grep -Fq "SLICE_INIT(\"\\\"$etag\\\"\"), false" "$out/assets.c" || { echo "etag"; return 1; }
	[ "$(grep -c '"), true,' "$out/assets.c")" = 1 ] || { echo "immutable"; return 1; }
	[ ! -e "$out/embed/manifest.webmanifest.gz" ] || { echo "a larger coding was kept"; return 1; }
	[ "$(gzip -dc "$out/embed/assets/app-AB12CD34.js.gz" | sha256sum)" = "$(seq 1 500 | sha256sum)" ] || return 1
	[ "$(brotli -dc "$out/embed/assets/app-AB12CD34.js.br" | sha256sum)" = "$(seq 1 500 | sha256sum)" ]
}

embed_refuses() {
	mkdir -p "$work/refuse/in" "$work/refuse/out"
	echo x > "$work/refuse/in/index.html"
	echo x > "$work/refuse/in/$1"
	! src/web/embed.sh "$work/refuse/in" "$work/refuse/out" && [ ! -e "$work/refuse/out/assets.c" ] && rm "$work/refuse/in/$1"
}

ok "embed.sh: table, tags, codings" embeds
ok "embed.sh refuses an unknown type" embed_refuses program.exe
ok "embed.sh refuses an odd name" embed_refuses 'odd name.html'

# --- vendor/ --------------------------------------------------------------------------------------------------

# fetch.sh beside an apt-get that only writes down what it was given and hands out a wrong file.
fake_vendor() {
	rm -rf "${work:?}/vendor" "${work:?}/bin"
	mkdir -p "$work/vendor" "$work/bin"
	cp vendor/lock vendor/fetch.sh "$work/vendor/"
	cat > "$work/bin/apt-get" <<-EOF
		#!/bin/sh
		case "\$*" in
		*" source "*) for f in bearssl_0.6+dfsg.1.orig.tar.xz jsmn_1.1.0.orig.tar.gz; do echo wrong > \$f; done ;;
		*) cp "\$(dirname "\$2")"/sources/* "$work/seen/" ;;
		esac
	EOF
	chmod +x "$work/bin/apt-get"
	rm -rf "$work/seen"
	mkdir "$work/seen"
}

fetch_refuses() {
	fake_vendor
	PATH=$work/bin:$PATH "$work/vendor/fetch.sh" src > "$work/fetch.log" 2>&1 && return 1
	grep -q 'bearssl_0.6+dfsg.1.orig.tar.xz REFUSED' "$work/fetch.log" && [ ! -e "$work/vendor/cache/bearssl" ]
}

fetch_offline() {
	fake_vendor
	mkdir "$work/vendor/cache"
	link_tree vendor/cache/tar "$work/vendor/cache/tar"
	PATH=$work/bin:$PATH "$work/vendor/fetch.sh" src && [ -f "$work/vendor/cache/jsmn/jsmn.h" ] || return 1
	rm -r "$work/vendor/cache/tar"
	PATH=$work/bin:$PATH "$work/vendor/fetch.sh" src && [ -z "$(ls "$work/seen")" ]
}

# derives ETC WANTED: the deb-src lines that fetch.sh makes of a machine's apt sources
derives() {
	fake_vendor
	PATH=$work/bin:$PATH OLLACHAT_ETC=$top/tests/build/$1 "$work/vendor/fetch.sh" src > /dev/null 2>&1
	(cd "$work/seen" && cat ./*) | diff "tests/build/$1/wanted" -
}

no_registry() {
	! grep -HnE 'resolved|https?://' vendor/*/package-lock.json
}

ok "fetch.sh refuses a wrong file" fetch_refuses
ok "fetch.sh works offline from what is there" fetch_offline
for etc in tests/build/etc-*; do
	ok "fetch.sh derives sources from $etc" derives "${etc##*/}"
done
ok "no lock file names a registry" no_registry

# --- build.sh -------------------------------------------------------------------------------------------------

# Not root, and nothing installed: one line that can be pasted.
asks_for_packages() {
	mkdir -p "$work/nobody" "$work/elsewhere"
	printf '#!/bin/sh\necho 1000\n' > "$work/nobody/id"
	printf '#!/bin/sh\nexit 1\n' > "$work/nobody/dpkg-query"
	chmod +x "$work/nobody/id" "$work/nobody/dpkg-query"
	cp build.sh "$work/elsewhere/"
	PATH=$work/nobody:$PATH "$work/elsewhere/build.sh" > "$work/asks.log" 2>&1 && return 1
	grep -q '^  sudo apt-get update && sudo apt-get install -y --no-install-recommends .*musl-tools' "$work/asks.log"
}

ok "build.sh asks for packages when not root" asks_for_packages
ok "build.sh help" ./build.sh help

rm -rf "$work"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
