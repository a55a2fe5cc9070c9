/* SPDX-License-Identifier: MIT */
/* http_cond.h: conditional and range requests (RFC 9110, 13 and 14) over one representation. */
#ifndef PROTO_HTTP_COND_H
#define PROTO_HTTP_COND_H

#include "proto/http_head.h"

enum http_part {
	HTTP_PART_ALL,           /* 200, everything */
	HTTP_PART_SOME,          /* 206, one range */
	HTTP_PART_NOT_MODIFIED,  /* 304 */
	HTTP_PART_UNSATISFIABLE, /* 416 */
};

/* What a GET or HEAD of a representation with this strong ETag (quotes included) and size gets.
 * On SOME [*from, *to) is the range. A list of ranges, another unit, or a malformed Range is
 * ignored (RFC 9110, 14.2); If-Range must name the ETag. */
enum http_part http_part_of(const struct http_head *, struct slice etag, uint64_t size,
			    uint64_t *from, uint64_t *to);

/* Whether a list of entity tags names this one (weak comparison; "*" names all). */
bool http_etag_listed(struct slice list, struct slice etag);

#endif
