/* SPDX-License-Identifier: MIT */
/* health.h: the one place that knows whether we are starting, healthy, degraded or draining. A busy
 * Ollama is never an unhealthy one: what counts is whether it answers at all. */
#ifndef APP_HEALTH_H
#define APP_HEALTH_H

#include "app/config.h"
#include "app/shared.h"

enum health_state { HEALTH_STARTING, HEALTH_HEALTHY, HEALTH_DEGRADED, HEALTH_DRAINING };

struct health {
	enum health_state state;
	const char *text; /* "healthy" */
	unsigned status;  /* of /health: 200 or 503 */
	bool connected;   /* Ollama answered the latest probe */
	bool ready;       /* the default model is there and loaded (without one: Ollama answers) */
};

/* From memory; costs nothing. `now` is monotonic ms. */
void health_judge(const struct shared *, const struct config *, int64_t now, struct health *);

#endif
