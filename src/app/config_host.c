/* SPDX-License-Identifier: MIT */
/* config_host.c: values that are addresses, origins and URLs. */
#include "app/config_option.h"
#include "base/fmt.h"

static const char NO_URL[] = "is no URL of a server";
static const char NO_HTTPS[] = "cannot be used: https is not supported here";

/* ---- who may ask ---- */

static bool is_host(struct slice s)
{
	size_t i;

	for (i = 0; i < s.n; i++) {
		char c = ascii_lower(s.p[i]);

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
		      c == '_'))
			return false;
	}
	return (s.n > 0 && s.n <= 253) || uri_name_is_ip(s);
}

const char *config_host_add(struct config *c, struct slice s)
{
	if (s.n > 2 && s.p[0] == '[' && s.p[s.n - 1] == ']')
		s = slice_make(s.p + 1, s.n - 2);
	if (!slice_eq(s, SLICE("*")) && !uri_name_is_ip(s) && !is_host(s))
		return "is no host name";
	if (c->allowed_hosts_count == CONFIG_LIST_MAX)
		return CONFIG_TOO_MANY;
	c->allowed_hosts[c->allowed_hosts_count++] = s;
	return NULL;
}

/* Without what browsers leave out of an origin (a port that goes without saying), or operators put
 * in (a slash at the end). */
static const char *origin_parse(struct slice s, struct slice *out)
{
	static const struct slice ports[] = { SLICE_INIT(":80"), SLICE_INIT(":443") };
	struct slice port;
	struct url u;

	if (s.n > 0 && s.p[s.n - 1] == '/')
		s.n--;
	if (url_parse(s, &u) != NULL || u.path.n > 0 || s.p[s.n - 1] == '/' ||
	    (!u.ip && !is_host(u.host)))
		return "is no origin";
	port = ports[u.https];
	if (s.n > port.n && slice_eq(slice_from(s, s.n - port.n), port))
		s.n -= port.n;
	*out = s;
	return NULL;
}

const char *config_origin_add(struct config *c, struct slice s)
{
	struct slice origin = s;
	const char *wrong = slice_eq(s, SLICE("*")) ? NULL : origin_parse(s, &origin);

	if (wrong != NULL)
		return wrong;
	if (c->cors_count == CONFIG_LIST_MAX)
		return CONFIG_TOO_MANY;
	c->cors_origins[c->cors_count++] = origin;
	return NULL;
}

const char *config_origin_take(struct slice s, struct slice *out)
{
	struct slice origin = s;
	const char *wrong = s.n > 0 ? origin_parse(s, &origin) : NULL;

	if (wrong == NULL)
		*out = origin;
	return wrong;
}

const char *config_cidr_add(struct cidr *list, size_t *count, struct slice s)
{
	static const struct cidr loopback[] = {
		{ { { [10] = 0xff, [11] = 0xff, [12] = 127 } }, 96 + 8 },
		{ { { [15] = 1 } }, 128 },
	};
	const struct cidr *from = loopback;
	size_t n = ARRAY_LEN(loopback);
	struct cidr one;

	if (slice_eq(s, SLICE("private"))) {
		from = cidr_private;
		n = cidr_private_count;
	} else if (!slice_eq(s, SLICE("loopback"))) {
		if (!cidr_parse(s, &one))
			return "is no address or range";
		from = &one;
		n = 1;
	}
	if (n > CONFIG_LIST_MAX - *count)
		return CONFIG_TOO_MANY;
	memcpy(list + *count, from, n * sizeof(*from));
	*count += n;
	return NULL;
}

/* ---- listeners ---- */

static bool addr_parse(struct slice host, struct slice port, struct sock_addr *a)
{
	struct ip_addr ip;
	uint64_t v;

	if (slice_eq_nocase(host, SLICE("localhost")))
		host = SLICE("127.0.0.1");
	if (port.n > 5 || !fmt_parse_u64(port, &v) || v > UINT16_MAX || !ip_parse(host, &ip))
		return false;
	memcpy(a->ip, ip.b, sizeof(a->ip));
	a->port = (uint16_t)v;
	a->v6 = !ip_is_v4(&ip);
	return true;
}

static void addr_show(struct config *c)
{
	struct ip_addr ip;
	struct buf b;

	memcpy(ip.b, c->listen.ip, sizeof(ip.b));
	buf_init(&b, c->listen_mem, sizeof(c->listen_mem));
	if (c->listen.v6)
		buf_put_byte(&b, '[');
	ip_write(&b, &ip);
	buf_put_str(&b, c->listen.v6 ? "]:" : ":");
	fmt_u64(&b, c->listen.port);
	c->listen_text = buf_view(&b);
}

const char *config_listen_take(struct config *c, const struct config_option *o, struct slice s)
{
	struct slice host, port = s, unused;
	uint64_t v;

	uri_host_split(slice_str(config_option_fallback(o, c->role)), &host, &unused);
	if (s.n > 0 && s.p[0] == ':')
		port = slice_from(s, 1);
	else if (!fmt_parse_u64(s, &v) && !uri_host_split(s, &host, &port))
		return "is no address";
	if (!addr_parse(host, port, &c->listen))
		return "is no address";
	addr_show(c);
	return NULL;
}

