/* SPDX-License-Identifier: MIT */
/* keeper_notify.c: what systemd is told of the service: that it is ready, stopping, or lives on in
 * another process; and its watchdog, which is fed while every worker turns. */
#include "app/keeper_parts.h"
#include "base/fmt.h"
#include "io/notify.h"

enum { IDLE_MS = 3000 /* an idle worker turns more often than that */ };

void keeper_notify_ready(struct keeper *k)
{
	if (k->notify.ready)
		return;
	k->notify.ready = true;
	if (!k->notify
		     .successor) /* the unit is active already, and this not yet its main process */
		notify_send(k->notify.fd, SLICE("READY=1"));
}

void keeper_notify_stopping(struct keeper *k)
{
	if (!k->handed_over)
		notify_send(k->notify.fd, SLICE("STOPPING=1"));
}

/* The watchdog's time begins anew with it. */
void keeper_notify_successor(struct keeper *k, int pid)
{
	char mem[64];
	struct buf b;

	buf_init(&b, mem, sizeof(mem));
	buf_put_str(&b, "MAINPID=");
	fmt_u64(&b, (uint64_t)pid);
	buf_put_str(&b, "\nWATCHDOG=1");
	notify_send(k->notify.fd, buf_view(&b));
	loop_timer_clear(k->loop, &k->notify.timer);
}

static bool is_stuck(struct keeper *k, unsigned i, int64_t now)
{
	const struct worker *w = &k->workers[i];
	uint64_t turns = k->shared->turns[w->index];

	if (w->pid == 0 || turns != k->notify.turns[i]) {
		k->notify.turns[i] = turns;
		k->notify.turned_ms[i] = now;
	}
	return now - MAX(k->notify.turned_ms[i], w->started_ms) >=
	       MAX(k->notify.every_ms, (int64_t)IDLE_MS);
}

/* NULL: all of them turn. */
static const struct worker *find_stuck(struct keeper *k, int64_t now)
{
	const struct worker *stuck = NULL;
	unsigned i;

	for (i = 0; i < k->worker_count; i++)
		if (is_stuck(k, i, now))
			stuck = &k->workers[i];
	return stuck;
}

static void say_stuck(struct keeper *k, const struct worker *w)
{
	struct log_line l;

	log_begin(&l, &k->log, LOG_ERROR, "a worker hangs: systemd's watchdog is not fed");
	log_str(&l, "worker", w->group->plan->kind->name);
	log_num(&l, "pid", w->pid);
	log_end(&l);
}

static void on_watchdog(void *ctx, int64_t now)
{
	struct keeper *k = ctx;
	const struct worker *stuck = find_stuck(k, now);

	loop_timer_after(k->loop, &k->notify.timer, k->notify.every_ms);
	if (stuck == NULL && k->starter < 0)
		notify_send(k->notify.fd, SLICE("WATCHDOG=1"));
	if (stuck != NULL && !k->notify.starves)
		say_stuck(k, stuck);
	k->notify.starves = stuck != NULL;
}

void keeper_notify_init(struct keeper *k)
{
	k->notify.fd = notify_open();
	k->notify.successor = k->starter >= 0;
	k->notify.every_ms = notify_watchdog_ms() / 2;
	timer_init(&k->notify.timer, on_watchdog, k);
	if (k->notify.fd >= 0 && k->notify.every_ms > 0)
		loop_timer_after(k->loop, &k->notify.timer, k->notify.every_ms);
}
