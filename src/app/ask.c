/* SPDX-License-Identifier: MIT */
/* ask.c: the conversation of ask.h. */
#include "app/ask.h"
#include "app/tls.h"

static void failed(struct ask *a, enum connect_fault fault, const char *why)
{
	ask_close(a);
	a->ops->on_failed(a->ctx, fault, why);
}

static bool send_request(struct ask *a)
{
	struct slice part = slice_make(a->request, a->request_n);
	size_t n;

	a->raw_n = 0;
	a->in_body = false;
	/* a connection that is new, or whose last request was answered, takes all of it */
	return stream_write(&a->stream, &part, 1, &n) == IO_OK && n == part.n &&
	       stream_flush(&a->stream) == IO_OK;
}

static void reply_done(struct ask *a)
{
	if (!a->keep_alive) /* one connection a question, then */
		ask_close(a);
	a->ops->on_done(a->ctx);
}

/* Content out of the raw bytes; what is behind the body is nothing we asked for. */
static enum parse take_body(struct ask *a, struct slice in)
{
	for (;;) {
		struct slice piece;
		size_t n;
		enum parse r = http_body_feed(&a->body, in, &n, &piece);

		if (r == PARSE_BAD || (piece.n > 0 && !a->ops->on_piece(a->ctx, piece)))
			return PARSE_BAD;
		if (!stream_is_open(&a->stream)) /* ask_close() was called */
			return PARSE_MORE;
		in = slice_from(in, n);
		if (r == PARSE_DONE || in.n == 0)
			return r;
	}
}

static enum parse take_bytes(struct ask *a)
{
	struct slice view = slice_make(a->raw, a->raw_n);
	enum parse r;

	if (!a->in_body) {
		r = http_response_parse(&a->head, view, 0, false);
		if (r != PARSE_DONE)
			return r;
		http_body_init(&a->body, &a->head);
		a->in_body = true;
		a->keep_alive = a->head.keep_alive && a->head.framing != HTTP_CLOSE;
		view = slice_from(view, a->head.size);
	}
	a->raw_n = 0;
	return take_body(a, view);
}

static void read_reply(struct ask *a)
{
	size_t n;
	enum io how = stream_read(&a->stream, a->raw + a->raw_n, sizeof(a->raw) - a->raw_n, &n);
	enum parse r;

	if (how == IO_AGAIN)
		return;
	if (how == IO_EOF && a->in_body && a->body.framing == HTTP_CLOSE) {
		reply_done(a);
		return;
	}
	if (how != IO_OK) {
		failed(a, CONNECT_OTHER, "it hung up");
		return;
	}
	a->raw_n += n;
	r = take_bytes(a);
	if (r == PARSE_DONE)
		reply_done(a);
	else if (r == PARSE_BAD || a->raw_n == sizeof(a->raw))
		failed(a, CONNECT_OTHER, "it answered nonsense");
}

/* Until the stream is fit for use; a plain one is at once. */
static void shake(struct ask *a)
{
	enum io r = stream_flush(&a->stream);
	const char *why = stream_why(&a->stream);

	if (r == IO_AGAIN)
		return;
	a->shaking = false;
	if (r != IO_OK)
		failed(a, CONNECT_OTHER, why != NULL ? why : "the TLS handshake broke off");
	else if (!send_request(a))
		failed(a, CONNECT_OTHER, "no question could be sent");
}

static void on_ready(void *ctx, unsigned events)
{
	struct ask *a = ctx;

	(void)events;
	if (a->shaking)
		shake(a);
	else
		read_reply(a);
	if (!stream_is_open(&a->stream))
		return;
	loop_wish(a->loop, a->handle, stream_await(&a->stream, LOOP_READ));
	if (stream_ready(&a->stream))
		loop_later(a->loop, &a->later);
}

static void on_connected(void *ctx, int fd, enum connect_fault fault, const char *why)
{
	struct ask *a = ctx;

	if (fd < 0) {
		failed(a, fault, why);
		return;
	}
	if (a->ops->on_connected != NULL)
		a->ops->on_connected(a->ctx);
	if (!tls_stream_open(dial_tls(a->dial), &a->stream, fd)) {
		failed(a, CONNECT_OTHER, "out of memory");
		return;
	}
	a->handle = loop_add(a->loop, fd, LOOP_READ, on_ready, a);
	a->shaking = true;
	if (a->handle.gen == 0)
		failed(a, CONNECT_OTHER, "out of descriptors");
	else
		on_ready(a, LOOP_READ);
}

static void write_request(struct ask *a, struct slice path, struct slice json)
{
	struct buf b;

	buf_init(&b, a->request, sizeof(a->request));
	http_write_request(&b, json.n > 0 ? SLICE("POST") : SLICE("GET"), path);
	http_write_field(&b, SLICE("Host"), a->host);
	if (json.n > 0) {
		http_write_field(&b, SLICE("Content-Type"), SLICE("application/json"));
		http_write_field_u64(&b, SLICE("Content-Length"), json.n);
	}
	http_write_end(&b);
	buf_put(&b, json);
	a->request_n = buf_len(&b);
}

void ask_start(struct ask *a, struct slice path, struct slice json)
{
	write_request(a, path, json);
	if (stream_is_open(&a->stream)) {
		if (!send_request(a))
			failed(a, CONNECT_OTHER, "it hung up");
		return;
	}
	if (!dial_start(a->dial, on_connected, a, a))
		failed(a, CONNECT_OTHER, "too many connections are under way");
}

void ask_close(struct ask *a)
{
	dial_forget(a->dial, a);
	loop_later_cancel(&a->later);
	loop_remove(a->loop, &a->handle);
	stream_close(&a->stream);
}

void ask_init(struct ask *a, struct loop *loop, struct dial *dial, struct slice host,
	      const struct ask_ops *ops, void *ctx)
{
	a->loop = loop;
	a->dial = dial;
	a->host = host;
	a->ops = ops;
	a->ctx = ctx;
	a->stream.fd = -1;
	a->later.fn = on_ready;
	a->later.ctx = a;
}
