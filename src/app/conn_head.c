/* SPDX-License-Identifier: MIT */
/* conn_head.c: request heads in: parse, find the route, decide what comes next. */
#include "app/conn_parts.h"
#include "app/access.h"

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
		p = mem_take(&c->server->mem, MAX(left, (size_t)CONN_IN_FIRST), &cap);
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
	} all[] = { { HTTP_GET, "GET" }, { HTTP_HEAD, "HEAD" },     { HTTP_POST, "POST" },
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
	return r->head.framing == HTTP_NONE && r->head.method == HTTP_POST &&
	       (r->route->flags & (ROUTE_COLLECT | ROUTE_STREAM)) &&
	       !(r->route->flags & ROUTE_FORWARD) &&
	       http_field_find(&r->head, SLICE("Content-Length")) == NULL;
}

/* Nobody here undoes gzip and the like. */
static bool content_is_encoded(const struct request *r)
{
	struct slice coding = http_field_value(&r->head, SLICE("Content-Encoding"));

	return (r->route->flags & (ROUTE_COLLECT | ROUTE_STREAM)) &&
	       !(r->route->flags & ROUTE_FORWARD) && coding.n > 0 &&
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
	if (!read_target(c) || (r->uri.asterisk && r->head.method != HTTP_OPTIONS)) {
		c->keep_alive = false;
		c->linger = true;
		conn_error(c, 400, SLICE("invalid request target"), 0);
		return;
	}
	if (r->uri.asterisk) {
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
		conn_error(c, 411, SLICE("a body needs Content-Length or chunked transfer coding"),
			   0);
		return;
	}
	if (content_is_encoded(r)) {
		conn_error(c, 415, SLICE("a request body must not be encoded (Content-Encoding)"),
			   0);
		return;
	}
	r->body_discard = !(r->route->flags & (ROUTE_COLLECT | ROUTE_STREAM));
	if (r->body_done || !(r->route->flags & ROUTE_COLLECT)) {
		r->route->fn(c); /* at once: nobody waits for a body that nobody reads */
		return;
	}
	conn_body_start(c);
}

void conn_head_refuse(struct conn *c)
{
	static const struct route none = { SLICE_INIT(""), HTTP_GET, 0, NULL };
	struct request *r = c->req;

	c->keep_alive = false;
	c->linger = true;
	c->no_body = slice_starts(buf_view(&c->in), SLICE("HEAD "));
	r->body_done = true;
	r->head.minor = 1;
	r->head.count = 0;
	r->route = &none;
	r->head.method_text = r->head.target = slice_make("", 0);
	conn_error(c, r->head.refuse, slice_str(r->head.why), 0);
}

/* Every whole request that is in the buffer, as long as replies do not pile up. */
void conn_process_input(struct conn *c)
{
	struct server *s = c->server;

	c->parsing = true;
	while (c->state == CONN_HEAD && buf_len(&c->in) > 0 && !c->broken) {
		enum parse p;

		if (c->req == NULL && !conn_request_take(c)) {
			conn_close(c);
			return;
		}
		p = http_request_parse(&c->req->head, buf_view(&c->in), c->seen);
		if (p == PARSE_MORE) {
			if (c->seen == 0)
				loop_timer_after(s->env.loop, &c->timer,
						 s->env.config->head_timeout_ms);
			c->seen = buf_len(&c->in);
			if (!c->in_idle_list)
				server_idle_add(s, c);
			break;
		}
		c->seen = 0;
		c->asked = true;
		/* not before: half a head must not keep a place from others */
		server_idle_remove(s, c);
		loop_timer_clear(s->env.loop, &c->timer);
		if (p == PARSE_BAD)
			conn_head_refuse(c);
		else
			dispatch(c);
	}
	c->parsing = false;
	if (c->state != CONN_FREE)
		conn_update_wish(c);
}

void conn_head_read(struct conn *c)
{
	struct server *s = c->server;
	size_t n, room;
	char *p;
	enum io r;

	if (c->in.base == NULL || c->in.tail == c->in.cap) {
		if (!conn_grow(&s->mem, &c->in, &c->in_cap,
			       c->in.base == NULL ? CONN_IN_FIRST : buf_len(&c->in), CONN_IN_MAX)) {
			conn_close(c);
			return;
		}
	}
	p = buf_space(&c->in, &room);
	r = stream_read(&c->stream, p, room, &n);
	if (r == IO_AGAIN) {
		if (buf_len(&c->in) == 0)
			conn_in_give(c);
		return;
	}
	if (r != IO_OK) {
		conn_close(c);
		return;
	}
	buf_commit(&c->in, n);
	conn_process_input(c);
}
