/* SPDX-License-Identifier: MIT */
/* relay_reply.c: what becomes of a reply: by its head, then piece by piece. */
#include "app/relay_parts.h"
#include "app/reply.h"
#include "base/fmt.h"
#include "proto/http_write.h"

enum {
	RETRY_AFTER_DEFAULT = 5,
	PASSED_FIELDS_MAX = 4096,
};

/* ---- a growing buffer of the worker's memory ---- */

bool relay_keep(struct relay *r, struct buf *b, size_t *cap, struct slice s, size_t max)
{
	size_t got;
	void *p;

	if (s.n <= b->cap - b->tail)
		return buf_put(b, s);
	if (buf_len(b) + s.n > max)
		return false;
	p = mem_take(&r->server->mem, buf_len(b) + s.n, &got);
	if (p == NULL)
		return false;
	mem_give(&r->server->mem, buf_move(b, p, got), *cap);
	*cap = got;
	return buf_put(b, s);
}

void relay_carry_drop(struct relay *r)
{
	mem_give(&r->server->mem, r->carry.base, r->carry_cap);
	buf_init(&r->carry, NULL, 0);
	r->carry_cap = 0;
}

unsigned relay_retry_after(struct relay *r)
{
	if (r->retry_after > 0)
		return r->retry_after;
	if (r->plan.gate == NULL)
		return RETRY_AFTER_DEFAULT;
	return admission_retry_after(admission_estimate(r->plan.gate, r->conn->req->party),
				     server_random(r->server));
}

enum relay_step relay_finish(struct relay *r)
{
	struct conn *c = relay_release(r, r->up_keep);

	conn_finish(c);
	return RELAY_ENDED;
}

/* ---- the head ---- */

void relay_commit(struct relay *r, int64_t length)
{
	char mem[64];
	struct buf b;
	struct slice fields = slice_make("", 0);

	if (r->committed)
		return;
	buf_init(&b, mem, sizeof(mem));
	if (r->status == 503 || r->status == 429)
		fields = reply_retry_after(&b, relay_retry_after(r));
	r->committed = true;
	conn_begin(r->conn, r->status, r->type_text, fields, length);
}

static bool type_is(const struct relay *r, struct slice type)
{
	struct slice t = r->type_text;

	return t.n >= type.n && slice_eq_nocase(slice_make(t.p, type.n), type) &&
	       (t.n == type.n || t.p[type.n] == ';' || t.p[type.n] == ' ');
}

static enum relay_mode choose(const struct relay *r)
{
	bool lines = !r->early || r->plan.form == RELAY_FORM_LINES;
	bool events = !r->early || r->plan.form == RELAY_FORM_EVENTS;

	if (r->plan.mode == RELAY_PASS)
		return RELAY_PASS;
	if (r->status == 200 && (r->plan.mode == RELAY_ANSWER || r->plan.mode == RELAY_MODELS ||
				 r->plan.mode == RELAY_FILTER))
		return r->plan.mode;
	if (lines && r->status == 200 && type_is(r, SLICE("application/x-ndjson")))
		return RELAY_LINES;
	if (events && r->status == 200 && type_is(r, SLICE("text/event-stream")))
		return RELAY_EVENTS;
	return RELAY_WHOLE;
}

/* Fields of the backend's reply that are not for passing on: framing and what we say ourselves. */
static bool is_ours(const struct http_head *h, struct slice name)
{
	static const struct slice ours[] = {
		SLICE_INIT("Content-Length"),
		SLICE_INIT("Content-Type"),
		SLICE_INIT("Date"),
		SLICE_INIT("X-Request-Id"),
		SLICE_INIT("X-Content-Type-Options"),
		SLICE_INIT("Server"),
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(ours); i++)
		if (slice_eq_nocase(ours[i], name))
			return true;
	return http_field_is_hop(h, name);
}

/* The backend's id of the request becomes ours, so that both logs speak of one. */
static void take_id(struct relay *r, const struct http_head *h)
{
	struct slice id = http_field_value(h, SLICE("X-Request-Id"));

	if (id.n > 0 && id.n <= 64)
		id = arena_copy(&r->conn->req->arena, id);
	if (id.n > 0 && id.n <= 64 && id.p != NULL)
		r->conn->req->id = id;
}

