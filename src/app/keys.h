/* SPDX-License-Identifier: MIT */
/* keys.h: the API keys, as digests in memory that the keeper shows to its workers. The keeper alone
 * reads the file, and writes; a worker only finds. */
#ifndef APP_KEYS_H
#define APP_KEYS_H

#include "base/buf.h"
#include "proto/api_key.h"

struct keys {
	volatile uint32_t seq; /* the half that counts is seq & 1; the other one is written next */
	struct keys_half {
		volatile uint32_t count;
		struct digest digests[API_KEYS_MAX];
	} half[2];
	int fd; /* the keeper's, of this memory */
};

/* No key is in them yet. NULL: no memory. */
struct keys *keys_open(void);
/* In a worker: from now on it can only read them. False: no memory. NULL is fine. */
bool keys_fix(struct keys *);
/* Reads the file: its keys count from now on, and no others. Returns their number; 0: those that
 * were there stay, and *why says what is wrong with the file ("line 3: ..."), never a key. */
unsigned keys_read(struct keys *, const char *path, struct buf *why);
/* Takes equally long whatever the digest is. */
bool keys_has(const struct keys *, const struct digest *);

#endif
