/* SPDX-License-Identifier: MIT */
/* admission.h: who may generate now, who waits, who is refused. Pure over its inputs: no clock, no
 * loop, no sockets. First come, first served. */
#ifndef APP_ADMISSION_H
#define APP_ADMISSION_H

#include "base/base.h"

enum admit { ADMIT_RUN, ADMIT_WAIT, ADMIT_FULL, ADMIT_TOO_LONG };
enum ticket_state { TICKET_NONE, TICKET_WAITING, TICKET_RUNNING };

/* A request's place; lives in the request. */
struct ticket {
	struct ticket *next, *prev;
	uint8_t state; /* enum ticket_state */
	int64_t since; /* waiting or running since, ms */
	void *owner;
};

enum { ADMISSION_SERVICES = 32 };

struct admission {
	unsigned limit, max_queue;
	int64_t max_wait; /* ms; a longer estimate is refused at once */
	unsigned active, queued;
	struct ticket *head, *tail;
	int64_t services[ADMISSION_SERVICES]; /* how long the last ones ran, ms */
	unsigned service_count, service_at;
};

void admission_init(struct admission *, unsigned limit, unsigned max_queue, int64_t max_wait);
enum admit admission_ask(struct admission *, struct ticket *, void *owner, int64_t now);
/* The ticket's request ended, or left the queue. `served`: it ran long enough to say how long one
 * takes (a refused connection does not). Returns the next to run (its state is already
 * TICKET_RUNNING), or NULL. */
struct ticket *admission_leave(struct admission *, struct ticket *, int64_t now, bool served);
/* Estimated wait of a newcomer, ms: rounds ahead x the average of the last service times. */
int64_t admission_estimate(const struct admission *);
/* For Retry-After: the estimate in whole seconds, 1 to 300, with up to 20 % added by `random`. */
unsigned admission_retry_after(const struct admission *, uint64_t random);

#endif
