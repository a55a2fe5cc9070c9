/* SPDX-License-Identifier: MIT */
/* conn_body.c: request bodies in: collected within their limits, or dropped. */
#include "app/conn_parts.h"

enum {
	RATE_AFTER_MS = 60000, /* from then on a body must have averaged RATE_PER_MS */
	RATE_PER_MS = 16,      /* KiB/s = bytes per ms, nearly */
};

/* ---- bodies ---- */

static bool body_grow(struct conn *c, size_t need, unsigned *status)
{
	struct request *r = c->req;
	size_t got;
	char *p;

	p = mem_take(&c->server->mem, MAX(need, r->body_cap * 2), &got);
	*status = 503;
	if (p == NULL)
		return false;
	if (!server_body_claim(c->server, r->body_cap, got)) {
		mem_give(&c->server->mem, p, got);
		return false;
	}
	if (r->body_n > 0)
		memcpy(p, r->body, r->body_n);
	mem_give(&c->server->mem, r->body, r->body_cap);
	r->body = p;
	r->body_cap = got;
	return true;
}

static bool body_append(struct conn *c, struct slice piece, unsigned *status)
{
	struct request *r = c->req;

	r->body_seen += piece.n;
	if (r->sink != NULL) {
		if (piece.n > 0)
			r->sink->on_piece(c->work, piece);
		return true;
	}
	*status = 413;
	if (r->body_seen > c->server->env.config->max_body)
		return false;
	if (r->body_discard || piece.n == 0)
		return true;
	if (r->body_n + piece.n > r->body_cap && !body_grow(c, r->body_n + piece.n, status))
		return false;
	memcpy(r->body + r->body_n, piece.p, piece.n);
	r->body_n += piece.n;
	return true;
}

static bool chunk_is_too_much(const struct conn *c)
{
	const struct request *r = c->req;

	return r->sink == NULL &&
	       http_body_promised(&r->framing) > c->server->env.config->max_body - r->body_seen;
}

enum parse conn_body_feed(struct conn *c, struct slice in, size_t *used, unsigned *status)
{
	struct request *r = c->req;

	*used = 0;
	for (;;) {
		struct slice piece;
		size_t n;
		enum parse p = http_body_feed(&r->framing, slice_from(in, *used), &n, &piece);

		*used += n;
		*status = 400;
		if (p == PARSE_BAD || !body_append(c, piece, status))
			return PARSE_BAD;
		if (chunk_is_too_much(c)) { /* as its size line says */
			*status = 413;
			return PARSE_BAD;
		}
		if (p == PARSE_DONE || *used == in.n)
			return p;
	}
}

struct slice conn_body(const struct conn *c)
{
	return slice_make(c->req->body, c->req->body_n);
}

/* Whoever took the body as it came must not wait for the rest. */
static void sink_drop(struct conn *c)
{
	const struct work_ops *ops = c->ops;
	void *work = c->work;

	if (c->req->sink == NULL || ops == NULL)
		return;
	conn_work_end(c);
	ops->on_gone(work);
}

static void body_refuse(struct conn *c, unsigned status)
{
	struct request *r = c->req;

	sink_drop(c);
	r->body_done = true;
	c->keep_alive = false;
	c->linger = true;
	if (status == 413)
		conn_error(c, 413, SLICE("request body is larger than --max-body allows"), 0);
	else if (status == 503)
		conn_error(c, 503, SLICE("too many large request bodies at once, try again"), 5);
	else
		conn_error(c, status, slice_str(r->framing.why), 0);
}

static void body_done(struct conn *c)
{
	struct request *r = c->req;

	r->body_done = true;
	loop_timer_clear(c->server->env.loop, &c->timer);
	if (r->sink == NULL) {
		r->route->fn(c);
		return;
	}
	c->state = CONN_WORK;
	r->sink->on_end(c->work);
}

void conn_body_too_slow(struct conn *c)
{
	sink_drop(c);
	c->req->body_done = true;
	c->keep_alive = false;
	c->linger = true;
	conn_error(c, 408, SLICE("the request body did not arrive in time"), 0);
}

