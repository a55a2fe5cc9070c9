/* SPDX-License-Identifier: MIT */
/* backend_api.c: from a client's request to a plan for the relay: judge the body, choose the
 * model, build what Ollama is sent. */
#include "app/backend_api.h"
#include "app/rate.h"
#include "app/relay.h"
#include "app/reply.h"
#include "base/fmt.h"
#include "proto/http_write.h"
#include "proto/ollama.h"

enum {
	PASSAGES_MAX = 16, /* requests without a turn, at once */
	PASSAGES_WAITING = 1024,
	PASSAGE_MS = 10000, /* their longest wait for Ollama */
	CONVERSATION_ID_MAX = 1024,
	DRAIN_LOOK_MS = 500, /* while draining: who would come to his turn too late? */
	ARENA = 16 * 1024,   /* for judging a body, beyond the request's own arena */
};

struct api {
	struct admission turns;    /* generations */
	struct admission passages; /* the rest */
	struct loader *loader;
	struct timer drain; /* looks again who would come too late */
};

void api_drain(struct server *s)
{
	struct api *api = s->role_data;
	int64_t deadline = s->env.shared->drain_deadline_ms;

	if (deadline == 0)
		return;
	relay_refuse_hopeless(s, &api->turns, deadline);
	loop_timer_after(s->env.loop, &api->drain, DRAIN_LOOK_MS);
}

static void on_drain_timer(void *ctx, int64_t now)
{
	(void)now;
	api_drain(ctx);
}

/* The table is pages of zeros that cost memory when touched. */
static bool rate_open(struct server *s)
{
	const struct config *cf = s->env.config;

	if (cf->rate_requests == 0)
		return true;
	s->rate = mem_pages(sizeof(*s->rate));
	if (s->rate != NULL)
		rate_init(s->rate, cf->rate_requests, cf->rate_seconds, s->request_seed);
	return s->rate != NULL;
}

bool api_open(struct server *s)
{
	const struct config *cf = s->env.config;
	size_t cap;
	struct api *api = mem_take(&s->mem, sizeof(*api), &cap);

	if (api == NULL)
		return false;
	admission_init(&api->turns, cf->max_active, cf->max_queue, cf->queue_timeout_ms);
	admission_init(&api->passages, PASSAGES_MAX, PASSAGES_WAITING, INT64_MAX);
	api->loader = loader_open(s, &api->turns);
	timer_init(&api->drain, on_drain_timer, s);
	s->role_data = api;
	return api->loader != NULL && rate_open(s);
}

static struct api *api_of(struct conn *c)
{
	return c->server->role_data;
}

/* ---- models ---- */

struct choice {
	struct slice model; /* the plain name Ollama is asked for */
	bool replace;       /* it is not the one the client named */
};

static struct slice alias_of(const struct config *cf, struct slice name)
{
	size_t i;

	for (i = 0; i < cf->alias_count; i++)
		if (ollama_name_eq(cf->aliases[i].from, name))
			return cf->aliases[i].to;
	return name;
}

static bool is_listed(struct slice list, struct slice name)
{
	while (list.n > 0) {
		if (list.p[0] == ' ') {
			list = slice_from(list, 1);
			continue;
		}
		const char *comma = memchr(list.p, ',', list.n);
		size_t n = comma != NULL ? (size_t)(comma - list.p) : list.n;

		if (ollama_name_eq(slice_make(list.p, n), name))
			return true;
		list = slice_from(list, MIN(n + 1, list.n));
	}
	return false;
}

static void refuse_no_model(struct conn *c)
{
	const struct shared *sh = c->server->env.shared;
	char names[SHARED_NAMES_MAX], mem[1024];
	struct buf b;

	shared_read_text(sh, sh->names, names, sizeof(names));
	names[900] = '\0';
	buf_init(&b, mem, sizeof(mem));
	buf_put_str(&b, "model is required; installed: ");
	buf_put_str(&b, names[0] != '\0' ? names : "none");
	conn_error(c, 400, buf_view(&b), 0);
}

