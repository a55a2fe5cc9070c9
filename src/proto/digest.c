/* SPDX-License-Identifier: MIT */
/* digest.c: SHA-256 by BearSSL. */
#include "proto/digest.h"
#include "bearssl.h"

/* The compiler cannot know that nobody reads it, and so must do it. */
static void wipe(void *p, size_t n)
{
	memset(p, 0, n);
	__asm__ volatile("" : : "r"(p) : "memory");
}

struct digest digest_sha256(struct slice s)
{
	br_sha256_context ctx;
	struct digest d;

	br_sha256_init(&ctx);
	br_sha256_update(&ctx, s.p, s.n);
	br_sha256_out(&ctx, d.b);
	wipe(&ctx, sizeof(ctx));
	return d;
}

bool digest_eq(const struct digest *a, const struct digest *b)
{
	unsigned diff = 0;
	size_t i;

	for (i = 0; i < DIGEST_SIZE; i++)
		diff |= (unsigned)(a->b[i] ^ b->b[i]);
	return diff == 0;
}
