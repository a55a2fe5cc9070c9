/* SPDX-License-Identifier: MIT */
/* relay.h: one request on its way through the upstream and back: turn, connection, request out,
 * reply in, and its end told honestly. relay.c drives it; relay_reply.c knows what the reply's
 * bytes mean. */
#ifndef APP_RELAY_H
#define APP_RELAY_H

#include "app/admission.h"
#include "app/conn.h"
#include "app/upstream.h"
#include "proto/ollama.h"
#include "proto/sse.h"

/* What becomes of a good reply. */
enum relay_mode {
	RELAY_AUTO,   /* by its Content-Type: lines, events, or whole */
	RELAY_PASS,   /* every piece as it comes (the frontend's proxy) */
	RELAY_LINES,  /* NDJSON: whole lines, watched for their meaning */
	RELAY_EVENTS, /* an event stream: whole events, watched */
	RELAY_WHOLE,  /* collected while small, then passed on */
	RELAY_ANSWER, /* lines joined to one answer in the origin's form */
	RELAY_MODELS, /* /api/tags turned into /api/models */
};

enum { RELAY_PARTS_MAX = OLLAMA_PARTS_MAX + 2 };

/* What a handler asks for. The parts live until the reply's first byte (the request's body and
 * work memory are given back then), the other slices as long as the request. */
struct relay_plan {
	enum relay_mode mode;
	struct admission *gate;       /* whose turn it takes; NULL: none */
	bool generation;              /* the model works for it (it has a gate) */
	bool fin_is_gone;             /* a client that half-closes has left */
	bool head_only;               /* the request is a HEAD: its reply has no body */
	bool responses;               /* /v1/responses: its own error event */
	struct slice model;           /* for the log and the origin's reply */
	struct slice conversation_id; /* origin's reply: raw JSON; n == 0: "default" */
	int64_t first_byte_ms, stall_ms, total_ms; /* 0: none */
	struct slice parts[RELAY_PARTS_MAX];       /* the request, head first */
	size_t part_count;
};

enum relay_state { RELAY_QUEUED, RELAY_CONNECTING, RELAY_HEAD, RELAY_BODY };

struct relay {
	struct server *server;
	struct conn *conn;
	size_t cap; /* of this block */
	struct relay_plan plan;
	enum relay_state state;
	enum relay_mode mode; /* as decided by the reply's head */

	struct ticket ticket;
	struct loop_later begin; /* its turn has come */
	struct upstream_wait wait;
	struct upstream *up;
	uint64_t sent, to_send; /* of the parts */
	struct timer timer;     /* the current wait: turn, connection, first byte, stall */
	struct timer total;
	int64_t asked_ms, began_ms;

	char *head; /* a response head that came in pieces; owned */
	size_t head_n, head_cap;
	unsigned interim; /* 1xx heads skipped */
	struct http_body body;
	unsigned status; /* the upstream's */
	char type[128];  /* its Content-Type */
	struct slice type_text;
	unsigned retry_after; /* its Retry-After, or ours; 0: none */
	int64_t length;       /* RELAY_PASS: the reply's Content-Length, else -1 */
	struct buf carry;     /* an unfinished line or event, or a whole reply so far */
	size_t carry_cap;
	struct buf answer; /* RELAY_ANSWER */
	size_t answer_cap;
	struct sse_watch sse;

	bool up_keep;    /* the connection may serve another request */
	bool reply_byte; /* the upstream has answered something */
	bool retried;
	bool committed;        /* our reply's head is out */
	bool done, error_seen; /* the stream said so */
	bool quoting;          /* a failure's detail is in the upstream's words: never logged */
	bool mid_unit;         /* part of a line or event is out */
	bool paused;           /* the client is slow: we do not read */
};

/* Starts; from here on the relay answers the connection. The plan is copied. */
void relay_start(struct conn *, const struct relay_plan *);

/* ---- between relay.c and relay_reply.c ---- */

/* What relay_reply says to its driver. ENDED: the relay is gone, do not touch it. */
enum relay_step { RELAY_GO_ON, RELAY_ENDED };

enum relay_step relay_reply_head(struct relay *, const struct http_head *);
enum relay_step relay_reply_piece(struct relay *, struct slice piece);
enum relay_step relay_reply_done(struct relay *); /* the body's framing is complete */
/* It broke off; `status` and text for the client, in which % stands for the upstream's
 * name; detail may be NULL. */
enum relay_step relay_fail(struct relay *, unsigned status, const char *text, const char *detail);
/* Lets go of everything but the connection. */
struct conn *relay_release(struct relay *, bool keep_upstream);

#endif
