/* SPDX-License-Identifier: MIT */
/* json_text.c: strings and numbers of JSON, between their spelling and their meaning. */
#include "proto/json.h"
#include "proto/utf8.h"

#define REPLACEMENT 0xfffdu

/* --- Reading: the text has passed json_check() --------------------------------------------------- */

static unsigned hex_value(char c)
{
	return c <= '9' ? (unsigned)(c - '0') : (unsigned)(ascii_lower(c) - 'a') + 10;
}

static uint32_t hex4(const char *p)
{
	return hex_value(p[0]) << 12 | hex_value(p[1]) << 8 | hex_value(p[2]) << 4 |
	       hex_value(p[3]);
}

/* RFC 8259, 7: two \u escapes in a row may be one character's surrogate pair. A surrogate without
 * its partner stands for no character; what follows it is read by itself, as in Go. */
static uint32_t read_u(struct slice *raw)
{
	uint32_t c = hex4(raw->p + 2), low;

	*raw = slice_from(*raw, 6);
	if (c < 0xd800 || c > 0xdfff)
		return c;
	if (c > 0xdbff || raw->n < 6 || raw->p[0] != '\\' || raw->p[1] != 'u')
		return REPLACEMENT;
	low = hex4(raw->p + 2);
	if (low < 0xdc00 || low > 0xdfff)
		return REPLACEMENT;
	*raw = slice_from(*raw, 6);
	return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
}

static uint32_t read_escape(struct slice *raw)
{
	static const char names[] = "bfnrt", means[] = "\b\f\n\r\t";
	char c = raw->p[1];
	unsigned i;

	if (c == 'u')
		return read_u(raw);
	*raw = slice_from(*raw, 2);
	for (i = 0; i < sizeof(names) - 1; i++)
		if (c == names[i])
			return (uint32_t)means[i];
	return (uint32_t)c; /* quote, backslash, slash */
}

bool json_raw_next(struct slice *raw, uint32_t *c)
{
	size_t n;

	if (raw->n == 0)
		return false;
	if (raw->p[0] == '\\') {
		*c = read_escape(raw);
		return true;
	}
	n = utf8_len(raw->p, raw->n);
	*c = utf8_get(raw->p, n);
	*raw = slice_from(*raw, n);
	return true;
}

static bool has_escape(struct slice raw)
{
	return raw.n > 0 && memchr(raw.p, '\\', raw.n) != NULL;
}

bool json_raw_is(struct slice raw, struct slice text)
{
	char utf8[4];
	uint32_t c;

	if (!has_escape(raw))
		return slice_eq(raw, text);
	while (json_raw_next(&raw, &c)) {
		struct slice one = { utf8, utf8_put(utf8, c) };

		if (!slice_starts(text, one))
			return false;
		text = slice_from(text, one.n);
	}
	return text.n == 0;
}

struct slice json_string_raw(struct json_value string)
{
	return slice_make(string.raw.p + 1, string.raw.n - 2);
}

bool json_string_is(struct json_value string, struct slice text)
{
	return string.type == JSON_STRING && json_raw_is(json_string_raw(string), text);
}

struct slice json_unescape(struct arena *a, struct json_value string)
{
	struct slice raw = json_string_raw(string);
	char *text, *p;
	uint32_t c;

	if (!has_escape(raw))
		return arena_copy(a, raw);
	text = p = arena_take(a, raw.n); /* an escape is never shorter than its character */
	if (text == NULL)
		return slice_make(NULL, 0);
	while (json_raw_next(&raw, &c))
		p += utf8_put(p, c);
	return slice_make(text, (size_t)(p - text));
}

/* A number in pieces: the digits, how many of them stand before the point, the exponent (far too
 * large ones cut). */
struct number {
	const char *digits, *end; /* a point may stand among them */
	int64_t whole;            /* digits before the point, exponent added; may be negative */
	bool negative;
};

static struct number number_split(struct slice s)
{
	struct number n = { .negative = s.p[0] == '-' };
	const char *p = s.p + n.negative, *end = s.p + s.n;
	bool point = false, minus = false;
	int64_t e = 0;