/* ---- upstreams ---- */

static const char *url_take(struct slice s, struct slice *text, struct url *u)
{
	struct url url;

	if (url_parse(s, &url) != NULL)
		return NO_URL;
	if (url.path.n > 0)
		return "has a path, which is not supported";
	*text = s;
	*u = url;
	return NULL;
}

const char *config_ollama_take(struct config *c, struct slice s)
{
	bool sim = slice_eq(s, SLICE("sim"));

	if (sim && c->role != ROLE_DEMO)
		return "is for the role demo only";
	c->ollama_sim = sim;
	if (!sim)
		return url_take(s, &c->ollama_text, &c->ollama);
	memset(&c->ollama, 0, sizeof(c->ollama));
	c->ollama_text = s;
	return NULL;
}

const char *config_proxy_take(struct config *c, struct slice s)
{
	const char *wrong;

	if (s.n > 0) {
		wrong = url_take(s, &c->api_proxy_text, &c->api_proxy);
		return wrong == NULL && c->api_proxy.https ? NO_HTTPS : wrong;
	}
	memset(&c->api_proxy, 0, sizeof(c->api_proxy));
	c->api_proxy_text = s;
	return NULL;
}

/* ---- OLLAMA_HOST and OLLAMA_PORT ---- */

struct host_text {
	bool scheme, https;
	struct slice host, port;
};

/* Ollama reads "host", "host:port", ":port", "[v6]:port", "v6" and all of these with http://; quotes
 * and blanks around them do not count, and the same with https://. With a scheme the port is the
 * scheme's. */
static bool host_text_parse(struct slice s, struct host_text *t)
{
	static const struct slice http = SLICE_INIT("http://"), https = SLICE_INIT("https://");

	t->https = s.n >= https.n && slice_eq_nocase(slice_make(s.p, https.n), https);
	t->scheme = t->https || (s.n >= http.n && slice_eq_nocase(slice_make(s.p, http.n), http));
	if (t->scheme)
		s = slice_from(s, t->https ? https.n : http.n);
	if (s.n > 0 && s.p[s.n - 1] == '/')
		s.n--;
	t->host = s;
	t->port = slice_make(s.p, 0);
	if (uri_name_is_ip(s))
		return true;
	if (s.n == 0 || s.p[0] != ':')
		return uri_host_split(s, &t->host, &t->port);
	t->host.n = 0;
	t->port = slice_from(s, 1);
	return true;
}

/* A server listens on "any address"; a client can reach it on loopback. */
static struct slice host_reachable(struct slice host)
{
	static const struct ip_addr any4 = { { [10] = 0xff, [11] = 0xff } }, any6;
	struct ip_addr ip;

	if (host.n == 0)
		return SLICE("127.0.0.1");
	if (!ip_parse(host, &ip))
		return host;
	if (memcmp(&ip, &any4, sizeof(ip)) == 0)
		return SLICE("127.0.0.1");
	return memcmp(&ip, &any6, sizeof(ip)) == 0 ? SLICE("::1") : host;
}

static bool host_text_write(struct buf *b, const struct host_text *t)
{
	bool v6 = memchr(t->host.p, ':', t->host.n) != NULL;

	return buf_put_str(b, t->https ? "https://" : "http://") && buf_put_str(b, v6 ? "[" : "") &&
	       buf_put(b, t->host) && buf_put_str(b, v6 ? "]:" : ":") && buf_put(b, t->port);
}

static struct slice unquote(const char *s)
{
	struct slice v = slice_str(s);

	while (v.n > 0 && strchr(" \t\"'", v.p[0]) != NULL)
		v = slice_from(v, 1);
	while (v.n > 0 && strchr(" \t\"'", v.p[v.n - 1]) != NULL)
		v.n--;
	return v;
}

static const char *host_text_take(struct config *c, struct slice host, struct slice port)
{
	struct host_text t;
	struct buf b;

	if (!host_text_parse(host, &t))
		return "is no address of a server";
	t.host = host_reachable(t.host);
	if (t.port.n == 0 && port.n > 0)
		t.port = port;
	else if (t.port.n == 0)
		t.port = t.https ? SLICE("443") : t.scheme ? SLICE("80") : SLICE("11434");
	buf_init(&b, c->ollama_mem, sizeof(c->ollama_mem));
	if (!host_text_write(&b, &t))
		return "is too long";
	return url_take(buf_view(&b), &c->ollama_text, &c->ollama);
}

bool config_ollama_from(struct config *c, const char *host, const char *port,
			struct config_fault *f)
{
	struct slice h = unquote(host), p = unquote(port);
	uint64_t number;

	f->name = "OLLAMA_PORT";
	f->accepted = "1 to 65535";
	f->part = p;
	f->why = "is no port";
	if (p.n > 0 && (!fmt_parse_u64(p, &number) || number == 0 || number > UINT16_MAX))
		return false;
	if (h.n > 0) {
		f->name = "OLLAMA_HOST";
		f->accepted = "HOST, HOST:PORT, http://HOST:PORT";
		f->part = h;
	}
	f->why = host_text_take(c, h, p);
	return f->why == NULL;
}
