/* SPDX-License-Identifier: MIT */
/* conn_reply.c: replies out: whole, in pieces, kept back while a client is slow. */
#include "app/conn_parts.h"
#include "app/reply.h"
#include "proto/http_write.h"

/* ---- output ---- */

/* What the stream has not taken yet. */
static size_t kept(const struct conn *c)
{
	return buf_len(&c->out) + c->rest.n;
}

size_t conn_backlog(const struct conn *c)
{
	return kept(c) + stream_pending(&c->stream);
}

static void consume(struct conn *c, size_t n)
{
	size_t first = MIN(n, buf_len(&c->out));

	buf_consume(&c->out, first);
	c->rest = slice_from(c->rest, n - first);
	if (buf_len(&c->out) == 0 && c->out.base != NULL) {
		mem_give(&c->server->mem, c->out.base, c->out_cap);
		buf_init(&c->out, NULL, 0);
		c->out_cap = 0;
	}
}

/* Into the stream as far as it takes it, and out of the stream. */
static enum io send_kept(struct conn *c)
{
	while (kept(c) > 0) {
		struct slice parts[2] = { buf_view(&c->out), c->rest };
		size_t n;
		enum io r = stream_write(&c->stream, parts, 2, &n);

		if (r != IO_OK)
			return r;
		consume(c, n);
	}
	return stream_flush(&c->stream);
}

void conn_flush(struct conn *c)
{
	struct server *s = c->server;
	size_t before = conn_backlog(c);
	enum io r = send_kept(c);

	if (r != IO_OK && r != IO_AGAIN) {
		conn_break(c);
		return;
	}
	if (conn_backlog(c) > 0) {
		if (conn_backlog(c) != before || !timer_is_set(&c->timer))
			loop_timer_after(s->env.loop, &c->timer, s->env.config->send_timeout_ms);
		return;
	}
	if (c->state == CONN_FLUSH)
		conn_request_over(c);
	else if (c->state == CONN_WORK) /* a body that is being read keeps its own deadline */
		loop_timer_clear(s->env.loop, &c->timer);
}

static bool out_keep(struct conn *c, struct slice s)
{
	if (s.n == 0)
		return true;
	if (!conn_grow(&c->server->mem, &c->out, &c->out_cap, s.n, SIZE_MAX))
		return false;
	return buf_put(&c->out, s);
}

/* Sends the parts now as far as the socket takes them and keeps the rest; the last part is not
 * copied when `last_stays` (its bytes outlive the reply). */
void conn_put(struct conn *c, const struct slice *parts, size_t count, bool last_stays)
{
	size_t n = 0, i;
	enum io r = IO_OK;
	bool ok = true;

	if (c->broken || c->state == CONN_FREE)
		return;
	if (conn_backlog(c) == 0)
		r = stream_write(&c->stream, parts, count, &n);
	if (r != IO_OK && r != IO_AGAIN) {
		conn_break(c);
		return;
	}
	for (i = 0; i < count && ok; i++) {
		struct slice left = slice_from(parts[i], MIN(n, parts[i].n));

		n -= MIN(n, parts[i].n);
		if (last_stays && i + 1 == count && c->rest.n == 0)
			c->rest = left;
		else
			ok = out_keep(c, left);
	}
	if (kept(c) == 0)
		r = stream_flush(&c->stream);
	if (!ok || (r != IO_OK && r != IO_AGAIN)) {
		conn_break(c);
		return;
	}
	if (conn_backlog(c) == 0)
		return;
	if (conn_backlog(c) > CONN_HIGH_MARK)
		c->was_high = true;
	if (!timer_is_set(&c->timer))
		loop_timer_after(c->server->env.loop, &c->timer,
				 c->server->env.config->send_timeout_ms);
	conn_update_wish(c);
}

/* ---- replies ---- */

/* A reply to a request whose body was not read: if the body is in our hands already, drop it and
 * go on; else the connection ends with this reply. */
static void settle_body(struct conn *c)
{
	struct request *r = c->req;
	size_t used;
	unsigned status;

	if (r->body_done)
		return;
	r->body_done = true;
	if (c->state == CONN_HEAD && r->head_mem != NULL && !r->head.expect_continue &&
	    buf_len(&c->in) > 0) {
		r->body_discard = true;
		if (conn_body_feed(c, buf_view(&c->in), &used, &status) == PARSE_DONE) {
			buf_consume(&c->in, used);
			return;
		}
	}
	c->keep_alive = false;
	c->linger = true;
}

