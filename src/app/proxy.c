/* SPDX-License-Identifier: MIT */
/* proxy.c: a client's request, made anew for the backend. */
#include "app/proxy.h"
#include "app/relay.h"
#include "base/fmt.h"
#include "proto/forwarded.h"
#include "proto/http_write.h"

enum { EXTRA = 512 }; /* what we add to the head at the most */

/* Framing is ours; Expect was answered by us; the forwarding fields are written anew. */
static bool is_ours(struct slice name)
{
	static const struct slice ours[] = {
		SLICE_INIT("Content-Length"),
		SLICE_INIT("Expect"),
		SLICE_INIT("X-Forwarded-For"),
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(ours); i++)
		if (slice_eq_nocase(ours[i], name))
			return true;
	return false;
}

static void put_forwarded(struct conn *c, struct buf *b)
{
	const struct http_head *h = &c->req->head;
	char mem[64];
	struct buf peer;
	struct ip_addr ip;
	unsigned i;

	buf_put_str(b, "X-Forwarded-For: ");
	for (i = 0; i < h->count; i++) {
		if (!slice_eq_nocase(h->fields[i].name, SLICE("X-Forwarded-For")))
			continue;
		buf_put(b, h->fields[i].value);
		buf_put_str(b, ", ");
	}
	memcpy(ip.b, c->peer.ip, sizeof(ip.b));
	buf_init(&peer, mem, sizeof(mem));
	ip_write(&peer, &ip);
	buf_put(b, buf_view(&peer));
	buf_put_str(b, "\r\n");
	if (c->server->env.config->tls != TLS_OFF &&
	    http_field_find(h, SLICE("X-Forwarded-Proto")) == NULL)
		buf_put_str(b, "X-Forwarded-Proto: https\r\n"); /* nobody before us has said it */
}

static struct slice make_head(struct conn *c, char *mem, size_t cap, size_t body_n)
{
	const struct http_head *h = &c->req->head;
	struct buf b;
	unsigned i;

	buf_init(&b, mem, cap);
	http_write_request(&b, h->method_text, h->target);
	if (h->host.p == NULL || h->host.n == 0)
		http_write_field(&b, SLICE("Host"), c->server->start->upstream_host);
	for (i = 0; i < h->count; i++) {
		const struct http_field *f = &h->fields[i];

		if (!is_ours(f->name) && !http_field_is_hop(h, f->name) &&
		    !(f->value.n == 0 && slice_eq_nocase(f->name, SLICE("Host"))))
			http_write_field(&b, f->name, f->value);
	}
	put_forwarded(c, &b);
	if (http_field_find(h, SLICE("X-Amzn-Trace-Id")) == NULL && c->req->id.n > 0) {
		buf_put_str(&b, "X-Amzn-Trace-Id: Root="); /* one id for both logs */
		buf_put(&b, c->req->id);
		buf_put_str(&b, "\r\n");
	}
	if (h->framing != HTTP_NONE)
		http_write_field_u64(&b, SLICE("Content-Length"), body_n);
	http_write_end(&b);
	return buf_view(&b);
}

void proxy_pass(struct conn *c)
{
	const struct config *cf = c->server->env.config;
	const struct http_head *h = &c->req->head;
	struct relay_plan plan = { 0 };
	size_t cap;

	/* a field line of ours is at most two bytes longer than the client's ("a:b" -> "a: b") */
	c->req->work_mem = mem_take(&c->server->mem, h->size + 2 * h->count + EXTRA, &cap);
	if (c->req->work_mem == NULL) {
		conn_error(c, 503, SLICE("out of memory"), 5);
		return;
	}
	c->req->work_cap = cap;
	plan.mode = RELAY_PASS;
	plan.head_only = h->method == HTTP_HEAD;
	plan.fin_is_gone = h->method == HTTP_POST;
	plan.first_byte_ms =
		MAX(cf->first_byte_timeout_ms, cf->max_generation_ms) + cf->queue_timeout_ms;
	plan.stall_ms = plan.first_byte_ms;
	plan.parts[0] = make_head(c, c->req->work_mem, cap, conn_body(c).n);
	plan.parts[1] = conn_body(c);
	plan.part_count = 2;
	relay_start(c, &plan);
}
