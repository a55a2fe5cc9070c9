/* SPDX-License-Identifier: MIT */
/* admission.c: a limited number of turns, and a fair queue in front of them. */
#include "app/admission.h"

enum { SERVICE_GUESS_MS = 30000, RETRY_MAX = 300, JITTER = 20, DISPLACE_LEAD = 2 };

void admission_init(struct admission *a, unsigned limit, unsigned max_queue, int64_t max_wait)
{
	memset(a, 0, sizeof(*a));
	a->limit = limit;
	a->max_queue = max_queue;
	a->max_wait = max_wait;
}

/* ---- the ring of parties ---- */

static bool is_of(const struct ticket *t, const uint8_t *party)
{
	return memcmp(t->party, party, ADMISSION_PARTY) == 0;
}

/* The first in line of a party, or NULL. */
static struct ticket *line_find(const struct admission *a, const uint8_t *party)
{
	struct ticket *t = a->turn;

	if (t == NULL)
		return NULL;
	do {
		if (is_of(t, party))
			return t;
		t = t->ring_next;
	} while (t != a->turn);
	return NULL;
}

/* A new party comes last in the round that is under way. */
static void ring_add(struct admission *a, struct ticket *t)
{
	if (a->turn == NULL) {
		t->ring_next = t->ring_prev = a->turn = t;
		return;
	}
	t->ring_next = a->turn;
	t->ring_prev = a->turn->ring_prev;
	t->ring_prev->ring_next = t;
	a->turn->ring_prev = t;
}

static void ring_remove(struct admission *a, struct ticket *t)
{
	if (t->ring_next == t) {
		a->turn = NULL;
		return;
	}
	t->ring_prev->ring_next = t->ring_next;
	t->ring_next->ring_prev = t->ring_prev;
	if (a->turn == t)
		a->turn = t->ring_next;
}

/* The next in line stands for the party from now on, at the same place of the ring. */
static void ring_replace(struct admission *a, struct ticket *was, struct ticket *t)
{
	t->last = was->last;
	t->count = was->count;
	t->ring_next = was->ring_next == was ? t : was->ring_next;
	t->ring_prev = was->ring_prev == was ? t : was->ring_prev;
	t->ring_next->ring_prev = t;
	t->ring_prev->ring_next = t;
	if (a->turn == was)
		a->turn = t;
}

static void enqueue(struct admission *a, struct ticket *t, struct ticket *first, int64_t now)
{
	t->state = TICKET_WAITING;
	t->since = now;
	t->next = NULL;
	a->queued++;
	if (first == NULL) {
		t->prev = NULL;
		t->last = t;
		t->count = 1;
		ring_add(a, t);
		return;
	}
	t->prev = first->last;
	first->last->next = t;
	first->last = t;
	first->count++;
}

static void dequeue(struct admission *a, struct ticket *t)
{
	struct ticket *first = line_find(a, t->party);

	a->queued--;
	t->state = TICKET_NONE;
	first->count--;
	if (first->last == t)
		first->last = t->prev;
	if (t->next != NULL)
		t->next->prev = t->prev;
	if (t->prev != NULL)
		t->prev->next = t->next;
	else if (t->next != NULL)
		ring_replace(a, t, t->next);
	else
		ring_remove(a, t);
}

/* ---- estimates ---- */

static int64_t average(const struct admission *a)
{
	int64_t sum = 0;
	unsigned i;

	for (i = 0; i < a->service_count; i++)
		sum += a->services[i];
	return a->service_count > 0 ? sum / a->service_count : SERVICE_GUESS_MS;
}

static int64_t wait_at(const struct admission *a, unsigned position)
{
	return average(a) * position / a->limit;
}

/* Where the k-th (from 0) of a party stands, when `first` is its line, or NULL: none yet. Parties
 * between the turn and ours go first in each round. */
static unsigned place(const struct admission *a, const struct ticket *first, unsigned k)
{
	const struct ticket *t = a->turn;
	unsigned ahead = k, round = k + 1;

	if (t == NULL)
		return 1;
	do {
		if (t == first)
			round = k; /* from here on they come after us */
		else
			ahead += MIN(t->count, round);
		t = t->ring_next;
	} while (t != a->turn);
	return ahead + 1;
}

