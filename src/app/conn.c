/* SPDX-License-Identifier: MIT */
/* conn.c: one client connection: its memory, its events, its deadlines, its end. */
#include "app/conn_parts.h"
#include "app/request_log.h"
#include "app/tls.h"

enum {
	BLOCK = 8192, /* of a request */
	LINGER_BYTES = 1024 * 1024,
	LINGER_MS = 2000,
	LAST_CHANCE_MS = 2000, /* for a first request, at the drain's finish */
};

/* ---- memory ---- */

void conn_in_give(struct conn *c)
{
	mem_give(&c->server->mem, c->in.base, c->in_cap);
	buf_init(&c->in, NULL, 0);
	c->in_cap = 0;
	c->seen = 0;
}

/* Room for at least `want` bytes behind what is there. */
bool conn_grow(struct mem *m, struct buf *b, size_t *cap, size_t want, size_t max)
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
	struct mem *m = &c->server->mem;

	server_body_claim(c->server, r->body_cap, 0);
	mem_give(m, r->body, r->body_cap);
	mem_give(m, r->work_mem, r->work_cap);
	r->body = NULL;
	r->work_mem = NULL;
	r->body_n = r->body_cap = r->work_cap = 0;
}

bool conn_work_arena(struct conn *c, struct arena *a, size_t size)
{
	size_t cap;
	void *mem = mem_take(&c->server->mem, size, &cap);

	if (mem == NULL) {
		conn_error(c, 503, SLICE("out of memory"), 5);
		return false;
	}
	c->req->work_mem = mem;
	c->req->work_cap = cap;
	arena_init(a, mem, cap);
	return true;
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
	mem_give(m, r->reply_mem, r->reply_cap);
	mem_give(m, r, r->block_cap);
}

bool conn_request_take(struct conn *c)
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

void conn_free(struct conn *c)
{
	struct server *s = c->server;

	loop_remove(s->env.loop, &c->handle);
	loop_timer_clear(s->env.loop, &c->timer);
	loop_later_cancel(&c->later);
	stream_close(&c->stream);
	server_idle_remove(s, c);
	request_free(c);
	conn_in_give(c);
	mem_give(&s->mem, c->out.base, c->out_cap);
	buf_init(&c->out, NULL, 0);
	c->out_cap = 0;
	c->rest.n = 0;
	c->state = CONN_FREE;
	server_conn_closed(s, c);
}

void conn_work_end(struct conn *c)
{
	c->ops = NULL;
	c->work = NULL;
}

/* Handshakes that fail are for whoever looks for them: anybody can make as many as he likes. */
static void log_why(const struct conn *c)
{
	struct log *log = c->server->env.log;
	const char *why = stream_is_open(&c->stream) ? stream_why(&c->stream) : NULL;
	struct log_line l;
	struct ip_addr peer;

	if (why == NULL || !log_is_on(log, LOG_DEBUG))
		return;
	memcpy(peer.b, c->peer.ip, sizeof(peer.b));
	log_begin(&l, log, LOG_DEBUG, "a connection broke");
	request_log_address(&l, "client", &peer);
	log_str(&l, "why", why);
	log_end(&l);
}

void conn_close(struct conn *c)
{
	const struct work_ops *ops = c->ops;
	void *work = c->work;

	if (c->state == CONN_FREE)
		return;
	if (ops != NULL) {
		conn_work_end(c);
		ops->on_gone(work);
	}
	log_why(c);
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
	conn_work_end(c);
	if (c->req != NULL)
		request_log_write(c, "aborted");
	stream_reset(&c->stream);
	conn_free(c);
}

/* Something failed in the middle of a call: the end of the turn is a safer place to act on it. */
void conn_break(struct conn *c)
{
	c->broken = true;
	loop_later(c->server->env.loop, &c->later);
}

static void linger_start(struct conn *c)
{
	c->state = CONN_LINGER;
	c->lingered = 0;
	conn_in_give(c);
	stream_finish(&c->stream);
	loop_timer_after(c->server->env.loop, &c->timer, LINGER_MS);
	conn_update_wish(c);
}

/* The reply is out: log it, and on to the next request or to the end. */
void conn_request_over(struct conn *c)
{
	struct server *s = c->server;

	request_log_write(c, NULL);
	request_free(c);
	c->was_high = false;
	if (c->until_close)
		sock_reset_on_close(c->stream.fd, false);
	c->until_close = false;
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
		conn_in_give(c);
		server_idle_add(s, c);
		loop_timer_after(s->env.loop, &c->timer, s->env.config->idle_timeout_ms);
	} else {
		loop_timer_after(s->env.loop, &c->timer, s->env.config->head_timeout_ms);
		if (!c->parsing) /* no event will come for what is in the buffer already */
			loop_later(s->env.loop, &c->later);
	}
	conn_update_wish(c);
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

/* Its end, too, is told when it is read on: it may be in order, behind a body that is whole. */
static bool body_is_paused(const struct conn *c)
{
	return c->state == CONN_BODY && c->req->body_paused;
}

void conn_update_wish(struct conn *c)
{
	unsigned wish = c->peer_fin || body_is_paused(c) ? 0 : LOOP_PEER;

	if (body_is_paused(c))
		;
	else if (c->state == CONN_HEAD || c->state == CONN_BODY || c->state == CONN_LINGER)
		wish |= LOOP_READ;
	if (conn_backlog(c) > 0)
		wish |= LOOP_WRITE;
	loop_wish(c->server->env.loop, c->handle, stream_await(&c->stream, wish));
	if (wish & LOOP_READ && stream_ready(&c->stream)) /* no event will come for that */
		loop_later(c->server->env.loop, &c->later);
}

