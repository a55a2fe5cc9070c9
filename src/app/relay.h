/* SPDX-License-Identifier: MIT */
/* relay.h: one request on its way through the upstream and back: turn, model, connection, request
 * out, reply in, and its end told honestly. relay.c drives it, relay_read.c takes the reply in,
 * relay_reply.c and its parts know what its bytes mean, relay_beat.c speaks while there is nothing
 * to say, relay_fail.c tells of failures. */
#ifndef APP_RELAY_H
#define APP_RELAY_H

#include "app/admission.h"
#include "app/conn.h"
#include "app/loader.h"
#include "app/upstream.h"
#include "proto/ollama.h"
#include "proto/ollama_watch.h"
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
	RELAY_FILTER, /* a list of models without those that --models leaves out */
};

/* What the client awaits, by its request: known before the upstream has said a word. */
enum relay_form { RELAY_FORM_WHOLE, RELAY_FORM_LINES, RELAY_FORM_EVENTS };

enum { RELAY_PARTS_MAX = OLLAMA_PARTS_MAX + 2 };

/* What a handler asks for. The parts live until the reply's first byte (the request's body and
 * work memory are given back then), the other slices as long as the request. */
struct relay_plan {
	enum relay_mode mode;
	enum relay_form form;
	struct admission *gate; /* whose turn it takes; NULL: none */
	struct loader *loader;  /* sees to it that the model is in memory first; NULL: nobody */
	enum load_kind load;    /* how it is loaded */
	bool generation;        /* the model works for it (it has a gate) */
	bool beats;             /* silence is broken by heartbeats */
	bool progress;          /* the client wants to know how its wait goes on */
	bool fin_is_gone;       /* a client that half-closes has left */
	bool head_only;         /* the request is a HEAD: its reply has no body */
	bool responses;         /* /v1/responses: its own error event */
	bool admin;         /* an admin route: never sent again; its stream ends with a status of
				 * success, and its good reply may be empty */
	struct slice model; /* for the log and the origin's reply */
	struct slice conversation_id;              /* origin's reply: raw JSON; n == 0: "default" */
	int64_t first_byte_ms, stall_ms, total_ms; /* 0: none */
	struct slice parts[RELAY_PARTS_MAX];       /* the request, head first */
	size_t part_count;
};

enum relay_state { RELAY_QUEUED, RELAY_LOADING, RELAY_CONNECTING, RELAY_HEAD, RELAY_BODY };

/* What may go wrong; relay_fail.c has the words, the status and the figures for each. */
enum relay_fault {
	FAULT_MEMORY,
	FAULT_QUEUE_FULL,
	FAULT_WAIT_TOO_LONG,
	FAULT_QUEUE_TIMEOUT,
	FAULT_DRAINING,    /* its turn would come after the end of the drain */
	FAULT_STOPPING,    /* the drain is over */
	FAULT_REFUSED,     /* no connection: refused */
	FAULT_UNREACHABLE, /* no connection for another reason */
	FAULT_HANGUP,      /* before it answered */
	FAULT_NONSENSE,
	FAULT_FORBIDDEN,  /* Ollama's own host guard */
	FAULT_FIRST_BYTE, /* no answer in time */
	FAULT_STALL,      /* silence in mid-answer */
	FAULT_BROKEN,     /* cut in mid-answer */
	FAULT_UNFINISHED, /* a clean end, but the answer was not done */
	FAULT_TOO_SLOW,   /* --max-generation */
	FAULT_TOO_LARGE,  /* more than we collect */
	FAULT_IN_STREAM,  /* an error line, where we collect the answer */
	FAULT_COUNT
};

struct relay {
	struct server *server;
	struct conn *conn;
	size_t cap; /* of this block */
	struct relay_plan plan;
	enum relay_state state;
	enum relay_mode mode; /* as decided by the reply's head */

	struct ticket ticket;
	struct loop_later begin; /* its turn has come */
	struct load_wait load;
	struct upstream_wait wait;
	struct upstream *up;
	uint64_t sent, to_send; /* of the parts */
	struct timer timer;     /* the current wait: turn, connection, first byte, stall */
	struct timer total;
	struct timer beat;          /* heartbeats and progress */
	int64_t out_ms;             /* the client last got a byte, or began to wait for one */
	int64_t told_ms;            /* of its progress; 0: not yet */
	unsigned told;              /* the position or the seconds it was told */
	int64_t asked_ms, began_ms; /* of the request, of its way to the upstream */
	int64_t state_ms; /* since when this state lasts (RELAY_LOADING: since the load began) */
	enum metric_result result;
	uint64_t input_tokens, output_tokens; /* as the answer's end says */

	char *head; /* a response head that came in pieces; owned */
	size_t head_n, head_cap;
	unsigned interim; /* 1xx heads skipped */
	struct http_body body;
	unsigned status; /* the upstream's */
	char type[128];  /* its Content-Type */
	struct slice type_text;
	unsigned retry_after; /* its Retry-After, or ours; 0: none */
	int64_t length;       /* of the reply's body; -1: not known */
	struct buf carry;     /* an unfinished line or event, or a whole reply so far */
	size_t carry_cap;
	struct buf answer; /* RELAY_ANSWER */
	size_t answer_cap;
	struct sse_watch sse;
	struct ollama_watch watch; /* of a line or reply that is too long to keep */

	bool up_keep;    /* the connection may serve another request */
	bool reply_byte; /* the upstream has answered something */
	bool retried;
	bool committed;        /* our reply's head is out */
	bool early;            /* it went out before the upstream's, as 200 */
	bool body_out;         /* a part of a whole reply's body is out */
	bool done, error_seen; /* the stream said so */
	bool mid_unit;         /* part of a line or event is out */
	bool paused;           /* the client is slow: we do not read */
};

/* Starts; from here on the relay answers the connection. The plan is copied. */
void relay_start(struct conn *, const struct relay_plan *);

/* A turn is over, or a place in the queue: the next one begins. Figures are published. */
void relay_turn_leave(struct server *, struct admission *, struct ticket *, bool served);
void relay_turns_publish(struct server *, const struct admission *);
/* Refuses whoever waits and would not come to its turn before the deadline. */
void relay_refuse_hopeless(struct server *, struct admission *, int64_t deadline);

#endif
