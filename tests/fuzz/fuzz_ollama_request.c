/* SPDX-License-Identifier: MIT */
/* fuzz_ollama_request.c: any bytes as a request body. The first byte chooses the kind and what is to
 * be changed. What goes on to Ollama is JSON again, says the model that was meant, and is the
 * client's own bytes when nothing had to be changed. */
#include "proto/ollama.h"

#include "fuzz.h"

static char memory[1 << 20], joined[1 << 20];

static struct slice join(const struct slice *parts, size_t n)
{
	struct buf b;
	size_t i;

	buf_init(&b, joined, sizeof(joined));
	for (i = 0; i < n; i++) {
		MUST(parts[i].n > 0);
		MUST(buf_put(&b, parts[i]));
	}
	return buf_view(&b);
}

static void check_origin(const struct ollama_request *req, struct json_value out)
{
	struct json_value messages = json_find(out, SLICE("messages")),
			  last = { JSON_NONE, { NULL, 0 } };
	struct json_member m;
	struct json_walk w;

	MUST(json_find(out, SLICE("stream")).type == JSON_TRUE);
	json_walk_init(&w, messages);
	while (json_walk_next(&w, &m))
		last = json_find(m.value, SLICE("content"));
	MUST(slice_eq(last.raw, req->prompt.raw));
}

static void check_model(const struct ollama_request *req, struct json_value out, struct slice model,
			bool replace)
{
	struct json_value got = json_find(out, SLICE("model"));

	if (req->kind == OLLAMA_ADMIN)
		return;
	if (req->kind == OLLAMA_SHOW && req->model.type == JSON_STRING &&
	    !slice_eq(got.raw, req->model.raw))
		got = json_find(out, SLICE("name"));
	if (model.n > 0 && (replace || req->model.type == JSON_NONE))
		MUST(json_string_is(got, model) || req->kind == OLLAMA_SHOW);
	else if (req->model.type == JSON_STRING)
		MUST(slice_eq(got.raw, req->model.raw));
}

static void check_write(const struct ollama_request *req, struct slice model, bool replace,
			bool cut, struct arena *a)
{
	struct slice parts[OLLAMA_PARTS_MAX], out;
	struct ollama_request again;
	struct json_value top;
	struct json_error err;
	size_t n = ollama_request_write(req, model, replace, cut, a, parts);
	bool known = req->kind == OLLAMA_CHAT || req->kind == OLLAMA_GENERATE ||
		     req->kind == OLLAMA_EMBED;

	MUST(n <= OLLAMA_PARTS_MAX);
	if (n == 0)
		return; /* the arena was full */
	out = join(parts, n);
	MUST(json_check(out, &top, &err) && top.type == JSON_OBJECT);
	if (req->origin_form)
		check_origin(req, top);
	check_model(req, top, model, replace);
	if (cut && known)
		MUST(json_find(top, SLICE("keep_alive")).type == JSON_NONE);
	if (!cut && !req->origin_form && !replace &&
	    (model.n == 0 || req->model.type == JSON_STRING))
		MUST(slice_eq(out, req->body));
	/* What we pass on we would also take, but for a chat that has lost its only member, and one
	 * that had as many keys as may be before it was given a model. */
	if (!ollama_request_read(req->kind, out, a, &again))
		MUST(slice_eq(again.error, SLICE("No JSON data provided")) ||
		     slice_eq(again.error, SLICE("too many keys")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ollama_request req;
	struct slice body;
	struct arena a;
	unsigned how;

	if (size == 0 || size > sizeof(joined) / 4)
		return 0;
	how = data[0];
	body = slice_make((const char *)data + 1, size - 1);
	/* now and then with little memory, or none */
	arena_init(&a, memory, how >> 6 == 3 ? 64 : how >> 6 == 2 ? 1024 : sizeof(memory));
	if (!ollama_request_read((enum ollama_kind)(how % 6), body, &a, &req)) {
		MUST(req.refuse == 400 && req.error.n > 0);
		return 0;
	}
	check_write(&req, how & 8 ? SLICE("m:\"\n") : slice_make("", 0), how & 16, how & 32, &a);
	return 0;
}
