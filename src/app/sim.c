/* SPDX-License-Identifier: MIT */
/* sim.c: the stand-in for Ollama: routes and timing. What it says and how it is written is in
 * sim_model.h. It is no kinder than Ollama: same errors, same host guard, and a client that leaves
 * cancels its request, a model load included. */
#include "app/sim.h"
#include "app/conn.h"
#include "app/sim_model.h"
#include "base/fmt.h"

enum {
	PIECE = 16 * 1024,                 /* room for one delta's line, or a small reply */
	WHOLE = 6 * SIM_ANSWER_MAX + 8192, /* room for a whole answer, every byte escaped */
	ARENA_EXTRA = 3 * SIM_ANSWER_MAX + 8192,
	CHUNKED_FROM = 2048, /* Go sends longer replies without a length */
	PULL_STEP_MS = 60,
	TICK_MS = 1, /* shortest pause between deltas; faster rates send several */
};

/* A POST under way. */
struct sim_work {
	struct conn *conn;
	struct server *server;
	size_t cap;
	struct timer timer;
	struct sim_request r;
	struct sim_answer answer;
	struct sim_stats stats;
	int64_t started, speaking, prompt_done;
	uint64_t spoken; /* deltas */
	unsigned step;   /* of a pull */
	bool begun, answering;
	struct arena arena;
	char piece[PIECE];
};

static struct sim_library *library_of(struct server *s)
{
	return s->role_data;
}

static int64_t wall(const struct server *s)
{
	return clock_wall(s->env.clock);
}

static int64_t mono(const struct server *s)
{
	return loop_now(s->env.loop);
}

static void reply_text(struct conn *c, unsigned status, const char *type, struct slice body)
{
	conn_reply(c, status, slice_str(type), slice_make("", 0), body);
}

static const char json[] = "application/json; charset=utf-8";
static const char plain[] = "text/plain; charset=utf-8";

/* ---- Ollama's guard against foreign hosts and origins: an empty 403 ---- */

static bool ends_with(struct slice s, struct slice end)
{
	return s.n >= end.n && slice_eq_nocase(slice_from(s, s.n - end.n), end);
}

static bool name_is_local(struct slice host)
{
	struct slice name, port;

	if (host.n == 0)
		return true;
	if (!uri_host_split(host, &name, &port))
		return false;
	return uri_name_is_local_or_ip(name) || ends_with(name, SLICE(".local")) ||
	       ends_with(name, SLICE(".internal"));
}

static bool origin_is_local(struct slice origin)
{
	struct slice mark = SLICE("://");
	size_t i;

	for (i = 0; i + mark.n < origin.n; i++)
		if (slice_starts(slice_from(origin, i), mark))
			return name_is_local(slice_from(origin, i + mark.n));
	return false;
}

static bool guard(struct conn *c, unsigned methods)
{
	const struct http_head *h = &c->req->head;
	const struct http_field *origin = http_field_find(h, SLICE("Origin"));

	if (!name_is_local(h->host) || (origin != NULL && !origin_is_local(origin->value))) {
		conn_reply(c, 403, slice_make("", 0), slice_make("", 0), slice_make("", 0));
		return false;
	}
	if (!(methods & h->method)) {
		reply_text(c, 405, plain, SLICE("405 method not allowed"));
		return false;
	}
	return true;
}

/* ---- GET ---- */

typedef bool list_fn(struct buf *, struct server *);

static bool write_version(struct buf *b, struct server *s)
{
	(void)s;
	return sim_version_write(b, SLICE(OLLACHAT_VERSION));
}

static bool write_tags(struct buf *b, struct server *s)
{
	return sim_tags_write(b, library_of(s));
}

static bool write_ps(struct buf *b, struct server *s)
{
	return sim_ps_write(b, library_of(s), wall(s));
}

static bool write_v1_models(struct buf *b, struct server *s)
{
	return sim_v1_models_write(b, library_of(s));
}

static void reply_list(struct conn *c, list_fn *fn)
{
	struct buf b;

	if (!guard(c, HTTP_GET | HTTP_HEAD))
		return;
	buf_init(&b, c->server->scratch, SERVER_SCRATCH);
	fn(&b, c->server);
	reply_text(c, 200, json, buf_view(&b));
}

