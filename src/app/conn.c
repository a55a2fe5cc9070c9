/* SPDX-License-Identifier: MIT */
/* conn.c: one client connection: bytes in, requests out, in order; and its end. */
#include "app/conn.h"
#include "app/access.h"
#include "app/reply.h"
#include "app/request_log.h"
#include "base/fmt.h"
#include "proto/http_write.h"

enum {
	IN_FIRST = 4096,
	IN_MAX = 128 * 1024,       /* room for one more than the longest head */
	BLOCK = 8192,              /* of a request */
	LINGER_BYTES = 1024 * 1024,
	LINGER_MS = 2000,
	RATE_AFTER_MS = 60000,     /* from then on a body must have averaged RATE_PER_MS */
	RATE_PER_MS = 16,          /* KiB/s = bytes per ms, nearly */
};

static void process_input(struct conn *);
static void update_wish(struct conn *);

/* ---- memory ---- */

static void in_give(struct conn *c)
{
	mem_give(&c->server->mem, c->in.base, c->in_cap);
	buf_init(&c->in, NULL, 0);
	c->in_cap = 0;
	c->seen = 0;
}

/* Room for at least `want` bytes behind what is there. */
static bool grow(struct mem *m, struct buf *b, size_t *cap, size_t want, size_t max)
{
	size_t need = buf_len(b) + want, got;
	void *p;

	if (b->cap - b->tail >= want)
		return true;
	if (need > max)
		return false;
	if (need <= b->cap) { /* compact */
		size_t n;

		memmove(b->base, b->base + b->head, buf_len(b));
		n = buf_len(b);
		b->head = 0;
		b->tail = n;
		return true;
	}
	p = mem_take(m, need, &got);
	if (p == NULL)
		return false;
	mem_give(m, buf_move(b, p, got), *cap);
	*cap = got;
	return true;
}

void conn_drop_body(struct conn *c)
{
	struct request *r = c->req;

	if (r->body == NULL)
		return;
	server_body_claim(c->server, r->body_cap, 0);
	mem_give(&c->server->mem, r->body, r->body_cap);
	r->body = NULL;
	r->body_n = r->body_cap = 0;
}

static void request_free(struct conn *c)
{
	struct request *r = c->req;
	struct mem *m = &c->server->mem;

	if (r == NULL)
		return;
	conn_drop_body(c);
	c->req = NULL;
	mem_give(m, r->head_mem, r->head_cap);
	mem_give(m, r->path_mem, r->path_cap);
	mem_give(m, r->work_mem, r->work_cap);
	mem_give(m, r->reply_mem, r->reply_cap);
	mem_give(m, r, r->block_cap);
}

static bool request_take(struct conn *c)
{
	size_t cap;
	struct request *r = mem_take(&c->server->mem, BLOCK, &cap);

	if (r == NULL)
		return false;
	/* the fields of the head are filled by the parser; clearing them would cost more than the rest */
	memset((char *)r + sizeof(r->head), 0, sizeof(*r) - sizeof(r->head));
	r->head.count = 0;
	r->block_cap = cap;
	r->log.queue_ms = r->log.ttft_ms = -1;
	r->started = loop_now(c->server->env.loop);
	arena_init(&r->arena, r + 1, cap - sizeof(*r));
	c->req = r;
	return true;
}

/* ---- the end ---- */

static void conn_free(struct conn *c)
{
	struct server *s = c->server;

	loop_remove(s->env.loop, &c->handle);
	loop_timer_clear(s->env.loop, &c->timer);
	loop_later_cancel(&c->later);
	stream_close(&c->stream);
	server_idle_remove(s, c);
	request_free(c);
	in_give(c);
	mem_give(&s->mem, c->out.base, c->out_cap);
	buf_init(&c->out, NULL, 0);
	c->out_cap = 0;
	c->rest.n = 0;
	c->state = CONN_FREE;
	server_conn_closed(s, c);
}

static void work_end(struct conn *c)
{
	c->ops = NULL;
	c->work = NULL;
}

void conn_close(struct conn *c)
{
	const struct work_ops *ops = c->ops;
	void *work = c->work;

	if (c->state == CONN_FREE)
		return;
	if (ops != NULL) {
		work_end(c);
		ops->on_gone(work);
	}
	if (c->req != NULL && c->req->status != 0)
		request_log_write(c, "cut");
	else if (c->req != NULL && (c->state == CONN_WORK || c->state == CONN_BODY))
		request_log_write(c, "gone");
	conn_free(c);
}

