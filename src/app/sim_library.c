/* SPDX-License-Identifier: MIT */
/* sim_library.c: the models the stand-in says it has: lists, details, pulls. */
#include "app/sim_model.h"
#include "app/sim_out.h"

enum { SIM_SIZE = 123456789, SIM_CONTEXT = 4096 };

/* --- The library --------------------------------------------------------------------------------- */

void sim_library_init(struct sim_library *lib, int64_t now)
{
	memset(lib, 0, sizeof(*lib));
	sim_library_add(lib, SLICE("ollachat-sim"), now);
}

struct sim_model *sim_library_find(struct sim_library *lib, struct slice name)
{
	unsigned i;

	while (name.n > 0 && name.p[0] == ' ') /* Ollama trims */
		name = slice_from(name, 1);
	while (name.n > 0 && name.p[name.n - 1] == ' ')
		name.n--;
	for (i = 0; i < lib->count; i++)
		if (ollama_name_eq(slice_make(lib->models[i].name, lib->models[i].n), name))
			return &lib->models[i];
	return NULL;
}

struct sim_model *sim_library_add(struct sim_library *lib, struct slice name, int64_t now)
{
	struct sim_model *m = sim_library_find(lib, name);
	struct buf b;

	if (m == NULL) {
		if (lib->count == SIM_MODELS_MAX)
			return NULL;
		m = &lib->models[lib->count];
		buf_init(&b, m->name, sizeof(m->name));
		if (!ollama_name_normalise(&b, name))
			return NULL;
		m->n = buf_len(&b);
		m->loaded_to = 0;
		lib->count++;
	}
	m->modified = now;
	return m;
}

static bool has_tag(const struct sim_model *m, struct slice tag)
{
	return m->n > tag.n && slice_eq(slice_make(m->name + m->n - tag.n, tag.n), tag);
}

bool sim_model_can_chat(const struct sim_model *m)
{
	return !has_tag(m, SLICE(":embed"));
}

bool sim_model_can_think(const struct sim_model *m)
{
	return sim_model_can_use_tools(m);
}

bool sim_model_can_use_tools(const struct sim_model *m)
{
	return sim_model_can_chat(m) && !has_tag(m, SLICE(":plain"));
}

bool sim_model_is_loaded(const struct sim_model *m, int64_t now)
{
	return m->loaded_to > now;
}

void sim_model_use(struct sim_model *m, int64_t now, int64_t keep_alive)
{
	if (keep_alive < 0)
		return;
	m->loaded_to = keep_alive > SIM_FOREVER - now ? SIM_FOREVER : now + keep_alive;
}

/* --- Lists --------------------------------------------------------------------------------------- */

static struct slice name_of(const struct sim_model *m)
{
	return slice_make(m->name, m->n);
}

enum { DIGEST = 64 };

/* 64 hexadecimal digits that belong to a text. */
static struct slice digest_make(struct slice s, char hex[DIGEST])
{
	uint64_t h = 0xcbf29ce484222325u;
	struct buf b;
	size_t i;

	for (i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)s.p[i]) * 0x100000001b3u;
	buf_init(&b, hex, DIGEST);
	for (i = 0; i < 4; i++) {
		fmt_hex(&b, h, 16);
		h = (h ^ i) * 0x100000001b3u;
	}
	return buf_view(&b);
}

static void put_details(struct sim_out *o)
{
	out(o, "\"details\":{\"parent_model\":\"\",\"format\":\"sim\",\"family\":\"sim\","
	       "\"families\":[\"sim\"],"
	       "\"parameter_size\":\"0\",\"quantization_level\":\"none\"");
}

static void put_capabilities(struct sim_out *o, const struct sim_model *m)
{
	out(o, ",\"capabilities\":");
	if (!sim_model_can_chat(m))
		out(o, "[\"embedding\"]");
	else if (!sim_model_can_think(m))
		out(o, "[\"completion\"]");
	else
		out(o, "[\"completion\",\"tools\",\"thinking\"]");
}

static void put_names(struct sim_out *o, const struct sim_model *m)
{
	out(o, "{\"name\":");
	out_text(o, name_of(m));
	out(o, ",\"model\":");
	out_text(o, name_of(m));
}

