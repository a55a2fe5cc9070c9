/* SPDX-License-Identifier: MIT */
/* keeper.c: starts workers, hands them connections, replaces the dead, stops them in order. */
#include "app/keeper.h"
#include "app/dial.h"
#include "app/probe.h"
#include "app/wire.h"
#include "base/fmt.h"
#include "io/proc.h"
#include "io/sock.h"

enum {
	LOOP_CAPACITY = 2048,
	BACKOFF_FIRST_MS = 100,
	BACKOFF_MAX_MS = 5000,
	STABLE_MS = 10000, /* a worker that lived this long is replaced at once */
	QUICK_STOP_MS = 300,
	KILL_GRACE_MS = 1000, /* after the drain deadline */
	HOST_TEXT_MAX = 300,
	LOG_BATCH =
		64, /* messages of one worker per event, so that a loud one does not starve the rest */
};

struct keeper;
struct group;

struct worker {
	struct keeper *keeper;
	struct group *group;
	unsigned index; /* into shared->turns */
	int listener;
	int pid; /* 0: none */
	int channel, log;
	struct loop_handle channel_handle, log_handle;
	struct timer restart;
	int64_t started_ms, backoff_ms;
};

struct group {
	struct keeper_group *plan;
	struct dial *dial;
	char host[HOST_TEXT_MAX];
	struct slice host_text; /* Host field for the upstream */
};

struct keeper {
	struct keeper_plan *plan;
	const struct clock *clock;
	struct loop *loop;
	struct shared *shared;
	struct log log;
	struct group groups[KEEPER_GROUPS_MAX];
	struct worker workers[SHARED_WORKERS_MAX];
	unsigned worker_count;
	bool stopping;
	struct timer announce, deadline;
	int64_t deadline_ms;
};

/* ---- listeners ---- */

static void complain(struct slice listen, const char *why)
{
	char mem[512];
	struct buf b;

	buf_init(&b, mem, sizeof(mem));
	buf_put_str(&b, "ollachat: cannot listen on ");
	buf_put(&b, slice_make(listen.p, MIN(listen.n, (size_t)256)));
	buf_put_str(&b, ": ");
	buf_put_str(&b, why);
	buf_put_byte(&b, '\n');
	proc_write_stderr(buf_view(&b));
}

/* Sockets with SO_REUSEPORT would share a port with a stranger's in silence: a plain one first
 * finds out whether the port is free. */
static bool port_is_free(struct sock_addr *a, const char **why)
{
	int fd = sock_listen(a, false, why);

	if (fd < 0)
		return false;
	sock_local(fd, a); /* port 0 has become one */
	sock_close(fd);
	return true;
}

static bool adopt_listener(struct keeper_group *g)
{
	int first;

	if (g->hidden || sock_listen_fds(&first) == 0)
		return false;
	if (!sock_adopt_listener(first))
		return false;
	g->listeners[0] = first;
	g->listener_shared = g->workers > 1;
	return sock_local(first, &g->config.listen);
}

bool keeper_listen(struct keeper_group *g)
{
	const char *why = NULL;
	bool several = g->workers > 1;
	unsigned i;

	if (adopt_listener(g))
		return true;
	if (several && !port_is_free(&g->config.listen, &why)) {
		complain(g->config.listen_text, why);
		return false;
	}
	for (i = 0; i < g->workers; i++) {
		g->listeners[i] = sock_listen(&g->config.listen, several, &why);
		if (g->listeners[i] < 0) {
			complain(g->config.listen_text, why);
			return false;
		}
		sock_local(g->listeners[i], &g->config.listen);
	}
	return true;
}

/* "http://127.0.0.1:3000" */
static void put_url(struct buf *b, const struct sock_addr *a)
{
	struct ip_addr ip;

	memcpy(ip.b, a->ip, sizeof(ip.b));
	buf_put_str(b, "http://");
	if (a->v6)
		buf_put_byte(b, '[');
	ip_write(b, &ip);
	if (a->v6)
		buf_put_byte(b, ']');
	buf_put_byte(b, ':');
	fmt_u64(b, a->port);
}

static void announce_listener(struct keeper *k, const struct keeper_group *g)
{
	char mem[256];
	struct buf b;

	buf_init(&b, mem, sizeof(mem) - 1);
	buf_put_str(&b, "listening on ");
	put_url(&b, &g->config.listen);
	mem[buf_len(&b)] = '\0';
	log_event(&k->log, LOG_INFO, mem, "version", OLLACHAT_VERSION);
	buf_put_byte(&b, '\n');
	proc_write_stdout(buf_view(&b));
	if (k->plan->note != NULL)
		proc_write_stdout(slice_str(k->plan->note));
}

