/* SPDX-License-Identifier: MIT */
/* sim_field.c: members of requests to the stand-in: what Ollama makes of them (api/types.go,
 * openai/openai.go of Ollama), and its words for those it cannot read. */
#include "app/sim_field.h"

enum { NAME_SHOWN = 256 }; /* of what a client wrote, in an error */

/* --- Refusals ------------------------------------------------------------------------------------ */

bool sim_refuse(struct sim_reader *rd, unsigned status, const char *before, struct slice name,
		const char *after)
{
	size_t room = strlen(before) + MIN(name.n, NAME_SHOWN) + strlen(after);
	char *mem = arena_take(rd->arena, room);
	struct buf b;

	name.n = MIN(name.n, NAME_SHOWN);
	rd->r->act = SIM_REFUSE;
	rd->r->status = status;
	rd->r->error = SLICE("out of memory");
	if (mem == NULL)
		return false;
	buf_init(&b, mem, room);
	buf_put_str(&b, before);
	buf_put(&b, name);
	buf_put_str(&b, after);
	rd->r->error = buf_view(&b);
	return false;
}

bool sim_refuse_str(struct sim_reader *rd, unsigned status, const char *text)
{
	rd->r->act = SIM_REFUSE;
	rd->r->status = status;
	rd->r->error = slice_str(text);
	return false;
}

/* Go's words for the kinds of JSON values. */
static struct slice go_type(enum json_type type)
{
	switch (type) {
	case JSON_STRING:
		return SLICE("string");
	case JSON_NUMBER:
		return SLICE("number");
	case JSON_ARRAY:
		return SLICE("array");
	case JSON_OBJECT:
		return SLICE("object");
	default:
		return SLICE("bool");
	}
}

static const char *const go_names[] = {
	[SIM_CHAT] = "ChatRequest",
	[SIM_GENERATE] = "GenerateRequest",
	[SIM_EMBED] = "EmbedRequest",
	[SIM_EMBEDDINGS] = "EmbeddingRequest",
	[SIM_SHOW] = "ShowRequest",
	[SIM_PULL_REQUEST] = "PullRequest",
	[SIM_V1_CHAT] = "ChatCompletionRequest",
	[SIM_V1_COMPLETIONS] = "CompletionRequest",
	[SIM_V1_EMBEDDINGS] = "EmbedRequest",
};

bool sim_refuse_type(struct sim_reader *rd, struct json_value v, const char *key,
		     const char *wanted)
{
	char text[96];
	struct buf b;

	buf_init(&b, text, sizeof(text) - 1);
	buf_put_str(&b, " into Go struct field ");
	buf_put_str(&b, go_names[rd->r->kind]);
	buf_put_str(&b, ".");
	buf_put_str(&b, key);
	buf_put_str(&b, " of type ");
	buf_put_str(&b, wanted);
	text[buf_len(&b)] = '\0';
	return sim_refuse(rd, 400, "json: cannot unmarshal ", go_type(v.type), text);
}

bool sim_refuse_body(struct sim_reader *rd)
{
	char text[96];
	struct buf b;

	buf_init(&b, text, sizeof(text) - 1);
	buf_put_str(&b, " into Go value of type ");
	buf_put_str(&b, rd->r->kind >= SIM_V1_CHAT ? "openai." : "api.");
	buf_put_str(&b, go_names[rd->r->kind]);
	text[buf_len(&b)] = '\0';
	return sim_refuse(rd, 400, "json: cannot unmarshal ", go_type(rd->top.type), text);
}

/* --- Members ------------------------------------------------------------------------------------- */

struct json_value sim_member(struct sim_reader *rd, const char *key)
{
	struct json_value v = json_find(rd->top, slice_str(key));

	if (v.type == JSON_NULL) /* Go leaves the field as it was */
		v.type = JSON_NONE;
	return v;
}

