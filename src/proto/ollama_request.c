/* SPDX-License-Identifier: MIT */
/* ollama_request.c: judges request bodies for Ollama, and says what is to be sent on. */
#include "proto/ollama.h"
#include "base/fmt.h"
#include "proto/utf8.h"

/* Ollama reads keys as Go does: the last of two equal ones wins, and "Model" is "model". Whoever
 * stands in front of it and reads the first one, or the exact one only, can be told one model and
 * Ollama another. So both are refused, and what goes on means the same to both of us. */

enum field {
	FIELD_OTHER, /* Ollama's business */
	FIELD_MODEL,
	FIELD_NAME, /* the old word for the model */
	FIELD_PROMPT,
	FIELD_MESSAGES,
	FIELD_STREAM,
	FIELD_CONVERSATION_ID,
	FIELD_KEEP_ALIVE,
};

#define CHAT     (1u << OLLAMA_CHAT)
#define GENERATE (1u << OLLAMA_GENERATE)
#define EMBED    (1u << OLLAMA_EMBED)
#define SHOW     (1u << OLLAMA_SHOW)
#define OPENAI   (1u << OLLAMA_OPENAI)
#define ADMIN    (1u << OLLAMA_ADMIN)
#define RUN      (CHAT | GENERATE)
#define ALL      (RUN | EMBED | SHOW | OPENAI | ADMIN)

/* Ollama's api/types.go and openai/openai.go; prompt and conversation_id of a chat are the
 * original application's. */
static const struct known {
	char name[20];
	uint8_t kinds, field;
} known_keys[] = {
	{ "model", ALL, FIELD_MODEL },
	{ "name", SHOW | ADMIN, FIELD_NAME },
	{ "prompt", RUN | EMBED | OPENAI, FIELD_PROMPT },
	{ "messages", CHAT | OPENAI | ADMIN, FIELD_MESSAGES },
	{ "stream", RUN | OPENAI | ADMIN, FIELD_STREAM },
	{ "conversation_id", CHAT, FIELD_CONVERSATION_ID },
	{ "keep_alive", RUN | EMBED, FIELD_KEEP_ALIVE },
	{ "options", RUN | EMBED | SHOW, FIELD_OTHER },
	{ "format", RUN, FIELD_OTHER },
	{ "think", RUN, FIELD_OTHER },
	{ "truncate", RUN | EMBED, FIELD_OTHER },
	{ "shift", RUN, FIELD_OTHER },
	{ "logprobs", RUN | OPENAI, FIELD_OTHER },
	{ "top_logprobs", RUN | OPENAI, FIELD_OTHER },
	{ "_debug_render_only", RUN | OPENAI, FIELD_OTHER },
	{ "tools", CHAT | OPENAI, FIELD_OTHER },
	{ "suffix", GENERATE | OPENAI, FIELD_OTHER },
	{ "system", GENERATE | SHOW | ADMIN, FIELD_OTHER },
	{ "template", GENERATE | SHOW | ADMIN, FIELD_OTHER },
	{ "context", GENERATE, FIELD_OTHER },
	{ "raw", GENERATE, FIELD_OTHER },
	{ "images", GENERATE, FIELD_OTHER },
	{ "input", EMBED | OPENAI, FIELD_OTHER },
	{ "dimensions", EMBED | OPENAI, FIELD_OTHER },
	{ "verbose", SHOW, FIELD_OTHER },
	{ "stream_options", OPENAI, FIELD_OTHER },
	{ "max_tokens", OPENAI, FIELD_OTHER },
	{ "seed", OPENAI, FIELD_OTHER },
	{ "stop", OPENAI, FIELD_OTHER },
	{ "temperature", OPENAI, FIELD_OTHER },
	{ "top_p", OPENAI, FIELD_OTHER },
	{ "frequency_penalty", OPENAI, FIELD_OTHER },
	{ "presence_penalty", OPENAI, FIELD_OTHER },
	{ "response_format", OPENAI, FIELD_OTHER },
	{ "reasoning", OPENAI, FIELD_OTHER },
	{ "reasoning_effort", OPENAI, FIELD_OTHER },
	{ "encoding_format", OPENAI, FIELD_OTHER },
	{ "background", OPENAI, FIELD_OTHER },
	{ "conversation", OPENAI, FIELD_OTHER },
	{ "include", OPENAI, FIELD_OTHER },
	{ "instructions", OPENAI, FIELD_OTHER },
	{ "max_output_tokens", OPENAI, FIELD_OTHER },
	{ "text", OPENAI, FIELD_OTHER },
	{ "truncation", OPENAI, FIELD_OTHER },
	{ "source", ADMIN, FIELD_OTHER },
	{ "destination", ADMIN, FIELD_OTHER },
	{ "from", ADMIN, FIELD_OTHER },
	{ "files", ADMIN, FIELD_OTHER },
	{ "insecure", ADMIN, FIELD_OTHER },
	{ "quantize", ADMIN, FIELD_OTHER },
	{ "adapters", ADMIN, FIELD_OTHER },
	{ "license", ADMIN, FIELD_OTHER },
	{ "parameters", ADMIN, FIELD_OTHER },
};

