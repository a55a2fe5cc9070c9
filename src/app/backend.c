/* SPDX-License-Identifier: MIT */
/* backend.c: role :8000: its route table. What it says of itself is in backend_status.c, what goes
 * on to Ollama in backend_api.c. */
#include "app/backend.h"
#include "app/access.h"
#include "app/admin.h"
#include "app/backend_api.h"
#include "app/backend_status.h"
#include "app/metrics_page.h"
#include "app/reply.h"
#include "proto/json.h"

static const struct slice json_type = SLICE_INIT("application/json");
static const struct slice no_fields = SLICE_INIT("");

static void root_get(struct conn *c)
{
	conn_reply(c, 200, json_type, no_fields,
		   SLICE("{\"message\":\"Ollama Chat API\",\"version\":\"" OLLACHAT_VERSION
			 "\",\"status\":\"running\",\"endpoints\":{\"health\":\"/health\","
			 "\"chat\":\"/api/chat (POST)\",\"models\":\"/api/models (GET)\"}}"));
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
	{ R("/health"), HTTP_GET, ROUTE_PROBE | ROUTE_CROSS, status_health },
	{ R("/api/health"), HTTP_GET, ROUTE_PROBE | ROUTE_CROSS | ROUTE_OPEN, status_health },
	{ R("/ready"), HTTP_GET, ROUTE_PROBE | ROUTE_CROSS, status_ready },
	{ R("/metrics"), HTTP_GET, ROUTE_PROBE | ROUTE_CROSS, metrics_get },
	{ R("/"), HTTP_GET, ROUTE_CROSS, root_get },
	{ R("/api/status"), HTTP_GET, ROUTE_CROSS | ROUTE_OPEN, status_full },
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
