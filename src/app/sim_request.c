/* SPDX-License-Identifier: MIT */
/* sim_request.c: reads requests to the stand-in as Ollama reads them, and refuses in its words
 * (server/routes.go and middleware/openai.go of Ollama). */
#include "app/sim_field.h"
#include "proto/utf8.h"

/* --- The model ----------------------------------------------------------------------------------- */

static bool is_word(char c)
{
	return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z') ||
	       c == '_';
}

/* Ollama's types/model/name.go, isValidPart, for a whole name: close enough for a stand-in. */
static bool is_valid_name(struct slice name)
{
	char mem[SIM_NAME_MAX];
	struct buf b;
	size_t i;

	buf_init(&b, mem, sizeof(mem));
	if (!ollama_name_normalise(&b, name))
		return false;
	for (i = 0; i < name.n; i++) {
		bool start = i == 0 || name.p[i - 1] == '/' || name.p[i - 1] == ':';

		if (!is_word(name.p[i]) && (start || strchr("-._/:", name.p[i]) == NULL))
			return false;
	}
	return true;
}

static struct slice trim(struct slice s)
{
	while (s.n > 0 && strchr(" \t\r\n", s.p[0]) != NULL)
		s = slice_from(s, 1);
	while (s.n > 0 && strchr(" \t\r\n", s.p[s.n - 1]) != NULL)
		s.n--;
	return s;
}

/* Which words a kind has for a model that is not named, or not there. */
static bool refuse_no_model(struct sim_reader *rd, bool named)
{
	struct slice model = rd->r->model;
	char full[SIM_NAME_MAX];
	struct buf b;

	switch (rd->r->kind) {
	case SIM_GENERATE:
	case SIM_V1_COMPLETIONS:
		return sim_refuse(rd, 404, "model '", model, "' not found");
	case SIM_EMBED:
	case SIM_V1_EMBEDDINGS:
		if (!named)
			return sim_refuse(rd, 404, "model '", model, "' not found");
		return sim_refuse(rd, 404, "model \"", model, "\" not found, try pulling it first");
	case SIM_EMBEDDINGS:
		if (named)
			return sim_refuse(rd, 404, "model \"", model,
					  "\" not found, try pulling it first");
		break;
	case SIM_PULL_REQUEST:
		return sim_refuse_str(rd, 400, "invalid model name");
	case SIM_SHOW: /* says which name it looked for */
		buf_init(&b, full, sizeof(full));
		if (named && ollama_name_normalise(&b, trim(model)))
			return sim_refuse(rd, 404, "model '", buf_view(&b), "' not found");
		break;
	default:
		if (named)
			return sim_refuse(rd, 404, "model '", model, "' not found");
		break;
	}
	return sim_refuse_str(rd, 400, "model is required");
}

static bool read_model(struct sim_reader *rd, struct sim_library *lib)
{
	struct sim_request *r = rd->r;
	struct slice name;

	if (!sim_read_string(rd, "model", &r->model))
		return false;
	if (r->kind == SIM_SHOW || r->kind == SIM_PULL_REQUEST) {
		if (!sim_read_string(rd, "name", &name))
			return false;
		if (r->model.n == 0)
			r->model = name;
	}
	name = trim(r->model);
	if (name.n == 0)
		return refuse_no_model(rd, false);
	if (!is_valid_name(name))
		return sim_refuse_str(rd, 400, "invalid model name");
	if (r->kind == SIM_PULL_REQUEST)
		return true;
	r->entry = sim_library_find(lib, name);
	return r->entry != NULL || refuse_no_model(rd, true);
}

/* What the model cannot do; the order is Ollama's. */
static bool judge_capabilities(struct sim_reader *rd)
{
	struct sim_request *r = rd->r;
	bool chat = r->kind == SIM_CHAT || r->kind == SIM_V1_CHAT;
	char full[SIM_NAME_MAX + 32];
	struct buf b;

	if (r->think && !sim_model_can_think(r->entry))
		return sim_refuse(rd, 400, "\"", r->model, "\" does not support thinking");
	if (!sim_model_can_chat(r->entry))
		return sim_refuse(rd, 400, "\"", r->model,
				  chat ? "\" does not support chat"
				       : "\" does not support generate");
	if (rd->tools && !sim_model_can_use_tools(r->entry)) {
		buf_init(&b, full, sizeof(full));
		buf_put_str(&b, "registry.ollama.ai/library/");
		buf_put(&b, slice_make(r->entry->name, r->entry->n));
		return sim_refuse(rd, 400, "", buf_view(&b), " does not support tools");
	}
	return true;
}

