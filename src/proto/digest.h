/* SPDX-License-Identifier: MIT */
/* digest.h: SHA-256, and a comparison that does not tell how far two digests agree. */
#ifndef PROTO_DIGEST_H
#define PROTO_DIGEST_H

#include "base/base.h"

enum { DIGEST_SIZE = 32 };

struct digest {
	uint8_t b[DIGEST_SIZE];
};

/* Nothing of the bytes is left behind in memory that is no longer in use. */
struct digest digest_sha256(struct slice);
/* Takes equally long whatever they are. */
bool digest_eq(const struct digest *, const struct digest *);

#endif