void conn_abort(struct conn *c)
{
	if (c->state == CONN_FREE)
		return;
	work_end(c);
	if (c->req != NULL)
		request_log_write(c, "aborted");
	stream_reset(&c->stream);
	conn_free(c);
}

/* Something failed in the middle of a call: the end of the turn is a safer place to act on it. */
static void conn_break(struct conn *c)
{
	c->broken = true;
	loop_later(c->server->env.loop, &c->later);
}

static void linger_start(struct conn *c)
{
	c->state = CONN_LINGER;
	c->lingered = 0;
	in_give(c);
	stream_finish(&c->stream);
	loop_timer_after(c->server->env.loop, &c->timer, LINGER_MS);
	update_wish(c);
}

/* The reply is out: log it, and on to the next request or to the end. */
static void request_over(struct conn *c)
{
	struct server *s = c->server;

	request_log_write(c, NULL);
	request_free(c);
	c->was_high = false;
	if (!c->keep_alive) {
		if (c->linger || buf_len(&c->in) > 0)
			linger_start(c);
		else
			conn_free(c);
		return;
	}
	c->state = CONN_HEAD;
	c->seen = 0;
	if (buf_len(&c->in) == 0) {
		in_give(c);
		server_idle_add(s, c);
		loop_timer_after(s->env.loop, &c->timer, s->env.config->idle_timeout_ms);
	} else {
		loop_timer_after(s->env.loop, &c->timer, s->env.config->head_timeout_ms);
		if (!c->parsing) /* no event will come for what is in the buffer already */
			loop_later(s->env.loop, &c->later);
	}
	update_wish(c);
}

/* ---- output ---- */

size_t conn_backlog(const struct conn *c)
{
	return buf_len(&c->out) + c->rest.n;
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

static void flush(struct conn *c)
{
	struct server *s = c->server;
	bool moved = false;

	while (conn_backlog(c) > 0) {
		struct slice parts[2] = { buf_view(&c->out), c->rest };
		size_t n;
		enum io r = stream_write(&c->stream, parts, 2, &n);

		if (r == IO_AGAIN)
			break;
		if (r != IO_OK) {
			conn_break(c);
			return;
		}
		moved = true;
		consume(c, n);
	}
	if (conn_backlog(c) > 0) {
		if (moved || !timer_is_set(&c->timer))
			loop_timer_after(s->env.loop, &c->timer, s->env.config->send_timeout_ms);
		return;
	}
	stream_flush(&c->stream);
	if (c->state == CONN_FLUSH)
		request_over(c);
	else
		loop_timer_clear(s->env.loop, &c->timer);
}

static bool out_keep(struct conn *c, struct slice s)
{
	if (s.n == 0)
		return true;
	if (!grow(&c->server->mem, &c->out, &c->out_cap, s.n, SIZE_MAX))
		return false;
	return buf_put(&c->out, s);
}

/* Sends the parts now as far as the socket takes them and keeps the rest; the last part is not
 * copied when `last_stays` (its bytes outlive the reply). */
static void put(struct conn *c, const struct slice *parts, size_t count, bool last_stays)
{
	size_t n = 0, i;
	bool ok = true;

	if (c->broken || c->state == CONN_FREE)
		return;
	if (conn_backlog(c) == 0) {
		enum io r = stream_write(&c->stream, parts, count, &n);

		if (r != IO_OK && r != IO_AGAIN) {
			conn_break(c);
			return;
		}
	}
	for (i = 0; i < count && ok; i++) {
		struct slice left = slice_from(parts[i], MIN(n, parts[i].n));

		n -= MIN(n, parts[i].n);
		if (last_stays && i + 1 == count && c->rest.n == 0)
			c->rest = left;
		else
			ok = out_keep(c, left);
	}
	if (!ok) {
		conn_break(c);
		return;
	}
	if (conn_backlog(c) == 0) {
		stream_flush(&c->stream);
		return;
	}
	if (conn_backlog(c) > CONN_HIGH_MARK)
		c->was_high = true;
	if (!timer_is_set(&c->timer))
		loop_timer_after(c->server->env.loop, &c->timer, c->server->env.config->send_timeout_ms);
	update_wish(c);
}

/* ---- replies ---- */

/* Feeds bytes to the body's framing; content is collected, or dropped. Says how far it came in
 * *used. On PARSE_BAD req->framing.why is set, or the body was too much: *status says what to
 * answer. */
static enum parse body_feed(struct conn *c, struct slice in, size_t *used, unsigned *status);

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
	if (c->state == CONN_HEAD && r->head_mem != NULL && !r->head.expect_continue && buf_len(&c->in) > 0) {
		r->body_discard = true;
		if (body_feed(c, buf_view(&c->in), &used, &status) == PARSE_DONE) {
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
	if (c->server->env.shared->drain != DRAIN_NONE)
		c->keep_alive = false;
	c->chunked = length < 0 && c->req->head.minor >= 1;
	if (length < 0 && !c->chunked)
		c->keep_alive = false; /* the end of the connection is the end of the body */
	c->req->status = status;
	reply_head(c, head, status, type, fields, length);
}

static void reply_end(struct conn *c)
{
	work_end(c);
	if (c->broken || c->state == CONN_FREE)
		return;
	loop_timer_clear(c->server->env.loop, &c->timer);
	if (conn_backlog(c) == 0) {
		request_over(c);
		return;
	}
	c->state = CONN_FLUSH;
	loop_timer_after(c->server->env.loop, &c->timer, c->server->env.config->send_timeout_ms);
	update_wish(c);
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
	put(c, parts, 2, stays);
	reply_end(c);
}

void conn_reply(struct conn *c, unsigned status, struct slice type, struct slice fields, struct slice body)
{
	reply_whole(c, status, type, fields, body, false);
}

void conn_reply_static(struct conn *c, unsigned status, struct slice type, struct slice fields, struct slice body)
{
	reply_whole(c, status, type, fields, body, true);
}

void conn_reply_block(struct conn *c, unsigned status, struct slice type, struct slice fields, void *mem,
		      size_t cap, size_t n)
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
			  retry_after > 0 ? reply_retry_after(&fields, retry_after) : slice_make("", 0));
}

