/* SPDX-License-Identifier: MIT */
/* conn.h: one client connection and the request it is at. The first half is for handlers: read
 * the request, reply whole or in pieces. The second half is for server.c.
 *
 * An idle connection is its record here and nothing else: input, output, and the request's block
 * are borrowed from the worker's memory while there is something in them. */
#ifndef APP_CONN_H
#define APP_CONN_H

#include "app/server.h"
#include "base/arena.h"
#include "base/buf.h"
#include "io/stream.h"
#include "proto/http_body.h"

enum conn_state {
	CONN_FREE,
	CONN_HEAD,   /* for a head, or the rest of one; idle when nothing of it is there */
	CONN_BODY,   /* for the rest of a body */
	CONN_WORK,   /* for the handler, which replies later or piece by piece */
	CONN_FLUSH,  /* for the client to take the rest of the reply */
	CONN_LINGER, /* for the client to read our last words before we close */
};

/* What a handler that replies later is told. */
struct work_ops {
	/* The client is gone, or the server must cut: let go of everything. The connection is closed
	 * right after; it must not be touched any more. */
	void (*on_gone)(void *work);
	void (*on_drained)(
		void *work); /* the client took what was pending (below the low mark); may be NULL */
	bool fin_is_gone;    /* a half-closed client has left (generations) */
	void (*on_cut)(void *work); /* the server stops now: last words, if any; may be NULL */
};

/* Who takes a request's body piece by piece. Neither call may end the request or its work. */
struct body_sink {
	void (*on_piece)(void *work, struct slice); /* content; good within the call */
	void (*on_end)(void *work);                 /* the body is whole */
};

/* What the access log says of a request beyond the obvious. */
struct request_log {
	char model[96];
	int64_t queue_ms, ttft_ms; /* -1: not known */
	uint64_t tokens;
	const char *result;       /* NULL: none to speak of */
	unsigned intended_status; /* of a failure told after the status was out; 0: as sent */
};

/* What a request has to show where --api-keys asks for a key. */
enum conn_key { KEY_NONE, KEY_WRONG, KEY_VALID };

/* A request under way; ends with conn_finish(). */
struct request {
	struct http_head head; /* slices into head_mem or the connection's input */
	struct uri uri;
	const struct route *route; /* NULL: none matched */
	struct http_body framing;
	char *body; /* collected; owned */
	size_t body_n, body_cap;
	uint64_t body_seen;
	int64_t body_since;
	bool body_done;               /* read to its end (or there is none) */
	const struct body_sink *sink; /* NULL: it is collected, or dropped */
	bool body_paused;             /* the sink wants no more just yet */
	int64_t paused_since;
	bool body_discard; /* read and dropped: the handler has no use for it */
	void *head_mem;    /* the input block, once the head was detached from the connection */
	size_t head_cap;
	void *work_mem; /* the handler's, for as long as the request lasts; owned */
	size_t work_cap;
	void *reply_mem; /* a whole reply that conn->rest points into; owned */
	size_t reply_cap;
	int64_t started;
	struct ip_addr client;
	/* Whose share it takes: by the key where one is valid, else by the address, of IPv6 the /64. */
	uint8_t party[16];
	enum conn_key key;
	struct slice id;          /* X-Request-Id, in the arena */
	struct slice cors_origin; /* to be allowed in the reply; n == 0: none */
	void *path_mem;           /* of a path too long for the arena; owned */
	size_t path_cap;
	struct request_log log;
	unsigned status;    /* of the reply; 0: none yet */
	uint64_t sent;      /* bytes of the reply's body */
	struct arena arena; /* the rest of this block */
	size_t block_cap;
};