/* False: refused. An absent member gives "". */
bool sim_read_string(struct sim_reader *rd, const char *key, struct slice *out)
{
	struct json_value v = sim_member(rd, key);

	*out = slice_make("", 0);
	if (v.type == JSON_NONE)
		return true;
	if (v.type != JSON_STRING)
		return sim_refuse_type(rd, v, key, "string");
	*out = json_unescape(rd->arena, v);
	return out->p != NULL || sim_refuse_str(rd, 500, "out of memory");
}

bool sim_read_bool(struct sim_reader *rd, const char *key, bool *out)
{
	struct json_value v = sim_member(rd, key);

	if (v.type == JSON_NONE)
		return true;
	if (v.type != JSON_TRUE && v.type != JSON_FALSE)
		return sim_refuse_type(rd, v, key, "bool");
	*out = v.type == JSON_TRUE;
	return true;
}

/* Options of api.Options by the kind of value they want. */
bool sim_read_options(struct sim_reader *rd)
{
	static const char integers[] = " num_keep seed num_predict top_k repeat_last_n num_ctx "
				       "num_batch num_gpu main_gpu num_thread ";
	static const char floats[] = " top_p min_p typical_p temperature repeat_penalty "
				     "presence_penalty frequency_penalty ";
	struct json_value options = sim_member(rd, "options");
	struct json_member m;
	struct json_walk w;
	char word[40];
	struct buf b;

	if (options.type == JSON_NONE)
		return true;
	if (options.type != JSON_OBJECT)
		return sim_refuse_type(rd, options, "options", "map[string]interface {}");
	json_walk_init(&w, options);
	while (json_walk_next(&w, &m)) {
		bool number = m.value.type == JSON_NUMBER || m.value.type == JSON_NULL;

		buf_init(&b, word, sizeof(word) - 1);
		if (!buf_put_str(&b, " ") || !buf_put(&b, m.key) || !buf_put_str(&b, " "))
			continue;
		word[buf_len(&b)] = '\0';
		if (!number && strstr(integers, word) != NULL)
			return sim_refuse(rd, 500, "option \"", m.key,
					  "\" must be of type integer");
		if (!number && strstr(floats, word) != NULL)
			return sim_refuse(rd, 500, "option \"", m.key,
					  "\" must be of type float32");
	}
	json_u64(json_find(options, SLICE("num_predict")), &rd->r->limit);
	return true;
}

bool sim_read_think(struct sim_reader *rd)
{
	static const char *const levels[] = { "high", "medium", "low", "max" };
	struct json_value v = sim_member(rd, "think");
	size_t i;

	rd->r->think = v.type == JSON_TRUE;
	rd->r->think_set = v.type != JSON_NONE;
	if (v.type == JSON_NONE || v.type == JSON_TRUE || v.type == JSON_FALSE)
		return true;
	if (v.type != JSON_STRING)
		return sim_refuse_str(
			rd, 400,
			"think must be a boolean or string (\"high\", \"medium\", \"low\", "
			"\"max\", true, or false)");
	for (i = 0; i < ARRAY_LEN(levels); i++)
		if (json_string_is(v, slice_str(levels[i])))
			rd->r->think = true;
	return rd->r->think ||
	       sim_refuse(rd, 400, "invalid think value: ", v.raw,
			  " (must be \"high\", \"medium\", \"low\", \"max\", true, or false)");
}

/* OpenAI's scale of effort; "none" is no thinking. */
bool sim_read_effort(struct sim_reader *rd)
{
	static const char known[] = " minimal low medium high xhigh ultra max ";
	struct json_value v = json_find(sim_member(rd, "reasoning"), SLICE("effort"));
	struct slice raw;
	char word[16];
	struct buf b;

	if (v.type != JSON_STRING)
		v = sim_member(rd, "reasoning_effort");
	if (v.type != JSON_STRING || v.raw.n == 2)
		return true;
	raw = json_string_raw(v);
	rd->r->think_set = true;
	if (slice_eq(raw, SLICE("none")))
		return true;
	buf_init(&b, word, sizeof(word) - 1);
	rd->r->think = buf_put_str(&b, " ") && buf_put(&b, raw) && buf_put_str(&b, " ");
	word[buf_len(&b)] = '\0';
	rd->r->think = rd->r->think && strstr(known, word) != NULL;
	return rd->r->think || sim_refuse(rd, 400, "invalid reasoning value: ", v.raw,
					  " (must be \"minimal\", \"low\", \"medium\", \"high\", "
					  "\"xhigh\", \"ultra\", \"max\", "
					  "or \"none\")");
}

