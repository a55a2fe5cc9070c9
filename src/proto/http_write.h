/* SPDX-License-Identifier: MIT */
/* http_write.h: puts messages on the wire, piece by piece, into a buf. Every function returns
 * false when the buf has no room, and has then put nothing. A caller must never pass client or
 * model bytes as a field value; http_write_field() drops CR, LF, NUL and other control bytes all
 * the same, and what cannot be in a method, a target or a field name is not written as one. */
#ifndef PROTO_HTTP_WRITE_H
#define PROTO_HTTP_WRITE_H

#include "base/buf.h"

const char *http_reason(unsigned status);              /* "OK"; "" when unknown */
bool http_write_status(struct buf *, unsigned status); /* "HTTP/1.1 200 OK\r\n" */
/* "POST /x HTTP/1.1\r\n" */
bool http_write_request(struct buf *, struct slice method, struct slice target);
bool http_write_field(struct buf *, struct slice name, struct slice value);
bool http_write_field_u64(struct buf *, struct slice name, uint64_t);
bool http_write_date(struct buf *, int64_t unix_seconds); /* Date field */
bool http_write_end(struct buf *);                        /* the empty line */
bool http_write_chunk_head(struct buf *, size_t n);       /* "1f\r\n"; n > 0 */
#define HTTP_CHUNK_HEAD_MAX 18u                           /* longest chunk head we write */
#define HTTP_CHUNK_TAIL     "\r\n"
#define HTTP_LAST_CHUNK     "0\r\n\r\n"

#endif
