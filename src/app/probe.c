/* SPDX-License-Identifier: MIT */
/* probe.c: version, tags, ps, one after the other on one connection. */
#include "app/probe.h"
#include "base/arena.h"
#include "io/mem.h"
#include "io/stream.h"
#include "proto/http_body.h"
#include "proto/http_write.h"
#include "proto/ollama.h"

enum {
	OK_EVERY_MS = 5000,
	FAILING_EVERY_MS = 1000,
	STARTING_EVERY_MS = 200,
	ANSWER_MS = 5000,      /* longest wait for one round */
	WANTED_EVERY_MS = 250, /* rounds that were asked for, at most */
	REPLY_MAX = 1024 * 1024,
	ARENA = 4 * 1024 * 1024, /* pages are touched only when a list needs them */
};

enum step { STEP_VERSION, STEP_TAGS, STEP_PS, STEP_DONE };

struct probe {
	struct loop *loop;
	struct dial *dial;
	const struct config *config;
	struct shared *shared;
	struct log *log;
	struct slice host;
	struct timer timer; /* between rounds, or the round's deadline */
	struct stream stream;
	struct loop_handle handle;
	probe_fn *watcher;
	void *watcher_ctx;
	bool busy;
	bool wanted;                /* somebody asked for a round of its own */
	int64_t began_ms, asked_ms; /* the round, its latest question */
	enum step step;
	struct http_head head;
	struct http_body body;
	bool in_body, keep_alive;
	size_t body_n;
	size_t raw_n;
	char raw[HTTP_RESPONSE_HEAD_MAX * 2]; /* head, or body bytes as they come */
	char *reply;                          /* the body */
	void *arena_mem;
};

static void on_ready(void *ctx, unsigned events);

static void say(struct probe *p, enum log_level level, const char *what, const char *why)
{
	log_event(p->log, level, what, why != NULL ? "why" : NULL, why);
}

static void close_connection(struct probe *p)
{
	loop_remove(p->loop, &p->handle);
	stream_close(&p->stream);
}

static void next_round(struct probe *p, int64_t ms, bool answered)
{
	close_connection(p);
	p->busy = false;
	loop_timer_after(p->loop, &p->timer, p->wanted ? MIN(ms, (int64_t)WANTED_EVERY_MS) : ms);
	if (p->watcher != NULL)
		p->watcher(p->watcher_ctx, answered);
}

static void failed(struct probe *p, enum connect_fault fault, const char *why)
{
	struct shared *s = p->shared;

	if (fault == CONNECT_REFUSED) {
		if (s->refused_since_ms == 0)
			s->refused_since_ms = loop_now(p->loop);
	}
	if (!s->probe_failing)
		say(p, LOG_WARN, "Ollama does not answer", why);
	s->probe_failing = 1;
	next_round(p, s->first_answer_ms == 0 ? STARTING_EVERY_MS : FAILING_EVERY_MS, false);
}

static void answered(struct probe *p)
{
	p->shared->answered_ms = loop_now(p->loop);
	p->shared->refused_since_ms = 0;
}

static void round_done(struct probe *p)
{
	struct shared *s = p->shared;

	if (s->first_answer_ms == 0) {
		s->first_answer_ms = loop_now(p->loop);
		say(p, LOG_INFO, "Ollama answers", NULL);
	} else if (s->probe_failing) {
		say(p, LOG_INFO, "Ollama answers again", NULL);
	}
	s->probe_failing = 0;
	if (s->model_ready)
		s->model_was_ready = 1;
	next_round(p, OK_EVERY_MS, true);
}

/* ---- what the answers mean ---- */

static void set_default(struct probe *p, struct slice names, int count)
{
	if (p->config->model.n > 0)
		return;
	shared_write_text(p->shared, p->shared->default_model, count == 1 ? names : SLICE(""),
			  SHARED_MODEL_MAX);
}

static void take_tags(struct probe *p, struct slice reply)
{
	char mem[SHARED_NAMES_MAX];
	struct arena a;
	struct buf names;
	int count;

	arena_init(&a, p->arena_mem, ARENA);
	buf_init(&names, mem, sizeof(mem) - 1);
	count = ollama_names_list(reply, &a, &names);
	if (count < 0)
		return;
	p->shared->model_count = (uint32_t)count;
	shared_write_text(p->shared, p->shared->names, buf_view(&names), SHARED_NAMES_MAX);
	set_default(p, buf_view(&names), count);
}

static void take_ps(struct probe *p, struct slice reply)
{
	char mem[SHARED_LOADED_MAX], model[SHARED_MODEL_MAX];
	struct arena a;
	struct buf loaded;

	arena_init(&a, p->arena_mem, ARENA);
	buf_init(&loaded, mem, sizeof(mem) - 1);
	if (ollama_names_list(reply, &a, &loaded) < 0)
		return;
	shared_write_text(p->shared, p->shared->loaded, buf_view(&loaded), SHARED_LOADED_MAX);
	p->shared->loaded_ms = p->asked_ms;
	shared_read_text(p->shared, p->shared->default_model, model, sizeof(model));
	arena_init(&a, p->arena_mem, ARENA);
	p->shared->model_ready = model[0] == '\0' || ollama_names_has(reply, slice_str(model), &a);
}

static void take_reply(struct probe *p)
{
	struct slice reply = slice_make(p->reply, p->body_n);

	answered(p);
	if (p->head.status == 200 && p->step == STEP_TAGS)
		take_tags(p, reply);
	if (p->head.status == 200 && p->step == STEP_PS)
		take_ps(p, reply);
}

