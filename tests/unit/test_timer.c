/* SPDX-License-Identifier: MIT */
/* test_timer.c: order, moves and removals, timers that set timers; and a long run against a model. */
#include "check.h"

#include "base/timer.h"

enum { COUNT = 64 };

static struct timer timers[COUNT];
static struct timer *slots[COUNT];
static struct timer_heap heap;
static struct timer *fired[COUNT];
static size_t fired_n;

static void on_fire(void *ctx, int64_t now)
{
	struct timer *t = ctx;

	CHECK(t->deadline <= now);
	CHECK(!timer_is_set(t));
	fired[fired_n++ % COUNT] = t;
}

static void start(uint32_t cap)
{
	timer_heap_init(&heap, slots, cap);
	for (size_t i = 0; i < COUNT; i++)
		timer_init(&timers[i], on_fire, &timers[i]);
	fired_n = 0;
}

static void test_order(void)
{
	start(8);
	check_case("order");
	CHECK_I64(timer_next(&heap), -1);
	CHECK_I64(timer_run(&heap, 1000), -1);
	for (int i = 0; i < 5; i++)
		CHECK(timer_set(&heap, &timers[i], 50 - 10 * i));
	CHECK_I64(timer_next(&heap), 10);
	CHECK_I64(timer_run(&heap, 9), 10);
	CHECK_U64(fired_n, 0);
	CHECK_I64(timer_run(&heap, 30), 40); /* at its deadline, not behind it */
	CHECK_U64(fired_n, 3);
	CHECK(fired[0] == &timers[4] && fired[1] == &timers[3] && fired[2] == &timers[2]);
	CHECK_I64(timer_run(&heap, 1000), -1);
	CHECK_U64(fired_n, 5);
}

static void test_full(void)
{
	start(2);
	check_case("full");
	CHECK(timer_set(&heap, &timers[0], 5));
	CHECK(timer_set(&heap, &timers[1], 6));
	CHECK(!timer_set(&heap, &timers[2], 1));
	CHECK(!timer_is_set(&timers[2]));
	CHECK(timer_set(&heap, &timers[1], 1)); /* a move needs no room */
	CHECK_I64(timer_next(&heap), 1);
	CHECK(timer_set(&heap, &timers[1], 9));
	CHECK_I64(timer_next(&heap), 5);
	timer_clear(&heap, &timers[2]); /* not set: nothing happens */
	timer_clear(&heap, &timers[0]);
	CHECK_I64(timer_next(&heap), 9);
	CHECK(timer_set(&heap, &timers[2], 1));
}

/* Sets itself again a few times, and another timer that is due at once. */
static void on_again(void *ctx, int64_t now)
{
	struct timer *t = ctx;

	if (fired_n++ < 3) {
		CHECK(timer_set(&heap, t, now + 10));
		CHECK(timer_set(&heap, &timers[1], now));
	}
}

static void test_again(void)
{
	start(8);
	check_case("again");
	timer_init(&timers[0], on_again, &timers[0]);
	CHECK(timer_set(&heap, &timers[0], 0));
	CHECK_I64(timer_run(&heap, 0), 10);
	CHECK_U64(fired_n, 2);
	CHECK_I64(timer_run(&heap, 10), 20);
	CHECK_U64(fired_n, 4);
	CHECK_I64(timer_run(&heap, 20), -1);
}

static unsigned seed = 7;

static unsigned any(unsigned n)
{
	seed = seed * 1103515245u + 12345u;
	return (seed >> 8) % n;
}

/* The model: a deadline per timer, -1 when it is not set. */
static int64_t model[COUNT];

static int64_t model_next(void)
{
	int64_t next = -1;

	for (size_t i = 0; i < COUNT; i++)
		if (model[i] >= 0 && (next < 0 || model[i] < next))
			next = model[i];
	return next;
}

static void test_model(void)
{
	int64_t now = 0;

	start(COUNT);
	check_case("model");
	for (size_t i = 0; i < COUNT; i++)
		model[i] = -1;
	for (int round = 0; round < 20000; round++) {
		unsigned i = any(COUNT);

		if (any(3) > 0) {
			model[i] = now + any(100);
			timer_set(&heap, &timers[i], model[i]);
		} else {
			model[i] = -1;
			timer_clear(&heap, &timers[i]);
		}
		if (any(4) == 0) {
			now += any(20);
			timer_run(&heap, now);
			for (size_t k = 0; k < COUNT; k++)
				if (model[k] <= now)
					model[k] = -1;
		}
		if (!CHECK(timer_next(&heap) == model_next()) ||
		    !CHECK(timer_is_set(&timers[i]) == (model[i] >= 0)))
			return;
	}
}

int main(void)
{
	test_order();
	test_full();
	test_again();
	test_model();
	return check_done();
}