/* --- Messages ------------------------------------------------------------------------------------ */

static bool is_said(struct json_value v)
{
	return v.type != JSON_NONE && v.type != JSON_NULL;
}

/* OpenAI's content may be an array of parts; the texts among them, joined. */
static bool join_parts(struct sim_reader *rd, struct json_value parts, struct slice *out)
{
	char *mem = arena_take(rd->arena, parts.raw.n);
	struct json_member m;
	struct json_walk w;
	size_t n = 0;

	if (mem == NULL)
		return sim_refuse_str(rd, 500, "out of memory");
	json_walk_init(&w, parts);
	while (json_walk_next(&w, &m)) {
		struct json_value type = json_find(m.value, SLICE("type"));
		struct json_value text = json_find(m.value, SLICE("text"));
		struct slice raw;
		uint32_t c;

		if (json_string_is(type, SLICE("image_url"))) {
			rd->r->images++;
			continue;
		}
		if (!json_string_is(type, SLICE("text")) || text.type != JSON_STRING)
			return sim_refuse_str(rd, 400, "invalid message format");
		raw = json_string_raw(text);
		while (json_raw_next(&raw, &c))
			n += utf8_put(mem + n, c);
	}
	*out = slice_make(mem, n);
	return true;
}

static bool judge_message(struct sim_reader *rd, struct json_value message,
			  struct json_value content)
{
	bool v1 = rd->r->kind == SIM_V1_CHAT;
	struct json_value role = json_find(message, SLICE("role"));

	if (message.type != JSON_OBJECT)
		return sim_refuse_type(rd, message, "messages",
				       v1 ? "openai.Message" : "api.Message");
	if (is_said(role) && role.type != JSON_STRING)
		return sim_refuse_type(rd, role, "messages.role", "string");
	if (!v1)
		return !is_said(content) || content.type == JSON_STRING ||
		       sim_refuse_type(rd, content, "messages.content", "string");
	if (content.type == JSON_STRING || content.type == JSON_ARRAY ||
	    (!is_said(content) && json_find(message, SLICE("tool_calls")).type == JSON_ARRAY))
		return true;
	return sim_refuse(rd, 400, "invalid message content type: ",
			  is_said(content) ? SLICE("float64") : SLICE("<nil>"), "");
}

/* The content becomes the prompt, until that of another message does. */
static bool read_content(struct sim_reader *rd, struct json_value content)
{
	struct slice *prompt = &rd->r->prompt;

	*prompt = slice_make("", 0);
	if (content.type == JSON_ARRAY)
		return join_parts(rd, content, prompt);
	if (content.type != JSON_STRING)
		return true;
	*prompt = json_unescape(rd->arena, content);
	return prompt->p != NULL || sim_refuse_str(rd, 500, "out of memory");
}

static bool read_message(struct sim_reader *rd, struct json_value message)
{
	struct json_value content = json_find(message, SLICE("content"));
	struct json_value role = json_find(message, SLICE("role"));
	struct json_member m;
	struct json_walk w;

	if (!judge_message(rd, message, content))
		return false;
	rd->r->prompt_tokens += 4 + content.raw.n / 4;
	if (json_string_is(role, SLICE("system")) || json_string_is(role, SLICE("developer")))
		return true;
	rd->r->turns++;
	rd->r->images = 0;
	json_walk_init(&w, json_find(message, SLICE("images")));
	while (json_walk_next(&w, &m))
		rd->r->images++;
	return read_content(rd, content);
}

static bool read_messages(struct sim_reader *rd)
{
	struct json_value messages = sim_member(rd, "messages");
	size_t used = rd->arena->used;
	struct json_member m;
	struct json_walk w;

	if (is_said(messages) && messages.type != JSON_ARRAY)
		return sim_refuse_type(rd, messages, "messages",
				       rd->r->kind == SIM_CHAT ? "[]api.Message"
							       : "[]openai.Message");
	json_walk_init(&w, messages);
	while (json_walk_next(&w, &m)) {
		rd->arena->used = used; /* only the last one's text is needed */
		rd->empty = false;
		if (!read_message(rd, m.value))
			return false;
	}
	rd->r->turns -= rd->r->turns > 0; /* the last one is the prompt */
	return true;
}

