/* SPDX-License-Identifier: MIT */
/* test_admission.c: turns and the fair queue in front of them, rule by rule. */
#include "app/admission.h"
#include "check.h"

static void party_make(uint8_t party[ADMISSION_PARTY], unsigned n)
{
	memset(party, 0, ADMISSION_PARTY);
	party[0] = (uint8_t)(n >> 8);
	party[ADMISSION_PARTY - 1] = (uint8_t)n;
}

/* A newcomer of party n that displaces nobody. */
static enum admit ask(struct admission *a, struct ticket *t, unsigned n)
{
	uint8_t party[ADMISSION_PARTY];
	struct ticket *displaced;
	enum admit answer;

	party_make(party, n);
	answer = admission_ask(a, t, party, t, 0, &displaced);
	CHECK(displaced == NULL);
	return answer;
}

static int64_t estimate(const struct admission *a, unsigned n)
{
	uint8_t party[ADMISSION_PARTY];

	party_make(party, n);
	return admission_estimate(a, party);
}

/* One request that took this long, so that estimates are of that. */
static void teach(struct admission *a, int64_t ms)
{
	struct ticket t;

	ask(a, &t, 999);
	admission_leave(a, &t, t.since + ms, true);
}

static void test_turns(void)
{
	struct admission a;
	struct ticket t[5];

	check_case("one party: first come, first served");
	admission_init(&a, 2, 2, INT64_MAX);
	CHECK(ask(&a, &t[0], 1) == ADMIT_RUN);
	CHECK(ask(&a, &t[1], 1) == ADMIT_RUN);
	CHECK(ask(&a, &t[2], 1) == ADMIT_WAIT);
	CHECK(ask(&a, &t[3], 1) == ADMIT_WAIT);
	CHECK(ask(&a, &t[4], 1) == ADMIT_FULL);
	CHECK(t[4].state == TICKET_NONE && a.active == 2 && a.queued == 2);
	CHECK(t[2].owner == &t[2]);
	CHECK(admission_leave(&a, &t[1], 10, true) == &t[2]);
	CHECK(t[2].state == TICKET_RUNNING && t[2].since == 10 && a.active == 2 && a.queued == 1);
	CHECK(admission_leave(&a, &t[0], 20, true) == &t[3]);
	CHECK(admission_leave(&a, &t[2], 20, true) == NULL);
	CHECK(admission_leave(&a, &t[3], 20, true) == NULL);
	CHECK(a.active == 0 && a.queued == 0 && a.turn == NULL);
	CHECK(admission_leave(&a, &t[4], 30, true) == NULL); /* it never had a place */
	CHECK(ask(&a, &t[4], 1) == ADMIT_RUN);

	check_case("no queue at all");
	admission_init(&a, 1, 0, INT64_MAX);
	CHECK(ask(&a, &t[0], 1) == ADMIT_RUN);
	CHECK(ask(&a, &t[1], 2) == ADMIT_FULL);
}

/* In which order waiters are served, when each serves at once. */
static void test_order(void)
{
	static const struct {
		const char *name, *come,
			*served; /* parties; served: the same, by their number of arrival */
	} rows[] = {
		{ "one alone", "aaa", "012" },
		{ "two by turns", "aaabbb", "031425" },
		{ "the second party comes late", "aaab", "0312" },
		{ "three", "aabbcc", "024135" },
		{ "mixed", "abcabca", "0123456" },
		{ "short ones between long ones", "aaabaaacb", "037182456" },
	};
	char served[16];

	FOR_ROWS(i, rows)
	{
		struct admission a;
		struct ticket running, t[16], *next = &running;
		size_t n = 0, k;

		check_case("%s", rows[i].name);
		admission_init(&a, 1, 16, INT64_MAX);
		ask(&a, &running, 0);
		for (k = 0; rows[i].come[k] != '\0'; k++)
			CHECK(ask(&a, &t[k], (unsigned)rows[i].come[k]) == ADMIT_WAIT);
		while ((next = admission_leave(&a, next, 0, true)) != NULL)
			served[n++] = (char)('0' + (next - t));
		served[n] = '\0';
		CHECK_STR(slice_str(served), rows[i].served);
		CHECK_U64(n, k);
	}
}

