/* SPDX-License-Identifier: MIT */
/* test_uri.c: targets, Host values, queries, upstream URLs. */
#include "check.h"

#include "proto/uri.h"

static char mem[64 * 1024];

/* ---- targets ---- */

static const struct {
	const char *target;
	const char *path; /* NULL: refused */
	const char *raw, *query, *authority;
} targets[] = {
	{ "/", "/", "/", "", "" },
	{ "/a/b", "/a/b", "/a/b", "", "" },
	{ "/a?", "/a", "/a", "", "" },
	{ "/a?b=c?d/../e%00", "/a", "/a", "b=c?d/../e%00", "" },
	{ "/?a\\b", "/", "/", "a\\b", "" },
	{ "/a%20b%7e%C3%A9", "/a b~\xc3\xa9", "/a%20b%7e%C3%A9", "", "" },
	{ "/%25%32%66", "/%2f", "/%25%32%66", "", "" }, /* decoded once, no more */
	{ "//", "//", "//", "", "" },
	{ "//h/a", "//h/a", "//h/a", "", "" },
	{ "/a//b/", "/a//b/", "/a//b/", "", "" },
	{ "/a;b=c,d:e@f&g=h+i!$'()*", "/a;b=c,d:e@f&g=h+i!$'()*", NULL, "", "" },
	{ "/\"<>^`{|}[]", "/\"<>^`{|}[]", NULL, "", "" },
	/* dot segments */
	{ "/.", "/", "/.", "", "" },
	{ "/./", "/", "/./", "", "" },
	{ "/a/.", "/a/", "/a/.", "", "" },
	{ "/a/./b", "/a/b", "/a/./b", "", "" },
	{ "/a/..", "/", "/a/..", "", "" },
	{ "/a/../", "/", "/a/../", "", "" },
	{ "/a/../b", "/b", "/a/../b", "", "" },
	{ "/a/b/c/./../../g", "/a/g", NULL, "", "" },
	{ "/a/b/..", "/a/", NULL, "", "" },
	{ "/a//../b", "/a/b", NULL, "", "" },
	{ "//..", "/", NULL, "", "" },
	{ "/a/%2e%2E/b", "/b", NULL, "", "" },
	{ "/a/.%2e", "/", NULL, "", "" },
	{ "/...", "/...", NULL, "", "" },
	{ "/..a/b..", "/..a/b..", NULL, "", "" },
	{ "/.a/.b", "/.a/.b", NULL, "", "" },
	{ "/..", NULL, NULL, NULL, NULL },
	{ "/../", NULL, NULL, NULL, NULL },
	{ "/../etc/passwd", NULL, NULL, NULL, NULL },
	{ "/a/../..", NULL, NULL, NULL, NULL },
	{ "/a/../../b", NULL, NULL, NULL, NULL },
	{ "/%2e%2e/a", NULL, NULL, NULL, NULL },
	{ "/./..", NULL, NULL, NULL, NULL },
	{ "/a/../../a", NULL, NULL, NULL, NULL },
	/* escapes and bytes that are refused */
	{ "/%", NULL, NULL, NULL, NULL },
	{ "/%2", NULL, NULL, NULL, NULL },
	{ "/%2/", NULL, NULL, NULL, NULL },
	{ "/%/2f", NULL, NULL, NULL, NULL },
	{ "/%zz", NULL, NULL, NULL, NULL },
	{ "/%2g", NULL, NULL, NULL, NULL },
	{ "/%g2", NULL, NULL, NULL, NULL },
	{ "/%u0041", NULL, NULL, NULL, NULL },
	{ "/%00", NULL, NULL, NULL, NULL },
	{ "/%0a", NULL, NULL, NULL, NULL },
	{ "/%0D%0A", NULL, NULL, NULL, NULL },
	{ "/%09", NULL, NULL, NULL, NULL },
	{ "/%1f", NULL, NULL, NULL, NULL },
	{ "/%7F", NULL, NULL, NULL, NULL },
	{ "/a%2Fb", NULL, NULL, NULL, NULL },
	{ "/a%2fb", NULL, NULL, NULL, NULL },
	{ "/a%5cb", NULL, NULL, NULL, NULL },
	{ "/a\\b", NULL, NULL, NULL, NULL },
	{ "/a#b", NULL, NULL, NULL, NULL },
	{ "/?a#b", NULL, NULL, NULL, NULL },
	{ "/a b", NULL, NULL, NULL, NULL },
	{ "/a\tb", NULL, NULL, NULL, NULL },
	{ "/?\x7f", NULL, NULL, NULL, NULL },
	{ "/\xc3\xa9", NULL, NULL, NULL, NULL },
	/* absolute form */
	{ "http://h", "/", "/", "", "h" },
	{ "http://h/", "/", "/", "", "h" },
	{ "HTTPS://h:443/a/../b?c", "/b", "/a/../b", "c", "h:443" },
	{ "http://h?a/b", "/", "/", "a/b", "h" },
	{ "http://[::1]:80/x", "/x", "/x", "", "[::1]:80" },
	{ "http://h:/x", "/x", "/x", "", "h:" },
	{ "http://h//x", "//x", "//x", "", "h" },
	{ "http://", NULL, NULL, NULL, NULL },
	{ "http:///x", NULL, NULL, NULL, NULL },
	{ "http://?x", NULL, NULL, NULL, NULL },
	{ "http://:80/", NULL, NULL, NULL, NULL },
	{ "http://u@h/", NULL, NULL, NULL, NULL },
	{ "http://u:p@h/", NULL, NULL, NULL, NULL },
	{ "http://h:99999/", NULL, NULL, NULL, NULL },
	{ "http://[::1/", NULL, NULL, NULL, NULL },
	{ "http://h/..", NULL, NULL, NULL, NULL },
	{ "http:/h/", NULL, NULL, NULL, NULL },
	{ "http:", NULL, NULL, NULL, NULL },
	{ "httpx://h/", NULL, NULL, NULL, NULL },
	{ "ftp://h/", NULL, NULL, NULL, NULL },
	{ "file:///etc/passwd", NULL, NULL, NULL, NULL },
	/* the other forms */
	{ "", NULL, NULL, NULL, NULL },
	{ "a", NULL, NULL, NULL, NULL },
	{ "h:443", NULL, NULL, NULL, NULL },
	{ "?a", NULL, NULL, NULL, NULL },
	{ "**", NULL, NULL, NULL, NULL },
	{ "*?a", NULL, NULL, NULL, NULL },
};

