/* SPDX-License-Identifier: MIT */
/* test_http_head.c: heads, each parsed whole, byte by byte, and cut in two at every place. */
#include "check.h"

#include "proto/http_head.h"

#define IN(lit) SLICE_INIT(lit)
#define HOST    "Host: h\r\n"

enum { LONG = 2000 }; /* longer inputs are cut at fewer places, or it takes minutes */

static struct http_head head; /* the result of the last parse */
static char said[512];

typedef enum parse parse_fn(struct http_head *, struct slice view, size_t seen);

static enum parse request(struct http_head *h, struct slice view, size_t seen)
{
	return http_request_parse(h, view, seen);
}

static enum parse response(struct http_head *h, struct slice view, size_t seen)
{
	return http_response_parse(h, view, seen, false);
}

static enum parse response_to_head(struct http_head *h, struct slice view, size_t seen)
{
	return http_response_parse(h, view, seen, true);
}

/* The verdict in one line. */
static const char *describe(parse_fn *fn, enum parse r)
{
	static const char *const framings[] = { "none", "length", "chunked", "close" };
	int n;

	if (r == PARSE_MORE)
		return "MORE";
	if (r == PARSE_BAD) {
		snprintf(said, sizeof(said), "BAD %u %s", head.refuse, head.why);
		return said;
	}
	if (fn == request)
		n = snprintf(said, sizeof(said), "%.*s %.*s", (int)head.method_text.n,
			     head.method_text.p, (int)MIN(head.target.n, (size_t)100),
			     head.target.p);
	else
		n = snprintf(said, sizeof(said), "%u", head.status);
	n += snprintf(said + n, sizeof(said) - (size_t)n, " 1.%u %s", head.minor,
		      framings[head.framing]);
	if (head.framing == HTTP_LENGTH)
		n += snprintf(said + n, sizeof(said) - (size_t)n, "=%llu",
			      (unsigned long long)head.length);
	snprintf(said + n, sizeof(said) - (size_t)n, " %s%s", head.keep_alive ? "keep" : "last",
		 head.expect_continue ? " expect" : "");
	return said;
}

static enum parse parse(parse_fn *fn, struct slice view, size_t seen)
{
	memset(&head, 0xa5, sizeof(head)); /* nothing may depend on what was there */
	return fn(&head, view, seen);
}

/* The view grows by `step` bytes a time until there is a verdict. */
static const char *in_steps(parse_fn *fn, struct slice in, size_t step)
{
	enum parse r = PARSE_MORE;
	size_t n = 0, seen = 0;

	while (n < in.n && r == PARSE_MORE) {
		n = MIN(n + step, in.n);
		r = parse(fn, check_guard(slice_make(in.p, n)), seen);
		seen = n;
	}
	return describe(fn, r);
}

static const char *in_two(parse_fn *fn, struct slice in, size_t cut)
{
	enum parse r = parse(fn, check_guard(slice_make(in.p, cut)), 0);

	if (r == PARSE_MORE)
		r = parse(fn, check_guard(in), cut);
	return describe(fn, r);
}

/* `want` is the verdict, or its beginning (a status without the words). */
static void check_verdict(const char *got, const char *want, const char *how)
{
	bool ok = strcmp(got, want) == 0 ||
		  (strncmp(want, "BAD", 3) == 0 && strncmp(got, want, strlen(want)) == 0);

	if (!check_note(ok, __FILE__, __LINE__, how))
		printf("\tgot  %s\n\twant %s\n", got, want);
}

static void check_head(parse_fn *fn, struct slice in, const char *want)
{
	char whole[sizeof(said)];
	size_t cut, size;

	snprintf(whole, sizeof(whole), "%s", describe(fn, parse(fn, check_guard(in), 0)));
	size = head.size;
	check_verdict(whole, want, "whole");
	check_verdict(in_steps(fn, in, in.n > LONG ? 61 : 1), whole, "step by step");
	if (strcmp(want, "MORE") != 0 && strncmp(want, "BAD", 3) != 0)
		CHECK_U64(head.size, size);
	for (cut = 0; cut <= in.n; cut += in.n > LONG ? 4001 : 1)
		check_verdict(in_two(fn, in, cut), whole, "cut in two");
}

/* ---- requests ---- */

