/* SPDX-License-Identifier: MIT */
/* test_admission.c: turns and the queue in front of them. */
#include "app/admission.h"
#include "check.h"

static const uint8_t anyone[ADMISSION_PARTY] = { 1 };

static enum admit ask(struct admission *a, struct ticket *t, int64_t now)
{
	struct ticket *displaced;

	return admission_ask(a, t, anyone, NULL, now, &displaced);
}

static int64_t estimate(const struct admission *a)
{
	return admission_estimate(a, anyone);
}

static void test_turns(void)
{
	struct admission a;
	struct ticket t[5];

	check_case("first come, first served");
	admission_init(&a, 2, 2, INT64_MAX);
	CHECK(ask(&a, &t[0], 0) == ADMIT_RUN);
	CHECK(ask(&a, &t[1], 0) == ADMIT_RUN);
	CHECK(ask(&a, &t[2], 0) == ADMIT_WAIT);
	CHECK(ask(&a, &t[3], 0) == ADMIT_WAIT);
	CHECK(ask(&a, &t[4], 0) == ADMIT_FULL);
	CHECK(t[4].state == TICKET_NONE && a.active == 2 && a.queued == 2);
	CHECK(admission_leave(&a, &t[1], 10, true) == &t[2]);
	CHECK(t[2].state == TICKET_RUNNING && t[2].since == 10 && a.active == 2 && a.queued == 1);
	CHECK(admission_leave(&a, &t[0], 20, true) == &t[3]);
	CHECK(admission_leave(&a, &t[2], 20, true) == NULL);
	CHECK(admission_leave(&a, &t[3], 20, true) == NULL);
	CHECK(a.active == 0 && a.queued == 0 && a.turn == NULL);
	CHECK(admission_leave(&a, &t[4], 30, true) == NULL); /* it never had a place */
}

static void test_leavers(void)
{
	struct admission a;
	struct ticket t[4];
	unsigned i, gone;

	for (gone = 1; gone < 4; gone++) {
		check_case("waiter %u leaves", gone);
		admission_init(&a, 1, 3, INT64_MAX);
		for (i = 0; i < 4; i++)
			ask(&a, &t[i], 0);
		CHECK(admission_leave(&a, &t[gone], 0, true) == NULL); /* the turn is still taken */
		CHECK(a.queued == 2);
		for (i = 1; i < 4; i++) {
			struct ticket *before = &t[i - 1 == gone ? i - 2 : i - 1];

			if (i != gone)
				CHECK(admission_leave(&a, before, 0, true) == &t[i]);
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
	CHECK(estimate(&a) == 0);
	ask(&a, &t[0], 0);
	CHECK(estimate(&a) == 30000);
	CHECK(ask(&a, &w[0], 0) == ADMIT_WAIT);
	CHECK(ask(&a, &w[1], 0) == ADMIT_WAIT);
	CHECK(ask(&a, &w[2], 0) == ADMIT_TOO_LONG);
	CHECK(admission_retry_after(estimate(&a), 0) == 90);
	CHECK(admission_retry_after(estimate(&a), 20) == 108);

	check_case("the last 32 service times count");
	admission_init(&a, 2, 64, INT64_MAX);
	for (i = 0; i < 40; i++) {
		ask(&a, &t[i], 0);
		admission_leave(&a, &t[i], i < 8 ? 1000000 : 4000, true);
	}
	ask(&a, &t[0], 0);
	ask(&a, &t[1], 0);
	CHECK(estimate(&a) == 2000);
	CHECK(admission_retry_after(estimate(&a), 0) == 2);

	check_case("what was never served says nothing of the time it takes");
	admission_init(&a, 1, 64, INT64_MAX);
	ask(&a, &t[0], 0);
	admission_leave(&a, &t[0], 0, false);
	ask(&a, &t[0], 0);
	CHECK(estimate(&a) == 30000);

	check_case("Retry-After stays within 1 and 300");
	admission_init(&a, 1, 64, INT64_MAX);
	CHECK(admission_retry_after(estimate(&a), 7) == 1);
	ask(&a, &t[0], 0);
	admission_leave(&a, &t[0], 9000000, true);
	ask(&a, &t[0], 0);
	CHECK(admission_retry_after(estimate(&a), 7) == 300);
}

int main(void)
{
	test_turns();
	test_leavers();
	test_estimates();
	return check_done();
}
