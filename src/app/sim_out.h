/* SPDX-License-Identifier: MIT */
/* sim_out.h: writing JSON as Go writes it, all or nothing. Header only. */
#ifndef APP_SIM_OUT_H
#define APP_SIM_OUT_H

#include "base/fmt.h"
#include "proto/json.h"

struct sim_out {
	struct buf *b;
	size_t before;
	bool ok;
};

static inline struct sim_out sim_out_begin(struct buf *b)
{
	return (struct sim_out){ b, buf_len(b), true };
}

/* Takes everything back when something did not fit. */
static inline bool sim_out_end(struct sim_out *o)
{
	if (!o->ok)
		o->b->tail = o->b->head + o->before;
	return o->ok;
}

static inline void out_raw(struct sim_out *o, struct slice s)
{
	o->ok = o->ok && buf_put(o->b, s);
}

static inline void out(struct sim_out *o, const char *s)
{
	o->ok = o->ok && buf_put_str(o->b, s);
}

static inline void out_u64(struct sim_out *o, uint64_t v)
{
	o->ok = o->ok && fmt_u64(o->b, v);
}

static inline void out_i64(struct sim_out *o, int64_t v)
{
	o->ok = o->ok && fmt_i64(o->b, v);
}

/* A time in RFC 3339, in quotes. */
static inline void out_time(struct sim_out *o, int64_t unix_ms)
{
	out(o, "\"");
	o->ok = o->ok && fmt_rfc3339(o->b, unix_ms);
	out(o, "\"");
}

/* Text inside a string; Go escapes what HTML might mind, too. */
static inline void out_escaped(struct sim_out *o, struct slice s)
{
	while (s.n > 0) {
		size_t n = 0;

		while (n < s.n && s.p[n] != '<' && s.p[n] != '>' && s.p[n] != '&')
			n++;
		o->ok = o->ok && json_write_escaped(o->b, slice_make(s.p, n));
		if (n < s.n)
			out(o, s.p[n] == '<' ? "\\u003c" : s.p[n] == '>' ? "\\u003e" : "\\u0026");
		s = slice_from(s, MIN(n + 1, s.n));
	}
}

static inline void out_text(struct sim_out *o, struct slice s)
{
	out(o, "\"");
	out_escaped(o, s);
	out(o, "\"");
}

#endif
