/* SPDX-License-Identifier: MIT */
/* pull.c: one pull after the other until the model is there. Ollama itself goes on where the last
 * one ended. */
#include "app/pull.h"
#include "app/ask.h"
#include "base/arena.h"
#include "io/mem.h"
#include "proto/ollama.h"

enum {
	AGAIN_FIRST_MS = 1000,
	AGAIN_MAX_MS = 60000,
	TELL_EVERY_MS = 10000, /* progress, in the log ... */
	TELL_PERCENT = 5,      /* ... or each so many, but not oftener than ... */
	TELL_AT_LEAST_MS = 1000,
	LINE_MAX = 16 * 1024,
};

struct pull {
	struct loop *loop;
	const struct config *config;
	struct shared *shared;
	struct log *log;
	struct probe *probe;
	struct ask ask;
	struct timer timer;    /* PULL_RUNNING: it stalls; PULL_WAITING: until the next try */
	enum pull_state state; /* these are copied to the shared page, never read there */
	uint64_t total, completed;
	bool counted; /* bytes were, in this try: what does not count them is work on what came */
	int64_t again_ms;
	bool was_away; /* Ollama did not answer since the last try */
	int64_t told_ms;
	unsigned told_percent;
	size_t line_n;
	char line[LINE_MAX];
};

static void start(struct pull *);

/* ---- what others see ---- */

static void show(struct pull *p, enum pull_state state, struct slice text)
{
	struct shared *s = p->shared;

	p->state = state;
	s->pull_state = state;
	s->pull_total = p->total;
	s->pull_completed = p->completed;
	shared_write_text(s, s->pull_text, text, SHARED_PULL_MAX);
}

static unsigned percent(const struct pull *p)
{
	return p->total > 0 ? (unsigned)(p->completed * 100 / p->total) : 0;
}

static void tell(struct pull *p, enum log_level level, const char *what, struct slice text)
{
	struct log_line l;

	log_begin(&l, p->log, level, what);
	log_text(&l, "model", p->config->model);
	if (text.n > 0)
		log_text(&l, "status", text);
	if (p->total > 0) {
		log_num(&l, "percent", percent(p));
		log_num(&l, "completed", (int64_t)p->completed);
		log_num(&l, "total", (int64_t)p->total);
	}
	log_end(&l);
	p->told_ms = loop_now(p->loop);
	p->told_percent = percent(p);
}

static void tell_progress(struct pull *p, struct slice text)
{
	int64_t since = loop_now(p->loop) - p->told_ms;
	unsigned now = percent(p);
	bool step = now >= p->told_percent + TELL_PERCENT || now < p->told_percent;

	if (since >= TELL_EVERY_MS || (step && since >= TELL_AT_LEAST_MS))
		tell(p, LOG_INFO, "pulling", text);
}

/* ---- ends ---- */

static void again_later(struct pull *p, struct slice why)
{
	struct log_line l;

	ask_close(&p->ask);
	show(p, PULL_WAITING, why);
	log_begin(&l, p->log, LOG_WARN, "the model was not pulled; it is tried again");
	log_text(&l, "model", p->config->model);
	log_text(&l, "why", why);
	log_num(&l, "after_ms", p->again_ms);
	log_end(&l);
	loop_timer_after(p->loop, &p->timer, p->again_ms);
	p->again_ms = MIN(p->again_ms * 2, (int64_t)AGAIN_MAX_MS);
}

static void pulled(struct pull *p)
{
	ask_close(&p->ask);
	loop_timer_clear(p->loop, &p->timer);
	p->total = p->completed = 0;
	show(p, PULL_DONE, SLICE("success"));
	tell(p, LOG_INFO, "the model was pulled", slice_make("", 0));
	probe_now(p->probe);
}

/* ---- the stream ---- */

/* A layer's bytes go on arriving: whatever failed before is over. A try that only fails again gets
 * no further than its first line about a layer. */
static bool goes_on(const struct pull *p, const struct pull_line *l)
{
	return l->total > 0 && l->total == p->total && l->completed > p->completed;
}

/* What stands behind a line that counts no bytes may take long: large files are verified in silence. */
static int64_t patience(struct pull *p, const struct pull_line *l)
{
	int64_t stall = p->config->stall_timeout_ms;

	p->counted = p->counted || l->total > 0;
	return l->total == 0 && p->counted ? MAX(stall, (int64_t)OLLAMA_WORK_MS) : stall;
}