static void root_get(struct conn *c)
{
	if (guard(c, HTTP_GET | HTTP_HEAD))
		reply_text(c, 200, plain, SLICE("Ollama is running"));
}

static void version_get(struct conn *c)
{
	reply_list(c, write_version);
}

static void tags_get(struct conn *c)
{
	reply_list(c, write_tags);
}

static void ps_get(struct conn *c)
{
	reply_list(c, write_ps);
}

static void v1_models_get(struct conn *c)
{
	reply_list(c, write_v1_models);
}

static void v1_model_get(struct conn *c)
{
	struct slice prefix = SLICE("/v1/models/");
	unsigned status;
	struct buf b;

	if (!guard(c, HTTP_GET | HTTP_HEAD))
		return;
	buf_init(&b, c->server->scratch, SERVER_SCRATCH);
	sim_v1_model_write(&b, library_of(c->server), slice_from(c->req->uri.path, prefix.n),
			   &status);
	reply_text(c, status, json, buf_view(&b));
}

static void not_found(struct conn *c)
{
	if (guard(c, 0xff))
		reply_text(c, 404, plain, SLICE("404 page not found"));
}

/* ---- POST ---- */

static void work_free(struct sim_work *w)
{
	loop_timer_clear(w->server->env.loop, &w->timer);
	mem_give(&w->server->mem, w, w->cap);
}

static void on_gone(void *work)
{
	work_free(work);
}

static void speak(struct sim_work *w);

static void on_drained(void *work)
{
	struct sim_work *w = work;

	if (w->answering)
		speak(w);
}

static const struct work_ops work_ops = { on_gone, on_drained, true, NULL };

static void touch_model(struct sim_work *w)
{
	if (w->r.entry != NULL)
		sim_model_use(w->r.entry, wall(w->server), w->r.unload ? 0 : w->r.keep_alive);
}

static void set_total(struct sim_work *w)
{
	int64_t now = mono(w->server);

	w->stats.total_ns = (uint64_t)(now - w->started + 1) * 1000000;
	w->stats.prompt_count = w->r.prompt_tokens;
	w->stats.prompt_ns = (uint64_t)MAX(1, w->speaking - w->prompt_done) * 1000000;
	w->stats.eval_count = w->spoken;
	w->stats.eval_ns = (uint64_t)MAX(1, now - w->speaking) * 1000000;
}

/* A finished JSON text; long ones go without a length, as Go sends them. */
static void reply_json(struct sim_work *w, unsigned status, const char *type, void *mem, size_t cap,
		       size_t n)
{
	struct conn *c = w->conn;

	work_free(w);
	if (n <= CHUNKED_FROM) {
		conn_reply_block(c, status, slice_str(type), slice_make("", 0), mem, cap, n);
		return;
	}
	c->req->reply_mem = mem;
	c->req->reply_cap = cap;
	conn_begin(c, status, slice_str(type), slice_make("", 0), -1);
	conn_send(c, slice_make(mem, n));
	conn_finish(c);
}

static void refuse(struct sim_work *w, unsigned status, struct slice text)
{
	struct conn *c = w->conn;
	char mem[2048];
	struct buf b;

	buf_init(&b, mem, sizeof(mem));
	sim_error_write(&b, w->r.kind, status, text);
	work_free(w);
	reply_text(c, status, json, buf_view(&b));
}

static bool take_room(struct sim_work *w, struct buf *b, size_t *cap)
{
	void *mem = mem_take(&w->server->mem, WHOLE + conn_body(w->conn).n * 2, cap);

	if (mem == NULL) {
		refuse(w, 500, SLICE("out of memory"));
		return false;
	}
	buf_init(b, mem, *cap);
	return true;
}

static void reply_at_once(struct sim_work *w)
{
	struct buf b;
	size_t cap;

	if (!take_room(w, &b, &cap))
		return;
	touch_model(w);
	set_total(w);
	sim_reply_write(&b, &w->r, wall(w->server), &w->stats, &w->arena);
	reply_json(w, 200, sim_whole_type(w->r.kind), b.base, cap, buf_len(&b));
}