void conn_begin(struct conn *c, unsigned status, struct slice type, struct slice fields, int64_t length)
{
	char mem[REPLY_HEAD_MAX];
	struct buf head;
	struct slice part;

	buf_init(&head, mem, sizeof(mem));
	reply_start(c, status, type, fields, length, &head);
	part = buf_view(&head);
	put(c, &part, 1, false);
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
	put(c, parts, 3, false);
}

void conn_finish(struct conn *c)
{
	struct slice last = SLICE(HTTP_LAST_CHUNK);

	if (c->chunked && !c->no_body)
		put(c, &last, 1, false);
	reply_end(c);
}

void conn_work_start(struct conn *c, const struct work_ops *ops, void *work)
{
	c->ops = ops;
	c->work = work;
	if (c->state != CONN_FREE)
		c->state = CONN_WORK;
}

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

static enum parse body_feed(struct conn *c, struct slice in, size_t *used, unsigned *status)
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
		if (p == PARSE_DONE || *used == in.n)
			return p;
	}
}

struct slice conn_body(const struct conn *c)
{
	return slice_make(c->req->body, c->req->body_n);
}

static void body_refuse(struct conn *c, unsigned status)
{
	struct request *r = c->req;

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
	r->route->fn(c);
}

static void body_too_slow(struct conn *c)
{
	c->req->body_done = true;
	c->keep_alive = false;
	c->linger = true;
	conn_error(c, 408, SLICE("the request body did not arrive in time"), 0);
}

/* Some of it came: silence counts anew, but a body that trickles is refused in the end. */
static void body_progress(struct conn *c)
{
	int64_t spent = loop_now(c->server->env.loop) - c->req->body_since;

	if (spent > RATE_AFTER_MS && c->req->body_seen < (uint64_t)spent * RATE_PER_MS)
		body_too_slow(c);
	else
		loop_timer_after(c->server->env.loop, &c->timer, c->server->env.config->body_timeout_ms);
}

/* The bytes behind the head that came along with it. */
static void body_start(struct conn *c)
{
	struct request *r = c->req;
	size_t used;
	unsigned status;
	enum parse p;

	if (r->head.framing == HTTP_LENGTH && r->head.length > c->server->env.config->max_body) {
		body_refuse(c, 413);
		return;
	}
	r->body_since = loop_now(c->server->env.loop);
	c->state = CONN_BODY;
	if (r->head.expect_continue && buf_len(&c->in) == 0) {
		struct slice go = SLICE("HTTP/1.1 100 Continue\r\n\r\n");

		put(c, &go, 1, false);
	}
	p = body_feed(c, buf_view(&c->in), &used, &status);
	buf_consume(&c->in, used);
	if (p == PARSE_BAD) {
		body_refuse(c, status);
		return;
	}
	if (p == PARSE_DONE) {
		body_done(c);
		return;
	}
	in_give(c); /* all of it was used */
	body_progress(c);
}

