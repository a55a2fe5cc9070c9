/* SPDX-License-Identifier: MIT */
/* reply.h: the heads of our replies and the shapes of our errors. */
#ifndef APP_REPLY_H
#define APP_REPLY_H

#include "app/conn.h"

enum { REPLY_HEAD_MAX = 8192 };

/* A head into `out` (REPLY_HEAD_MAX bytes are enough): status, type, length or chunked, the
 * role's fields, Date, X-Request-Id, Connection. length < 0: not known. */
void reply_head(struct conn *, struct buf *out, unsigned status, struct slice type,
		struct slice fields, int64_t length);
/* The body of an error in the shape the route asks for. */
void reply_error_body(const struct conn *, struct buf *out, unsigned status, struct slice text);
/* "Retry-After: n\r\n" */
struct slice reply_retry_after(struct buf *mem, unsigned seconds);

#endif