static void refuse_unlisted(struct conn *c, struct slice model)
{
	char mem[700];
	struct buf b;

	model.n = MIN(model.n, (size_t)OLLAMA_NAME_MAX);
	buf_init(&b, mem, sizeof(mem));
	buf_put_str(&b, "model '");
	buf_put(&b, model);
	buf_put_str(&b, "' not found");
	conn_error(c, 404, buf_view(&b), 0);
}

/* Which model is meant; false: answered. */
static bool choose_model(struct conn *c, const struct ollama_request *q, struct arena *a,
			 struct choice *out)
{
	const struct config *cf = c->server->env.config;
	const struct shared *sh = c->server->env.shared;
	char *name;

	if (q->model.type == JSON_STRING) {
		struct slice asked = json_unescape(a, q->model);

		if (asked.p == NULL) {
			conn_error(c, 400, SLICE("the model's name is too long"), 0);
			return false;
		}
		out->model = alias_of(cf, asked);
		out->replace = out->model.p != asked.p;
	} else {
		name = arena_take(a, SHARED_MODEL_MAX);
		if (name == NULL) {
			conn_error(c, 503, SLICE("out of memory"), 5);
			return false;
		}
		shared_read_text(sh, sh->default_model, name, SHARED_MODEL_MAX);
		out->model = slice_str(name);
		out->replace = false;
	}
	if (out->model.n == 0) {
		refuse_no_model(c);
		return false;
	}
	if (cf->models.n > 0 && !is_listed(cf->models, out->model)) {
		refuse_unlisted(c, out->model);
		return false;
	}
	return true;
}

static void log_model(struct conn *c, struct slice model)
{
	size_t n = MIN(model.n, sizeof(c->req->log.model) - 1);

	slice_copy_to(c->req->log.model, slice_make(model.p, n));
	c->req->log.model[n] = '\0';
}

/* ---- what Ollama is sent ---- */

/* Nothing of the client's head goes on: no Host, Origin, Cookie, Authorization, Forwarded. */
static struct slice request_head(struct conn *c, struct arena *a, const char *method,
				 struct slice path, int64_t length)
{
	size_t cap = path.n + c->server->start->upstream_host.n + 256;
	char *mem = arena_take(a, cap);
	struct buf b;

	if (mem == NULL)
		return slice_make("", 0);
	buf_init(&b, mem, cap);
	http_write_request(&b, slice_str(method), path);
	http_write_field(&b, SLICE("Host"), c->server->start->upstream_host);
	if (length >= 0) {
		buf_put(&b, SLICE("Content-Type: application/json\r\n"));
		http_write_field_u64(&b, SLICE("Content-Length"), (uint64_t)length);
	}
	http_write_end(&b);
	return buf_view(&b);
}

static bool is_plain_path_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       memchr("-._~/:@", c, 7) != NULL;
}

/* The path we judged, encoded anew, so that Ollama cannot read it differently. */
static struct slice encode_path(struct arena *a, struct slice path)
{
	size_t i;
	char *mem = arena_take(a, path.n * 3);
	struct buf b;

	buf_init(&b, mem, mem != NULL ? path.n * 3 : 0);
	for (i = 0; i < path.n; i++) {
		if (is_plain_path_byte(path.p[i])) {
			buf_put_byte(&b, path.p[i]);
		} else {
			buf_put_byte(&b, '%');
			fmt_hex(&b, (unsigned char)path.p[i], 2);
		}
	}
	return buf_view(&b);
}

static void passage(struct conn *c, struct relay_plan *plan)
{
	const struct config *cf = c->server->env.config;

	plan->gate = &api_of(c)->passages;
	plan->first_byte_ms = MIN((int64_t)PASSAGE_MS, cf->first_byte_timeout_ms);
	plan->stall_ms = MIN((int64_t)PASSAGE_MS, cf->stall_timeout_ms);
	relay_start(c, plan);
}

static void pass(struct conn *c, enum relay_mode mode)
{
	struct relay_plan plan = { 0 };
	struct arena a;

	if (!conn_work_arena(c, &a, c->req->uri.path.n * 6 + 1024))
		return;
	plan.mode = mode;
	plan.parts[0] = request_head(c, &a, "GET", encode_path(&a, c->req->uri.path), -1);
	plan.part_count = 1;
	passage(c, &plan);
}

