/* SPDX-License-Identifier: MIT */
/* keeper_upgrade.c: SIGUSR2: the program as it is on disk now takes over, and no client notices.
 *
 *	this process                            its successor
 *	SIGUSR2: starts it, with the
 *	listeners and a channel   --- state -->  reads its options; adopts the listeners;
 *	serves on                                looks at Ollama; starts its workers, which wait
 *	                          <-- ready ---  it is the main process: they accept
 *	stops accepting, finishes
 *	what is here, ends
 *
 * Both accept for a moment, from the same queues, so nothing in them is lost. A successor that cannot
 * be run, ends, or is not ready in time has accepted nothing and changes nothing: whoever gives it up
 * closes the channel's ear first and then listens once more, so that either its `ready` was heard, and
 * it serves, or it cannot be said any more, and it ends. Messages are texts, so that neither needs to be
 * of the other's version. */
#include "app/keeper_parts.h"
#include "app/wire.h"
#include "io/notify.h"
#include "io/proc.h"
#include "io/sock.h"
#include "io/spawn.h"

enum {
	READY_MS = 20000, /* longest wait for a successor */
	LOOK_MS = 3000,   /* a successor's wait for a first look at Ollama */
};

static const struct slice ready_text = SLICE_INIT("ready");
static const struct slice model_was_ready_text = SLICE_INIT("model-was-ready");
static const struct slice nothing_text = SLICE_INIT("nothing");

/* ---- the one that runs ---- */

static void forget_successor(struct keeper *k)
{
	loop_timer_clear(k->loop, &k->successor_timer);
	loop_remove(k->loop, &k->successor_handle);
	sock_close(k->successor_channel);
	k->successor_channel = -1;
	k->successor_pid = 0;
}

static void upgrade_failed(struct keeper *k, const char *why)
{
	int pid = k->successor_pid;

	forget_successor(k);
	if (pid > 0)
		proc_kill(pid);
	log_event(&k->log, LOG_ERROR, "the upgrade failed, this process serves on", "why", why);
}

static void successor_is_ready(struct keeper *k)
{
	struct log_line l;

	log_begin(&l, &k->log, LOG_INFO, "the new process serves, this one finishes what it has");
	log_num(&l, "pid", k->successor_pid);
	log_end(&l);
	keeper_notify_successor(k, k->successor_pid);
	forget_successor(k);
	keeper_hand_over(k);
}

/* What the successor said; NUL-ended, and > 0 if it said anything. One that ends without having
 * read our message leaves an error before its own. */
static long hear_successor(struct keeper *k, char *text, size_t cap)
{
	long n = sock_receive_any(k->successor_channel, text, cap - 1);

	if (n < 0)
		n = sock_receive_any(k->successor_channel, text, cap - 1);
	text[MAX(n, 0)] = '\0';
	return n;
}

static void on_successor(void *ctx, unsigned events)
{
	struct keeper *k = ctx;
	char text[SPAWN_WHY_MAX + 1];
	long n = hear_successor(k, text, sizeof(text));

	if (n > 0 && slice_eq(slice_str(text), ready_text))
		successor_is_ready(k);
	else if (n > 0)
		upgrade_failed(k, text);
	else if (events & (LOOP_HUP | LOOP_ERROR)) /* SIGCHLD says how it ended */
		loop_remove(k->loop, &k->successor_handle);
}

/* Unless it has said that it is ready, and so may have clients already. */
static void give_up(struct keeper *k, const char *why)
{
	char text[SPAWN_WHY_MAX + 1];

	sock_stop_hearing(k->successor_channel);
	if (hear_successor(k, text, sizeof(text)) > 0 && slice_eq(slice_str(text), ready_text))
		successor_is_ready(k);
	else
		upgrade_failed(k, why);
}

static void on_successor_timer(void *ctx, int64_t now)
{
	(void)now;
	give_up(ctx, "the new process was not ready in time");
}

bool keeper_upgrade_reap(struct keeper *k, int pid, const struct proc_end *end)
{
	char text[SPAWN_WHY_MAX + 1];
	long n;

	if (pid != k->successor_pid)
		return false;
	n = hear_successor(k, text, sizeof(text));
	k->successor_pid = 0;
	if (n > 0 && !slice_eq(slice_str(text), ready_text))
		upgrade_failed(k, text);
	else if (end->signal != 0)
		upgrade_failed(k, "the new process was killed before it was ready");
	else
		upgrade_failed(k,
			       "the new process ended before it was ready; its own words say why");
	return true;
}