static void body_read(struct conn *c)
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
		p = body_feed(c, slice_make(s->scratch, n), &used, &status);
		if (p == PARSE_BAD) {
			body_refuse(c, status);
			return;
		}
		if (used < n) { /* the next request is behind the body */
			if (!grow(&s->mem, &c->in, &c->in_cap, n - used, IN_MAX)) {
				conn_close(c);
				return;
			}
			buf_put(&c->in, slice_make(s->scratch + used, n - used));
		}
		if (p == PARSE_DONE)
			body_done(c);
		else
			body_progress(c);
		if (c->state != CONN_BODY || n < SERVER_SCRATCH)
			return;
	}
}

/* ---- heads ---- */

/* The head's slices must not move any more: its block becomes the request's, what is behind the
 * head goes on in a new one. */
static bool detach_head(struct conn *c)
{
	struct request *r = c->req;
	size_t left = buf_len(&c->in) - r->head.size, cap = 0;
	char *p = NULL;
	struct slice rest = slice_from(buf_view(&c->in), r->head.size);

	if (left > 0) {
		p = mem_take(&c->server->mem, MAX(left, (size_t)IN_FIRST), &cap);
		if (p == NULL)
			return false;
		memcpy(p, rest.p, left);
	}
	r->head_mem = c->in.base;
	r->head_cap = c->in_cap;
	buf_init(&c->in, p, cap);
	buf_commit(&c->in, left);
	c->in_cap = cap;
	c->seen = 0;
	return true;
}

static bool read_target(struct conn *c)
{
	struct request *r = c->req;
	size_t n = r->head.target.n;
	char *mem;

	if (n <= 1024) {
		mem = arena_take(&r->arena, n);
	} else {
		r->path_mem = mem_take(&c->server->mem, n, &r->path_cap);
		mem = r->path_mem;
	}
	return mem != NULL && uri_parse(r->head.target, mem, &r->uri);
}

static struct slice method_list(unsigned methods, struct buf *b)
{
	static const struct {
		unsigned bit;
		const char *name;
	} all[] = { { HTTP_GET, "GET" }, { HTTP_HEAD, "HEAD" }, { HTTP_POST, "POST" },
		    { HTTP_PUT, "PUT" }, { HTTP_DELETE, "DELETE" }, { HTTP_OPTIONS, "OPTIONS" } };
	size_t i;

	buf_put_str(b, "Allow: ");
	for (i = 0; i < ARRAY_LEN(all); i++) {
		if (!(methods & all[i].bit))
			continue;
		if (b->base[b->tail - 1] != ' ')
			buf_put_str(b, ", ");
		buf_put_str(b, all[i].name);
	}
	buf_put_str(b, "\r\n");
	return buf_view(b);
}

static void method_refuse(struct conn *c, unsigned allowed)
{
	char mem[128];
	struct buf b;
	bool options = c->req->head.method == HTTP_OPTIONS;

	buf_init(&b, mem, sizeof(mem));
	method_list(allowed | HTTP_OPTIONS, &b);
	if (options)
		conn_reply(c, 204, slice_make("", 0), buf_view(&b), slice_make("", 0));
	else
		conn_error_fields(c, 405, SLICE("method not allowed here"), buf_view(&b));
}

static unsigned methods_of(const struct route *r)
{
	return r->methods | (r->methods & HTTP_GET ? (unsigned)HTTP_HEAD : 0);
}

/* A POST that says nothing of a body has none; where one is needed, that is the better thing to say. */
static bool needs_length(const struct request *r)
{
	return r->head.framing == HTTP_NONE && r->head.method == HTTP_POST && (r->route->flags & ROUTE_COLLECT) &&
	       !(r->route->flags & ROUTE_FORWARD) && http_field_find(&r->head, SLICE("Content-Length")) == NULL;
}

/* Nobody here undoes gzip and the like. */
static bool content_is_encoded(const struct request *r)
{
	struct slice coding = http_field_value(&r->head, SLICE("Content-Encoding"));

	return (r->route->flags & (ROUTE_COLLECT | ROUTE_FORWARD)) == ROUTE_COLLECT && coding.n > 0 &&
	       !slice_eq_nocase(coding, SLICE("identity"));
}

