/* SPDX-License-Identifier: MIT */
/* loader.c: load requests of our own: one for each model that somebody waits for, and the preload
 * of the default model. */
#include "app/loader.h"
#include "app/relay.h"
#include "base/fmt.h"
#include "proto/http_write.h"

enum {
	LOADS_MAX = 8,   /* at a time */
	SEEN_MAX = 16,   /* models we know of ourselves to be in memory */
	LOOK_MS = 250,   /* how often we look whether the default model is there */
	AGAIN_MS = 5000, /* until a failed preload is tried again; doubled each time */
	AGAIN_MAX_MS = 60000,
	HEAD_MAX = 16 * 1024,
};

struct load {
	struct loader *loader;
	bool busy, preload;
	char model[OLLAMA_NAME_MAX + 1];
	size_t model_n;
	int64_t since;
	struct ticket ticket;
	struct ticket *turn;       /* lent by `starter`, to be handed back */
	struct load_wait *starter; /* NULL: it left, or there was none */
	struct load_wait *waiters;
	struct upstream_wait wait;
	struct upstream *up;
	struct timer timer;
	void *mem; /* request, then the reply's head; owned */
	size_t cap, n, sent;
	bool in_body, answered;
	unsigned status;
	bool keep;
	struct http_body body;
};

struct seen {
	char model[OLLAMA_NAME_MAX + 1];
	size_t n;
	int64_t ms;
};

struct loader {
	struct server *server;
	struct admission *gate;
	struct load loads[LOADS_MAX];
	struct seen seen[SEEN_MAX];
	size_t seen_at;
	struct timer look;
	int64_t again_ms, again_wait;
};

static int64_t now_of(const struct loader *l)
{
	return loop_now(l->server->env.loop);
}

/* ---- what is in memory ---- */

static bool has(struct slice list, struct slice name)
{
	while (list.n > 0) {
		const char *comma = memchr(list.p, ',', list.n);
		size_t n = comma != NULL ? (size_t)(comma - list.p) : list.n;

		if (ollama_name_eq(slice_make(list.p, n), name))
			return true;
		list = slice_from(list, MIN(n + 2, list.n)); /* ", " */
	}
	return false;
}

/* SEEN_MAX: not among them. */
static size_t seen_find(const struct loader *l, struct slice model)
{
	size_t i;

	for (i = 0; i < SEEN_MAX; i++)
		if (l->seen[i].n > 0 &&
		    ollama_name_eq(slice_make(l->seen[i].model, l->seen[i].n), model))
			return i;
	return SEEN_MAX;
}

void loader_saw(struct loader *l, struct slice model)
{
	size_t i = seen_find(l, model);

	if (model.n > OLLAMA_NAME_MAX)
		return;
	if (i == SEEN_MAX) {
		i = l->seen_at;
		l->seen_at = (i + 1) % SEEN_MAX;
		slice_copy_to(l->seen[i].model, model);
		l->seen[i].n = model.n;
	}
	l->seen[i].ms = now_of(l);
}

bool loader_lacks(const struct loader *l, struct slice model)
{
	const struct shared *sh = l->server->env.shared;
	size_t i = seen_find(l, model);
	char names[MAX(SHARED_LOADED_MAX, SHARED_NAMES_MAX)];

	if (sh->loaded_ms == 0 || sh->probe_failing ||
	    (i < SEEN_MAX && l->seen[i].ms >= sh->loaded_ms))
		return false;
	shared_read_text(sh, sh->loaded, names, SHARED_LOADED_MAX);
	if (has(slice_str(names), model))
		return false;
	shared_read_text(sh, sh->names, names, SHARED_NAMES_MAX);
	return has(slice_str(names), model); /* what is not installed cannot be loaded */
}

/* ---- the end of a load ---- */

static void log_load(const struct load *d, enum log_level level, const char *event, bool over)
{
	struct log_line l;

	log_begin(&l, d->loader->server->env.log, level, event);
	log_text(&l, "model", slice_make(d->model, d->model_n));
	if (over)
		log_num(&l, "duration_ms", now_of(d->loader) - d->since);
	if (d->status != 0)
		log_num(&l, "status", d->status);
	log_end(&l);
}

static void turn_back(struct load *d)
{
	struct loader *l = d->loader;

	if (d->starter != NULL) {
		admission_pass(&d->ticket, d->turn, now_of(l));
		d->starter = NULL;
		return;
	}
	relay_turn_leave(l->server, l->gate, &d->ticket, false);
	relay_turns_publish(l->server, l->gate);
}

static void preload_ended(struct loader *l, bool ok)
{
	l->again_wait =
		ok ? 0 : MIN(MAX(l->again_wait * 2, (int64_t)AGAIN_MS), (int64_t)AGAIN_MAX_MS);
	l->again_ms = now_of(l) + l->again_wait;
}

