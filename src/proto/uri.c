/* SPDX-License-Identifier: MIT */
/* uri.c: request targets, Host values, and the URLs of our upstreams. */
#include "proto/uri.h"

#include "base/fmt.h"
#include "proto/forwarded.h"
#include "proto/http_char.h"

enum { PORT_DIGITS_MAX = 5 };

/* The byte that the "%XX" at the start of s stands for, or -1 when there is none. */
static int escape_of(struct slice s)
{
	int hi, lo;

	if (s.n < 3 || s.p[0] != '%')
		return -1;
	hi = http_hex_value(s.p[1]);
	lo = http_hex_value(s.p[2]);
	return hi < 0 || lo < 0 ? -1 : hi << 4 | lo;
}

/* The first of some bytes in s, or s.n. */
static size_t index_of(struct slice s, const char *any)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (s.p[i] != '\0' && strchr(any, s.p[i]) != NULL)
			break;
	return i;
}

/* ---- hosts (RFC 3986, 3.2.2 and 3.2.3) ---- */

/* What may stand unescaped in a reg-name: unreserved and sub-delims. Most of it are tchars. */
static bool is_name_char(char c)
{
	if (http_is_tchar(c))
		return strchr("#%^`|", c) == NULL;
	return c != '\0' && strchr("(),;=", c) != NULL;
}

/* An IPv4 literal is a reg-name as well. */
static bool is_reg_name(struct slice s)
{
	while (s.n > 0) {
		if (!is_name_char(s.p[0]) && escape_of(s) <= 0)
			return false;
		s = slice_from(s, s.p[0] == '%' ? 3 : 1);
	}
	return true;
}

static bool is_port(struct slice s)
{
	uint64_t port;

	if (s.n == 0)
		return true;
	return s.n <= PORT_DIGITS_MAX && fmt_parse_u64(s, &port) && port <= 65535;
}

static bool is_v6(struct slice s)
{
	struct ip_addr a;

	return memchr(s.p, ':', s.n) != NULL && ip_parse(s, &a);
}

bool uri_host_split(struct slice host, struct slice *name, struct slice *port)
{
	bool bracket = host.n > 0 && host.p[0] == '[';
	size_t n = index_of(host, bracket ? "]" : ":");

	*name = *port = slice_make("", 0);
	if (host.n == 0)
		return true;
	if (bracket) { /* IPvFuture is nobody's address, and zones mean nothing here */
		if (n == host.n || !is_v6(slice_make(host.p + 1, n - 1)))
			return false;
		*name = slice_make(host.p + 1, n - 1);
		n++;
	} else {
		*name = slice_make(host.p, n);
		if (!is_reg_name(*name))
			return false;
	}
	*port = slice_from(host, MIN(n + 1, host.n));
	if (n < host.n && host.p[n] != ':')
		return false;
	return name->n > 0 && is_port(*port);
}

bool uri_host_valid(struct slice host)
{
	struct slice name, port;

	return uri_host_split(host, &name, &port);
}

bool uri_name_is_ip(struct slice name)
{
	struct ip_addr a;

	return ip_parse(name, &a);
}

bool uri_name_is_local_or_ip(struct slice name)
{
	static const struct slice local = SLICE_INIT("localhost");
	struct slice end;

	if (uri_name_is_ip(name))
		return true;
	if (name.n <= local.n)
		return slice_eq_nocase(name, local);
	end = slice_from(name, name.n - local.n);
	return end.p[-1] == '.' && name.n > local.n + 1 && slice_eq_nocase(end, local);
}

/* ---- targets (RFC 9112, 3.2) ---- */

/* Decodes one segment to `to`; how many bytes that gave, or -1. */
static long segment_decode(struct slice s, char *to)
{
	char *p = to;

	while (s.n > 0) {
		bool escaped = s.p[0] == '%';
		int c = escaped ? escape_of(s) : (unsigned char)s.p[0];

		/* Not found (-1), %00 and control bytes: no name of ours. A slash or a backslash
		 * would make two segments of one for whoever reads the path next. */
		if (c < 0x20 || c == 0x7f || c == '\\' || c == '/')
			return -1;
		*p++ = (char)c;
		s = slice_from(s, escaped ? 3 : 1);
	}
	return p - to;
}

static bool is_dots(const char *p, size_t n, size_t want)
{
	return n == want && p[0] == '.' && p[n - 1] == '.';
}

/* Decodes a path into mem, segment by segment, and removes dot segments as it goes (RFC 3986,
 * 5.2.4, on decoded text: "%2e" is a dot, 6.2.2.2). Climbing above the root is an error here. */