static void test_newcomer_waits_one_round(void)
{
	struct admission a;
	struct ticket greedy[50], t, *next = &greedy[0];
	unsigned i;

	check_case("one that comes to forty others is served second");
	admission_init(&a, 1, 64, INT64_MAX);
	for (i = 0; i < 40; i++)
		ask(&a, &greedy[i], 1);
	CHECK(ask(&a, &t, 2) == ADMIT_WAIT);
	CHECK_U64(admission_position(&a, &t), 2);
	next = admission_leave(&a, next, 0, true);
	CHECK(next == &greedy[1]);
	CHECK(admission_leave(&a, next, 0, true) == &t);

	check_case("who was just served comes last in the next round");
	admission_init(&a, 1, 64, INT64_MAX);
	ask(&a, &greedy[0], 1);
	ask(&a, &greedy[1], 2);
	ask(&a, &greedy[2], 3);
	CHECK(admission_leave(&a, &greedy[0], 0, true) == &greedy[1]);
	ask(&a, &greedy[3], 1); /* the first again */
	ask(&a, &greedy[4], 4);
	CHECK(admission_leave(&a, &greedy[1], 0, true) == &greedy[2]);
	CHECK(admission_leave(&a, &greedy[2], 0, true) == &greedy[3]);
	CHECK(admission_leave(&a, &greedy[3], 0, true) == &greedy[4]);
}

static void test_leavers(void)
{
	struct admission a;
	struct ticket t[5];
	unsigned i, gone, parties;

	for (parties = 1; parties <= 3; parties++) {
		for (gone = 1; gone < 5; gone++) {
			struct ticket *next = &t[0];
			unsigned served = 0;

			check_case("%u parties, waiter %u leaves", parties, gone);
			admission_init(&a, 1, 4, INT64_MAX);
			for (i = 0; i < 5; i++)
				ask(&a, &t[i], i % parties);
			CHECK(admission_leave(&a, &t[gone], 0, true) ==
			      NULL); /* the turn is taken */
			CHECK(admission_leave(&a, &t[gone], 0, true) == NULL); /* and again */
			CHECK(t[gone].state == TICKET_NONE && a.queued == 3);
			while ((next = admission_leave(&a, next, 0, true)) != NULL) {
				served++;
				CHECK(next != &t[gone]);
			}
			CHECK_U64(served, 3);
			CHECK(a.queued == 0 && a.active == 0 && a.turn == NULL);
		}
	}
}

static void test_displacement(void)
{
	static const struct {
		const char *name, *waiting;
		char comes;
		bool told; /* the last waiter of 'a' */
		int gone;  /* which waiter; -1: the newcomer is refused */
	} rows[] = {
		{ "the latest of who holds most", "aaaa", 'b', false, 3 },
		{ "the latest of its own, not of all", "aaab", 'c', false, 2 },
		{ "to one of one's own: nobody", "aaaa", 'a', false, -1 },
		{ "at least two more", "aab", 'b', false, -1 },
		{ "two more are enough", "aaab", 'b', false, 2 },
		{ "two more than none", "aabb", 'c', false, 1 },
		{ "one each: nobody", "abcd", 'e', false, -1 },
		{ "not one that was told something", "aaaa", 'b', true, -1 },
		{ "the latest of the greediest of three", "abcabb", 'd', false, 5 },
	};

	FOR_ROWS(i, rows)
	{
		struct admission a;
		struct ticket running, t[8], newcomer, *displaced;
		uint8_t party[ADMISSION_PARTY];
		enum admit answer;
		unsigned k, n = (unsigned)strlen(rows[i].waiting);

		check_case("%s", rows[i].name);
		admission_init(&a, 1, n, INT64_MAX);
		ask(&a, &running, 0);
		for (k = 0; k < n; k++) {
			ask(&a, &t[k], (unsigned)rows[i].waiting[k]);
			CHECK(!t[k].told);
			t[k].told = rows[i].told && k == n - 1;
		}
		party_make(party, (unsigned)rows[i].comes);
		answer = admission_ask(&a, &newcomer, party, NULL, 0, &displaced);
		CHECK(answer == (rows[i].gone < 0 ? ADMIT_FULL : ADMIT_WAIT));
		CHECK(displaced == (rows[i].gone < 0 ? NULL : &t[rows[i].gone]));
		CHECK_U64(a.queued, n);
		CHECK(newcomer.state == (rows[i].gone < 0 ? TICKET_NONE : TICKET_WAITING));
		if (displaced != NULL) {
			CHECK(displaced->state == TICKET_NONE);
			CHECK(admission_leave(&a, displaced, 0, true) == NULL);
			CHECK_U64(a.queued, n);
		}
	}
}

