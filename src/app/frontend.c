/* SPDX-License-Identifier: MIT */
/* frontend.c: role :3000: the embedded page, or a folder in its place, and the way to the API for
 * machines without a load balancer. */
#include "app/frontend.h"
#include "app/assets.h"
#include "app/conn.h"
#include "app/file_reply.h"
#include "app/folder.h"
#include "app/proxy.h"
#include "base/fmt.h"
#include "io/file.h"
#include "proto/json.h"

enum { FIELDS_MAX = 1024, CONFIG_MAX = 1024 };

struct frontend {
	int dir;                   /* --root, or -1 */
	const struct asset *index; /* NULL: no page in this build */
	struct slice config;       /* /config.json */
	char fields_mem[FIELDS_MAX];
	char config_mem[CONFIG_MAX];
};

static struct frontend *front_of(const struct conn *c)
{
	return c->server->role_data;
}

/* ---- the embedded page ---- */

static const struct asset *asset_find(struct slice path)
{
	size_t low = 0, high = assets_count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		struct slice p = assets[mid].path;
		int order = memcmp(p.p, path.p, MIN(p.n, path.n));

		if (order == 0)
			order = p.n < path.n ? -1 : p.n > path.n;
		if (order == 0)
			return &assets[mid];
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

static void asset_reply(struct conn *c, const struct asset *a)
{
	struct file_reply r = { 0 };
	struct slice bodies[3] = { a->identity, a->gzip, a->br };
	struct slice body;
	char mem[512];
	struct buf fields;

	buf_init(&fields, mem, sizeof(mem));
	r.type = a->type;
	r.etag = a->etag;
	r.coding = file_coding(c, a->gzip.n > 0, a->br.n > 0);
	r.varies = a->gzip.n > 0 || a->br.n > 0;
	r.immutable = a->immutable;
	r.size = bodies[r.coding].n;
	file_reply_begin(c, &r, &fields);
	body = slice_make(bodies[r.coding].p + r.from, (size_t)(r.to - r.from));
	if (r.part == HTTP_PART_NOT_MODIFIED || r.part == HTTP_PART_UNSATISFIABLE)
		body.n = 0;
	conn_reply_static(c, r.status, r.type, buf_view(&fields), body);
}

static bool embedded_reply(struct conn *c, struct slice path)
{
	const struct asset *a = asset_find(path);

	if (a == NULL &&
	    !file_has_extension(path)) /* a view of the page, which knows it by its path */
		a = front_of(c)->index;
	if (a == NULL)
		return false;
	asset_reply(c, a);
	return true;
}

static void page_get(struct conn *c)
{
	struct slice path = c->req->uri.path;
	int dir = front_of(c)->dir;

	if (dir >= 0 ? folder_reply(c, dir, path) : embedded_reply(c, path))
		return;
	conn_error(c, 404, SLICE("there is no such file"), 0);
}

/* ---- our own answers ---- */

static void health_get(struct conn *c)
{
	bool draining = server_is_draining(c->server);

	conn_reply(
		c, draining ? 503 : 200, SLICE("application/json"),
		SLICE("Cache-Control: no-store\r\n"),
		draining ? SLICE("{\"status\":\"draining\",\"version\":\"" OLLACHAT_VERSION "\"}")
			 : SLICE("{\"status\":\"healthy\",\"version\":\"" OLLACHAT_VERSION "\"}"));
}

static void config_get(struct conn *c)
{
	conn_reply_static(c, 200, SLICE("application/json"), SLICE("Cache-Control: no-cache\r\n"),
			  front_of(c)->config);
}

static void api(struct conn *c)
{
	if (c->server->upstreams != NULL)
		proxy_pass(c);
	else
		conn_error(c, 404, SLICE("the API is not here; see --api-proxy"), 0);
}

static void not_here(struct conn *c)
{
	conn_error(c, 404, SLICE("there is nothing at this path"), 0);
}

#define ANY_METHOD 0xffu
#define R(text)    SLICE_INIT(text)

static const struct route routes[] = {
	{ R("/health"), HTTP_GET, ROUTE_PROBE | ROUTE_CROSS, health_get },
	{ R("/ready"), HTTP_GET, ROUTE_PROBE | ROUTE_CROSS, health_get },
	{ R("/metrics"), ANY_METHOD, ROUTE_CROSS, not_here },
	{ R("/config.json"), HTTP_GET, ROUTE_CROSS, config_get },
	{ R("/api/"), ANY_METHOD, ROUTE_PREFIX | ROUTE_COLLECT | ROUTE_FORWARD, api },
	{ R("/v1/"), ANY_METHOD, ROUTE_PREFIX | ROUTE_COLLECT | ROUTE_FORWARD | ROUTE_OPENAI, api },
	{ R("/"), HTTP_GET, ROUTE_PREFIX | ROUTE_CROSS, page_get },
};

static const struct route fallback = { R(""), HTTP_GET, ROUTE_CROSS, page_get };

/* ---- birth ---- */

static void make_fields(struct frontend *f, struct server *s)
{
	struct buf b;

	buf_init(&b, f->fields_mem, sizeof(f->fields_mem));
	buf_put_str(
		&b,
		"Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "
		"img-src 'self' data:; font-src 'self'; connect-src 'self'");
	if (s->env.config->api_base.n > 0) {
		buf_put_byte(&b, ' ');
		buf_put(&b, s->env.config->api_base);
	}
	buf_put_str(&b, "; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
			"frame-ancestors 'none'");
	if (s->env.config->root == NULL) /* our page makes no HTML from text; another one may */
		buf_put_str(&b, "; require-trusted-types-for 'script'; trusted-types 'none'");
	buf_put_str(&b, "\r\n"
			"X-Content-Type-Options: nosniff\r\n"
			"X-Frame-Options: DENY\r\n"
			"Referrer-Policy: no-referrer\r\n"
			"Permissions-Policy: camera=(), microphone=(), geolocation=(), payment=(), "
			"usb=()\r\n");
	s->fields = buf_view(&b);
}

static void make_config(struct frontend *f, const struct server *s)
{
	struct buf b;

	buf_init(&b, f->config_mem, sizeof(f->config_mem));
	buf_put_str(&b, "{\"api_base\":");
	json_write_string(&b, s->env.config->api_base);
	buf_put_str(&b, ",\"version\":\"" OLLACHAT_VERSION "\"}");
	f->config = buf_view(&b);
}

static bool frontend_open(struct server *s)
{
	size_t cap;
	struct frontend *f = mem_take(&s->mem, sizeof(*f), &cap);
	const char *why;

	if (f == NULL)
		return false;
	memset(f, 0, sizeof(*f));
	f->dir = -1;
	f->index = asset_find(SLICE("/index.html"));
	if (s->env.config->root != NULL) {
		f->dir = file_open_dir(s->env.config->root, &why);
		if (f->dir < 0) {
			log_event(s->env.log, LOG_ERROR, "cannot open --root", "why", why);
			return false;
		}
	}
	make_fields(f, s);
	make_config(f, s);
	s->role_data = f;
	return true;
}

const struct role_kind frontend_kind = {
	.name = "frontend",
	.routes = routes,
	.route_count = ARRAY_LEN(routes),
	.fallback = &fallback,
	.open = frontend_open,
};
