/* SPDX-License-Identifier: MIT */
/* arena.c: bump allocator over a given block. */
#include "base/arena.h"

#define ALIGN 16u

void arena_init(struct arena *a, void *mem, size_t cap)
{
	a->base = mem;
	a->cap = cap;
	a->used = 0;
}

void arena_reset(struct arena *a)
{
	a->used = 0;
}

void *arena_take(struct arena *a, size_t n)
{
	size_t skip = (size_t)(-((uintptr_t)a->base + a->used) & (ALIGN - 1));

	if (a->base == NULL || skip > a->cap - a->used || n > a->cap - a->used - skip)
		return NULL;
	a->used += skip + n;
	return a->base + a->used - n;
}

struct slice arena_copy(struct arena *a, struct slice s)
{
	char *p = arena_take(a, s.n);

	if (p == NULL)
		return slice_make(NULL, 0);
	if (s.n > 0)
		memcpy(p, s.p, s.n);
	return slice_make(p, s.n);
}
