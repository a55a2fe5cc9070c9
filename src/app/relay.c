/* SPDX-License-Identifier: MIT */
/* relay.c: drives one request through the upstream: turn, connection, bytes out, bytes in,
 * deadlines, the one retry, and whoever leaves in between. */
#include "app/relay.h"
#include "base/fmt.h"

enum {
	BLOCK = 4096,
	READ_ROUNDS = 4,        /* per event, so that one fast stream does not starve the rest */
	INTERIM_MAX = 4096,     /* 1xx heads */
	DONE_GRACE_MS = 1000,   /* from the stream's own end to that of its body */
	KEEPER_GRACE_MS = 2000, /* beyond --connect-timeout, which the keeper enforces */
};

static void connect_upstream(struct relay *);
static void on_upstream(void *ctx, unsigned events);

static int64_t now_of(const struct relay *r)
{
	return loop_now(r->server->env.loop);
}

static void timer_arm(struct relay *r, int64_t ms)
{
	if (ms > 0)
		loop_timer_after(r->server->env.loop, &r->timer, ms);
	else
		loop_timer_clear(r->server->env.loop, &r->timer);
}

static void publish(struct relay *r)
{
	if (!r->plan.generation)
		return;
	r->server->env.shared->active = r->plan.gate->active;
	r->server->env.shared->queued = r->plan.gate->queued;
}

static void leave_gate(struct relay *r)
{
	struct ticket *next;

	if (r->plan.gate == NULL || r->ticket.state == TICKET_NONE)
		return;
	next = admission_leave(r->plan.gate, &r->ticket, now_of(r), r->reply_byte);
	publish(r);
	if (next != NULL) /* not from here: a queue of failing requests must not nest */
		loop_later(r->server->env.loop, &((struct relay *)next->owner)->begin);
}

struct conn *relay_release(struct relay *r, bool keep_upstream)
{
	struct server *s = r->server;
	struct conn *c = r->conn;

	loop_timer_clear(s->env.loop, &r->timer);
	loop_timer_clear(s->env.loop, &r->total);
	loop_later_cancel(&r->begin);
	upstream_cancel(s->upstreams, &r->wait);
	leave_gate(r);
	if (r->up != NULL) {
		struct upstream *up = r->up;

		r->up = NULL;
		upstream_give(up, keep_upstream);
	}
	mem_give(&s->mem, r->head, r->head_cap);
	mem_give(&s->mem, r->carry.base, r->carry_cap);
	mem_give(&s->mem, r->answer.base, r->answer_cap);
	mem_give(&s->mem, r, r->cap);
	return c;
}

static void on_gone(void *work)
{
	struct relay *r = work;

	r->conn->req->log.result = r->plan.generation ? "cancelled" : NULL;
	relay_release(r, false);
}

/* ---- reading ---- */

static enum relay_step head_keep(struct relay *r, struct slice bytes)
{
	size_t got;

	if (r->head == NULL) {
		r->head = mem_take(&r->server->mem, HTTP_RESPONSE_HEAD_MAX * 2, &got);
		if (r->head == NULL)
			return relay_fail(r, 503, "out of memory", NULL);
		r->head_cap = got;
	}
	if (bytes.n > r->head_cap - r->head_n)
		return relay_fail(r, 502, "% answered nonsense", "its response head is too long");
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
			return relay_fail(r, 502, "% answered nonsense", r->body.why);
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
			return relay_fail(r, 502, "% answered nonsense", h.why);
		if (p == PARSE_MORE)
			break;
		if (h.status >= 200)
			return take_head(r, &h, slice_from(view, h.size));
		if (h.status == 101 || ++r->interim > INTERIM_MAX)
			return relay_fail(r, 502, "% answered nonsense",
					  "interim responses without end");
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
	connect_upstream(r);
	return RELAY_ENDED; /* as far as the caller is concerned */
}

/* The upstream's side ended: in order, or not. */
static enum relay_step upstream_ended(struct relay *r, enum io how)
{
	if (r->state == RELAY_HEAD) {
		if (r->up->reused && !r->reply_byte && !r->retried)
			return retry(r);
		return relay_fail(r, 502, "% hung up before it answered", NULL);
	}
	if (r->body.framing == HTTP_CLOSE && how == IO_EOF)
		return relay_reply_done(r);
	return relay_fail(r, 502, "% broke off in mid-answer", NULL);
}

static enum relay_step feed(struct relay *r, struct slice bytes)
{
	r->reply_byte = true;
	if (r->plan.generation)
		r->server->env.shared->moved_ms = now_of(r);
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
			timer_arm(r, 0);
			return RELAY_GO_ON;
		}
		if (r->state == RELAY_BODY)
			timer_arm(r, r->done ? MIN(r->plan.stall_ms, (int64_t)DONE_GRACE_MS)
					     : r->plan.stall_ms);
		if (n < cap)
			return RELAY_GO_ON;
	}
	return RELAY_GO_ON;
}

