/* SPDX-License-Identifier: MIT */
/* forwarded.c: addresses as text and bytes, CIDR lists, and who the client is. */
#include "proto/forwarded.h"

#include "base/fmt.h"
#include "proto/http_char.h"

enum { GROUPS = 8 }; /* of an IPv6 address, 16 bits each */

static const uint8_t v4_prefix[12] = { [10] = 0xff, [11] = 0xff };

/* Cuts digits of one decimal number 0..255 off the front; no leading zeros, which some readers
 * take for octal. */
static bool octet_take(struct slice *s, uint8_t *out)
{
	unsigned v = 0;
	size_t i = 0;

	while (i < s->n && i < 4 && http_is_digit(s->p[i]))
		v = v * 10 + (unsigned)(s->p[i++] - '0');
	if (i == 0 || v > 255 || (i > 1 && s->p[0] == '0'))
		return false;
	*s = slice_from(*s, i);
	*out = (uint8_t)v;
	return true;
}

static bool v4_parse(struct slice s, uint8_t out[4])
{
	unsigned i;

	for (i = 0; i < 4; i++) {
		if (i > 0) {
			if (s.n == 0 || s.p[0] != '.')
				return false;
			s = slice_from(s, 1);
		}
		if (!octet_take(&s, &out[i]))
			return false;
	}
	return s.n == 0;
}

/* The groups of one side of "::" (or of the whole text) into out[]; how many bytes that gave, or
 * -1. Only the last group may be a dotted quad (RFC 4291, 2.2). */
static int groups_parse(struct slice s, uint8_t *out, bool quad)
{
	unsigned n = 0;

	while (s.n > 0) {
		const char *colon = memchr(s.p, ':', s.n);
		struct slice part = slice_make(s.p, colon ? (size_t)(colon - s.p) : s.n);
		uint64_t v;

		if (colon == NULL && quad && n <= 2 * GROUPS - 4 && v4_parse(part, out + n))
			return (int)n + 4;
		if (n == 2 * GROUPS || part.n > 4 || !fmt_parse_hex(part, &v))
			return -1;
		out[n++] = (uint8_t)(v >> 8);
		out[n++] = (uint8_t)v;
		s = slice_from(s, part.n);
		if (colon != NULL) {
			s = slice_from(s, 1);
			if (s.n == 0) /* a lone colon at the end */
				return -1;
		}
	}
	return (int)n;
}

static bool v6_parse(struct slice s, uint8_t out[16])
{
	uint8_t left[2 * GROUPS], right[2 * GROUPS];
	int nl, nr;
	size_t i;

	for (i = 0; i + 1 < s.n; i++)
		if (s.p[i] == ':' && s.p[i + 1] == ':')
			break;
	if (i + 1 >= s.n)
		return groups_parse(s, out, true) == 2 * GROUPS;
	nl = groups_parse(slice_make(s.p, i), left, false);
	nr = groups_parse(slice_from(s, i + 2), right, true);
	if (nl < 0 || nr < 0 || nl + nr > 2 * GROUPS - 2) /* "::" stands for one group at least */
		return false;
	memset(out, 0, 2 * GROUPS);
	memcpy(out, left, (size_t)nl);
	memcpy(out + 2 * GROUPS - nr, right, (size_t)nr);
	return true;
}

bool ip_parse(struct slice s, struct ip_addr *a)
{
	if (s.n == 0)
		return false;
	if (memchr(s.p, ':', s.n) != NULL)
		return v6_parse(s, a->b);
	memcpy(a->b, v4_prefix, sizeof(v4_prefix));
	return v4_parse(s, a->b + 12);
}

static bool is_port(struct slice s)
{
	uint64_t port;

	return s.n <= 5 && fmt_parse_u64(s, &port) && port <= 65535;
}

bool ip_parse_with_port(struct slice s, struct ip_addr *a)
{
	const char *end;
	struct slice rest;

	if (s.n > 0 && s.p[0] == '[') {
		end = memchr(s.p, ']', s.n);
		if (end == NULL || !v6_parse(slice_make(s.p + 1, (size_t)(end - s.p) - 1), a->b))
			return false;
		rest = slice_from(s, (size_t)(end - s.p) + 1);
		return rest.n == 0 || (rest.p[0] == ':' && is_port(slice_from(rest, 1)));
	}
	if (ip_parse(s, a))
		return true;
	end = s.n > 0 ? memchr(s.p, ':', s.n) : NULL;
	return end != NULL && ip_parse(slice_make(s.p, (size_t)(end - s.p)), a) &&
	       is_port(slice_from(s, (size_t)(end - s.p) + 1));
}

bool ip_is_v4(const struct ip_addr *a)
{
	return memcmp(a->b, v4_prefix, sizeof(v4_prefix)) == 0;
}

bool ip_is_loopback(const struct ip_addr *a)
{
	static const uint8_t one[16] = { [15] = 1 };

	return ip_is_v4(a) ? a->b[12] == 127 : memcmp(a->b, one, sizeof(one)) == 0;
}

static unsigned group_at(const struct ip_addr *a, unsigned i)
{
	return (unsigned)a->b[2 * i] << 8 | a->b[2 * i + 1];
}

