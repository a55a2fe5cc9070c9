/* SPDX-License-Identifier: MIT */
/* keeper_parts.h: what the parts of the keeper (keeper*.c) know of each other, and nobody else. */
#ifndef APP_KEEPER_PARTS_H
#define APP_KEEPER_PARTS_H

#include "app/dial.h"
#include "app/keeper.h"
#include "app/measure.h"
#include "app/probe.h"
#include "app/pull.h"
#include "app/tls.h"
#include "app/wire.h"
#include "io/proc.h"

enum { KEEPER_HOST_MAX = 300 };

struct keeper;
struct group;

struct worker {
	struct keeper *keeper;
	struct group *group;
	unsigned index; /* into shared->turns */
	unsigned nth;   /* of its group */
	int pid;        /* 0: none */
	bool ready;     /* it said so */
	int channel, log;
	struct loop_handle channel_handle, log_handle;
	struct timer restart;
	int64_t started_ms, backoff_ms;
};

struct group {
	struct keeper_group *plan;
	struct dial *dial;
	struct probe *probe; /* NULL: its upstream is not watched */
	struct pull *pull;   /* NULL: not asked for */
	char host[KEEPER_HOST_MAX];
	struct slice host_text; /* Host field for the upstream */
};

/* Between us and systemd. */
struct keeper_notify {
	int fd; /* -1: nobody is told */
	bool ready, successor;
	bool starves; /* the watchdog: a worker hangs */
	int64_t every_ms;
	struct timer timer;
	uint64_t turns[SHARED_WORKERS_MAX]; /* as last seen */
	int64_t turned_ms[SHARED_WORKERS_MAX];
};

struct keeper {
	struct keeper_plan *plan;
	const struct clock *clock;
	struct loop *loop;
	struct mem mem; /* for TLS towards Ollama */
	struct shared *shared;
	struct metrics_board *board;
	struct measure measure;
	struct keeper_notify notify;
	struct log log;
	struct group groups[KEEPER_GROUPS_MAX];
	struct worker workers[SHARED_WORKERS_MAX];
	unsigned worker_count;
	bool started; /* the workers */
	int exit_code;
	int starter; /* channel to the process that this one succeeds; -1: none (any more) */
	struct timer look_timer;
	int successor_pid, successor_channel; /* while it is not ready; 0, -1: none */
	struct loop_handle successor_handle;
	struct timer successor_timer;
	/* What is decided here is decided by these; the shared page gets copies, for a worker that was
	 * taken over could write anything there. */
	enum drain_phase drain;
	int64_t drain_deadline_ms;
	uint32_t restarts;
	int64_t started_ms;
	bool handed_over; /* a newer process listens */
	bool stopping;    /* a signal asked for it */
	struct timer announce, deadline;
	bool cut;          /* the drain's deadline has passed */
	int64_t cut_count; /* answers that were under way then */
	bool killed;       /* a worker was */
};

/* ---- keeper.c ---- */

/* Once, however often it is called. */
void keeper_start_workers(struct keeper *);

/* ---- keeper_worker.c ---- */

void keeper_tell_workers(struct keeper *, enum wire_type);
void keeper_worker_init(struct worker *, struct keeper *, struct group *, unsigned nth);
bool keeper_worker_start(struct worker *);
/* Starts it again, at once or after its back-off. */
void keeper_worker_restart(struct worker *);
/* Collects ended children: workers are replaced, or, at the end, counted out. */
void keeper_reap(struct keeper *);

/* ---- keeper_stop.c ---- */

void keeper_stop_init(struct keeper *);
/* Writes the shared page's phase and deadline, should they have been changed. */
void keeper_show_phase(struct keeper *);
/* The drain begins, with its announcement or without. */
void keeper_stop(struct keeper *, bool announce);
/* At once: a second signal. */
void keeper_stop_now(struct keeper *);
/* A newer process listens: nothing is announced, nothing refused, what is here ends in its time. */
void keeper_hand_over(struct keeper *);
/* Dead workers are not replaced any more. */
static inline bool keeper_is_ending(const struct keeper *k)
{
	return k->handed_over || k->drain == DRAIN_FINISH;
}
void keeper_stop_when_empty(struct keeper *);
/* The last lines of the log. */
void keeper_stop_told(struct keeper *);

/* ---- keeper_reload.c ---- */

/* Files are read again, as SIGHUP asks. */
void keeper_reload(struct keeper *);

/* ---- keeper_notify.c ---- */

/* Once it is known who started us. */
void keeper_notify_init(struct keeper *);
/* All workers are; once, however often it is called. */
void keeper_notify_ready(struct keeper *);
void keeper_notify_stopping(struct keeper *);
/* It is the service's main process from here on. */
void keeper_notify_successor(struct keeper *, int pid);

/* ---- keeper_upgrade.c ---- */

void keeper_upgrade_init(struct keeper *);
void keeper_upgrade(struct keeper *);
/* A child ended; true: it was the successor. */
bool keeper_upgrade_reap(struct keeper *, int pid, const struct proc_end *);
/* Before a stop: ends a successor that is not ready; one that is takes over. */
void keeper_upgrade_abandon(struct keeper *);
/* In a successor: whether its workers are to wait for a first look at Ollama (`looks`: there is one
 * to look at), so that what they say is true from the first request on. */
bool keeper_upgrade_waits(struct keeper *, bool looks);
/* All workers are ready: a successor takes over. */
void keeper_upgrade_ready(struct keeper *);

#endif
