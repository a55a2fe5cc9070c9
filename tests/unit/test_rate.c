/* SPDX-License-Identifier: MIT */
/* test_rate.c: requests per client and time. */
#include "app/rate.h"
#include "check.h"

static struct rate rate;

static void start(unsigned requests, unsigned seconds, uint64_t seed)
{
	memset(&rate, 0, sizeof(rate));
	rate_init(&rate, requests, seconds, seed);
}

static unsigned ask(uint64_t who, int64_t now_ms)
{
	uint8_t party[16] = { 0x20, 0x01 };

	memcpy(party + 8, &who, sizeof(who));
	return rate_ask(&rate, party, now_ms);
}

/* How many of `tries` are granted at one moment. */
static unsigned granted(uint64_t who, int64_t now_ms, unsigned tries)
{
	unsigned i, n = 0;

	for (i = 0; i < tries; i++)
		n += ask(who, now_ms) == 0;
	return n;
}

/* clang-format off: a row is a case */
static const struct {
	unsigned requests, seconds;
	int64_t at_ms; /* after all were spent at once */
	unsigned free; /* how many are free again */
	unsigned wait; /* what the next one is told */
} rows[] = {
	{ 1, 1, 0, 0, 1 },
	{ 1, 1, 999, 0, 1 },
	{ 1, 1, 1000, 1, 1 },
	{ 1, 60, 0, 0, 60 },
	{ 1, 60, 1, 0, 60 },
	{ 1, 60, 59999, 0, 1 },
	{ 1, 60, 60000, 1, 60 },
	{ 60, 60, 0, 0, 1 },
	{ 60, 60, 2500, 2, 1 },
	{ 60, 60, 60000, 60, 1 },
	{ 60, 60, 600000, 60, 1 },
	{ 3, 10, 0, 0, 4 },
	{ 3, 10, 3333, 0, 1 },
	{ 3, 10, 3334, 1, 4 },
	{ 3, 10, 10000, 3, 4 },
	{ 2, 86400, 0, 0, 43200 },
	{ 1000000, 1, 0, 0, 1 },
	{ 1000000, 1, 1, 1000, 1 },
	{ 1, 86400, 86399001, 0, 1 },
};
/* clang-format on */

static void test_rows(void)
{
	FOR_ROWS(i, rows)
	{
		int64_t begin = (int64_t)i * 12345, now = begin + rows[i].at_ms;

		check_case("%u/%u after %lld ms", rows[i].requests, rows[i].seconds,
			   (long long)rows[i].at_ms);
		start(rows[i].requests, rows[i].seconds, i);
		CHECK_U64(granted(7, begin, rows[i].requests), rows[i].requests);
		CHECK(ask(7, begin) > 0);
		CHECK_U64(granted(7, now, rows[i].free), rows[i].free);
		CHECK_U64(ask(7, now), rows[i].wait);
		CHECK_U64(ask(8, now), 0); /* another one's are another's */
	}
}

/* However the requests come, a bucket's content is all that comes on top of the rate. */
static void test_never_more(void)
{
	uint32_t dice = 1;
	int64_t now = 0;
	unsigned n = 0;

	check_case("random arrivals");
	start(10, 1, 0);
	while (now < 100000) {
		dice = dice * 1664525 + 1013904223;
		now += dice >> 26;
		n += ask(1, now) == 0;
	}
	CHECK(n >= 900 && n <= 10 + 10 * (unsigned)(now / 1000 + 1));
}

/* Refusals cost nothing: who keeps asking gets his share all the same. */
static void test_refusals_are_free(void)
{
	int64_t now;
	unsigned n = 0;

	check_case("asked every ms");
	start(1, 1, 0);
	for (now = 0; now < 10000; now++)
		n += ask(1, now) == 0;
	CHECK_U64(n, 10);
}

/* Many strangers: one who is at his limit is still known, and every stranger gets his first. */
static void test_strangers(void)
{
	uint64_t i, seed, n = 0;

	for (seed = 0; seed < 8; seed++) {
		check_case("seed %llu", (unsigned long long)seed);
		start(20, 60, seed * UINT64_C(0x9e3779b97f4a7c15));
		CHECK_U64(granted(0, 1000, 21), 20);
		for (i = 1, n = 0; i <= 200000; i++)
			n += ask(i, 1000 + (int64_t)i / 100) == 0;
		CHECK_U64(n, 200000);
		CHECK(ask(0, 2999) > 0);
	}
}

/* As many clients as half the places: each one is held to its own limit. */
static void test_crowd(void)
{
	uint64_t i;
	unsigned n = 0, limited = 0;

	check_case("crowd");
	start(2, 60, 99);
	for (i = 0; i < RATE_SETS * RATE_WAYS / 2; i++)
		n += granted(i, 5000, 2);
	CHECK_U64(n, RATE_SETS * RATE_WAYS);
	for (i = 0; i < RATE_SETS * RATE_WAYS / 2; i++)
		limited += ask(i, 5001) > 0;
	CHECK(limited > RATE_SETS * RATE_WAYS / 2 * 98 / 100);
}

int main(void)
{
	test_rows();
	test_never_more();
	test_refusals_are_free();
	test_strangers();
	test_crowd();
	return check_done();
}
