/* SPDX-License-Identifier: MIT */
/* der.c: tags and lengths. */
#include "base/der.h"

enum { LENGTH_BYTES_MAX = 3 };

bool der_next(struct slice *in, unsigned *tag, struct slice *content)
{
	const unsigned char *p = (const unsigned char *)in->p;
	size_t at = 2, n, i, count;

	if (in->n < 2 || (p[0] & 0x1f) == 0x1f)
		return false;
	n = p[1];
	if (n >= 0x80) {
		count = n & 0x7f;
		if (count == 0 || count > LENGTH_BYTES_MAX || in->n < 2 + count)
			return false;
		for (n = 0, i = 0; i < count; i++)
			n = n << 8 | p[at++];
	}
	if (n > in->n - at)
		return false;
	*tag = p[0];
	*content = slice_make(in->p + at, n);
	*in = slice_from(*in, at + n);
	return true;
}

bool der_take(struct slice *in, unsigned tag, struct slice *content)
{
	struct slice rest = *in;
	unsigned got;

	if (!der_next(&rest, &got, content) || got != tag)
		return false;
	*in = rest;
	return true;
}

bool der_open(struct buf *b, unsigned tag, size_t *mark)
{
	if (!buf_put_byte(b, (char)tag))
		return false;
	*mark = buf_len(b);
	return true;
}

/* The length is known now: what is inside makes room for it. */
bool der_close(struct buf *b, size_t mark)
{
	size_t n = buf_len(b) - mark, count = n < 0x80 ? 0 : n < 0x100 ? 1 : n < 0x10000 ? 2 : 3, i;
	static const char room[1 + LENGTH_BYTES_MAX];
	char *at;

	if (n >> 24 != 0 || !buf_put(b, slice_make(room, 1 + count)))
		return false;
	at = b->base + b->head + mark;
	memmove(at + 1 + count, at, n);
	*at++ = (char)(count == 0 ? n : 0x80 | count);
	for (i = count; i > 0; i--)
		*at++ = (char)(n >> 8 * (i - 1));
	return true;
}

bool der_put(struct buf *b, unsigned tag, struct slice content)
{
	size_t mark;

	return der_open(b, tag, &mark) && buf_put(b, content) && der_close(b, mark);
}