unsigned admission_position(const struct admission *a, const struct ticket *t)
{
	const struct ticket *before;
	unsigned k = 0;

	for (before = t->prev; before != NULL; before = before->prev)
		k++;
	return place(a, line_find(a, t->party), k);
}

int64_t admission_wait(const struct admission *a, const struct ticket *t)
{
	return wait_at(a, admission_position(a, t));
}

int64_t admission_estimate(const struct admission *a, const uint8_t party[ADMISSION_PARTY])
{
	const struct ticket *first = line_find(a, party);

	if (a->active < a->limit)
		return 0;
	return wait_at(a, place(a, first, first != NULL ? first->count : 0));
}

struct ticket *admission_hopeless(const struct admission *a, int64_t now, int64_t deadline)
{
	struct ticket *first = a->turn;

	if (first == NULL)
		return NULL;
	do { /* the last of a line waits longest */
		if (now + admission_wait(a, first->last) > deadline)
			return first->last;
		first = first->ring_next;
	} while (first != a->turn);
	return NULL;
}

unsigned admission_retry_after(int64_t estimate_ms, uint64_t random)
{
	int64_t percent = (int64_t)(random % (JITTER + 1));
	int64_t s = (estimate_ms + estimate_ms * percent / 100 + 999) / 1000;

	if (estimate_ms >= RETRY_MAX * 1000) /* all at the same time would be no jitter */
		s = RETRY_MAX - RETRY_MAX * percent / 100;
	return (unsigned)MAX(1, MIN(s, RETRY_MAX));
}

/* ---- turns ---- */

static void start(struct admission *a, struct ticket *t, int64_t now)
{
	t->state = TICKET_RUNNING;
	t->since = now;
	a->active++;
}

/* Who makes room in a full queue for somebody who holds `own` places; NULL: nobody. */
static struct ticket *find_displaced(const struct admission *a, unsigned own)
{
	struct ticket *t = a->turn, *most = t;

	if (t == NULL)
		return NULL;
	do {
		if (t->count > most->count ||
		    (t->count == most->count && most->last->told && !t->last->told))
			most = t;
		t = t->ring_next;
	} while (t != a->turn);
	return most->count >= own + DISPLACE_LEAD && !most->last->told ? most->last : NULL;
}

enum admit admission_ask(struct admission *a, struct ticket *t,
			 const uint8_t party[ADMISSION_PARTY], void *owner, int64_t now,
			 struct ticket **displaced)
{
	struct ticket *first = line_find(a, party);

	*displaced = NULL;
	t->owner = owner;
	t->state = TICKET_NONE;
	t->told = false;
	memcpy(t->party, party, ADMISSION_PARTY);
	if (a->active < a->limit) {
		start(a, t, now);
		return ADMIT_RUN;
	}
	if (admission_estimate(a, party) > a->max_wait)
		return ADMIT_TOO_LONG;
	if (a->queued >= a->max_queue) {
		*displaced = find_displaced(a, first != NULL ? first->count : 0);
		if (*displaced == NULL)
			return ADMIT_FULL;
		dequeue(a, *displaced); /* of another party, and not the only one of its line */
	}
	enqueue(a, t, first, now);
	return ADMIT_WAIT;
}

static void remember(struct admission *a, int64_t ms)
{
	a->services[a->service_at] = ms;
	a->service_at = (a->service_at + 1) % ADMISSION_SERVICES;
	if (a->service_count < ADMISSION_SERVICES)
		a->service_count++;
}

void admission_pass(struct ticket *from, struct ticket *to, int64_t now)
{
	from->state = TICKET_NONE;
	to->state = TICKET_RUNNING;
	to->since = now;
}

struct ticket *admission_leave(struct admission *a, struct ticket *t, int64_t now, bool served)
{
	struct ticket *next;

	if (t->state == TICKET_WAITING)
		dequeue(a, t);
	if (t->state == TICKET_RUNNING) {
		a->active--;
		if (served)
			remember(a, now - t->since);
	}
	t->state = TICKET_NONE;
	next = a->active < a->limit ? a->turn : NULL;
	if (next != NULL) {
		a->turn = next->ring_next; /* the others first, before this party again */
		dequeue(a, next);
		start(a, next, now);
	}
	return next;
}
