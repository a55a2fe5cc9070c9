/* SPDX-License-Identifier: MIT */
/* health.c: the health state machine, as a judgement over what keeper and worker have written. */
#include "app/health.h"

enum { UNANSWERED_MS = 30000 };

static const char *const texts[] = { "starting", "healthy", "degraded", "draining" };

static bool ollama_is_local(const struct config *cf)
{
	struct ip_addr a;

	return slice_eq_nocase(cf->ollama.host, SLICE("localhost")) ||
	       (ip_parse(cf->ollama.host, &a) && ip_is_loopback(&a));
}

/* Nothing came from it for a while: no answer to a probe, no byte of a generation. */
static bool is_silent(const struct shared *s, int64_t now)
{
	int64_t last = MAX(s->answered_ms, s->moved_ms);
	int64_t refused = s->refused_since_ms;

	return now - last >= UNANSWERED_MS || (refused > 0 && now - refused >= UNANSWERED_MS);
}

static enum health_state judge(const struct shared *s, const struct config *cf, int64_t now)
{
	if (shared_is_leaving(s))
		return HEALTH_DRAINING;
	if (s->first_answer_ms == 0)
		return now - s->started_ms < cf->start_timeout_ms ? HEALTH_STARTING
								  : HEALTH_DEGRADED;
	return is_silent(s, now) ? HEALTH_DEGRADED : HEALTH_HEALTHY;
}

void health_judge(const struct shared *s, const struct config *cf, int64_t now, struct health *h)
{
	h->state = judge(s, cf, now);
	h->text = texts[h->state];
	h->status = 200;
	if (h->state == HEALTH_DRAINING || (h->state == HEALTH_DEGRADED && ollama_is_local(cf)))
		h->status = 503;
	h->connected = s->answered_ms > 0 && !s->probe_failing;
	h->ready = h->state == HEALTH_HEALTHY && h->connected && s->model_ready;
}