static bool path_decode(struct slice raw, char *mem, struct slice *path)
{
	size_t n = 0; /* mem[0..n) is "" or "/a/b" */
	bool dots = false;

	while (raw.n > 0) {
		size_t end = 1 + index_of(slice_from(raw, 1), "/");
		long len;

		mem[n] = '/';
		len = segment_decode(slice_make(raw.p + 1, end - 1), mem + n + 1);
		if (len < 0)
			return false;
		dots = true;
		if (is_dots(mem + n + 1, (size_t)len, 2)) {
			if (n == 0)
				return false;
			while (mem[--n] != '/')
				;
		} else if (!is_dots(mem + n + 1, (size_t)len, 1)) {
			n += 1 + (size_t)len;
			dots = false;
		}
		raw = slice_from(raw, end);
	}
	if (dots)
		mem[n++] = '/';
	*path = slice_make(mem, n);
	return true;
}

/* "http://" or "https://" at the start of s, in any case: its length, else 0. */
static size_t scheme_size(struct slice s)
{
	static const struct slice http = SLICE_INIT("http://"), https = SLICE_INIT("https://");

	if (slice_eq_nocase(slice_make(s.p, MIN(s.n, https.n)), https))
		return https.n;
	return slice_eq_nocase(slice_make(s.p, MIN(s.n, http.n)), http) ? http.n : 0;
}

/* Cuts scheme and authority off the front of an absolute-form target. Userinfo is refused with the
 * bad hosts: '@' is in none (RFC 9110, 4.2.4), and neither is an empty host good (4.2.1). */
static bool authority_take(struct slice *target, struct slice *authority)
{
	size_t n = scheme_size(*target);

	if (n == 0)
		return false;
	*target = slice_from(*target, n);
	n = index_of(*target, "/?");
	*authority = slice_make(target->p, n);
	*target = slice_from(*target, n);
	return n > 0 && uri_host_valid(*authority);
}

bool uri_parse(struct slice target, char *mem, struct uri *u)
{
	size_t i;

	memset(u, 0, sizeof(*u));
	for (i = 0; i < target.n; i++)
		if (!http_is_target(target.p[i]))
			return false;
	if (slice_eq(target, SLICE("*"))) {
		u->asterisk = true;
		u->raw_path = target;
		u->path = slice_make(mem, 0);
		return true;
	}
	if (target.n == 0 || (target.p[0] != '/' && !authority_take(&target, &u->authority)))
		return false;
	i = index_of(target, "?");
	u->raw_path = i > 0 ? slice_make(target.p, i) : SLICE("/");
	u->query = slice_from(target, MIN(i + 1, target.n));
	return path_decode(u->raw_path, mem, &u->path);
}

struct slice uri_query_find(struct slice query, struct slice key)
{
	while (query.n > 0) {
		size_t n = index_of(query, "&");
		struct slice pair = slice_make(query.p, n);
		size_t eq = index_of(pair, "=");

		if (slice_eq(slice_make(pair.p, eq), key))
			return slice_from(pair, MIN(eq + 1, pair.n));
		query = slice_from(query, MIN(n + 1, query.n));
	}
	return slice_make(NULL, 0);
}

/* ---- upstream URLs ---- */

static const char *url_host(struct slice authority, struct url *u)
{
	struct slice port;
	uint64_t v = u->https ? 443 : 80;

	if (memchr(authority.p, '@', authority.n) != NULL)
		return "a user name is not allowed";
	if (!uri_host_split(authority, &u->host, &port) || u->host.n == 0 ||
	    memchr(u->host.p, '%', u->host.n) != NULL)
		return "bad host or port";
	if (fmt_parse_u64(port, &v) && v == 0) /* no port at all leaves v as it is */
		return "bad host or port";
	u->port = (unsigned)v;
	u->ip = uri_name_is_ip(u->host);
	return NULL;
}

const char *url_parse(struct slice s, struct url *u)
{
	size_t i, n = scheme_size(s);

	memset(u, 0, sizeof(*u));
	if (n == 0)
		return "it must begin with http:// or https://";
	u->https = n == sizeof("https://") - 1;
	for (i = 0; i < s.n; i++)
		if (s.p[i] == '?' || !http_is_target(s.p[i]))
			return "no query, no fragment, no spaces are allowed";
	s = slice_from(s, n);
	i = index_of(s, "/");
	u->path = slice_from(s, i);
	while (u->path.n > 0 && u->path.p[u->path.n - 1] == '/')
		u->path.n--;
	return url_host(slice_make(s.p, i), u);
}
