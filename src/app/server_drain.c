/* SPDX-License-Identifier: MIT */
/* server_drain.c: how a worker ends: what runs may finish, what is idle goes, and what is left at
 * the deadline is cut in words. The keeper says when. */
#include "app/conn.h"
#include "app/wire.h"
#include "io/sock.h"

enum { LAST_WORDS_MS = 500 /* for clients to take them, after the deadline */ };

static void tell_role(struct server *s)
{
	int64_t deadline = s->env.shared->drain_deadline_ms;

	if (s->drain_told_ms == deadline)
		return;
	s->drain_told_ms = deadline;
	if (s->kind->on_drain != NULL)
		s->kind->on_drain(s);
}

static void handover(struct server *s)
{
	server_listen_stop(s, false); /* what waits there is the successor's */
	server_exit_when_empty(s);
}

static void finish(struct server *s)
{
	unsigned i;

	server_listen_stop(s, true);
	for (i = 0; i < s->fresh; i++)
		if (s->slab[i].state != CONN_FREE)
			conn_drain(&s->slab[i]);
	server_exit_when_empty(s);
}

static void cut(struct server *s)
{
	struct wire w = { 0 };
	unsigned i;

	s->cutting = true;
	server_listen_stop(s, false);
	for (i = 0; i < s->fresh; i++) {
		struct conn *c = &s->slab[i];

		if (c->state == CONN_HEAD)
			conn_drain(c);
		if (c->state != CONN_HEAD && c->state != CONN_BODY && c->state != CONN_WORK)
			continue; /* a whole reply may still be taken */
		w.value += c->state != CONN_HEAD;
		conn_stop(c);
	}
	w.type = WIRE_WAS_CUT;
	sock_send_message(s->start->channel, &w, sizeof(w), -1);
	loop_timer_after(s->env.loop, &s->drain_timer, LAST_WORDS_MS);
	server_exit_when_empty(s);
}

static void on_last_words_said(void *ctx, int64_t now)
{
	struct server *s = ctx;

	(void)now;
	loop_stop(s->env.loop);
}

void server_drain_init(struct server *s)
{
	timer_init(&s->drain_timer, on_last_words_said, s);
}

bool server_drain_on_wire(struct server *s, const struct wire *w)
{
	switch (w->type) {
	case WIRE_HANDOVER:
		tell_role(s);
		handover(s);
		return true;
	case WIRE_ANNOUNCE:
		tell_role(s);
		return true;
	case WIRE_FINISH:
		tell_role(s);
		finish(s);
		return true;
	case WIRE_CUT:
		cut(s);
		return true;
	default:
		return false;
	}
}