/* --- keep_alive ---------------------------------------------------------------------------------- */

/* Reads a decimal number at *p; false: there is none. */
static bool take_number(const char **p, const char *end, double *out)
{
	const char *start = *p;
	double scale = 1;
	bool point = false;

	*out = 0;
	for (; *p < end && ((**p >= '0' && **p <= '9') || (**p == '.' && !point)); (*p)++) {
		if (**p == '.') {
			point = true;
			continue;
		}
		*out = *out * 10 + (**p - '0');
		scale *= point ? 10 : 1;
	}
	*out /= scale;
	return *p > start + point;
}

/* A Go duration ("1h30m", "-1s", "0") in ms. */
static bool parse_duration(struct slice s, double *ms)
{
	static const struct {
		struct slice unit;
		double ms;
	} units[] = {
		{ SLICE_INIT("ns"), 1e-6 }, { SLICE_INIT("us"), 1e-3 },
		{ SLICE_INIT("ms"), 1 },    { SLICE_INIT("s"), 1000 },
		{ SLICE_INIT("m"), 60000 }, { SLICE_INIT("h"), 3600000 },
	};
	const char *p = s.p, *end = s.p + s.n;
	bool minus = s.n > 0 && s.p[0] == '-';
	double number;
	size_t i;

	p += s.n > 0 && (s.p[0] == '-' || s.p[0] == '+');
	*ms = 0;
	if (p + 1 == end && *p == '0')
		return true;
	do {
		if (!take_number(&p, end, &number))
			return false;
		for (i = 0; i < ARRAY_LEN(units); i++)
			if (slice_starts(slice_make(p, (size_t)(end - p)), units[i].unit))
				break;
		if (i == ARRAY_LEN(units))
			return false;
		p += units[i].unit.n;
		*ms += number * units[i].ms;
	} while (p < end);
	if (minus)
		*ms = -*ms;
	return true;
}

/* A JSON number as it counts here: seconds. */
static double number_value(struct slice s)
{
	const char *p = s.p, *end = s.p + s.n;
	bool minus = *p == '-', small = false;
	unsigned exponent = 0;
	double v;

	p += minus;
	take_number(&p, end, &v);
	for (; p < end; p++) {
		small |= *p == '-';
		if (*p >= '0' && *p <= '9' && exponent < 400)
			exponent = exponent * 10 + (unsigned)(*p - '0');
	}
	for (; exponent > 0; exponent--)
		v = small ? v / 10 : v * 10;
	return minus ? -v : v;
}

bool sim_read_keep_alive(struct sim_reader *rd)
{
	struct json_value v = sim_member(rd, "keep_alive");
	double ms = 5 * 60 * 1000;

	if (v.type == JSON_NUMBER) {
		ms = number_value(v.raw) * 1000;
	} else if (v.type == JSON_STRING) {
		if (!parse_duration(json_string_raw(v), &ms))
			return sim_refuse(rd, 400, "time: invalid duration ", v.raw, "");
	} else if (v.type != JSON_NONE) {
		return sim_refuse(rd, 400, "Unsupported type: '",
				  v.type == JSON_ARRAY    ? SLICE("[]interface {}")
				  : v.type == JSON_OBJECT ? SLICE("map[string]interface {}")
							  : SLICE("bool"),
				  "'");
	}
	rd->unload_wish = v.type != JSON_NONE && ms >= 0 && ms < 1e-6;
	rd->r->keep_alive = ms < 0 || ms > 1e15 ? SIM_FOREVER
			    : rd->unload_wish   ? 0
						: (int64_t)ms + (ms < 1);
	return true;
}
