/* SPDX-License-Identifier: MIT */
/* relay_read.c: the request's bytes out, the reply's bytes in: head, framing, back-pressure, and
 * how the connection ended. */
#include "app/relay_parts.h"

enum {
	READ_ROUNDS = 4,      /* per event, so that one fast stream does not starve the rest */
	INTERIM_MAX = 4096,   /* 1xx heads */
	DONE_GRACE_MS = 1000, /* from the stream's own end to that of its body */
};

/* ---- reading ---- */

static enum relay_step head_keep(struct relay *r, struct slice bytes)
{
	size_t got;

	if (r->head == NULL) {
		r->head = mem_take(&r->server->mem, HTTP_RESPONSE_HEAD_MAX * 2, &got);
		if (r->head == NULL)
			return relay_fail(r, FAULT_MEMORY, NULL);
		r->head_cap = got;
	}
	if (bytes.n > r->head_cap - r->head_n)
		return relay_fail(r, FAULT_NONSENSE, "its response head is too long");
	memcpy(r->head + r->head_n, bytes.p, bytes.n);
	r->head_n += bytes.n;
	return RELAY_GO_ON;
}

static enum relay_step feed_body(struct relay *r, struct slice in)
{
	for (;;) {
		struct slice piece;
		size_t n;
		enum parse p = http_body_feed(&r->body, in, &n, &piece);

		if (p == PARSE_BAD)
			return relay_fail(r, FAULT_NONSENSE, r->body.why);
		in = slice_from(in, n);
		if (piece.n > 0 && relay_reply_piece(r, piece) == RELAY_ENDED)
			return RELAY_ENDED;
		if (p == PARSE_DONE) {
			if (in.n > 0) /* surplus bytes: this connection is out of step */
				r->up_keep = false;
			return relay_reply_done(r);
		}
		if (in.n == 0)
			return RELAY_GO_ON;
	}
}

static enum relay_step take_head(struct relay *r, const struct http_head *h, struct slice rest)
{
	r->up_keep = h->keep_alive && h->framing != HTTP_CLOSE;
	http_body_init(&r->body, h);
	r->state = RELAY_BODY;
	if (r->sent < r->to_send) /* answered early: the rest of the request is not wanted */
		r->up_keep = false;
	else
		conn_drop_body(r->conn);
	if (relay_reply_head(r, h) == RELAY_ENDED)
		return RELAY_ENDED;
	relay_state_enter(r, RELAY_BODY);
	return feed_body(r, rest);
}

/* Heads of interim responses are skipped (RFC 9110, 15.2), then comes the real one. */
static enum relay_step feed_head(struct relay *r, struct slice bytes)
{
	struct http_head h;
	struct slice view = bytes;
	size_t seen = r->head_n;

	if (r->head_n > 0) {
		if (head_keep(r, bytes) == RELAY_ENDED)
			return RELAY_ENDED;
		view = slice_make(r->head, r->head_n);
	}
	for (;;) {
		enum parse p = http_response_parse(&h, view, seen, r->plan.head_only);

		seen = 0;
		if (p == PARSE_BAD)
			return relay_fail(r, FAULT_NONSENSE, h.why);
		if (p == PARSE_MORE)
			break;
		if (h.status >= 200)
			return take_head(r, &h, slice_from(view, h.size));
		if (h.status == 101 || ++r->interim > INTERIM_MAX)
			return relay_fail(r, FAULT_NONSENSE, "interim responses without end");
		view = slice_from(view, h.size);
		if (view.n == 0)
			break;
	}
	if (r->head_n == 0)
		return view.n > 0 ? head_keep(r, view) : RELAY_GO_ON;
	memmove(r->head, view.p, view.n);
	r->head_n = view.n;
	return RELAY_GO_ON;
}

static enum relay_step retry(struct relay *r)
{
	struct upstream *up = r->up;

	r->retried = true;
	r->up = NULL;
	r->sent = 0;
	r->wait.fresh = true;
	upstream_give(up, false);
	relay_connect(r);
	return RELAY_ENDED; /* as far as the caller is concerned */
}

