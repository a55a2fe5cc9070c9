/* SPDX-License-Identifier: MIT */
/* admission.c: a first-come queue in front of a limited number of turns. */
#include "app/admission.h"

enum { SERVICE_GUESS_MS = 30000, RETRY_MAX = 300 };

void admission_init(struct admission *a, unsigned limit, unsigned max_queue, int64_t max_wait)
{
	memset(a, 0, sizeof(*a));
	a->limit = limit;
	a->max_queue = max_queue;
	a->max_wait = max_wait;
}

int64_t admission_estimate(const struct admission *a)
{
	int64_t sum = 0, average = SERVICE_GUESS_MS;
	unsigned i;

	if (a->active < a->limit)
		return 0;
	for (i = 0; i < a->service_count; i++)
		sum += a->services[i];
	if (a->service_count > 0)
		average = sum / a->service_count;
	return average * (a->queued + 1) / a->limit;
}

unsigned admission_retry_after(const struct admission *a, uint64_t random)
{
	int64_t ms = admission_estimate(a);
	int64_t s = (ms + ms * (int64_t)(random % 21) / 100 + 999) / 1000;

	return (unsigned)MAX(1, MIN(s, RETRY_MAX));
}

static void start(struct admission *a, struct ticket *t, int64_t now)
{
	t->state = TICKET_RUNNING;
	t->since = now;
	a->active++;
}

enum admit admission_ask(struct admission *a, struct ticket *t, void *owner, int64_t now)
{
	t->owner = owner;
	t->state = TICKET_NONE;
	if (a->active < a->limit) {
		start(a, t, now);
		return ADMIT_RUN;
	}
	if (a->queued >= a->max_queue)
		return ADMIT_FULL;
	if (admission_estimate(a) > a->max_wait)
		return ADMIT_TOO_LONG;
	t->state = TICKET_WAITING;
	t->since = now;
	t->next = NULL;
	t->prev = a->tail;
	if (a->tail != NULL)
		a->tail->next = t;
	else
		a->head = t;
	a->tail = t;
	a->queued++;
	return ADMIT_WAIT;
}

static void unlink_ticket(struct admission *a, struct ticket *t)
{
	if (t->prev != NULL)
		t->prev->next = t->next;
	else
		a->head = t->next;
	if (t->next != NULL)
		t->next->prev = t->prev;
	else
		a->tail = t->prev;
	a->queued--;
}

static void remember(struct admission *a, int64_t ms)
{
	a->services[a->service_at] = ms;
	a->service_at = (a->service_at + 1) % ADMISSION_SERVICES;
	if (a->service_count < ADMISSION_SERVICES)
		a->service_count++;
}

struct ticket *admission_leave(struct admission *a, struct ticket *t, int64_t now, bool served)
{
	struct ticket *next;

	if (t->state == TICKET_WAITING)
		unlink_ticket(a, t);
	if (t->state == TICKET_RUNNING) {
		a->active--;
		if (served)
			remember(a, now - t->since);
	}
	t->state = TICKET_NONE;
	next = a->active < a->limit ? a->head : NULL;
	if (next != NULL) {
		unlink_ticket(a, next);
		start(a, next, now);
	}
	return next;
}
