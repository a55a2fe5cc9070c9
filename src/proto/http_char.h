/* SPDX-License-Identifier: MIT */
/* http_char.h: the byte classes of HTTP/1.x (RFC 9110, 5.5 and 5.6), for heads, chunk lines,
 * trailers and targets alike. Header only. */
#ifndef PROTO_HTTP_CHAR_H
#define PROTO_HTTP_CHAR_H

#include "base/base.h"

/* tchar (RFC 9110, 5.6.2): letters, digits and !#$%&'*+-.^_`|~ */
static inline bool http_is_tchar(char c)
{
	static const uint32_t set[8] = { 0, 0x03ff6cfa, 0xc7fffffe, 0x57ffffff };
	unsigned char u = (unsigned char)c;

	return set[u >> 5] >> (u & 31) & 1;
}

/* What a field value may hold (RFC 9110, 5.5): HTAB, SP, VCHAR, obs-text. */
static inline bool http_is_text(char c)
{
	unsigned char u = (unsigned char)c;

	return u == '\t' || (u >= 0x20 && u != 0x7f);
}

/* What a request target may hold: visible ASCII without '#' (RFC 9112, 3.2: no form of it has a
 * fragment). What the bytes mean is for uri.c. */
static inline bool http_is_target(char c)
{
	return c > 0x20 && c < 0x7f && c != '#';
}

static inline bool http_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline bool http_is_space(char c) /* OWS and BWS (RFC 9110, 5.6.3) */
{
	return c == ' ' || c == '\t';
}

/* The value without white space around it. */
static inline struct slice http_trim(struct slice s)
{
	while (s.n > 0 && http_is_space(s.p[0]))
		s = slice_from(s, 1);
	while (s.n > 0 && http_is_space(s.p[s.n - 1]))
		s.n--;
	return s;
}

static inline int http_hex_value(char c) /* -1: no hex digit */
{
	if (http_is_digit(c))
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

#endif