/* ---- workers ---- */

static void worker_detach(struct worker *w)
{
	struct keeper *k = w->keeper;

	if (w->group->dial != NULL)
		dial_forget(w->group->dial, w);
	loop_remove(k->loop, &w->channel_handle);
	loop_remove(k->loop, &w->log_handle);
	sock_close(w->channel);
	sock_close(w->log);
	w->channel = w->log = -1;
}

static void stop_when_empty(struct keeper *k)
{
	unsigned i;

	for (i = 0; i < k->worker_count; i++)
		if (k->workers[i].pid != 0)
			return;
	loop_stop(k->loop);
}

static void on_dialled(void *ctx, int fd, enum connect_fault fault, const char *why)
{
	struct worker *w = ctx;
	struct wire m = { 0 };

	m.type = fd >= 0 ? WIRE_CONNECTED : WIRE_FAILED;
	m.fault = fault;
	if (why != NULL)
		memcpy(m.why, why, MIN(strlen(why), sizeof(m.why) - 1));
	sock_send_message(w->channel, &m, sizeof(m), fd);
	sock_close(fd);
}

static void on_channel(void *ctx, unsigned events)
{
	struct worker *w = ctx;
	struct wire m;
	int fd;

	if (events & (LOOP_HUP | LOOP_ERROR)) { /* it died; SIGCHLD tells the rest */
		loop_remove(w->keeper->loop, &w->channel_handle);
		return;
	}
	while (sock_receive_message(w->channel, &m, sizeof(m), &fd) == 1) {
		sock_close(fd); /* workers pass none */
		if (m.type != WIRE_CONNECT || w->group->dial == NULL)
			continue;
		if (!dial_start(w->group->dial, on_dialled, w, w))
			on_dialled(w, -1, CONNECT_OTHER, "too many connections are under way");
	}
}

static void on_log(void *ctx, unsigned events)
{
	struct worker *w = ctx;
	char line[LOG_LINE_MAX];
	long n;
	unsigned i;

	for (i = 0; i < LOG_BATCH && (n = sock_receive_any(w->log, line, sizeof(line))) > 0; i++)
		log_pass(&w->keeper->log, slice_make(line, (size_t)n));
	if (events & (LOOP_HUP | LOOP_ERROR))
		loop_remove(w->keeper->loop, &w->log_handle);
}

/* The child's side of the fork; never returns. */
static void worker_live(struct worker *w, int channel, int log_fd, int keeper_pid)
{
	struct keeper *k = w->keeper;
	struct group *g = w->group;
	struct log log = k->log;
	struct worker_start start = {
		.config = &g->plan->config,
		.kind = g->plan->kind,
		.shared = k->shared,
		.log = &log,
		.clock = k->clock,
		.listener = w->listener,
		.channel = channel,
		.listener_shared = g->plan->listener_shared,
		.forwards = g->plan->upstream != NULL && !g->plan->probes,
		.index = w->index,
		.keys = g->plan->keys,
		.upstream_name = g->plan->upstream_name,
		.upstream_host = g->host_text,
	};
	int keep[] = { w->listener, channel, log_fd };

	proc_die_with_parent(keeper_pid);
	proc_close_others(keep, ARRAY_LEN(keep));
	proc_name(g->plan->kind->name);
	log.fd = log_fd;
	log.is_socket = true;
	log.role = g->plan->kind->name;
	proc_exit(server_run(&start));
}

static bool worker_start(struct worker *w)
{
	struct keeper *k = w->keeper;
	int channel[2], log[2], keeper_pid = proc_pid();

	if (!sock_pair(channel))
		return false;
	if (!sock_pair(log)) {
		sock_close(channel[0]);
		sock_close(channel[1]);
		return false;
	}
	w->pid = proc_fork();
	if (w->pid == 0)
		worker_live(w, channel[1], log[1], keeper_pid);
	sock_close(channel[1]);
	sock_close(log[1]);
	w->channel = channel[0];
	w->log = log[0];
	w->started_ms = loop_now(k->loop);
	w->channel_handle = loop_add(k->loop, w->channel, LOOP_READ | LOOP_PEER, on_channel, w);
	w->log_handle = loop_add(k->loop, w->log, LOOP_READ | LOOP_PEER, on_log, w);
	if (w->pid > 0)
		return true;
	w->pid = 0;
	worker_detach(w);
	return false;
}