/* The head of a reply; from here on the request has a status. */
static void reply_start(struct conn *c, unsigned status, struct slice type, struct slice fields,
			int64_t length, struct buf *head)
{
	settle_body(c);
	if (server_is_draining(c->server))
		c->keep_alive = false;
	c->chunked = length < 0 && c->req->head.minor >= 1 && !c->no_body;
	c->until_close = length < 0 && !c->chunked && !c->no_body;
	if (c->until_close) {
		c->keep_alive = false;
		sock_reset_on_close(c->stream.fd, true);
	}
	c->req->status = status;
	reply_head(c, head, status, type, fields, length);
}

static void reply_end(struct conn *c)
{
	conn_work_end(c);
	if (c->broken || c->state == CONN_FREE)
		return;
	loop_timer_clear(c->server->env.loop, &c->timer);
	if (conn_backlog(c) == 0) {
		conn_request_over(c);
		return;
	}
	c->state = CONN_FLUSH;
	loop_timer_after(c->server->env.loop, &c->timer, c->server->env.config->send_timeout_ms);
	conn_update_wish(c);
}

static void reply_whole(struct conn *c, unsigned status, struct slice type, struct slice fields,
			struct slice body, bool stays)
{
	char mem[REPLY_HEAD_MAX];
	struct buf head;
	struct slice parts[2];

	buf_init(&head, mem, sizeof(mem));
	reply_start(c, status, type, fields, (int64_t)body.n, &head);
	parts[0] = buf_view(&head);
	parts[1] = c->no_body ? slice_make("", 0) : body;
	c->req->sent += parts[1].n;
	conn_put(c, parts, 2, stays);
	reply_end(c);
}

void conn_reply(struct conn *c, unsigned status, struct slice type, struct slice fields,
		struct slice body)
{
	reply_whole(c, status, type, fields, body, false);
}

void conn_reply_static(struct conn *c, unsigned status, struct slice type, struct slice fields,
		       struct slice body)
{
	reply_whole(c, status, type, fields, body, true);
}

void conn_reply_block(struct conn *c, unsigned status, struct slice type, struct slice fields,
		      void *mem, size_t cap, size_t n)
{
	c->req->reply_mem = mem;
	c->req->reply_cap = cap;
	reply_whole(c, status, type, fields, slice_make(mem, n), true);
}

void conn_error_fields(struct conn *c, unsigned status, struct slice text, struct slice fields)
{
	char mem[4096];
	struct buf body;

	buf_init(&body, mem, sizeof(mem));
	reply_error_body(c, &body, status, text);
	conn_reply(c, status, SLICE("application/json"), fields, buf_view(&body));
}

void conn_error(struct conn *c, unsigned status, struct slice text, unsigned retry_after)
{
	char mem[64];
	struct buf fields;

	buf_init(&fields, mem, sizeof(mem));
	conn_error_fields(c, status, text,
			  retry_after > 0 ? reply_retry_after(&fields, retry_after)
					  : slice_make("", 0));
}

void conn_begin(struct conn *c, unsigned status, struct slice type, struct slice fields,
		int64_t length)
{
	char mem[REPLY_HEAD_MAX];
	struct buf head;
	struct slice part;

	buf_init(&head, mem, sizeof(mem));
	reply_start(c, status, type, fields, length, &head);
	part = buf_view(&head);
	conn_put(c, &part, 1, false);
}

void conn_send(struct conn *c, struct slice bytes)
{
	char mem[HTTP_CHUNK_HEAD_MAX];
	struct buf head;
	struct slice parts[3] = { { "", 0 }, bytes, { "", 0 } };

	if (bytes.n == 0 || c->no_body || c->req == NULL)
		return;
	c->req->sent += bytes.n;
	if (c->chunked) {
		buf_init(&head, mem, sizeof(mem));
		http_write_chunk_head(&head, bytes.n);
		parts[0] = buf_view(&head);
		parts[2] = SLICE(HTTP_CHUNK_TAIL);
	}
	conn_put(c, parts, 3, false);
}

void conn_finish(struct conn *c)
{
	struct slice last = SLICE(HTTP_LAST_CHUNK);

	if (c->chunked && !c->no_body)
		conn_put(c, &last, 1, false);
	reply_end(c);
}

void conn_finish_short(struct conn *c)
{
	if (!c->chunked) { /* the end of the connection would be the end of the body */
		conn_abort(c);
		return;
	}
	c->keep_alive = false;
	reply_end(c);
}

void conn_work_start(struct conn *c, const struct work_ops *ops, void *work)
{
	c->ops = ops;
	c->work = work;
	if (c->state != CONN_FREE)
		c->state = CONN_WORK;
}
