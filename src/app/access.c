/* SPDX-License-Identifier: MIT */
/* access.c: Host and Origin checks, CORS, keys, rates, who the client is. */
#include "app/access.h"
#include "app/keys.h"
#include "app/rate.h"
#include "base/fmt.h"
#include "proto/forwarded.h"

enum { FORWARDED_LINES_MAX = 16 };

static const struct slice x_forwarded_for = SLICE_INIT("X-Forwarded-For");

static struct ip_addr peer_of(const struct conn *c)
{
	struct ip_addr a;

	memcpy(a.b, c->peer.ip, sizeof(a.b));
	return a;
}

static struct ip_addr client_of(const struct conn *c)
{
	const struct config *cf = c->server->env.config;
	const struct http_head *h = &c->req->head;
	struct slice lines[FORWARDED_LINES_MAX];
	struct ip_addr peer = peer_of(c);
	size_t n = 0;
	unsigned i;

	for (i = 0; i < h->count; i++) {
		if (!slice_eq_nocase(h->fields[i].name, x_forwarded_for))
			continue;
		if (n == FORWARDED_LINES_MAX)
			return peer;
		lines[n++] = h->fields[i].value;
	}
	if (n == 0)
		return peer;
	return forwarded_client(&peer, cf->trusted, cf->trusted_count, lines, n,
				cf->forwarded_hops);
}

static bool is_id_byte(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       c == '-';
}

/* The load balancer's trace id ("Root=1-67891233-abcdef012345678912345678;...") or one of ours. */
static struct slice make_id(struct conn *c)
{
	struct slice v = http_field_value(&c->req->head, SLICE("X-Amzn-Trace-Id"));
	struct slice root = SLICE("Root=");
	struct server *s = c->server;
	struct buf b;
	char *mem;
	size_t i, n;

	for (i = 0; i + root.n < v.n; i++) {
		if (!slice_starts(slice_from(v, i), root))
			continue;
		v = slice_from(v, i + root.n);
		for (n = 0; n < v.n && n < 64 && is_id_byte(v.p[n]); n++)
			;
		if (n > 0)
			return slice_make(v.p, n);
		break;
	}
	mem = arena_take(&c->req->arena, 32);
	if (mem == NULL)
		return slice_make("", 0);
	buf_init(&b, mem, 32);
	fmt_hex(&b, s->request_seed, 16);
	fmt_hex(&b, ++s->request_count, 8);
	return buf_view(&b);
}

static bool in_list(const struct slice *list, size_t n, struct slice s)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (slice_eq_nocase(list[i], s) || slice_eq(list[i], SLICE("*")))
			return true;
	return false;
}

/* Whoever has one IPv6 address has the whole /64 it is in. */
static void party_of(const struct ip_addr *client, uint8_t party[16])
{
	memset(party, 0, 16);
	memcpy(party, client->b, ip_is_v4(client) ? 16 : 8);
}

/* Which key a request shows. More than one Authorization field is none: two readers could take
 * different ones. */
static enum conn_key key_of(const struct conn *c, struct digest *d)
{
	const struct keys *keys = c->server->start->keys;
	const struct http_head *h = &c->req->head;
	const struct http_field *field = NULL;
	struct slice key;
	unsigned i, count = 0;

	if (keys == NULL)
		return KEY_NONE;
	for (i = 0; i < h->count; i++) {
		if (!slice_eq_nocase(h->fields[i].name, SLICE("Authorization")))
			continue;
		field = &h->fields[i];
		count++;
	}
	if (count > 1)
		return KEY_WRONG;
	if (count == 0 || !api_key_bearer(field->value, &key))
		return KEY_NONE;
	*d = digest_sha256(key);
	return keys_has(keys, d) ? KEY_VALID : KEY_WRONG;
}

void access_identify(struct conn *c)
{
	const struct config *cf = c->server->env.config;
	struct request *r = c->req;
	struct slice origin = http_field_value(&r->head, SLICE("Origin"));
	struct digest key;

	r->client = client_of(c);
	r->key = key_of(c, &key);
	if (r->key == KEY_VALID)
		memcpy(r->party, key.b, sizeof(r->party));
	else
		party_of(&r->client, r->party);
	r->id = make_id(c);
	if (origin.n > 0 && in_list(cf->cors_origins, cf->cors_count, origin))
		r->cors_origin = origin;
}

bool access_is_admin(const struct conn *c)
{
	const struct config *cf = c->server->env.config;

	if (http_field_find(&c->req->head, x_forwarded_for) == NULL)
		return true;
	return cidr_has(cf->admin_from, cf->admin_from_count, &c->req->client);
}

/* The authority the client meant: an absolute target's wins over Host (RFC 9112, 3.2.2). */
static struct slice authority_of(const struct request *r)
{
	return r->uri.authority.n > 0 ? r->uri.authority : r->head.host;
}

static bool is_loopback_listener(const struct config *cf)
{
	struct ip_addr a;

	memcpy(a.b, cf->listen.ip, sizeof(a.b));
	return ip_is_loopback(&a);
}

/* DNS rebinding: a page elsewhere may make its own name point at a loopback address. */
static bool host_is_allowed(const struct conn *c)
{
	const struct config *cf = c->server->env.config;
	struct slice name, port, host = authority_of(c->req);

	if (c->req->route->flags & ROUTE_PROBE)
		return true;
	if (host.n == 0)
		return cf->allowed_hosts_count == 0;
	if (!uri_host_split(host, &name, &port))
		return false;
	if (cf->allowed_hosts_count > 0)
		return in_list(cf->allowed_hosts, cf->allowed_hosts_count, name) ||
		       (is_loopback_listener(cf) && uri_name_is_local_or_ip(name));
	return !is_loopback_listener(cf) || uri_name_is_local_or_ip(name);
}