struct conn {
	struct server *server;
	struct stream stream;
	struct loop_handle handle;
	struct timer timer;
	struct loop_later later;
	struct conn *next, *prev; /* free list, or idle list */
	struct sock_addr peer;
	uint8_t state;
	bool in_idle_list;
	bool keep_alive;       /* another request may follow this one */
	bool chunked, no_body; /* how the reply under way is framed; HEAD: no body at all */
	bool until_close;  /* ... it ends with the connection, so a broken one is to be a reset */
	bool linger;       /* unread bytes of the client's may be on their way: close gently */
	bool peer_fin;     /* the client has half-closed, and we know */
	bool reserve_only; /* taken from the reserve: probes only */
	bool broken;       /* reading or writing failed; closed at the end of the turn */
	bool parsing;      /* inside the loop over pipelined requests */
	bool asked;        /* a whole head came, good or bad */
	bool was_high;     /* the backlog passed the high mark: tell when it is low */
	struct buf in, out;
	size_t in_cap, out_cap;
	size_t seen;       /* of `in`, looked at by the head parser */
	struct slice rest; /* sent after `out`: bytes that outlive the reply */
	uint64_t lingered;
	int64_t opened_ms;
	struct request *req;
	const struct work_ops *ops; /* CONN_WORK */
	void *work;
};

/* ---- for handlers ---- */

/* Above the high mark a handler stops producing; with one more piece of 64 KiB and its framing it
 * stays within the 256 KiB that a slow client may cost. */
enum { CONN_HIGH_MARK = 128 * 1024, CONN_LOW_MARK = 32 * 1024 };

/* The request's body, whole (routes with ROUTE_COLLECT). */
struct slice conn_body(const struct conn *);

/* Gives the body's and the handler's memory back before the request is over. */
void conn_drop_body(struct conn *);
/* Memory for the handler until then, more than the request's own block has. False: there is none, and
 * that was answered. */
bool conn_work_arena(struct conn *, struct arena *, size_t size);

/* A whole reply. `fields`: further fields, each with its CRLF; n == 0: none. The body is copied. */
void conn_reply(struct conn *, unsigned status, struct slice type, struct slice fields,
		struct slice body);
/* The same, but the body's bytes outlive the connection (embedded files) and are not copied. */
void conn_reply_static(struct conn *, unsigned status, struct slice type, struct slice fields,
		       struct slice body);
/* The same with a block of the worker's memory that becomes the connection's. */
void conn_reply_block(struct conn *, unsigned status, struct slice type, struct slice fields,
		      void *mem, size_t cap, size_t n);
/* {"error":text} (or OpenAI's shape by the route); retry_after 0: none. */
void conn_error(struct conn *, unsigned status, struct slice text, unsigned retry_after);
/* An error that also closes the connection when the request's body was not read. */
void conn_error_fields(struct conn *, unsigned status, struct slice text, struct slice fields);

/* A reply in pieces: begin, send..., finish or abort. length < 0: not known (chunks, or until
 * close for 1.0). Each conn_send() is one HTTP chunk and leaves at once. */
void conn_begin(struct conn *, unsigned status, struct slice type, struct slice fields,
		int64_t length);
void conn_send(struct conn *, struct slice bytes);
void conn_finish(struct conn *);
/* Sends what waits and closes, but without the end that would make the reply a whole one. */
void conn_finish_short(struct conn *);
/* Breaks the connection so that no client takes the reply for a whole one. */
void conn_abort(struct conn *);
/* Bytes the client has not taken yet. */
size_t conn_backlog(const struct conn *);

/* The handler goes on later; from now on `ops` are called. */
void conn_work_start(struct conn *, const struct work_ops *, void *work);

/* ROUTE_STREAM, after conn_work_start(): the client's body is read from now on, without the limits of
 * those that are collected, and goes to the sink. A client that leaves, breaks the
 * framing or falls silent ends the work (on_gone), and is answered if need be. */
void conn_body_stream(struct conn *, const struct body_sink *);
/* The sink has enough: the client waits until conn_body_resume(), which may be called at any time.
 * What was read already still comes. */
void conn_body_pause(struct conn *);
void conn_body_resume(struct conn *);

/* ---- for server.c ---- */

void conn_open(struct conn *, struct server *, int fd, const struct sock_addr *peer,
	       bool reserve_only);
void conn_close(struct conn *); /* at once; a request under way is given up */
/* The server stops now: the request's work says its last words, all else is reset. */
void conn_stop(struct conn *);
void conn_cut(struct conn *); /* the same by reset; its request is given up, too */
/* The drain's finish: closes it if idle, else after the reply. One that never asked gets a moment. */
void conn_drain(struct conn *);

#endif
