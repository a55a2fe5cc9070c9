/* SPDX-License-Identifier: MIT */
/* resolve.h: host names to addresses without blocking a loop: a short-lived child process asks
 * (/etc/hosts, then DNS) and writes what it found into a socket the loop watches. */
#ifndef IO_RESOLVE_H
#define IO_RESOLVE_H

#include "io/sock.h"

enum { RESOLVE_MAX = 8, RESOLVE_NAME_MAX = 255 };

struct resolve_answer {
	uint32_t count;                      /* 0: no such name, or no answer */
	char why[64];                        /* then: in words */
	struct sock_addr addrs[RESOLVE_MAX]; /* port 0 */
};

/* An IP literal: answered at once. */
bool resolve_literal(struct slice host, struct sock_addr *);
/* Starts a question; a descriptor to watch for reading, or -1. Closing it before the answer is
 * fine. The child is reaped by whoever reaps children (its pid in *pid). */
int resolve_start(struct slice host, int *pid);
/* The answer, once readable. False: the child died without one. */
bool resolve_finish(int fd, struct resolve_answer *);

#endif