/* Decides about a whole head: refuse, answer, or read the body first. */
static void dispatch(struct conn *c)
{
	static const struct route none = { SLICE_INIT(""), HTTP_GET, 0, NULL };
	struct request *r = c->req;
	const struct server *s = c->server;

	c->keep_alive = r->head.keep_alive;
	c->linger = false;
	c->no_body = r->head.method == HTTP_HEAD;
	http_body_init(&r->framing, &r->head);
	r->body_done = r->head.framing == HTTP_NONE ||
		       (r->head.framing == HTTP_LENGTH && r->head.length == 0);
	if (!detach_head(c)) {
		conn_close(c);
		return;
	}
	r->route = &none;
	if (!read_target(c)) {
		conn_error(c, 400, SLICE("invalid request target"), 0);
		return;
	}
	if (r->uri.asterisk && r->head.method == HTTP_OPTIONS) {
		method_refuse(c, HTTP_GET | HTTP_HEAD | HTTP_POST);
		return;
	}
	r->route = server_route_find(s, r->uri.path);
	access_identify(c);
	c->reserve_only = c->reserve_only && s->open_count > s->env.config->max_connections;
	if (c->reserve_only && !(r->route->flags & ROUTE_PROBE)) {
		c->keep_alive = false;
		conn_error(c, 503, SLICE("too many connections, try again"), 2);
		return;
	}
	if (!access_allow(c))
		return;
	if (!(methods_of(r->route) & r->head.method)) {
		method_refuse(c, methods_of(r->route));
		return;
	}
	if (needs_length(r)) {
		conn_error(c, 411, SLICE("a body needs Content-Length or chunked transfer coding"), 0);
		return;
	}
	if (content_is_encoded(r)) {
		conn_error(c, 415, SLICE("a request body must not be encoded (Content-Encoding)"), 0);
		return;
	}
	r->body_discard = !(r->route->flags & ROUTE_COLLECT);
	if (r->body_done || (r->body_discard && r->head.expect_continue)) {
		r->route->fn(c); /* who asks first is told without sending a body nobody reads */
		return;
	}
	body_start(c);
}

static void head_refuse(struct conn *c)
{
	static const struct route none = { SLICE_INIT(""), HTTP_GET, 0, NULL };
	struct request *r = c->req;

	c->keep_alive = false;
	c->linger = true;
	c->no_body = false;
	r->body_done = true;
	r->head.minor = 1;
	r->head.count = 0;
	r->route = &none;
	r->head.method_text = r->head.target = slice_make("", 0);
	conn_error(c, r->head.refuse, slice_str(r->head.why), 0);
}

/* Every whole request that is in the buffer, as long as replies do not pile up. */
static void process_input(struct conn *c)
{
	struct server *s = c->server;

	c->parsing = true;
	while (c->state == CONN_HEAD && buf_len(&c->in) > 0 && !c->broken) {
		enum parse p;

		if (c->req == NULL && !request_take(c)) {
			conn_close(c);
			return;
		}
		p = http_request_parse(&c->req->head, buf_view(&c->in), c->seen);
		if (p == PARSE_MORE) {
			if (c->seen == 0)
				loop_timer_after(s->env.loop, &c->timer, s->env.config->head_timeout_ms);
			c->seen = buf_len(&c->in);
			break;
		}
		c->seen = 0;
		loop_timer_clear(s->env.loop, &c->timer);
		if (p == PARSE_BAD)
			head_refuse(c);
		else
			dispatch(c);
	}
	c->parsing = false;
	if (c->state != CONN_FREE)
		update_wish(c);
}

static void head_read(struct conn *c)
{
	struct server *s = c->server;
	size_t n, room;
	char *p;
	enum io r;

	if (c->in.base == NULL || c->in.tail == c->in.cap) {
		if (!grow(&s->mem, &c->in, &c->in_cap, c->in.base == NULL ? IN_FIRST : buf_len(&c->in), IN_MAX)) {
			conn_close(c);
			return;
		}
	}
	p = buf_space(&c->in, &room);
	r = stream_read(&c->stream, p, room, &n);
	if (r == IO_AGAIN) {
		if (buf_len(&c->in) == 0)
			in_give(c);
		return;
	}
	if (r != IO_OK) {
		conn_close(c);
		return;
	}
	server_idle_remove(s, c);
	buf_commit(&c->in, n);
	process_input(c);
}

static void linger_read(struct conn *c)
{
	size_t n;
	enum io r;

	do {
		r = stream_read(&c->stream, c->server->scratch, SERVER_SCRATCH, &n);
		if (r == IO_OK)
			c->lingered += n;
	} while (r == IO_OK && c->lingered < LINGER_BYTES);
	if (r != IO_AGAIN)
		conn_free(c);
}