/* ---- the conversation ---- */

static void start_round(struct probe *p);

static bool ask(struct probe *p)
{
	static const char *const paths[] = { "/api/version", "/api/tags", "/api/ps" };
	char mem[1024];
	struct buf b;
	struct slice part;
	size_t n;

	buf_init(&b, mem, sizeof(mem));
	http_write_request(&b, SLICE("GET"), slice_str(paths[p->step]));
	http_write_field(&b, SLICE("Host"), p->host);
	http_write_end(&b);
	p->raw_n = p->body_n = 0;
	p->in_body = false;
	p->asked_ms = loop_now(p->loop);
	part = buf_view(&b);
	return stream_write(&p->stream, &part, 1, &n) == IO_OK && n == part.n;
}

static void reply_done(struct probe *p)
{
	take_reply(p);
	p->step++;
	if (p->step == STEP_DONE) {
		round_done(p);
		return;
	}
	if (!p->keep_alive) { /* one connection a question, then */
		close_connection(p);
		start_round(p);
		return;
	}
	if (!ask(p))
		failed(p, CONNECT_OTHER, "it hung up");
}

/* Content out of the raw bytes; what is behind the body is nothing we asked for. */
static enum parse take_body(struct probe *p, struct slice in)
{
	for (;;) {
		struct slice piece;
		size_t n;
		enum parse r = http_body_feed(&p->body, in, &n, &piece);

		if (r == PARSE_BAD || p->body_n + piece.n > REPLY_MAX)
			return PARSE_BAD;
		slice_copy_to(p->reply + p->body_n, piece);
		p->body_n += piece.n;
		in = slice_from(in, n);
		if (r == PARSE_DONE || in.n == 0)
			return r;
	}
}

static enum parse take_bytes(struct probe *p)
{
	struct slice view = slice_make(p->raw, p->raw_n);
	enum parse r;

	if (!p->in_body) {
		r = http_response_parse(&p->head, view, 0, false);
		if (r != PARSE_DONE)
			return r;
		http_body_init(&p->body, &p->head);
		p->in_body = true;
		p->keep_alive = p->head.keep_alive && p->head.framing != HTTP_CLOSE;
		view = slice_from(view, p->head.size);
	}
	p->raw_n = 0;
	return take_body(p, view);
}

static void on_ready(void *ctx, unsigned events)
{
	struct probe *p = ctx;
	size_t n;
	enum io how = stream_read(&p->stream, p->raw + p->raw_n, sizeof(p->raw) - p->raw_n, &n);
	enum parse r;

	(void)events;
	if (how == IO_AGAIN)
		return;
	if (how == IO_EOF && p->in_body && p->body.framing == HTTP_CLOSE) {
		reply_done(p);
		return;
	}
	if (how != IO_OK) {
		failed(p, CONNECT_OTHER, "it hung up");
		return;
	}
	p->raw_n += n;
	r = take_bytes(p);
	if (r == PARSE_DONE)
		reply_done(p);
	else if (r == PARSE_BAD || p->raw_n == sizeof(p->raw))
		failed(p, CONNECT_OTHER, "it answered nonsense");
}

static void on_connected(void *ctx, int fd, enum connect_fault fault, const char *why)
{
	struct probe *p = ctx;

	if (fd < 0) {
		failed(p, fault, why);
		return;
	}
	p->shared->refused_since_ms = 0;
	stream_init_sock(&p->stream, fd);
	p->handle = loop_add(p->loop, fd, LOOP_READ, on_ready, p);
	if (p->handle.gen == 0 || !ask(p))
		failed(p, CONNECT_OTHER, "no question could be sent");
}

static void start_round(struct probe *p)
{
	if (!dial_start(p->dial, on_connected, p, p))
		failed(p, CONNECT_OTHER, "too many connections are under way");
}

static void on_timer(void *ctx, int64_t now)
{
	struct probe *p = ctx;

	if (p->busy) {
		dial_forget(p->dial, p);
		failed(p, CONNECT_TIMEOUT, "no answer in time");
		return;
	}
	p->busy = true;
	p->wanted = false;
	p->began_ms = now;
	p->step = STEP_VERSION;
	loop_timer_after(p->loop, &p->timer, ANSWER_MS);
	start_round(p);
}

struct probe *probe_open(struct loop *loop, struct dial *dial, const struct config *config,
			 struct shared *shared, struct log *log, struct slice host)
{
	struct probe *p = mem_pages(sizeof(*p));

	if (p == NULL)
		return NULL;
	p->loop = loop;
	p->dial = dial;
	p->config = config;
	p->shared = shared;
	p->log = log;
	p->host = host;
	p->stream.fd = -1;
	p->reply = mem_pages(REPLY_MAX);
	p->arena_mem = mem_pages(ARENA);
	if (p->reply == NULL || p->arena_mem == NULL)
		return NULL;
	shared_write_text(shared, shared->default_model, config->model, SHARED_MODEL_MAX);
	timer_init(&p->timer, on_timer, p);
	loop_timer_after(loop, &p->timer, 0);
	return p;
}

void probe_now(struct probe *p)
{
	if (p->wanted)
		return;
	p->wanted = true;
	if (!p->busy)
		loop_timer_set(p->loop, &p->timer,
			       MAX(loop_now(p->loop), p->began_ms + WANTED_EVERY_MS));
}

void probe_watch(struct probe *p, probe_fn *fn, void *ctx)
{
	p->watcher = fn;
	p->watcher_ctx = ctx;
}
