/* SPDX-License-Identifier: MIT */
/* relay_whole.c: replies that are collected: small ones passed on whole, deltas joined to one
 * answer, lists of models turned into ours. */
#include "app/relay_parts.h"
#include "app/reply.h"
#include "base/fmt.h"

enum {
	WHOLE_MAX = 64 * 1024, /* a longer reply is passed on as it comes */
	MODELS_MAX = 4 * 1024 * 1024,
};

/* ---- whole replies ---- */

/* Passes on what was collected, and from here on every piece as it comes. */
static enum relay_step pass_on(struct relay *r, struct slice piece)
{
	relay_commit(r, r->length);
	ollama_watch_init(&r->watch);
	if (buf_len(&r->carry) > 0)
		conn_send(r->conn, buf_view(&r->carry));
	ollama_watch_feed(&r->watch, buf_view(&r->carry));
	relay_carry_drop(r);
	conn_send(r->conn, piece);
	ollama_watch_feed(&r->watch, piece);
	r->body_out = true;
	return RELAY_GO_ON;
}

enum relay_step relay_whole_feed(struct relay *r, struct slice piece)
{
	bool list = r->mode == RELAY_MODELS || r->mode == RELAY_FILTER;

	if (r->body_out) {
		conn_send(r->conn, piece);
		ollama_watch_feed(&r->watch, piece);
		return RELAY_GO_ON;
	}
	if (relay_keep(r, &r->carry, &r->carry_cap, piece,
		       list ? (size_t)MODELS_MAX : (size_t)WHOLE_MAX))
		return RELAY_GO_ON;
	if (list)
		return relay_fail(r, FAULT_NONSENSE, "its list of models is too long");
	if (r->early && r->status != 200) /* enough of it for an error's words */
		return RELAY_GO_ON;
	if (r->early && r->plan.form != RELAY_FORM_WHOLE)
		return relay_fail(r, FAULT_NONSENSE, "no stream, but a long reply");
	return pass_on(r, piece);
}

/* Ollama's host guard refuses with an empty 403, which tells a person nothing. */
static bool is_mute_refusal(const struct relay *r)
{
	return r->status == 403 && buf_len(&r->carry) == 0;
}

/* The words in {"error":"..."} or {"error":{"message":"..."}}. */
static struct slice error_words(struct slice body, struct arena *a)
{
	struct json_value top, v;
	struct json_error err;
	struct slice words = { NULL, 0 };

	if (!json_check(body, &top, &err))
		return words;
	v = json_find(top, SLICE("error"));
	if (v.type == JSON_OBJECT)
		v = json_find(v, SLICE("message"));
	return v.type == JSON_STRING ? json_unescape(a, v) : words;
}

/* The head of our reply said 200 long ago. */
static enum relay_step early_end(struct relay *r)
{
	char mem[2048];
	struct arena a;
	struct slice words;

	if (r->status == 200 && r->plan.form == RELAY_FORM_EVENTS)
		return relay_fail(r, FAULT_NONSENSE, "no stream of events");
	if (r->status == 200 && r->plan.form == RELAY_FORM_LINES && !r->done && !r->error_seen)
		return relay_fail(r, FAULT_NONSENSE, "no stream of lines");
	if (r->status == 200) {
		conn_send(r->conn, buf_view(&r->carry));
		if (r->plan.form == RELAY_FORM_LINES)
			conn_send(r->conn, SLICE("\n"));
		return relay_finish(r);
	}
	arena_init(&a, mem, sizeof(mem));
	words = error_words(buf_view(&r->carry), &a);
	if (words.p == NULL)
		words = SLICE("refused without words that can be repeated");
	return relay_refused(r, r->status, words);
}

/* What a whole reply means for log and figures. False: it is no JSON object. */
static bool judge(struct relay *r)
{
	struct chat_event ev = { 0 };

	r->result = r->status == 200 ? METRIC_OK : METRIC_ERROR;
	if (!r->plan.generation)
		return true;
	if (r->status >= 500)
		metrics_fault(r->server->env.metrics, METRIC_FAULT_STATUS);
	if (r->body_out)
		relay_take_tokens(r, r->watch.input_tokens, r->watch.output_tokens);
	else if (r->status == 200)
		relay_watch_line(r, buf_view(&r->carry), &ev);
	if (r->error_seen || (r->body_out && r->watch.error))
		r->result = METRIC_ERROR;
	if (!r->committed) /* it goes out as it came */
		r->conn->req->log.intended_status = 0;
	return ev.type != CHAT_BROKEN;
}

enum relay_step relay_whole_end(struct relay *r)
{
	char mem[64];
	struct buf b;
	struct slice fields = slice_make("", 0), type;
	char type_mem[sizeof(r->type)];
	unsigned status = r->status;
	size_t cap = r->carry_cap, n = buf_len(&r->carry);
	char *block = r->carry.base;
	bool sound = judge(r);
	struct conn *c;

