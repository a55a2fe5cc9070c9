/* SPDX-License-Identifier: MIT */
/* ollama_reply.c: what Ollama answers: lines of its streams, and its lists of models. */
#include "proto/ollama.h"
#include "proto/openai.h"
#include "base/fmt.h"

/* --- Lines of a stream -------------------------------------------------------------------------- */

struct line {
	struct chat_event *e;
	bool done, delta, usage;
};

static void read_content(struct line *l, struct json_value text)
{
	if (text.type != JSON_STRING)
		return;
	l->delta = true;
	l->e->content = json_string_raw(text);
}

/* The keys of a line that mean something to us; Ollama spells them without escapes. */
static void read_member(struct line *l, const struct json_member *m)
{
	struct json_value v = m->value;

	if (slice_eq(m->key, SLICE("message"))) {
		read_content(l, json_find(v, SLICE("content")));
	} else if (slice_eq(m->key, SLICE("response"))) {
		read_content(l, v);
	} else if (slice_eq(m->key, SLICE("error"))) {
		if (v.type == JSON_STRING && v.raw.n > 2)
			l->e->error = v;
	} else if (slice_eq(m->key, SLICE("done"))) {
		l->done = v.type == JSON_TRUE;
	} else if (slice_eq(m->key, SLICE("usage"))) {
		l->usage = v.type == JSON_OBJECT;
	} else if (slice_eq(m->key, SLICE("status"))) {
		l->e->success = json_string_is(v, SLICE("success"));
	} else if (slice_eq(m->key, SLICE("prompt_eval_count"))) {
		json_u64(v, &l->e->prompt_eval_count);
	} else if (slice_eq(m->key, SLICE("eval_count"))) {
		json_u64(v, &l->e->eval_count);
	}
}

void ollama_line_read(struct slice text, struct chat_event *e)
{
	struct line l = { .e = e };
	struct json_value top;
	struct json_error err;
	struct json_walk w;
	struct json_member m;

	*e = (struct chat_event){ .type = CHAT_BROKEN };
	if (!json_check(text, &top, &err) || top.type != JSON_OBJECT)
		return;
	json_walk_init(&w, top);
	while (json_walk_next(&w, &m))
		read_member(&l, &m);
	if (l.usage)
		openai_usage_read(top, &e->prompt_eval_count, &e->eval_count);
	if (e->error.type == JSON_STRING)
		e->type = CHAT_ERROR;
	else if (l.done)
		e->type = CHAT_DONE;
	else
		e->type = l.delta ? CHAT_DELTA : CHAT_OTHER;
}

bool ollama_error_write(struct buf *b, struct slice text)
{
	size_t before = buf_len(b);

	if (buf_put_str(b, "{\"error\":") && json_write_string(b, text) && buf_put_byte(b, '}'))
		return true;
	b->tail = b->head + before;
	return false;
}

/* --- Model names -------------------------------------------------------------------------------- */

struct name {
	struct slice host, space, model, tag;
};

/* Cuts s at its last `c`: what follows is returned, s keeps what came before. p == NULL: no `c`. */
static struct slice cut_last(struct slice *s, char c)
{
	struct slice rest = { NULL, 0 };
	size_t i = s->n;

	while (i > 0 && s->p[i - 1] != c)
		i--;
	if (i > 0) {
		rest = slice_from(*s, i);
		s->n = i - 1;
	}
	return rest;
}

/* Ollama's types/model/name.go, ParseNameBare. A colon belongs to the tag only behind the last
 * slash (elsewhere it is a port's). False: a piece that was promised is empty, or
 * there are too many. */
static bool name_split(struct slice s, struct name *n)
{
	struct slice piece, before = s;

	*n = (struct name){ SLICE("registry.ollama.ai"), SLICE("library"), s, SLICE("latest") };
	piece = cut_last(&before, ':');
	if (piece.p != NULL && (piece.n == 0 || memchr(piece.p, '/', piece.n) == NULL)) {
		n->tag = piece;
		s = before;
	}
	piece = cut_last(&s, '/');
	n->model = piece.p != NULL ? piece : s;
	if (piece.p != NULL) {
		piece = cut_last(&s, '/');
		n->space = piece.p != NULL ? piece : s;
	}
	if (piece.p != NULL) {
		n->host = s;
		if (slice_starts(s, SLICE("https://")) || slice_starts(s, SLICE("http://")))
			n->host = slice_from(s, s.p[4] == 's' ? 8 : 7);
	}
	return n->tag.n > 0 && n->model.n > 0 && n->space.n > 0 && n->host.n > 0 &&
	       memchr(n->host.p, '/', n->host.n) == NULL;
}

static bool put_lower(struct buf *b, struct slice s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (!buf_put_byte(b, ascii_lower(s.p[i])))
			return false;
	return true;
}