/* The upstream's side ended: in order, or not. */
static enum relay_step upstream_ended(struct relay *r, enum io how)
{
	if (r->state == RELAY_HEAD) {
		if (r->up->reused && !r->reply_byte && !r->retried)
			return retry(r);
		return relay_fail(r, FAULT_HANGUP, NULL);
	}
	if (r->body.framing == HTTP_CLOSE && how == IO_EOF)
		return relay_reply_done(r);
	return relay_fail(r, FAULT_BROKEN, NULL);
}

static enum relay_step feed(struct relay *r, struct slice bytes)
{
	r->reply_byte = true;
	if (r->plan.generation)
		r->server->env.shared->moved_ms = relay_now(r);
	return r->state == RELAY_BODY ? feed_body(r, bytes) : feed_head(r, bytes);
}

static enum relay_step read_upstream(struct relay *r)
{
	struct server *s = r->server;
	unsigned i;

	for (i = 0; i < READ_ROUNDS && !r->paused; i++) {
		/* short lines grow by their chunk heads: read less when they will have to be kept */
		size_t n, cap = conn_backlog(r->conn) > 0 ? SERVER_SCRATCH / 8 : SERVER_SCRATCH;
		enum io how = stream_read(&r->up->stream, s->scratch, cap, &n);

		if (how == IO_AGAIN)
			return RELAY_GO_ON;
		if (how != IO_OK)
			return upstream_ended(r, how);
		if (feed(r, slice_make(s->scratch, n)) == RELAY_ENDED)
			return RELAY_ENDED;
		if (conn_backlog(r->conn) > CONN_HIGH_MARK) {
			r->paused = true;
			upstream_wish(r->up, 0);
			relay_timer_arm(r, 0);
			return RELAY_GO_ON;
		}
		if (r->state == RELAY_BODY)
			relay_timer_arm(r, r->done ? MIN(r->plan.stall_ms, (int64_t)DONE_GRACE_MS)
						   : r->plan.stall_ms);
		if (n < cap)
			return RELAY_GO_ON;
	}
	return RELAY_GO_ON;
}

void relay_on_drained(void *work)
{
	struct relay *r = work;

	if (!r->paused)
		return;
	r->paused = false;
	upstream_wish(r->up, LOOP_READ | LOOP_PEER);
	relay_timer_arm(r, r->plan.stall_ms);
}

/* ---- writing ---- */

static enum io send_some(struct relay *r)
{
	struct slice left[RELAY_PARTS_MAX];
	uint64_t skip = r->sent;
	size_t i, count = 0, n;
	enum io how;

	for (i = 0; i < r->plan.part_count; i++) {
		struct slice p = r->plan.parts[i];

		if (skip >= p.n) {
			skip -= p.n;
			continue;
		}
		left[count++] = slice_from(p, (size_t)skip);
		skip = 0;
	}
	how = stream_write(&r->up->stream, left, count, &n);
	r->sent += n;
	return how;
}

void relay_request_send(struct relay *r)
{
	while (r->sent < r->to_send) {
		enum io how = send_some(r);

		if (how == IO_AGAIN)
			break;
		if (how != IO_OK) /* perhaps it has said why: the reading side will tell */
			break;
	}
	stream_flush(&r->up->stream);
	if (!r->paused)
		upstream_wish(r->up,
			      LOOP_READ | LOOP_PEER | (r->sent < r->to_send ? LOOP_WRITE : 0u));
}

void relay_on_upstream(void *ctx, unsigned events)
{
	struct relay *r = ctx;

	if (r->paused) {
		if (events & LOOP_ERROR)
			relay_fail(r, FAULT_BROKEN, NULL);
		return;
	}
	if (events & (LOOP_READ | LOOP_HUP | LOOP_ERROR)) {
		if (read_upstream(r) == RELAY_ENDED)
			return;
	}
	if (events & LOOP_WRITE && r->up != NULL && r->sent < r->to_send)
		relay_request_send(r);
}
