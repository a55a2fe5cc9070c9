/* SPDX-License-Identifier: MIT */
/* arena.h: a bump allocator over one block it is given. Everything taken from it ends together,
 * at arena_reset(); there is nothing to free one by one. A full arena answers NULL. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/base.h"

struct arena {
	char *base;
	size_t cap, used;
};

void arena_init(struct arena *, void *mem, size_t cap); /* mem stays the caller's */
void arena_reset(struct arena *);
void *arena_take(struct arena *, size_t n); /* aligned to 16 bytes, not cleared; NULL when full */
/* Copies bytes into the arena. p == NULL when full. */
struct slice arena_copy(struct arena *, struct slice);

#endif