static bool put_name(struct buf *b, const struct name *n)
{
	bool host = !slice_eq_nocase(n->host, SLICE("registry.ollama.ai"));
	bool space = host || !slice_eq_nocase(n->space, SLICE("library"));

	if (host && !(put_lower(b, n->host) && buf_put_byte(b, '/')))
		return false;
	if (space && !(put_lower(b, n->space) && buf_put_byte(b, '/')))
		return false;
	return put_lower(b, n->model) && buf_put_byte(b, ':') && put_lower(b, n->tag);
}

bool ollama_name_normalise(struct buf *b, struct slice text)
{
	size_t before = buf_len(b);
	struct name n;

	if (text.n <= OLLAMA_NAME_MAX && name_split(text, &n) && put_name(b, &n))
		return true;
	b->tail = b->head + before;
	return false;
}

bool ollama_name_eq(struct slice a, struct slice b)
{
	struct name x, y;
	bool space;

	if (!name_split(a, &x) || !name_split(b, &y))
		return false;
	space = slice_eq_nocase(x.space, y.space);
	return space && slice_eq_nocase(x.host, y.host) && slice_eq_nocase(x.model, y.model) &&
	       slice_eq_nocase(x.tag, y.tag);
}

/* --- Lists of models ---------------------------------------------------------------------------- */

/* Entries of a /api/tags or /api/ps reply, one after the other. */
struct list {
	struct json_walk walk;
	struct arena *arena; /* for one name at a time */
	size_t used;
	struct json_value entry, raw_name;
	struct slice name;
};

static bool list_init(struct list *l, struct slice reply, struct arena *a)
{
	struct json_value top, models;
	struct json_error err;

	if (!json_check(reply, &top, &err))
		return false;
	models = json_find(top, SLICE("models"));
	if (models.type != JSON_ARRAY && models.type != JSON_NULL)
		return false;
	json_walk_init(&l->walk, models);
	l->arena = a;
	l->used = a->used;
	return true;
}

/* The next entry that has a name. The arena is the caller's again until the next call. */
static bool list_next(struct list *l)
{
	struct json_member m;

	while (json_walk_next(&l->walk, &m)) {
		l->arena->used = l->used;
		l->entry = m.value;
		l->raw_name = json_find(m.value, SLICE("name"));
		if (l->raw_name.type != JSON_STRING)
			l->raw_name = json_find(m.value, SLICE("model"));
		if (l->raw_name.type != JSON_STRING || l->raw_name.raw.n > 6 * OLLAMA_NAME_MAX)
			continue;
		l->name = json_unescape(l->arena, l->raw_name);
		if (l->name.n > 0)
			return true;
	}
	l->arena->used = l->used;
	return false;
}

static struct slice trim(struct slice s)
{
	while (s.n > 0 && s.p[0] == ' ')
		s = slice_from(s, 1);
	while (s.n > 0 && s.p[s.n - 1] == ' ')
		s.n--;
	return s;
}

bool ollama_name_allowed(struct slice only, struct slice name)
{
	bool empty = trim(only).n == 0;

	while (!empty && only.n > 0) {
		const char *comma = memchr(only.p, ',', only.n);
		size_t n = comma != NULL ? (size_t)(comma - only.p) : only.n;

		if (ollama_name_eq(trim(slice_make(only.p, n)), name))
			return true;
		only = slice_from(only, comma != NULL ? n + 1 : n);
	}
	return empty;
}

/* A member of our reply: the value at `node` if it is of that type, else null. */
static bool put_value(struct buf *b, const char *before, const struct json_tree *t, unsigned node,
		      enum json_type type)
{
	struct json_value v = { JSON_NONE, { NULL, 0 } };

	if (node != 0)
		v = json_tree_value(t, node);
	return buf_put_str(b, before) && buf_put(b, v.type == type ? v.raw : SLICE("null"));
}

static bool put_details(struct buf *b, const struct list *l, const struct json_tree *t)
{
	static const struct {
		const char *before;
		struct slice key;
	} texts[] = {
		{ ",\"family\":", SLICE_INIT("family") },
		{ ",\"parameter_size\":", SLICE_INIT("parameter_size") },
		{ ",\"quantization_level\":", SLICE_INIT("quantization_level") },
	};
	unsigned details = json_tree_find(t, 0, SLICE("details")), node;
	size_t i;

	if (!buf_put_str(b, "{\"name\":") || !buf_put(b, l->raw_name.raw) ||
	    !put_value(b, ",\"size\":", t, json_tree_find(t, 0, SLICE("size")), JSON_NUMBER))
		return false;
	for (i = 0; i < ARRAY_LEN(texts); i++) {
		node = details != 0 ? json_tree_find(t, details, texts[i].key) : 0;
		if (!put_value(b, texts[i].before, t, node, JSON_STRING))
			return false;
	}
	node = json_tree_find(t, 0, SLICE("capabilities"));
	return put_value(b, ",\"capabilities\":", t, node, JSON_ARRAY) && buf_put_byte(b, '}');
}

