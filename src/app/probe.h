/* SPDX-License-Identifier: MIT */
/* probe.h: the keeper's eye on Ollama: asks at intervals whether it answers, which models it has
 * and which are loaded, and writes the answers into the shared page. */
#ifndef APP_PROBE_H
#define APP_PROBE_H

#include "app/config.h"
#include "app/dial.h"
#include "io/log.h"

struct probe;

/* Starts at once. NULL: no memory. */
struct probe *probe_open(struct loop *, struct dial *, const struct config *, struct shared *,
			 struct log *, struct slice host);
/* A round before its time: what Ollama holds has changed. However often it is called, rounds keep
 * their distance. */
void probe_now(struct probe *);
/* Calls fn at the end of each round: Ollama answered, or it did not. */
typedef void probe_fn(void *ctx, bool answered);
void probe_watch(struct probe *, probe_fn *, void *ctx);

#endif
