/* SPDX-License-Identifier: MIT */
/* upstream.h: a worker's connections to its upstream (Ollama, or for a frontend the backend): a
 * pool of kept-alive ones, and new ones from the keeper, who alone may connect. */
#ifndef APP_UPSTREAM_H
#define APP_UPSTREAM_H

#include "app/server.h"
#include "app/wire.h"
#include "io/stream.h"

struct upstream_pool;

/* A connection, lent to one user at a time. */
struct upstream {
	struct upstream_pool *pool;
	struct stream stream;
	struct loop_handle handle;
	bool reused; /* it served a request before: it may have died unnoticed */
	bool served; /* private: it has been with a user */
	bool idle;
	bool shaking;            /* private: its TLS handshake is under way, nobody has it yet */
	unsigned wish;           /* private: the user's */
	struct timer timer;      /* private: idle time, or the handshake's deadline */
	struct loop_later later; /* private: bytes that no event will tell of */
	struct upstream *next, *prev;
	loop_fn *on_ready; /* the user's; events as the loop tells them */
	void *user;
};

/* Somebody who waits for a connection; lives in the user's struct. */
struct upstream_wait {
	/* up == NULL: fault and why say what went wrong. Called from the loop, or at once by
	 * upstream_take(). */
	void (*fn)(void *ctx, struct upstream *up, enum connect_fault, const char *why);
	void *ctx;
	struct upstream_wait *next, *prev;
	bool waiting;
	bool fresh; /* do not reuse a kept one (the one retry) */
};

struct upstream_pool *upstream_pool_open(struct server *); /* NULL: no memory */
void upstream_take(struct upstream_pool *, struct upstream_wait *);
void upstream_cancel(struct upstream_pool *,
		     struct upstream_wait *); /* also when it does not wait */
void upstream_use(struct upstream *, loop_fn *on_ready, void *user, unsigned wish);
void upstream_wish(struct upstream *, unsigned wish);
/* Hands it back: kept for the next user, or closed. */
void upstream_give(struct upstream *, bool keep);
/* A message from the keeper; takes the descriptor. */
void upstream_on_wire(struct upstream_pool *, const struct wire *, int fd);

#endif