static void test_estimates(void)
{
	struct admission a;
	struct ticket t[40], w[3];
	unsigned i;

	check_case("30 s are assumed before the first was seen");
	admission_init(&a, 1, 64, 60000);
	CHECK(estimate(&a, 1) == 0);
	ask(&a, &t[0], 1);
	CHECK(estimate(&a, 1) == 30000);
	CHECK(ask(&a, &w[0], 1) == ADMIT_WAIT);
	CHECK(ask(&a, &w[1], 1) == ADMIT_WAIT);
	CHECK(ask(&a, &w[2], 1) == ADMIT_TOO_LONG);
	CHECK(w[2].state == TICKET_NONE && a.queued == 2);
	CHECK(estimate(&a, 1) == 90000);
	CHECK(admission_wait(&a, &w[0]) == 30000 && admission_wait(&a, &w[1]) == 60000);

	check_case("another party waits for one round only");
	CHECK(estimate(&a, 2) == 60000);
	CHECK(ask(&a, &w[2], 2) == ADMIT_WAIT);
	CHECK(admission_position(&a, &w[2]) == 2 && admission_position(&a, &w[1]) == 3);

	check_case("the last 32 service times count");
	admission_init(&a, 2, 64, INT64_MAX);
	for (i = 0; i < 40; i++)
		teach(&a, i < 8 ? 1000000 : 4000);
	ask(&a, &t[0], 1);
	CHECK(estimate(&a, 1) == 0); /* there is room */
	ask(&a, &t[1], 1);
	CHECK(estimate(&a, 1) == 2000);
	teach(&a, 0); /* refused: says nothing */
	CHECK(estimate(&a, 1) == 2000);

	check_case("what was never served says nothing of the time it takes");
	admission_init(&a, 1, 64, INT64_MAX);
	ask(&a, &t[0], 1);
	admission_leave(&a, &t[0], 5, false);
	ask(&a, &t[0], 1);
	CHECK(estimate(&a, 1) == 30000);

	check_case("nor does time spent waiting");
	admission_init(&a, 1, 64, INT64_MAX);
	ask(&a, &t[0], 1);
	ask(&a, &t[1], 1);
	CHECK(admission_leave(&a, &t[0], 50000, true) == &t[1]);
	admission_leave(&a, &t[1], 60000, true);
	ask(&a, &t[2], 1);
	CHECK(estimate(&a, 1) == 30000); /* (50 + 10) / 2 */
}

static void test_retry_after(void)
{
	static const struct {
		int64_t ms;
		uint64_t random;
		unsigned want;
	} rows[] = {
		{ 0, 0, 1 },         { 0, UINT64_MAX, 1 },
		{ 1, 0, 1 },         { 1000, 0, 1 },
		{ 1001, 0, 2 },      { 10000, 0, 10 },
		{ 299001, 0, 300 },  { 300000, 20, 240 },
		{ 9000000, 0, 300 }, { INT64_C(1) << 40, 7, 279 },
	};
	uint64_t random;

	FOR_ROWS(i, rows)
	{
		check_case("%lld ms", (long long)rows[i].ms);
		CHECK_U64(admission_retry_after(rows[i].ms, rows[i].random), rows[i].want);
	}
	check_case("up to 20 %% more");
	for (random = 0; random < 1000; random++) {
		unsigned s = admission_retry_after(100000, random);

		CHECK(s >= 100 && s <= 120);
	}
}

static void test_pass(void)
{
	struct admission a;
	struct ticket load, first, second;

	check_case("a turn changes hands");
	admission_init(&a, 1, 4, INT64_MAX);
	CHECK(ask(&a, &load, 0) == ADMIT_RUN);
	CHECK(ask(&a, &second, 1) == ADMIT_WAIT);
	first.state = TICKET_NONE;
	admission_pass(&load, &first, 7000);
	CHECK(load.state == TICKET_NONE && first.state == TICKET_RUNNING && a.active == 1);
	CHECK(admission_leave(&a, &load, 8000, true) == NULL && a.active == 1);
	CHECK(admission_leave(&a, &first, 9000, true) == &second);
	ask(&a, &load, 2);
	CHECK(admission_wait(&a, &load) == 2000);
}

static void test_hopeless(void)
{
	struct admission a;
	struct ticket running, t[6], *gone;
	unsigned left = 6;

	check_case("who would not run before the deadline");
	admission_init(&a, 1, 8, INT64_MAX);
	teach(&a, 10000);
	ask(&a, &running, 0);
	CHECK(admission_hopeless(&a, 0, 1) == NULL);
	ask(&a, &t[0], 1);
	ask(&a, &t[1], 1);
	ask(&a, &t[2], 1);
	ask(&a, &t[3], 1);
	ask(&a, &t[4], 2);
	ask(&a, &t[5], 3);
	/* they would run after 10 (t0), 20 (t4), 30 (t5), 40 (t1), 50 (t2), 60 s (t3) */
	CHECK(admission_hopeless(&a, 1000, 61000) == NULL);
	while ((gone = admission_hopeless(&a, 1000, 41000)) != NULL && left > 0) {
		CHECK(gone->state == TICKET_WAITING);
		CHECK(admission_wait(&a, gone) > 40000);
		admission_leave(&a, gone, 1000, false);
		left--;
	}
	CHECK_U64(left, 4);
	CHECK(t[0].state == TICKET_WAITING && t[1].state == TICKET_WAITING);
	CHECK(t[4].state == TICKET_WAITING && t[5].state == TICKET_WAITING);
}

int main(void)
{
	test_turns();
	test_order();
	test_newcomer_waits_one_round();
	test_leavers();
	test_displacement();
	test_estimates();
	test_retry_after();
	test_pass();
	test_hopeless();
	return check_done();
}
