/* SPDX-License-Identifier: MIT */
/* ollama_forward.c: what goes to Ollama for a request: the client's bytes, with at most two places
 * in them changed, or the original application's form written anew. */
#include "proto/ollama.h"

/* Bytes of the body, and what stands there instead. */
struct edit {
	const char *from, *to;
	struct slice text;
};

/* `"model":"NAME",` and the pieces of it that the places need. */
struct model_text {
	struct slice whole, member, value;
};

static bool model_text_make(struct arena *a, struct slice model, struct model_text *t)
{
	static const char key[] = "\"model\":";
	size_t cap = sizeof(key) + 6 * model.n + 3; /* at worst every byte is a \u escape */
	char *mem = arena_take(a, cap);
	struct buf b;

	if (mem == NULL)
		return false;
	buf_init(&b, mem, cap);
	if (!buf_put_str(&b, key) || !json_write_string(&b, model) || !buf_put_byte(&b, ','))
		return false;
	t->whole = buf_view(&b);
	t->member = slice_make(mem, t->whole.n - 1);
	t->value = slice_from(t->member, sizeof(key) - 1);
	return true;
}

static struct edit edit_make(struct slice place, struct slice text)
{
	struct edit e = { place.p, place.p + place.n, text };

	return e;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Takes a member out, and one comma with it: the one behind it, else the one before it. */
static struct edit edit_cut(struct slice member)
{
	const char *from = member.p, *to = from + member.n, *p = to;

	while (is_space(*p)) /* a bracket or comma is sure to come, on either side */
		p++;
	if (*p == ',') {
		to = p + 1;
	} else {
		for (p = from - 1; is_space(*p);)
			p--;
		if (*p == ',')
			from = p;
	}
	return edit_make(slice_make(from, (size_t)(to - from)), slice_make(NULL, 0));
}

static bool is_empty(struct json_value object)
{
	struct json_walk w;
	struct json_member m;

	json_walk_init(&w, object);
	return !json_walk_next(&w, &m);
}

/* Where the model goes. A keep_alive that has to go makes room for a model that has to come: then
 * there are no commas to think of (*cut is cleared). */
static struct edit edit_model(const struct ollama_request *req, const struct model_text *t,
			      bool *cut)
{
	struct slice start = { req->top.raw.p + 1, 0 };

	if (req->model.type != JSON_NONE)
		return edit_make(req->model.raw, t->value);
	if (req->model_member.n > 0)
		return edit_make(req->model_member, t->member);
	if (*cut) {
		*cut = false;
		return edit_make(req->keep_alive_member, t->member);
	}
	return edit_make(start, is_empty(req->top) ? t->member : t->whole);
}

static size_t put_part(struct slice *parts, size_t n, struct slice s)
{
	if (s.n == 0)
		return n;
	parts[n] = s;
	return n + 1;
}

static size_t write_edited(struct slice body, const struct edit *edits, size_t count,
			   struct slice *parts)
{
	const char *p = body.p;
	size_t i, n = 0;

	for (i = 0; i < count; i++) {
		n = put_part(parts, n, slice_make(p, (size_t)(edits[i].from - p)));
		n = put_part(parts, n, edits[i].text);
		p = edits[i].to;
	}
	return put_part(parts, n, slice_make(p, (size_t)(body.p + body.n - p)));
}

/* The earlier turns go on as they are, as they did in the original; each has been judged. */
static size_t write_origin(const struct ollama_request *req, struct slice model,
			   struct slice *parts)
{
	struct slice turns = { NULL, 0 };
	size_t n = 0;

	if (req->messages.type == JSON_ARRAY && !is_empty(req->messages))
		turns = slice_make(req->messages.raw.p + 1, req->messages.raw.n - 2);
	n = put_part(parts, n, SLICE("{"));
	if (model.n > 0) {
		n = put_part(parts, n, SLICE("\"model\":"));
		n = put_part(parts, n, model);
		n = put_part(parts, n, SLICE(","));
	}
	n = put_part(parts, n, SLICE("\"messages\":["));
	if (turns.n > 0) {
		n = put_part(parts, n, turns);
		n = put_part(parts, n, SLICE(","));
	}
	n = put_part(parts, n, SLICE("{\"role\":\"user\",\"content\":"));
	n = put_part(parts, n, req->prompt.raw);
	return put_part(parts, n, SLICE("}],\"stream\":true}"));
}

size_t ollama_request_write(const struct ollama_request *req, struct slice model,
			    bool replace_model, bool cut_keep_alive, struct arena *a,
			    struct slice parts[OLLAMA_PARTS_MAX])
{
	bool put = model.n > 0 && (req->model.type == JSON_NONE || replace_model);
	bool cut = cut_keep_alive && req->keep_alive_member.n > 0;
	struct model_text text = { .value = req->model.raw };
	struct edit edits[2];
	size_t count = 0;

	if (req->kind == OLLAMA_ADMIN)
		return put_part(parts, 0, req->body);
	if (put && !model_text_make(a, model, &text))
		return 0;
	if (req->origin_form)
		return write_origin(req, text.value, parts);
	if (put)
		edits[count++] = edit_model(req, &text, &cut);
	if (cut)
		edits[count++] = edit_cut(req->keep_alive_member);
	if (count == 2 && edits[1].from < edits[0].from) {
		struct edit first = edits[1];

		edits[1] = edits[0];
		edits[0] = first;
	}
	return write_edited(req->body, edits, count, parts);
}
