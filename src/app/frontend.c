/* SPDX-License-Identifier: MIT */
/* frontend.c: role :3000: the embedded page, or a folder in its place, and the way to the API for
 * machines without a load balancer. */
#include "app/frontend.h"
#include "app/assets.h"
#include "app/conn.h"
#include "app/file_reply.h"
#include "app/folder.h"
#include "app/metrics_page.h"
#include "app/proxy.h"
#include "base/fmt.h"
#include "io/file.h"
#include "proto/json.h"

enum {
	FIELDS_MAX = 1024,
	CONFIG_MAX = 1024,
	FILE_FIELDS_MAX = 512, /* of one variant of one file */
	CODINGS = 3,
};

struct frontend {
	int dir;                   /* --root, or -1 */
	const struct asset *index; /* NULL: no page in this build */
	struct slice config;       /* /config.json */
	struct slice *prepared;    /* fields of each asset in each coding */
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

static struct slice asset_body(const struct asset *a, enum coding coding)
{
	return coding == CODING_BR ? a->br : coding == CODING_GZIP ? a->gzip : a->identity;
}

static struct file_reply asset_file(const struct asset *a, enum coding coding)
{
	struct file_reply r = { 0 };

	r.type = a->type;
	r.etag = a->etag;
	r.coding = coding;
	r.varies = a->gzip.n > 0 || a->br.n > 0;
	r.immutable = a->immutable;
	r.size = asset_body(a, coding).n;
	return r;
}

static void asset_reply(struct conn *c, const struct asset *a)
{
	enum coding coding = file_coding(c, a->gzip.n > 0, a->br.n > 0);
	struct file_reply r;
	struct slice body = asset_body(a, coding);
	char mem[FILE_FIELDS_MAX];
	struct buf fields;

	if (file_wants_all(c)) {
		conn_reply_static(c, 200, a->type,
				  front_of(c)->prepared[(a - assets) * CODINGS + coding], body);
		return;
	}
	buf_init(&fields, mem, sizeof(mem));
	r = asset_file(a, coding);
	file_reply_begin(c, &r, &fields);
	body = slice_make(body.p + r.from, (size_t)(r.to - r.from));
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
	bool draining = shared_is_leaving(c->server->env.shared);

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

#define ANY_METHOD 0xffu
#define R(text)    SLICE_INIT(text)

static const struct route routes[] = {
	{ R("/health"), HTTP_GET, ROUTE_PROBE | ROUTE_CROSS, health_get },
	{ R("/ready"), HTTP_GET, ROUTE_PROBE | ROUTE_CROSS, health_get },
	{ R("/metrics"), HTTP_GET, ROUTE_PROBE | ROUTE_CROSS, metrics_get },
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

/* What a request for a whole file is answered with, made once: nothing of it changes. */
static bool prepare_assets(struct frontend *f, struct server *s)
{
	size_t n = assets_count * CODINGS, i, cap;
	char *mem = mem_take(&s->mem, n * (sizeof(struct slice) + FILE_FIELDS_MAX) + 1, &cap);
	struct buf b;

	if (mem == NULL)
		return false;
	f->prepared = (struct slice *)(void *)mem;
	mem += n * sizeof(struct slice);
	for (i = 0; i < n; i++) {
		struct file_reply r = asset_file(&assets[i / CODINGS], (enum coding)(i % CODINGS));

		buf_init(&b, mem + i * FILE_FIELDS_MAX, FILE_FIELDS_MAX);
		file_reply_prepare(&r, &b);
		f->prepared[i] = buf_view(&b);
	}
	return true;
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
	if (!prepare_assets(f, s))
		return false;
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
