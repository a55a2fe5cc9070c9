/* SPDX-License-Identifier: MIT */
/* relay_units.c: lines and events: each leaves whole, as one chunk, at once; then its meaning
 * is read. */
#include "app/relay_parts.h"

enum { UNIT_MAX = 64 * 1024 /* a longer line or event goes on in pieces */ };

/* ---- units: lines and events ---- */

/* Where the first unit in `view` ends (behind its newline, or the empty line of an event), or 0.
 * Nothing before `from` ends one. */
static size_t unit_end(const struct relay *r, struct slice view, size_t from)
{
	const char *p;

	while (from < view.n && (p = memchr(view.p + from, '\n', view.n - from)) != NULL) {
		size_t at = (size_t)(p - view.p);

		if (r->mode != RELAY_EVENTS)
			return at + 1;
		if (at == 0 || view.p[at - 1] == '\n' ||
		    (view.p[at - 1] == '\r' && (at == 1 || view.p[at - 2] == '\n')))
			return at + 1;
		from = at + 1;
	}
	return 0;
}

static void first_token(struct relay *r)
{
	struct request_log *log = &r->conn->req->log;

	if (log->ttft_ms >= 0)
		return;
	log->ttft_ms = relay_now(r) - r->began_ms;
	if (r->plan.generation)
		metrics_observe(r->server->env.metrics, METRIC_FIRST_TOKEN, log->ttft_ms);
}

static void in_stream_error(struct relay *r)
{
	/* a collected answer fails by relay_fail(), which counts it */
	if (!r->error_seen && r->plan.generation && r->mode != RELAY_ANSWER)
		metrics_fault(r->server->env.metrics, METRIC_FAULT_IN_STREAM);
	r->error_seen = true;
	r->conn->req->log.intended_status = 502;
}

void relay_take_tokens(struct relay *r, uint64_t input, uint64_t output)
{
	if (input == 0 && output == 0)
		return;
	r->input_tokens = input;
	r->output_tokens = output;
}

void relay_watch_line(struct relay *r, struct slice unit, struct chat_event *ev)
{
	ollama_line_read(unit, ev);
	relay_take_tokens(r, ev->prompt_eval_count, ev->eval_count);
	switch (ev->type) {
	case CHAT_DELTA:
		first_token(r);
		break;
	case CHAT_DONE:
		r->done = true;
		break;
	case CHAT_ERROR:
		in_stream_error(r);
		break;
	default:
		r->done = r->done || (r->plan.admin && ev->success);
		break;
	}
}

/* What the bytes that passed by have said so far. */
static void take_watched(struct relay *r)
{
	bool error = r->mode == RELAY_EVENTS ? r->sse.error : r->watch.error;

	r->done |= r->mode == RELAY_EVENTS ? r->sse.done : r->watch.done;
	if (error)
		in_stream_error(r);
	relay_take_tokens(r, r->mode == RELAY_EVENTS ? r->sse.input_tokens : r->watch.input_tokens,
			  r->mode == RELAY_EVENTS ? r->sse.output_tokens : r->watch.output_tokens);
	first_token(r);
}

/* The error's own words, NUL-ended. */
static void error_words(const struct chat_event *ev, char *out, size_t cap)
{
	char mem[1024];
	struct arena a;
	struct slice text;

	arena_init(&a, mem, sizeof(mem));
	text = json_unescape(&a, ev->error);
	if (text.p == NULL)
		text = SLICE("an error too long to repeat");
	text.n = MIN(text.n, cap - 1);
	memcpy(out, text.p, text.n);
	out[text.n] = '\0';
}

static enum relay_step answer_add(struct relay *r, const struct chat_event *ev)
{
	char words[256];

	if (ev->type == CHAT_BROKEN)
		return relay_fail(r, FAULT_NONSENSE, "a line that is no JSON object");
	if (ev->type == CHAT_ERROR) {
		error_words(ev, words, sizeof(words));
		r->error_seen = false; /* it is not passed on: we tell it */
		return relay_fail(r, FAULT_IN_STREAM, words);
	}
	if (ev->content.n > 0 &&
	    !relay_keep(r, &r->answer, &r->answer_cap, ev->content, RELAY_ANSWER_MAX))
		return relay_fail(r, FAULT_TOO_LARGE, NULL);
	return RELAY_GO_ON;
}

static bool is_blank(struct slice s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (s.p[i] != ' ' && s.p[i] != '\n' && s.p[i] != '\r' && s.p[i] != '\t')
			return false;
	return true;
}

/* One whole unit: its bytes first, its meaning after. */
static enum relay_step unit_out(struct relay *r, struct slice unit)
{
	struct chat_event ev;

