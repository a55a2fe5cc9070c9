/* SPDX-License-Identifier: MIT */
/* upload.c: a body on its way to the upstream, and the small reply that comes of it.
 *
 *	CONNECTING --> SENDING --> REPLY
 *
 * The upstream may answer at any time; when it does, the rest of the body is not wanted. */
#include "app/upload.h"
#include "app/metrics.h"
#include "app/reply.h"
#include "app/upstream.h"
#include "base/fmt.h"
#include "proto/http_write.h"

enum {
	BLOCK = 4096,
	REPLY_MAX = HTTP_RESPONSE_HEAD_MAX + SERVER_SCRATCH,
	READ_ROUNDS = 4,
	KEEPER_GRACE_MS = 2000, /* beyond --connect-timeout, which the keeper enforces */
};

enum upload_state { UPLOAD_CONNECTING, UPLOAD_SENDING, UPLOAD_REPLY };

struct upload {
	struct server *server;
	struct conn *conn;
	size_t cap; /* of this block */
	enum upload_state state;
	struct slice head;
	struct upstream_wait wait;
	struct upstream *up;
	struct timer timer;      /* connection, an upstream that takes nothing, its reply */
	struct loop_later later; /* something failed inside a call of the connection's */
	bool deaf;               /* the upstream takes no more; its reply may say why */
	struct buf out;          /* what it has not taken yet */
	size_t out_cap;
	struct buf in; /* its reply so far */
	size_t in_cap;
};

static void timer_arm(struct upload *u, int64_t ms)
{
	loop_timer_after(u->server->env.loop, &u->timer, ms);
}

static void out_drop(struct upload *u)
{
	mem_give(&u->server->mem, u->out.base, u->out_cap);
	buf_init(&u->out, NULL, 0);
	u->out_cap = 0;
}

/* Lets go of everything but the connection. */
static struct conn *release(struct upload *u, bool keep_upstream)
{
	struct server *s = u->server;
	struct conn *c = u->conn;

	loop_timer_clear(s->env.loop, &u->timer);
	loop_later_cancel(&u->later);
	upstream_cancel(s->upstreams, &u->wait);
	if (u->up != NULL)
		upstream_give(u->up, keep_upstream);
	out_drop(u);
	mem_give(&s->mem, u->in.base, u->in_cap);
	mem_give(&s->mem, u, u->cap);
	return c;
}

/* ---- failures ---- */

enum loss {
	LOST_MEMORY,
	LOST_STOPPING,
	LOST_REFUSED,
	LOST_UNREACHABLE,
	LOST_HANGUP,
	LOST_BROKEN,
	LOST_NONSENSE,
	LOST_FORBIDDEN,
	LOST_DEAF,
	LOST_SILENT,
};

enum { NOT_OLLAMAS = METRIC_FAULTS /* the upstream did nothing wrong */ };

/* % stands for the upstream's name. */
static const struct {
	unsigned status;
	const char *text;
	unsigned count_as; /* enum metric_fault */
} losses[] = {
	[LOST_MEMORY] = { 503, "out of memory", NOT_OLLAMAS },
	[LOST_STOPPING] = { 503, "this server is stopping, try again", NOT_OLLAMAS },
	[LOST_REFUSED] = { 502, "cannot reach %", METRIC_FAULT_REFUSED },
	[LOST_UNREACHABLE] = { 502, "cannot reach %", METRIC_FAULT_CONNECT },
	[LOST_HANGUP] = { 502, "% hung up before it answered", METRIC_FAULT_HANGUP },
	[LOST_BROKEN] = { 502, "% broke off in mid-answer", METRIC_FAULT_BROKEN },
	[LOST_NONSENSE] = { 502, "% answered nonsense", METRIC_FAULT_NONSENSE },
	[LOST_FORBIDDEN] = { 502,
			     "% refuses our requests (403); check its OLLAMA_HOST and "
			     "OLLAMA_ORIGINS",
			     METRIC_FAULT_STATUS },
	[LOST_DEAF] = { 504, "% took no more of the body", METRIC_FAULT_STALL },
	[LOST_SILENT] = { 504, "% gave no answer in time", METRIC_FAULT_FIRST_BYTE },
};

