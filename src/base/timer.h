/* SPDX-License-Identifier: MIT */
/* timer.h: a binary heap of deadlines. Timers live inside the structs they belong to; the heap
 * keeps pointers to them in an array the caller owns. It takes `now` as an argument and has no
 * clock of its own. Deadlines are milliseconds of whatever clock the caller uses. */
#ifndef BASE_TIMER_H
#define BASE_TIMER_H

#include "base/base.h"

typedef void timer_fn(void *ctx, int64_t now);

struct timer {
	int64_t deadline;
	timer_fn *fn;
	void *ctx;
	uint32_t at; /* place in the heap + 1; 0: not set */
};

struct timer_heap {
	struct timer **slots;
	uint32_t cap, count;
};

void timer_heap_init(struct timer_heap *, struct timer **slots, uint32_t cap);
void timer_init(struct timer *, timer_fn *, void *ctx);

static inline bool timer_is_set(const struct timer *t)
{
	return t->at != 0;
}

/* Sets or moves a deadline. False: the heap is full (the timer stays unset). */
bool timer_set(struct timer_heap *, struct timer *, int64_t deadline);
void timer_clear(struct timer_heap *, struct timer *); /* also when it is not set */

/* Calls every timer whose deadline is <= now, earliest first; each is cleared before its call and
 * may set itself, or others, again. Returns the next deadline, or -1 when none is set. */
int64_t timer_run(struct timer_heap *, int64_t now);
int64_t timer_next(const struct timer_heap *); /* -1: none */

#endif