static void load_end(struct load *d, enum load_end end)
{
	struct loader *l = d->loader;
	struct server *s = l->server;
	bool ok = d->answered && d->status == 200;

	if (ok) {
		loader_saw(l, slice_make(d->model, d->model_n));
		log_load(d, LOG_INFO, "model loaded", true);
		server_ask_probe(s);
	} else {
		log_load(d, LOG_WARN, "a model could not be loaded", true);
	}
	if (d->preload)
		preload_ended(l, ok);
	loop_timer_clear(s->env.loop, &d->timer);
	upstream_cancel(s->upstreams, &d->wait);
	if (d->up != NULL) {
		struct upstream *up = d->up;

		d->up = NULL;
		upstream_give(up, d->answered && d->keep);
	}
	mem_give(&s->mem, d->mem, d->cap);
	d->mem = NULL;
	turn_back(d);
	while (d->waiters != NULL) {
		struct load_wait *w = d->waiters;

		loader_leave(w);
		w->fn(w->ctx, end);
	}
	d->busy = false;
}

static void load_failed(struct load *d)
{
	load_end(d, LOAD_ENDED);
}

/* ---- the conversation ---- */

static void feed_body(struct load *d, struct slice in)
{
	for (;;) {
		struct slice piece;
		size_t n;
		enum parse p = http_body_feed(&d->body, in, &n, &piece);

		in = slice_from(in, n);
		if (p == PARSE_MORE && in.n > 0)
			continue;
		if (p == PARSE_MORE)
			return;
		d->answered = p == PARSE_DONE;
		d->keep = d->keep && in.n == 0;
		load_end(d, LOAD_ENDED);
		return;
	}
}

static void feed_head(struct load *d)
{
	struct http_head h;
	enum parse p = http_response_parse(&h, slice_make(d->mem, d->n), 0, false);

	if (p == PARSE_MORE && d->n < d->cap)
		return;
	if (p != PARSE_DONE || h.status < 200) {
		load_failed(d);
		return;
	}
	d->status = h.status;
	d->keep = h.keep_alive && h.framing != HTTP_CLOSE;
	d->in_body = true;
	http_body_init(&d->body, &h);
	feed_body(d, slice_from(slice_make(d->mem, d->n), h.size));
}

static void read_reply(struct load *d)
{
	struct server *s = d->loader->server;
	size_t n;
	enum io how;

	if (d->in_body)
		how = stream_read(&d->up->stream, s->scratch, SERVER_SCRATCH, &n);
	else
		how = stream_read(&d->up->stream, (char *)d->mem + d->n, d->cap - d->n, &n);
	if (how == IO_AGAIN)
		return;
	if (how != IO_OK) {
		d->answered = how == IO_EOF && d->in_body && d->body.framing == HTTP_CLOSE;
		load_failed(d);
		return;
	}
	s->env.shared->moved_ms = now_of(d->loader);
	if (d->in_body) {
		feed_body(d, slice_make(s->scratch, n));
		return;
	}
	d->n += n;
	feed_head(d);
}

static void send_request(struct load *d)
{
	while (d->sent < d->n) {
		struct slice part = slice_from(slice_make(d->mem, d->n), d->sent);
		size_t n;
		enum io how = stream_write(&d->up->stream, &part, 1, &n);

		d->sent += n;
		if (how != IO_OK) /* perhaps it says why: the reading side will tell */
			break;
	}
	stream_flush(&d->up->stream);
	upstream_wish(d->up, LOOP_READ | LOOP_PEER | (d->sent < d->n ? LOOP_WRITE : 0u));
	if (d->sent == d->n) { /* the block is for the reply now */
		d->n = 0;
		d->sent = SIZE_MAX;
	}
}

static void on_upstream(void *ctx, unsigned events)
{
	struct load *d = ctx;

	if (d->sent < d->n && events & LOOP_WRITE)
		send_request(d);
	else if (events & (LOOP_READ | LOOP_HUP | LOOP_ERROR))
		read_reply(d);
}

static void on_connection(void *ctx, struct upstream *up, enum connect_fault fault, const char *why)
{
	struct load *d = ctx;

	(void)fault;
	(void)why;
	if (up == NULL) {
		load_failed(d);
		return;
	}
	d->up = up;
	upstream_use(up, on_upstream, d, LOOP_READ | LOOP_PEER);
	send_request(d);
}

static void on_timeout(void *ctx, int64_t now)
{
	(void)now;
	load_end(ctx, LOAD_TIMED_OUT);
}

/* Nothing to say to the model: Ollama loads it and answers. */
static void write_request(struct load *d, enum load_kind kind, bool for_ever)
{
	char mem[6 * OLLAMA_NAME_MAX + 256];
	struct buf body, b;

	buf_init(&body, mem, sizeof(mem));
	buf_put_str(&body, "{\"model\":");
	json_write_string(&body, slice_make(d->model, d->model_n));
	buf_put_str(&body, kind == LOAD_EMBED ? ",\"input\":[]" : ",\"messages\":[]");
	if (for_ever)
		buf_put_str(&body, ",\"keep_alive\":-1");
	buf_put_str(&body, ",\"stream\":false}");
	buf_init(&b, d->mem, d->cap);
	http_write_request(&b, SLICE("POST"),
			   kind == LOAD_EMBED ? SLICE("/api/embed") : SLICE("/api/chat"));
	http_write_field(&b, SLICE("Host"), d->loader->server->start->upstream_host);
	buf_put(&b, SLICE("Content-Type: application/json\r\n"));
	http_write_field_u64(&b, SLICE("Content-Length"), buf_len(&body));
	http_write_end(&b);
	buf_put(&b, buf_view(&body));
	d->n = buf_len(&b);
}

