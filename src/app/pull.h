/* SPDX-License-Identifier: MIT */
/* pull.h: --pull missing: the keeper asks Ollama to fetch the default model when it is not there,
 * and asks again until it is. What becomes of it stands in the log and in the shared page. */
#ifndef APP_PULL_H
#define APP_PULL_H

#include "app/config.h"
#include "app/dial.h"
#include "app/probe.h"
#include "io/log.h"

struct pull;

/* NULL: no memory. The slices must outlive it. */
struct pull *pull_open(struct loop *, struct dial *, const struct config *, struct shared *,
		       struct log *, struct slice host, struct probe *);
/* The probe has looked: begins, or tries again at once when Ollama is back. */
void pull_on_looked(struct pull *, bool answered);
/* For good: this process ends, or a newer one does it from here on. */
void pull_stop(struct pull *);

#endif
