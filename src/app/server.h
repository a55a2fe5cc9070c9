/* SPDX-License-Identifier: MIT */
/* server.h: a worker: one loop, its listener, its connections, the memory they borrow, and the
 * routes of its role. */
#ifndef APP_SERVER_H
#define APP_SERVER_H

#include "app/config.h"
#include "app/metrics.h"
#include "app/shared.h"
#include "io/log.h"
#include "io/loop.h"
#include "io/mem.h"
#include "proto/http_head.h"
#include "proto/uri.h"

struct conn;
struct keys;
struct rate;
struct server;
struct tls_shared;
struct tls_side;
struct upstream_pool;
struct wire;

/* What every module of a worker is given; never global. */
struct env {
	const struct config *config;
	struct loop *loop;
	const struct clock *clock;
	struct log *log;
	struct shared *shared;
	struct metrics *metrics; /* this worker's */
};

typedef void route_fn(struct conn *);

enum route_flags {
	ROUTE_PREFIX = 1,   /* the path only begins like this */
	ROUTE_COLLECT = 2,  /* the handler wants the body */
	ROUTE_PROBE = 4,    /* served from the reserve too, exempt from the Host check */
	ROUTE_OPENAI = 8,   /* errors in OpenAI's shape */
	ROUTE_CROSS = 16,   /* reachable from other sites by GET (safe, nothing private) */
	ROUTE_FORWARD = 32, /* somebody behind us judges origins, preflights included */
	ROUTE_OPEN = 64,    /* under /api/, but without a key and beyond the rate */
	ROUTE_ADMIN = 128,  /* only with --allow-admin */
	ROUTE_STREAM = 256, /* the handler takes a POST's body as it comes (conn_body_stream) */
};

struct route {
	struct slice path;
	unsigned methods; /* HTTP_ bits; HEAD comes with GET */
	unsigned flags;
	route_fn *fn;
};

/* A role as a worker sees it. */
struct role_kind {
	const char *name;
	const struct route *routes;
	size_t route_count;
	const struct route *fallback; /* when no route matches: the page, or 404; any method */
	struct slice
		fields; /* further fields of every reply, each ended by CRLF; open() may set others */
	bool (*open)(
		struct server *); /* makes server->role_data; false: cannot start (it said why) */
	/* A drain began or its deadline moved: shared->drain and drain_deadline_ms say it. Not told to
	 * a worker that is born while it lasts. May be NULL. */
	void (*on_drain)(struct server *);
};

/* What the keeper gives a worker at birth. */
struct worker_start {
	const struct config *config;
	const struct role_kind *kind;
	struct shared *shared;
	struct metrics_board *board;
	struct log *log;
	const struct clock *clock;
	int channel;
	int listeners[SHARED_WORKERS_MAX];
	unsigned listener_count;
	bool listener_shared; /* by several workers: wake one of them */
	bool accept_later;    /* not before WIRE_ACCEPT */
	bool forwards;        /* any client may need a connection to the upstream at any time */
	unsigned index;       /* into shared->turns and the board */
	struct slice upstream_name; /* "Ollama" or "the backend", for error texts */
	const struct keys *keys;    /* one of which a client must have; NULL: none */
	const struct tls_shared
		*tls;               /* certificates and trust anchors, as far as config names any */
	const struct url *upstream; /* into config; NULL: none */
	struct slice upstream_host; /* the Host field sent there: "127.0.0.1:11434" */
};

enum {
	SERVER_SCRATCH = 64 * 1024,
	SERVER_RESERVE = 16,           /* slots and descriptors kept for health probes */
	SERVER_BODY_SMALL = 64 * 1024, /* bodies up to this need no share of --body-memory */
};

struct listener {
	struct server *server;
	int fd;
	struct loop_handle handle;
};

struct server {
	struct env env;
	const struct worker_start *start;
	const struct role_kind *kind;
	void *role_data;
	struct slice fields; /* of every reply */
	struct mem mem;
	struct tls_side *tls;            /* what the listener speaks; NULL: plain HTTP */
	struct upstream_pool *upstreams; /* NULL: this role has none */
	struct rate *rate;               /* NULL: no limit */

	struct conn *slab;
	struct conn *free_conn;
	unsigned slab_size, fresh, open_count;
	struct conn *idle_head, *idle_tail; /* kept-alive connections, longest idle first */
	struct listener listeners[SHARED_WORKERS_MAX];
	unsigned listener_count;
	struct loop_handle channel_handle;
	bool accept_paused; /* out of descriptors: wait for a close */
	struct timer accept_timer;
	bool listening;
	uint64_t body_used; /* of --body-memory */
	uint64_t request_seed, request_count, random;
	struct timer drain_timer;
	int64_t drain_told_ms; /* the deadline the role knows of */
	bool cutting;          /* the drain's deadline has passed */
	char *scratch;         /* SERVER_SCRATCH bytes, good within one call */
	int64_t date_second;
	char date[40]; /* "Date: ...\r\n", made anew each second */
	size_t date_n;
	struct log_batch log_batch;
	struct loop_later log_later;
};

/* The worker's whole life; returns its exit code. */
int server_run(const struct worker_start *);

/* ---- server_drain.c ---- */

void server_drain_init(struct server *);
/* A message of the keeper's; false: it is about something else. */
bool server_drain_on_wire(struct server *, const struct wire *);

/* For server_drain.c: */
/* Closes the listeners; `take_rest`: not before what waits there is accepted. */
void server_listen_stop(struct server *, bool take_rest);
void server_exit_when_empty(struct server *);

/* Something changed in Ollama: the keeper looks before its time. */
void server_ask_probe(struct server *);

/* For connections: */
void server_conn_closed(struct server *, struct conn *);
void server_idle_add(struct server *, struct conn *);
void server_idle_remove(struct server *, struct conn *);
struct slice server_date_field(struct server *);
uint64_t server_random(struct server *); /* for spreading things, not for secrets */
bool server_is_draining(const struct server *);
/* Never NULL: the role's fallback when nothing matches. */
const struct route *server_route_find(const struct server *, struct slice path);
/* Adds to the bodies in memory; false: --body-memory is spent. */
bool server_body_claim(struct server *, size_t was, size_t now);

#endif
