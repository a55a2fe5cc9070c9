/* SPDX-License-Identifier: MIT */
/* relay_reply.c: what the upstream's reply means and what the client gets of it: whole lines and
 * events at once, small replies whole, and every end told for what it is. */
#include "app/relay.h"
#include "app/reply.h"
#include "base/fmt.h"
#include "proto/http_write.h"
#include "proto/openai.h"

enum {
	UNIT_MAX = 64 * 1024,            /* a longer line or event goes on in pieces */
	WHOLE_MAX = 64 * 1024,           /* a longer reply is passed on as it comes */
	ANSWER_MAX = 8 * 1024 * 1024,
	MODELS_MAX = 4 * 1024 * 1024,
	RETRY_AFTER_DEFAULT = 5,
	PASSED_FIELDS_MAX = 4096,
};

/* ---- a growing buffer of the worker's memory ---- */

static bool keep(struct relay *r, struct buf *b, size_t *cap, struct slice s, size_t max)
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

static void carry_drop(struct relay *r)
{
	mem_give(&r->server->mem, r->carry.base, r->carry_cap);
	buf_init(&r->carry, NULL, 0);
	r->carry_cap = 0;
}

/* ---- ends ---- */

/* The words for a failure: % is the upstream. */
static struct slice fail_text(const struct relay *r, struct buf *b, const char *text, const char *detail)
{
	for (; *text != '\0'; text++) {
		if (*text == '%')
			buf_put(b, r->server->start->upstream_name);
		else
			buf_put_byte(b, *text);
	}
	if (detail != NULL && *detail != '\0') {
		buf_put_str(b, ": ");
		buf_put_str(b, detail);
	}
	return buf_view(b);
}

static unsigned retry_after(struct relay *r)
{
	if (r->retry_after > 0)
		return r->retry_after;
	if (r->plan.gate == NULL)
		return RETRY_AFTER_DEFAULT;
	return admission_retry_after(r->plan.gate, r->server->request_seed + r->server->request_count);
}

/* {"error":text,"models":[]}, as the page of the original expects it. */
static void reply_no_models(struct conn *c, struct slice text)
{
	char mem[2048];
	struct buf b;

	buf_init(&b, mem, sizeof(mem));
	buf_put(&b, SLICE("{\"error\":"));
	json_write_string(&b, text);
	buf_put(&b, SLICE(",\"models\":[]}"));
	conn_reply(c, 503, SLICE("application/json"), SLICE("Retry-After: 5\r\n"), buf_view(&b));
}

static void error_unit(struct relay *r, struct buf *b, unsigned status, struct slice text, unsigned wait)
{
	if (r->mode == RELAY_EVENTS) {
		openai_error_event_write(b, status, text, r->plan.responses);
		return;
	}
	buf_put(b, SLICE("{\"error\":"));
	json_write_string(b, text);
	buf_put(b, SLICE(",\"status\":"));
	fmt_u64(b, status);
	if (wait > 0) {
		buf_put(b, SLICE(",\"retry_after\":"));
		fmt_u64(b, wait);
	}
	buf_put(b, SLICE("}\n"));
}

/* After our head is out: in the stream's own words where whole units were sent, else by a break
 * that no client takes for an end. */
static void fail_committed(struct conn *c, enum relay_mode mode, bool mid_unit, struct slice unit)
{
	if ((mode != RELAY_LINES && mode != RELAY_EVENTS) || mid_unit) {
		conn_abort(c);
		return;
	}
	conn_send(c, unit);
	conn_finish(c);
}

static void log_failure(struct relay *r, unsigned status, struct slice text)
{
	struct log_line l;

	r->conn->req->log.result = status == 503 ? "rejected" : status == 504 ? "timeout" : "error";
	log_begin(&l, r->server->env.log, LOG_WARN, "upstream");
	log_text(&l, "request_id", r->conn->req->id);
	log_num(&l, "status", status);
	log_text(&l, "why", text);
	log_end(&l);
}

enum relay_step relay_fail(struct relay *r, unsigned status, const char *text, const char *detail)
{
	char mem[512], unit_mem[2048];
	struct buf b, unit;
	struct slice words;
	enum relay_mode mode = r->mode;
	bool committed = r->committed, mid = r->mid_unit;
	unsigned wait = status == 503 || status == 429 ? retry_after(r) : 0;
	struct conn *c;

