/* SPDX-License-Identifier: MIT */
/* relay_beat.c: what a client gets while there is nothing to say: heartbeats, so that nothing
 * between us cuts a silent connection, and, if it asked for them, lines about its wait. */
#include "app/relay_parts.h"
#include "base/fmt.h"

enum {
	TELL_FIRST_MS = 250,
	TELL_EVERY_MS = 1000,
	NEVER = -1,
};

/* The first byte of a reply whose head has not come yet. */
static void commit_early(struct relay *r)
{
	static const struct slice types[] = {
		[RELAY_FORM_WHOLE] = SLICE_INIT("application/json"),
		[RELAY_FORM_LINES] = SLICE_INIT("application/x-ndjson"),
		[RELAY_FORM_EVENTS] = SLICE_INIT("text/event-stream"),
	};

	if (r->committed)
		return;
	r->committed = r->early = true;
	r->ticket.told = true;
	conn_begin(r->conn, 200, types[r->plan.form], slice_make("", 0), -1);
}

static void speak(struct relay *r, struct slice words)
{
	commit_early(r);
	conn_send(r->conn, words);
	r->out_ms = relay_now(r);
}

/* ---- heartbeats ---- */

/* Behind a part of a whole reply a byte of ours would do harm. */
static bool has_beats(const struct relay *r)
{
	if (!r->plan.beats || r->done || r->error_seen)
		return false;
	if (r->mode == RELAY_LINES || r->mode == RELAY_EVENTS)
		return true;
	return r->early ? !r->body_out : !r->committed;
}

static int64_t beat_due(const struct relay *r)
{
	int64_t ms = r->server->env.config->heartbeat_ms;

	if (ms == 0 || !has_beats(r))
		return NEVER;
	if (r->plan.form == RELAY_FORM_WHOLE && !r->committed)
		ms = MAX(ms, (int64_t)RELAY_BEAT_WHOLE_MS);
	return r->out_ms + ms;
}

static void beat(struct relay *r)
{
	if (r->mid_unit || conn_backlog(r->conn) > 0) { /* no place for it, or enough to read */
		r->out_ms = relay_now(r);
		return;
	}
	metrics_heartbeat(r->server->env.metrics);
	speak(r, relay_form_of(r) == RELAY_FORM_EVENTS ? SLICE(": ping\n\n") : SLICE(" "));
}

/* ---- progress ---- */

static int64_t tell_due(const struct relay *r)
{
	if (!r->plan.progress || (r->state != RELAY_QUEUED && r->state != RELAY_LOADING))
		return NEVER;
	return r->told_ms > 0 ? r->told_ms + TELL_EVERY_MS : r->asked_ms + TELL_FIRST_MS;
}

/* Since when the model is being loaded that this relay waits for; 0: it waits for a turn. The next
 * in line waits for its model, even when the load has the turn of somebody else. */
static int64_t loading_since(struct relay *r, unsigned position)
{
	if (r->state == RELAY_LOADING)
		return r->state_ms;
	return position == 1 ? loader_loading(r->plan.loader, r->plan.model) : 0;
}

/* {"queue":{"position":3}} or {"load":{"seconds":12}}, when it changed. */
static void tell(struct relay *r)
{
	unsigned position =
		r->state == RELAY_QUEUED ? admission_position(r->plan.gate, &r->ticket) : 0;
	int64_t since = loading_since(r, position);
	bool queued = since == 0;
	unsigned n = queued ? position : (unsigned)((relay_now(r) - since) / 1000);
	unsigned mark = queued ? 2 * n : 2 * n + 1; /* differs between the two as well */
	char mem[64];
	struct buf b;

	if (r->told_ms > 0 && r->told == mark) {
		r->told_ms = relay_now(r);
		return;
	}
	r->told_ms = relay_now(r);
	r->told = mark;
	buf_init(&b, mem, sizeof(mem));
	buf_put_str(&b, queued ? "{\"queue\":{\"position\":" : "{\"load\":{\"seconds\":");
	fmt_u64(&b, n);
	buf_put_str(&b, "}}\n");
	speak(r, buf_view(&b));
}

/* ---- the timer of both ---- */

void relay_beat_arm(struct relay *r)
{
	int64_t a = beat_due(r), b = tell_due(r);
	int64_t due = a == NEVER ? b : b == NEVER ? a : MIN(a, b);

	if (due == NEVER)
		loop_timer_clear(r->server->env.loop, &r->beat);
	else
		loop_timer_set(r->server->env.loop, &r->beat, due);
}

/* Bytes that went out since only moved the time that counts, not the timer. */
static void on_beat(void *ctx, int64_t now)
{
	struct relay *r = ctx;
	int64_t due = tell_due(r);

	if (due != NEVER && due <= now)
		tell(r);
	due = beat_due(r);
	if (due != NEVER && due <= now)
		beat(r);
	relay_beat_arm(r);
}

void relay_beat_init(struct relay *r)
{
	timer_init(&r->beat, on_beat, r);
	r->out_ms = relay_now(r);
}