void api_pass(struct conn *c)
{
	pass(c, RELAY_WHOLE);
}

/* GET /api/tags, /v1/models */
void api_list(struct conn *c)
{
	pass(c, c->server->env.config->models.n > 0 ? RELAY_FILTER : RELAY_WHOLE);
}

/* GET /v1/models/NAME */
void api_model(struct conn *c)
{
	struct slice prefix = c->req->route->path, listed = c->server->env.config->models;
	struct slice name = slice_from(c->req->uri.path, prefix.n);

	if (name.n == 0 || name.n > OLLAMA_NAME_MAX || (listed.n > 0 && !is_listed(listed, name)))
		refuse_unlisted(c, name);
	else
		api_pass(c);
}

void api_models(struct conn *c)
{
	struct relay_plan plan = { 0 };
	struct arena a;

	if (!conn_work_arena(c, &a, 1024))
		return;
	plan.mode = RELAY_MODELS;
	plan.parts[0] = request_head(c, &a, "GET", SLICE("/api/tags"), -1);
	plan.part_count = 1;
	passage(c, &plan);
}

/* ---- requests with a JSON body ---- */

/* Judges the body and fills the plan's parts; false: answered. */
static bool prepare(struct conn *c, enum ollama_kind kind, struct ollama_request *q,
		    struct relay_plan *plan)
{
	const struct config *cf = c->server->env.config;
	struct slice body = conn_body(c), parts[OLLAMA_PARTS_MAX];
	struct choice choice;
	struct arena a;
	size_t n, i;
	int64_t length = 0;

	if (!conn_work_arena(c, &a, ARENA))
		return false;
	if (!ollama_request_read(kind, body, &a, q)) {
		conn_error(c, q->refuse, q->error, 0);
		return false;
	}
	if (q->unload_only && !cf->allow_client_keep_alive) {
		conn_error(c, 403, SLICE("clients may not unload a model that others use"), 0);
		return false;
	}
	if (!choose_model(c, q, &a, &choice))
		return false;
	n = ollama_request_write(q, choice.model, choice.replace, !cf->allow_client_keep_alive, &a,
				 parts);
	if (n == 0) {
		conn_error(c, 503, SLICE("out of memory"), 5);
		return false;
	}
	for (i = 0; i < n; i++) {
		plan->parts[i + 1] = parts[i];
		length += (int64_t)parts[i].n;
	}
	plan->parts[0] = request_head(c, &a, "POST", c->req->route->path, length);
	plan->part_count = n + 1;
	plan->model = arena_copy(&c->req->arena, choice.model);
	if (plan->model.p == NULL || plan->model.n > OLLAMA_NAME_MAX) {
		conn_error(c, 400, SLICE("the model's name is too long"), 0);
		return false;
	}
	log_model(c, choice.model);
	return true;
}

/* Whether Ollama is known not to have this model: its latest list is short enough to be whole. */
static bool is_absent(struct conn *c, struct slice model)
{
	const struct shared *sh = c->server->env.shared;
	char names[SHARED_NAMES_MAX];
	struct slice list;

	shared_read_text(sh, sh->names, names, sizeof(names));
	list = slice_str(names);
	return sh->model_count > 0 && list.n < sizeof(names) - OLLAMA_NAME_MAX &&
	       !is_listed(list, model);
}

/* What is known already is said now, rather than after a wait. False: answered. */
static bool may_wait(struct conn *c, struct slice model)
{
	const struct shared *sh = c->server->env.shared;
	char mem[128];
	struct buf b;

	if (is_absent(c, model)) {
		refuse_unlisted(c, model);
		return false;
	}
	if (sh->refused_since_ms == 0)
		return true;
	buf_init(&b, mem, sizeof(mem));
	buf_put_str(&b, "cannot reach ");
	buf_put(&b, c->server->start->upstream_name);
	buf_put_str(&b, ": Connection refused");
	conn_error(c, 502, buf_view(&b), 0);
	return false;
}

