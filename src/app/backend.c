/* SPDX-License-Identifier: MIT */
/* backend.c: role :8000: its route table, and the answers it gives from memory. What goes on to
 * Ollama is in backend_api.c. */
#include "app/backend.h"
#include "app/access.h"
#include "app/admin.h"
#include "app/backend_api.h"
#include "app/health.h"
#include "app/metrics_page.h"
#include "app/reply.h"
#include "base/fmt.h"
#include "proto/json.h"

static const struct slice json_type = SLICE_INIT("application/json");
static const struct slice no_fields = SLICE_INIT("");

static void put_bool(struct buf *b, const char *key, bool v)
{
	buf_put_str(b, key);
	buf_put_str(b, v ? "true" : "false");
}

static void put_u64(struct buf *b, const char *key, uint64_t v)
{
	buf_put_str(b, key);
	fmt_u64(b, v);
}

static void put_text(struct buf *b, const char *key, struct slice v)
{
	buf_put_str(b, key);
	json_write_string(b, v);
}

static struct health judge(const struct conn *c)
{
	const struct env *env = &c->server->env;
	struct health h;

	health_judge(env->shared, env->config, loop_now(env->loop), &h);
	return h;
}

static void put_model(const struct conn *c, struct buf *b)
{
	const struct shared *sh = c->server->env.shared;
	char model[SHARED_MODEL_MAX];

	shared_read_text(sh, sh->default_model, model, sizeof(model));
	if (model[0] == '\0')
		buf_put_str(b, ",\"model\":null");
	else
		put_text(b, ",\"model\":", slice_str(model));
}

static void put_health(struct conn *c, struct buf *b, const struct health *h)
{
	const struct env *env = &c->server->env;
	const struct shared *sh = env->shared;

	put_text(b, "{\"status\":", slice_str(h->text));
	put_bool(b, ",\"ollama_connected\":", h->connected);
	put_u64(b, ",\"models_available\":", sh->model_count);
	put_model(c, b);
	put_bool(b, ",\"model_ready\":", h->ready);
	put_text(b, ",\"version\":", SLICE(OLLACHAT_VERSION));
	if (access_is_admin(c)) {
		put_text(b, ",\"ollama_host\":", c->server->start->upstream_host);
		put_u64(b, ",\"active\":", sh->active);
		put_u64(b, ",\"queued\":", sh->queued);
		put_u64(b, ",\"uptime_seconds\":",
			(uint64_t)MAX(0, loop_now(env->loop) - sh->started_ms) / 1000);
	}
	buf_put_byte(b, '}');
}

static void health_reply(struct conn *c, unsigned status, const struct health *h)
{
	char mem[2048];
	struct buf b;

	buf_init(&b, mem, sizeof(mem));
	put_health(c, &b, h);
	conn_reply(c, status, json_type,
		   status == 200 ? SLICE("Cache-Control: no-store\r\n")
				 : SLICE("Cache-Control: no-store\r\nRetry-After: 5\r\n"),
		   buf_view(&b));
}

/* GET /health: for the load balancer. */
static void health_get(struct conn *c)
{
	struct health h = judge(c);
	unsigned status = h.status;

	if (slice_eq(uri_query_find(c->req->uri.query, SLICE("gate")), SLICE("model")) &&
	    !c->server->env.shared->model_was_ready)
		status = 503;
	health_reply(c, status, &h);
}

/* GET /ready: the default model is there and loaded. */
static void ready_get(struct conn *c)
{
	struct health h = judge(c);

	health_reply(c, h.ready ? 200 : 503, &h);
}

static void root_get(struct conn *c)
{
	conn_reply(c, 200, json_type, no_fields,
		   SLICE("{\"message\":\"Ollama Chat API\",\"version\":\"" OLLACHAT_VERSION
			 "\",\"status\":\"running\",\"endpoints\":{\"health\":\"/health\","
			 "\"chat\":\"/api/chat (POST)\",\"models\":\"/api/models (GET)\"}}"));
}

static void status_get(struct conn *c)
{
	const struct shared *sh = c->server->env.shared;
	struct health h = judge(c);
	char mem[2048];
	struct buf b;

	buf_init(&b, mem, sizeof(mem));
	put_text(&b, "{\"version\":", SLICE(OLLACHAT_VERSION));
	put_text(&b, ",\"status\":", slice_str(h.text));
	put_model(c, &b);
	put_bool(&b, ",\"ready\":", h.ready);
	put_u64(&b, ",\"active\":", sh->active);
	put_u64(&b, ",\"queued\":", sh->queued);
	put_bool(&b, ",\"draining\":", h.state == HEALTH_DRAINING);
	if (access_is_admin(c) && sh->first_answer_ms > 0)
		put_u64(&b, ",\"boot\":{\"ollama_up_ms\":",
			(uint64_t)(sh->first_answer_ms - sh->started_ms));
	if (access_is_admin(c) && sh->first_answer_ms > 0)
		buf_put_byte(&b, '}');
	buf_put_byte(&b, '}');
	conn_reply(c, 200, json_type, SLICE("Cache-Control: no-store\r\n"), buf_view(&b));
}