static void answer_done(struct sim_work *w)
{
	struct conn *c = w->conn;
	struct buf b;
	size_t cap;

	touch_model(w);
	set_total(w);
	if (!w->r.stream) {
		if (!take_room(w, &b, &cap))
			return;
		sim_whole_write(&b, &w->r, wall(w->server), &w->stats, &w->answer);
		reply_json(w, 200, sim_whole_type(w->r.kind), b.base, cap, buf_len(&b));
		return;
	}
	buf_init(&b, w->piece, sizeof(w->piece));
	sim_end_write(&b, &w->r, wall(w->server), &w->stats, &w->answer);
	conn_send(c, buf_view(&b));
	work_free(w);
	conn_finish(c);
}

/* One delta; false: there was none left, and the work is over. */
static bool say_one(struct sim_work *w)
{
	struct sim_delta d;
	struct buf b;

	if (!sim_answer_next(&w->answer, &d)) {
		answer_done(w);
		return false;
	}
	w->spoken++;
	if (!w->r.stream)
		return true;
	if (!w->begun) {
		w->begun = true;
		conn_begin(w->conn, 200, slice_str(sim_stream_type(w->r.kind)), slice_make("", 0),
			   -1);
	}
	buf_init(&b, w->piece, sizeof(w->piece));
	sim_delta_write(&b, &w->r, wall(w->server), &w->stats, &d);
	conn_send(w->conn, buf_view(&b));
	return true;
}

/* As many deltas as are due by now; all of them when no speed was set. */
static void speak(struct sim_work *w)
{
	uint64_t rate = w->server->env.config->sim_tokens_per_1000s;
	int64_t due_ms;

	for (;;) {
		uint64_t elapsed = (uint64_t)(mono(w->server) - w->speaking);

		if (w->begun && conn_backlog(w->conn) > CONN_HIGH_MARK)
			return; /* on_drained() goes on */
		if (rate > 0 && w->spoken > elapsed * rate / 1000000)
			break;
		if (!say_one(w))
			return;
	}
	due_ms = w->speaking + (int64_t)(w->spoken * 1000000 / rate) + 1;
	loop_timer_set(w->server->env.loop, &w->timer, MAX(due_ms, mono(w->server) + TICK_MS));
}

static void pull_step(struct sim_work *w)
{
	struct conn *c = w->conn;
	bool last, failed, stream = w->r.stream;
	struct buf b;
	struct slice text;

	buf_init(&b, w->piece, sizeof(w->piece));
	sim_pull_write(&b, &w->r, w->step++, &last, &failed);
	text = buf_view(&b);
	if (stream && !w->begun) {
		w->begun = true;
		conn_begin(c, 200, SLICE("application/x-ndjson"), slice_make("", 0), -1);
	}
	if (stream)
		conn_send(c, text);
	if (!last) {
		loop_timer_after(w->server->env.loop, &w->timer, PULL_STEP_MS);
		return;
	}
	if (!failed)
		sim_library_add(library_of(w->server), w->r.model, wall(w->server));
	if (stream) {
		work_free(w);
		conn_finish(c);
		return;
	}
	text.n -= text.n > 0 && text.p[text.n - 1] == '\n';
	reply_text(c, failed ? 500 : 200, json, text);
	work_free(w);
}

static void on_timer(void *ctx, int64_t now)
{
	struct sim_work *w = ctx;
	int64_t wait = w->server->env.config->sim_first_token_delay_ms;

	(void)now;
	if (w->r.act == SIM_PULL) {
		pull_step(w);
		return;
	}
	if (!w->answering && w->r.act == SIM_ANSWER &&
	    w->prompt_done == 0) { /* the model is in memory now */
		touch_model(w);
		w->prompt_done = mono(w->server);
		w->stats.load_ns = (uint64_t)(w->prompt_done - w->started) * 1000000;
		if (wait > 0) {
			loop_timer_after(w->server->env.loop, &w->timer, wait);
			return;
		}
	}
	if (w->r.act == SIM_REPLY) {
		reply_at_once(w);
		return;
	}
	if (!w->answering)
		w->speaking = mono(w->server);
	w->answering = true;
	speak(w);
}

static void start_work(struct sim_work *w)
{
	const struct config *cf = w->server->env.config;
	bool absent = w->r.needs_model && !sim_model_is_loaded(w->r.entry, wall(w->server));

	if (w->r.act == SIM_REFUSE) {
		refuse(w, w->r.status, w->r.error);
		return;
	}
	if (w->r.act == SIM_ANSWER && !sim_answer_make(&w->r, &w->arena, &w->answer)) {
		refuse(w, 500, SLICE("the answer does not fit"));
		return;
	}
	loop_timer_after(w->server->env.loop, &w->timer, absent ? cf->sim_load_delay_ms : 0);
}

