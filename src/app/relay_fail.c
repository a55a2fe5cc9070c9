/* SPDX-License-Identifier: MIT */
/* relay_fail.c: failures: what each is called, counted as, and how the client is told in the way
 * its reply still allows. */
#include "app/relay_parts.h"
#include "base/fmt.h"
#include "proto/openai.h"

enum {
	NOT_OLLAMAS = METRIC_FAULTS, /* the upstream did nothing wrong */
	WORDS_MAX = 600,             /* escaped they are up to six times as long */
};

/* % stands for the upstream's name. */
static const struct fault {
	unsigned status;
	const char *text;
	enum metric_result result;
	unsigned count_as; /* enum metric_fault */
} faults[FAULT_COUNT] = {
	[FAULT_MEMORY] = { 503, "out of memory", METRIC_REJECTED, NOT_OLLAMAS },
	[FAULT_QUEUE_FULL] = { 503, "the queue is full, try again later", METRIC_REJECTED,
			       NOT_OLLAMAS },
	[FAULT_WAIT_TOO_LONG] = { 503, "the wait would be too long, try again later",
				  METRIC_REJECTED, NOT_OLLAMAS },
	[FAULT_QUEUE_TIMEOUT] = { 503, "no turn came free in time, try again later",
				  METRIC_REJECTED, NOT_OLLAMAS },
	[FAULT_DRAINING] = { 503, "this server is stopping before your turn would come, try again",
			     METRIC_REJECTED, NOT_OLLAMAS },
	[FAULT_STOPPING] = { 503, "this server is stopping, try again", METRIC_REJECTED,
			     NOT_OLLAMAS },
	[FAULT_REFUSED] = { 502, "cannot reach %", METRIC_ERROR, METRIC_FAULT_REFUSED },
	[FAULT_UNREACHABLE] = { 502, "cannot reach %", METRIC_ERROR, METRIC_FAULT_CONNECT },
	[FAULT_HANGUP] = { 502, "% hung up before it answered", METRIC_ERROR, METRIC_FAULT_HANGUP },
	[FAULT_NONSENSE] = { 502, "% answered nonsense", METRIC_ERROR, METRIC_FAULT_NONSENSE },
	[FAULT_FORBIDDEN] = { 502,
			      "% refuses our requests (403); check its OLLAMA_HOST and "
			      "OLLAMA_ORIGINS",
			      METRIC_ERROR, METRIC_FAULT_STATUS },
	[FAULT_FIRST_BYTE] = { 504, "% gave no answer in time", METRIC_TIMEOUT,
			       METRIC_FAULT_FIRST_BYTE },
	[FAULT_STALL] = { 504, "% fell silent in mid-answer", METRIC_TIMEOUT, METRIC_FAULT_STALL },
	[FAULT_BROKEN] = { 502, "% broke off in mid-answer", METRIC_ERROR, METRIC_FAULT_BROKEN },
	[FAULT_UNFINISHED] = { 502, "% ended its answer before it was done", METRIC_ERROR,
			       METRIC_FAULT_UNFINISHED },
	[FAULT_TOO_SLOW] = { 504, "the answer took longer than --max-generation allows",
			     METRIC_TIMEOUT, METRIC_FAULT_TOO_LONG },
	[FAULT_TOO_LARGE] = { 502, "the answer is longer than 8 MiB", METRIC_ERROR,
			      METRIC_FAULT_TOO_LONG },
	[FAULT_IN_STREAM] = { 502, "% broke off", METRIC_ERROR, METRIC_FAULT_IN_STREAM },
};

/* The words for a failure: % is the upstream. */
static struct slice fail_text(const struct relay *r, struct buf *b, const char *text,
			      const char *detail)
{
	for (; *text != '\0'; text++) {
		if (*text == '%')
			buf_put(b, r->server->start->upstream_name);
		else
			buf_put_byte(b, *text);
	}
	if (detail != NULL && *detail != '\0') {
		buf_put_str(b, ": ");
		buf_put_str(b, detail);
	}
	return buf_view(b);
}

/* ---- telling ---- */

/* {"error":text,"models":[]}, as the page of the original expects it. */
static void reply_no_models(struct conn *c, struct slice text)
{
	char mem[2048];
	struct buf b;

	buf_init(&b, mem, sizeof(mem));
	buf_put(&b, SLICE("{\"error\":"));
	json_write_string(&b, text);
	buf_put(&b, SLICE(",\"models\":[]}"));
	conn_reply(c, 503, SLICE("application/json"), SLICE("Retry-After: 5\r\n"), buf_view(&b));
}