	if (r->done || (r->error_seen && committed)) { /* it had said its end; how it hung up is no matter */
		r->up_keep = false;
		return relay_reply_done(r);
	}
	buf_init(&b, mem, sizeof(mem));
	words = fail_text(r, &b, text, detail);
	log_failure(r, status, words);
	buf_init(&unit, unit_mem, sizeof(unit_mem));
	error_unit(r, &unit, status, words, wait);
	if (!committed && r->plan.mode == RELAY_MODELS) {
		reply_no_models(relay_release(r, false), words);
		return RELAY_ENDED;
	}
	c = relay_release(r, false);
	if (committed)
		fail_committed(c, mode, mid, buf_view(&unit));
	else
		conn_error(c, status, words, wait);
	return RELAY_ENDED;
}

static enum relay_step finish(struct relay *r)
{
	struct conn *c = relay_release(r, r->up_keep);

	conn_finish(c);
	return RELAY_ENDED;
}

/* ---- the head ---- */

static void commit(struct relay *r, int64_t length)
{
	char mem[64];
	struct buf b;
	struct slice fields = slice_make("", 0);

	buf_init(&b, mem, sizeof(mem));
	if (r->status == 503 || r->status == 429)
		fields = reply_retry_after(&b, retry_after(r));
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
	if (r->plan.mode == RELAY_PASS)
		return RELAY_PASS;
	if (r->status == 200 && (r->plan.mode == RELAY_ANSWER || r->plan.mode == RELAY_MODELS))
		return r->plan.mode;
	if (r->status == 200 && type_is(r, SLICE("application/x-ndjson")))
		return RELAY_LINES;
	if (r->status == 200 && type_is(r, SLICE("text/event-stream")))
		return RELAY_EVENTS;
	return RELAY_WHOLE;
}

