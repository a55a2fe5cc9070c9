/* SPDX-License-Identifier: MIT */
/* ollama_watch.c: a walk over JSON text that needs no more than the current key and value. */
#include "proto/ollama_watch.h"
#include "base/fmt.h"

void ollama_watch_init(struct ollama_watch *w)
{
	memset(w, 0, sizeof(*w));
}

/* Members are read of the object itself, and of `usage` in it. */
static bool is_seen(const struct ollama_watch *w)
{
	return w->depth == 1 || (w->depth == 2 && w->in_usage);
}

static void keep(struct ollama_watch *w, char c)
{
	if (is_seen(w) && w->token_n < sizeof(w->token))
		w->token[w->token_n++] = c;
}

static bool key_is(const struct ollama_watch *w, const char *name)
{
	return slice_eq(slice_make(w->key, w->key_n), slice_str(name));
}

static void take_count(const struct ollama_watch *w, uint64_t *count)
{
	uint64_t n;

	if (w->token_n < sizeof(w->token) && fmt_parse_u64(slice_make(w->token, w->token_n), &n))
		*count = n;
}

/* A member is over; a value that is a string was seen already. */
static void end_member(struct ollama_watch *w)
{
	if (w->has_key && w->depth == 1) {
		if (key_is(w, "done"))
			w->done |= slice_eq(slice_make(w->token, w->token_n), SLICE("true"));
		else if (key_is(w, "prompt_eval_count"))
			take_count(w, &w->input_tokens);
		else if (key_is(w, "eval_count"))
			take_count(w, &w->output_tokens);
	} else if (w->has_key) {
		if (key_is(w, "prompt_tokens") || key_is(w, "input_tokens"))
			take_count(w, &w->input_tokens);
		else if (key_is(w, "completion_tokens") || key_is(w, "output_tokens"))
			take_count(w, &w->output_tokens);
	}
	w->has_key = false;
	w->token_n = 0;
}

static void end_string(struct ollama_watch *w)
{
	w->in_string = false;
	if (w->has_key && w->depth == 1 && key_is(w, "error") && w->token_n > 0)
		w->error = true;
}

static void open_container(struct ollama_watch *w, char c)
{
	if (w->depth == 1 && w->has_key) {
		w->in_usage = c == '{' && key_is(w, "usage");
		w->error |= c == '{' && key_is(w, "error");
	}
	w->depth++;
	w->has_key = false;
	w->token_n = 0;
}

static void close_container(struct ollama_watch *w)
{
	if (is_seen(w))
		end_member(w);
	if (w->depth > 0)
		w->depth--;
	if (w->depth == 1)
		w->in_usage = false;
}

static void in_string(struct ollama_watch *w, char c)
{
	if (w->escaped) {
		w->escaped = false;
		keep(w, '\\'); /* no name we look for has one */
	} else if (c == '\\') {
		w->escaped = true;
	} else if (c == '"') {
		end_string(w);
	} else {
		keep(w, c);
	}
}

static void between(struct ollama_watch *w, char c)
{
	switch (c) {
	case '"':
		w->in_string = true;
		w->token_n = 0;
		break;
	case '{':
	case '[':
		open_container(w, c);
		break;
	case '}':
	case ']':
		close_container(w);
		break;
	case ',':
		if (is_seen(w))
			end_member(w);
		break;
	case ':':
		if (!is_seen(w))
			break;
		memcpy(w->key, w->token, w->token_n);
		w->key_n = w->token_n;
		w->token_n = 0;
		w->has_key = true;
		break;
	case ' ':
	case '\t':
	case '\r':
	case '\n':
		break;
	default:
		keep(w, c);
		break;
	}
}

void ollama_watch_feed(struct ollama_watch *w, struct slice s)
{
	size_t i;

	for (i = 0; i < s.n; i++) {
		if (w->in_string)
			in_string(w, s.p[i]);
		else
			between(w, s.p[i]);
	}
}
