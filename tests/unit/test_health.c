/* SPDX-License-Identifier: MIT */
/* test_health.c: the health state machine, over time wound by hand. */
#include "app/health.h"
#include "check.h"

enum { SECOND = 1000, START = 100 * SECOND };

/* At `now` (seconds after the start): what was seen when, -1: never. */
static const struct {
	const char *what, *ollama;
	int now, first, answered, moved, refused;
	bool failing, draining;
	const char *text;
	unsigned status;
} rows[] = {
	{ "just born", "127.0.0.1", 0, -1, -1, -1, -1, true, false, "starting", 200 },
	{ "long start", "127.0.0.1", 599, -1, -1, -1, 0, true, false, "starting", 200 },
	{ "too long a start", "127.0.0.1", 600, -1, -1, -1, 0, true, false, "degraded", 503 },
	{ "too long a start, Ollama elsewhere", "10.0.0.9", 600, -1, -1, -1, 0, true, false,
	  "degraded", 200 },
	{ "answers", "127.0.0.1", 20, 1, 19, -1, -1, false, false, "healthy", 200 },
	{ "silent for 29 s", "127.0.0.1", 49, 1, 20, -1, -1, true, false, "healthy", 200 },
	{ "silent for 30 s", "127.0.0.1", 50, 1, 20, -1, -1, true, false, "degraded", 503 },
	{ "silent but a generation moves: busy", "127.0.0.1", 500, 1, 20, 499, -1, true, false,
	  "healthy", 200 },
	{ "moved 30 s ago", "127.0.0.1", 530, 1, 20, 500, -1, true, false, "degraded", 503 },
	{ "refused for 29 s", "127.0.0.1", 60, 1, 30, 59, 31, true, false, "healthy", 200 },
	{ "refused for 30 s", "127.0.0.1", 61, 1, 30, 60, 31, true, false, "degraded", 503 },
	{ "refused elsewhere", "ollama.internal", 61, 1, 30, 60, 31, true, false, "degraded", 200 },
	{ "localhost is local", "localhost", 61, 1, 30, -1, 31, true, false, "degraded", 503 },
	{ "::1 is local", "::1", 61, 1, 30, -1, 31, true, false, "degraded", 503 },
	{ "draining", "127.0.0.1", 20, 1, 19, -1, -1, false, true, "draining", 503 },
};

static int64_t at(int seconds)
{
	return seconds < 0 ? 0 : START + seconds * (int64_t)SECOND;
}

int main(void)
{
	static struct shared s;
	static struct config cf;
	struct health h;

	cf.start_timeout_ms = 600 * SECOND;
	FOR_ROWS(i, rows)
	{
		check_case("%s", rows[i].what);
		memset(&s, 0, sizeof(s));
		cf.ollama.host = slice_str(rows[i].ollama);
		s.started_ms = START;
		s.first_answer_ms = at(rows[i].first);
		s.answered_ms = at(rows[i].answered);
		s.moved_ms = at(rows[i].moved);
		s.refused_since_ms = at(rows[i].refused);
		s.probe_failing = rows[i].failing;
		s.drain = rows[i].draining ? DRAIN_ANNOUNCE : DRAIN_NONE;
		s.model_ready = 1;
		health_judge(&s, &cf, at(rows[i].now), &h);
		CHECK(strcmp(h.text, rows[i].text) == 0);
		CHECK(h.status == rows[i].status);
		CHECK(h.ready == (h.state == HEALTH_HEALTHY && !rows[i].failing));
	}
	check_case("ready means the model, too");
	memset(&s, 0, sizeof(s));
	s.started_ms = s.first_answer_ms = s.answered_ms = START;
	health_judge(&s, &cf, START + 1, &h);
	CHECK(h.state == HEALTH_HEALTHY && h.connected && !h.ready);
	check_case("a newer process has taken over");
	s.drain = DRAIN_HANDOVER;
	health_judge(&s, &cf, START + 1, &h);
	CHECK(h.state == HEALTH_HEALTHY && h.status == 200);
	return check_done();
}