static void test_targets(void)
{
	struct uri u;

	FOR_ROWS(i, targets)
	{
		struct slice in = check_guard_str(targets[i].target);
		struct slice room = check_guard(slice_make(mem, in.n));

		check_case("target %s", targets[i].target);
		if (!CHECK(uri_parse(in, (char *)(uintptr_t)room.p, &u) ==
			   (targets[i].path != NULL)) ||
		    targets[i].path == NULL)
			continue;
		CHECK_STR(u.path, targets[i].path);
		CHECK_STR(u.raw_path, targets[i].raw ? targets[i].raw : targets[i].target);
		CHECK_STR(u.query, targets[i].query);
		CHECK_STR(u.authority, targets[i].authority);
		CHECK(!u.asterisk);
	}
	check_case("*");
	CHECK(uri_parse(SLICE("*"), mem, &u) && u.asterisk && u.path.n == 0);
	check_case("NUL");
	CHECK(!uri_parse(SLICE("/a\0b"), mem, &u));
}

/* ---- hosts ---- */

static const struct {
	const char *host;
	const char *name, *port; /* name NULL: no host */
} hosts[] = {
	{ "", "", "" },
	{ "h", "h", "" },
	{ "h:80", "h", "80" },
	{ "h:", "h", "" },
	{ "h:0", "h", "0" },
	{ "h:65535", "h", "65535" },
	{ "h:00080", "h", "00080" },
	{ "a-b_c.d~e", "a-b_c.d~e", "" },
	{ "!$&'()*+,;=", "!$&'()*+,;=", "" },
	{ "%41%e9", "%41%e9", "" },
	{ "127.0.0.1:8000", "127.0.0.1", "8000" },
	{ "999.1.1.1", "999.1.1.1", "" }, /* a name, if a strange one */
	{ "[::1]", "::1", "" },
	{ "[::1]:8000", "::1", "8000" },
	{ "[::1]:", "::1", "" },
	{ "[2001:DB8::1.2.3.4]", "2001:DB8::1.2.3.4", "" },
	{ "h:65536", NULL, NULL },
	{ "h:000080", NULL, NULL },
	{ "h:+80", NULL, NULL },
	{ "h:8x", NULL, NULL },
	{ "h:80:80", NULL, NULL },
	{ ":80", NULL, NULL },
	{ ":", NULL, NULL },
	{ "::1", NULL, NULL },
	{ "u@h", NULL, NULL },
	{ "h/", NULL, NULL },
	{ "h/x", NULL, NULL },
	{ "h?x", NULL, NULL },
	{ "h#x", NULL, NULL },
	{ "h\\x", NULL, NULL },
	{ "a b", NULL, NULL },
	{ "a\tb", NULL, NULL },
	{ "a\x7f", NULL, NULL },
	{ "\xc3\xa9", NULL, NULL },
	{ "a\"b", NULL, NULL },
	{ "a<b>", NULL, NULL },
	{ "a^b", NULL, NULL },
	{ "a`b", NULL, NULL },
	{ "a|b", NULL, NULL },
	{ "a{b}", NULL, NULL },
	{ "%", NULL, NULL },
	{ "%4", NULL, NULL },
	{ "%4x", NULL, NULL },
	{ "%00", NULL, NULL },
	{ "http://h", NULL, NULL },
	{ "[]", NULL, NULL },
	{ "[", NULL, NULL },
	{ "[::1", NULL, NULL },
	{ "::1]", NULL, NULL },
	{ "[::1]80", NULL, NULL },
	{ "[::1]:x", NULL, NULL },
	{ "[::1]]", NULL, NULL },
	{ "[h]", NULL, NULL },
	{ "[127.0.0.1]", NULL, NULL },
	{ "[fe80::1%25eth0]", NULL, NULL },
	{ "[v1.x]", NULL, NULL },
	{ "x[::1]", NULL, NULL },
};