/* ---- events ---- */

static void update_wish(struct conn *c)
{
	unsigned wish = c->peer_fin ? 0 : LOOP_PEER;

	if (c->state == CONN_HEAD || c->state == CONN_BODY || c->state == CONN_LINGER)
		wish |= LOOP_READ;
	if (conn_backlog(c) > 0)
		wish |= LOOP_WRITE;
	loop_wish(c->server->env.loop, c->handle, stream_await(&c->stream, wish));
}

/* The client half-closed while its reply is being made or sent. */
static void on_fin(struct conn *c)
{
	if (c->state == CONN_WORK && c->ops != NULL && c->ops->fin_is_gone) {
		conn_close(c);
		return;
	}
	c->peer_fin = true;
	update_wish(c);
}

static void on_drained(struct conn *c)
{
	if (c->state == CONN_WORK && c->was_high && conn_backlog(c) <= CONN_LOW_MARK) {
		c->was_high = false;
		if (c->ops != NULL && c->ops->on_drained != NULL)
			c->ops->on_drained(c->work);
	}
}

static void on_ready(void *ctx, unsigned events)
{
	struct conn *c = ctx;

	if (events & LOOP_ERROR && c->state != CONN_HEAD && c->state != CONN_BODY) {
		conn_close(c);
		return;
	}
	if (events & LOOP_WRITE) {
		flush(c);
		on_drained(c);
	}
	if (c->state == CONN_FREE || c->broken)
		return;
	switch (c->state) {
	case CONN_HEAD:
		if (events & (LOOP_READ | LOOP_HUP | LOOP_ERROR))
			head_read(c);
		break;
	case CONN_BODY:
		if (events & (LOOP_READ | LOOP_HUP | LOOP_ERROR))
			body_read(c);
		break;
	case CONN_LINGER:
		if (events & (LOOP_READ | LOOP_HUP))
			linger_read(c);
		break;
	default:
		if (events & LOOP_HUP)
			on_fin(c);
		break;
	}
	if (c->state != CONN_FREE)
		update_wish(c);
}

static void on_later(void *ctx, unsigned events)
{
	struct conn *c = ctx;

	(void)events;
	if (c->state == CONN_FREE)
		return;
	if (c->broken)
		conn_close(c);
	else
		process_input(c);
}

static void head_too_slow(struct conn *c)
{
	if (c->in_idle_list || buf_len(&c->in) == 0 || c->req == NULL) {
		conn_close(c);
		return;
	}
	c->req->head.refuse = 408;
	c->req->head.why = "the request head did not arrive in time";
	head_refuse(c);
}

static void on_timer(void *ctx, int64_t now)
{
	struct conn *c = ctx;

	(void)now;
	switch (c->state) {
	case CONN_HEAD:
		if (conn_backlog(c) == 0) {
			head_too_slow(c);
			break;
		}
		/* fall through */
	case CONN_WORK:
	case CONN_FLUSH: /* it takes nothing while data waits */
		stream_reset(&c->stream);
		conn_close(c);
		break;
	case CONN_BODY:
		body_too_slow(c);
		break;
	default:
		conn_close(c);
		break;
	}
	if (c->state != CONN_FREE)
		update_wish(c);
}

bool conn_is_idle(const struct conn *c)
{
	return c->in_idle_list;
}

void conn_drain(struct conn *c)
{
	if (c->state == CONN_HEAD && buf_len(&c->in) == 0)
		conn_close(c);
	else
		c->keep_alive = false;
}

void conn_open(struct conn *c, struct server *s, int fd, const struct sock_addr *peer, bool reserve_only)
{
	memset(c, 0, sizeof(*c));
	c->server = s;
	c->peer = *peer;
	c->reserve_only = reserve_only;
	c->state = CONN_HEAD;
	stream_init_sock(&c->stream, fd);
	timer_init(&c->timer, on_timer, c);
	c->later.fn = on_later;
	c->later.ctx = c;
	c->handle = loop_add(s->env.loop, fd, LOOP_READ | LOOP_PEER, on_ready, c);
	if (c->handle.gen == 0) {
		conn_free(c);
		return;
	}
	loop_timer_after(s->env.loop, &c->timer, s->env.config->head_timeout_ms);
	/* often the request is there already, and reading now saves a turn */
	head_read(c);
}
