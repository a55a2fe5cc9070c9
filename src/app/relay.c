/* SPDX-License-Identifier: MIT */
/* relay.c: the life of a relay: its turn, the model, its connection, its deadlines, its end, and
 * whoever leaves in between. */
#include "app/relay_parts.h"
#include "base/fmt.h"

enum {
	BLOCK = 4096,
	KEEPER_GRACE_MS = 2000, /* beyond --connect-timeout, which the keeper enforces */
};

void relay_timer_arm(struct relay *r, int64_t ms)
{
	if (ms > 0)
		loop_timer_after(r->server->env.loop, &r->timer, ms);
	else
		loop_timer_clear(r->server->env.loop, &r->timer);
}

void relay_state_enter(struct relay *r, enum relay_state state)
{
	r->state = state;
	r->state_ms = relay_now(r);
	relay_beat_arm(r);
}

/* ---- turns ---- */

void relay_turns_publish(struct server *s, const struct admission *gate)
{
	s->env.shared->active = gate->active;
	s->env.shared->queued = gate->queued;
}

void relay_turn_leave(struct server *s, struct admission *gate, struct ticket *t, bool served)
{
	struct ticket *next = admission_leave(gate, t, loop_now(s->env.loop), served);

	if (next != NULL) /* not from here: a queue of failing requests must not nest */
		loop_later(s->env.loop, &((struct relay *)next->owner)->begin);
}

static void publish(struct relay *r)
{
	if (r->plan.generation)
		relay_turns_publish(r->server, r->plan.gate);
}

static void leave_gate(struct relay *r)
{
	if (r->plan.gate == NULL || r->ticket.state == TICKET_NONE)
		return;
	relay_turn_leave(r->server, r->plan.gate, &r->ticket,
			 r->result == METRIC_OK || r->result == METRIC_TIMEOUT);
	publish(r);
}

void relay_refuse_hopeless(struct server *s, struct admission *gate, int64_t deadline)
{
	struct ticket *t;

	while ((t = admission_hopeless(gate, loop_now(s->env.loop), deadline)) != NULL)
		relay_fail(t->owner, FAULT_DRAINING, NULL);
}

/* ---- the end ---- */

static void count(struct relay *r)
{
	static const char *const names[] = { "ok", "error", "cancelled", "rejected", "timeout" };
	struct metrics *m = r->server->env.metrics;

	r->conn->req->log.result = names[r->result];
	if (r->plan.admin && r->result == METRIC_OK) /* models may have come or gone */
		server_ask_probe(r->server);
	if (!r->plan.generation)
		return;
	metrics_generation(m, r->result);
	metrics_tokens(m, r->input_tokens, r->output_tokens);
	r->conn->req->log.tokens = r->output_tokens;
	if (r->result == METRIC_OK && r->server->env.shared->first_generation_ms == 0)
		r->server->env.shared->first_generation_ms = relay_now(r);
	if (r->began_ms > 0 && r->reply_byte)
		metrics_observe(m, METRIC_GENERATION, relay_now(r) - r->began_ms);
}

struct conn *relay_release(struct relay *r, bool keep_upstream)
{
	struct server *s = r->server;
	struct conn *c = r->conn;

	loop_timer_clear(s->env.loop, &r->timer);
	loop_timer_clear(s->env.loop, &r->total);
	loop_timer_clear(s->env.loop, &r->beat);
	loop_later_cancel(&r->begin);
	upstream_cancel(s->upstreams, &r->wait);
	loader_leave(&r->load);
	if (r->plan.gate != NULL && c->req->log.queue_ms < 0)
		c->req->log.queue_ms = relay_now(r) - r->asked_ms;
	if (r->plan.mode != RELAY_PASS) /* then the backend says so */
		count(r);
	leave_gate(r);
	if (r->up != NULL) {
		struct upstream *up = r->up;

		r->up = NULL;
		upstream_give(up, keep_upstream);
	}
	mem_give(&s->mem, r->head, r->head_cap);
	mem_give(&s->mem, r->carry.base, r->carry_cap);
	mem_give(&s->mem, r->answer.base, r->answer_cap);
	mem_give(&s->mem, r, r->cap);
	return c;
}

static void on_gone(void *work)
{
	struct relay *r = work;

	r->result = r->done ? METRIC_OK : METRIC_CANCELLED;
	relay_release(r, false);
}

/* ---- connecting ---- */

static void on_connection(void *ctx, struct upstream *up, enum connect_fault fault, const char *why)
{
	struct relay *r = ctx;

	if (up == NULL) {
		relay_fail(r, fault == CONNECT_REFUSED ? FAULT_REFUSED : FAULT_UNREACHABLE, why);
		return;
	}
	r->up = up;
	relay_state_enter(r, RELAY_HEAD);
	relay_timer_arm(r, r->plan.first_byte_ms);
	upstream_use(up, relay_on_upstream, r, LOOP_READ | LOOP_PEER);
	relay_request_send(r);
}

void relay_connect(struct relay *r)
{
	relay_state_enter(r, RELAY_CONNECTING);
	relay_timer_arm(r, r->server->env.config->connect_timeout_ms + KEEPER_GRACE_MS);
	upstream_take(r->server->upstreams, &r->wait);
}

/* ---- a turn ---- */

static void go(struct relay *r)
{
	r->began_ms = relay_now(r);
	if (r->plan.total_ms > 0)
		loop_timer_after(r->server->env.loop, &r->total, r->plan.total_ms);
	relay_connect(r);
}

