/* SPDX-License-Identifier: MIT */
/* http_cond.c: If-None-Match, Range, If-Range. */
#include "proto/http_cond.h"
#include "base/fmt.h"

static struct slice trim(struct slice s)
{
	while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
		s = slice_from(s, 1);
	while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

bool http_etag_listed(struct slice list, struct slice etag)
{
	if (slice_eq(trim(list), SLICE("*")))
		return true;
	while (list.n > 0) {
		const char *comma = memchr(list.p, ',', list.n); /* our tags hold no comma */
		size_t n = comma != NULL ? (size_t)(comma - list.p) : list.n;
		struct slice one = trim(slice_make(list.p, n));

		if (slice_starts(one, SLICE("W/")))
			one = slice_from(one, 2);
		if (slice_eq(one, etag))
			return true;
		list = slice_from(list, MIN(n + 1, list.n));
	}
	return false;
}

/* "bytes=0-99", "bytes=100-", "bytes=-50"; false: to be ignored. On true an empty range
 * (*from >= *to) cannot be satisfied. */
static bool range_read(struct slice v, uint64_t size, uint64_t *from, uint64_t *to)
{
	struct slice unit = SLICE("bytes=");
	const char *dash;
	struct slice a, b;
	uint64_t x = 0, y = 0;

	if (v.n <= unit.n || !slice_eq_nocase(slice_make(v.p, unit.n), unit))
		return false;
	v = trim(slice_from(v, unit.n));
	dash = memchr(v.p, '-', v.n);
	if (dash == NULL)
		return false;
	a = slice_make(v.p, (size_t)(dash - v.p));
	b = slice_from(v, a.n + 1);
	if ((a.n > 0 && !fmt_parse_u64(a, &x)) || (b.n > 0 && !fmt_parse_u64(b, &y)) ||
	    a.n + b.n == 0)
		return false;
	if (a.n == 0) { /* the last y bytes */
		*from = y < size ? size - y : 0;
		*to = y > 0 ? size : 0;
		return true;
	}
	if (b.n > 0 && y < x)
		return false;
	*from = x;
	*to = b.n > 0 && y < size ? y + 1 : size;
	return true;
}

enum http_part http_part_of(const struct http_head *h, struct slice etag, uint64_t size,
			    uint64_t *from, uint64_t *to)
{
	const struct http_field *none_match = http_field_find(h, SLICE("If-None-Match"));
	const struct http_field *range = http_field_find(h, SLICE("Range"));
	const struct http_field *if_range = http_field_find(h, SLICE("If-Range"));

	*from = 0;
	*to = size;
	if (none_match != NULL && http_etag_listed(none_match->value, etag))
		return HTTP_PART_NOT_MODIFIED;
	if (h->method != HTTP_GET || range == NULL ||
	    (if_range != NULL && !slice_eq(if_range->value, etag)))
		return HTTP_PART_ALL;
	if (!range_read(range->value, size, from, to)) {
		*from = 0;
		*to = size;
		return HTTP_PART_ALL;
	}
	if (*from >= *to)
		return HTTP_PART_UNSATISFIABLE;
	return HTTP_PART_SOME;
}
