/* SPDX-License-Identifier: MIT */
/* keeper_stop.c: the drain: announce, finish, deadline. */
#include "app/keeper_parts.h"
#include "app/wire.h"
#include "io/proc.h"
#include "io/sock.h"

enum { QUICK_STOP_MS = 300, KILL_GRACE_MS = 1000 /* after the drain deadline */ };

void keeper_stop_when_empty(struct keeper *k)
{
	unsigned i;

	for (i = 0; i < k->worker_count; i++)
		if (k->workers[i].pid != 0)
			return;
	loop_stop(k->loop);
}

static void tell_workers(struct keeper *k, enum wire_type type)
{
	struct wire m = { 0 };
	unsigned i;

	m.type = type;
	m.value = k->deadline_ms;
	for (i = 0; i < k->worker_count; i++) {
		struct worker *w = &k->workers[i];

		if (w->pid != 0 && !sock_send_message(w->channel, &m, sizeof(m), -1))
			proc_kill(w->pid);
	}
}

static void finish(struct keeper *k)
{
	unsigned i;

	k->shared->drain = DRAIN_FINISH;
	tell_workers(k, WIRE_FINISH);
	for (i = 0; i < k->worker_count; i++) {
		sock_close(k->workers[i].listener);
		k->workers[i].listener = -1;
	}
	loop_timer_set(k->loop, &k->deadline, k->deadline_ms + KILL_GRACE_MS);
	keeper_stop_when_empty(k);
}

static void on_announced(void *ctx, int64_t now)
{
	(void)now;
	finish(ctx);
}

void keeper_kill_all(struct keeper *k)
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
	keeper_kill_all(ctx);
}

void keeper_stop(struct keeper *k, bool announce)
{
	const struct config *cf = &k->plan->groups[k->plan->count - 1].config;
	int64_t now = loop_now(k->loop);

	announce = announce && !k->plan->quick_stop && cf->drain_announce_ms > 0;
	k->stopping = true;
	k->deadline_ms = now + (k->plan->quick_stop ? QUICK_STOP_MS : cf->drain_timeout_ms);
	if (announce)
		k->deadline_ms = MAX(k->deadline_ms, now + cf->drain_announce_ms);
	k->shared->drain_deadline_ms = k->deadline_ms;
	k->shared->drain = DRAIN_ANNOUNCE;
	log_event(&k->log, LOG_INFO, "stopping", NULL, NULL);
	if (announce) {
		tell_workers(k, WIRE_ANNOUNCE);
		loop_timer_after(k->loop, &k->announce, cf->drain_announce_ms);
	} else {
		finish(k);
	}
}

void keeper_stop_init(struct keeper *k)
{
	timer_init(&k->announce, on_announced, k);
	timer_init(&k->deadline, on_deadline, k);
}