	for (n.digits = p; p < end && *p != 'e' && *p != 'E'; p++) {
		point |= *p == '.';
		n.whole += !point;
	}
	n.end = p;
	for (; p < end; p++) {
		minus |= *p == '-';
		if (*p >= '0' && *p <= '9' && e < INT32_MAX)
			e = e * 10 + (*p - '0');
	}
	n.whole += minus ? -e : e;
	return n;
}

bool json_u64(struct json_value v, uint64_t *out)
{
	struct number n;
	uint64_t sum = 0;
	const char *p;

	if (v.type != JSON_NUMBER)
		return false;
	n = number_split(v.raw);
	for (p = n.digits; p < n.end || (n.whole > 0 && sum > 0);) {
		char c = p < n.end ? *p++ : '0';
		unsigned d = (unsigned)(c - '0');

		if (c == '.')
			continue;
		if (n.whole-- > 0) {
			if (sum > (UINT64_MAX - d) / 10)
				return false;
			sum = sum * 10 + d;
		} else if (d > 0) {
			return false; /* a fraction */
		}
	}
	if (n.negative && sum > 0)
		return false;
	*out = sum;
	return true;
}

/* --- The writer --------------------------------------------------------------------------------- */

static size_t char_len(struct slice s)
{
	return utf8_len(s.p, s.n);
}

/* Bytes that can go out as they are. */
static size_t plain_run(struct slice s)
{
	size_t i = 0, n;

	while (i < s.n) {
		unsigned char c = (unsigned char)s.p[i];

		if (c < 0x20 || c == '"' || c == '\\')
			break;
		n = c < 0x80 ? 1 : char_len(slice_from(s, i));
		if (n == 0 || (n == 3 && c == 0xe2 && (utf8_get(s.p + i, 3) & ~1u) == 0x2028))
			break; /* U+2028, U+2029: line ends to JavaScript's older readers */
		i += n;
	}
	return i;
}

static bool put_u(struct buf *b, uint32_t c)
{
	static const char hex[] = "0123456789abcdef";
	char u[6] = { '\\', 'u', hex[c >> 12], hex[c >> 8 & 15], hex[c >> 4 & 15], hex[c & 15] };

	return buf_put(b, slice_make(u, sizeof(u)));
}

/* The first character of s, which may not go out as it is; *used bytes of s were it. */
static bool put_escape(struct buf *b, struct slice s, size_t *used)
{
	static const char chars[] = "\"\\\b\f\n\r\t", names[] = "\"\\bfnrt";
	const char *known = memchr(chars, s.p[0], sizeof(chars) - 1);
	char two[2] = { '\\' };

	*used = 1;
	if (known != NULL) {
		two[1] = names[known - chars];
		return buf_put(b, slice_make(two, 2));
	}
	if ((unsigned char)s.p[0] < 0x20)
		return put_u(b, (unsigned char)s.p[0]);
	if (char_len(s) == 0)
		return buf_put(b, SLICE("\xef\xbf\xbd"));
	*used = 3;
	return put_u(b, utf8_get(s.p, 3));
}

/* Takes back what was written since the queue held n bytes. */
static bool undo(struct buf *b, size_t n)
{
	b->tail = b->head + n;
	return false;
}

bool json_write_escaped(struct buf *b, struct slice text)
{
	size_t before = buf_len(b), n;

	while (text.n > 0) {
		n = plain_run(text);
		if (n > 0) {
			if (!buf_put(b, slice_make(text.p, n)))
				return undo(b, before);
		} else if (!put_escape(b, text, &n)) {
			return undo(b, before);
		}
		text = slice_from(text, n);
	}
	return true;
}

bool json_write_string(struct buf *b, struct slice text)
{
	size_t before = buf_len(b);

	if (buf_put_byte(b, '"') && json_write_escaped(b, text) && buf_put_byte(b, '"'))
		return true;
	return undo(b, before);
}
