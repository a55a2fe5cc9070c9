/* SPDX-License-Identifier: MIT */
/* keeper_parts.h: what the parts of the keeper (keeper*.c) know of each other, and nobody else. */
#ifndef APP_KEEPER_PARTS_H
#define APP_KEEPER_PARTS_H

#include "app/dial.h"
#include "app/keeper.h"
#include "app/measure.h"
#include "app/probe.h"

enum { KEEPER_HOST_MAX = 300 };

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
	struct probe *probe; /* NULL: its upstream is not watched */
	char host[KEEPER_HOST_MAX];
	struct slice host_text; /* Host field for the upstream */
};

struct keeper {
	struct keeper_plan *plan;
	const struct clock *clock;
	struct loop *loop;
	struct shared *shared;
	struct metrics_board *board;
	struct measure measure;
	struct log log;
	struct group groups[KEEPER_GROUPS_MAX];
	struct worker workers[SHARED_WORKERS_MAX];
	unsigned worker_count;
	bool stopping;
	struct timer announce, deadline;
	int64_t deadline_ms;
};

/* ---- keeper_worker.c ---- */

void keeper_worker_init(struct worker *, struct keeper *, struct group *, int listener);
bool keeper_worker_start(struct worker *);
/* Starts it again, at once or after its back-off. */
void keeper_worker_restart(struct worker *);
/* Collects ended children: workers are replaced, or, at the end, counted out. */
void keeper_reap(struct keeper *);

/* ---- keeper_stop.c ---- */

void keeper_stop_init(struct keeper *);
/* The drain begins, with its announcement or without. */
void keeper_stop(struct keeper *, bool announce);
void keeper_stop_when_empty(struct keeper *);
void keeper_kill_all(struct keeper *);

#endif