	if (r->body_out)
		return relay_finish(r);
	if (status == 204 || status == 205 || status == 304 ||
	    (status == 200 && n == 0 && !r->plan.admin))
		return relay_fail(r, FAULT_NONSENSE, "a reply without content");
	if (!sound)
		return relay_fail(r, FAULT_NONSENSE, "a reply that is no JSON object");
	if (is_mute_refusal(r))
		return relay_fail(r, FAULT_FORBIDDEN, NULL);
	if (r->early)
		return early_end(r);
	buf_init(&b, mem, sizeof(mem));
	if (status == 503 || status == 429)
		fields = reply_retry_after(&b, relay_retry_after(r));
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

/* A JSON text made by us, as the whole reply; the block becomes the connection's. */
static enum relay_step reply_json(struct relay *r, void *block, size_t cap, size_t n)
{
	struct server *s = r->server;
	bool early = r->early;
	struct conn *c = relay_release(r, r->up_keep);

	if (!early) {
		conn_reply_block(c, 200, SLICE("application/json"), slice_make("", 0), block, cap,
				 n);
		return RELAY_ENDED;
	}
	conn_send(c, slice_make(block, n));
	mem_give(&s->mem, block, cap);
	conn_finish(c);
	return RELAY_ENDED;
}

/* {"response":...,"conversation_id":...,"model":...}; the joined deltas are JSON text already. */
enum relay_step relay_answer_end(struct relay *r)
{
	char mem[6 * OLLAMA_NAME_MAX + 64];
	struct buf tail;
	struct slice id =
		r->plan.conversation_id.n > 0 ? r->plan.conversation_id : SLICE("\"default\"");
	struct slice text = buf_view(&r->answer);
	size_t cap;
	struct buf out;
	void *block;

	buf_init(&tail, mem, sizeof(mem));
	buf_put(&tail, SLICE(",\"model\":"));
	json_write_string(&tail, r->plan.model);
	buf_put(&tail, SLICE("}"));
	block = mem_take(&r->server->mem, text.n + id.n + buf_len(&tail) + 64, &cap);
	if (block == NULL)
		return relay_fail(r, FAULT_MEMORY, NULL);
	buf_init(&out, block, cap);
	buf_put(&out, SLICE("{\"response\":\""));
	buf_put(&out, text);
	buf_put(&out, SLICE("\",\"conversation_id\":"));
	buf_put(&out, id);
	buf_put(&out, buf_view(&tail));
	r->result = METRIC_OK;
	return reply_json(r, block, cap, buf_len(&out));
}

enum relay_step relay_models_end(struct relay *r)
{
	const struct config *cf = r->server->env.config;
	struct slice body = buf_view(&r->carry);
	char model[SHARED_MODEL_MAX];
	size_t arena_cap, out_cap;
	void *arena_mem = mem_take(&r->server->mem, body.n * 12 + 16384, &arena_cap);
	void *out_mem = mem_take(&r->server->mem, body.n * 2 + 8192, &out_cap);
	struct arena a;
	struct buf out;
	enum parse p = PARSE_MORE;

	shared_read_text(r->server->env.shared, r->server->env.shared->default_model, model,
			 sizeof(model));
	if (arena_mem != NULL && out_mem != NULL) {
		arena_init(&a, arena_mem, arena_cap);
		buf_init(&out, out_mem, out_cap);
		p = ollama_models_write(body, slice_str(model), cf->models, &a, &out);
	}
	mem_give(&r->server->mem, arena_mem, arena_cap);
	if (p != PARSE_DONE) {
		mem_give(&r->server->mem, out_mem, out_cap);
		return relay_fail(r, FAULT_NONSENSE, "no list of models");
	}
	return reply_json(r, out_mem, out_cap, buf_len(&out));
}

enum relay_step relay_filter_end(struct relay *r)
{
	struct slice body = buf_view(&r->carry), type;
	char arena_mem[8 * OLLAMA_NAME_MAX], type_mem[sizeof(r->type)];
	size_t cap;
	void *block = mem_take(&r->server->mem, MAX(body.n, (size_t)1), &cap);
	struct arena a;
	struct buf out;
	struct conn *c;
	enum parse p;

	if (block == NULL)
		return relay_fail(r, FAULT_MEMORY, NULL);
	arena_init(&a, arena_mem, sizeof(arena_mem));
	buf_init(&out, block, cap);
	p = ollama_list_filter(body, r->server->env.config->models, &a, &out);
	if (p != PARSE_DONE) {
		mem_give(&r->server->mem, block, cap);
		return relay_fail(r, FAULT_NONSENSE, "no list of models");
	}
	slice_copy_to(type_mem, r->type_text);
	type = slice_make(type_mem, r->type_text.n);
	c = relay_release(r, r->up_keep);
	conn_reply_block(c, 200, type, slice_make("", 0), block, cap, buf_len(&out));
	return RELAY_ENDED;
}
