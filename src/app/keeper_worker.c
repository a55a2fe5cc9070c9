/* SPDX-License-Identifier: MIT */
/* keeper_worker.c: a worker's life as the keeper sees it: birth, messages, death, back-off. */
#include "app/keeper_parts.h"
#include "io/sock.h"

enum {
	BACKOFF_FIRST_MS = 100,
	BACKOFF_MAX_MS = 5000,
	STABLE_MS = 10000, /* a worker that lived this long is replaced at once */
	BATCH = 64,        /* messages of one worker per event, so that a loud one starves nobody */
	CUT_MAX = 1 << 20, /* connections it can have had */
};

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

static bool all_are_ready(const struct keeper *k)
{
	unsigned i;

	for (i = 0; i < k->worker_count; i++)
		if (!k->workers[i].ready)
			return false;
	return true;
}

static void take_message(struct worker *w, const struct wire *m)
{
	switch (m->type) {
	case WIRE_READY:
		w->ready = true;
		if (all_are_ready(w->keeper)) {
			keeper_upgrade_ready(w->keeper);
			keeper_notify_ready(w->keeper);
		}
		break;
	case WIRE_CONNECT:
		if (w->group->dial != NULL && !dial_start(w->group->dial, on_dialled, w, w))
			on_dialled(w, -1, CONNECT_OTHER, "too many connections are under way");
		break;
	case WIRE_PROBE:
		if (w->group->probe != NULL)
			probe_now(w->group->probe);
		break;
	case WIRE_WAS_CUT:
		w->keeper->cut_count += MAX(0, MIN(m->value, CUT_MAX));
		break;
	default:
		break;
	}
}

/* How many messages there were. */
static unsigned take_messages(struct worker *w)
{
	struct wire m;
	unsigned i;
	int fd;

	for (i = 0; i < BATCH && sock_receive_message(w->channel, &m, sizeof(m), &fd) == 1; i++) {
		sock_close(fd); /* workers pass none */
		take_message(w, &m);
	}
	return i;
}

static void on_channel(void *ctx, unsigned events)
{
	struct worker *w = ctx;

	if (take_messages(w) == BATCH)
		return;
	if (events & (LOOP_HUP | LOOP_ERROR)) /* it died; SIGCHLD tells the rest */
		loop_remove(w->keeper->loop, &w->channel_handle);
}

void keeper_tell_workers(struct keeper *k, enum wire_type type)
{
	struct wire m = { 0 };
	unsigned i;

	m.type = type;
	for (i = 0; i < k->worker_count; i++) {
		struct worker *w = &k->workers[i];

		if (w->pid != 0 && !sock_send_message(w->channel, &m, sizeof(m), -1))
			proc_kill(w->pid);
	}
}

/* How many messages there were. */
static unsigned pass_log(struct worker *w)
{
	char lines[LOG_LINE_MAX];
	long n;
	unsigned i;

	for (i = 0; i < BATCH && (n = sock_receive_any(w->log, lines, sizeof(lines))) > 0; i++)
		log_pass(&w->keeper->log, slice_make(lines, (size_t)n));
	return i;
}

static void on_log(void *ctx, unsigned events)
{
	struct worker *w = ctx;

	pass_log(w);
	if (events & (LOOP_HUP | LOOP_ERROR))
		loop_remove(w->keeper->loop, &w->log_handle);
}

/* With as many as there are workers, each has its own; with more (inherited from a process that had
 * more workers) none is left out, with fewer they are shared. */
static void choose_listeners(const struct worker *w, struct worker_start *start)
{
	const struct keeper_group *g = w->group->plan;
	unsigned i;

	start->listener_shared = g->listener_count < g->workers;
	if (start->listener_shared)
		start->listeners[start->listener_count++] =
			g->listeners[w->nth % g->listener_count];
	for (i = w->nth; i < g->listener_count && !start->listener_shared; i += g->workers)
		start->listeners[start->listener_count++] = g->listeners[i];
}