/* Some of it came: silence counts anew, but a body that trickles is refused in the end. */
static void body_progress(struct conn *c)
{
	int64_t spent = loop_now(c->server->env.loop) - c->req->body_since;

	if (c->req->body_paused)
		return;
	if (spent > RATE_AFTER_MS && c->req->body_seen < (uint64_t)spent * RATE_PER_MS)
		conn_body_too_slow(c);
	else
		loop_timer_after(c->server->env.loop, &c->timer,
				 c->server->env.config->body_timeout_ms);
}

/* The bytes behind the head that came along with it. */
static void body_begin(struct conn *c)
{
	struct request *r = c->req;
	size_t used;
	unsigned status;
	enum parse p;

	r->body_since = loop_now(c->server->env.loop);
	c->state = CONN_BODY;
	if (r->head.expect_continue && buf_len(&c->in) == 0) {
		struct slice go = SLICE("HTTP/1.1 100 Continue\r\n\r\n");

		conn_put(c, &go, 1, false);
	}
	p = conn_body_feed(c, buf_view(&c->in), &used, &status);
	buf_consume(&c->in, used);
	if (p == PARSE_BAD) {
		body_refuse(c, status);
		return;
	}
	if (p == PARSE_DONE) {
		body_done(c);
		return;
	}
	conn_in_give(c); /* all of it was used */
	body_progress(c);
}

void conn_body_start(struct conn *c)
{
	const struct http_head *h = &c->req->head;

	if (h->framing == HTTP_LENGTH && h->length > c->server->env.config->max_body)
		body_refuse(c, 413);
	else
		body_begin(c);
}

void conn_body_stream(struct conn *c, const struct body_sink *sink)
{
	c->req->sink = sink;
	if (c->req->body_done)
		sink->on_end(c->work);
	else
		body_begin(c);
	if (c->state != CONN_FREE)
		conn_update_wish(c);
}

void conn_body_pause(struct conn *c)
{
	if (c->req->body_paused)
		return;
	c->req->body_paused = true;
	c->req->paused_since = loop_now(c->server->env.loop);
	if (c->state == CONN_BODY) /* the client is not to blame for this silence */
		loop_timer_clear(c->server->env.loop, &c->timer);
}

void conn_body_resume(struct conn *c)
{
	struct request *r = c->req;

	if (!r->body_paused)
		return;
	r->body_paused = false;
	if (c->state != CONN_BODY)
		return;
	r->body_since += loop_now(c->server->env.loop) - r->paused_since;
	loop_timer_after(c->server->env.loop, &c->timer, c->server->env.config->body_timeout_ms);
	conn_update_wish(c);
}

void conn_body_read(struct conn *c)
{
	struct server *s = c->server;
	unsigned rounds;

	for (rounds = 0; rounds < 8 && c->state == CONN_BODY; rounds++) {
		size_t n, used;
		unsigned status;
		enum io r = stream_read(&c->stream, s->scratch, SERVER_SCRATCH, &n);
		enum parse p;

		if (r == IO_AGAIN)
			return;
		if (r != IO_OK) { /* a truncated body is never acted on (RFC 9112, 8) */
			conn_close(c);
			return;
		}
		p = conn_body_feed(c, slice_make(s->scratch, n), &used, &status);
		if (p == PARSE_BAD) {
			body_refuse(c, status);
			return;
		}
		if (used < n) { /* the next request is behind the body */
			if (!conn_grow(&s->mem, &c->in, &c->in_cap, n - used, CONN_IN_MAX)) {
				conn_close(c);
				return;
			}
			buf_put(&c->in, slice_make(s->scratch + used, n - used));
		}
		if (p == PARSE_DONE)
			body_done(c);
		else
			body_progress(c);
		if (c->state != CONN_BODY || c->req->body_paused || n < SERVER_SCRATCH)
			return;
	}
}
