/* SPDX-License-Identifier: MIT */
/* keys.h: the API keys, as digests in memory that keeper and workers share. The keeper alone reads
 * the file, and writes; a worker only finds. */
#ifndef APP_KEYS_H
#define APP_KEYS_H

#include "base/buf.h"
#include "proto/api_key.h"

struct keys;

/* No key is in them yet. NULL: no memory. */
struct keys *keys_open(void);
/* Reads the file: its keys count from now on, and no others. Returns their number; 0: those that
 * were there stay, and *why says what is wrong with the file ("line 3: ..."), never a key. */
unsigned keys_read(struct keys *, const char *path, struct buf *why);
/* What is shown to workers is put right, should one that is gone have written there. */
void keys_show_again(struct keys *);
/* Takes equally long whatever the digest is. */
bool keys_has(const struct keys *, const struct digest *);

#endif