/* Fields of the backend's reply that are not for passing on: framing and what we say ourselves. */
static bool is_ours(const struct http_head *h, struct slice name)
{
	static const struct slice ours[] = {
		SLICE_INIT("Content-Length"), SLICE_INIT("Content-Type"), SLICE_INIT("Date"),
		SLICE_INIT("X-Request-Id"), SLICE_INIT("X-Content-Type-Options"), SLICE_INIT("Server"),
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

enum relay_step relay_reply_head(struct relay *r, const struct http_head *h)
{
	struct slice type = http_field_value(h, SLICE("Content-Type"));
	uint64_t seconds;

	r->status = h->status;
	type.n = MIN(type.n, sizeof(r->type));
	if (type.n > 0)
		memcpy(r->type, type.p, type.n);
	r->type_text = slice_make(r->type, type.n);
	if (fmt_parse_u64(http_field_value(h, SLICE("Retry-After")), &seconds) && seconds > 0)
		r->retry_after = (unsigned)MIN(seconds, 3600u);
	if (h->framing == HTTP_LENGTH)
		r->length = (int64_t)MIN(h->length, (uint64_t)INT64_MAX);
	else if (h->framing == HTTP_NONE)
		r->length = 0;
	r->mode = choose(r);
	sse_watch_init(&r->sse);
	if (r->mode == RELAY_PASS)
		pass_head(r, h);
	return RELAY_GO_ON;
}

/* ---- units: lines and events ---- */

/* Where the first unit in `view` ends (behind its newline, or the empty line of an event), or 0.
 * Nothing before `from` ends one. */
static size_t unit_end(const struct relay *r, struct slice view, size_t from)
{
	const char *p;

	while (from < view.n && (p = memchr(view.p + from, '\n', view.n - from)) != NULL) {
		size_t at = (size_t)(p - view.p);

		if (r->mode != RELAY_EVENTS)
			return at + 1;
		if (at == 0 || view.p[at - 1] == '\n' ||
		    (view.p[at - 1] == '\r' && (at == 1 || view.p[at - 2] == '\n')))
			return at + 1;
		from = at + 1;
	}
	return 0;
}

static void first_token(struct relay *r)
{
	if (r->conn->req->log.ttft_ms < 0)
		r->conn->req->log.ttft_ms = loop_now(r->server->env.loop) - r->began_ms;
}

static void watch_line(struct relay *r, struct slice unit, struct chat_event *ev)
{
	ollama_line_read(unit, ev);
	switch (ev->type) {
	case CHAT_DELTA:
		first_token(r);
		break;
	case CHAT_DONE:
		r->done = true;
		r->conn->req->log.tokens = ev->eval_count;
		break;
	case CHAT_ERROR:
		r->error_seen = true;
		break;
	default:
		break;
	}
}

/* The error's own words, NUL-ended. */
static void error_words(const struct chat_event *ev, char *out, size_t cap)
{
	char mem[1024];
	struct arena a;
	struct slice text;

	arena_init(&a, mem, sizeof(mem));
	text = json_unescape(&a, ev->error);
	if (text.p == NULL)
		text = SLICE("an error too long to repeat");
	text.n = MIN(text.n, cap - 1);
	memcpy(out, text.p, text.n);
	out[text.n] = '\0';
}

static enum relay_step answer_add(struct relay *r, const struct chat_event *ev)
{
	char words[256];

	if (ev->type == CHAT_BROKEN)
		return relay_fail(r, 502, "% answered nonsense", "a line that is no JSON object");
	if (ev->type == CHAT_ERROR) {
		error_words(ev, words, sizeof(words));
		r->error_seen = false; /* it is not passed on: we tell it */
		return relay_fail(r, 502, "% broke off", words);
	}
	if (ev->content.n > 0 && !keep(r, &r->answer, &r->answer_cap, ev->content, ANSWER_MAX))
		return relay_fail(r, 502, "the answer is longer than 8 MiB", NULL);
	return RELAY_GO_ON;
}

static bool is_blank(struct slice s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (s.p[i] != ' ' && s.p[i] != '\n' && s.p[i] != '\r' && s.p[i] != '\t')
			return false;
	return true;
}

/* One whole unit: its bytes first, its meaning after. */
static enum relay_step unit_out(struct relay *r, struct slice unit)
{
	struct chat_event ev;

	if (r->mode != RELAY_ANSWER) {
		if (!r->committed)
			commit(r, -1);
		conn_send(r->conn, unit);
	}
	if (r->mode == RELAY_EVENTS) {
		sse_watch_feed(&r->sse, unit);
		r->done = r->done || r->sse.done;
		r->error_seen = r->error_seen || r->sse.error;
		first_token(r);
		return RELAY_GO_ON;
	}
	if (is_blank(unit))
		return RELAY_GO_ON;
	watch_line(r, unit, &ev);
	return r->mode == RELAY_ANSWER ? answer_add(r, &ev) : RELAY_GO_ON;
}

/* A unit that outgrew its place leaves in pieces, and only its last byte makes it whole again. */
static void piece_out(struct relay *r, struct slice piece)
{
	if (!r->committed)
		commit(r, -1);
	conn_send(r->conn, piece);
	r->mid_unit = true;
	if (r->mode == RELAY_EVENTS)
		sse_watch_feed(&r->sse, piece);
}

static enum relay_step carry_add(struct relay *r, struct slice piece)
{
	size_t max = r->mode == RELAY_ANSWER ? ANSWER_MAX : UNIT_MAX;

	if (keep(r, &r->carry, &r->carry_cap, piece, max))
		return RELAY_GO_ON;
	if (r->mode == RELAY_ANSWER)
		return relay_fail(r, 502, "the answer is longer than 8 MiB", NULL);
	if (buf_len(&r->carry) > 0)
		piece_out(r, buf_view(&r->carry));
	carry_drop(r);
	piece_out(r, piece);
	return RELAY_GO_ON;
}

/* The rest of a unit of which a part is out already. */
static struct slice finish_long_unit(struct relay *r, struct slice piece)
{
	size_t end = unit_end(r, piece, 0);

	if (end == 0) {
		piece_out(r, piece);
		return slice_make(piece.p, 0);
	}
	piece_out(r, slice_make(piece.p, end));
	r->mid_unit = false;
	return slice_from(piece, end);
}

/* Joins to what is carried no more than up to the next end. Says how much of the piece it took. */
static enum relay_step continue_carried(struct relay *r, struct slice piece, size_t *took)
{
	size_t before = buf_len(&r->carry), end = unit_end(r, piece, 0);

	*took = end > 0 ? end : piece.n;
	if (carry_add(r, slice_make(piece.p, *took)) == RELAY_ENDED)
		return RELAY_ENDED;
	if (r->mid_unit) { /* it went out in pieces */
		r->mid_unit = end == 0;
		return RELAY_GO_ON;
	}
	end = unit_end(r, buf_view(&r->carry), before > 2 ? before - 2 : 0);
	if (end == 0)
		return RELAY_GO_ON;
	if (unit_out(r, buf_view(&r->carry)) == RELAY_ENDED)
		return RELAY_ENDED;
	carry_drop(r);
	return RELAY_GO_ON;
}

static enum relay_step split_units(struct relay *r, struct slice piece)
{
	size_t n;

	if (r->mid_unit)
		piece = finish_long_unit(r, piece);
	while (buf_len(&r->carry) > 0 && piece.n > 0) {
		if (continue_carried(r, piece, &n) == RELAY_ENDED)
			return RELAY_ENDED;
		piece = slice_from(piece, n);
	}
	while ((n = unit_end(r, piece, 0)) > 0) {
		if (unit_out(r, slice_make(piece.p, n)) == RELAY_ENDED)
			return RELAY_ENDED;
		piece = slice_from(piece, n);
	}
	return piece.n > 0 ? carry_add(r, piece) : RELAY_GO_ON;
}

/* ---- whole replies ---- */

static enum relay_step whole_add(struct relay *r, struct slice piece)
{
	size_t max = r->mode == RELAY_MODELS ? MODELS_MAX : WHOLE_MAX;

	if (r->committed) {
		conn_send(r->conn, piece);
		return RELAY_GO_ON;
	}
	if (keep(r, &r->carry, &r->carry_cap, piece, max))
		return RELAY_GO_ON;
	if (r->mode == RELAY_MODELS)
		return relay_fail(r, 502, "% answered nonsense", "its list of models is too long");
	commit(r, r->length);
	if (buf_len(&r->carry) > 0)
		conn_send(r->conn, buf_view(&r->carry));
	carry_drop(r);
	conn_send(r->conn, piece);
	return RELAY_GO_ON;
}

/* Ollama's host guard refuses with an empty 403, which tells a person nothing. */
static bool is_mute_refusal(const struct relay *r)
{
	return r->status == 403 && buf_len(&r->carry) == 0;
}

static enum relay_step whole_done(struct relay *r)
{
	char mem[64];
	struct buf b;
	struct slice fields = slice_make("", 0), type, body;
	char type_mem[sizeof(r->type)];
	unsigned status = r->status;
	size_t cap = r->carry_cap, n = buf_len(&r->carry);
	char *block = r->carry.base;
	struct conn *c;
	struct chat_event ev;

	if (r->committed)
		return finish(r);
	if (status == 204 || status == 205 || status == 304 || (status == 200 && n == 0))
		return relay_fail(r, 502, "% answered nonsense", "a reply without content");
	if (is_mute_refusal(r))
		return relay_fail(r, 502, "% refuses our requests (403); check its OLLAMA_HOST and OLLAMA_ORIGINS", NULL);
	buf_init(&b, mem, sizeof(mem));
	if (status == 503 || status == 429)
		fields = reply_retry_after(&b, retry_after(r));
	body = buf_view(&r->carry);
	if (r->plan.generation && status == 200)
		watch_line(r, body, &ev);
	slice_copy_to(type_mem, r->type_text);
	type = slice_make(type_mem, r->type_text.n);
	buf_init(&r->carry, NULL, 0);
	r->carry_cap = 0;
	c = relay_release(r, r->up_keep);
	if (block == NULL)
		conn_reply(c, status, type, fields, slice_make("", 0));
	else
		conn_reply_block(c, status, type, fields, block, cap, n);
	return RELAY_ENDED;
}

/* {"response":...,"conversation_id":...,"model":...}; the joined deltas are JSON text already. */
static enum relay_step answer_done(struct relay *r)
{
	char mem[2048];
	struct buf tail;
	struct slice id = r->plan.conversation_id.n > 0 ? r->plan.conversation_id : SLICE("\"default\"");
	struct slice text = buf_view(&r->answer);
	size_t cap;
	struct buf out;
	void *block;
	struct conn *c;

	buf_init(&tail, mem, sizeof(mem));
	buf_put(&tail, SLICE(",\"model\":"));
	json_write_string(&tail, r->plan.model);
	buf_put(&tail, SLICE("}"));
	block = mem_take(&r->server->mem, text.n + id.n + buf_len(&tail) + 64, &cap);
	if (block == NULL)
		return relay_fail(r, 503, "out of memory", NULL);
	buf_init(&out, block, cap);
	buf_put(&out, SLICE("{\"response\":\""));
	buf_put(&out, text);
	buf_put(&out, SLICE("\",\"conversation_id\":"));
	buf_put(&out, id);
	buf_put(&out, buf_view(&tail));
	c = relay_release(r, r->up_keep);
	conn_reply_block(c, 200, SLICE("application/json"), slice_make("", 0), block, cap, buf_len(&out));
	return RELAY_ENDED;
}

static enum relay_step models_done(struct relay *r)
{
	const struct config *cf = r->server->env.config;
	struct slice body = buf_view(&r->carry);
	char model[SHARED_MODEL_MAX];
	size_t arena_cap, out_cap;
	void *arena_mem = mem_take(&r->server->mem, body.n * 12 + 16384, &arena_cap);
	void *out_mem = mem_take(&r->server->mem, body.n * 2 + 8192, &out_cap);
	struct arena a;
	struct buf out;
	struct conn *c;
	enum parse p = PARSE_MORE;

	shared_read_text(r->server->env.shared, r->server->env.shared->default_model, model, sizeof(model));
	if (arena_mem != NULL && out_mem != NULL) {
		arena_init(&a, arena_mem, arena_cap);
		buf_init(&out, out_mem, out_cap);
		p = ollama_models_write(body, slice_str(model), cf->models, &a, &out);
	}
	mem_give(&r->server->mem, arena_mem, arena_cap);
	if (p != PARSE_DONE) {
		mem_give(&r->server->mem, out_mem, out_cap);
		return relay_fail(r, 502, "% answered nonsense", "no list of models");
	}
	c = relay_release(r, r->up_keep);
	conn_reply_block(c, 200, SLICE("application/json"), slice_make("", 0), out_mem, out_cap, buf_len(&out));
	return RELAY_ENDED;
}

/* ---- the body ---- */

enum relay_step relay_reply_piece(struct relay *r, struct slice piece)
{
	switch (r->mode) {
	case RELAY_LINES:
	case RELAY_EVENTS:
	case RELAY_ANSWER:
		return split_units(r, piece);
	case RELAY_WHOLE:
	case RELAY_MODELS:
		return whole_add(r, piece);
	default:
		conn_send(r->conn, piece);
		return RELAY_GO_ON;
	}
}

/* A last line without its newline counts as a line. */
static enum relay_step last_unit(struct relay *r)
{
	struct slice unit = buf_view(&r->carry);

	if (unit.n == 0 || r->mid_unit || r->mode == RELAY_EVENTS)
		return RELAY_GO_ON;
	if (!keep(r, &r->carry, &r->carry_cap, SLICE("\n"), SIZE_MAX))
		return relay_fail(r, 503, "out of memory", NULL);
	return unit_out(r, buf_view(&r->carry));
}

enum relay_step relay_reply_done(struct relay *r)
{
	if (r->mode == RELAY_WHOLE)
		return whole_done(r);
	if (r->mode == RELAY_MODELS)
		return r->status == 200 ? models_done(r) : whole_done(r);
	if (r->mode == RELAY_PASS)
		return finish(r);
	if (last_unit(r) == RELAY_ENDED)
		return RELAY_ENDED;
	if (r->mode == RELAY_ANSWER && r->done) {
		r->done = false; /* what fails from here on is told */
		return answer_done(r);
	}
	if (r->done || r->error_seen || !r->plan.generation) {
		r->conn->req->log.result = r->error_seen ? "error" : "ok";
		if (!r->committed)
			commit(r, -1);
		return finish(r);
	}
	return relay_fail(r, 502, "% ended its answer before it was done", NULL);
}
