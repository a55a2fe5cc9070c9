/* SPDX-License-Identifier: MIT */
/* fuzz_uri.c: any bytes as a request target, a Host value, an upstream's URL, an address, a range. */
#include "proto/forwarded.h"
#include "proto/uri.h"

#include "fuzz.h"

static char mem[1 << 16];

static bool has(struct slice s, const char *part)
{
	size_t n = strlen(part), i;

	for (i = 0; i + n <= s.n; i++)
		if (memcmp(s.p + i, part, n) == 0)
			return true;
	return false;
}

static bool ends(struct slice s, const char *part)
{
	size_t n = strlen(part);

	return s.n >= n && memcmp(s.p + s.n - n, part, n) == 0;
}

static void check_target(struct slice in)
{
	struct uri u;
	size_t i;

	if (!uri_parse(in, mem, &u) || u.asterisk)
		return;
	MUST(u.path.n > 0 && u.path.p[0] == '/' && u.path.n <= MAX(in.n, 1));
	MUST(!has(u.path, "/../") && !has(u.path, "/./") && !ends(u.path, "/..") &&
	     !ends(u.path, "/."));
	for (i = 0; i < u.path.n; i++)
		MUST((unsigned char)u.path.p[i] >= 0x20 && u.path.p[i] != 0x7f &&
		     u.path.p[i] != '\\');
	MUST(uri_host_valid(u.authority));
	uri_query_find(u.query, SLICE("a"));
}

static void check_address(struct slice in)
{
	struct ip_addr a, again;
	struct cidr c;
	char text[64];
	struct buf b;

	if (cidr_parse(in, &c))
		MUST(c.bits <= 128 && cidr_has(&c, 1, &c.addr));
	if (!ip_parse_with_port(in, &a))
		return;
	buf_init(&b, text, sizeof(text));
	MUST(ip_write(&b, &a) && ip_parse(buf_view(&b), &again));
	MUST(memcmp(&a, &again, sizeof(a)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_make((const char *)data, MIN(size, sizeof(mem)));
	struct slice name, port;
	struct ip_addr peer = { { 1 } };
	struct url url;

	check_target(in);
	check_address(in);
	if (uri_host_split(in, &name, &port)) {
		MUST(name.n <= in.n && port.n <= 5);
		uri_name_is_local_or_ip(name);
	}
	if (url_parse(in, &url) == NULL)
		MUST(url.host.n > 0 && url.port > 0 && url.port <= 65535);
	forwarded_client(&peer, cidr_private, cidr_private_count, &in, 1, 2);
	return 0;
}