static struct slice loss_text(const struct server *s, struct buf *b, enum loss loss,
			      const char *detail)
{
	const char *p;

	for (p = losses[loss].text; *p != '\0'; p++) {
		if (*p == '%')
			buf_put(b, s->start->upstream_name);
		else
			buf_put_byte(b, *p);
	}
	if (detail != NULL) {
		buf_put_str(b, ": ");
		buf_put_str(b, detail);
	}
	return buf_view(b);
}

static void fail(struct upload *u, enum loss loss, const char *detail)
{
	unsigned status = losses[loss].status;
	struct server *s = u->server;
	struct conn *c = release(u, false);
	struct log_line l;
	struct slice text;
	char mem[512];
	struct buf b;

	buf_init(&b, mem, sizeof(mem));
	text = loss_text(s, &b, loss, detail);
	if (losses[loss].count_as != NOT_OLLAMAS)
		metrics_fault(s->env.metrics, losses[loss].count_as);
	c->req->log.result = status == 503 ? "rejected" : status == 504 ? "timeout" : "error";
	log_begin(&l, s->env.log, s->cutting ? LOG_INFO : LOG_WARN, "request failed");
	log_text(&l, "request_id", c->req->id);
	log_num(&l, "status", status);
	log_text(&l, "why", text);
	log_end(&l);
	conn_error(c, status, text, status == 503 ? 5 : 0);
}

static void on_gone(void *work)
{
	struct upload *u = work;

	u->conn->req->log.result = "cancelled";
	release(u, false);
}

static void on_cut(void *work)
{
	fail(work, LOST_STOPPING, NULL);
}

static void on_later(void *ctx, unsigned events)
{
	(void)events;
	fail(ctx, LOST_MEMORY, NULL);
}

/* ---- bytes out ---- */

/* A growing buffer of the worker's memory; false: no memory. */
static bool keep(struct upload *u, struct buf *b, size_t *cap, struct slice s)
{
	size_t got;
	void *p;

	if (s.n > b->cap - b->tail) {
		p = mem_take(&u->server->mem, buf_len(b) + s.n, &got);
		if (p == NULL)
			return false;
		mem_give(&u->server->mem, buf_move(b, p, got), *cap);
		*cap = got;
	}
	return buf_put(b, s);
}

/* Reading goes on all the time: the reply may come before the end of the request. */
static void wish(struct upload *u)
{
	bool more = buf_len(&u->out) > 0 && !u->deaf;

	upstream_wish(u->up, LOOP_READ | LOOP_PEER | (more ? LOOP_WRITE : 0u));
}

/* Sends what it can; no more is taken from the client until the rest is gone, too. */
static void put(struct upload *u, const struct slice *parts, size_t count)
{
	size_t n = 0, i;

	if (u->deaf)
		return;
	if (buf_len(&u->out) == 0) {
		enum io how = stream_write(&u->up->stream, parts, count, &n);

		u->deaf = how != IO_OK && how != IO_AGAIN;
	}
	for (i = 0; i < count; i++) {
		struct slice left = slice_from(parts[i], MIN(n, parts[i].n));

		n -= MIN(n, parts[i].n);
		if (left.n > 0 && !keep(u, &u->out, &u->out_cap, left))
			loop_later(u->server->env.loop, &u->later);
	}
	stream_flush(&u->up->stream);
	wish(u);
	if (buf_len(&u->out) == 0)
		return;
	conn_body_pause(u->conn);
	if (!timer_is_set(&u->timer))
		timer_arm(u, u->server->env.config->stall_timeout_ms);
}

static void on_piece(void *work, struct slice piece)
{
	struct upload *u = work;
	char mem[HTTP_CHUNK_HEAD_MAX];
	struct slice parts[3] = { { "", 0 }, piece, { "", 0 } };
	struct buf b;

	if (u->conn->req->head.framing == HTTP_CHUNKED) {
		buf_init(&b, mem, sizeof(mem));
		http_write_chunk_head(&b, piece.n);
		parts[0] = buf_view(&b);
		parts[2] = SLICE(HTTP_CHUNK_TAIL);
	}
	put(u, parts, 3);
}