static void pass_head(struct relay *r, const struct http_head *h)
{
	char mem[PASSED_FIELDS_MAX];
	struct buf b;
	unsigned i;

	buf_init(&b, mem, sizeof(mem));
	for (i = 0; i < h->count; i++)
		if (!is_ours(h, h->fields[i].name))
			http_write_field(&b, h->fields[i].name, h->fields[i].value);
	take_id(r, h);
	r->committed = true;
	conn_begin(r->conn, r->status, r->type_text, buf_view(&b), r->length);
}

/* Redirects, parts and encoded bodies: Ollama sends none, so whoever did is something else. */
static bool is_foreign(const struct http_head *h)
{
	struct slice coding = http_field_value(h, SLICE("Content-Encoding"));

	return h->status == 206 || (h->status >= 300 && h->status < 400) ||
	       (coding.n > 0 && !slice_eq_nocase(coding, SLICE("identity")));
}

enum relay_step relay_reply_head(struct relay *r, const struct http_head *h)
{
	struct slice type = http_field_value(h, SLICE("Content-Type"));
	uint64_t seconds, length;

	r->status = h->status;
	type.n = MIN(type.n, sizeof(r->type));
	if (type.n > 0)
		memcpy(r->type, type.p, type.n);
	r->type_text = slice_make(r->type, type.n);
	if (fmt_parse_u64(http_field_value(h, SLICE("Retry-After")), &seconds) && seconds > 0)
		r->retry_after = (unsigned)MIN(seconds, 3600u);
	if (h->framing == HTTP_LENGTH)
		r->length = (int64_t)MIN(h->length, (uint64_t)INT64_MAX);
	else if (h->framing == HTTP_NONE && !r->plan.head_only)
		r->length = 0;
	else if (r->plan.head_only &&
		 fmt_parse_u64(http_field_value(h, SLICE("Content-Length")), &length))
		r->length =
			(int64_t)MIN(length, (uint64_t)INT64_MAX); /* of the body a GET would get */
	r->mode = choose(r);
	if (r->mode != RELAY_PASS && is_foreign(h))
		return relay_fail(r, FAULT_NONSENSE, "a reply that is not of its API");
	sse_watch_init(&r->sse);
	if (r->mode == RELAY_PASS)
		pass_head(r, h);
	if (r->plan.loader != NULL && r->status == 200)
		loader_saw(r->plan.loader, r->plan.model);
	return RELAY_GO_ON;
}

/* ---- the body ---- */

enum relay_step relay_reply_piece(struct relay *r, struct slice piece)
{
	switch (r->mode) {
	case RELAY_LINES:
	case RELAY_EVENTS:
	case RELAY_ANSWER:
		return relay_units_feed(r, piece);
	case RELAY_WHOLE:
	case RELAY_MODELS:
	case RELAY_FILTER:
		return relay_whole_feed(r, piece);
	default:
		conn_send(r->conn, piece);
		return RELAY_GO_ON;
	}
}

enum relay_step relay_reply_done(struct relay *r)
{
	if (r->mode == RELAY_WHOLE)
		return relay_whole_end(r);
	if (r->mode == RELAY_MODELS)
		return r->status == 200 ? relay_models_end(r) : relay_whole_end(r);
	if (r->mode == RELAY_FILTER)
		return relay_filter_end(r);
	if (r->mode == RELAY_PASS)
		return relay_finish(r);
	if (relay_units_end(r) == RELAY_ENDED)
		return RELAY_ENDED;
	if (r->mode == RELAY_ANSWER && r->done) {
		r->done = false; /* what fails from here on is told */
		return relay_answer_end(r);
	}
	if (r->done || r->error_seen || !(r->plan.generation || r->plan.admin)) {
		r->result = r->error_seen ? METRIC_ERROR : METRIC_OK;
		relay_commit(r, -1);
		return relay_finish(r);
	}
	return relay_fail(r, FAULT_UNFINISHED, NULL);
}
