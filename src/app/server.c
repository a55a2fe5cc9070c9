/* SPDX-License-Identifier: MIT */
/* server.c: a worker's life: accept, hand over, make room. */
#include "app/conn.h"
#include "app/tls.h"
#include "app/upstream.h"
#include "app/wire.h"
#include "base/fmt.h"
#include "io/proc.h"
#include "io/sock.h"
#include "proto/http_write.h"

enum {
	ACCEPT_BATCH = 64,
	ACCEPT_RETRY_MS = 250,   /* without descriptors, when no close of ours frees one */
	SPARE_DESCRIPTORS = 128, /* epoll, channel, log, connections to Ollama, files */
};

/* ---- routes ---- */

const struct route *server_route_find(const struct server *s, struct slice path)
{
	size_t i;

	for (i = 0; i < s->kind->route_count; i++) {
		const struct route *r = &s->kind->routes[i];

		if (r->flags & ROUTE_PREFIX ? slice_starts(path, r->path) : slice_eq(path, r->path))
			return r;
	}
	return s->kind->fallback;
}

/* ---- what connections ask ---- */

struct slice server_date_field(struct server *s)
{
	int64_t now = clock_wall(s->env.clock) / 1000;
	struct buf b;

	if (now != s->date_second) {
		buf_init(&b, s->date, sizeof(s->date));
		http_write_date(&b, now);
		s->date_n = buf_len(&b);
		s->date_second = now;
	}
	return slice_make(s->date, s->date_n);
}

bool server_is_draining(const struct server *s)
{
	return s->env.shared->drain != DRAIN_NONE;
}