static const struct row {
	struct slice in;
	const char *want;
} requests[] = {
	/* request lines that are good */
	{ IN("GET / HTTP/1.1\r\n" HOST "\r\n"), "GET / 1.1 none keep" },
	{ IN("GET / HTTP/1.1\r\n" HOST "\r\nGET /next HTTP/1.1\r\n"), "GET / 1.1 none keep" },
	{ IN("\r\nGET / HTTP/1.1\r\n" HOST "\r\n"), "GET / 1.1 none keep" },
	{ IN("GET / HTTP/1.0\r\n\r\n"), "GET / 1.0 none last" },
	{ IN("GET / HTTP/1.2\r\n" HOST "\r\n"), "GET / 1.1 none keep" },
	{ IN("GET / HTTP/1.9\r\n" HOST "\r\n"), "GET / 1.1 none keep" },
	{ IN("M-SEARCH * HTTP/1.1\r\n" HOST "\r\n"), "M-SEARCH * 1.1 none keep" },
	{ IN("!#$%&'*+-.^_`|~09azAZ / HTTP/1.1\r\n" HOST "\r\n"),
	  "!#$%&'*+-.^_`|~09azAZ / 1.1 none keep" },
	{ IN("AAAAAAAAAABBBBBBBBBBCCCCCCCCCCDD / HTTP/1.1\r\n" HOST "\r\n"),
	  "AAAAAAAAAABBBBBBBBBBCCCCCCCCCCDD / 1.1 none keep" },
	{ IN("GET http://h/x?y HTTP/1.1\r\n" HOST "\r\n"), "GET http://h/x?y 1.1 none keep" },
	{ IN("CONNECT h:443 HTTP/1.1\r\n" HOST "\r\n"), "CONNECT h:443 1.1 none keep" },
	{ IN("OPTIONS * HTTP/1.1\r\n" HOST "\r\n"), "OPTIONS * 1.1 none keep" },
	{ IN("GET /\"<>\\^`{|}~%zz HTTP/1.1\r\n" HOST "\r\n"),
	  "GET /\"<>\\^`{|}~%zz 1.1 none keep" },
	/* request lines that are not */
	{ IN("\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n"), "BAD 400" },
	{ IN("\nGET / HTTP/1.1\r\n" HOST "\r\n"), "BAD 400 bare LF" },
	{ IN("\rGET / HTTP/1.1\r\n" HOST "\r\n"), "BAD 400 bare CR" },
	{ IN(" GET / HTTP/1.1\r\n" HOST "\r\n"), "BAD 400 bad method" },
	{ IN("\tGET / HTTP/1.1\r\n" HOST "\r\n"), "BAD 400 bad method" },
	{ IN("GET\r\n" HOST "\r\n"), "BAD 400" },
	{ IN("GET \r\n" HOST "\r\n"), "BAD 400" },
	{ IN("GET /\r\n" HOST "\r\n"), "BAD 400" }, /* HTTP/0.9 */
	{ IN("GET / \r\n" HOST "\r\n"), "BAD 400" },
	{ IN("GET  / HTTP/1.1\r\n" HOST "\r\n"), "BAD 400 bad target" },
	{ IN("GET /  HTTP/1.1\r\n" HOST "\r\n"), "BAD 400 bad version" },
	{ IN("GET / HTTP/1.1 \r\n" HOST "\r\n"), "BAD 400 bad version" },
	{ IN("GET\t/ HTTP/1.1\r\n" HOST "\r\n"), "BAD 400 bad method" },
	{ IN("GET /\tHTTP/1.1\r\n" HOST "\r\n"), "BAD 400 bad target" },
	{ IN("GET /\x0bHTTP/1.1\r\n" HOST "\r\n"), "BAD 400 control" },
	{ IN("GET / x HTTP/1.1\r\n" HOST "\r\n"), "BAD 400 bad version" },
	{ IN("GET /#f HTTP/1.1\r\n" HOST "\r\n"), "BAD 400 bad target" },
	{ IN("GET /\xc3\xa9 HTTP/1.1\r\n" HOST "\r\n"), "BAD 400 bad target" },
	{ IN("GET /\x80 HTTP/1.1\r\n" HOST "\r\n"), "BAD 400 bad target" },
	{ IN("GET /\x7f HTTP/1.1\r\n" HOST "\r\n"), "BAD 400 control" },
	{ IN("GET /\0 HTTP/1.1\r\n" HOST "\r\n"), "BAD 400 control" },
	{ IN("G(T / HTTP/1.1\r\n" HOST "\r\n"), "BAD 400 bad method" },
	{ IN("G\x80T / HTTP/1.1\r\n" HOST "\r\n"), "BAD 400 bad method" },
	{ IN("GET: / HTTP/1.1\r\n" HOST "\r\n"), "BAD 400 bad method" },
	{ IN("AAAAAAAAAABBBBBBBBBBCCCCCCCCCCDDD / HTTP/1.1\r\n" HOST "\r\n"), "BAD 501" },
	{ IN("GET / http/1.1\r\n" HOST "\r\n"), "BAD 400 bad version" },
	{ IN("GET / HTTP/1.\r\n" HOST "\r\n"), "BAD 400 bad version" },
	{ IN("GET / HTTP/1\r\n" HOST "\r\n"), "BAD 400 bad version" },
	{ IN("GET / HTTP/.1\r\n" HOST "\r\n"), "BAD 400 bad version" },
	{ IN("GET / HTTP/11.1\r\n" HOST "\r\n"), "BAD 400 bad version" },
	{ IN("GET / HTTP/1.10\r\n" HOST "\r\n"), "BAD 400 bad version" },
	{ IN("GET / HTTP/1.01\r\n" HOST "\r\n"), "BAD 400 bad version" },
	{ IN("GET / HTTP/01.1\r\n" HOST "\r\n"), "BAD 400 bad version" },
	{ IN("GET / HTTP/1,1\r\n" HOST "\r\n"), "BAD 400 bad version" },
	{ IN("GET / HTTP/1.x\r\n" HOST "\r\n"), "BAD 400 bad version" },
	{ IN("GET / HTTP /1.1\r\n" HOST "\r\n"), "BAD 400 bad version" },
	{ IN("GET / HTTPS/1.1\r\n" HOST "\r\n"), "BAD 400 bad version" },
	{ IN("GET / HTTP/1.1\n" HOST "\r\n"), "BAD 400 bare LF" },
	{ IN("GET / HTTP/1.1\r" HOST "\r\n"), "BAD 400 bare CR" },
	{ IN("GET / HTTP/1.1\r\r\n" HOST "\r\n"), "BAD 400 bare CR" },
	{ IN("GET / HTTP/0.9\r\n" HOST "\r\n"), "BAD 400 bad version" },
	{ IN("GET / HTTP/2.0\r\n" HOST "\r\n"), "BAD 505" },
	{ IN("GET / HTTP/9.9\r\n" HOST "\r\n"), "BAD 505" },
	{ IN("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "BAD 505" },
	{ IN("GET / HTTP/2.00\r\n" HOST "\r\n"), "BAD 400 bad version" },
	{ IN("GET / HTTP/2.0\x01\r\n" HOST "\r\n"), "BAD 400 control" },
	/* refused before the line is whole */
	{ IN("\x16\x03\x01"), "BAD 400 control" }, /* a TLS hello */
	{ IN("\x80"), "BAD 400 bad method" },
	{ IN("\0"), "BAD 400 control" },
	{ IN("{"), "BAD 400 bad method" },
	{ IN("GET /\x01"), "BAD 400 control" },
	{ IN("GET /#"), "BAD 400 bad target" },
	{ IN("GET / X"), "BAD 400 bad version" },
	{ IN("GET / HTTP/x"), "BAD 400 bad version" },
	{ IN("GET / HTTP/1.1x"), "BAD 400 bad version" },
	{ IN("AAAAAAAAAABBBBBBBBBBCCCCCCCCCCDDD"), "BAD 501" },
	{ IN("GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa HTa"),
	  "BAD 400 bad version" },
	{ IN("GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa HTTP/1.12"),
	  "BAD 400 bad version" },
	/* not whole yet */
	{ IN(""), "MORE" },
	{ IN("\r"), "MORE" },
	{ IN("\r\n"), "MORE" },
	{ IN("\r\nG"), "MORE" },
	{ IN("GET"), "MORE" },
	{ IN("GET "), "MORE" },
	{ IN("GET /"), "MORE" },
	{ IN("GET / "), "MORE" },
	{ IN("GET / HTTP/1.1"), "MORE" },
	{ IN("GET / HTTP/1.1\r"), "MORE" },
	{ IN("GET / HTTP/1.1\r\n"), "MORE" },
	{ IN("GET / HTTP/1.1\r\n" HOST), "MORE" },
	{ IN("GET / HTTP/1.1\r\n" HOST "\r"), "MORE" },
	{ IN("GET / HTTP/2.0"), "MORE" }, /* what follows may make it worse */
	/* fields */
	{ IN("GET / HTTP/1.1\r\n" HOST "A:\r\nB:  \t \r\nC:c\r\n\r\n"), "GET / 1.1 none keep" },
	{ IN("GET / HTTP/1.1\r\n" HOST "A: a\tb \xe9\xff:;,=\"\\\r\n\r\n"), "GET / 1.1 none keep" },
	{ IN("GET / HTTP/1.1\r\n" HOST "!#$%&'*+-.^_`|~09azAZ: x\r\n\r\n"), "GET / 1.1 none keep" },
	{ IN("GET / HTTP/1.1\r\n" HOST "A : x\r\n\r\n"), "BAD 400 white space" },
	{ IN("GET / HTTP/1.1\r\n" HOST "A\t: x\r\n\r\n"), "BAD 400 white space" },
	{ IN("GET / HTTP/1.1\r\n" HOST "A b: x\r\n\r\n"), "BAD 400 white space" },
	{ IN("GET / HTTP/1.1\r\n" HOST "A: x\r\n y\r\n\r\n"), "BAD 400 folded" },
	{ IN("GET / HTTP/1.1\r\n" HOST "A: x\r\n\ty\r\n\r\n"), "BAD 400 folded" },
	{ IN("GET / HTTP/1.1\r\n" HOST "A: x\r\n \r\n\r\n"), "BAD 400 folded" },
	{ IN("GET / HTTP/1.1\r\n A: x\r\n" HOST "\r\n"), "BAD 400 folded" },
	{ IN("GET / HTTP/1.1\r\n" HOST ": x\r\n\r\n"), "BAD 400 bad field name" },
	{ IN("GET / HTTP/1.1\r\n" HOST "A\r\n\r\n"), "BAD 400 bad field name" },
	{ IN("GET / HTTP/1.1\r\n" HOST "A(b): x\r\n\r\n"), "BAD 400 bad field name" },
	{ IN("GET / HTTP/1.1\r\n" HOST "A\x80: x\r\n\r\n"), "BAD 400 bad field name" },
	{ IN("GET / HTTP/1.1\r\n" HOST "A/b: x\r\n\r\n"), "BAD 400 bad field name" },
	{ IN("GET / HTTP/1.1\r\n" HOST "A\0: x\r\n\r\n"), "BAD 400 control" },
	{ IN("GET / HTTP/1.1\r\n" HOST "A: \0\r\n\r\n"), "BAD 400 control" },
	{ IN("GET / HTTP/1.1\r\n" HOST "A: \x01\r\n\r\n"), "BAD 400 control" },
	{ IN("GET / HTTP/1.1\r\n" HOST "A: \x0b\r\n\r\n"), "BAD 400 control" },
	{ IN("GET / HTTP/1.1\r\n" HOST "A: \x1f\r\n\r\n"), "BAD 400 control" },
	{ IN("GET / HTTP/1.1\r\n" HOST "A: \x7f\r\n\r\n"), "BAD 400 control" },
	{ IN("GET / HTTP/1.1\r\n" HOST "A: x\nB: y\r\n\r\n"), "BAD 400 bare LF" },
	{ IN("GET / HTTP/1.1\r\n" HOST "A: x\rB: y\r\n\r\n"), "BAD 400 bare CR" },
	{ IN("GET / HTTP/1.1\r\n" HOST "\n"), "BAD 400 bare LF" },
	{ IN("GET / HTTP/1.1\r\n" HOST "\rX"), "BAD 400 bare CR" },
	{ IN("GET / HTTP/1.1\r\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA: b\x01"),
	  "BAD 400 control" },
	{ IN("GET / HTTP/1.1\r\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA: b\rc"),
	  "BAD 400 bare CR" },
	{ IN("GET / HTTP/1.1\r\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA b: c\r\n"),
	  "BAD 400 white space" },
	/* Host */
	{ IN("GET / HTTP/1.1\r\n\r\n"), "BAD 400 no Host" },
	{ IN("GET / HTTP/1.2\r\n\r\n"), "BAD 400 no Host" },
	{ IN("GET http://h/ HTTP/1.1\r\n\r\n"), "BAD 400 no Host" },
	{ IN("GET / HTTP/1.1\r\nHost:\r\n\r\n"), "GET / 1.1 none keep" },
	{ IN("GET / HTTP/1.1\r\nhOST: [::1]:80\r\n\r\n"), "GET / 1.1 none keep" },
	{ IN("GET / HTTP/1.1\r\n" HOST HOST "\r\n"), "BAD 400 more than one Host" },
	{ IN("GET / HTTP/1.0\r\n" HOST HOST "\r\n"), "BAD 400 more than one Host" },
	{ IN("GET / HTTP/1.1\r\nHost:\r\nHost:\r\n\r\n"), "BAD 400 more than one Host" },
	{ IN("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), "BAD 400 bad Host" },
	{ IN("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), "BAD 400 bad Host" },
	{ IN("GET / HTTP/1.1\r\nHost: u@h\r\n\r\n"), "BAD 400 bad Host" },
	{ IN("GET / HTTP/1.0\r\nHost: h:99999\r\n\r\n"), "BAD 400 bad Host" },
	/* Content-Length */
	{ IN("POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\n"), "POST / 1.1 length=5 keep" },
	{ IN("POST / HTTP/1.1\r\n" HOST "content-length:0\r\n\r\n"), "POST / 1.1 length=0 keep" },
	{ IN("GET / HTTP/1.1\r\n" HOST "CONTENT-LENGTH:\t7 \r\n\r\n"), "GET / 1.1 length=7 keep" },
	{ IN("POST / HTTP/1.1\r\n" HOST "Content-Length: 005\r\n\r\n"),
	  "POST / 1.1 length=5 keep" },
	{ IN("POST / HTTP/1.1\r\n" HOST "Content-Length: 18446744073709551615\r\n\r\n"),
	  "POST / 1.1 length=18446744073709551615 keep" },
	{ IN("POST / HTTP/1.1\r\n" HOST "Content-Length: 18446744073709551616\r\n\r\n"),
	  "BAD 400 bad Content-Length" },
	{ IN("POST / HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999999\r\n\r\n"),
	  "BAD 400 bad Content-Length" },
	{ IN("POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n"), "BAD 400 bad Content-Length" },
	{ IN("POST / HTTP/1.1\r\n" HOST "Content-Length: +5\r\n\r\n"),
	  "BAD 400 bad Content-Length" },
	{ IN("POST / HTTP/1.1\r\n" HOST "Content-Length: -5\r\n\r\n"),
	  "BAD 400 bad Content-Length" },
	{ IN("POST / HTTP/1.1\r\n" HOST "Content-Length: 0x5\r\n\r\n"),
	  "BAD 400 bad Content-Length" },
	{ IN("POST / HTTP/1.1\r\n" HOST "Content-Length: 5, 5\r\n\r\n"),
	  "BAD 400 bad Content-Length" },
	{ IN("POST / HTTP/1.1\r\n" HOST "Content-Length: 5 5\r\n\r\n"),
	  "BAD 400 bad Content-Length" },
	{ IN("POST / HTTP/1.1\r\n" HOST "Content-Length: 5.0\r\n\r\n"),
	  "BAD 400 bad Content-Length" },
	{ IN("POST / HTTP/1.1\r\n" HOST "Content-Length: 5;\r\n\r\n"),
	  "BAD 400 bad Content-Length" },
	{ IN("POST / HTTP/1.1\r\n" HOST "Content-Length: \"5\"\r\n\r\n"),
	  "BAD 400 bad Content-Length" },
	{ IN("POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n"),
	  "BAD 400 more than one Content-Length" },
	{ IN("POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nContent-Length: 6\r\n\r\n"),
	  "BAD 400 more than one Content-Length" },
	/* Transfer-Encoding */
	{ IN("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"),
	  "POST / 1.1 chunked keep" },
	{ IN("POST / HTTP/1.1\r\n" HOST "transfer-encoding:\tCHUNKED \r\n\r\n"),
	  "POST / 1.1 chunked keep" },
	{ IN("POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"),
	  "BAD 400 Transfer-Encoding in an HTTP/1.0" },
	{ IN("POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
	  "BAD 400 both" },
	{ IN("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"),
	  "BAD 400 both" },
	{ IN("POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\nTransfer-Encoding: gzip\r\n\r\n"),
	  "BAD 400 both" },
	{ IN("POST / HTTP/1.1\r\n" HOST
	     "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
	  "BAD 400 more than one Transfer-Encoding" },
	{ IN("POST / HTTP/1.1\r\n" HOST
	     "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n"),
	  "BAD 400 more than one Transfer-Encoding" },
	{ IN("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n\r\n"), "BAD 501" },
	{ IN("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: identity\r\n\r\n"), "BAD 501" },
	{ IN("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: xchunked\r\n\r\n"), "BAD 501" },
	{ IN("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked-x\r\n\r\n"), "BAD 501" },
	{ IN("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n"), "BAD 501" },
	{ IN("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: a\t ,\t b\r\n\r\n"), "BAD 501" },
	{ IN("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding:\r\n\r\n"), "BAD 400 bad Transfer" },
	{ IN("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: ,\r\n\r\n"), "BAD 400 bad Transfer" },
	{ IN("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: ,chunked\r\n\r\n"),
	  "BAD 400 bad Transfer" },
	{ IN("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked,\r\n\r\n"),
	  "BAD 400 bad Transfer" },
	{ IN("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, chunked\r\n\r\n"),
	  "BAD 400 bad Transfer" },
	{ IN("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked, gzip\r\n\r\n"),
	  "BAD 400 bad Transfer" },
	{ IN("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked;x=y\r\n\r\n"),
	  "BAD 400 bad Transfer" },
	{ IN("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: \"chunked\"\r\n\r\n"),
	  "BAD 400 bad Transfer" },
	{ IN("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chu\tnked\r\n\r\n"),
	  "BAD 400 bad Transfer" },
	{ IN("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\x80\r\n\r\n"),
	  "BAD 400 bad Transfer" },
	{ IN("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: \x0b"
	     "chunked\r\n\r\n"),
	  "BAD 400 control" },
	{ IN("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding : chunked\r\n\r\n"),
	  "BAD 400 white space" },
	/* Connection */
	{ IN("GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n"), "GET / 1.1 none last" },
	{ IN("GET / HTTP/1.1\r\n" HOST "Connection: a, CLOSE ,b\r\n\r\n"), "GET / 1.1 none last" },
	{ IN("GET / HTTP/1.1\r\n" HOST "Connection: a\r\nConnection: close\r\n\r\n"),
	  "GET / 1.1 none last" },
	{ IN("GET / HTTP/1.1\r\n" HOST "Connection: closed\r\n\r\n"), "GET / 1.1 none keep" },
	{ IN("GET / HTTP/1.1\r\n" HOST "Connection:\r\n\r\n"), "GET / 1.1 none keep" },
	{ IN("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"), "GET / 1.0 none keep" },
	{ IN("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n"), "GET / 1.0 none last" },
	{ IN("GET / HTTP/1.0\r\nContent-Length: 3\r\n\r\n"), "GET / 1.0 length=3 last" },
	/* Expect */
	{ IN("POST / HTTP/1.1\r\n" HOST "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\n"),
	  "POST / 1.1 length=1 keep expect" },
	{ IN("POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n"), "POST / 1.0 none last" },
	{ IN("POST / HTTP/1.0\r\nExpect: a miracle\r\n\r\n"), "POST / 1.0 none last" },
	{ IN("POST / HTTP/1.1\r\n" HOST "Expect: a miracle\r\n\r\n"), "BAD 417" },
	{ IN("POST / HTTP/1.1\r\n" HOST "Expect: 100-continue, x\r\n\r\n"), "BAD 417" },
	{ IN("POST / HTTP/1.1\r\n" HOST "Expect:\r\n\r\n"), "BAD 417" },
};

/* The parts of one head, and that the slices are cut right. */
static void test_request_parts(void)
{
	struct slice in = check_guard_str(
		"POST /a?b HTTP/1.1\r\nHost: h:1 \r\nX:  a b\t\r\nx: c\r\n\r\nrest");

	check_case("parts");
	CHECK(parse(request, in, 0) == PARSE_DONE);
	CHECK_U64(head.size, in.n - 4);
	CHECK_U64(head.count, 3);
	CHECK_STR(head.method_text, "POST");
	CHECK_STR(head.target, "/a?b");
	CHECK_STR(head.host, "h:1");
	CHECK_STR(head.fields[1].name, "X");
	CHECK_STR(head.fields[1].value, "a b");
}

static void test_methods(void)
{
	static const struct {
		const char *name;
		enum http_method method;
	} rows[] = {
		{ "GET", HTTP_GET },       { "HEAD", HTTP_HEAD },     { "POST", HTTP_POST },
		{ "PUT", HTTP_PUT },       { "DELETE", HTTP_DELETE }, { "OPTIONS", HTTP_OPTIONS },
		{ "PATCH", HTTP_PATCH },   { "get", HTTP_OTHER },     { "TRACE", HTTP_OTHER },
		{ "CONNECT", HTTP_OTHER }, { "GETS", HTTP_OTHER },    { "GE", HTTP_OTHER },
	};
	char text[64];

	FOR_ROWS(i, rows)
	{
		check_case("%s", rows[i].name);
		snprintf(text, sizeof(text), "%s / HTTP/1.0\r\n\r\n", rows[i].name);
		CHECK(parse(request, check_guard_str(text), 0) == PARSE_DONE);
		CHECK_U64(head.method, rows[i].method);
	}
}

/* ---- limits ---- */

static char big[200 * 1024];

static size_t put(size_t n, const char *s)
{
	memcpy(big + n, s, strlen(s));
	return n + strlen(s);
}

static size_t fill(size_t n, char c, size_t count)
{
	memset(big + n, c, count);
	return n + count;
}

static void check_big(parse_fn *fn, size_t n, const char *want)
{
	check_head(fn, slice_make(big, n), want);
}

static void test_target_limit(void)
{
	static const struct {
		size_t size;
		const char *tail, *want;
	} rows[] = {
		{ HTTP_TARGET_MAX - 1, " HTTP/1.0\r\n\r\n", NULL },
		{ HTTP_TARGET_MAX + 0, "", "BAD 414" },
		{ HTTP_TARGET_MAX + 0, " HTTP/1.1\r\n" HOST "\r\n", "BAD 414" },
		{ 3 * HTTP_TARGET_MAX, "\x01",
		  "BAD 414" }, /* the length was wrong before the byte was */
		{ 5 * HTTP_TARGET_MAX, "", "BAD 414" },
		{ HTTP_TARGET_MAX - 1, "", "MORE" },
		{ HTTP_TARGET_MAX - 9, "#", "BAD 400 bad target" },
		{ HTTP_TARGET_MAX - 9, " HTTQ", "BAD 400 bad version" },
		{ HTTP_TARGET_MAX - 9, " HTTP/1.1\r\nA\r\n", "BAD 400 bad field name" },
	};
	size_t n;

	FOR_ROWS(i, rows)
	{
		check_case("target of %zu, then %s", rows[i].size + 1, rows[i].tail);
		n = put(fill(put(0, "GET /"), 'a', rows[i].size), rows[i].tail);
		if (rows[i].want != NULL) {
			check_big(request, n, rows[i].want);
			continue;
		}
		CHECK(parse(request, check_guard(slice_make(big, n)), 0) == PARSE_DONE);
		CHECK_U64(head.target.n, HTTP_TARGET_MAX);
	}
}

/* A head of exactly `size` bytes, most of it one value. */
static size_t head_of(const char *start, size_t size)
{
	size_t n = put(put(put(0, start), HOST), "A: ");

	return put(fill(n, 'x', size - n - 4), "\r\n\r\n");
}

static void test_head_limit(void)
{
	size_t n;

	check_case("largest head");
	check_big(request, head_of("GET / HTTP/1.1\r\n", HTTP_HEAD_MAX), "GET / 1.1 none keep");
	CHECK_U64(head.size, HTTP_HEAD_MAX);
	check_case("largest head, without its last byte");
	check_big(request, head_of("GET / HTTP/1.1\r\n", HTTP_HEAD_MAX) - 1, "MORE");
	check_case("one byte more");
	check_big(request, head_of("GET / HTTP/1.1\r\n", HTTP_HEAD_MAX + 1),
		  "BAD 431 head too large");
	check_case("control byte behind the limit");
	n = head_of("GET / HTTP/1.1\r\n", HTTP_HEAD_MAX + 9);
	big[HTTP_HEAD_MAX + 2] = 1;
	check_big(request, n, "BAD 431");
	check_case("largest response head");
	check_big(response, head_of("HTTP/1.1 200\r\n", HTTP_RESPONSE_HEAD_MAX),
		  "200 1.1 close last");
	check_case("response head too large");
	check_big(response, head_of("HTTP/1.1 200\r\n", HTTP_RESPONSE_HEAD_MAX + 1),
		  "BAD 0 head too large");
}

static void test_field_limit(void)
{
	static const struct {
		unsigned fields;
		const char *want;
	} rows[] = {
		{ HTTP_FIELDS_MAX, "GET / 1.1 none keep" },
		{ HTTP_FIELDS_MAX + 1, "BAD 431 too many fields" },
	};

	FOR_ROWS(i, rows)
	{
		size_t n = put(put(0, "GET / HTTP/1.1\r\n"), HOST);

		check_case("%u fields", rows[i].fields);
		for (unsigned k = 1; k < rows[i].fields; k++)
			n = put(n, "a: b\r\n");
		check_big(request, put(n, "\r\n"), rows[i].want);
	}
}

/* ---- responses ---- */

static const struct row responses[] = {
	{ IN("HTTP/1.1 200 OK\r\n\r\n"), "200 1.1 close last" },
	{ IN("HTTP/1.1 200 \r\n\r\n"), "200 1.1 close last" },
	{ IN("HTTP/1.1 200\r\n\r\n"), "200 1.1 close last" },
	{ IN("HTTP/1.1 200  a\tb \xe9 \r\n\r\n"), "200 1.1 close last" },
	{ IN("HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n"), "200 1.0 length=3 last" },
	{ IN("HTTP/1.0 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\n"),
	  "200 1.0 length=3 keep" },
	{ IN("HTTP/1.7 200 OK\r\nContent-Length: 3\r\n\r\n"), "200 1.1 length=3 keep" },
	{ IN("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\n"),
	  "200 1.1 length=3 last" },
	{ IN("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n"), "200 1.1 chunked keep" },
	{ IN("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"), "100 1.1 none keep" },
	{ IN("HTTP/1.1 103 Early\r\nLink: x\r\n\r\n"), "103 1.1 none keep" },
	{ IN("HTTP/1.1 204 No\r\n\r\n"), "204 1.1 none keep" },
	{ IN("HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n"), "204 1.1 none keep" },
	{ IN("HTTP/1.1 304 Same\r\nContent-Length: 5\r\n\r\n"), "304 1.1 none keep" },
	{ IN("HTTP/1.1 599 x\r\nContent-Length: 0\r\n\r\n"), "599 1.1 length=0 keep" },
	{ IN("HTTP/1.1 200 OK\r\nHost: a b\r\nHost: c\r\nExpect: x\r\nContent-Length: 1\r\n\r\n"),
	  "200 1.1 length=1 keep" }, /* of no meaning here */
	{ IN("HTTP/1.1 101 Switching Protocols\r\n\r\n"), "BAD 0 switched" },
	{ IN("HTTP/1.1 099 x\r\n\r\n"), "BAD 0 status out of range" },
	{ IN("HTTP/1.1 000 x\r\n\r\n"), "BAD 0 status out of range" },
	{ IN("HTTP/1.1 600 x\r\n\r\n"), "BAD 0 status out of range" },
	{ IN("HTTP/1.1 20 x\r\n\r\n"), "BAD 0 bad status" },
	{ IN("HTTP/1.1 20\r\n\r\n"), "BAD 0 bad status line" },
	{ IN("HTTP/1.1 2000 x\r\n\r\n"), "BAD 0 bad status line" },
	{ IN("HTTP/1.1 200x\r\n\r\n"), "BAD 0 bad status line" },
	{ IN("HTTP/1.1 abc x\r\n\r\n"), "BAD 0 bad status" },
	{ IN("HTTP/1.1 -20 x\r\n\r\n"), "BAD 0 bad status" },
	{ IN("HTTP/1.1  200 x\r\n\r\n"), "BAD 0 bad status" },
	{ IN("HTTP/1.1\t200 x\r\n\r\n"), "BAD 0 bad status line" },
	{ IN("HTTP/1.10 200 x\r\n\r\n"), "BAD 0 bad status line" },
	{ IN("HTTP/1.1\r\n\r\n"), "BAD 0 bad status line" },
	{ IN("HTTP/1\r\n\r\n"), "BAD 0 bad status line" },
	{ IN("HTTP/2.0 200 x\r\n\r\n"), "BAD 0 not an" },
	{ IN("HTTP/0.9 200 x\r\n\r\n"), "BAD 0 not an" },
	{ IN("HTTP/1.x 200 x\r\n\r\n"), "BAD 0 not an" },
	{ IN("http/1.1 200 x\r\n\r\n"), "BAD 0 not an" },
	{ IN("ICY 200 OK\r\n\r\n"), "BAD 0 not an" },
	{ IN("\r\nHTTP/1.1 200 OK\r\n\r\n"), "BAD 0 bad status line" },
	{ IN("<html>"), "BAD 0 not an" },
	{ IN("HTTP/2"), "BAD 0 not an" },
	{ IN("HTTP/1.1 2x"), "BAD 0 bad status" },
	{ IN("HTTP/1.1 200 a\x01"), "BAD 0 control" },
	{ IN("HTTP/1.1 200 a\n"), "BAD 0 bare LF" },
	{ IN(""), "MORE" },
	{ IN("HTTP/1"), "MORE" },
	{ IN("HTTP/1.1"), "MORE" },
	{ IN("HTTP/1.1 2"), "MORE" },
	{ IN("HTTP/1.1 200"), "MORE" },
	{ IN("HTTP/1.1 200 a very long reason that goes on and on and on and on and on and"),
	  "MORE" },
	{ IN("HTTP/1.1 200 OK\r\nA: b\r\n\r"), "MORE" },
	{ IN("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"),
	  "BAD 0 both" },
	{ IN("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"),
	  "BAD 0 both" },
	{ IN("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n"), "BAD 0 more" },
	{ IN("HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\n"), "BAD 0 bad Content" },
	{ IN("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"), "BAD 0 bad Content" },
	{ IN("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), "BAD 0 Transfer" },
	{ IN("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"), "BAD 0 unknown" },
	{ IN("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n"), "BAD 0 folded" },
	{ IN("HTTP/1.1 200 OK\r\nA : b\r\n\r\n"), "BAD 0 white" },
};

static void test_responses_to_head(void)
{
	check_case("reply to HEAD, chunked");
	check_head(response_to_head,
		   slice_str("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
		   "200 1.1 none keep");
	check_case("reply to HEAD, length");
	check_head(response_to_head, slice_str("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"),
		   "200 1.1 none keep");
	check_case("reply to HEAD, neither");
	check_head(response_to_head, slice_str("HTTP/1.1 200 OK\r\n\r\n"), "200 1.1 none keep");
}

/* Every byte in every place: what is refused is refused before the next byte is seen. */
static void test_every_byte(void)
{
	static const struct {
		const char *before, *good; /* the bytes that are more than refused */
	} rows[] = {
		{ "GET /a", "!\"$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`"
			    "abcdefghijklmnopqrstuvwxyz{|}~ \r" },
		{ "GE", "!#$%&'*+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ^_`"
			"abcdefghijklmnopqrstuvwxyz|~ \r" },
	};

	FOR_ROWS(i, rows)
	{
		for (int c = 1; c < 256; c++) {
			char text[16];
			bool good = strchr(rows[i].good, c) != NULL;

			check_case("%s then byte %d", rows[i].before, c);
			snprintf(text, sizeof(text), "%s%c", rows[i].before, c);
			CHECK(parse(request, check_guard_str(text), 0) ==
			      (good ? PARSE_MORE : PARSE_BAD));
		}
	}
}

int main(void)
{
	FOR_ROWS(i, requests)
	{
		check_case("request %zu: %s", i, requests[i].in.p);
		check_head(request, requests[i].in, requests[i].want);
	}
	test_request_parts();
	test_methods();
	test_every_byte();
	test_target_limit();
	test_head_limit();
	test_field_limit();
	FOR_ROWS(i, responses)
	{
		check_case("response %zu: %s", i, responses[i].in.p);
		check_head(response, responses[i].in, responses[i].want);
	}
	test_responses_to_head();
	return check_done();
}