/* --- Kinds --------------------------------------------------------------------------------------- */

/* What all generations have in common, once their texts have been read. */
static bool finish(struct sim_reader *rd, struct sim_library *lib)
{
	struct sim_request *r = rd->r;

	if (!read_model(rd, lib))
		return false;
	r->unload = rd->empty && rd->unload_wish;
	r->act = rd->empty ? SIM_REPLY : SIM_ANSWER;
	r->needs_model = !r->unload;
	return r->unload || (judge_capabilities(rd) && sim_read_options(rd));
}

static bool read_top_logprobs(struct sim_reader *rd)
{
	struct json_value v = sim_member(rd, "top_logprobs");
	uint64_t n = 0;

	if (!is_said(v))
		return true;
	if (v.type != JSON_NUMBER)
		return sim_refuse_type(rd, v, "top_logprobs", "int");
	return (json_u64(v, &n) && n <= 20) ||
	       sim_refuse_str(rd, 400, "top_logprobs must be between 0 and 20");
}

static bool read_chat(struct sim_reader *rd, struct sim_library *lib)
{
	struct json_value tools = sim_member(rd, "tools");

	rd->tools = tools.type == JSON_ARRAY && tools.raw.n > 2;
	rd->r->json = is_said(sim_member(rd, "format"));
	return sim_read_bool(rd, "stream", &rd->r->stream) && read_messages(rd) &&
	       sim_read_think(rd) && sim_read_keep_alive(rd) && read_top_logprobs(rd) &&
	       finish(rd, lib);
}

static bool read_generate(struct sim_reader *rd, struct sim_library *lib)
{
	struct sim_request *r = rd->r;

	r->json = is_said(sim_member(rd, "format"));
	if (!sim_read_bool(rd, "stream", &r->stream) ||
	    !sim_read_string(rd, "prompt", &r->prompt) || !sim_read_think(rd) ||
	    !sim_read_keep_alive(rd) || !read_top_logprobs(rd))
		return false;
	rd->empty = r->prompt.n == 0;
	r->prompt_tokens = 4 + r->prompt.n / 4;
	return finish(rd, lib);
}

static bool read_v1_common(struct sim_reader *rd)
{
	struct sim_request *r = rd->r;
	struct json_value usage =
		json_find(sim_member(rd, "stream_options"), SLICE("include_usage"));
	struct json_value form = json_find(sim_member(rd, "response_format"), SLICE("type"));
	struct json_value tools = sim_member(rd, "tools");

	rd->tools = tools.type == JSON_ARRAY && tools.raw.n > 2;
	r->include_usage = usage.type == JSON_TRUE;
	r->json = json_string_is(form, SLICE("json_object")) ||
		  json_string_is(form, SLICE("json_schema"));
	json_u64(sim_member(rd, "max_tokens"), &r->limit);
	return sim_read_bool(rd, "stream", &r->stream);
}

static bool read_v1_chat(struct sim_reader *rd, struct sim_library *lib)
{
	if (!read_v1_common(rd) || !read_messages(rd))
		return false;
	if (rd->empty)
		return sim_refuse_str(rd, 400, "[] is too short - 'messages'");
	return sim_read_effort(rd) && finish(rd, lib);
}

/* An empty prompt loads the model; Ollama says so in an answer without words, and so do we. */
static bool read_v1_completions(struct sim_reader *rd, struct sim_library *lib)
{
	struct sim_request *r = rd->r;

	if (!read_v1_common(rd) || !sim_read_string(rd, "prompt", &r->prompt))
		return false;
	rd->empty = false;
	r->prompt_tokens = 4 + r->prompt.n / 4;
	return finish(rd, lib);
}

/* `input`: a string, or an array of strings. */
static bool judge_input(struct sim_reader *rd)
{
	struct sim_request *r = rd->r;
	struct json_member m;
	struct json_walk w;
	unsigned n = 0;

	r->list = r->input.type == JSON_ARRAY;
	if (is_said(r->input) && r->input.type != JSON_STRING && !r->list)
		return sim_refuse_str(rd, 400, "invalid input type");
	json_walk_init(&w, r->input);
	while (json_walk_next(&w, &m)) {
		if (m.value.type != JSON_STRING)
			return sim_refuse_str(rd, 400, "invalid input type");
		if (++n > SIM_INPUTS_MAX)
			return sim_refuse_str(rd, 400, "too many inputs for a stand-in");
		r->prompt_tokens += 1 + m.value.raw.n / 4;
	}
	if (r->input.type == JSON_STRING)
		r->prompt_tokens = 1 + r->input.raw.n / 4;
	return true;
}

