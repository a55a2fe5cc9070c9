/* SPDX-License-Identifier: MIT */
/* utf8.h: strict UTF-8 (RFC 3629; Unicode, table 3-7), one character at a time. Header only. */
#ifndef PROTO_UTF8_H
#define PROTO_UTF8_H

#include "base/base.h"

static inline bool utf8_is_tail(const char *p)
{
	return ((unsigned char)*p & 0xc0) == 0x80;
}

/* Length of the character that begins at p, 1 to 4; 0 when there is no valid one in the n (> 0)
 * bytes: overlong, a surrogate, above U+10FFFF, cut short or a stray byte. */
static inline size_t utf8_len(const char *p, size_t n)
{
	unsigned char a = (unsigned char)p[0], b;

	if (a < 0x80)
		return 1;
	if (a < 0xc2 || a > 0xf4 || n < 2 || !utf8_is_tail(p + 1))
		return 0;
	if (a < 0xe0)
		return 2;
	b = (unsigned char)p[1];
	if (n < 3 || !utf8_is_tail(p + 2))
		return 0;
	if (a < 0xf0)
		return (a == 0xe0 && b < 0xa0) || (a == 0xed && b > 0x9f) ? 0 : 3;
	if (n < 4 || !utf8_is_tail(p + 3))
		return 0;
	return (a == 0xf0 && b < 0x90) || (a == 0xf4 && b > 0x8f) ? 0 : 4;
}

/* The character of a valid sequence of that length. */
static inline uint32_t utf8_get(const char *p, size_t len)
{
	const unsigned char *s = (const unsigned char *)p;

	switch (len) {
	case 1:
		return s[0];
	case 2:
		return (s[0] & 0x1fu) << 6 | (s[1] & 0x3fu);
	case 3:
		return (s[0] & 0x0fu) << 12 | (s[1] & 0x3fu) << 6 | (s[2] & 0x3fu);
	default:
		return (s[0] & 0x07u) << 18 | (s[1] & 0x3fu) << 12 | (s[2] & 0x3fu) << 6 |
		       (s[3] & 0x3fu);
	}
}

/* Writes a character (no surrogate, at most U+10FFFF) to p, room for 4; its length. */
static inline size_t utf8_put(char *p, uint32_t c)
{
	if (c < 0x80) {
		p[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		p[0] = (char)(0xc0 | c >> 6);
		p[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		p[0] = (char)(0xe0 | c >> 12);
		p[1] = (char)(0x80 | (c >> 6 & 0x3f));
		p[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	p[0] = (char)(0xf0 | c >> 18);
	p[1] = (char)(0x80 | (c >> 12 & 0x3f));
	p[2] = (char)(0x80 | (c >> 6 & 0x3f));
	p[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

#endif
