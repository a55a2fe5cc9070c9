/* SPDX-License-Identifier: MIT */
/* buf.h: a bounded queue of bytes over memory the caller owns. It never allocates and never grows
 * by itself: when it is full, buf_space() lends 0 bytes and the caller stops reading from the peer
 * (or moves the bytes to a larger block with buf_move()). */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/base.h"

struct buf {
	char *base;
	size_t cap, head, tail; /* head <= tail <= cap; unread bytes are [head, tail) */
};

void buf_init(struct buf *, void *mem,
	      size_t cap);    /* mem NULL and cap 0: an empty queue without memory */
void buf_reset(struct buf *); /* forgets the bytes, keeps the memory */

static inline size_t buf_len(const struct buf *b)
{
	return b->tail - b->head;
}

struct slice buf_view(const struct buf *); /* unread bytes; good until the next buf_ call */
void buf_consume(struct buf *, size_t n);  /* n <= buf_len() */
char *buf_space(struct buf *,
		size_t *n); /* room at the tail; compacts when that frees room; *n may be 0 */
char *buf_tail(struct buf *, size_t *n); /* room at the tail, never moves the unread bytes */
void buf_commit(struct buf *, size_t n); /* n <= the room just lent */

/* Appends all of it or nothing. False when there is no room (the queue is then unchanged). */
bool buf_put(struct buf *, struct slice);
bool buf_put_str(struct buf *, const char *); /* NUL-ended */
bool buf_put_byte(struct buf *, char);

/* Moves the unread bytes to a new block (cap >= buf_len()); returns the old block, which is the
 * caller's to give back. */
void *buf_move(struct buf *, void *mem, size_t cap);

#endif