struct reader {
	struct ollama_request *req;
	struct arena *arena;
	struct json_value name;         /* OLLAMA_SHOW: `name` */
	uint64_t seen[OLLAMA_KEYS_MAX]; /* hashes of the keys so far */
	unsigned keys;
};

/* --- Saying no ---------------------------------------------------------------------------------- */

static struct buf text_start(struct reader *r)
{
	enum { ROOM = 320 };
	struct buf b;
	char *mem = arena_take(r->arena, ROOM);

	buf_init(&b, mem, mem != NULL ? ROOM : 0);
	return b;
}

static bool refuse(struct reader *r, const struct buf *text)
{
	r->req->refuse = 400;
	r->req->error = buf_len(text) > 0 ? buf_view(text) : SLICE("bad request");
	return false;
}

static bool refuse_str(struct reader *r, const char *text)
{
	r->req->refuse = 400;
	r->req->error = slice_str(text);
	return false;
}

/* A client's key in quotes, readable, and cut when it is long. */
static void put_key(struct buf *b, struct slice raw)
{
	unsigned left = 40;
	char utf8[4];
	uint32_t c;

	buf_put_byte(b, '"');
	while (left-- > 0 && json_raw_next(&raw, &c))
		buf_put(b, slice_make(utf8, utf8_put(utf8, c)));
	buf_put_str(b, raw.n > 0 ? "...\"" : "\"");
}

static bool refuse_syntax(struct reader *r, struct slice body, const struct json_error *err)
{
	struct buf b = text_start(r);

	buf_put_str(&b, "invalid JSON at byte ");
	fmt_u64(&b, err->offset);
	buf_put_str(&b, ": ");
	buf_put_str(&b, body.n == 0 ? "missing request body" : err->why);
	return refuse(r, &b);
}

static bool refuse_repeated(struct reader *r, struct slice key)
{
	struct buf b = text_start(r);

	buf_put_str(&b, "repeated key ");
	put_key(&b, key);
	return refuse(r, &b);
}

static bool refuse_spelling(struct reader *r, struct slice key, const char *known)
{
	struct buf b = text_start(r);

	buf_put_str(&b, "unknown spelling ");
	put_key(&b, key);
	buf_put_str(&b, " of \"");
	buf_put_str(&b, known);
	buf_put_str(&b, "\"");
	return refuse(r, &b);
}

/* "messages[3].content must be a string" */
static bool refuse_message(struct reader *r, uint64_t index, const char *what)
{
	struct buf b = text_start(r);

	buf_put_str(&b, "messages[");
	fmt_u64(&b, index);
	buf_put_str(&b, "]");
	buf_put_str(&b, what);
	return refuse(r, &b);
}

/* --- Keys --------------------------------------------------------------------------------------- */

struct key {
	uint64_t hash;  /* of all its characters, folded */
	char text[20];  /* folded, as far as it fits */
	size_t n;       /* in characters; sizeof(text) or more: no known key */
	bool respelled; /* folding changed something */
};

/* Go's encoding/json, foldName: what may be equal to an ASCII name. */
static uint32_t fold(uint32_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c + ('a' - 'A');
	return c == 0x17f ? 's' : c == 0x212a ? 'k' : c; /* long s, Kelvin sign */
}

static struct key key_fold(struct slice raw)
{
	struct key k = { .hash = 0xcbf29ce484222325u }; /* FNV-1a, a character at a time */
	uint32_t c;

	while (json_raw_next(&raw, &c)) {
		uint32_t f = fold(c);

		k.hash = (k.hash ^ f) * 0x100000001b3u;
		k.respelled |= f != c;
		if (k.n < sizeof(k.text))
			k.text[k.n] = (char)(f < 0x80 ? f : 0);
		k.n++;
	}
	return k;
}

