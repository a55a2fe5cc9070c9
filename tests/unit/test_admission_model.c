/* SPDX-License-Identifier: MIT */
/* test_admission_model.c: the fair queue at random, against a plain list that is served by the same
 * rules: same turns, same positions and estimates, nothing lost, nobody favoured. */
#include "app/admission.h"
#include "check.h"

static void party_make(uint8_t party[ADMISSION_PARTY], unsigned n)
{
	memset(party, 0, ADMISSION_PARTY);
	party[0] = (uint8_t)(n >> 8);
	party[ADMISSION_PARTY - 1] = (uint8_t)n;
}

enum { TICKETS = 48, PARTIES = 6, STEPS = 60000 };

/* The reference: `order` names the parties that wait, the next to be served first; each has its
 * waiters in a plain array. */
struct model {
	unsigned limit, max_queue;
	unsigned active, queued;
	unsigned order[PARTIES], parties;
	int line[PARTIES][TICKETS];
	unsigned count[PARTIES];
};

static unsigned order_find(const struct model *m, unsigned party)
{
	unsigned i = 0;

	while (i < m->parties && m->order[i] != party)
		i++;
	return i;
}

static void order_remove(struct model *m, unsigned party)
{
	unsigned i = order_find(m, party);

	memmove(&m->order[i], &m->order[i + 1], (m->parties - i - 1) * sizeof(m->order[0]));
	m->parties--;
}

static void model_add(struct model *m, unsigned party, int t)
{
	if (m->count[party] == 0)
		m->order[m->parties++] = party;
	m->line[party][m->count[party]++] = t;
	m->queued++;
}

static void model_remove(struct model *m, unsigned party, int t)
{
	unsigned i = 0;

	while (m->line[party][i] != t)
		i++;
	memmove(&m->line[party][i], &m->line[party][i + 1],
		(m->count[party] - i - 1) * sizeof(int));
	m->queued--;
	if (--m->count[party] == 0)
		order_remove(m, party);
}

/* The waiter that comes next; -1: nobody waits. */
static int model_serve(struct model *m)
{
	unsigned party = m->order[0];
	int t;

	if (m->parties == 0)
		return -1;
	t = m->line[party][0];
	model_remove(m, party, t);
	if (m->count[party] > 0) {
		order_remove(m, party);
		m->order[m->parties++] = party;
	}
	return t;
}

/* How many are served until this one is. */
static unsigned model_position(const struct model *m, int t)
{
	struct model copy = *m;
	unsigned n = 1;

	while (model_serve(&copy) != t)
		n++;
	return n;
}

/* Whom a newcomer may displace; several may hold most. */
static bool model_may_displace(const struct model *m, unsigned newcomer, int t)
{
	unsigned p, most = 0;

	for (p = 0; p < PARTIES; p++)
		most = MAX(most, m->count[p]);
	for (p = 0; p < PARTIES; p++) {
		if (m->count[p] == most && most >= m->count[newcomer] + 2 &&
		    m->line[p][most - 1] == t)
			return true;
	}
	return false;
}

struct run {
	struct admission a;
	struct model m;
	struct ticket t[TICKETS];
	unsigned party[TICKETS];
	int64_t now;
	/* times served while both of a pair waited all along */
	unsigned ahead[PARTIES][PARTIES];
	unsigned long came, refused, displaced, served, left;
	uint64_t seed;
};

static unsigned draw(struct run *r, unsigned below)
{
	r->seed = r->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)((r->seed >> 33) % below);
}

/* Between two that both wait, neither is served twice before the other. */
static void count_served(struct run *r, unsigned party)
{
	unsigned other;

	for (other = 0; other < PARTIES; other++) {
		if (other == party || r->m.count[other] == 0)
			continue;
		r->ahead[party][other]++;
		r->ahead[other][party] = 0;
		CHECK(r->ahead[party][other] <= 1);
	}
}

static void forget_those_who_wait_no_more(struct run *r)
{
	unsigned p, q;

	for (p = 0; p < PARTIES; p++) {
		for (q = 0; q < PARTIES; q++) {
			if (r->m.count[p] == 0 || r->m.count[q] == 0)
				r->ahead[p][q] = 0;
		}
	}
}