static void test_hosts(void)
{
	FOR_ROWS(i, hosts)
	{
		struct slice in = check_guard_str(hosts[i].host), name, port;

		check_case("host %s", hosts[i].host);
		CHECK(uri_host_valid(in) == (hosts[i].name != NULL));
		if (!CHECK(uri_host_split(in, &name, &port) == (hosts[i].name != NULL)) ||
		    hosts[i].name == NULL)
			continue;
		CHECK_STR(name, hosts[i].name);
		CHECK_STR(port, hosts[i].port);
	}
	check_case("host with NUL");
	CHECK(!uri_host_valid(SLICE("a\0b")));
}

static void test_names(void)
{
	static const struct {
		const char *name;
		bool ip, local;
	} rows[] = {
		{ "localhost", false, true },
		{ "LocalHost", false, true },
		{ "a.localhost", false, true },
		{ "a.b.LOCALHOST", false, true },
		{ "127.0.0.1", true, true },
		{ "10.1.2.3", true, true },
		{ "::1", true, true },
		{ "2001:db8::1", true, true },
		{ "", false, false },
		{ "h", false, false },
		{ ".localhost", false, false },
		{ "alocalhost", false, false },
		{ "localhost.", false, false },
		{ "localhost.evil.example", false, false },
		{ "127.0.0.1.evil.example", false, false },
		{ "127.1", false, false },
		{ "[::1]", false, false },
		{ "localhosts", false, false },
		{ "a.localhosu", false, false },
	};

	FOR_ROWS(i, rows)
	{
		struct slice in = check_guard_str(rows[i].name);

		check_case("name %s", rows[i].name);
		CHECK(uri_name_is_ip(in) == rows[i].ip);
		CHECK(uri_name_is_local_or_ip(in) == rows[i].local);
	}
}