static unsigned gather_listeners(const struct keeper *k, int *out)
{
	unsigned i, count = 0;
	size_t n;

	for (n = 0; n < k->plan->count; n++) {
		const struct keeper_group *g = &k->plan->groups[n];

		for (i = 0; i < g->listener_count && !g->hidden && count < SHARED_WORKERS_MAX; i++)
			out[count++] = g->listeners[i];
	}
	return count;
}

static bool start_successor(struct keeper *k)
{
	int listeners[SHARED_WORKERS_MAX], pair[2];
	unsigned count = gather_listeners(k, listeners);
	struct slice state = k->shared->model_was_ready ? model_was_ready_text : nothing_text;

	if (!sock_pair(pair))
		return false;
	sock_send_message(pair[0], state.p, state.n, -1);
	k->successor_pid = spawn_again(k->plan->argv, listeners, count, pair[1]);
	sock_close(pair[1]);
	k->successor_channel = pair[0];
	k->successor_handle = loop_add(k->loop, pair[0], LOOP_READ | LOOP_PEER, on_successor, k);
	loop_timer_after(k->loop, &k->successor_timer, READY_MS);
	return k->successor_pid > 0 && k->successor_handle.gen != 0;
}

/* NULL: nothing is in the way. */
static const char *why_not(const struct keeper *k)
{
	if (k->plan->quick_stop)
		return "this role is not upgraded in place";
	if (k->handed_over)
		return "a newer process serves already";
	if (k->stopping)
		return "this process is stopping";
	if (k->successor_pid > 0)
		return "an upgrade is under way";
	if (proc_pid() == 1)
		return "process 1 must stay, or the system it runs would end";
	if (notify_is_missed())
		return "systemd would end the new process with this one; the unit needs "
		       "Type=notify";
	return NULL;
}

void keeper_upgrade(struct keeper *k)
{
	const char *why = why_not(k);
	struct log_line l;

	if (why != NULL) {
		log_event(&k->log, LOG_WARN, "SIGUSR2 changes nothing", "why", why);
		return;
	}
	if (!start_successor(k)) {
		upgrade_failed(k, "no process could be started");
		return;
	}
	log_begin(&l, &k->log, LOG_INFO, "upgrading: a new process is started");
	log_str(&l, "path", spawn_path());
	log_num(&l, "pid", k->successor_pid);
	log_end(&l);
}

void keeper_upgrade_abandon(struct keeper *k)
{
	if (k->successor_pid > 0)
		give_up(k, "this process was told to stop");
}

/* ---- the new one ---- */

static void on_looked(void *ctx, int64_t now)
{
	(void)now;
	keeper_start_workers(ctx);
}

bool keeper_upgrade_waits(struct keeper *k, bool looks)
{
	char text[SPAWN_WHY_MAX];
	long n;

	k->starter = spawn_channel();
	if (k->starter < 0)
		return false;
	n = sock_receive_any(k->starter, text, sizeof(text));
	if (n > 0 && slice_eq(slice_make(text, (size_t)n), model_was_ready_text))
		k->shared->model_was_ready = 1;
	if (looks)
		loop_timer_after(k->loop, &k->look_timer, LOOK_MS);
	return looks;
}

void keeper_upgrade_ready(struct keeper *k)
{
	char text[SPAWN_WHY_MAX];
	bool said;

	if (k->starter < 0)
		return;
	said = sock_send_message(k->starter, ready_text.p, ready_text.n, -1);
	if (!said && sock_receive_any(k->starter, text, sizeof(text)) == 0) {
		k->exit_code = 1; /* it lives, and has given us up */
		loop_stop(k->loop);
		return;
	}
	keeper_tell_workers(k, WIRE_ACCEPT);
	sock_close(k->starter);
	k->starter = -1;
}

void keeper_upgrade_init(struct keeper *k)
{
	k->starter = k->successor_channel = -1;
	timer_init(&k->successor_timer, on_successor_timer, k);
	timer_init(&k->look_timer, on_looked, k);
}