/* SplitMix64. */
uint64_t server_random(struct server *s)
{
	uint64_t x = s->random += UINT64_C(0x9e3779b97f4a7c15);

	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

bool server_body_claim(struct server *s, size_t was, size_t now)
{
	uint64_t before = was > SERVER_BODY_SMALL ? was : 0,
		 after = now > SERVER_BODY_SMALL ? now : 0;

	if (after > before && s->body_used - before + after > s->env.config->body_memory)
		return false;
	s->body_used = s->body_used - before + after;
	return true;
}

void server_idle_add(struct server *s, struct conn *c)
{
	c->in_idle_list = true;
	s->env.metrics->connections_idle = s->env.metrics->connections_idle + 1;
	c->next = NULL;
	c->prev = s->idle_tail;
	if (s->idle_tail != NULL)
		s->idle_tail->next = c;
	else
		s->idle_head = c;
	s->idle_tail = c;
}

void server_idle_remove(struct server *s, struct conn *c)
{
	if (!c->in_idle_list)
		return;
	c->in_idle_list = false;
	s->env.metrics->connections_idle = s->env.metrics->connections_idle - 1;
	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		s->idle_head = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	else
		s->idle_tail = c->prev;
}

static void on_listener(void *ctx, unsigned events);

static void unwatch_listeners(struct server *s)
{
	unsigned i;

	for (i = 0; i < s->listener_count; i++)
		loop_remove(s->env.loop, &s->listeners[i].handle);
}

static bool watch_listeners(struct server *s)
{
	unsigned i, wish = LOOP_READ | (s->start->listener_shared ? LOOP_EXCLUSIVE : 0u);

	for (i = 0; i < s->listener_count; i++) {
		struct listener *l = &s->listeners[i];

		l->handle = loop_add(s->env.loop, l->fd, wish, on_listener, l);
		if (l->handle.gen == 0) {
			unwatch_listeners(s);
			return false;
		}
	}
	return true;
}

static void accept_resume(struct server *s)
{
	if (!s->accept_paused || !s->listening)
		return;
	loop_timer_clear(s->env.loop, &s->accept_timer);
	s->accept_paused = !watch_listeners(s);
	if (s->accept_paused)
		loop_timer_after(s->env.loop, &s->accept_timer, ACCEPT_RETRY_MS);
}

void server_exit_when_empty(struct server *s)
{
	if (!s->listening && s->open_count == 0)
		loop_stop(s->env.loop);
}

void server_conn_closed(struct server *s, struct conn *c)
{
	c->next = s->free_conn;
	s->free_conn = c;
	s->env.metrics->connections = --s->open_count;
	accept_resume(s);
	server_exit_when_empty(s);
}

/* ---- accepting ---- */

static struct conn *slot_take(struct server *s)
{
	struct conn *c = s->free_conn;

	if (c != NULL)
		s->free_conn = c->next;
	else if (s->fresh < s->slab_size)
		c = &s->slab[s->fresh++];
	if (c != NULL)
		s->env.metrics->connections = ++s->open_count;
	return c;
}

/* Waits for a close of ours, or a while: never spins. */
static void accept_pause(struct server *s)
{
	s->accept_paused = true;
	unwatch_listeners(s);
	loop_timer_after(s->env.loop, &s->accept_timer, ACCEPT_RETRY_MS);
}

static void on_accept_timer(void *ctx, int64_t now)
{
	(void)now;
	accept_resume(ctx);
}

static bool make_room(struct server *s)
{
	if (s->idle_head == NULL)
		return false;
	conn_close(s->idle_head);
	return true;
}

/* Takes what waits; true: there may be more. */
static bool accept_some(struct listener *l)
{
	struct server *s = l->server;
	unsigned i, most = s->env.config->max_connections;

	for (i = 0; i < ACCEPT_BATCH && s->listening; i++) {
		struct sock_addr peer;
		enum sock_accept got;
		struct conn *c;
		int fd;

		if (s->open_count >= s->slab_size && !make_room(s)) {
			accept_pause(s);
			return false;
		}
		got = sock_accept(l->fd, &fd, &peer);
		if (got == SOCK_ACCEPT_NONE)
			return false;
		if (got == SOCK_ACCEPT_BROKEN || (got == SOCK_ACCEPT_FULL && !make_room(s))) {
			accept_pause(s);
			return false;
		}
		if (got != SOCK_ACCEPTED)
			continue;
		/* only now: the one to go may be a probe that came a moment ago */
		while (s->open_count >= most && make_room(s))
			;
		c = slot_take(s);
		conn_open(c, s, fd, &peer, s->open_count > most);
	}
	return s->listening;
}

static void on_listener(void *ctx, unsigned events)
{
	(void)events;
	accept_some(ctx);
}

void server_listen_stop(struct server *s, bool take_rest)
{
	unsigned i;

	if (!s->listening)
		return;
	for (i = 0; i < s->listener_count && take_rest; i++)
		while (accept_some(&s->listeners[i]))
			;
	s->listening = false;
	loop_timer_clear(s->env.loop, &s->accept_timer);
	unwatch_listeners(s);
	for (i = 0; i < s->listener_count; i++)
		sock_close(s->listeners[i].fd);
}

/* ---- the keeper ---- */

static void on_channel(void *ctx, unsigned events)
{
	struct server *s = ctx;
	struct wire w;
	int fd, got;

	(void)events;
	while ((got = sock_receive_message(s->start->channel, &w, sizeof(w), &fd)) == 1) {
		w.why[sizeof(w.why) - 1] = '\0';
		if (w.type == WIRE_ACCEPT)
			accept_resume(s);
		else if (server_drain_on_wire(s, &w))
			sock_close(fd);
		else if (s->upstreams != NULL)
			upstream_on_wire(s->upstreams, &w, fd);
		else
			sock_close(fd);
	}
	if (got < 0) /* the keeper is gone; nobody would replace or stop us */
		loop_stop(s->env.loop);
}

/* ---- birth ---- */

static unsigned fit_connections(struct server *s, unsigned want)
{
	const struct config *cf = s->env.config;
	/* with each client may come a connection onwards, or a file under way */
	uint64_t each = s->start->forwards || cf->root != NULL ? 2 : 1;
	uint64_t fixed = SERVER_RESERVE + SPARE_DESCRIPTORS + cf->max_active;
	uint64_t limit = proc_raise_nofile(want * each + fixed);
	uint64_t room = limit > fixed + 16 * each ? (limit - fixed) / each : 16;
	struct log_line l;

	if (room >= want)
		return want;
	log_begin(&l, s->env.log, LOG_WARN,
		  "--max-connections lowered to what the descriptor limit allows");
	log_num(&l, "max_connections", (int64_t)room);
	log_num(&l, "nofile", (int64_t)limit);
	log_end(&l);
	return (unsigned)room;
}

static void on_log_later(void *ctx, unsigned events)
{
	struct server *s = ctx;

	(void)events;
	log_flush(s->env.log);
}

static void on_log_line(void *ctx)
{
	struct server *s = ctx;

	loop_later(s->env.loop, &s->log_later);
}

static void batch_log(struct server *s)
{
	s->log_later.fn = on_log_later;
	s->log_later.ctx = s;
	s->log_batch.wake = on_log_line;
	s->log_batch.ctx = s;
	s->env.log->batch = &s->log_batch;
}

static bool listen_start(struct server *s)
{
	unsigned i;

	s->listener_count = s->start->listener_count;
	for (i = 0; i < s->listener_count; i++)
		s->listeners[i] = (struct listener){ s, s->start->listeners[i], LOOP_NONE };
	s->listening = true;
	s->accept_paused = s->start->accept_later;
	return s->accept_paused || watch_listeners(s);
}

static void tell_keeper(struct server *s, enum wire_type type)
{
	struct wire w = { 0 };

	w.type = type;
	sock_send_message(s->start->channel, &w, sizeof(w), -1);
}

void server_ask_probe(struct server *s)
{
	tell_keeper(s, WIRE_PROBE);
}

static bool server_open(struct server *s, struct config *config, const struct worker_start *start)
{
	uint32_t watched;

	s->start = start;
	s->kind = start->kind;
	s->fields = start->kind->fields;
	s->env.config = config;
	s->env.log = start->log;
	s->env.shared = start->shared;
	s->env.metrics = &start->board->of[start->index];
	s->env.clock = start->clock;
	mem_init(&s->mem);
	config->max_connections = fit_connections(s, config->max_connections);
	s->slab_size = config->max_connections + SERVER_RESERVE;
	watched = s->slab_size + SPARE_DESCRIPTORS + 64;
	s->env.loop = loop_open(s->env.clock, 2 * watched);
	s->slab = mem_pages(s->slab_size * sizeof(struct conn));
	s->scratch = mem_pages(SERVER_SCRATCH);
	if (s->env.loop == NULL || s->slab == NULL || s->scratch == NULL)
		return false;
	batch_log(s);
	proc_random(&s->request_seed, sizeof(s->request_seed));
	proc_random(&s->random, sizeof(s->random));
	timer_init(&s->accept_timer, on_accept_timer, s);
	server_drain_init(s);
	s->channel_handle = loop_add(s->env.loop, start->channel, LOOP_READ, on_channel, s);
	if (s->channel_handle.gen == 0 || !listen_start(s))
		return false;
	if (config->tls != TLS_OFF) {
		s->tls = tls_server_open(&s->mem, start->tls);
		if (s->tls == NULL)
			return false;
	}
	if (start->upstream_host.n > 0) {
		s->upstreams = upstream_pool_open(s);
		if (s->upstreams == NULL)
			return false;
	}
	return s->kind->open == NULL || s->kind->open(s);
}

int server_run(const struct worker_start *start)
{
	static const int ignored[] = { PROC_SIGINT, PROC_SIGTERM, PROC_SIGHUP, PROC_SIGUSR2 };
	struct config config = *start->config; /* a copy: max_connections is this worker's own */
	struct server s = { 0 };
	const char *why;

	proc_ignore_signals(ignored, ARRAY_LEN(ignored));
	if (!server_open(&s, &config, start)) {
		log_event(start->log, LOG_ERROR,
			  "worker cannot start: out of memory or descriptors", NULL, NULL);
		log_flush(start->log);
		return 1;
	}
	if (config.sandbox) {
		why = proc_sandbox(config.root != NULL);
		if (why != NULL)
			log_event(start->log, LOG_WARN, "no sandbox", "why", why);
	}
	tell_keeper(&s, WIRE_READY);
	loop_run(s.env.loop, &start->shared->turns[start->index]);
	log_flush(s.env.log);
	return 0;
}