static void put_size(struct sim_out *o, const struct sim_model *m)
{
	char hex[DIGEST];

	out(o, ",\"size\":");
	out_u64(o, SIM_SIZE);
	out(o, ",\"digest\":\"");
	out_raw(o, digest_make(name_of(m), hex));
	out(o, "\",");
	put_details(o);
}

bool sim_tags_write(struct buf *b, const struct sim_library *lib)
{
	struct sim_out o = sim_out_begin(b);
	unsigned i;

	out(&o, "{\"models\":[");
	for (i = 0; i < lib->count; i++) {
		const struct sim_model *m = &lib->models[i];

		out(&o, i > 0 ? "," : "");
		put_names(&o, m);
		out(&o, ",\"modified_at\":");
		out_time(&o, m->modified);
		put_size(&o, m);
		out(&o, ",\"context_length\":4096,\"embedding_length\":64}");
		put_capabilities(&o, m);
		out(&o, "}");
	}
	out(&o, "]}");
	return sim_out_end(&o);
}

static const struct sim_model *next_loaded(const struct sim_library *lib, int64_t now,
					   const struct sim_model *after)
{
	const struct sim_model *best = NULL;
	unsigned i;

	/* The longest-living first; equal ones in the order of the library. */
	for (i = 0; i < lib->count; i++) {
		const struct sim_model *m = &lib->models[i];

		if (!sim_model_is_loaded(m, now) || m == after)
			continue;
		if (after != NULL && (m->loaded_to > after->loaded_to ||
				      (m->loaded_to == after->loaded_to && m < after)))
			continue;
		if (best == NULL || m->loaded_to > best->loaded_to)
			best = m;
	}
	return best;
}

bool sim_ps_write(struct buf *b, const struct sim_library *lib, int64_t now)
{
	const int64_t never = 9214646400000; /* 2262-01-01: "for ever" in Go's durations */
	const struct sim_model *m = NULL;
	struct sim_out o = sim_out_begin(b);
	bool first = true;

	out(&o, "{\"models\":[");
	while ((m = next_loaded(lib, now, m)) != NULL) {
		out(&o, first ? "" : ",");
		first = false;
		put_names(&o, m);
		put_size(&o, m);
		out(&o, "},\"expires_at\":");
		out_time(&o, MIN(m->loaded_to, never));
		out(&o, ",\"size_vram\":0,\"context_length\":4096}");
	}
	out(&o, "]}");
	return sim_out_end(&o);
}

bool sim_version_write(struct buf *b, struct slice version)
{
	struct sim_out o = sim_out_begin(b);

	out(&o, "{\"version\":");
	out_text(&o, version);
	out(&o, "}");
	return sim_out_end(&o);
}

static void put_v1_model(struct sim_out *o, struct slice id, const struct sim_model *m)
{
	struct slice space = SLICE("library");
	const char *slash = memchr(m->name, '/', m->n);

	if (slash != NULL)
		space = slice_make(m->name, (size_t)(slash - m->name));
	out(o, "{\"id\":");
	out_text(o, id);
	out(o, ",\"object\":\"model\",\"created\":");
	out_i64(o, m->modified / 1000);
	out(o, ",\"owned_by\":");
	out_text(o, space);
	out(o, "}");
}

bool sim_v1_models_write(struct buf *b, const struct sim_library *lib)
{
	struct sim_out o = sim_out_begin(b);
	unsigned i;

	out(&o, "{\"object\":\"list\",\"data\":[");
	for (i = 0; i < lib->count; i++) {
		out(&o, i > 0 ? "," : "");
		put_v1_model(&o, name_of(&lib->models[i]), &lib->models[i]);
	}
	out(&o, "]}\n");
	return sim_out_end(&o);
}

