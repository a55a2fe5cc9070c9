/* SPDX-License-Identifier: MIT */
/* buf.c: bounded byte queue. */
#include "base/buf.h"

void buf_init(struct buf *b, void *mem, size_t cap)
{
	b->base = mem;
	b->cap = cap;
	b->head = b->tail = 0;
}

void buf_reset(struct buf *b)
{
	b->head = b->tail = 0;
}

struct slice buf_view(const struct buf *b)
{
	return b->base == NULL ? slice_make("", 0)
			       : slice_make(b->base + b->head, b->tail - b->head);
}

void buf_consume(struct buf *b, size_t n)
{
	b->head += n;
	if (b->head == b->tail)
		b->head = b->tail = 0;
}

char *buf_tail(struct buf *b, size_t *n)
{
	*n = b->cap - b->tail;
	return b->base == NULL ? NULL : b->base + b->tail;
}

char *buf_space(struct buf *b, size_t *n)
{
	if (b->head > 0 && b->tail == b->cap) {
		memmove(b->base, b->base + b->head, b->tail - b->head);
		b->tail -= b->head;
		b->head = 0;
	}
	return buf_tail(b, n);
}

void buf_commit(struct buf *b, size_t n)
{
	b->tail += n;
}

bool buf_put(struct buf *b, struct slice s)
{
	if (s.n > b->cap - b->tail) {
		if (s.n > b->cap - (b->tail - b->head))
			return false;
		memmove(b->base, b->base + b->head, b->tail - b->head);
		b->tail -= b->head;
		b->head = 0;
	}
	if (s.n > 0)
		memcpy(b->base + b->tail, s.p, s.n);
	b->tail += s.n;
	return true;
}

bool buf_put_str(struct buf *b, const char *s)
{
	return buf_put(b, slice_str(s));
}

bool buf_put_byte(struct buf *b, char c)
{
	return buf_put(b, slice_make(&c, 1));
}

void *buf_move(struct buf *b, void *mem, size_t cap)
{
	void *old = b->base;
	size_t n = buf_len(b);

	if (n > 0)
		memcpy(mem, b->base + b->head, n);
	b->base = mem;
	b->cap = cap;
	b->head = 0;
	b->tail = n;
	return old;
}