static bool read_dimensions(struct sim_reader *rd)
{
	struct json_value v = sim_member(rd, "dimensions");
	uint64_t n = 0;

	rd->r->dimensions = SIM_DIMENSIONS;
	if (is_said(v) && v.type != JSON_NUMBER)
		return sim_refuse_type(rd, v, "dimensions", "int");
	if (json_u64(v, &n) && n > 0 && n < SIM_DIMENSIONS)
		rd->r->dimensions = (unsigned)n;
	return true;
}

static bool read_encoding(struct sim_reader *rd)
{
	struct slice s;

	if (!sim_read_string(rd, "encoding_format", &s))
		return false;
	rd->r->base64 = slice_eq_nocase(s, SLICE("base64"));
	return s.n == 0 || rd->r->base64 || slice_eq_nocase(s, SLICE("float")) ||
	       sim_refuse(rd, 400, "Invalid value for 'encoding_format' = ", s,
			  ". Supported values: ['float', 'base64'].");
}

static bool read_embed(struct sim_reader *rd, struct sim_library *lib)
{
	struct sim_request *r = rd->r;
	bool v1 = r->kind == SIM_V1_EMBEDDINGS;

	r->input = sim_member(rd, r->kind == SIM_EMBEDDINGS ? "prompt" : "input");
	r->needs_model = true;
	if (v1 && !read_encoding(rd))
		return false;
	if (v1 && (!is_said(r->input) || (r->input.type == JSON_ARRAY && r->input.raw.n == 2)))
		return sim_refuse_str(rd, 400, "invalid input");
	if (r->kind == SIM_EMBEDDINGS && is_said(r->input) && r->input.type != JSON_STRING)
		return sim_refuse_type(rd, r->input, "prompt", "string");
	return read_dimensions(rd) && sim_read_keep_alive(rd) && read_model(rd, lib) &&
	       judge_input(rd);
}

static bool read_kind(struct sim_reader *rd, struct sim_library *lib)
{
	switch (rd->r->kind) {
	case SIM_CHAT:
		return read_chat(rd, lib);
	case SIM_GENERATE:
		return read_generate(rd, lib);
	case SIM_V1_CHAT:
		return read_v1_chat(rd, lib);
	case SIM_V1_COMPLETIONS:
		return read_v1_completions(rd, lib);
	case SIM_SHOW:
		return read_model(rd, lib);
	case SIM_PULL_REQUEST:
		rd->r->act = SIM_PULL;
		return sim_read_bool(rd, "stream", &rd->r->stream) && read_model(rd, lib);
	default:
		return read_embed(rd, lib);
	}
}

/* Go's two ways to be unhappy with a text; it does not tell the byte. */
static bool refuse_syntax(struct sim_reader *rd, struct slice body, const struct json_error *err)
{
	if (trim(body).n == 0)
		return sim_refuse_str(rd, 400,
				      rd->r->kind >= SIM_V1_CHAT ? "EOF" : "missing request body");
	if (err->offset >= body.n)
		return sim_refuse_str(rd, 400, "unexpected EOF");
	return sim_refuse(rd, 400, "invalid character '", slice_make(body.p + err->offset, 1),
			  "' looking for beginning of value");
}

void sim_request_read(enum sim_kind kind, struct slice body, struct sim_library *lib, int64_t now,
		      struct arena *a, struct sim_request *r)
{
	struct sim_reader rd = { .r = r, .arena = a, .empty = true };
	struct json_error err;

	*r = (struct sim_request){ .kind = kind, .act = SIM_REPLY, .status = 200, .created = now };
	r->stream = kind < SIM_V1_CHAT;
	r->keep_alive = kind == SIM_SHOW ? -1 : 5 * 60 * 1000;
	r->prompt = r->model = slice_make("", 0);
	if (!json_check(body, &rd.top, &err)) {
		refuse_syntax(&rd, body, &err);
		return;
	}
	if (rd.top.type != JSON_OBJECT && rd.top.type != JSON_NULL)
		sim_refuse_body(&rd);
	else if (!read_kind(&rd, lib))
		r->entry = NULL;
}
