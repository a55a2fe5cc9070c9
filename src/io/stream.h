/* SPDX-License-Identifier: MIT */
/* stream.h: a two-way flow of bytes with a peer. app/ sees only this, whatever is below: a plain
 * socket, TLS (stream_tls.h), in tests a script. Nothing here blocks. */
#ifndef IO_STREAM_H
#define IO_STREAM_H

#include "base/base.h"

/* What a stream call says. AGAIN: ask the loop; EOF: the peer ended its side in order; CUT: it
 * vanished (reset; with TLS also a close without close_notify); FAIL: our side is at fault. */
enum io { IO_OK, IO_AGAIN, IO_EOF, IO_CUT, IO_FAIL };

enum { STREAM_PARTS_MAX = 16 };

struct stream;

struct stream_kind {
	enum io (*read)(struct stream *, void *dst, size_t cap, size_t *n); /* OK: *n > 0 */
	/* Sends a prefix of the parts joined together; OK: *n > 0 bytes of them went. */
	enum io (*write)(struct stream *, const struct slice *parts, size_t count, size_t *n);
	/* What was written leaves now. OK: all of it is the kernel's; AGAIN: pending() has the rest.
	 * TLS: also brings the handshake on its way, OK when it is over. */
	enum io (*flush)(struct stream *);
	enum io (*finish)(struct stream *); /* close_notify / SHUT_WR: we will send no more */
	void (*close)(struct stream *);
	unsigned (*await)(const struct stream *,
			  unsigned wish); /* LOOP_ bits to wait for, given the caller's wish */
	bool (*ready)(
		const struct stream *); /* can read now although the descriptor may be silent */
	size_t (*pending)(
		const struct stream *); /* bytes taken by write() that wait for the kernel */
	const char *(*why)(const struct stream *); /* what went wrong, in words; NULL: unknown */
};

struct stream {
	const struct stream_kind *kind;
	int fd;   /* -1 when closed */
	bool cut; /* closed as a break: the peer must not take it for an end */
	void *state;
};

extern const struct stream_kind stream_sock;
void stream_init_sock(struct stream *, int fd); /* takes the descriptor */

static inline bool stream_is_open(const struct stream *s)
{
	return s->fd >= 0;
}

static inline enum io stream_read(struct stream *s, void *dst, size_t cap, size_t *n)
{
	return s->kind->read(s, dst, cap, n);
}

static inline enum io stream_write(struct stream *s, const struct slice *parts, size_t count,
				   size_t *n)
{
	return s->kind->write(s, parts, count, n);
}

static inline enum io stream_flush(struct stream *s)
{
	return s->kind->flush(s);
}

static inline enum io stream_finish(struct stream *s)
{
	return s->kind->finish(s);
}

static inline unsigned stream_await(const struct stream *s, unsigned wish)
{
	return s->kind->await(s, wish);
}

static inline bool stream_ready(const struct stream *s)
{
	return s->kind->ready(s);
}

static inline size_t stream_pending(const struct stream *s)
{
	return s->kind->pending(s);
}

static inline const char *stream_why(const struct stream *s)
{
	return s->kind->why(s);
}

void stream_close(struct stream *); /* also when it is closed already */
void stream_reset(struct stream *); /* closes so that the peer sees a reset, not an end */

#endif
