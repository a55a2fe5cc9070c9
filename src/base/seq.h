/* SPDX-License-Identifier: MIT */
/* seq.h: a sequence number in shared memory, by which readers in other processes know that what they
 * read is whole. It has one writer. Two ways to use it:
 *
 *	odd while the writer is at it:   set it odd, write, set it even
 *	two halves, seq & 1 counts:      write the other half, seq_step
 *
 * A reader looks at seq_read() before, and at seq_same() after. */
#ifndef BASE_SEQ_H
#define BASE_SEQ_H

#include "base/base.h"

/* What was written before is seen before this, what is written after it is seen after it. */
static inline void seq_set(volatile uint32_t *seq, uint32_t value)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	__atomic_store_n(seq, value, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static inline void seq_step(volatile uint32_t *seq)
{
	seq_set(seq, *seq + 1);
}

static inline uint32_t seq_read(const volatile uint32_t *seq)
{
	return __atomic_load_n(seq, __ATOMIC_ACQUIRE);
}

/* Whether nothing was written since seq_read() said `was`. */
static inline bool seq_same(const volatile uint32_t *seq, uint32_t was)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(seq, __ATOMIC_RELAXED) == was;
}

#endif