/* Ollama asks its own /api/show, which says the name in full. */
bool sim_v1_model_write(struct buf *b, struct sim_library *lib, struct slice name, unsigned *status)
{
	const struct sim_model *m = sim_library_find(lib, name);
	char text[SIM_NAME_MAX + 32];
	struct sim_out o = sim_out_begin(b);
	struct buf t;

	*status = 200;
	if (m != NULL) {
		put_v1_model(&o, name, m);
		out(&o, "\n");
		return sim_out_end(&o);
	}
	buf_init(&t, text, sizeof(text));
	buf_put_str(&t, "model '");
	if (!ollama_name_normalise(&t, name)) {
		*status = 400;
		return sim_error_write(b, SIM_V1_CHAT, 400, SLICE("invalid model name"));
	}
	buf_put_str(&t, "' not found");
	*status = 404;
	return sim_error_write(b, SIM_V1_CHAT, 404, buf_view(&t));
}

/* --- /api/show ----------------------------------------------------------------------------------- */

bool sim_show_write(struct buf *b, const struct sim_model *m)
{
	struct sim_out o = sim_out_begin(b);

	out(&o, "{\"license\":\"MIT\",\"modelfile\":");
	out(&o, "\"# Modelfile generated by \\\"ollama show\\\"\\n# To build a new Modelfile based "
		"on this, "
		"replace FROM with:\\n# FROM ");
	out_escaped(&o, name_of(m));
	out(&o, "\\n\\nFROM no model: a stand-in\\nTEMPLATE {{ .Prompt }}\\n\",");
	out(&o,
	    "\"parameters\":\"temperature                    0\",\"template\":\"{{ .Prompt }}\",");
	put_details(&o);
	out(&o, "},\"model_info\":{\"general.architecture\":\"sim\",\"general.basename\":"
		"\"ollachat-sim\","
		"\"general.parameter_count\":0,\"sim.context_length\":4096,\"sim.embedding_"
		"length\":64}");
	put_capabilities(&o, m);
	out(&o, ",\"modified_at\":");
	out_time(&o, m->modified);
	out(&o, "}");
	return sim_out_end(&o);
}

/* --- /api/pull ----------------------------------------------------------------------------------- */

enum { LAYERS = 2, LAYER_STEPS = 5 };

static bool has_word(struct slice s, struct slice word)
{
	for (; s.n >= word.n; s = slice_from(s, 1))
		if (slice_eq_nocase(slice_make(s.p, word.n), word))
			return true;
	return false;
}

/* A layer's bytes arrive in equal parts; at first none are there, and `completed` is left out. */
static void put_layer(struct sim_out *o, struct slice name, unsigned layer, unsigned part)
{
	uint64_t total = layer == 0 ? SIM_SIZE : 485;
	char hex[DIGEST];
	struct slice digest = digest_make(slice_make(name.p, name.n - MIN(layer, name.n)), hex);

	out(o, "{\"status\":\"pulling ");
	out_raw(o, slice_make(digest.p, 12));
	out(o, "\",\"digest\":\"sha256:");
	out_raw(o, digest);
	out(o, "\",\"total\":");
	out_u64(o, total);
	if (part > 0) {
		out(o, ",\"completed\":");
		out_u64(o, total * part / (LAYER_STEPS - 1));
	}
	out(o, "}");
}

bool sim_pull_write(struct buf *b, const struct sim_request *r, unsigned step, bool *last,
		    bool *failed)
{
	static const char *const ends[] = { "verifying sha256 digest", "writing manifest",
					    "success" };
	struct sim_out o = sim_out_begin(b);
	unsigned layer = (step - 1) / LAYER_STEPS, end = step - 1 - LAYERS * LAYER_STEPS;

	*failed = step > 0 && has_word(r->model, SLICE("missing"));
	*last = *failed;
	if (*failed) {
		out(&o, "{\"error\":\"pull model manifest: file does not exist\"}");
	} else if (step == 0) {
		out(&o, "{\"status\":\"pulling manifest\"}");
	} else if (layer < LAYERS) {
		put_layer(&o, r->model, layer, (step - 1) % LAYER_STEPS);
	} else {
		*last = end >= ARRAY_LEN(ends) - 1;
		out(&o, "{\"status\":\"");
		out(&o, ends[MIN(end, ARRAY_LEN(ends) - 1)]);
		out(&o, "\"}");
	}
	out(&o, "\n");
	return sim_out_end(&o);
}