static struct load *load_take(struct loader *l, struct slice model)
{
	struct load *d = l->loads;

	while (d < l->loads + LOADS_MAX && d->busy)
		d++;
	if (d == l->loads + LOADS_MAX || model.n > OLLAMA_NAME_MAX)
		return NULL;
	memset(d, 0, sizeof(*d));
	d->mem = mem_take(&l->server->mem, HEAD_MAX, &d->cap);
	if (d->mem == NULL)
		return NULL;
	d->loader = l;
	d->busy = true;
	slice_copy_to(d->model, model);
	d->model_n = model.n;
	d->since = now_of(l);
	d->wait.fn = on_connection;
	d->wait.ctx = d;
	timer_init(&d->timer, on_timeout, d);
	return d;
}

static bool is_default(const struct loader *l, struct slice model)
{
	const struct shared *sh = l->server->env.shared;
	char name[SHARED_MODEL_MAX];

	shared_read_text(sh, sh->default_model, name, sizeof(name));
	return name[0] != '\0' && ollama_name_eq(slice_str(name), model);
}

static void load_start(struct load *d, enum load_kind kind)
{
	struct loader *l = d->loader;
	const struct config *cf = l->server->env.config;

	write_request(d, kind, cf->preload && is_default(l, slice_make(d->model, d->model_n)));
	log_load(d, LOG_INFO, "loading a model", false);
	loop_timer_after(l->server->env.loop, &d->timer, cf->first_byte_timeout_ms);
	upstream_take(l->server->upstreams, &d->wait);
}

/* ---- those who wait ---- */

static struct load *load_find(struct loader *l, struct slice model)
{
	size_t i;

	for (i = 0; i < LOADS_MAX; i++)
		if (l->loads[i].busy &&
		    ollama_name_eq(slice_make(l->loads[i].model, l->loads[i].model_n), model))
			return &l->loads[i];
	return NULL;
}

static void wait_add(struct load *d, struct load_wait *w)
{
	w->load = d;
	w->prev = NULL;
	w->next = d->waiters;
	if (d->waiters != NULL)
		d->waiters->prev = w;
	d->waiters = w;
}

bool loader_join(struct loader *l, struct load_wait *w, struct slice model, enum load_kind kind,
		 struct ticket *turn)
{
	struct load *d = load_find(l, model);

	if (d != NULL) {
		wait_add(d, w);
		return true;
	}
	d = load_take(l, model);
	if (d == NULL)
		return false;
	admission_pass(turn, &d->ticket, now_of(l));
	d->turn = turn;
	d->starter = w;
	wait_add(d, w);
	load_start(d, kind);
	return true;
}

void loader_leave(struct load_wait *w)
{
	struct load *d = w->load;

	if (d == NULL)
		return;
	w->load = NULL;
	if (d->starter == w)
		d->starter = NULL;
	if (w->prev != NULL)
		w->prev->next = w->next;
	else
		d->waiters = w->next;
	if (w->next != NULL)
		w->next->prev = w->prev;
}

int64_t loader_loading(struct loader *l, struct slice model)
{
	const struct load *d = load_find(l, model);

	return d != NULL ? d->since : 0;
}

/* ---- preload ---- */

static bool wants_preload(struct loader *l, struct slice model)
{
	const struct env *env = &l->server->env;

	return model.n > 0 && env->shared->drain == DRAIN_NONE && now_of(l) >= l->again_ms &&
	       l->gate->active < l->gate->limit && l->gate->queued == 0 && loader_lacks(l, model);
}

static void on_look(void *ctx, int64_t now)
{
	static const uint8_t ours[ADMISSION_PARTY] = { 0 };
	struct loader *l = ctx;
	const struct shared *sh = l->server->env.shared;
	char name[SHARED_MODEL_MAX];
	struct ticket *displaced;
	struct load *d;

	(void)now;
	loop_timer_after(l->server->env.loop, &l->look, LOOK_MS);
	shared_read_text(sh, sh->default_model, name, sizeof(name));
	if (!wants_preload(l, slice_str(name)) || load_find(l, slice_str(name)) != NULL)
		return;
	d = load_take(l, slice_str(name));
	if (d == NULL)
		return;
	d->preload = true;
	admission_ask(l->gate, &d->ticket, ours, NULL, now_of(l), &displaced); /* a turn is free */
	relay_turns_publish(l->server, l->gate);
	load_start(d, LOAD_CHAT);
}

struct loader *loader_open(struct server *s, struct admission *gate)
{
	size_t cap;
	struct loader *l = mem_take(&s->mem, sizeof(*l), &cap);

	if (l == NULL)
		return NULL;
	memset(l, 0, sizeof(*l));
	l->server = s;
	l->gate = gate;
	timer_init(&l->look, on_look, l);
	if (s->env.config->preload)
		loop_timer_after(s->env.loop, &l->look, 0);
	return l;
}
