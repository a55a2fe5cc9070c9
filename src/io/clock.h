/* SPDX-License-Identifier: MIT */
/* clock.h: monotonic time for deadlines, wall time for dates and logs. A struct, so that a test
 * can supply a clock it winds by hand. */
#ifndef IO_CLOCK_H
#define IO_CLOCK_H

#include "base/base.h"

struct clock {
	int64_t (*mono_ms)(const struct clock *); /* never jumps; CLOCK_MONOTONIC */
	int64_t (*wall_ms)(const struct clock *); /* Unix time, may jump */
};

extern const struct clock clock_system;

/* What to add to CLOCK_MONOTONIC for the time since the kernel's start, ms (time asleep counts). */
int64_t clock_boot_offset(void);

static inline int64_t clock_mono(const struct clock *c)
{
	return c->mono_ms(c);
}

static inline int64_t clock_wall(const struct clock *c)
{
	return c->wall_ms(c);
}

#endif