/* What the keeper reads from files, no worker may write: not even one that somebody took over. */
static bool fix_shown(const struct keeper *k)
{
	size_t i;

	for (i = 0; i < k->plan->count; i++)
		if (!keys_fix(k->plan->groups[i].keys))
			return false;
	return tls_source_fix(k->plan->tls);
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
		.board = k->board,
		.log = &log,
		.clock = k->clock,
		.channel = channel,
		.accept_later = k->starter >= 0,
		.forwards = g->plan->upstream != NULL && !g->plan->probes,
		.index = w->index,
		.keys = g->plan->keys,
		.tls = tls_source_shared(k->plan->tls),
		.upstream = g->plan->upstream,
		.upstream_name = g->plan->upstream_name,
		.upstream_host = g->host_text,
	};
	int keep[SHARED_WORKERS_MAX + 2] = { channel, log_fd };

	proc_die_with_parent(keeper_pid);
	if (!fix_shown(k))
		proc_exit(1);
	choose_listeners(w, &start);
	memcpy(keep + 2, start.listeners, sizeof(start.listeners));
	proc_close_others(keep, 2 + start.listener_count);
	proc_name(g->plan->kind->name);
	log_to_socket(&log, log_fd);
	log.role = g->plan->kind->name;
	proc_exit(server_run(&start));
}

/* A worker that is gone could write anywhere in what all share. */
static void show_again(struct keeper *k)
{
	keeper_show_phase(k);
	k->shared->started_ms = k->started_ms;
	k->shared->boot_offset_ms = clock_boot_offset();
	k->shared->worker_restarts = k->restarts;
}

bool keeper_worker_start(struct worker *w)
{
	struct keeper *k = w->keeper;
	int channel[2], log[2], keeper_pid = proc_pid();

	show_again(k);
	w->started_ms = loop_now(k->loop); /* a failure, too, is a short life */
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
	w->channel_handle = loop_add(k->loop, w->channel, LOOP_READ | LOOP_PEER, on_channel, w);
	w->log_handle = loop_add(k->loop, w->log, LOOP_READ | LOOP_PEER, on_log, w);
	if (w->pid > 0 && w->channel_handle.gen != 0 && w->log_handle.gen != 0) {
		k->board->places[w->index].pid = w->pid;
		return true;
	}
	if (w->pid > 0)
		proc_kill(w->pid);
	w->pid = 0;
	worker_detach(w);
	return false;
}

void keeper_worker_restart(struct worker *w)
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
	if (keeper_is_ending(w->keeper))
		return;
	if (!keeper_worker_start(w)) {
		log_event(&w->keeper->log, LOG_ERROR, "a worker cannot be started", NULL, NULL);
		keeper_worker_restart(w);
	}
}

void keeper_worker_init(struct worker *w, struct keeper *k, struct group *g, unsigned nth)
{
	w->keeper = k;
	w->group = g;
	w->index = k->worker_count++;
	w->nth = nth;
	w->channel = w->log = -1;
	w->backoff_ms = BACKOFF_FIRST_MS;
	timer_init(&w->restart, on_restart, w);
}

static void say_death(const struct worker *w, const struct proc_end *end)
{
	struct keeper *k = w->keeper;
	struct log_line l;

	log_begin(&l, &k->log, LOG_ERROR,
		  keeper_is_ending(k) ? "a worker died" : "a worker died and is replaced");
	log_str(&l, "worker", w->group->plan->kind->name);
	if (end->signal != 0)
		log_str(&l, "signal", proc_signal_name(end->signal));
	else
		log_num(&l, "code", end->code);
	log_end(&l);
}

static void worker_ended(struct worker *w, const struct proc_end *end)
{
	struct keeper *k = w->keeper;

	while (pass_log(w) == BATCH || take_messages(w) == BATCH) /* its last words */
		;
	worker_detach(w);
	w->pid = 0;
	w->ready = false;
	metrics_worker_gone(k->board, w->index);
	if (w->group->plan->probes) /* its streams are gone with it */
		k->shared->active = k->shared->queued = 0;
	if (!keeper_is_ending(k) || end->signal != 0 || end->code != 0)
		say_death(w, end);
	if (keeper_is_ending(k))
		return;
	if (k->starter >= 0) { /* the process that serves is to go on */
		k->exit_code = 1;
		loop_stop(k->loop);
		return;
	}
	k->shared->worker_restarts = ++k->restarts;
	keeper_worker_restart(w);
}

void keeper_reap(struct keeper *k)
{
	struct proc_end end;
	unsigned i;
	int pid;

	while ((pid = proc_reap(&end)) > 0) {
		if (keeper_upgrade_reap(k, pid, &end))
			continue;
		for (i = 0; i < k->worker_count; i++)
			if (k->workers[i].pid == pid)
				worker_ended(&k->workers[i], &end);
	}
	if (keeper_is_ending(k))
		keeper_stop_when_empty(k);
}
