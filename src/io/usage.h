/* SPDX-License-Identifier: MIT */
/* usage.h: what the kernel says a process uses. */
#ifndef IO_USAGE_H
#define IO_USAGE_H

#include "base/base.h"

struct usage {
	uint64_t cpu_ms;          /* user and system */
	uint64_t children_cpu_ms; /* of its children that were waited for */
	uint64_t resident,
		shared;   /* bytes; shared: the part of them that other processes may have, too */
	uint64_t virtual; /* bytes */
	uint64_t open_fds, max_fds; /* 0: the kernel does not say */
};

/* False: there is no such process, or no /proc. */
bool usage_of(int pid, struct usage *);

#endif
