/* SPDX-License-Identifier: MIT */
/* api_key.c: reads files of API keys and Authorization fields. */
#include "proto/api_key.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static struct slice trim(struct slice s)
{
	while (s.n > 0 && is_blank(s.p[0]))
		s = slice_from(s, 1);
	while (s.n > 0 && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

/* What is wrong with a key; NULL: nothing. Never says any of it. */
static const char *key_fault(struct slice key)
{
	size_t i;

	if (key.n > API_KEY_MAX)
		return "the key is longer than 512 bytes";
	for (i = 0; i < key.n; i++) {
		if (is_blank(key.p[i]))
			return "the key has a blank in it";
		if (key.p[i] <= ' ' || key.p[i] >= 0x7f)
			return "the key has a character that is not visible ASCII";
	}
	return NULL;
}

unsigned api_keys_parse(struct slice text, struct digest out[API_KEYS_MAX], unsigned *line,
			const char **why)
{
	unsigned count = 0;

	for (*line = 1; text.n > 0; ++*line) {
		const char *end = memchr(text.p, '\n', text.n);
		size_t n = end != NULL ? (size_t)(end - text.p) : text.n;
		struct slice key = trim(slice_make(text.p, n));

		text = slice_from(text, MIN(n + 1, text.n));
		if (key.n == 0 || key.p[0] == '#')
			continue;
		*why = count == API_KEYS_MAX ? "there are more than 1024 keys" : key_fault(key);
		if (*why != NULL)
			return 0;
		out[count++] = digest_sha256(key);
	}
	*line = 0;
	*why = "there is no key in it";
	return count;
}

bool api_key_bearer(struct slice authorization, struct slice *key)
{
	static const struct slice scheme = SLICE_INIT("Bearer");
	struct slice s = authorization;

	if (s.n < scheme.n || !slice_eq_nocase(slice_make(s.p, scheme.n), scheme))
		return false;
	s = slice_from(s, scheme.n);
	if (s.n > 0 && !is_blank(s.p[0]))
		return false;
	*key = trim(s);
	return true;
}
