/* SPDX-License-Identifier: MIT */
/* sim_embed.c: the stand-in's embeddings: vectors of length one that depend on nothing but the
 * text, and mean nothing. */
#include "app/sim_model.h"
#include "app/sim_out.h"

#define SCALE 1000000000 /* components are counted in 1e-9 */

static uint64_t hash(struct slice raw)
{
	uint64_t h = 0xcbf29ce484222325u;
	uint32_t c;

	while (json_raw_next(&raw, &c))
		h = (h ^ c) * 0x100000001b3u;
	return h;
}

static uint64_t next_random(uint64_t *x) /* xorshift64 (Marsaglia) */
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

static uint64_t square_root(uint64_t n)
{
	uint64_t root = 0, bit = (uint64_t)1 << 62;

	for (; bit > 0; bit >>= 2) {
		if (n >= root + bit) {
			n -= root + bit;
			root = (root >> 1) + bit;
		} else {
			root >>= 1;
		}
	}
	return root;
}

static void vector_make(struct slice raw, unsigned n, int64_t v[SIM_DIMENSIONS])
{
	uint64_t x = hash(raw) | 1, sum = 0, length;
	unsigned i;

	for (i = 0; i < n; i++) {
		v[i] = (int64_t)(next_random(&x) % 2000001) - 1000000;
		sum += (uint64_t)(v[i] * v[i]);
	}
	length = square_root(sum * 10000) + 1; /* in hundredths; never 0 */
	for (i = 0; i < n; i++)
		v[i] = v[i] * (100 * (int64_t)SCALE) / (int64_t)length;
}

/* Go's shortest form is beyond us; nine decimals say the same. */
static void put_decimal(struct sim_out *o, int64_t v)
{
	char digits[9];
	uint64_t u = (uint64_t)(v < 0 ? -v : v) % SCALE;
	size_t i, n = sizeof(digits);

	out(o, v < 0 ? "-" : "");
	out(o, v >= SCALE || v <= -SCALE ? "1." : "0.");
	for (i = sizeof(digits); i > 0; i--, u /= 10)
		digits[i - 1] = (char)('0' + u % 10);
	while (n > 1 && digits[n - 1] == '0')
		n--;
	out_raw(o, slice_make(digits, n));
}

static void put_floats(struct sim_out *o, const int64_t *v, unsigned n)
{
	unsigned i;

	out(o, "[");
	for (i = 0; i < n; i++) {
		out(o, i > 0 ? "," : "");
		put_decimal(o, v[i]);
	}
	out(o, "]");
}

/* RFC 4648, 4 */
static void put_base64(struct sim_out *o, const unsigned char *p, size_t n)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t i;

	for (i = 0; i < n; i += 3) {
		unsigned b = i + 1 < n ? p[i + 1] : 0, c = i + 2 < n ? p[i + 2] : 0;
		char four[4] = { letters[p[i] >> 2], letters[(p[i] & 3) << 4 | b >> 4],
				 i + 1 < n ? letters[(b & 15) << 2 | c >> 6] : '=',
				 i + 2 < n ? letters[c & 63] : '=' };

		out_raw(o, slice_make(four, 4));
	}
}

/* 32-bit floats, little-endian, as OpenAI's clients ask for. */
static void put_packed(struct sim_out *o, const int64_t *v, unsigned n)
{
	unsigned char bytes[4 * SIM_DIMENSIONS];
	unsigned i;

	for (i = 0; i < n; i++) {
		float f = (float)v[i] / SCALE;
		uint32_t u;

		memcpy(&u, &f, 4);
		bytes[4 * i] = (unsigned char)u;
		bytes[4 * i + 1] = (unsigned char)(u >> 8);
		bytes[4 * i + 2] = (unsigned char)(u >> 16);
		bytes[4 * i + 3] = (unsigned char)(u >> 24);
	}
	out(o, "\"");
	put_base64(o, bytes, 4 * (size_t)n);
	out(o, "\"");
}

static void put_one(struct sim_out *o, const struct sim_request *r, struct json_value text,
		    unsigned index)
{
	int64_t v[SIM_DIMENSIONS];

	vector_make(json_string_raw(text), r->dimensions, v);
	out(o, index > 0 ? "," : "");
	if (r->kind != SIM_V1_EMBEDDINGS) {
		put_floats(o, v, r->dimensions);
		return;
	}
	out(o, "{\"object\":\"embedding\",\"embedding\":");
	if (r->base64)
		put_packed(o, v, r->dimensions);
	else
		put_floats(o, v, r->dimensions);
	out(o, ",\"index\":");
	out_u64(o, index);
	out(o, "}");
}

/* All of `input`; their number. An empty string is no input, except on /v1. */
static unsigned put_all(struct sim_out *o, const struct sim_request *r)
{
	struct json_member m;
	struct json_walk w;
	unsigned n = 0;

	if (r->input.type == JSON_STRING && (r->input.raw.n > 2 || r->kind == SIM_V1_EMBEDDINGS))
		put_one(o, r, r->input, n++);
	json_walk_init(&w, r->input);
	while (json_walk_next(&w, &m))
		put_one(o, r, m.value, n++);
	return n;
}

static void put_embed(struct sim_out *o, const struct sim_request *r, const struct sim_stats *s)
{
	out(o, "{\"model\":");
	out_text(o, r->model);
	out(o, ",\"embeddings\":[");
	if (put_all(o, r) == 0) {
		out(o, "]}");
		return;
	}
	out(o, "],\"total_duration\":");
	out_u64(o, s->total_ns);
	out(o, ",\"load_duration\":");
	out_u64(o, MAX(s->load_ns, 1)); /* clients count on it: with Ollama it is never nothing */
	out(o, ",\"prompt_eval_count\":");
	out_u64(o, r->prompt_tokens);
	out(o, "}");
}

static void put_v1(struct sim_out *o, const struct sim_request *r)
{
	out(o, "{\"object\":\"list\",\"data\":[");
	put_all(o, r);
	out(o, "],\"model\":");
	out_text(o, r->model);
	out(o, ",\"usage\":{\"prompt_tokens\":");
	out_u64(o, r->prompt_tokens);
	out(o, ",\"total_tokens\":");
	out_u64(o, r->prompt_tokens);
	out(o, "}}\n");
}

bool sim_embed_write(struct buf *b, const struct sim_request *r, const struct sim_stats *s)
{
	struct sim_out o = sim_out_begin(b);

	switch (r->kind) {
	case SIM_V1_EMBEDDINGS:
		put_v1(&o, r);
		break;
	case SIM_EMBEDDINGS:
		out(&o, "{\"embedding\":");
		if (put_all(&o, r) == 0)
			out(&o, "[]");
		out(&o, "}");
		break;
	default:
		put_embed(&o, r, s);
		break;
	}
	return sim_out_end(&o);
}

bool sim_reply_write(struct buf *b, const struct sim_request *r, int64_t now,
		     const struct sim_stats *s, struct arena *a)
{
	(void)a;
	switch (r->kind) {
	case SIM_SHOW:
		return sim_show_write(b, r->entry);
	case SIM_CHAT:
	case SIM_GENERATE:
		return sim_loaded_write(b, r, now);
	default:
		return sim_embed_write(b, r, s);
	}
}
