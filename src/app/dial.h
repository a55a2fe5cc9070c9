/* SPDX-License-Identifier: MIT */
/* dial.h: the keeper's connections out. Names are resolved and sockets connected here, without
 * blocking the keeper's loop; workers, which may not connect, are handed the descriptor. */
#ifndef APP_DIAL_H
#define APP_DIAL_H

#include "app/shared.h"
#include "io/loop.h"
#include "io/resolve.h"
#include "proto/uri.h"

struct dial;
struct tls_side;

/* Told once: fd >= 0 (the callee's now), or -1 with what went wrong. */
typedef void dial_fn(void *ctx, int fd, enum connect_fault, const char *why);

/* Where one group of workers connects to. The url's slices must outlive it. `tls`: what the keeper's
 * own connections speak, NULL: plain HTTP. NULL: no memory. */
struct dial *dial_open(struct loop *, const struct url *, int64_t timeout_ms, struct tls_side *tls);
struct tls_side *dial_tls(const struct dial *);
/* Starts a connection; false: too many at a time. `owner` is for dial_forget(). */
bool dial_start(struct dial *, dial_fn *, void *ctx, const void *owner);
/* Gives up whatever was started for this owner; its callbacks are not called. */
void dial_forget(struct dial *, const void *owner);

#endif
