/* SPDX-License-Identifier: MIT */
/* measure.h: the keeper measures what keeper and workers use together, every few seconds, for the
 * process_* figures of /metrics. A worker could not: its sandbox lets it open nothing in /proc. */
#ifndef APP_MEASURE_H
#define APP_MEASURE_H

#include "app/metrics.h"
#include "io/loop.h"

struct measure {
	struct loop *loop;
	struct metrics_board *board;
	struct timer timer;
	uint64_t cpu_ms;
};

/* At once, and from now on; the struct lasts as long as the loop. */
void measure_start(struct measure *, struct loop *, struct metrics_board *);

#endif
