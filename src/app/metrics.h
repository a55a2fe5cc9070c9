/* SPDX-License-Identifier: MIT */
/* metrics.h: the figures of /metrics where they are made: a block for each worker's place, in memory
 * that keeper and workers share. A block has one writer, the worker in that place; whoever is asked
 * for /metrics reads them all. A successor finds what its predecessor counted, so counters survive a
 * worker's death. Only numbers are shared, and nothing is decided by them: what a worker that has been
 * taken over writes there makes figures wrong, and no more. */
#ifndef APP_METRICS_H
#define APP_METRICS_H

#include "base/base.h"

struct role_kind;
struct route;

/* How a generation ended. */
enum metric_result {
	METRIC_OK,
	METRIC_ERROR,
	METRIC_CANCELLED, /* the client left */
	METRIC_REJECTED,  /* no turn was given: the queue is full, or the wait would be too long */
	METRIC_TIMEOUT,   /* no turn in time, or Ollama too slow */
	METRIC_RESULTS
};

/* Spans of time that are told as histograms. */
enum metric_span { METRIC_QUEUE_WAIT, METRIC_FIRST_TOKEN, METRIC_GENERATION, METRIC_SPANS };

/* What an upstream did wrong. */
enum metric_fault {
	METRIC_FAULT_REFUSED,    /* the connection */
	METRIC_FAULT_CONNECT,    /* it could not be reached for another reason */
	METRIC_FAULT_HANGUP,     /* closed before the first byte of a reply */
	METRIC_FAULT_NONSENSE,   /* a reply that is no HTTP */
	METRIC_FAULT_FIRST_BYTE, /* --first-byte-timeout */
	METRIC_FAULT_STALL,      /* --stall-timeout */
	METRIC_FAULT_BROKEN,     /* cut in mid-answer */
	METRIC_FAULT_UNFINISHED, /* a clean end before the answer said that it was whole */
	METRIC_FAULT_TOO_LONG,   /* --max-generation, or more than a collected answer may have */
	METRIC_FAULT_IN_STREAM,  /* its own error in mid-answer */
	METRIC_FAULT_STATUS,     /* its own 5xx */
	METRIC_FAULTS
};

enum {
	METRIC_ROUTES = 64,
	METRIC_ROUTE_OTHER = METRIC_ROUTES - 2, /* the role's fallback */
	METRIC_ROUTE_NONE = METRIC_ROUTES - 1,  /* refused before a route was known */
	METRIC_METHODS = 8,                     /* by the bits of enum http_method */
	METRIC_CODES = 48,
	METRIC_CODE_OTHER = 0, /* place of any status that is not on the list */
	METRIC_BUCKETS = 16,
};

struct metric_histogram {
	volatile uint64_t
		buckets[METRIC_BUCKETS + 1]; /* each its own; the last: beyond all bounds */
	volatile uint64_t sum_ms;
};

struct metrics {
	volatile uint64_t generations[METRIC_RESULTS];
	volatile uint64_t faults[METRIC_FAULTS];
	volatile uint64_t input_tokens, output_tokens, heartbeats;
	struct metric_histogram spans[METRIC_SPANS];
	volatile uint64_t connections, connections_idle; /* now */
	volatile uint64_t requests[METRIC_ROUTES];
	volatile uint64_t requests_by[METRIC_ROUTES][METRIC_METHODS][METRIC_CODES];
};

/* What keeper and workers use together; by measure.c. */
struct metrics_usage {
	volatile uint64_t cpu_ms, resident, virtual, open_fds, max_fds; /* 0: not known */
};

/* Who counts in a block. */
struct metrics_place {
	const struct role_kind *kind;
	bool generates; /* its upstream is an Ollama */
	int pid;        /* 0: nobody lives here now; known to the keeper alone */
};

/* Each process's own: a worker has it as it was at the fork. */
struct metrics_board {
	int64_t started_ms; /* Unix time */
	unsigned count;
	struct metrics_place *places;
	struct metrics_usage *usage; /* shared, as is: */
	struct metrics *of;
};

/* ---- for the keeper ---- */

/* Room for so many workers, its figures shared with the children forked later; lasts as long as the
 * process. NULL: no memory. */
struct metrics_board *metrics_board_open(unsigned workers);
/* The next place, in the order of the workers' indices. */
void metrics_board_add(struct metrics_board *, const struct role_kind *, bool generates);
/* A worker died: its connections are gone with it, its counters stay. */
void metrics_worker_gone(struct metrics_board *, unsigned index);

/* ---- for a worker ---- */

void metrics_generation(struct metrics *, enum metric_result);
void metrics_observe(struct metrics *, enum metric_span, int64_t ms);
void metrics_tokens(struct metrics *, uint64_t input, uint64_t output);
void metrics_fault(struct metrics *, enum metric_fault);
void metrics_heartbeat(struct metrics *);
/* A request that is over. `route` by metrics_route(), `method` one of enum http_method. */
void metrics_http(struct metrics *, unsigned route, unsigned method, unsigned status);
/* The figure that stands for a route of a role; NULL and what is not in its table are NONE. */
unsigned metrics_route(const struct role_kind *, const struct route *);

/* ---- for whoever tells them ---- */

/* The status that a place in requests_by stands for; 0 at METRIC_CODE_OTHER. */
unsigned metrics_code(unsigned place);
/* Upper bounds of a span's buckets in ms, METRIC_BUCKETS of them; 0 behind the last. */
const uint32_t *metrics_bounds(enum metric_span);

#endif
