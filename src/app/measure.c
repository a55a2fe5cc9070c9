/* SPDX-License-Identifier: MIT */
/* measure.c: adds up what the processes of this service use. */
#include "app/measure.h"
#include "io/proc.h"
#include "io/usage.h"

enum { EVERY_MS = 5000 }; /* less than the shortest usual interval between scrapes */

struct sum {
	struct usage all;
	uint64_t shared; /* pages that the processes share are counted once, as the largest share */
};

static bool add_process(struct sum *s, int pid)
{
	struct usage u;

	if (!usage_of(pid, &u))
		return false;
	s->all.cpu_ms += u.cpu_ms;
	s->all.resident += u.resident - u.shared;
	s->all.virtual += u.virtual;
	s->all.open_fds += u.open_fds;
	s->all.max_fds += u.max_fds;
	s->shared = MAX(s->shared, u.shared);
	if (pid == proc_pid()) /* the keeper has waited for the workers that are gone */
		s->all.cpu_ms += u.children_cpu_ms;
	return true;
}

static void measure(struct measure *m)
{
	const struct metrics_board *b = m->board;
	struct metrics_usage *u = b->usage;
	struct sum s = { 0 };
	unsigned i;

	if (!add_process(&s, proc_pid()))
		return;
	for (i = 0; i < b->count; i++)
		if (b->places[i].pid > 0)
			add_process(&s, b->places[i].pid);
	m->cpu_ms = MAX(m->cpu_ms, s.all.cpu_ms); /* a counter, whatever the rounding */
	u->cpu_ms = m->cpu_ms;
	u->resident = s.all.resident + s.shared;
	u->virtual = s.all.virtual;
	u->open_fds = s.all.open_fds;
	u->max_fds = s.all.max_fds;
}

static void on_timer(void *ctx, int64_t now)
{
	struct measure *m = ctx;

	(void)now;
	measure(m);
	loop_timer_after(m->loop, &m->timer, EVERY_MS);
}

void measure_start(struct measure *m, struct loop *loop, struct metrics_board *board)
{
	m->loop = loop;
	m->board = board;
	timer_init(&m->timer, on_timer, m);
	on_timer(m, 0);
}
