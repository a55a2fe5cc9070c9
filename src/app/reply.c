/* SPDX-License-Identifier: MIT */
/* reply.c: heads of replies, shapes of errors. */
#include "app/reply.h"
#include "base/fmt.h"
#include "proto/http_write.h"
#include "proto/json.h"
#include "proto/openai.h"

enum { ERROR_TEXT_MAX = 1024 };

static bool has_body(unsigned status)
{
	return status >= 200 && status != 204 && status != 304;
}

static void put_framing(const struct conn *c, struct buf *out, unsigned status, int64_t length)
{
	if (!has_body(status))
		return;
	if (length >= 0)
		http_write_field_u64(out, SLICE("Content-Length"), (uint64_t)length);
	else if (c->chunked)
		buf_put(out, SLICE("Transfer-Encoding: chunked\r\n"));
}

static void put_cors(const struct conn *c, struct buf *out)
{
	if (c->server->env.config->cors_count == 0)
		return;
	buf_put(out, SLICE("Vary: Origin\r\n"));
	if (c->req->cors_origin.n == 0)
		return;
	http_write_field(out, SLICE("Access-Control-Allow-Origin"), c->req->cors_origin);
	buf_put(out, SLICE("Access-Control-Expose-Headers: Retry-After, X-Request-Id\r\n"));
}

void reply_head(struct conn *c, struct buf *out, unsigned status, struct slice type,
		struct slice fields, int64_t length)
{
	http_write_status(out, status);
	buf_put(out, server_date_field(c->server));
	if (type.n > 0 && has_body(status))
		http_write_field(out, SLICE("Content-Type"), type);
	put_framing(c, out, status, length);
	buf_put(out, fields);
	buf_put(out, c->server->fields);
	put_cors(c, out);
	if (c->req->id.n > 0)
		http_write_field(out, SLICE("X-Request-Id"), c->req->id);
	if (!c->keep_alive)
		buf_put(out, SLICE("Connection: close\r\n"));
	else if (c->req->head.minor == 0)
		buf_put(out, SLICE("Connection: keep-alive\r\n"));
	http_write_end(out);
}

void reply_error_body(const struct conn *c, struct buf *out, unsigned status, struct slice text)
{
	const struct route *route = c->req->route;

	text.n = MIN(text.n, (size_t)ERROR_TEXT_MAX);
	if (route != NULL && (route->flags & ROUTE_OPENAI)) {
		openai_error_write(out, status, text);
		return;
	}
	buf_put(out, SLICE("{\"error\":"));
	json_write_string(out, text);
	buf_put_byte(out, '}');
}

struct slice reply_retry_after(struct buf *mem, unsigned seconds)
{
	http_write_field_u64(mem, SLICE("Retry-After"), seconds);
	return buf_view(mem);
}