/* Names, or details, of the allowed models, with commas; their number, -1 when there is no room. */
static int put_list(struct buf *b, struct slice reply, struct slice only, struct arena *a,
		    bool details)
{
	struct list l;
	int n = 0;

	list_init(&l, reply, a);
	while (list_next(&l)) {
		struct json_tree *t;

		if (!ollama_name_allowed(only, l.name))
			continue;
		if (n++ > 0 && !buf_put_byte(b, ','))
			return -1;
		if (!details && !buf_put(b, l.raw_name.raw))
			return -1;
		if (details && ((t = json_tree_make(a, l.entry)) == NULL || !put_details(b, &l, t)))
			return -1;
	}
	return n;
}

enum parse ollama_models_write(struct slice tags_reply, struct slice default_model,
			       struct slice only, struct arena *a, struct buf *out)
{
	size_t before = buf_len(out), used = a->used;
	struct list l;
	bool ok;
	int n;

	if (!list_init(&l, tags_reply, a))
		return PARSE_BAD;
	ok = buf_put_str(out, "{\"models\":[") &&
	     (n = put_list(out, tags_reply, only, a, false)) >= 0 &&
	     buf_put_str(out, "],\"count\":") && fmt_u64(out, (uint64_t)n) &&
	     buf_put_str(out, ",\"default\":") &&
	     (default_model.n > 0 ? json_write_string(out, default_model)
				  : buf_put_str(out, "null")) &&
	     buf_put_str(out, ",\"details\":[") && put_list(out, tags_reply, only, a, true) >= 0 &&
	     buf_put_str(out, "]}");
	a->used = used;
	if (!ok)
		out->tail = out->head + before;
	return ok ? PARSE_DONE : PARSE_MORE;
}

int ollama_names_list(struct slice reply, struct arena *a, struct buf *out)
{
	bool room = true;
	struct list l;
	int n = 0;

	if (!list_init(&l, reply, a))
		return -1;
	for (; list_next(&l); n++) {
		size_t left;

		buf_space(out, &left);
		room = room && left >= l.name.n + 2;
		if (room && n > 0)
			buf_put_str(out, ", ");
		if (room)
			buf_put(out, l.name);
	}
	return n;
}

bool ollama_names_has(struct slice reply, struct slice model, struct arena *a)
{
	struct list l;

	if (!list_init(&l, reply, a))
		return false;
	while (list_next(&l))
		if (ollama_name_eq(l.name, model)) {
			a->used = l.used;
			return true;
		}
	return false;
}

/* --- Lists as they are, but shorter -------------------------------------------------------------- */

static struct json_value entry_name(struct json_value entry)
{
	static const struct slice keys[] = { SLICE_INIT("name"), SLICE_INIT("model"),
					     SLICE_INIT("id") };
	struct json_value v = { JSON_NONE, { NULL, 0 } };
	size_t i;

	for (i = 0; i < ARRAY_LEN(keys) && v.type != JSON_STRING; i++)
		v = json_find(entry, keys[i]);
	return v;
}

static bool entry_stays(struct json_value entry, struct slice only, struct arena *a)
{
	struct json_value v = entry_name(entry);
	size_t used = a->used;
	struct slice name;

	if (v.type != JSON_STRING || v.raw.n > 6 * OLLAMA_NAME_MAX)
		return false;
	name = json_unescape(a, v);
	a->used = used;
	return name.n > 0 && ollama_name_allowed(only, name);
}

enum parse ollama_list_filter(struct slice reply, struct slice only, struct arena *a,
			      struct buf *out)
{
	struct json_value top, list;
	struct json_error err;
	struct json_member m;
	struct json_walk w;
	size_t before = buf_len(out), count = 0;
	const char *end;
	bool ok;

	if (!json_check(reply, &top, &err))
		return PARSE_BAD;
	list = json_find(top, SLICE("models"));
	if (list.type == JSON_NONE)
		list = json_find(top, SLICE("data"));
	if (list.type == JSON_NULL)
		return buf_put(out, reply) ? PARSE_DONE : PARSE_MORE;
	if (list.type != JSON_ARRAY)
		return PARSE_BAD;
	end = list.raw.p + list.raw.n - 1; /* its bracket */
	ok = buf_put(out, slice_make(reply.p, (size_t)(list.raw.p - reply.p) + 1));
	json_walk_init(&w, list);
	while (ok && json_walk_next(&w, &m))
		if (entry_stays(m.value, only, a))
			ok = (count++ == 0 || buf_put_byte(out, ',')) && buf_put(out, m.value.raw);
	ok = ok && buf_put(out, slice_from(reply, (size_t)(end - reply.p)));
	if (!ok)
		out->tail = out->head + before;
	return ok ? PARSE_DONE : PARSE_MORE;
}
