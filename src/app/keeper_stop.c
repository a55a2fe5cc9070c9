/* SPDX-License-Identifier: MIT */
/* keeper_stop.c: how the service ends: announced, finished, cut at the deadline; or handed over to
 * a newer process, which is the same without an announcement and without closing what is idle. */
#include "app/keeper_parts.h"
#include "io/proc.h"
#include "io/sock.h"

enum { QUICK_STOP_MS = 300, KILL_GRACE_MS = 1000 /* after the drain's deadline */ };

static const struct config *config_of(const struct keeper *k)
{
	return &k->plan->groups[k->plan->count - 1].config;
}

static void close_listeners(struct keeper *k)
{
	unsigned i;
	size_t n;

	for (n = 0; n < k->plan->count; n++) {
		struct keeper_group *g = &k->plan->groups[n];

		for (i = 0; i < g->listener_count; i++)
			sock_close(g->listeners[i]);
		g->listener_count = 0;
	}
}

void keeper_stop_when_empty(struct keeper *k)
{
	unsigned i;

	for (i = 0; i < k->worker_count; i++)
		if (k->workers[i].pid != 0)
			return;
	loop_stop(k->loop);
}

void keeper_show_phase(struct keeper *k)
{
	k->shared->drain_deadline_ms = k->drain_deadline_ms;
	k->shared->drain = k->drain;
}

static void set_phase(struct keeper *k, enum drain_phase phase)
{
	k->drain = phase;
	keeper_show_phase(k);
}

static void set_deadline(struct keeper *k, int64_t deadline, enum drain_phase phase)
{
	k->drain_deadline_ms = deadline;
	set_phase(k, phase);
	loop_timer_set(k->loop, &k->deadline, deadline);
}

static void finish(struct keeper *k)
{
	set_phase(k, DRAIN_FINISH);
	keeper_tell_workers(k, WIRE_FINISH);
	close_listeners(k);
	keeper_stop_when_empty(k);
}

static void on_announced(void *ctx, int64_t now)
{
	(void)now;
	finish(ctx);
}

static void kill_all(struct keeper *k)
{
	unsigned i;

	for (i = 0; i < k->worker_count; i++) {
		if (k->workers[i].pid == 0)
			continue;
		k->killed = true;
		proc_kill(k->workers[i].pid);
	}
	loop_stop(k->loop);
}

/* First the workers are asked to end what runs in words; who does not even do that is killed. */
static void on_deadline(void *ctx, int64_t now)
{
	struct keeper *k = ctx;

	if (k->cut) {
		kill_all(k);
		return;
	}
	k->cut = true;
	if (!k->handed_over && k->drain != DRAIN_FINISH)
		finish(k);
	keeper_tell_workers(k, WIRE_CUT);
	loop_timer_set(k->loop, &k->deadline, now + KILL_GRACE_MS);
}

static void stop_pulls(struct keeper *k)
{
	size_t i;

	for (i = 0; i < k->plan->count; i++)
		if (k->groups[i].pull != NULL)
			pull_stop(k->groups[i].pull);
}

void keeper_stop(struct keeper *k, bool announce)
{
	const struct config *cf = config_of(k);
	int64_t now = loop_now(k->loop);
	int64_t deadline = now + (k->plan->quick_stop ? QUICK_STOP_MS : cf->drain_timeout_ms);

	keeper_upgrade_abandon(k);
	announce = announce && !k->plan->quick_stop && cf->drain_announce_ms > 0;
	k->stopping = true;
	stop_pulls(k);
	log_event(&k->log, LOG_INFO, "stopping", NULL, NULL);
	keeper_notify_stopping(k);
	if (announce)
		deadline = MAX(deadline, now + cf->drain_announce_ms);
	if (k->handed_over)
		deadline = MIN(deadline, k->drain_deadline_ms);
	set_deadline(k, deadline, DRAIN_ANNOUNCE);
	if (announce) {
		keeper_tell_workers(k, WIRE_ANNOUNCE);
		loop_timer_after(k->loop, &k->announce, cf->drain_announce_ms);
	} else {
		finish(k);
	}
}

void keeper_stop_now(struct keeper *k)
{
	log_event(&k->log, LOG_WARN, "stopping at once: a second signal asked for it", NULL, NULL);
	kill_all(k);
}

void keeper_hand_over(struct keeper *k)
{
	stop_pulls(k);
	k->handed_over = true;
	set_deadline(k, loop_now(k->loop) + config_of(k)->drain_timeout_ms, DRAIN_HANDOVER);
	keeper_tell_workers(k, WIRE_HANDOVER);
	close_listeners(k);
	keeper_stop_when_empty(k);
}

void keeper_stop_init(struct keeper *k)
{
	timer_init(&k->announce, on_announced, k);
	timer_init(&k->deadline, on_deadline, k);
}

void keeper_stop_told(struct keeper *k)
{
	struct log_line l;

	if (k->cut && (k->cut_count > 0 || k->killed)) {
		log_begin(&l, &k->log, LOG_WARN, "drain deadline reached: what still ran was cut");
		log_num(&l, "connections", k->cut_count);
		log_end(&l);
	}
	log_event(&k->log, LOG_INFO, "stopped", NULL, NULL);
}
