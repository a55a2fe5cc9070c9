/* SPDX-License-Identifier: MIT */
/* mem.h: the only allocator. Blocks of powers of two from 4 KiB up, by mmap, kept for reuse while
 * small and returned to the kernel while large. Whoever takes a block remembers its size. */
#ifndef IO_MEM_H
#define IO_MEM_H

#include "base/base.h"

enum { MEM_BLOCK_MIN = 4096, MEM_CLASSES = 20 /* 4 KiB .. 2 GiB */ };

struct mem {
	void *free[MEM_CLASSES];
	uint32_t free_count[MEM_CLASSES];
	size_t used; /* bytes lent */
};

void mem_init(struct mem *);
/* A block of at least n bytes; its true size in *got. Not cleared. NULL: the kernel has none. */
void *mem_take(struct mem *, size_t n, size_t *got);
void mem_give(struct mem *, void *block, size_t got); /* block may be NULL */
/* Clears what nobody shall find later (keys). */
void mem_wipe(void *, size_t n);
/* Cleared pages that last as long as the process; only touched ones cost memory. NULL: none. */
void *mem_pages(size_t n);
void mem_unmap(void *pages, size_t n); /* gives such pages back to the kernel all the same */
/* The same, shared with the children forked later. */
void *mem_shared(size_t n);
/* The same, but each child calls mem_shown_fix() and can from then on only read them: whoever takes it
 * over cannot undo that (where the kernel has no such files, or a limit forbids them, it could). *fd is
 * the keeper's, or -1; a child need not keep it. */
void *mem_shown(size_t n, int *fd);
bool mem_shown_fix(void *pages, size_t n, int fd);

#endif
