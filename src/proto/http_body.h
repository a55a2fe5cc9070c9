/* SPDX-License-Identifier: MIT */
/* http_body.h: undoes the framing of a message body (RFC 9112, 6 and 7), one piece at a time and
 * without copying. Trailers are read and dropped. */
#ifndef PROTO_HTTP_BODY_H
#define PROTO_HTTP_BODY_H

#include "proto/http_head.h"

enum {
	HTTP_CHUNK_LINE_MAX = 4096, /* size, extensions and CRLF of one chunk */
	HTTP_CHUNK_WASTE_MAX = 16 * 1024,
	HTTP_TRAILER_MAX = 16 * 1024, /* trailer section with its empty line */
};

struct http_body {
	enum http_framing framing;
	uint8_t state;   /* private */
	uint32_t line;   /* private: bytes of the chunk line or trailer section so far */
	uint32_t waste;  /* private: chunk line bytes beyond what the content can excuse */
	uint64_t left;   /* private: content bytes still to come in this length or chunk */
	uint64_t total;  /* content bytes lent so far */
	const char *why; /* after PARSE_BAD */
};

void http_body_init(struct http_body *, const struct http_head *);
/* A body with no head at hand (length is used for HTTP_LENGTH only). */
void http_body_init_framing(struct http_body *, enum http_framing, uint64_t length);

/* Takes bytes from `in`, says how many in *used, and lends at most one piece of content in *piece
 * (a slice of `in`, possibly empty). MORE: call again, with the rest of `in` if there is a rest
 * (the call took all of `in` or lent a piece). DONE: the body is whole, what follows *used is the
 * next message; the last piece of a HTTP_LENGTH body comes with it. BAD: refuse, close; *used is
 * where the first wrong byte was, and every later call is BAD again.
 * HTTP_NONE and a length of 0 are DONE at once; HTTP_CLOSE is never DONE (the caller sees the end
 * of the stream). */
enum parse http_body_feed(struct http_body *, struct slice in, size_t *used, struct slice *piece);

/* Content bytes that are sure to come, as the length or the size line of the current chunk says:
 * what is too much can be refused before it was sent. */
uint64_t http_body_promised(const struct http_body *);

#endif
