/* SPDX-License-Identifier: MIT */
/* http_head.h: heads of HTTP/1.x messages (RFC 9112), strict where smuggling lives: what two
 * readers could take differently is refused. All slices point into the text that was parsed. */
#ifndef PROTO_HTTP_HEAD_H
#define PROTO_HTTP_HEAD_H

#include "base/base.h"

enum {
	HTTP_FIELDS_MAX = 100,
	HTTP_HEAD_MAX = 64 * 1024,          /* request head, 431 */
	HTTP_TARGET_MAX = 16 * 1024,        /* request target, 414 */
	HTTP_RESPONSE_HEAD_MAX = 16 * 1024, /* what we take from an upstream */
};

/* Bits, so that a route can allow several. */
enum http_method {
	HTTP_GET = 1,
	HTTP_HEAD = 2,
	HTTP_POST = 4,
	HTTP_PUT = 8,
	HTTP_DELETE = 16,
	HTTP_OPTIONS = 32,
	HTTP_PATCH = 64,
	HTTP_OTHER = 128, /* any other token, CONNECT and TRACE included */
};

/* How the body ends (RFC 9112, 6.3). */
enum http_framing { HTTP_NONE, HTTP_LENGTH, HTTP_CHUNKED, HTTP_CLOSE };

struct http_field {
	struct slice name, value; /* value without white space around it; may be empty */
};

struct http_head {
	size_t size;              /* bytes of the view that the head took, with its last CRLF */
	unsigned minor;           /* HTTP/1.minor, 0 or 1 */
	enum http_method method;  /* request */
	struct slice method_text; /* request */
	struct slice target;      /* request, raw */
	unsigned status;          /* response */
	enum http_framing framing;
	uint64_t length;      /* HTTP_LENGTH */
	bool keep_alive;      /* the peer allows another message on this connection */
	bool expect_continue; /* request, 1.1 only: Expect: 100-continue */
	struct slice host;    /* request: the Host value; empty if absent (1.0) or empty */
	unsigned refuse;      /* after PARSE_BAD: the HTTP status to answer (requests), else 0 */
	const char *why;      /* after PARSE_BAD: a few words for the error text */
	unsigned count;
	struct http_field fields[HTTP_FIELDS_MAX];
};

/* Parses a request head from the start of `view`. `seen` is how much of the view an earlier call
 * that said MORE had looked at (0 the first time), so that a head that arrives byte by byte is
 * judged once per line and not once per byte. Nothing else is kept between calls: the view may have
 * moved. Refusals are told as early as they can be known, and the same whatever the pieces were.
 * BAD: head->refuse is 400, 414, 417, 431, 501 or 505. */
enum parse http_request_parse(struct http_head *, struct slice view, size_t seen);

/* Parses a response head. `to_head`: the request was a HEAD, so there is no body. 1xx heads are
 * DONE with their status and HTTP_NONE: the caller skips them; but 101 is BAD, as we never ask to
 * switch protocols. BAD: nonsense (502 to our client). */
enum parse http_response_parse(struct http_head *, struct slice view, size_t seen, bool to_head);

/* First field of that name, compared without case; NULL if there is none. */
const struct http_field *http_field_find(const struct http_head *, struct slice name);
/* Its value, or an empty slice with p == NULL. */
struct slice http_field_value(const struct http_head *, struct slice name);
/* Whether a comma-separated field (all its lines together) lists this token, without case
 * (RFC 9110, 5.6.1). */
bool http_field_has_token(const struct http_head *, struct slice name, struct slice token);
/* Whether a field is hop-by-hop (RFC 9110, 7.6.1: Connection, Keep-Alive, Proxy-*, TE, Trailer,
 * Transfer-Encoding, Upgrade) or named by the message's own Connection field; such a field must
 * not be forwarded. Connection cannot name Host and Content-Length away. */
bool http_field_is_hop(const struct http_head *, struct slice name);
/* Quality of a content coding under the request's Accept-Encoding, 0 (refused) to 1000
 * (RFC 9110, 12.5.3); identity counts too: 1000 without the field, 1 when the field does not
 * mention it. A weight that is none is 0. */
unsigned http_accepts_coding(const struct http_head *, struct slice coding);

#endif