static void not_found(struct conn *c)
{
	conn_reply(c, 404, json_type, no_fields,
		   SLICE("{\"error\":\"Not Found\",\"message\":\"there is nothing at this path\","
			 "\"available_endpoints\":{\"root\":\"/\",\"health\":\"/health\","
			 "\"chat\":\"/api/chat\",\"models\":\"/api/models\"}}"));
}

static void v1_not_found(struct conn *c)
{
	conn_error(c, 404, SLICE("there is nothing at this path"), 0);
}

#define ANY_METHOD 0xffu
#define R(text)    SLICE_INIT(text)

static const struct route routes[] = {
	{ R("/health"), HTTP_GET, ROUTE_PROBE | ROUTE_CROSS, health_get },
	{ R("/api/health"), HTTP_GET, ROUTE_PROBE | ROUTE_CROSS | ROUTE_OPEN, health_get },
	{ R("/ready"), HTTP_GET, ROUTE_PROBE | ROUTE_CROSS, ready_get },
	{ R("/metrics"), HTTP_GET, ROUTE_PROBE | ROUTE_CROSS, metrics_get },
	{ R("/"), HTTP_GET, ROUTE_CROSS, root_get },
	{ R("/api/status"), HTTP_GET, ROUTE_CROSS | ROUTE_OPEN, status_get },
	{ R("/api/models"), HTTP_GET, ROUTE_CROSS, api_models },
	{ R("/api/chat"), HTTP_POST, ROUTE_COLLECT, api_chat },
	{ R("/api/generate"), HTTP_POST, ROUTE_COLLECT, api_generate },
	{ R("/api/embed"), HTTP_POST, ROUTE_COLLECT, api_embed },
	{ R("/api/embeddings"), HTTP_POST, ROUTE_COLLECT, api_embed },
	{ R("/api/show"), HTTP_POST, ROUTE_COLLECT, api_show },
	{ R("/api/tags"), HTTP_GET, ROUTE_CROSS, api_list },
	{ R("/api/ps"), HTTP_GET, ROUTE_CROSS, api_pass },
	{ R("/api/version"), HTTP_GET, ROUTE_CROSS, api_pass },
	{ R("/v1/chat/completions"), HTTP_POST, ROUTE_COLLECT | ROUTE_OPENAI, api_openai },
	{ R("/v1/completions"), HTTP_POST, ROUTE_COLLECT | ROUTE_OPENAI, api_openai },
	{ R("/v1/embeddings"), HTTP_POST, ROUTE_COLLECT | ROUTE_OPENAI, api_openai },
	{ R("/v1/responses"), HTTP_POST, ROUTE_COLLECT | ROUTE_OPENAI, api_openai },
	{ R("/v1/models"), HTTP_GET, ROUTE_CROSS | ROUTE_OPENAI, api_list },
	{ R("/v1/models/"), HTTP_GET, ROUTE_CROSS | ROUTE_OPENAI | ROUTE_PREFIX, api_model },
	{ R("/api/pull"), HTTP_POST, ROUTE_COLLECT | ROUTE_ADMIN, admin_stream },
	{ R("/api/push"), HTTP_POST, ROUTE_COLLECT | ROUTE_ADMIN, admin_stream },
	{ R("/api/create"), HTTP_POST, ROUTE_COLLECT | ROUTE_ADMIN, admin_stream },
	{ R("/api/copy"), HTTP_POST, ROUTE_COLLECT | ROUTE_ADMIN, admin_whole },
	{ R("/api/delete"), HTTP_DELETE, ROUTE_COLLECT | ROUTE_ADMIN, admin_whole },
	{ R("/api/blobs/"), HTTP_HEAD | HTTP_POST, ROUTE_PREFIX | ROUTE_STREAM | ROUTE_ADMIN,
	  admin_blob },
	{ R("/v1/"), ANY_METHOD, ROUTE_PREFIX | ROUTE_OPENAI, v1_not_found },
};

static const struct route fallback = { R(""), ANY_METHOD, 0, not_found };

const struct role_kind backend_kind = {
	.name = "backend",
	.routes = routes,
	.route_count = ARRAY_LEN(routes),
	.fallback = &fallback,
	.fields = SLICE_INIT("X-Content-Type-Options: nosniff\r\n"),
	.open = api_open,
	.on_drain = api_drain,
};
