/* SPDX-License-Identifier: MIT */
/* sse.c: watches an event stream pass by. */
#include "proto/sse.h"
#include "proto/openai.h"

/* WHATWG HTML, 9.2.5: lines end with CR LF, LF or CR; an empty line ends an event; a line that
 * begins with a colon is a comment and belongs to none. */
enum {
	STATE_BLANK, /* at the start of a line, and no event begun */
	STATE_EVENT, /* at the start of a line of a begun event */
	STATE_LINE,  /* inside a line */
	STATE_MASK = 3,
	IN_EVENT = 4, /* inside a line: an event was begun before it */
	AFTER_CR = 8, /* a LF would belong to the line end that was just seen */
};

void sse_watch_init(struct sse_watch *w)
{
	w->done = w->error = false;
	w->input_tokens = w->output_tokens = 0;
	w->between = true;
	w->state = STATE_BLANK;
	w->kept = 0;
}

static bool has_text(struct slice s, struct slice what)
{
	const char *p;

	while (s.n >= what.n && (p = memchr(s.p, what.p[0], s.n - what.n + 1)) != NULL) {
		s = slice_from(s, (size_t)(p - s.p));
		if (slice_starts(s, what))
			return true;
		s = slice_from(s, 1);
	}
	return false;
}

static bool is_last_response(struct slice type)
{
	return slice_eq(type, SLICE("response.completed")) ||
	       slice_eq(type, SLICE("response.incomplete")) ||
	       slice_eq(type, SLICE("response.failed"));
}

static void read_data(struct sse_watch *w, struct slice data, bool cut)
{
	struct json_value top, v;
	struct json_error err;

	if (slice_eq(data, SLICE("[DONE]"))) {
		w->done = true;
		return;
	}
	/* Nearly no line has one of these words; those that have are worth a closer look. */
	if (!has_text(data, SLICE("\"error\"")) && !has_text(data, SLICE("\"response.")) &&
	    !has_text(data, SLICE("\"usage\":{")))
		return;
	if (cut) {
		w->error |= slice_starts(data, SLICE("{\"error\":{"));
		w->done |= has_text(data, SLICE("\"type\":\"response.completed\"")) ||
			   has_text(data, SLICE("\"type\":\"response.incomplete\"")) ||
			   has_text(data, SLICE("\"type\":\"response.failed\""));
		return;
	}
	if (!json_check(data, &top, &err))
		return;
	openai_usage_read(top, &w->input_tokens, &w->output_tokens);
	v = json_find(top, SLICE("error"));
	w->error |= v.type != JSON_NONE && v.type != JSON_NULL;
	v = json_find(top, SLICE("type"));
	w->error |= json_string_is(v, SLICE("error"));
	if (v.type == JSON_STRING)
		w->done |= is_last_response(json_string_raw(v));
}

/* Splits "name: value"; one space behind the colon is not part of the value. */
static void read_field(struct sse_watch *w, struct slice line, bool cut)
{
	const char *colon = memchr(line.p, ':', line.n);
	struct slice name = line, value = { "", 0 };

	if (colon != NULL) {
		name.n = (size_t)(colon - line.p);
		value = slice_from(line, name.n + 1);
		if (value.n > 0 && value.p[0] == ' ')
			value = slice_from(value, 1);
	}
	if (slice_eq(name, SLICE("data"))) {
		read_data(w, value, cut);
	} else if (slice_eq(name, SLICE("event"))) {
		w->error |= slice_eq(value, SLICE("error"));
		w->done |= is_last_response(value);
	}
}

static void end_line(struct sse_watch *w)
{
	unsigned state = w->state & STATE_MASK;
	bool event = state == STATE_EVENT || (w->state & IN_EVENT);

	if (state != STATE_LINE) {
		event = false; /* an empty line */
	} else if (w->line[0] != ':') {
		event = true;
		read_field(w, slice_make(w->line, MIN(w->kept, sizeof(w->line))),
			   w->kept > sizeof(w->line));
	}
	w->kept = 0;
	w->state = event ? STATE_EVENT : STATE_BLANK;
}

/* Bytes inside a line: the start of it is kept; one byte more is counted when there is more. */
static void keep(struct sse_watch *w, struct slice s)
{
	size_t n = w->kept < sizeof(w->line) ? MIN(s.n, sizeof(w->line) - w->kept) : 0;

	if ((w->state & STATE_MASK) != STATE_LINE)
		w->state = STATE_LINE | ((w->state & STATE_MASK) == STATE_EVENT ? IN_EVENT : 0);
	if (n > 0)
		memcpy(w->line + w->kept, s.p, n);
	w->kept += (uint32_t)n;
	if (s.n > n)
		w->kept = sizeof(w->line) + 1;
}

static size_t line_len(struct slice s)
{
	size_t n = 0;

	while (n < s.n && s.p[n] != '\n' && s.p[n] != '\r')
		n++;
	return n;
}

void sse_watch_feed(struct sse_watch *w, struct slice s)
{
	while (s.n > 0) {
		size_t n = line_len(s);

		if (n > 0) {
			keep(w, slice_make(s.p, n));
			s = slice_from(s, n);
			continue;
		}
		if (s.p[0] == '\n' && (w->state & AFTER_CR)) {
			w->state &= (uint8_t)~AFTER_CR;
		} else {
			end_line(w);
			w->state |= s.p[0] == '\r' ? AFTER_CR : 0;
		}
		s = slice_from(s, 1);
	}
	w->between = (w->state & STATE_MASK) == STATE_BLANK;
}