static bool wants_progress(const struct conn *c)
{
	return c->req->head.minor >= 1 &&
	       slice_eq(http_field_value(&c->req->head, SLICE("X-Ollachat-Progress")), SLICE("1"));
}

/* A turn; `whole`: Ollama answers all at once, so that its first byte comes with its last. */
static void generation(struct conn *c, struct relay_plan *plan, bool whole)
{
	const struct config *cf = c->server->env.config;

	if (api_of(c)->turns.active >= cf->max_active && !may_wait(c, plan->model))
		return;
	plan->gate = &api_of(c)->turns;
	plan->loader = api_of(c)->loader;
	plan->generation = plan->beats = true;
	plan->fin_is_gone = true;
	plan->progress = plan->form == RELAY_FORM_LINES && wants_progress(c);
	plan->first_byte_ms = whole ? 0 /* total_ms is */ : cf->first_byte_timeout_ms;
	plan->stall_ms = cf->stall_timeout_ms;
	plan->total_ms = cf->max_generation_ms;
	relay_start(c, plan);
}

/* The reply repeats it, when the request's body is long gone. */
static bool keep_conversation_id(struct conn *c, const struct ollama_request *q,
				 struct relay_plan *plan)
{
	struct slice id = q->conversation_id.raw;

	if (q->conversation_id.type == JSON_NONE || q->conversation_id.type == JSON_NULL)
		return true;
	if (id.n <= CONVERSATION_ID_MAX)
		plan->conversation_id = arena_copy(&c->req->arena, id);
	if (plan->conversation_id.n > 0)
		return true;
	conn_error(c, 400, SLICE("conversation_id is longer than 1024 bytes"), 0);
	return false;
}

void api_chat(struct conn *c)
{
	struct relay_plan plan = { 0 };
	struct ollama_request q;
	bool streamed;

	if (!prepare(c, OLLAMA_CHAT, &q, &plan))
		return;
	streamed = q.origin_form ? q.stream == OLLAMA_STREAM_ON : q.stream != OLLAMA_STREAM_OFF;
	if (q.origin_form && !streamed) {
		plan.mode = RELAY_ANSWER;
		if (!keep_conversation_id(c, &q, &plan))
			return;
	}
	plan.form = streamed ? RELAY_FORM_LINES : RELAY_FORM_WHOLE;
	generation(c, &plan, !q.origin_form && !streamed);
}

void api_generate(struct conn *c)
{
	struct relay_plan plan = { 0 };
	struct ollama_request q;

	if (!prepare(c, OLLAMA_GENERATE, &q, &plan))
		return;
	plan.form = q.stream == OLLAMA_STREAM_OFF ? RELAY_FORM_WHOLE : RELAY_FORM_LINES;
	generation(c, &plan, q.stream == OLLAMA_STREAM_OFF);
}

void api_embed(struct conn *c)
{
	struct relay_plan plan = { 0 };
	struct ollama_request q;

	if (!prepare(c, OLLAMA_EMBED, &q, &plan))
		return;
	plan.load = LOAD_EMBED;
	generation(c, &plan, true);
}

void api_openai(struct conn *c)
{
	struct relay_plan plan = { 0 };
	struct ollama_request q;

	if (!prepare(c, OLLAMA_OPENAI, &q, &plan))
		return;
	plan.responses = slice_eq(c->req->route->path, SLICE("/v1/responses"));
	plan.form = q.stream == OLLAMA_STREAM_ON ? RELAY_FORM_EVENTS : RELAY_FORM_WHOLE;
	plan.load = slice_eq(c->req->route->path, SLICE("/v1/embeddings")) ? LOAD_EMBED : LOAD_CHAT;
	generation(c, &plan, q.stream != OLLAMA_STREAM_ON);
}

void api_show(struct conn *c)
{
	struct relay_plan plan = { 0 };
	struct ollama_request q;

	if (!prepare(c, OLLAMA_SHOW, &q, &plan))
		return;
	plan.mode = RELAY_WHOLE;
	passage(c, &plan);
}
