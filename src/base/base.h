/* SPDX-License-Identifier: MIT */
/* base.h: the few words every layer shares: borrowed bytes, results of parsers, small helpers.
 * Header only; no state, no system calls. */
#ifndef BASE_BASE_H
#define BASE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Borrowed bytes: never owned, never NUL-ended. Good as long as what they were cut from. */
struct slice {
	const char *p;
	size_t n;
};

/* What a parser says. DONE: the thing is whole; MORE: feed more bytes; BAD: refuse (the parser's
 * struct says how). */
enum parse { PARSE_DONE, PARSE_MORE, PARSE_BAD };

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)    ((a) < (b) ? (a) : (b))
#define MAX(a, b)    ((a) > (b) ? (a) : (b))

/* A slice of a string literal, also usable in a static initialiser. */
#define SLICE_INIT(lit)                                                                            \
	{                                                                                          \
		(lit), sizeof(lit) - 1                                                             \
	}
#define SLICE(lit) ((struct slice){ (lit), sizeof(lit) - 1 })

static inline struct slice slice_make(const char *p, size_t n)
{
	struct slice s = { p, n };

	return s;
}

static inline struct slice slice_str(const char *s)
{
	return slice_make(s ? s : "", s ? strlen(s) : 0);
}

static inline bool slice_eq(struct slice a, struct slice b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline char ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

/* Equal but for ASCII case, as field names and coding names compare (RFC 9110, 5.1). */
static inline bool slice_eq_nocase(struct slice a, struct slice b)
{
	size_t i;

	if (a.n != b.n)
		return false;
	for (i = 0; i < a.n; i++)
		if (ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
			return false;
	return true;
}

static inline bool slice_starts(struct slice s, struct slice prefix)
{
	return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

/* Copies the bytes to `to`, which has room; says where they end. */
static inline char *slice_copy_to(char *to, struct slice s)
{
	if (s.n > 0)
		memcpy(to, s.p, s.n);
	return to + s.n;
}

/* The rest after the first n bytes (n <= s.n). */
static inline struct slice slice_from(struct slice s, size_t n)
{
	return slice_make(s.p + n, s.n - n);
}

#endif