/* {"error":text,"status":503,"retry_after":5} and a newline. */
static void error_line(struct buf *b, unsigned status, struct slice text, unsigned wait)
{
	buf_put(b, SLICE("{\"error\":"));
	json_write_string(b, text);
	buf_put(b, SLICE(",\"status\":"));
	fmt_u64(b, status);
	if (wait > 0) {
		buf_put(b, SLICE(",\"retry_after\":"));
		fmt_u64(b, wait);
	}
	buf_put(b, SLICE("}\n"));
}

static void error_unit(const struct relay *r, struct buf *b, unsigned status, struct slice text,
		       unsigned wait)
{
	const struct route *route = r->conn->req->route;

	if (relay_form_of(r) == RELAY_FORM_EVENTS)
		openai_error_event_write(b, status, text, r->plan.responses);
	else if (relay_form_of(r) == RELAY_FORM_WHOLE && (route->flags & ROUTE_OPENAI))
		openai_error_write(b, status, text);
	else
		error_line(b, status, text, wait);
}

/* How a reply ends whose head is out already. */
enum ending {
	END_IN_BAND, /* in the stream's own words */
	END_SHORT,   /* the error, and no proper end: nobody takes it for an answer */
	END_BREAK,   /* in the middle of something: a break is all that is left */
};

static enum ending ending_of(const struct relay *r)
{
	if (r->mid_unit || r->mode == RELAY_PASS)
		return END_BREAK;
	if (relay_form_of(r) != RELAY_FORM_WHOLE)
		return END_IN_BAND;
	return r->early && !r->body_out ? END_SHORT : END_BREAK;
}

static void end_committed(struct conn *c, enum ending how, struct slice unit)
{
	switch (how) {
	case END_IN_BAND:
		conn_send(c, unit);
		conn_finish(c);
		break;
	case END_SHORT:
		conn_send(c, unit);
		conn_finish_short(c);
		break;
	case END_BREAK:
		conn_abort(c);
		break;
	}
}

/* The relay's last words. */
static enum relay_step tell(struct relay *r, unsigned status, struct slice words)
{
	char mem[4096];
	struct buf unit;
	bool committed = r->committed, models = r->plan.mode == RELAY_MODELS;
	enum ending ending = ending_of(r);
	unsigned wait = status == 503 || status == 429 ? relay_retry_after(r) : 0;
	struct conn *c;

	words.n = MIN(words.n, (size_t)WORDS_MAX);
	buf_init(&unit, mem, sizeof(mem));
	error_unit(r, &unit, status, words, wait);
	if (committed)
		r->conn->req->log.intended_status = status;
	c = relay_release(r, false);
	if (committed)
		end_committed(c, ending, buf_view(&unit));
	else if (models)
		reply_no_models(c, words);
	else
		conn_error(c, status, words, wait);
	return RELAY_ENDED;
}

/* ---- causes ---- */

/* The upstream's own words may quote a prompt: they are for the client alone. */
static void log_failure(struct relay *r, unsigned status, struct slice why)
{
	struct log_line l;

	log_begin(&l, r->server->env.log, r->server->cutting ? LOG_INFO : LOG_WARN,
		  "request failed");
	log_text(&l, "request_id", r->conn->req->id);
	log_num(&l, "status", status);
	log_text(&l, "why", why);
	log_end(&l);
}

/* Whether the stream said its end before it failed. */
static bool has_ended(const struct relay *r)
{
	bool stream = r->mode == RELAY_LINES || r->mode == RELAY_EVENTS || r->mode == RELAY_ANSWER;

	return stream && (r->done || (r->error_seen && r->committed));
}

enum relay_step relay_fail(struct relay *r, enum relay_fault fault, const char *detail)
{
	const struct fault *f = &faults[fault];
	char mem[512];
	struct buf b;

	if (has_ended(r)) { /* how it hung up is no matter */
		r->up_keep = false;
		relay_carry_drop(r);
		return relay_reply_done(r);
	}
	r->result = f->result;
	if (f->count_as != NOT_OLLAMAS && r->plan.mode != RELAY_PASS)
		metrics_fault(r->server->env.metrics, f->count_as);
	buf_init(&b, mem, sizeof(mem));
	log_failure(r, f->status,
		    fail_text(r, &b, f->text, fault == FAULT_IN_STREAM ? NULL : detail));
	buf_init(&b, mem, sizeof(mem));
	return tell(r, f->status, fail_text(r, &b, f->text, detail));
}

enum relay_step relay_refused(struct relay *r, unsigned status, struct slice words)
{
	r->result = METRIC_ERROR;
	log_failure(r, status, SLICE("refused by the upstream"));
	return tell(r, status, words);
}
