/* SPDX-License-Identifier: MIT */
/* ask.h: a question to Ollama in the keeper's own name: connect, send the request, undo the reply's
 * framing. One at a time; a connection that Ollama keeps serves the next question, too. Whoever asks sets
 * the deadlines, and calls ask_close() when one has passed. */
#ifndef APP_ASK_H
#define APP_ASK_H

#include "app/dial.h"
#include "io/stream.h"
#include "proto/http_body.h"
#include "proto/http_write.h"

enum { ASK_REQUEST_MAX = 8192 };

/* From a call of these another question may be asked, or the connection closed. */
struct ask_ops {
	/* Content of the reply, in the pieces it came in; false: it is nonsense. */
	bool (*on_piece)(void *ctx, struct slice);
	void (*on_done)(void *ctx); /* the reply is whole */
	void (*on_failed)(void *ctx, enum connect_fault, const char *why);
	void (*on_connected)(void *ctx); /* may be NULL */
};

struct ask {
	struct loop *loop;
	struct dial *dial;
	struct slice host; /* the Host field */
	const struct ask_ops *ops;
	void *ctx;
	struct stream stream;
	struct loop_handle handle;
	struct http_head head; /* of the reply; head.status is good from the first piece on */
	struct http_body body;
	bool in_body, keep_alive;
	bool shaking;            /* the TLS handshake is under way, the request waits */
	struct loop_later later; /* bytes that no event will tell of */
	size_t request_n, raw_n;
	char request[ASK_REQUEST_MAX];
	char raw[HTTP_RESPONSE_HEAD_MAX * 2]; /* head, or body bytes as they come */
};

void ask_init(struct ask *, struct loop *, struct dial *, struct slice host, const struct ask_ops *,
	      void *ctx);
/* `json`: the body of a POST; n == 0: a GET. What goes wrong is told by on_failed(), also from
 * within this call. */
void ask_start(struct ask *, struct slice path, struct slice json);
/* Gives up what is under way, and the connection. */
void ask_close(struct ask *);

#endif