static const struct known *known_find(const struct key *k, enum ollama_kind kind)
{
	size_t i;

	if (k->n >= sizeof(k->text))
		return NULL;
	for (i = 0; i < ARRAY_LEN(known_keys); i++) {
		const struct known *known = &known_keys[i];

		if ((known->kinds & 1u << kind) && strlen(known->name) == k->n &&
		    memcmp(known->name, k->text, k->n) == 0)
			return known;
	}
	return NULL;
}

/* Equal hashes are taken for equal keys: by chance they are not (64 bits, 256 keys), and who makes
 * them on purpose gets an error for his own request. Comparing instead would let him spend our
 * time, with long keys that differ only at their ends. */
static bool key_is_new(struct reader *r, const struct key *k)
{
	unsigned i;

	for (i = 0; i < r->keys; i++)
		if (r->seen[i] == k->hash)
			return false;
	return true;
}

/* Which field a key is; false: refused. */
static bool read_key(struct reader *r, struct slice raw, enum field *field)
{
	struct key k = key_fold(raw);
	const struct known *known = known_find(&k, r->req->kind);

	if (!key_is_new(r, &k))
		return refuse_repeated(r, raw);
	if (known != NULL && k.respelled)
		return refuse_spelling(r, raw, known->name);
	if (r->keys == OLLAMA_KEYS_MAX)
		return refuse_str(r, "too many keys");
	r->seen[r->keys++] = k.hash;
	*field = known != NULL ? (enum field)known->field : FIELD_OTHER;
	return true;
}

/* --- Fields ------------------------------------------------------------------------------------- */

static bool is_empty_string(struct json_value v)
{
	return v.type == JSON_STRING && v.raw.n == 2;
}

static bool is_absent(struct json_value v)
{
	return v.type == JSON_NONE || v.type == JSON_NULL;
}

static bool is_empty_array(struct json_value v)
{
	struct json_walk w;
	struct json_member m;

	json_walk_init(&w, v);
	return v.type == JSON_ARRAY && !json_walk_next(&w, &m);
}

static bool read_model(struct reader *r, const struct json_member *m)
{
	if (m->value.type != JSON_STRING && m->value.type != JSON_NULL)
		return refuse_str(r, "model must be a string");
	if (m->value.type == JSON_STRING && !is_empty_string(m->value))
		r->req->model = m->value;
	else
		r->req->model_member = m->whole;
	return true;
}

static bool read_name(struct reader *r, struct json_value v)
{
	if (v.type != JSON_STRING && v.type != JSON_NULL)
		return refuse_str(r, "name must be a string");
	if (v.type == JSON_STRING && !is_empty_string(v))
		r->name = v;
	return true;
}

static bool read_stream(struct reader *r, struct json_value v)
{
	if (v.type == JSON_TRUE)
		r->req->stream = OLLAMA_STREAM_ON;
	else if (v.type == JSON_FALSE)
		r->req->stream = OLLAMA_STREAM_OFF;
	else if (v.type != JSON_NULL)
		return refuse_str(r, "stream must be true or false");
	return true;
}

static bool read_prompt(struct reader *r, struct json_value v)
{
	if (r->req->kind == OLLAMA_CHAT && v.type != JSON_STRING && v.type != JSON_NULL)
		return refuse_str(r, "prompt must be a string");
	r->req->prompt = v;
	return true;
}

static bool read_messages(struct reader *r, struct json_value v)
{
	if (r->req->kind == OLLAMA_CHAT && v.type != JSON_ARRAY && v.type != JSON_NULL)
		return refuse_str(r, "messages must be an array");
	r->req->messages = v;
	return true;
}

static bool read_member(struct reader *r, const struct json_member *m)
{
	enum field field;

	if (!read_key(r, m->key, &field))
		return false;
	switch (field) {
	case FIELD_MODEL:
		return read_model(r, m);
	case FIELD_NAME:
		return read_name(r, m->value);
	case FIELD_PROMPT:
		return read_prompt(r, m->value);
	case FIELD_MESSAGES:
		return read_messages(r, m->value);
	case FIELD_STREAM:
		return read_stream(r, m->value);
	case FIELD_CONVERSATION_ID:
		r->req->conversation_id = m->value;
		return true;
	case FIELD_KEEP_ALIVE:
		r->req->keep_alive = m->value;
		r->req->keep_alive_member = m->whole;
		return true;
	case FIELD_OTHER:
		break;
	}
	return true;
}

/* --- The whole ---------------------------------------------------------------------------------- */

/* One pass for all three; of repeated keys the first one counts, as for json_find(). */
static void message_read(struct json_value message, struct json_value *role,
			 struct json_value *content, struct json_value *images)
{
	struct json_member m;
	struct json_walk w;

