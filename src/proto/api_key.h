/* SPDX-License-Identifier: MIT */
/* api_key.h: files of API keys, and the key in an Authorization field. */
#ifndef PROTO_API_KEY_H
#define PROTO_API_KEY_H

#include "proto/digest.h"

enum {
	API_KEYS_MAX = 1024,
	API_KEY_MAX = 512, /* bytes of one key, at least 1 */
	API_KEY_FILE_MAX = 1024 * 1024,
};

/* A file's text: one key a line, of visible ASCII characters; blanks around it, empty lines and
 * lines that begin with # do not count. Returns how many digests of keys are in `out`, at least 1; 0:
 * *why says in a few words what is wrong, with line *line (0: with the whole). */
unsigned api_keys_parse(struct slice text, struct digest out[API_KEYS_MAX], unsigned *line,
			const char **why);

/* The key in "Bearer KEY"; the scheme's case does not matter (RFC 9110, 11.1). False: it is of
 * another scheme, or there is none. The key is not judged, and may be empty. */
bool api_key_bearer(struct slice authorization, struct slice *key);

#endif
