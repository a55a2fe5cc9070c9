/* SPDX-License-Identifier: MIT */
/* clock.c: the kernel's clocks. */
#include <time.h>

#include "io/clock.h"

static int64_t read_ms(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t mono(const struct clock *c)
{
	(void)c;
	return read_ms(CLOCK_MONOTONIC);
}

static int64_t wall(const struct clock *c)
{
	(void)c;
	return read_ms(CLOCK_REALTIME);
}

int64_t clock_boot_offset(void)
{
	return read_ms(CLOCK_BOOTTIME) - read_ms(CLOCK_MONOTONIC);
}

const struct clock clock_system = { mono, wall };
