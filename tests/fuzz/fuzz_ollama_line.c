/* SPDX-License-Identifier: MIT */
/* fuzz_ollama_line.c: any bytes as a line of a stream, as a list of models, and as a name of one. */
#include "proto/ollama.h"

#include "fuzz.h"

static char memory[1 << 18], text[1 << 18];

static bool inside(struct slice part, struct slice whole)
{
	return part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

static void check_line(struct slice s)
{
	struct json_value top, v;
	struct json_error err;
	struct chat_event e;
	struct buf b;
	bool object = json_check(s, &top, &err) && top.type == JSON_OBJECT;

	ollama_line_read(s, &e);
	MUST((e.type != CHAT_BROKEN) == object);
	MUST(inside(e.content, s) && inside(e.error.raw, s));
	MUST((e.type == CHAT_ERROR) == (e.error.type == JSON_STRING));
	if (e.content.n > sizeof(text) - 2)
		return;
	/* Contents are joined as they are: between quotes each is a string. */
	buf_init(&b, text, sizeof(text));
	buf_put_byte(&b, '"');
	buf_put(&b, e.content);
	buf_put_byte(&b, '"');
	MUST(json_check(buf_view(&b), &v, &err) && v.type == JSON_STRING);
}

static void check_lists(struct slice s)
{
	struct json_value top;
	struct json_error err;
	struct arena a;
	struct buf b;
	int n;

	arena_init(&a, memory, sizeof(memory));
	buf_init(&b, text, sizeof(text));
	if (ollama_models_write(s, SLICE("a"), SLICE("a, b:c"), &a, &b) == PARSE_DONE)
		MUST(json_check(buf_view(&b), &top, &err) && top.type == JSON_OBJECT);
	else
		MUST(buf_len(&b) == 0);
	MUST(a.used == 0);
	buf_reset(&b);
	n = ollama_names_list(s, &a, &b);
	MUST(n >= -1 && (n > 0 || buf_len(&b) == 0));
	MUST(!ollama_names_has(s, SLICE("a"), &a) || n > 0);
	MUST(a.used == 0);
}

/* A name's plain form is equal to it, and its own plain form. */
static void check_name(struct slice s)
{
	char once[OLLAMA_NAME_MAX + 32], twice[OLLAMA_NAME_MAX + 32];
	struct buf b, c;

	buf_init(&b, once, sizeof(once));
	buf_init(&c, twice, sizeof(twice));
	if (!ollama_name_normalise(&b, s)) {
		MUST(buf_len(&b) == 0);
		return;
	}
	MUST(ollama_name_eq(s, buf_view(&b)));
	if (buf_len(&b) <= OLLAMA_NAME_MAX) {
		MUST(ollama_name_normalise(&c, buf_view(&b)));
		MUST(slice_eq(buf_view(&b), buf_view(&c)));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice s = { (const char *)data, size };

	check_line(s);
	check_lists(s);
	check_name(s);
	return 0;
}
