/* SPDX-License-Identifier: MIT */
/* rate.c: buckets of requests, one for each party. */
#include "app/rate.h"

enum { SECOND_US = 1000000 };

void rate_init(struct rate *r, unsigned requests, unsigned seconds, uint64_t seed)
{
	r->step_us = (int64_t)seconds * SECOND_US / requests;
	r->span_us = r->step_us * requests;
	r->seed = seed;
}

/* MurmurHash3's last step: every bit of the input sways every bit of the result. */
static uint64_t mix(uint64_t h)
{
	h = (h ^ h >> 33) * UINT64_C(0xff51afd7ed558ccd);
	h = (h ^ h >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
	return h ^ h >> 33;
}

static struct rate_bucket *set_of(struct rate *r, const uint8_t party[16])
{
	uint64_t half[2];

	memcpy(half, party, sizeof(half));
	return r->buckets[mix(mix(half[0] ^ r->seed) ^ half[1]) % RATE_SETS];
}

/* The party's own bucket, or the one that loses least by becoming it. */
static struct rate_bucket *bucket_of(struct rate *r, const uint8_t party[16])
{
	struct rate_bucket *b = set_of(r, party), *fullest = b;
	size_t i;

	for (i = 0; i < RATE_WAYS; i++) {
		if (memcmp(b[i].party, party, sizeof(b[i].party)) == 0)
			return &b[i];
		if (b[i].full_us < fullest->full_us)
			fullest = &b[i];
	}
	memcpy(fullest->party, party, sizeof(fullest->party));
	fullest->full_us = 0;
	return fullest;
}

unsigned rate_ask(struct rate *r, const uint8_t party[16], int64_t now_ms)
{
	struct rate_bucket *b = bucket_of(r, party);
	int64_t now = now_ms * 1000, full = MAX(b->full_us, now) + r->step_us;

	if (full > now + r->span_us)
		return (unsigned)((full - r->span_us - now + SECOND_US - 1) / SECOND_US);
	b->full_us = full;
	return 0;
}