static void post(struct conn *c, enum sim_kind kind)
{
	struct slice body = conn_body(c);
	struct server *s = c->server;
	struct sim_work *w;
	size_t cap;

	if (!guard(c, HTTP_POST))
		return;
	w = mem_take(&s->mem, sizeof(*w) + body.n + ARENA_EXTRA, &cap);
	if (w == NULL) {
		reply_text(c, 500, json, SLICE("{\"error\":\"out of memory\"}"));
		return;
	}
	memset(w, 0, sizeof(*w) - sizeof(w->piece));
	w->conn = c;
	w->server = s;
	w->cap = cap;
	w->started = w->speaking = mono(s);
	w->stats.id = (uint32_t)(s->request_seed + s->request_count) % 1000;
	timer_init(&w->timer, on_timer, w);
	arena_init(&w->arena, w + 1, cap - sizeof(*w));
	sim_request_read(kind, body, library_of(s), wall(s), &w->arena, &w->r);
	conn_work_start(c, &work_ops, w);
	start_work(w);
}

#define POST(name, kind)                                                                           \
	static void name(struct conn *c)                                                           \
	{                                                                                          \
		post(c, kind);                                                                     \
	}
POST(chat_post, SIM_CHAT)
POST(generate_post, SIM_GENERATE)
POST(embed_post, SIM_EMBED)
POST(embeddings_post, SIM_EMBEDDINGS)
POST(show_post, SIM_SHOW)
POST(pull_post, SIM_PULL_REQUEST)
POST(v1_chat_post, SIM_V1_CHAT)
POST(v1_completions_post, SIM_V1_COMPLETIONS)
POST(v1_embeddings_post, SIM_V1_EMBEDDINGS)

/* Methods, hosts and origins are judged by guard(), in Ollama's way. */
#define OURS       (ROUTE_PROBE | ROUTE_FORWARD)
#define ANY_METHOD 0xffu
#define R(text)    SLICE_INIT(text)

static const struct route routes[] = {
	{ R("/"), ANY_METHOD, OURS, root_get },
	{ R("/api/version"), ANY_METHOD, OURS, version_get },
	{ R("/api/tags"), ANY_METHOD, OURS, tags_get },
	{ R("/api/ps"), ANY_METHOD, OURS, ps_get },
	{ R("/api/chat"), ANY_METHOD, OURS | ROUTE_COLLECT, chat_post },
	{ R("/api/generate"), ANY_METHOD, OURS | ROUTE_COLLECT, generate_post },
	{ R("/api/embed"), ANY_METHOD, OURS | ROUTE_COLLECT, embed_post },
	{ R("/api/embeddings"), ANY_METHOD, OURS | ROUTE_COLLECT, embeddings_post },
	{ R("/api/show"), ANY_METHOD, OURS | ROUTE_COLLECT, show_post },
	{ R("/api/pull"), ANY_METHOD, OURS | ROUTE_COLLECT, pull_post },
	{ R("/v1/chat/completions"), ANY_METHOD, OURS | ROUTE_COLLECT, v1_chat_post },
	{ R("/v1/completions"), ANY_METHOD, OURS | ROUTE_COLLECT, v1_completions_post },
	{ R("/v1/embeddings"), ANY_METHOD, OURS | ROUTE_COLLECT, v1_embeddings_post },
	{ R("/v1/models"), ANY_METHOD, OURS, v1_models_get },
	{ R("/v1/models/"), ANY_METHOD, OURS | ROUTE_PREFIX, v1_model_get },
};

static const struct route fallback = { R(""), ANY_METHOD, OURS, not_found };

static bool sim_open(struct server *s)
{
	size_t cap;
	struct sim_library *lib = mem_take(&s->mem, sizeof(*lib), &cap);

	if (lib == NULL)
		return false;
	sim_library_init(lib, clock_wall(s->env.clock));
	s->role_data = lib;
	return true;
}

const struct role_kind sim_kind = {
	.name = "sim",
	.routes = routes,
	.route_count = ARRAY_LEN(routes),
	.fallback = &fallback,
	.open = sim_open,
};
