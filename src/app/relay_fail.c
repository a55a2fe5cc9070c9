/* SPDX-License-Identifier: MIT */
/* relay_fail.c: failures, told to the client in the way its reply allows. */
#include "app/relay_parts.h"
#include "base/fmt.h"
#include "proto/openai.h"

/* ---- ends ---- */

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

static void error_unit(struct relay *r, struct buf *b, unsigned status, struct slice text,
		       unsigned wait)
{
	if (r->mode == RELAY_EVENTS) {
		openai_error_event_write(b, status, text, r->plan.responses);
		return;
	}
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

/* After our head is out: in the stream's own words where whole units were sent, else by a break
 * that no client takes for an end. */
static void fail_committed(struct conn *c, enum relay_mode mode, bool mid_unit, struct slice unit)
{
	if ((mode != RELAY_LINES && mode != RELAY_EVENTS) || mid_unit) {
		conn_abort(c);
		return;
	}
	conn_send(c, unit);
	conn_finish(c);
}

/* The upstream's own words may quote a prompt: they are for the client alone. */
static void log_failure(struct relay *r, unsigned status, const char *text, const char *detail)
{
	char mem[512];
	struct buf b;
	struct log_line l;

	r->conn->req->log.result = status == 503 ? "rejected" : status == 504 ? "timeout" : "error";
	buf_init(&b, mem, sizeof(mem));
	log_begin(&l, r->server->env.log, r->server->cutting ? LOG_INFO : LOG_WARN,
		  "request failed");
	log_text(&l, "request_id", r->conn->req->id);
	log_num(&l, "status", status);
	log_text(&l, "why", fail_text(r, &b, text, r->quoting ? NULL : detail));
	log_end(&l);
}

enum relay_step relay_fail(struct relay *r, unsigned status, const char *text, const char *detail)
{
	char mem[512], unit_mem[2048];
	struct buf b, unit;
	struct slice words;
	enum relay_mode mode = r->mode;
	bool committed = r->committed, mid = r->mid_unit;
	unsigned wait = status == 503 || status == 429 ? relay_retry_after(r) : 0;
	struct conn *c;

	if (r->done ||
	    (r->error_seen && committed)) { /* it had said its end; how it hung up is no matter */
		r->up_keep = false;
		relay_carry_drop(r);
		return relay_reply_done(r);
	}
	buf_init(&b, mem, sizeof(mem));
	words = fail_text(r, &b, text, detail);
	log_failure(r, status, text, detail);
	buf_init(&unit, unit_mem, sizeof(unit_mem));
	error_unit(r, &unit, status, words, wait);
	if (!committed && r->plan.mode == RELAY_MODELS) {
		reply_no_models(relay_release(r, false), words);
		return RELAY_ENDED;
	}
	c = relay_release(r, false);
	if (committed)
		fail_committed(c, mode, mid, buf_view(&unit));
	else
		conn_error(c, status, words, wait);
	return RELAY_ENDED;
}