/* "https://host:8443" -> scheme and "host:8443". */
static bool origin_split(struct slice origin, struct slice *scheme, struct slice *host)
{
	size_t i;

	for (i = 0; i + 3 <= origin.n; i++) {
		if (memcmp(origin.p + i, "://", 3) != 0)
			continue;
		*scheme = slice_make(origin.p, i);
		*host = slice_from(origin, i + 3);
		return host->n > 0;
	}
	return false;
}

static struct slice default_port(struct slice scheme)
{
	return slice_eq_nocase(scheme, SLICE("https")) ? SLICE("443") : SLICE("80");
}

/* How the browser reached the outermost of us. */
static struct slice scheme_of(const struct conn *c)
{
	const struct config *cf = c->server->env.config;
	struct ip_addr peer = peer_of(c);
	struct slice v = http_field_value(&c->req->head, SLICE("X-Forwarded-Proto"));

	if (v.n > 0 && cidr_has(cf->trusted, cf->trusted_count, &peer))
		return v;
	return cf->tls != TLS_OFF ? SLICE("https") : SLICE("http");
}

static bool origin_is_same(const struct conn *c, struct slice origin)
{
	struct slice scheme, host, name_a, port_a, name_b, port_b;

	if (!origin_split(origin, &scheme, &host) || !slice_eq_nocase(scheme, scheme_of(c)))
		return false;
	if (!uri_host_split(host, &name_a, &port_a) ||
	    !uri_host_split(authority_of(c->req), &name_b, &port_b))
		return false;
	if (port_a.n == 0)
		port_a = default_port(scheme);
	if (port_b.n == 0)
		port_b = default_port(scheme);
	return slice_eq_nocase(name_a, name_b) && slice_eq(port_a, port_b);
}

/* Another site's page must not make a visitor's browser talk to us (CSRF). */
static bool origin_is_allowed(const struct conn *c)
{
	const struct http_head *h = &c->req->head;
	struct slice origin = http_field_value(h, SLICE("Origin"));
	struct slice site = http_field_value(h, SLICE("Sec-Fetch-Site"));

	if ((h->method & (HTTP_GET | HTTP_HEAD)) && (c->req->route->flags & ROUTE_CROSS))
		return true;
	if (origin.p == NULL)
		return !slice_eq(site, SLICE("cross-site")) && !slice_eq(site, SLICE("same-site"));
	return c->req->cors_origin.n > 0 || origin_is_same(c, origin);
}

static void preflight_reply(struct conn *c)
{
	char mem[256];
	struct buf fields;

	buf_init(&fields, mem, sizeof(mem));
	buf_put_str(&fields, "Access-Control-Allow-Methods: GET, HEAD, POST");
	buf_put_str(&fields, c->server->env.config->allow_admin ? ", DELETE\r\n" : "\r\n");
	buf_put_str(&fields, "Access-Control-Allow-Headers: Authorization, Content-Type, "
			     "X-Ollachat-Progress\r\n"
			     "Access-Control-Max-Age: 600\r\n");
	conn_reply(c, 204, slice_make("", 0), buf_view(&fields), slice_make("", 0));
}

/* Whether the route is part of the API, for which keys are asked and requests counted. */
static bool is_api(const struct request *r)
{
	struct slice path = r->uri.path;

	return !(r->route->flags & ROUTE_OPEN) &&
	       (slice_starts(path, SLICE("/api/")) || slice_starts(path, SLICE("/v1/")) ||
		slice_eq(path, SLICE("/api")) || slice_eq(path, SLICE("/v1")));
}

static bool key_is_given(struct conn *c)
{
	if (c->server->start->keys == NULL || c->req->key == KEY_VALID)
		return true;
	if (c->req->key == KEY_WRONG)
		conn_error_fields(c, 401, SLICE("this API key is not valid here"),
				  SLICE("WWW-Authenticate: Bearer realm=\"ollachat\", "
					"error=\"invalid_token\"\r\n"));
	else
		conn_error_fields(c, 401,
				  SLICE("an API key is required (Authorization: Bearer KEY)"),
				  SLICE("WWW-Authenticate: Bearer realm=\"ollachat\"\r\n"));
	return false;
}

static bool rate_is_kept(struct conn *c)
{
	struct server *s = c->server;
	unsigned wait;

	if (s->rate == NULL)
		return true;
	wait = rate_ask(s->rate, c->req->party, loop_now(s->env.loop));
	if (wait > 0)
		conn_error(c, 429, SLICE("too many requests, try again later"), wait);
	return wait == 0;
}

static bool admin_is_allowed(struct conn *c)
{
	if (!(c->req->route->flags & ROUTE_ADMIN) || c->server->env.config->allow_admin)
		return true;
	conn_error(c, 403, SLICE("this part of Ollama's API is not open to clients here"), 0);
	return false;
}

bool access_allow(struct conn *c)
{
	struct request *r = c->req;

	if (!host_is_allowed(c)) {
		conn_error(c, 421, SLICE("this Host is not served here; see --allowed-hosts"), 0);
		return false;
	}
	if (r->route->flags & ROUTE_FORWARD)
		return true;
	if (!origin_is_allowed(c)) {
		conn_error(c, 403,
			   SLICE("requests from this origin are not allowed; see --cors-origin"),
			   0);
		return false;
	}
	if (r->head.method == HTTP_OPTIONS && r->cors_origin.n > 0 &&
	    http_field_find(&r->head, SLICE("Access-Control-Request-Method")) != NULL) {
		preflight_reply(c);
		return false;
	}
	if (is_api(r) && (!key_is_given(c) || !rate_is_kept(c)))
		return false;
	return admin_is_allowed(c);
}