static void restart_later(struct worker *w)
{
	int64_t lived = loop_now(w->keeper->loop) - w->started_ms;
	int64_t wait = lived >= STABLE_MS ? 0 : w->backoff_ms;

	w->backoff_ms =
		lived >= STABLE_MS ? BACKOFF_FIRST_MS : MIN(w->backoff_ms * 2, BACKOFF_MAX_MS);
	loop_timer_after(w->keeper->loop, &w->restart, wait);
}

static void on_restart(void *ctx, int64_t now)
{
	struct worker *w = ctx;

	(void)now;
	if (w->keeper->shared->drain == DRAIN_FINISH)
		return;
	if (!worker_start(w)) {
		log_event(&w->keeper->log, LOG_ERROR, "a worker cannot be started", NULL, NULL);
		restart_later(w);
	}
}

static void worker_died(struct worker *w, int code)
{
	struct keeper *k = w->keeper;
	struct log_line l;

	on_log(w, 0); /* its last words */
	worker_detach(w);
	w->pid = 0;
	if (k->shared->drain == DRAIN_FINISH)
		return;
	k->shared->worker_restarts = k->shared->worker_restarts + 1;
	if (w->group->plan->probes) /* its streams are gone with it */
		k->shared->active = k->shared->queued = 0;
	log_begin(&l, &k->log, LOG_ERROR, "a worker died and is replaced");
	log_str(&l, "worker", w->group->plan->kind->name);
	log_num(&l, "code", code);
	log_end(&l);
	restart_later(w);
}

static void reap(struct keeper *k)
{
	int code, pid;
	unsigned i;

	while ((pid = proc_reap(&code)) > 0)
		for (i = 0; i < k->worker_count; i++)
			if (k->workers[i].pid == pid)
				worker_died(&k->workers[i], code);
	if (k->shared->drain == DRAIN_FINISH)
		stop_when_empty(k);
}

/* ---- stopping ---- */

static void finish(struct keeper *k)
{
	struct wire m = { 0 };
	unsigned i;

	k->shared->drain = DRAIN_FINISH;
	m.type = WIRE_FINISH;
	m.value = k->deadline_ms;
	for (i = 0; i < k->worker_count; i++) {
		struct worker *w = &k->workers[i];

		if (w->pid != 0 && !sock_send_message(w->channel, &m, sizeof(m), -1))
			proc_kill(w->pid);
		sock_close(w->listener);
		w->listener = -1;
	}
	loop_timer_set(k->loop, &k->deadline, k->deadline_ms + KILL_GRACE_MS);
	stop_when_empty(k);
}

static void on_announced(void *ctx, int64_t now)
{
	(void)now;
	finish(ctx);
}

static void kill_all(struct keeper *k)
{
	unsigned i;

	for (i = 0; i < k->worker_count; i++)
		if (k->workers[i].pid != 0)
			proc_kill(k->workers[i].pid);
	loop_stop(k->loop);
}

static void on_deadline(void *ctx, int64_t now)
{
	(void)now;
	kill_all(ctx);
}

static void stop(struct keeper *k, bool announce)
{
	const struct config *cf = &k->plan->groups[k->plan->count - 1].config;
	int64_t now = loop_now(k->loop);

	k->stopping = true;
	k->shared->drain = DRAIN_ANNOUNCE;
	k->deadline_ms = now + (k->plan->quick_stop ? QUICK_STOP_MS : cf->drain_timeout_ms);
	log_event(&k->log, LOG_INFO, "stopping", NULL, NULL);
	if (announce && !k->plan->quick_stop && cf->drain_announce_ms > 0) {
		k->deadline_ms = MAX(k->deadline_ms, now + cf->drain_announce_ms);
		loop_timer_after(k->loop, &k->announce, cf->drain_announce_ms);
	} else {
		finish(k);
	}
}

/* ---- SIGHUP ---- */

static void reload_keys(struct keeper *k, const struct keeper_group *g)
{
	char mem[128];
	struct log_line l;
	struct buf why;
	unsigned count;

	buf_init(&why, mem, sizeof(mem));
	count = keys_read(g->keys, g->config.api_keys, &why);
	log_begin(&l, &k->log, count > 0 ? LOG_INFO : LOG_ERROR,
		  count > 0 ? "API keys were read again"
			    : "API keys cannot be read, the old ones stay");
	log_str(&l, "file", g->config.api_keys);
	if (count > 0)
		log_num(&l, "keys", count);
	else
		log_text(&l, "why", buf_view(&why));
	log_end(&l);
}

static void reload(struct keeper *k)
{
	size_t i;

	for (i = 0; i < k->plan->count; i++)
		if (k->plan->groups[i].keys != NULL)
			reload_keys(k, &k->plan->groups[i]);
}

