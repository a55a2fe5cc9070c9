/* SPDX-License-Identifier: MIT */
/* relay_parts.h: what the parts of the relay know of each other, and nobody else. */
#ifndef APP_RELAY_PARTS_H
#define APP_RELAY_PARTS_H

#include "app/relay.h"

/* What a part says to its caller. ENDED: the relay is gone (or has begun anew), do not touch it. */
enum relay_step { RELAY_GO_ON, RELAY_ENDED };

enum { RELAY_ANSWER_MAX = 8 * 1024 * 1024, RELAY_BEAT_WHOLE_MS = 45000 };

static inline int64_t relay_now(const struct relay *r)
{
	return loop_now(r->server->env.loop);
}

/* What the client reads just now. */
static inline enum relay_form relay_form_of(const struct relay *r)
{
	if (r->mode == RELAY_LINES)
		return RELAY_FORM_LINES;
	if (r->mode == RELAY_EVENTS)
		return RELAY_FORM_EVENTS;
	return r->early || !r->committed ? r->plan.form : RELAY_FORM_WHOLE;
}

/* ---- relay.c: its life ---- */

/* Lets go of everything but the connection. */
struct conn *relay_release(struct relay *, bool keep_upstream);
void relay_state_enter(struct relay *, enum relay_state);
void relay_connect(struct relay *);
/* The deadline of the current wait; ms 0: none. */
void relay_timer_arm(struct relay *, int64_t ms);

/* ---- relay_read.c: the reply's way in ---- */

void relay_on_upstream(void *ctx, unsigned events);
void relay_request_send(struct relay *);
void relay_on_drained(void *work);

/* ---- relay_reply.c: by its head, then piece by piece ---- */

enum relay_step relay_reply_head(struct relay *, const struct http_head *);
enum relay_step relay_reply_piece(struct relay *, struct slice piece);
enum relay_step relay_reply_done(struct relay *); /* the body's framing is complete */
/* Appends to a buf that grows in the worker's memory up to `max` bytes; false: no room. */
bool relay_keep(struct relay *, struct buf *, size_t *cap, struct slice, size_t max);
void relay_carry_drop(struct relay *);
/* Our reply's head goes out, if it is not out already. length < 0: not known. */
void relay_commit(struct relay *, int64_t length);
enum relay_step relay_finish(struct relay *);
/* For Retry-After, in seconds: the upstream's own, or our estimate. */
unsigned relay_retry_after(struct relay *);

/* ---- relay_units.c: lines and events ---- */

enum relay_step relay_units_feed(struct relay *, struct slice piece);
enum relay_step relay_units_end(struct relay *); /* the body is over; what is left is a line */
/* Reads a line's meaning: done, error, first token, counts. */
void relay_watch_line(struct relay *, struct slice unit, struct chat_event *);
void relay_take_tokens(struct relay *, uint64_t input, uint64_t output);

/* ---- relay_whole.c: replies that are collected ---- */

enum relay_step relay_whole_feed(struct relay *, struct slice piece);
enum relay_step relay_whole_end(struct relay *);
enum relay_step relay_answer_end(struct relay *);
enum relay_step relay_models_end(struct relay *);
enum relay_step relay_filter_end(struct relay *);

/* ---- relay_beat.c: heartbeats and progress ---- */

void relay_beat_init(struct relay *);
void relay_beat_arm(struct relay *);

/* ---- relay_fail.c ---- */

/* It failed; detail may be NULL. */
enum relay_step relay_fail(struct relay *, enum relay_fault, const char *detail);
/* The upstream itself refused with this status; `words` are its own. */
enum relay_step relay_refused(struct relay *, unsigned status, struct slice words);

#endif
