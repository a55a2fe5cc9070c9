/* SPDX-License-Identifier: MIT */
/* probe.c: version, tags, ps, one after the other on one connection. */
#include "app/probe.h"
#include "app/ask.h"
#include "base/arena.h"
#include "io/mem.h"
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
	const struct config *config;
	struct shared *shared;
	struct log *log;
	struct timer timer; /* between rounds, or the round's deadline */
	struct ask ask;
	probe_fn *watcher;
	void *watcher_ctx;
	bool busy;
	bool wanted;                /* somebody asked for a round of its own */
	int64_t began_ms, asked_ms; /* the round, its latest question */
	enum step step;
	size_t reply_n;
	char *reply;
	void *arena_mem;
};

static void say(struct probe *p, enum log_level level, const char *what, const char *why)
{
	log_event(p->log, level, what, why != NULL ? "why" : NULL, why);
}

static void next_round(struct probe *p, int64_t ms, bool answered)
{
	ask_close(&p->ask);
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
	struct slice model = p->config->model;

	if (model.n == 0 && count == 1)
		model = names;
	shared_write_text(p->shared, p->shared->default_model, model, SHARED_MODEL_MAX);
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
	if (p->config->model.n > 0) {
		arena_init(&a, p->arena_mem, ARENA);
		p->shared->model_presence = ollama_names_has(reply, p->config->model, &a)
						    ? MODEL_INSTALLED
						    : MODEL_MISSING;
	}
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
	if (p->shared->model_loaded_ms == 0 && p->shared->model_ready && buf_len(&loaded) > 0)
		p->shared->model_loaded_ms = loop_now(p->loop);
}

/* ---- the conversation ---- */

static void ask_next(struct probe *p)
{
	static const char *const paths[] = { "/api/version", "/api/tags", "/api/ps" };

	p->reply_n = 0;
	p->asked_ms = loop_now(p->loop);
	ask_start(&p->ask, slice_str(paths[p->step]), slice_make("", 0));
}

static bool on_piece(void *ctx, struct slice piece)
{
	struct probe *p = ctx;

	if (p->reply_n + piece.n > REPLY_MAX)
		return false;
	slice_copy_to(p->reply + p->reply_n, piece);
	p->reply_n += piece.n;
	return true;
}

static void on_done(void *ctx)
{
	struct probe *p = ctx;
	struct slice reply = slice_make(p->reply, p->reply_n);
	bool good = p->ask.head.status == 200;

	p->shared->answered_ms = loop_now(p->loop);
	p->shared->refused_since_ms = 0;
	if (good && p->step == STEP_TAGS)
		take_tags(p, reply);
	if (good && p->step == STEP_PS)
		take_ps(p, reply);
	p->step++;
	if (p->step == STEP_DONE)
		round_done(p);
	else
		ask_next(p);
}

static void on_failed(void *ctx, enum connect_fault fault, const char *why)
{
	failed(ctx, fault, why);
}

static void on_connected(void *ctx)
{
	struct probe *p = ctx;

	p->shared->refused_since_ms = 0;
}

static const struct ask_ops ask_ops = { on_piece, on_done, on_failed, on_connected };

static void on_timer(void *ctx, int64_t now)
{
	struct probe *p = ctx;

	if (p->busy) {
		failed(p, CONNECT_TIMEOUT, "no answer in time");
		return;
	}
	p->busy = true;
	p->wanted = false;
	p->began_ms = now;
	p->step = STEP_VERSION;
	loop_timer_after(p->loop, &p->timer, ANSWER_MS);
	ask_next(p);
}

struct probe *probe_open(struct loop *loop, struct dial *dial, const struct config *config,
			 struct shared *shared, struct log *log, struct slice host)
{
	struct probe *p = mem_pages(sizeof(*p));

	if (p == NULL)
		return NULL;
	p->loop = loop;
	p->config = config;
	p->shared = shared;
	p->log = log;
	ask_init(&p->ask, loop, dial, host, &ask_ops, p);
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