static void on_signal(void *ctx, unsigned signal)
{
	struct keeper *k = ctx;

	if (signal == PROC_SIGCHLD) {
		reap(k);
	} else if (signal == PROC_SIGHUP) {
		reload(k);
	} else if (signal == PROC_SIGTERM || signal == PROC_SIGINT) {
		if (k->stopping)
			kill_all(k);
		else
			stop(k, signal == PROC_SIGTERM);
	}
}

/* ---- birth ---- */

/* What the upstream is called in the Host field: its own address, never a client's. */
static void name_host(struct group *g, const struct url *u)
{
	struct buf b;
	bool v6 = u->ip && memchr(u->host.p, ':', u->host.n) != NULL;

	buf_init(&b, g->host, sizeof(g->host));
	if (v6)
		buf_put_byte(&b, '[');
	if (slice_eq_nocase(u->host, SLICE("localhost")))
		buf_put_str(&b, "127.0.0.1");
	else
		buf_put(&b, u->host);
	if (v6)
		buf_put_byte(&b, ']');
	buf_put_byte(&b, ':');
	fmt_u64(&b, u->port);
	g->host_text = buf_view(&b);
}

static bool group_open(struct keeper *k, size_t i)
{
	struct keeper_group *plan = &k->plan->groups[i];
	struct group *g = &k->groups[i];
	unsigned n;

	g->plan = plan;
	if (plan->upstream != NULL) {
		name_host(g, plan->upstream);
		g->dial = dial_open(k->loop, plan->upstream, plan->config.connect_timeout_ms);
		if (g->dial == NULL)
			return false;
	}
	for (n = 0; n < plan->workers && k->worker_count < SHARED_WORKERS_MAX; n++) {
		struct worker *w = &k->workers[k->worker_count];

		w->keeper = k;
		w->group = g;
		w->index = k->worker_count++;
		w->listener = plan->listeners[plan->listener_shared ? 0 : n];
		w->channel = w->log = -1;
		w->backoff_ms = BACKOFF_FIRST_MS;
		timer_init(&w->restart, on_restart, w);
	}
	return true;
}

static void keeper_log_init(struct keeper *k)
{
	const struct config *cf = &k->plan->groups[k->plan->count - 1].config;

	k->log.fd = 2;
	k->log.json = cf->log_json;
	k->log.level = cf->log_level;
	k->log.clock = k->clock;
	k->log.role = "keeper";
	k->log.dropped = &k->shared->log_dropped;
}

static bool keeper_open(struct keeper *k)
{
	static const int signals[] = { PROC_SIGTERM, PROC_SIGINT, PROC_SIGHUP, PROC_SIGUSR2,
				       PROC_SIGCHLD };
	size_t i;

	k->clock = &clock_system;
	k->shared = mem_shared(sizeof(*k->shared));
	k->loop = loop_open(k->clock, LOOP_CAPACITY);
	if (k->shared == NULL || k->loop == NULL)
		return false;
	k->shared->started_ms = loop_now(k->loop);
	keeper_log_init(k);
	timer_init(&k->announce, on_announced, k);
	timer_init(&k->deadline, on_deadline, k);
	if (!loop_signals(k->loop, signals, ARRAY_LEN(signals), on_signal, k))
		return false;
	for (i = 0; i < k->plan->count; i++)
		if (!group_open(k, i))
			return false;
	return true;
}

static bool probe_start(struct keeper *k)
{
	size_t i;

	for (i = 0; i < k->plan->count; i++) {
		struct group *g = &k->groups[i];

		if (g->plan->probes && probe_open(k->loop, g->dial, &g->plan->config, k->shared,
						  &k->log, g->host_text) == NULL)
			return false;
	}
	return true;
}

int keeper_run(struct keeper_plan *plan)
{
	struct keeper *k = mem_pages(sizeof(*k));
	unsigned i;
	size_t g;

	if (k == NULL)
		return 1;
	k->plan = plan;
	if (!keeper_open(k)) {
		proc_write_stderr(SLICE("ollachat: cannot start: out of memory or descriptors\n"));
		return 1;
	}
	proc_ignore_signals(NULL, 0);
	for (g = 0; g < plan->count; g++)
		if (!plan->groups[g].hidden)
			announce_listener(k, &plan->groups[g]);
	for (i = 0; i < k->worker_count; i++)
		if (!worker_start(&k->workers[i]))
			restart_later(&k->workers[i]);
	if (!probe_start(k))
		return 1;
	loop_run(k->loop, NULL);
	log_event(&k->log, LOG_INFO, "stopped", NULL, NULL);
	return 0;
}