	role->type = content->type = images->type = JSON_NONE;
	json_walk_init(&w, message);
	while (json_walk_next(&w, &m)) {
		if (role->type == JSON_NONE && json_raw_is(m.key, SLICE("role")))
			*role = m.value;
		else if (content->type == JSON_NONE && json_raw_is(m.key, SLICE("content")))
			*content = m.value;
		else if (images->type == JSON_NONE && json_raw_is(m.key, SLICE("images")))
			*images = m.value;
	}
}

static bool judge_message(struct reader *r, uint64_t index, struct json_value message)
{
	struct json_value role, content, images;

	if (message.type != JSON_OBJECT)
		return refuse_message(r, index, " must be an object");
	message_read(message, &role, &content, &images);
	if (role.type != JSON_STRING)
		return refuse_message(r, index, ".role must be a string");
	if (content.type != JSON_STRING)
		return refuse_message(r, index, ".content must be a string");
	if (!is_absent(images) && images.type != JSON_ARRAY)
		return refuse_message(r, index, ".images must be an array");
	return true;
}

/* The original application's form: earlier turns in `messages`, the new one in `prompt`. */
static bool judge_origin(struct reader *r)
{
	struct ollama_request *req = r->req;
	enum json_type id = req->conversation_id.type;
	struct json_walk w;
	struct json_member m;
	uint64_t i;

	if (is_empty_string(req->prompt))
		return refuse_str(r, "Prompt is required");
	/* The original echoed whatever it was given; these two kinds can be echoed as they are. */
	if (!is_absent(req->conversation_id) && id != JSON_STRING && id != JSON_NUMBER)
		return refuse_str(r, "conversation_id must be a string");
	if (id == JSON_NULL)
		req->conversation_id.type = JSON_NONE;
	json_walk_init(&w, req->messages);
	for (i = 0; json_walk_next(&w, &m); i++)
		if (!judge_message(r, i, m.value))
			return false;
	req->origin_form = true;
	return true;
}

/* A keep_alive of nothing: 0 or, as a string, a Go duration like "0", "0s" or "0h0.0m". */
static bool is_zero(struct json_value v)
{
	struct slice raw = v.raw;
	bool digit = false;
	uint32_t c;

	if (v.type != JSON_NUMBER && v.type != JSON_STRING)
		return false;
	while (json_raw_next(&raw, &c)) {
		if (v.type == JSON_NUMBER && (c == 'e' || c == 'E'))
			break;
		if (c >= '1' && c <= '9')
			return false;
		digit |= c == '0';
	}
	return digit;
}

static bool is_unload(const struct ollama_request *req)
{
	if (!is_zero(req->keep_alive))
		return false;
	if (req->kind == OLLAMA_CHAT)
		return is_absent(req->prompt) &&
		       (is_absent(req->messages) || is_empty_array(req->messages));
	return req->kind == OLLAMA_GENERATE &&
	       (is_absent(req->prompt) || is_empty_string(req->prompt));
}

static bool read_members(struct reader *r)
{
	struct json_walk w;
	struct json_member m;

	json_walk_init(&w, r->req->top);
	while (json_walk_next(&w, &m))
		if (!read_member(r, &m))
			return false;
	if (r->name.type == JSON_STRING && r->req->model.type == JSON_NONE) {
		r->req->model = r->name;
		r->req->model_member = slice_make(NULL, 0);
	}
	return true;
}

bool ollama_request_read(enum ollama_kind kind, struct slice body, struct arena *a,
			 struct ollama_request *req)
{
	struct reader r;
	struct json_error err;

	r.req = req;
	r.arena = a;
	r.keys = 0;
	r.name = (struct json_value){ JSON_NONE, { NULL, 0 } };
	*req = (struct ollama_request){ .kind = kind, .body = body };
	if (!json_check(body, &req->top, &err))
		return refuse_syntax(&r, body, &err);
	if (kind == OLLAMA_CHAT && req->top.type == JSON_NULL)
		return refuse_str(&r, "No JSON data provided");
	if (req->top.type != JSON_OBJECT)
		return refuse_str(&r, "body must be an object");
	if (!read_members(&r))
		return false;
	if (kind == OLLAMA_CHAT && r.keys == 0)
		return refuse_str(&r, "No JSON data provided");
	if (kind == OLLAMA_CHAT && req->prompt.type == JSON_STRING && !judge_origin(&r))
		return false;
	req->unload_only = is_unload(req);
	return true;
}
