/* SPDX-License-Identifier: MIT */
/* admission.h: who may generate now, who waits, who is refused. Pure over its inputs: no clock, no
 * loop, no sockets. A limited number of turns; behind them a queue that is fair between parties
 * (clients): round robin over the parties that wait, first come first served within one. */
#ifndef APP_ADMISSION_H
#define APP_ADMISSION_H

#include "base/base.h"

enum admit { ADMIT_RUN, ADMIT_WAIT, ADMIT_FULL, ADMIT_TOO_LONG };
enum ticket_state { TICKET_NONE, TICKET_WAITING, TICKET_RUNNING };
enum { ADMISSION_PARTY = 16, ADMISSION_SERVICES = 32 };

/* A request's place; lives in the request. The first waiting ticket of a party stands for the
 * whole line of that party in the ring. */
struct ticket {
	uint8_t state;                  /* enum ticket_state */
	bool told;                      /* the client got bytes: it keeps its place */
	uint8_t party[ADMISSION_PARTY]; /* who asks */
	int64_t since;                  /* waiting or running since, ms */
	void *owner;
	struct ticket *next, *prev; /* in its party's line; the ends are NULL */

	/* of the first in line */
	struct ticket *ring_next, *ring_prev; /* circular */
	struct ticket *last;                  /* of its line */
	unsigned count;                       /* of its line */
};

struct admission {
	unsigned limit, max_queue;
	int64_t max_wait; /* ms; a longer estimate is refused at once */
	unsigned active, queued;
	struct ticket *turn;                  /* the party whose turn is next; NULL: nobody waits */
	int64_t services[ADMISSION_SERVICES]; /* how long the last ones ran, ms */
	unsigned service_count, service_at;
};

void admission_init(struct admission *, unsigned limit, unsigned max_queue, int64_t max_wait);

/* A newcomer of this party. When the queue is full it may displace the latest waiter of the party
 * that holds most places, if that one holds at least two more than the newcomer's and was told
 * nothing yet: *displaced then is that ticket, already out of the queue; else NULL. */
enum admit admission_ask(struct admission *, struct ticket *, const uint8_t party[ADMISSION_PARTY],
			 void *owner, int64_t now, struct ticket **displaced);

/* The ticket's request ended, or left the queue. `served`: its time says how long one takes (that of
 * a failure or of a client that left does not). Returns the next to run (its state is already
 * TICKET_RUNNING), or NULL. */
struct ticket *admission_leave(struct admission *, struct ticket *, int64_t now, bool served);

/* A running turn changes hands; its time begins anew. `to` has none. */
void admission_pass(struct ticket *from, struct ticket *to, int64_t now);

/* 1: the next to run. Of a waiting ticket. */
unsigned admission_position(const struct admission *, const struct ticket *);
/* How long a waiting ticket is likely to wait from now on, ms. */
int64_t admission_wait(const struct admission *, const struct ticket *);
/* The same for a newcomer: rounds ahead x the average of the last service times. */
int64_t admission_estimate(const struct admission *, const uint8_t party[ADMISSION_PARTY]);
/* A waiting ticket that will hardly run before the deadline; NULL: none. */
struct ticket *admission_hopeless(const struct admission *, int64_t now, int64_t deadline);

/* For Retry-After: an estimate in whole seconds, 1 to 300, with up to 20 % added by `random`
 * (taken away at 300, or all would come back at once). */
unsigned admission_retry_after(int64_t estimate_ms, uint64_t random);

#endif
