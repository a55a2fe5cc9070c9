/* SPDX-License-Identifier: MIT */
/* rate.h: how many requests each client may make in a time: a bucket of N that fills again in S
 * seconds, for each party. Pure over its inputs: time is passed in.
 *
 * The table has a fixed size. A bucket is one number, the time at which it will be full again, so one
 * that is full need not be kept. Where a party finds no place, the fullest of the buckets that
 * could give it one is forgotten, so that what a flood of strangers throws out is each other: to
 * make the table forget a client that is at its limit takes as many requests as would empty all
 * the other buckets. Whoever has more addresses than the table has places is not
 * held back by it (nor by any limit for each address), and nobody else is shut out for his sake. */
#ifndef APP_RATE_H
#define APP_RATE_H

#include "base/base.h"

enum {
	RATE_WAYS = 16, /* places a party may have */
	RATE_SETS = 1024,
	RATE_REQUESTS_MAX = 1000000,
	RATE_SECONDS_MAX = 86400,
};

struct rate_bucket {
	uint8_t party[16];
	int64_t full_us; /* when it is full again; the past: it is */
};

struct rate {
	int64_t step_us; /* what one request takes */
	int64_t span_us; /* an empty bucket's time to be full */
	uint64_t seed;   /* so that nobody can tell who shares places with whom */
	struct rate_bucket buckets[RATE_SETS][RATE_WAYS];
};

/* `requests` (1..RATE_REQUESTS_MAX) per `seconds` (1..RATE_SECONDS_MAX), over memory that is
 * cleared. */
void rate_init(struct rate *, unsigned requests, unsigned seconds, uint64_t seed);
/* 0: granted. Else in how many seconds, rounded up, one will be. */
unsigned rate_ask(struct rate *, const uint8_t party[16], int64_t now_ms);

#endif