/* The longest run of zero groups, the first of equals; a single one is not shortened (RFC 5952,
 * 4.2). *n is 0 when there is none. */
static unsigned zeros_find(const struct ip_addr *a, unsigned *n)
{
	unsigned i, run = 0, best = 0;

	*n = 0;
	for (i = 0; i < GROUPS; i++) {
		run = group_at(a, i) == 0 ? run + 1 : 0;
		if (run > 1 && run > *n) {
			*n = run;
			best = i + 1 - run;
		}
	}
	return best;
}

/* These write into ip_write()'s own block, which has room for every address. */
static void v4_write(struct buf *b, const uint8_t *p)
{
	unsigned i;

	for (i = 0; i < 4; i++) {
		if (i > 0)
			buf_put_byte(b, '.');
		fmt_u64(b, p[i]);
	}
}

static void v6_write(struct buf *b, const struct ip_addr *a)
{
	unsigned n, i = 0, from = zeros_find(a, &n);

	while (i < GROUPS) {
		if (n > 0 && i == from) {
			buf_put_str(b, "::");
			i += n;
			continue;
		}
		if (i > 0 && i != from + n)
			buf_put_byte(b, ':');
		fmt_hex(b, group_at(a, i), 1);
		i++;
	}
}

bool ip_write(struct buf *b, const struct ip_addr *a)
{
	char text[40]; /* the longest: eight groups of four digits and seven colons */
	struct buf t;

	buf_init(&t, text, sizeof(text));
	if (ip_is_v4(a))
		v4_write(&t, a->b + 12);
	else
		v6_write(&t, a);
	return buf_put(b, buf_view(&t));
}

bool cidr_parse(struct slice s, struct cidr *c)
{
	const char *slash = s.n > 0 ? memchr(s.p, '/', s.n) : NULL;
	struct slice addr = slice_make(s.p, slash ? (size_t)(slash - s.p) : s.n);
	unsigned spare; /* bits of the mapped form that the text does not count */
	uint64_t bits;

	if (!ip_parse(addr, &c->addr))
		return false;
	c->bits = 128;
	if (slash == NULL)
		return true;
	spare = memchr(addr.p, ':', addr.n) == NULL ? 96 : 0;
	s = slice_from(s, addr.n + 1);
	if (s.n > 3 || !fmt_parse_u64(s, &bits) || bits > 128 - spare)
		return false;
	c->bits = (unsigned)bits + spare;
	return true;
}

static bool is_inside(const struct cidr *c, const struct ip_addr *a)
{
	unsigned whole = c->bits / 8, rest = c->bits % 8;

	if (memcmp(c->addr.b, a->b, whole) != 0)
		return false;
	return rest == 0 || (c->addr.b[whole] ^ a->b[whole]) >> (8 - rest) == 0;
}

bool cidr_has(const struct cidr *list, size_t n, const struct ip_addr *a)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (is_inside(&list[i], a))
			return true;
	return false;
}

/* clang-format off: a row is a range */
const struct cidr cidr_private[] = {
	{ { { [10] = 0xff, [11] = 0xff, [12] = 127 } }, 96 + 8 },
	{ { { [10] = 0xff, [11] = 0xff, [12] = 10 } }, 96 + 8 },
	{ { { [10] = 0xff, [11] = 0xff, [12] = 172, [13] = 16 } }, 96 + 12 },
	{ { { [10] = 0xff, [11] = 0xff, [12] = 192, [13] = 168 } }, 96 + 16 },
	{ { { [10] = 0xff, [11] = 0xff, [12] = 169, [13] = 254 } }, 96 + 16 },
	{ { { [15] = 1 } }, 128 },
	{ { { 0xfe, 0x80 } }, 10 },
	{ { { 0xfc } }, 7 },
};
/* clang-format on */
const size_t cidr_private_count = ARRAY_LEN(cidr_private);

/* Cuts the last element off a comma-separated list. *more: another one is left of it. */
static struct slice last_take(struct slice *list, bool *more)
{
	size_t i = list->n;
	struct slice part;

	while (i > 0 && list->p[i - 1] != ',')
		i--;
	part = slice_from(*list, i);
	*more = i > 0;
	list->n = i > 0 ? i - 1 : 0;
	return http_trim(part);
}

/* The hops-th element from the right of all lines together (RFC 9110, 5.3). */
static bool element_find(const struct slice *lines, size_t n, unsigned hops, struct slice *out)
{
	unsigned seen = 0;

	while (n > 0) {
		struct slice list = lines[--n];
		bool more = true;

		while (more) {
			*out = last_take(&list, &more);
			if (++seen == hops)
				return true;
		}
	}
	return false;
}

struct ip_addr forwarded_client(const struct ip_addr *peer, const struct cidr *trusted, size_t n,
				const struct slice *lines, size_t line_count, unsigned hops)
{
	struct slice element;
	struct ip_addr client;

	if (!cidr_has(trusted, n, peer) || !element_find(lines, line_count, hops, &element) ||
	    !ip_parse_with_port(element, &client))
		return *peer;
	return client;
}