static void on_end(void *work)
{
	struct upload *u = work;
	struct slice last = SLICE(HTTP_LAST_CHUNK);

	u->state = UPLOAD_REPLY;
	if (u->conn->req->head.framing == HTTP_CHUNKED)
		put(u, &last, 1);
	if (buf_len(&u->out) == 0)
		timer_arm(u, u->server->env.config->first_byte_timeout_ms);
}

/* The upstream takes some again. */
static void drain(struct upload *u)
{
	const struct config *cf = u->server->env.config;

	while (buf_len(&u->out) > 0 && !u->deaf) {
		struct slice part = buf_view(&u->out);
		size_t n;
		enum io how = stream_write(&u->up->stream, &part, 1, &n);

		if (how == IO_AGAIN)
			break;
		u->deaf = how != IO_OK;
		buf_consume(&u->out, n);
		timer_arm(u, cf->stall_timeout_ms);
	}
	stream_flush(&u->up->stream);
	wish(u);
	if (buf_len(&u->out) > 0)
		return;
	out_drop(u);
	if (u->state == UPLOAD_REPLY)
		timer_arm(u, cf->first_byte_timeout_ms);
	else
		loop_timer_clear(u->server->env.loop, &u->timer);
	conn_body_resume(u->conn);
}

/* ---- the reply ---- */

static void tell(struct upload *u, const struct http_head *h, struct slice content, bool in_step)
{
	char mem[64], type_mem[128];
	struct buf b;
	struct slice type = http_field_value(h, SLICE("Content-Type")), fields = slice_make("", 0);
	unsigned status = h->status;
	bool whole = u->state == UPLOAD_REPLY && buf_len(&u->out) == 0 && !u->deaf;
	uint64_t wait = 5;
	struct conn *c;

	if (status == 403 && content.n == 0) {
		fail(u, LOST_FORBIDDEN, NULL);
		return;
	}
	type.n = MIN(type.n, sizeof(type_mem));
	slice_copy_to(type_mem, type);
	type = slice_make(type_mem, type.n);
	buf_init(&b, mem, sizeof(mem));
	if (status == 503 || status == 429) {
		fmt_parse_u64(http_field_value(h, SLICE("Retry-After")), &wait);
		fields = reply_retry_after(&b, (unsigned)MAX(1u, MIN(wait, 3600u)));
	}
	if (status >= 500)
		metrics_fault(u->server->env.metrics, METRIC_FAULT_STATUS);
	u->conn->req->log.result = status < 300 ? "ok" : "error";
	c = release(u, whole && in_step && h->keep_alive);
	conn_reply(c, status, type, fields, content);
}

/* A reply that is whole, or as much as is there. */
struct reply {
	struct http_head head;
	bool has_head, in_step; /* in_step: nothing follows it */
	struct slice content;   /* in the worker's scratch memory */
	const char *why;        /* PARSE_BAD */
};

/* The content, its framing undone. */
static enum parse read_content(struct reply *r, struct slice in, char *to)
{
	struct http_body body;
	enum parse p;

	r->content = slice_make(to, 0);
	http_body_init(&body, &r->head);
	do {
		struct slice piece;
		size_t n;

		p = http_body_feed(&body, in, &n, &piece);
		if (p == PARSE_BAD || piece.n > SERVER_SCRATCH - r->content.n) {
			r->why = p == PARSE_BAD ? body.why : "its reply is too long";
			return PARSE_BAD;
		}
		in = slice_from(in, n);
		slice_copy_to(to + r->content.n, piece);
		r->content.n += piece.n;
	} while (p == PARSE_MORE && in.n > 0);
	r->in_step = in.n == 0;
	return p;
}

/* Interim responses are skipped (RFC 9110, 15.2). */
static enum parse parse_reply(struct reply *r, struct slice view, char *to)
{
	enum parse p;

	r->has_head = false;
	do {
		p = http_response_parse(&r->head, view, 0, false);
		if (p != PARSE_DONE) {
			r->why = p == PARSE_BAD ? r->head.why : NULL;
			return p;
		}
		view = slice_from(view, r->head.size);
	} while (r->head.status < 200);
	r->has_head = true;
	r->why = "a redirect";
	return r->head.status >= 300 && r->head.status < 400 ? PARSE_BAD
							     : read_content(r, view, to);
}