static void on_drained(void *work)
{
	struct relay *r = work;

	if (!r->paused)
		return;
	r->paused = false;
	upstream_wish(r->up, LOOP_READ | LOOP_PEER);
	timer_arm(r, r->plan.stall_ms);
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

static void send_request(struct relay *r)
{
	while (r->sent < r->to_send) {
		enum io how = send_some(r);

		if (how == IO_AGAIN)
			break;
		if (how != IO_OK) /* perhaps it has said why: the reading side will tell */
			break;
	}
	if (!r->paused)
		upstream_wish(r->up,
			      LOOP_READ | LOOP_PEER | (r->sent < r->to_send ? LOOP_WRITE : 0u));
}

static void on_upstream(void *ctx, unsigned events)
{
	struct relay *r = ctx;

	if (r->paused) {
		if (events & LOOP_ERROR)
			relay_fail(r, 502, "% broke off in mid-answer", NULL);
		return;
	}
	if (events & (LOOP_READ | LOOP_HUP | LOOP_ERROR)) {
		if (read_upstream(r) == RELAY_ENDED)
			return;
	}
	if (events & LOOP_WRITE && r->up != NULL && r->sent < r->to_send)
		send_request(r);
}

/* ---- connecting ---- */

static void on_connection(void *ctx, struct upstream *up, enum connect_fault fault, const char *why)
{
	struct relay *r = ctx;

	(void)fault;
	if (up == NULL) {
		relay_fail(r, 502, "cannot reach %", why);
		return;
	}
	r->up = up;
	r->state = RELAY_HEAD;
	timer_arm(r, r->plan.first_byte_ms);
	upstream_use(up, on_upstream, r, LOOP_READ | LOOP_PEER);
	send_request(r);
}

static void connect_upstream(struct relay *r)
{
	r->state = RELAY_CONNECTING;
	timer_arm(r, r->server->env.config->connect_timeout_ms + KEEPER_GRACE_MS);
	upstream_take(r->server->upstreams, &r->wait);
}

static void begin(struct relay *r)
{
	r->began_ms = now_of(r);
	if (r->plan.gate != NULL)
		r->conn->req->log.queue_ms = r->began_ms - r->asked_ms;
	if (r->plan.total_ms > 0)
		loop_timer_after(r->server->env.loop, &r->total, r->plan.total_ms);
	connect_upstream(r);
}

static void on_begin(void *ctx, unsigned events)
{
	(void)events;
	begin(ctx);
}

/* ---- deadlines ---- */

static void on_timer(void *ctx, int64_t now)
{
	struct relay *r = ctx;

	(void)now;
	switch (r->state) {
	case RELAY_QUEUED:
		relay_fail(r, 503, "no turn came free in time, try again later", NULL);
		break;
	case RELAY_CONNECTING:
		relay_fail(r, 502, "cannot reach %", "no connection in time");
		break;
	case RELAY_HEAD:
		relay_fail(r, 504, "% gave no answer in time", NULL);
		break;
	case RELAY_BODY:
		relay_fail(r, 504, "% fell silent in mid-answer", NULL);
		break;
	}
}

static void on_total(void *ctx, int64_t now)
{
	(void)now;
	relay_fail(ctx, 504, "the answer took longer than --max-generation allows", NULL);
}

/* ---- start ---- */

static void on_cut(void *work)
{
	relay_fail(work, 503, "this server is stopping, try again", NULL);
}

static const struct work_ops leaving_ops = { on_gone, on_drained, true, on_cut };
static const struct work_ops patient_ops = { on_gone, on_drained, false, on_cut };

static struct relay *relay_make(struct conn *c, const struct relay_plan *plan)
{
	size_t cap, i;
	struct relay *r = mem_take(&c->server->mem, BLOCK, &cap);

	if (r == NULL)
		return NULL;
	memset(r, 0, sizeof(*r));
	r->server = c->server;
	r->conn = c;
	r->cap = cap;
	r->plan = *plan;
	r->length = -1;
	r->asked_ms = now_of(r);
	for (i = 0; i < plan->part_count; i++)
		r->to_send += plan->parts[i].n;
	timer_init(&r->timer, on_timer, r);
	timer_init(&r->total, on_total, r);
	r->begin.fn = on_begin;
	r->begin.ctx = r;
	r->wait.fn = on_connection;
	r->wait.ctx = r;
	return r;
}

void relay_start(struct conn *c, const struct relay_plan *plan)
{
	struct relay *r = relay_make(c, plan);
	enum admit a;

	_Static_assert(sizeof(struct relay) <= BLOCK, "a relay fits in its block");
	if (r == NULL) {
		conn_error(c, 503, SLICE("out of memory"), 5);
		return;
	}
	conn_work_start(c, plan->fin_is_gone ? &leaving_ops : &patient_ops, r);
	a = plan->gate != NULL ? admission_ask(plan->gate, &r->ticket, r, r->asked_ms) : ADMIT_RUN;
	publish(r);
	switch (a) {
	case ADMIT_RUN:
		begin(r);
		break;
	case ADMIT_WAIT:
		r->state = RELAY_QUEUED;
		timer_arm(r, c->server->env.config->queue_timeout_ms);
		break;
	case ADMIT_FULL:
		relay_fail(r, 503, "the queue is full, try again later", NULL);
		break;
	case ADMIT_TOO_LONG:
		relay_fail(r, 503, "the wait would be too long, try again later", NULL);
		break;
	}
}
