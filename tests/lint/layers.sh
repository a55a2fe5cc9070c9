#!/bin/sh
# SPDX-License-Identifier: MIT
# layers.sh: who may include whom. Names every offence; fails if there is one.
set -u
cd "$(dirname "$0")/../.." || exit 2
edges=$(mktemp) || exit 2
trap 'rm -f "$edges"' EXIT

# shellcheck disable=SC2016 # awk's, not the shell's
find src -name '*.[ch]' | LC_ALL=C sort | xargs awk -v edges="$edges" '
BEGIN {
	may["base"]  = " base "
	may["proto"] = " base proto "
	may["io"]    = " base io "
	may["app"]   = " base proto io app "
	may["main"]  = " base app "
	plain = " stdbool.h stddef.h stdint.h inttypes.h limits.h errno.h string.h stdarg.h assert.h "
	owner["jsmn.h"] = "src/proto/json.c"
	owner["bearssl.h"] = "src/io/tls_parts.h src/io/cert.c src/io/cert_make.c src/proto/digest.c"
	owner["io/cert_parts.h"] = "src/io/cert.c src/io/cert_make.c"
	owner["io/tls_parts.h"] = "src/io/stream_tls.c src/io/tls_creds.c"
}
function bad(why) { print FILENAME ":" FNR ": " why; n++ }
/^[ \t]*#[ \t]*include[ \t]*[<"]/ {
	split(FILENAME, p, "/"); layer = p[2] == "main.c" ? "main" : p[2]
	name = $0; sub(/^[^<"]*[<"]/, "", name); sub(/[>"].*/, "", name)
	if ($0 ~ /include[ \t]*</) {
		if (layer != "io" && !index(plain, " " name " ")) bad("<" name "> belongs in io/")
	} else if (name in owner) {
		if (!index(" " owner[name] " ", " " FILENAME " ")) bad(name " belongs in " owner[name])
	} else {
		split(name, q, "/")
		if (!index(may[layer], " " q[1] " ")) bad(layer " does not know " name)
		if (FILENAME ~ /\.h$/) print substr(FILENAME, 5), name > edges
	}
}
END { exit n > 0 }'
rc=$?
tsort "$edges" > /dev/null || rc=1 # tsort names a cycle of headers
exit $rc