static void on_loaded(void *ctx, enum load_end end)
{
	struct relay *r = ctx;

	if (end == LOAD_TIMED_OUT)
		relay_fail(r, FAULT_FIRST_BYTE, NULL);
	else
		go(r);
}

/* True: the relay goes on when the model is there, or is gone already. */
static bool wait_for_model(struct relay *r)
{
	const struct relay_plan *p = &r->plan;
	int64_t since;

	if (p->loader == NULL || !loader_lacks(p->loader, p->model))
		return false;
	since = loader_loading(p->loader, p->model);
	relay_state_enter(r, RELAY_LOADING);
	if (since > 0)
		r->state_ms = since;
	return loader_join(p->loader, &r->load, p->model, p->load, &r->ticket);
}

static void on_cut(void *work)
{
	relay_fail(work, FAULT_STOPPING, NULL);
}

static const struct work_ops leaving_ops = { on_gone, relay_on_drained, true, on_cut };
static const struct work_ops patient_ops = { on_gone, relay_on_drained, false, on_cut };

static void begin(struct relay *r)
{
	if (r->plan.gate != NULL)
		r->conn->req->log.queue_ms = relay_now(r) - r->asked_ms;
	if (r->plan.generation)
		metrics_observe(r->server->env.metrics, METRIC_QUEUE_WAIT,
				relay_now(r) - r->asked_ms);
	publish(r);
	relay_timer_arm(r, 0);
	if (!r->plan.fin_is_gone) /* whoever half-closed while it waited has left all the same */
		conn_work_start(r->conn, &patient_ops, r);
	if (!wait_for_model(r))
		go(r);
}

static void on_begin(void *ctx, unsigned events)
{
	(void)events;
	begin(ctx);
}

/* ---- deadlines ---- */

static void on_timer(void *ctx, int64_t now)
{
	static const enum relay_fault faults[] = {
		[RELAY_QUEUED] = FAULT_QUEUE_TIMEOUT,
		[RELAY_LOADING] = FAULT_FIRST_BYTE,
		[RELAY_CONNECTING] = FAULT_UNREACHABLE,
		[RELAY_HEAD] = FAULT_FIRST_BYTE,
		[RELAY_BODY] = FAULT_STALL,
	};
	struct relay *r = ctx;

	(void)now;
	relay_fail(r, faults[r->state],
		   r->state == RELAY_CONNECTING ? "no connection in time" : NULL);
}

static void on_total(void *ctx, int64_t now)
{
	(void)now;
	relay_fail(ctx, FAULT_TOO_SLOW, NULL);
}

/* ---- start ---- */

static struct relay *relay_make(struct conn *c, const struct relay_plan *plan)
{
	size_t cap, i;
	struct relay *r = mem_take(&c->server->mem, BLOCK, &cap);

	if (r == NULL)
		return NULL;
	memset(r, 0, sizeof(*r));
	r->server = c->server;
	r->conn = c;
	r->cap = cap;
	r->plan = *plan;
	r->wait.fresh = plan->admin; /* and so there is no retry */
	r->length = -1;
	r->asked_ms = relay_now(r);
	for (i = 0; i < plan->part_count; i++)
		r->to_send += plan->parts[i].n;
	timer_init(&r->timer, on_timer, r);
	timer_init(&r->total, on_total, r);
	r->begin.fn = on_begin;
	r->begin.ctx = r;
	r->wait.fn = on_connection;
	r->wait.ctx = r;
	r->load.fn = on_loaded;
	r->load.ctx = r;
	relay_beat_init(r);
	return r;
}

/* During a drain nobody is let in who would come to his turn after its end. */
static bool is_hopeless(const struct relay *r)
{
	int64_t deadline = r->server->env.shared->drain_deadline_ms;

	return r->plan.generation && deadline > 0 &&
	       r->asked_ms + admission_estimate(r->plan.gate, r->conn->req->party) > deadline;
}

static enum admit ask(struct relay *r)
{
	struct ticket *displaced = NULL;
	enum admit a;

	if (r->plan.gate == NULL)
		return ADMIT_RUN;
	a = admission_ask(r->plan.gate, &r->ticket, r->conn->req->party, r, r->asked_ms,
			  &displaced);
	publish(r);
	if (displaced != NULL)
		relay_fail(displaced->owner, FAULT_QUEUE_FULL, NULL);
	return a;
}

void relay_start(struct conn *c, const struct relay_plan *plan)
{
	struct relay *r = relay_make(c, plan);

	_Static_assert(sizeof(struct relay) <= BLOCK, "a relay fits in its block");
	if (r == NULL) {
		conn_error(c, 503, SLICE("out of memory"), 5);
		return;
	}
	conn_work_start(c, &leaving_ops, r);
	if (plan->parts[0].n == 0) { /* there was no room for it */
		relay_fail(r, FAULT_MEMORY, NULL);
		return;
	}
	if (is_hopeless(r)) {
		relay_fail(r, FAULT_DRAINING, NULL);
		return;
	}
	switch (ask(r)) {
	case ADMIT_RUN:
		begin(r);
		break;
	case ADMIT_WAIT:
		relay_state_enter(r, RELAY_QUEUED);
		relay_timer_arm(r, c->server->env.config->queue_timeout_ms);
		break;
	case ADMIT_FULL:
		relay_fail(r, FAULT_QUEUE_FULL, NULL);
		break;
	case ADMIT_TOO_LONG:
		relay_fail(r, FAULT_WAIT_TOO_LONG, NULL);
		break;
	}
}