/* False: that was the end, and is dealt with. */
static bool take_line(struct pull *p, struct slice line)
{
	char mem[4 * SHARED_PULL_MAX];
	struct pull_line l;
	struct arena a;
	struct slice text;

	ollama_pull_line_read(line, &l);
	if (l.type == PULL_LINE_BROKEN)
		return true;
	arena_init(&a, mem, sizeof(mem));
	text = json_unescape(&a, l.text);
	if (text.p == NULL)
		text = SLICE("(too long to repeat)");
	if (l.type == PULL_LINE_ERROR) {
		again_later(p, text);
		return false;
	}
	if (l.type == PULL_LINE_SUCCESS) {
		pulled(p);
		return false;
	}
	if (goes_on(p, &l))
		p->again_ms = AGAIN_FIRST_MS;
	p->total = l.total;
	p->completed = l.completed;
	show(p, PULL_RUNNING, text);
	tell_progress(p, text);
	loop_timer_after(p->loop, &p->timer, patience(p, &l));
	return true;
}

static bool on_piece(void *ctx, struct slice piece)
{
	struct pull *p = ctx;

	while (piece.n > 0) {
		const char *end = memchr(piece.p, '\n', piece.n);
		size_t n = end != NULL ? (size_t)(end - piece.p) : piece.n;

		if (p->line_n + n > sizeof(p->line))
			return false;
		memcpy(p->line + p->line_n, piece.p, n);
		p->line_n += n;
		piece = slice_from(piece, end != NULL ? n + 1 : n);
		if (end == NULL)
			break;
		n = p->line_n;
		p->line_n = 0;
		if (!take_line(p, slice_make(p->line, n)))
			return true;
	}
	return true;
}

static void on_done(void *ctx)
{
	struct pull *p = ctx;
	size_t n = p->line_n;

	p->line_n = 0;
	if (n > 0 && !take_line(p, slice_make(p->line, n)))
		return; /* an error reply has no line end */
	again_later(p, p->ask.head.status == 200 ? SLICE("Ollama's answer ended too early")
						 : SLICE("Ollama refused it without a word"));
}

static void on_failed(void *ctx, enum connect_fault fault, const char *why)
{
	(void)fault;
	again_later(ctx, slice_str(why));
}

static const struct ask_ops ask_ops = { on_piece, on_done, on_failed, NULL };

/* ---- when ---- */

static void start(struct pull *p)
{
	char mem[6 * SHARED_MODEL_MAX + 32];
	struct buf b;

	buf_init(&b, mem, sizeof(mem));
	ollama_pull_write(&b, p->config->model);
	p->was_away = p->counted = false;
	p->line_n = 0;
	p->total = p->completed = 0;
	show(p, PULL_RUNNING, SLICE("asking Ollama"));
	tell(p, LOG_INFO, "the model is missing and is pulled", slice_make("", 0));
	loop_timer_after(p->loop, &p->timer, p->config->stall_timeout_ms);
	ask_start(&p->ask, SLICE("/api/pull"), buf_view(&b));
}

static void on_timer(void *ctx, int64_t now)
{
	struct pull *p = ctx;

	(void)now;
	if (p->state == PULL_WAITING)
		start(p);
	else
		again_later(p, SLICE("Ollama says nothing (--stall-timeout)"));
}

void pull_on_looked(struct pull *p, bool answered)
{
	if (!answered) {
		p->was_away = true;
		return;
	}
	if (p->state == PULL_WANTED && p->shared->model_presence == MODEL_INSTALLED)
		show(p, PULL_NONE, slice_make("", 0));
	else if ((p->state == PULL_WANTED && p->shared->model_presence == MODEL_MISSING) ||
		 (p->state == PULL_WAITING && p->was_away))
		start(p);
}

void pull_stop(struct pull *p)
{
	ask_close(&p->ask);
	loop_timer_clear(p->loop, &p->timer);
	show(p, PULL_NONE, slice_make("", 0));
}

struct pull *pull_open(struct loop *loop, struct dial *dial, const struct config *config,
		       struct shared *shared, struct log *log, struct slice host,
		       struct probe *probe)
{
	struct pull *p = mem_pages(sizeof(*p));

	if (p == NULL)
		return NULL;
	p->loop = loop;
	p->config = config;
	p->shared = shared;
	p->log = log;
	p->probe = probe;
	p->again_ms = AGAIN_FIRST_MS;
	ask_init(&p->ask, loop, dial, host, &ask_ops, p);
	timer_init(&p->timer, on_timer, p);
	show(p, PULL_WANTED, slice_make("", 0));
	return p;
}