/* The client half-closed while its reply is being made or sent. */
static void on_fin(struct conn *c)
{
	if (c->state == CONN_WORK && c->ops != NULL && c->ops->fin_is_gone) {
		conn_close(c);
		return;
	}
	c->peer_fin = true;
	conn_update_wish(c);
}

static void on_drained(struct conn *c)
{
	if (c->state == CONN_WORK && c->was_high && conn_backlog(c) <= CONN_LOW_MARK) {
		c->was_high = false;
		if (c->ops != NULL && c->ops->on_drained != NULL)
			c->ops->on_drained(c->work);
	}
}

/* Bytes that were read, and that nobody has looked at. */
static bool has_unseen(const struct conn *c)
{
	return c->state == CONN_HEAD && buf_len(&c->in) > c->seen;
}

static void on_ready(void *ctx, unsigned events)
{
	struct conn *c = ctx;

	if (events & LOOP_ERROR &&
	    ((c->state != CONN_HEAD && c->state != CONN_BODY) || body_is_paused(c))) {
		conn_close(c);
		return;
	}
	if (events & LOOP_WRITE) {
		conn_flush(c);
		on_drained(c);
	}
	if (c->state == CONN_FREE || c->broken)
		return;
	switch (c->state) {
	case CONN_HEAD:
		if (has_unseen(c)) /* the next request is here already: parse it first */
			break;
		if (events & (LOOP_READ | LOOP_HUP | LOOP_ERROR))
			conn_head_read(c);
		break;
	case CONN_BODY:
		if (events & (LOOP_READ | LOOP_HUP | LOOP_ERROR) && !c->req->body_paused)
			conn_body_read(c);
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
		conn_update_wish(c);
}

static void on_later(void *ctx, unsigned events)
{
	struct conn *c = ctx;

	(void)events;
	if (c->state == CONN_FREE)
		return;
	if (c->broken)
		conn_close(c);
	else if (has_unseen(c))
		conn_process_input(c);
	else if (stream_ready(&c->stream))
		on_ready(c, LOOP_READ);
}

/* Nothing, or the line end that old clients send behind a body (RFC 9112, 2.2). */
static bool is_line_end(struct slice s)
{
	return s.n == 0 || slice_eq(s, SLICE("\r\n")) || slice_eq(s, SLICE("\r"));
}

static void head_too_slow(struct conn *c)
{
	if (c->req == NULL || is_line_end(buf_view(&c->in))) {
		conn_close(c);
		return;
	}
	c->req->head.refuse = 408;
	c->req->head.why = "the request head did not arrive in time";
	conn_head_refuse(c);
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
		conn_cut(c);
		break;
	case CONN_BODY:
		conn_body_too_slow(c);
		break;
	default:
		conn_close(c);
		break;
	}
	if (c->state != CONN_FREE)
		conn_update_wish(c);
}

void conn_cut(struct conn *c)
{
	stream_reset(&c->stream);
	conn_close(c);
}

void conn_stop(struct conn *c)
{
	if (c->ops != NULL && c->ops->on_cut != NULL)
		c->ops->on_cut(c->work);
	else
		conn_cut(c);
}

/* It never asked anything, and its first request may be on its way: behind a handshake, or because
 * the connection is that young. */
static bool may_still_ask(const struct conn *c)
{
	const struct server *s = c->server;
	int64_t age = loop_now(s->env.loop) - c->opened_ms;

	return !c->asked && !s->cutting && (s->tls != NULL || age < LAST_CHANCE_MS);
}

static void give_last_chance(struct conn *c)
{
	const struct env *env = &c->server->env;
	int64_t left = c->opened_ms + env->config->head_timeout_ms - loop_now(env->loop);

	loop_timer_after(env->loop, &c->timer, MAX((int64_t)0, MIN(left, (int64_t)LAST_CHANCE_MS)));
}

void conn_drain(struct conn *c)
{
	if (c->state == CONN_HEAD && buf_len(&c->in) == 0)
		conn_head_read(c); /* its request may be here, unread */
	if (c->state == CONN_HEAD && buf_len(&c->in) == 0 && !may_still_ask(c)) {
		conn_close(c);
		return;
	}
	c->keep_alive = false;
	if (c->state == CONN_HEAD && buf_len(&c->in) == 0)
		give_last_chance(c);
	if (c->state != CONN_FREE)
		conn_update_wish(c);
}

void conn_open(struct conn *c, struct server *s, int fd, const struct sock_addr *peer,
	       bool reserve_only)
{
	memset(c, 0, sizeof(*c));
	c->server = s;
	c->peer = *peer;
	c->reserve_only = reserve_only;
	c->opened_ms = loop_now(s->env.loop);
	c->state = CONN_HEAD;
	timer_init(&c->timer, on_timer, c);
	c->later.fn = on_later;
	c->later.ctx = c;
	if (!tls_stream_open(s->tls, &c->stream, fd)) {
		conn_free(c);
		return;
	}
	c->handle = loop_add(s->env.loop, fd, LOOP_READ | LOOP_PEER, on_ready, c);
	if (c->handle.gen == 0) {
		conn_free(c);
		return;
	}
	loop_timer_after(s->env.loop, &c->timer, s->env.config->head_timeout_ms);
	/* often the request is there already, and reading now saves a turn */
	conn_head_read(c);
	if (c->state == CONN_HEAD && buf_len(&c->in) == 0 && !c->in_idle_list)
		server_idle_add(s, c); /* silent so far: the first to go when room is needed */
	if (c->state != CONN_FREE)
		conn_update_wish(c);
}