	if (r->mode != RELAY_ANSWER) {
		relay_commit(r, -1);
		conn_send(r->conn, unit);
		r->out_ms = relay_now(r);
	}
	if (r->mode == RELAY_EVENTS) {
		sse_watch_feed(&r->sse, unit);
		take_watched(r);
		return RELAY_GO_ON;
	}
	if (is_blank(unit) ||
	    (r->mode == RELAY_ANSWER && r->done)) /* what follows the end is nothing */
		return RELAY_GO_ON;
	relay_watch_line(r, unit, &ev);
	return r->mode == RELAY_ANSWER ? answer_add(r, &ev) : RELAY_GO_ON;
}

/* A unit that outgrew its place leaves in pieces, and only its last byte makes it whole again. */
static void piece_out(struct relay *r, struct slice piece)
{
	relay_commit(r, -1);
	conn_send(r->conn, piece);
	r->out_ms = relay_now(r);
	if (r->mode == RELAY_EVENTS) {
		sse_watch_feed(&r->sse, piece);
		r->mid_unit = !r->sse.between;
	} else {
		if (!r->mid_unit)
			ollama_watch_init(&r->watch);
		ollama_watch_feed(&r->watch, piece);
		r->mid_unit = piece.p[piece.n - 1] != '\n';
	}
	if (!r->mid_unit)
		take_watched(r);
}

static enum relay_step carry_add(struct relay *r, struct slice piece)
{
	size_t max = r->mode == RELAY_ANSWER ? RELAY_ANSWER_MAX : UNIT_MAX;

	if (relay_keep(r, &r->carry, &r->carry_cap, piece, max))
		return RELAY_GO_ON;
	if (r->mode == RELAY_ANSWER)
		return relay_fail(r, FAULT_TOO_LARGE, NULL);
	if (buf_len(&r->carry) > 0)
		piece_out(r, buf_view(&r->carry));
	relay_carry_drop(r);
	piece_out(r, piece);
	return RELAY_GO_ON;
}

/* The rest of a unit of which a part is out already. */
static struct slice finish_long_unit(struct relay *r, struct slice piece)
{
	while (r->mid_unit && piece.n > 0) {
		const char *end = memchr(piece.p, '\n', piece.n);
		size_t n = end != NULL ? (size_t)(end - piece.p) + 1 : piece.n;

		piece_out(r, slice_make(piece.p, n));
		piece = slice_from(piece, n);
	}
	return piece;
}

/* Joins to what is carried no more than up to the next end. Says how much of the piece it took. */
static enum relay_step continue_carried(struct relay *r, struct slice piece, size_t *took)
{
	size_t before = buf_len(&r->carry), end = unit_end(r, piece, 0);

	*took = end > 0 ? end : piece.n;
	if (carry_add(r, slice_make(piece.p, *took)) == RELAY_ENDED)
		return RELAY_ENDED;
	if (buf_len(&r->carry) == 0) /* it went out in pieces */
		return RELAY_GO_ON;
	if (r->mode == RELAY_EVENTS)
		end = unit_end(r, buf_view(&r->carry), before > 2 ? before - 2 : 0);
	if (end == 0)
		return RELAY_GO_ON;
	if (unit_out(r, buf_view(&r->carry)) == RELAY_ENDED)
		return RELAY_ENDED;
	relay_carry_drop(r);
	return RELAY_GO_ON;
}

/* Empty lines go along with the next one: a chunk for each would cost more than they say. */
static size_t blank_lines(const struct relay *r, struct slice piece)
{
	size_t n = 0;

	while (n < piece.n && piece.p[n] == '\n')
		n++;
	return n;
}

enum relay_step relay_units_feed(struct relay *r, struct slice piece)
{
	size_t n;

	if (r->mid_unit)
		piece = finish_long_unit(r, piece);
	while (buf_len(&r->carry) > 0 && piece.n > 0) {
		if (continue_carried(r, piece, &n) == RELAY_ENDED)
			return RELAY_ENDED;
		piece = slice_from(piece, n);
	}
	while ((n = unit_end(r, piece, blank_lines(r, piece))) > 0) {
		if (unit_out(r, slice_make(piece.p, n)) == RELAY_ENDED)
			return RELAY_ENDED;
		piece = slice_from(piece, n);
	}
	return piece.n > 0 ? carry_add(r, piece) : RELAY_GO_ON;
}

/* A last line without its newline counts as a line. */
enum relay_step relay_units_end(struct relay *r)
{
	struct slice unit = buf_view(&r->carry);

	if (unit.n == 0 || r->mid_unit || r->mode == RELAY_EVENTS)
		return RELAY_GO_ON;
	if (!relay_keep(r, &r->carry, &r->carry_cap, SLICE("\n"), SIZE_MAX))
		return relay_fail(r, FAULT_MEMORY, NULL);
	return unit_out(r, buf_view(&r->carry));
}
