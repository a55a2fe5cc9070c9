/* SPDX-License-Identifier: MIT */
/* timer.c: heap of deadlines. */
#include "base/timer.h"

void timer_heap_init(struct timer_heap *h, struct timer **slots, uint32_t cap)
{
	h->slots = slots;
	h->cap = cap;
	h->count = 0;
}

void timer_init(struct timer *t, timer_fn *fn, void *ctx)
{
	t->deadline = 0;
	t->fn = fn;
	t->ctx = ctx;
	t->at = 0;
}

static void place(struct timer_heap *h, uint32_t i, struct timer *t)
{
	h->slots[i] = t;
	t->at = i + 1;
}

static void sift_up(struct timer_heap *h, uint32_t i)
{
	struct timer *t = h->slots[i];

	while (i > 0) {
		uint32_t up = (i - 1) / 2;

		if (h->slots[up]->deadline <= t->deadline)
			break;
		place(h, i, h->slots[up]);
		i = up;
	}
	place(h, i, t);
}

static void sift_down(struct timer_heap *h, uint32_t i)
{
	struct timer *t = h->slots[i];

	for (;;) {
		uint32_t kid = 2 * i + 1;

		if (kid >= h->count)
			break;
		if (kid + 1 < h->count && h->slots[kid + 1]->deadline < h->slots[kid]->deadline)
			kid++;
		if (t->deadline <= h->slots[kid]->deadline)
			break;
		place(h, i, h->slots[kid]);
		i = kid;
	}
	place(h, i, t);
}

bool timer_set(struct timer_heap *h, struct timer *t, int64_t deadline)
{
	int64_t was = t->deadline;

	if (t->at == 0) {
		if (h->count == h->cap)
			return false;
		t->deadline = deadline;
		place(h, h->count, t);
		h->count++;
		sift_up(h, t->at - 1);
		return true;
	}
	t->deadline = deadline;
	if (deadline < was)
		sift_up(h, t->at - 1);
	else
		sift_down(h, t->at - 1);
	return true;
}

void timer_clear(struct timer_heap *h, struct timer *t)
{
	uint32_t i = t->at;
	struct timer *last;

	if (i == 0)
		return;
	i--;
	t->at = 0;
	h->count--;
	if (i == h->count)
		return;
	last = h->slots[h->count];
	place(h, i, last);
	sift_up(h, i);
	sift_down(h, last->at - 1);
}

int64_t timer_next(const struct timer_heap *h)
{
	return h->count > 0 ? h->slots[0]->deadline : -1;
}

int64_t timer_run(struct timer_heap *h, int64_t now)
{
	while (h->count > 0 && h->slots[0]->deadline <= now) {
		struct timer *t = h->slots[0];

		timer_clear(h, t);
		t->fn(t->ctx, now);
	}
	return timer_next(h);
}