static void test_queries(void)
{
	static const struct {
		const char *query, *key, *value;
	} rows[] = {
		{ "", "a", NULL },
		{ "a=1", "a", "1" },
		{ "a", "a", "" },
		{ "a=", "a", "" },
		{ "b=2&a=1", "a", "1" },
		{ "a=1&a=2", "a", "1" },
		{ "aa=1", "a", NULL },
		{ "a=1=2", "a", "1=2" },
		{ "&&a=1&", "a", "1" },
		{ "b=a=1", "a", NULL },
		{ "gate=model", "gate", "model" },
		{ "&", "a", NULL },
	};

	FOR_ROWS(i, rows)
	{
		struct slice v =
			uri_query_find(check_guard_str(rows[i].query), slice_str(rows[i].key));

		check_case("query %s", rows[i].query);
		CHECK((v.p != NULL) == (rows[i].value != NULL));
		CHECK_STR(v, rows[i].value);
	}
}

static void test_urls(void)
{
	static const struct {
		const char *url;
		const char *host; /* NULL: refused */
		unsigned port;
		const char *path;
		bool https, ip;
	} rows[] = {
		{ "http://h", "h", 80, "", false, false },
		{ "http://127.0.0.1:11434", "127.0.0.1", 11434, "", false, true },
		{ "https://h/", "h", 443, "", true, false },
		{ "HTTPS://h:8443/a/b//", "h", 8443, "/a/b", true, false },
		{ "http://[::1]:1/x", "::1", 1, "/x", false, true },
		{ "http://h:", "h", 80, "", false, false },
		{ "http://h:65535", "h", 65535, "", false, false },
		{ "", NULL, 0, NULL, false, false },
		{ "h:80", NULL, 0, NULL, false, false },
		{ "ftp://h", NULL, 0, NULL, false, false },
		{ "http:/h", NULL, 0, NULL, false, false },
		{ "http://", NULL, 0, NULL, false, false },
		{ "http:///x", NULL, 0, NULL, false, false },
		{ "http://h:0", NULL, 0, NULL, false, false },
		{ "http://h:65536", NULL, 0, NULL, false, false },
		{ "http://h:x", NULL, 0, NULL, false, false },
		{ "http://:80", NULL, 0, NULL, false, false },
		{ "http://u:p@h", NULL, 0, NULL, false, false },
		{ "http://h?x", NULL, 0, NULL, false, false },
		{ "http://h/#x", NULL, 0, NULL, false, false },
		{ "http://h/a b", NULL, 0, NULL, false, false },
		{ "http://%41/", NULL, 0, NULL, false, false },
		{ "http://[::1", NULL, 0, NULL, false, false },
	};

	FOR_ROWS(i, rows)
	{
		struct url u;
		const char *why = url_parse(check_guard_str(rows[i].url), &u);

		check_case("url %s", rows[i].url);
		if (!CHECK((why == NULL) == (rows[i].host != NULL)) || rows[i].host == NULL)
			continue;
		CHECK_STR(u.host, rows[i].host);
		CHECK_U64(u.port, rows[i].port);
		CHECK_STR(u.path, rows[i].path);
		CHECK(u.https == rows[i].https && u.ip == rows[i].ip);
	}
}

int main(void)
{
	test_targets();
	test_hosts();
	test_names();
	test_queries();
	test_urls();
	return check_done();
}
