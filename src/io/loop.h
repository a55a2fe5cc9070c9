/* SPDX-License-Identifier: MIT */
/* loop.h: one thread's event loop: descriptors (epoll, level-triggered), deadlines, and work put
 * off to the end of the turn. `now` is read once per turn and asked of the loop. */
#ifndef IO_LOOP_H
#define IO_LOOP_H

#include "base/timer.h"
#include "io/clock.h"

enum {
	LOOP_READ = 1,
	LOOP_WRITE = 2,
	LOOP_HUP =
		4, /* the peer closed its sending side; always delivered once asked for by LOOP_PEER */
	LOOP_ERROR = 8, /* reset or both sides closed; always delivered */
	LOOP_PEER = 16, /* wish: tell LOOP_HUP */
	LOOP_EXCLUSIVE =
		32, /* wish, at loop_add() only: one of several processes is woken; loop_wish() cannot change it */
};

typedef void loop_fn(void *ctx, unsigned events);

/* Names a watched descriptor: slot + generation, so that an event for one that was closed in the
 * same turn finds nothing. gen 0: none. */
struct loop_handle {
	uint32_t slot, gen;
};
#define LOOP_NONE ((struct loop_handle){ 0, 0 })

/* Work put off to the end of this turn; lives in the struct it belongs to. */
struct loop_later {
	loop_fn *fn;
	void *ctx;
	struct loop_later *next, *prev; /* NULL: not queued */
};

struct loop;

/* `capacity`: most descriptors watched at a time; twice as many timers may be set. NULL: the
 * kernel refused. */
struct loop *loop_open(const struct clock *, uint32_t capacity);
void loop_close(struct loop *);

/* gen 0 when there is no room or the kernel refused. */
struct loop_handle loop_add(struct loop *, int fd, unsigned wish, loop_fn *, void *ctx);
void loop_wish(struct loop *, struct loop_handle,
	       unsigned wish);                         /* no system call when unchanged */
void loop_remove(struct loop *, struct loop_handle *); /* before the descriptor is closed */

int64_t loop_now(const struct loop *); /* monotonic ms at the start of this turn */
bool loop_timer_set(struct loop *, struct timer *, int64_t deadline);
bool loop_timer_after(struct loop *, struct timer *, int64_t ms);
void loop_timer_clear(struct loop *, struct timer *);
void loop_later(struct loop *,
		struct loop_later *);        /* once, however often it is called in a turn */
void loop_later_cancel(struct loop_later *); /* also when it is not queued */

/* Turns until loop_stop(). `turns`, when not NULL, counts them for a watchdog. */
void loop_run(struct loop *, volatile uint64_t *turns);
void loop_stop(struct loop *);

/* Signals as events: blocks them and calls fn(ctx, signal number) from the loop. */
bool loop_signals(struct loop *, const int *signals, size_t count, loop_fn *, void *ctx);

#endif
