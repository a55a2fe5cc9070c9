/* SPDX-License-Identifier: MIT */
/* test_http_field.c: finding fields, tokens in lists, hop-by-hop fields, Accept-Encoding. */
#include "check.h"

#include "proto/http_head.h"

static struct http_head head;

/* A head with these field lines. */
static void head_with(const char *lines)
{
	char text[1024];

	snprintf(text, sizeof(text), "GET / HTTP/1.0\r\n%s\r\n", lines);
	CHECK(http_request_parse(&head, check_guard_str(text), 0) == PARSE_DONE);
}

static void test_tokens(void)
{
	static const struct {
		const char *lines, *token;
		bool want;
	} rows[] = {
		{ "", "a", false },
		{ "T:\r\n", "a", false },
		{ "T: a\r\n", "A", true },
		{ "t: b ,\ta\t, c\r\n", "a", true },
		{ "T: b\r\nT: c\r\nU: x\r\nT: ,,a\r\n", "a", true },
		{ "T: ab, ba, a b\r\n", "a", false },
		{ "U: a\r\n", "a", false },
		{ "T: b,\r\n", "a", false },
	};

	FOR_ROWS(i, rows)
	{
		check_case("token %s in %s", rows[i].token, rows[i].lines);
		head_with(rows[i].lines);
		CHECK(http_field_has_token(&head, SLICE("T"), slice_str(rows[i].token)) ==
		      rows[i].want);
	}
}

static void test_hops(void)
{
	static const struct {
		const char *lines, *name;
		bool want;
	} rows[] = {
		{ "", "Connection", true },
		{ "", "keep-alive", true },
		{ "", "TE", true },
		{ "", "Trailer", true },
		{ "", "transfer-ENCODING", true },
		{ "", "Upgrade", true },
		{ "", "Proxy-Connection", true },
		{ "", "PROXY-Authorization", true },
		{ "", "Proxy-", false },
		{ "", "Proxied-By", false },
		{ "", "Content-Type", false },
		{ "Connection: close, x-mine\r\n", "X-Mine", true },
		{ "Connection: close\r\nConnection: X-MINE\r\n", "X-Mine", true },
		{ "Connection: x-mine\r\n", "X-Min", false },
		{ "Connection: host, content-length\r\n", "Host", false },
		{ "Connection: host, content-length\r\n", "Content-Length", false },
	};

	FOR_ROWS(i, rows)
	{
		check_case("hop: %s %s", rows[i].lines, rows[i].name);
		head_with(rows[i].lines);
		CHECK(http_field_is_hop(&head, slice_str(rows[i].name)) == rows[i].want);
	}
}

static void test_codings(void)
{
	static const struct {
		const char *lines;
		unsigned gzip, br, identity;
	} rows[] = {
		{ "", 0, 0, 1000 },
		{ "Accept: gzip\r\n", 0, 0, 1000 },
		{ "Accept-Encoding:\r\n", 0, 0, 1 },
		{ "Accept-Encoding: gzip\r\n", 1000, 0, 1 },
		{ "Accept-Encoding: GZIP\r\n", 1000, 0, 1 },
		{ "Accept-Encoding: x-gzip\r\n", 1000, 0, 1 },
		{ "Accept-Encoding: y-gzip, xgzip\r\n", 0, 0, 1 },
		{ "Accept-Encoding: gzip, deflate, br\r\n", 1000, 1000, 1 },
		{ "Accept-Encoding: gzip\r\nAccept-Encoding: br;q=0.9\r\n", 1000, 900, 1 },
		{ "Accept-Encoding: gzip;q=0.5 , br ; q=0.25\r\n", 500, 250, 1 },
		{ "Accept-Encoding: gzip;Q=0.123\r\n", 123, 0, 1 },
		{ "Accept-Encoding: gzip;q=1.000,br;q=0.000\r\n", 1000, 0, 1 },
		{ "Accept-Encoding: gzip;q=0., br;q=1.\r\n", 0, 1000, 1 },
		{ "Accept-Encoding: *\r\n", 1000, 1000, 1000 },
		{ "Accept-Encoding: *;q=0\r\n", 0, 0, 0 },
		{ "Accept-Encoding: br;q=0.1, *;q=0.5\r\n", 500, 100, 500 },
		{ "Accept-Encoding: *;q=0, identity\r\n", 0, 0, 1000 },
		{ "Accept-Encoding: gzip, identity;q=0\r\n", 1000, 0, 0 },
		{ "Accept-Encoding: gzip, *;q=0\r\n", 1000, 0, 0 },
		{ "Accept-Encoding: identity;q=0.5, gzip;q=1.0\r\n", 1000, 0, 500 },
		{ "Accept-Encoding: gzip;q=0, gzip, *, *;q=0\r\n", 0, 1000,
		  1000 }, /* first counts */
		{ "Accept-Encoding: ,gzip,,\r\n", 1000, 0, 1 },
		/* weights that are none */
		{ "Accept-Encoding: gzip;q=1.1, br;q=2\r\n", 0, 0, 1 },
		{ "Accept-Encoding: gzip;q=, br;q\r\n", 0, 0, 1 },
		{ "Accept-Encoding: gzip;q=0.1234, br;q=-1\r\n", 0, 0, 1 },
		{ "Accept-Encoding: gzip;q=0x5, br;q=.5\r\n", 0, 0, 1 },
		{ "Accept-Encoding: gzip;x=0.5, br;q:0.5\r\n", 0, 0, 1 },
		{ "Accept-Encoding: gzip;q=0.a, br;q=0.5;q=1\r\n", 0, 0, 1 },
		{ "Accept-Encoding: gzip;q=1.001, br;q=0,5\r\n", 0, 0, 1 },
	};

	FOR_ROWS(i, rows)
	{
		check_case("%s", rows[i].lines);
		head_with(rows[i].lines);
		CHECK_U64(http_accepts_coding(&head, SLICE("gzip")), rows[i].gzip);
		CHECK_U64(http_accepts_coding(&head, SLICE("br")), rows[i].br);
		CHECK_U64(http_accepts_coding(&head, SLICE("identity")), rows[i].identity);
	}
}

static void test_find(void)
{
	check_case("find");
	head_with("X: a b\r\nx: c\r\n");
	CHECK(http_field_find(&head, SLICE("x")) == &head.fields[0]);
	CHECK(http_field_find(&head, SLICE("y")) == NULL);
	CHECK_STR(http_field_value(&head, SLICE("X")), "a b");
	CHECK(http_field_value(&head, SLICE("y")).p == NULL);
}

int main(void)
{
	test_find();
	test_tokens();
	test_hops();
	test_codings();
	return check_done();
}