/* What has come may be the whole reply. `how`: IO_OK while more may come, else how the upstream's side
 * ended. False: the upload is over. */
static bool judge_reply(struct upload *u, enum io how)
{
	bool ended = how != IO_OK;
	struct reply r;
	enum parse p = parse_reply(&r, buf_view(&u->in), u->server->scratch);

	if (p == PARSE_MORE && how == IO_EOF && r.has_head && r.head.framing == HTTP_CLOSE)
		p = PARSE_DONE;
	if (p == PARSE_MORE && !ended)
		return true;
	if (p == PARSE_DONE)
		tell(u, &r.head, r.content, r.in_step && !ended);
	else if (p == PARSE_BAD)
		fail(u, LOST_NONSENSE, r.why);
	else
		fail(u, buf_len(&u->in) > 0 ? LOST_BROKEN : LOST_HANGUP, NULL);
	return false;
}

static bool read_reply(struct upload *u)
{
	struct server *s = u->server;
	unsigned i;

	for (i = 0; i < READ_ROUNDS; i++) {
		size_t n;
		enum io how = stream_read(&u->up->stream, s->scratch, SERVER_SCRATCH, &n);

		if (how == IO_AGAIN)
			return true;
		if (how != IO_OK)
			return judge_reply(u, how);
		if (buf_len(&u->in) + n > REPLY_MAX) {
			fail(u, LOST_NONSENSE, "its reply is too long");
			return false;
		}
		if (!keep(u, &u->in, &u->in_cap, slice_make(s->scratch, n))) {
			on_later(u, 0);
			return false;
		}
		if (!judge_reply(u, IO_OK))
			return false;
	}
	return true;
}

static void on_upstream(void *ctx, unsigned events)
{
	struct upload *u = ctx;

	if (events & (LOOP_READ | LOOP_HUP | LOOP_ERROR) && !read_reply(u))
		return;
	if (events & LOOP_WRITE && buf_len(&u->out) > 0)
		drain(u);
}

/* ---- start ---- */

static void on_connection(void *ctx, struct upstream *up, enum connect_fault fault, const char *why)
{
	static const struct body_sink sink = { on_piece, on_end };
	struct upload *u = ctx;

	if (up == NULL) {
		fail(u, fault == CONNECT_REFUSED ? LOST_REFUSED : LOST_UNREACHABLE, why);
		return;
	}
	loop_timer_clear(u->server->env.loop, &u->timer);
	u->up = up;
	u->state = UPLOAD_SENDING;
	upstream_use(up, on_upstream, u, LOOP_READ | LOOP_PEER);
	put(u, &u->head, 1);
	conn_body_stream(u->conn, &sink);
}

static void on_timer(void *ctx, int64_t now)
{
	struct upload *u = ctx;

	(void)now;
	if (u->state == UPLOAD_CONNECTING)
		fail(u, LOST_UNREACHABLE, "no connection in time");
	else if (buf_len(&u->out) > 0)
		fail(u, LOST_DEAF, NULL);
	else
		fail(u, LOST_SILENT, NULL);
}

void upload_start(struct conn *c, struct slice head)
{
	static const struct work_ops ops = { on_gone, NULL, false, on_cut };
	size_t cap;
	struct upload *u = head.n > 0 ? mem_take(&c->server->mem, BLOCK, &cap) : NULL;

	if (u == NULL) {
		conn_error(c, 503, SLICE("out of memory"), 5);
		return;
	}
	memset(u, 0, sizeof(*u));
	u->server = c->server;
	u->conn = c;
	u->cap = cap;
	u->head = head;
	timer_init(&u->timer, on_timer, u);
	u->later.fn = on_later;
	u->later.ctx = u;
	u->wait.fn = on_connection;
	u->wait.ctx = u;
	u->wait.fresh = true;
	conn_work_start(c, &ops, u);
	timer_arm(u, c->server->env.config->connect_timeout_ms + KEEPER_GRACE_MS);
	upstream_take(c->server->upstreams, &u->wait);
}