static void come(struct run *r, int n)
{
	struct ticket *displaced;
	uint8_t party[ADMISSION_PARTY];
	unsigned p = draw(r, 4) == 0 ? 0 : draw(r, PARTIES); /* one of them is greedy */
	struct model after = r->m;
	enum admit answer;

	party_make(party, p);
	model_add(&after, p, n);
	if (r->m.active >= r->m.limit)
		CHECK_I64(admission_estimate(&r->a, party),
			  (int64_t)model_position(&after, n) * 30000 / r->m.limit);
	answer = admission_ask(&r->a, &r->t[n], party, &r->t[n], r->now, &displaced);
	r->party[n] = p;
	r->came++;
	if (displaced != NULL) {
		int d = (int)(displaced - r->t);

		CHECK(answer == ADMIT_WAIT && r->m.queued == r->m.max_queue);
		CHECK(model_may_displace(&r->m, p, d) && displaced->state == TICKET_NONE);
		model_remove(&r->m, r->party[d], d);
		r->displaced++;
	}
	if (r->m.active < r->m.limit) {
		CHECK(answer == ADMIT_RUN);
		r->m.active++;
		r->served++;
	} else if (answer == ADMIT_FULL) {
		unsigned k, able = 0;

		for (k = 0; k < TICKETS; k++)
			able += model_may_displace(&r->m, p, (int)k);
		CHECK(r->m.queued == r->m.max_queue && able == 0);
		r->refused++;
	} else {
		CHECK(answer == ADMIT_WAIT);
		model_add(&r->m, p, n);
	}
}

static void leave(struct run *r, int n)
{
	bool waited = r->t[n].state == TICKET_WAITING;
	struct ticket *next = admission_leave(&r->a, &r->t[n], r->now, false);
	int want = -1;

	if (waited) {
		model_remove(&r->m, r->party[n], n);
		r->left++;
	} else {
		r->m.active--;
		want = model_serve(&r->m);
	}
	CHECK(next == (want < 0 ? NULL : &r->t[want]));
	if (want >= 0) {
		r->m.active++;
		r->served++;
		forget_those_who_wait_no_more(r);
		count_served(r, r->party[want]);
	}
}

/* Who waits can only be there because all turns are taken. */
static int any_running(const struct run *r)
{
	int n = 0;

	while (r->t[n].state != TICKET_RUNNING)
		n++;
	return n;
}

static void check_counts(struct run *r)
{
	unsigned i, waiting = 0, running = 0;

	for (i = 0; i < TICKETS; i++) {
		waiting += r->t[i].state == TICKET_WAITING;
		running += r->t[i].state == TICKET_RUNNING;
	}
	CHECK(waiting == r->a.queued && running == r->a.active);
	CHECK(r->a.queued == r->m.queued && r->a.active == r->m.active);
	CHECK(r->came == r->served + r->left + r->refused + r->displaced + waiting);
	CHECK((r->a.turn != NULL) == (waiting > 0));
	i = draw(r, TICKETS);
	if (r->t[i].state == TICKET_WAITING)
		CHECK_U64(admission_position(&r->a, &r->t[i]), model_position(&r->m, (int)i));
}

static void test_random(unsigned limit, unsigned max_queue, uint64_t seed)
{
	static struct run r;
	unsigned step;

	check_case("at random: %u run, %u wait, seed %llu", limit, max_queue,
		   (unsigned long long)seed);
	memset(&r, 0, sizeof(r));
	r.seed = seed;
	r.m.limit = limit;
	r.m.max_queue = max_queue;
	admission_init(&r.a, limit, max_queue, INT64_MAX);
	for (step = 0; step < STEPS && check_failed == 0; step++) {
		int n = (int)draw(&r, TICKETS);

		r.now += draw(&r, 50);
		if (r.t[n].state == TICKET_NONE)
			come(&r, n);
		else if (r.t[n].state == TICKET_RUNNING || draw(&r, 16) == 0)
			leave(&r, n);
		else
			leave(&r, any_running(&r));
		forget_those_who_wait_no_more(&r);
		check_counts(&r);
	}
	CHECK(r.served > STEPS / 5 && r.left > 0 && r.displaced > 0 && r.refused > 0);
}

int main(void)
{
	test_random(1, 20, 1);
	test_random(2, 9, 2);
	test_random(5, 30, 3);
	return check_done();
}
