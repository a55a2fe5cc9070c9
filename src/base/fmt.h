/* SPDX-License-Identifier: MIT */
/* fmt.h: numbers and dates as text, into a buf or out of a slice; no printf family.
 * The writers return false when the buf has no room (see buf_put()). */
#ifndef BASE_FMT_H
#define BASE_FMT_H

#include "base/buf.h"

bool fmt_u64(struct buf *, uint64_t);
bool fmt_i64(struct buf *, int64_t);
bool fmt_hex(struct buf *, uint64_t, unsigned min_digits); /* lower case */
/* Milliseconds as seconds with three decimals: 1234 -> "1.234". */
bool fmt_ms(struct buf *, uint64_t ms);
/* IMF-fixdate, always 29 bytes (RFC 9110, 5.6.7): "Mon, 23 Nov 2026 19:47:41 GMT". */
bool fmt_http_date(struct buf *, int64_t unix_seconds);
/* RFC 3339 in UTC with milliseconds: "2026-11-23T19:47:41.123Z". */
bool fmt_rfc3339(struct buf *, int64_t unix_ms);

/* Decimal digits only, the whole slice, no sign, no overflow. */
bool fmt_parse_u64(struct slice, uint64_t *);
/* Hex digits only, the whole slice, at least one, no overflow. */
bool fmt_parse_hex(struct slice, uint64_t *);
/* IMF-fixdate only -> unix seconds (for If-Modified-Since). */
bool fmt_parse_http_date(struct slice, int64_t *);

#endif
