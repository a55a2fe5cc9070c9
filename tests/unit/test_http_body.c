/* SPDX-License-Identifier: MIT */
/* test_http_body.c: bodies, each fed whole, byte by byte, and cut in two at every place. */
#include "check.h"

#include "proto/http_body.h"

#define IN(lit) SLICE_INIT(lit)

static struct http_body body;
static char content[256 * 1024];
static size_t content_n;

/* Feeds one piece of the input. *used: how much of it was taken until there was a verdict. */
static enum parse feed_piece(struct slice in, size_t *used)
{
	enum parse r = PARSE_MORE;
	struct slice piece;
	size_t n;

	for (*used = 0; r == PARSE_MORE && *used < in.n; *used += n) {
		r = http_body_feed(&body, slice_from(in, *used), &n, &piece);
		CHECK(n <= in.n - *used && piece.n <= n);
		CHECK(r != PARSE_MORE || n > 0);
		CHECK(r != PARSE_BAD || piece.n == 0);
		if (piece.n > 0)
			memcpy(content + content_n, piece.p, piece.n);
		content_n += piece.n;
	}
	return r;
}

struct verdict {
	enum parse r;
	size_t used, content;
	const char *why;
};

/* The input cut at `cut`, and every part of it again into pieces of at most `step`. */
static struct verdict feed(struct http_body from, struct slice in, size_t cut, size_t step)
{
	struct verdict v = { PARSE_MORE, 0, 0, NULL };
	size_t n = 0;

	body = from;
	content_n = 0;
	while (v.r == PARSE_MORE && v.used < in.n) {
		size_t end = v.used < cut ? cut : in.n;

		end = MIN(end, v.used + step);
		v.r = feed_piece(check_guard(slice_make(in.p + v.used, end - v.used)), &n);
		v.used += n;
	}
	v.content = content_n;
	v.why = body.why;
	CHECK_U64(body.total, content_n);
	return v;
}

static bool same(struct verdict a, struct verdict b)
{
	return a.r == b.r && a.used == b.used && a.content == b.content && a.why == b.why;
}

static struct verdict check_ways(struct http_body from, struct slice in)
{
	struct verdict whole = feed(from, in, in.n, SIZE_MAX / 2);
	size_t cut;

	CHECK(same(whole, feed(from, in, in.n, in.n > 9000 ? 97 : 1)));
	for (cut = 0; cut <= in.n; cut += in.n > 300 ? 1999 : 1)
		CHECK(same(whole, feed(from, in, cut, SIZE_MAX / 2)));
	return feed(from, in, in.n, SIZE_MAX / 2); /* for `content` */
}

static const struct {
	struct slice in;
	enum parse want;
	size_t rest; /* bytes left behind a whole body; bytes from the wrong one on */
	const char *content;
} chunked[] = {
	/* good */
	{ IN("0\r\n\r\n"), PARSE_DONE, 0, "" },
	{ IN("5\r\nhello\r\n0\r\n\r\n"), PARSE_DONE, 0, "hello" },
	{ IN("5\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1\r\n"), PARSE_DONE, 16, "hello" },
	{ IN("5\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\n\r\n"), PARSE_DONE, 0, "hello world" },
	{ IN("a\r\n0123456789\r\nA\r\nabcdefghij\r\n0\r\n\r\n"), PARSE_DONE, 0,
	  "0123456789abcdefghij" },
	{ IN("05\r\nhello\r\n000\r\n\r\n"), PARSE_DONE, 0, "hello" },
	{ IN("0000000000000005\r\nhello\r\n0000000000000000\r\n\r\n"), PARSE_DONE, 0, "hello" },
	{ IN("4\r\n\r\n\r\n\r\n0\r\n\r\n"), PARSE_DONE, 0, "\r\n\r\n" },
	{ IN("1F\r\n0123456789012345678901234567890\r\n0\r\n\r\n"), PARSE_DONE, 0,
	  "0123456789012345678901234567890" },
	/* not whole yet */
	{ IN(""), PARSE_MORE, 0, "" },
	{ IN("5"), PARSE_MORE, 0, "" },
	{ IN("5\r"), PARSE_MORE, 0, "" },
	{ IN("5\r\n"), PARSE_MORE, 0, "" },
	{ IN("5\r\nhe"), PARSE_MORE, 0, "he" },
	{ IN("5\r\nhello"), PARSE_MORE, 0, "hello" },
	{ IN("5\r\nhello\r\n"), PARSE_MORE, 0, "hello" },
	{ IN("5\r\nhello\r\n0\r\n"), PARSE_MORE, 0, "hello" },
	{ IN("5\r\nhello\r\n0\r\n\r"), PARSE_MORE, 0, "hello" },
	{ IN("ffffffffffffffff\r\nhello"), PARSE_MORE, 0, "hello" },
	/* sizes that are none */
	{ IN("\r\n"), PARSE_BAD, 2, "" },
	{ IN("\n"), PARSE_BAD, 1, "" },
	{ IN(" 5\r\n"), PARSE_BAD, 4, "" },
	{ IN("\t5\r\n"), PARSE_BAD, 4, "" },
	{ IN("+5\r\n"), PARSE_BAD, 4, "" },
	{ IN("-5\r\n"), PARSE_BAD, 4, "" },
	{ IN("0x5\r\n"), PARSE_BAD, 4, "" },
	{ IN("x5\r\n"), PARSE_BAD, 4, "" },
	{ IN("g\r\n"), PARSE_BAD, 3, "" },
	{ IN("5g\r\n"), PARSE_BAD, 3, "" },
	{ IN("5_0\r\n"), PARSE_BAD, 4, "" },
	{ IN("5.0\r\n"), PARSE_BAD, 4, "" },
	{ IN("5,5\r\n"), PARSE_BAD, 4, "" },
	{ IN("\xef\xbc\x95\r\n"), PARSE_BAD, 5, "" },
	{ IN("\0"
	     "5\r\n"),
	  PARSE_BAD, 4, "" },
	{ IN("5\0\r\n"), PARSE_BAD, 3, "" },
	{ IN(";\r\n"), PARSE_BAD, 3, "" },
	{ IN("10000000000000000\r\n"), PARSE_BAD, 3, "" },
	{ IN("00000000000000005\r\n"), PARSE_BAD, 3, "" },
	{ IN("fffffffffffffffff\r\n"), PARSE_BAD, 3, "" },
	/* ends of the line */
	{ IN("5\nhello\r\n"), PARSE_BAD, 8, "" },
	{ IN("5\rhello\r\n"), PARSE_BAD, 7, "" },
	{ IN("5\r\r\n"), PARSE_BAD, 2, "" },
	{ IN("5 \r\nhello\r\n"), PARSE_BAD, 9, "" },
	{ IN("5\t\r\nhello\r\n"), PARSE_BAD, 9, "" },
	{ IN("5 5\r\n"), PARSE_BAD, 3, "" },
	{ IN("5 x\r\n"), PARSE_BAD, 3, "" },
	{ IN("5\x0b\r\n"), PARSE_BAD, 3, "" },
	/* ends of the content */
	{ IN("5\r\nhello5\r\n"), PARSE_BAD, 3, "hello" },
	{ IN("5\r\nhello\n5\r\n"), PARSE_BAD, 4, "hello" },
	{ IN("5\r\nhello\r5\r\n"), PARSE_BAD, 3, "hello" },
	{ IN("5\r\nhello\r\r\n"), PARSE_BAD, 2, "hello" },
	{ IN("5\r\nhello \r\n"), PARSE_BAD, 3, "hello" },
	{ IN("5\r\nhello\r\n\r\n0\r\n\r\n"), PARSE_BAD, 7, "hello" },
	{ IN("4\r\nhello\r\n0\r\n\r\n"), PARSE_BAD, 8, "hell" },
	/* extensions */
	{ IN("1;a\r\nx\r\n0;b\r\n\r\n"), PARSE_DONE, 0, "x" },
	{ IN("1;a=b\r\nx\r\n0\r\n\r\n"), PARSE_DONE, 0, "x" },
	{ IN("1;a=b;c;d=e\r\nx\r\n0\r\n\r\n"), PARSE_DONE, 0, "x" },
	{ IN("1 \t; a \t= \tb ;\tc ; d=e\r\nx\r\n0\r\n\r\n"), PARSE_DONE, 0, "x" },
	{ IN("1;a=\"\"\r\nx\r\n0\r\n\r\n"), PARSE_DONE, 0, "x" },
	{ IN("1;a=\"b;\t =\\\"\\\\\xff\"\r\nx\r\n0\r\n\r\n"), PARSE_DONE, 0, "x" },
	{ IN("1;a=\"b\" ; c=\"d\";e\r\nx\r\n0\r\n\r\n"), PARSE_DONE, 0, "x" },
	{ IN("1;\r\nx\r\n"), PARSE_BAD, 5, "" },
	{ IN("1;a;\r\nx\r\n"), PARSE_BAD, 5, "" },
	{ IN("1;;a\r\n"), PARSE_BAD, 4, "" },
	{ IN("1;=a\r\n"), PARSE_BAD, 4, "" },
	{ IN("1;a=\r\n"), PARSE_BAD, 2, "" },
	{ IN("1;a=;\r\n"), PARSE_BAD, 3, "" },
	{ IN("1;a=b=c\r\n"), PARSE_BAD, 4, "" },
	{ IN("1;a b\r\n"), PARSE_BAD, 3, "" },
	{ IN("1;a \r\n"), PARSE_BAD, 2, "" },
	{ IN("1;a=b \r\n"), PARSE_BAD, 2, "" },
	{ IN("1;a=b c\r\n"), PARSE_BAD, 3, "" },
	{ IN("1;a=b =c\r\n"), PARSE_BAD, 4, "" },
	{ IN("1;a=\"b\"c\r\n"), PARSE_BAD, 3, "" },
	{ IN("1;a=\"b\" \r\n"), PARSE_BAD, 2, "" },
	{ IN("1;a=\"b\r\n"), PARSE_BAD, 2, "" },
	{ IN("1;a=\"\\\r\n"), PARSE_BAD, 2, "" },
	{ IN("1;a=\"\x01\"\r\n"), PARSE_BAD, 4, "" },
	{ IN("1;a=\"\0\"\r\n"), PARSE_BAD, 4, "" },
	{ IN("1;a=\"\x7f\"\r\n"), PARSE_BAD, 4, "" },
	{ IN("1;a=b\"\r\n"), PARSE_BAD, 3, "" },
	{ IN("1;a\nx\r\n"), PARSE_BAD, 4, "" },
	{ IN("1;a\rx\r\n"), PARSE_BAD, 3, "" },
	{ IN("1;a\0\r\n"), PARSE_BAD, 3, "" },
	{ IN("1;a=b\x01\r\n"), PARSE_BAD, 3, "" },
	{ IN("1;\xc3\xa9\r\n"), PARSE_BAD, 4, "" },
	/* trailers */
	{ IN("0\r\nA: b\r\n\r\nrest"), PARSE_DONE, 4, "" },
	{ IN("0\r\nA:\r\nB:  c d\t\xff\r\n\r\n"), PARSE_DONE, 0, "" },
	{ IN("0\r\nContent-Length: 9\r\nTransfer-Encoding: x\r\n\r\n"), PARSE_DONE, 0, "" },
	{ IN("0\r\nA: b\r\n"), PARSE_MORE, 0, "" },
	{ IN("0\r\n\n"), PARSE_BAD, 1, "" },
	{ IN("0\r\n\rA"), PARSE_BAD, 1, "" },
	{ IN("0\n\r\n"), PARSE_BAD, 3, "" },
	{ IN("0\r\n A: b\r\n\r\n"), PARSE_BAD, 9, "" },
	{ IN("0\r\nA: b\r\n c\r\n\r\n"), PARSE_BAD, 6, "" },
	{ IN("0\r\nA: b\r\n\tc\r\n\r\n"), PARSE_BAD, 6, "" },
	{ IN("0\r\n: b\r\n\r\n"), PARSE_BAD, 7, "" },
	{ IN("0\r\nA\r\n\r\n"), PARSE_BAD, 4, "" },
	{ IN("0\r\nA : b\r\n\r\n"), PARSE_BAD, 8, "" },
	{ IN("0\r\nA\0: b\r\n\r\n"), PARSE_BAD, 8, "" },
	{ IN("0\r\n\x80: b\r\n\r\n"), PARSE_BAD, 8, "" },
	{ IN("0\r\nA: b\nC: d\r\n\r\n"), PARSE_BAD, 9, "" },
	{ IN("0\r\nA: b\rC: d\r\n\r\n"), PARSE_BAD, 8, "" },
	{ IN("0\r\nA: \0\r\n\r\n"), PARSE_BAD, 5, "" },
	{ IN("0\r\nA: \x1f\r\n\r\n"), PARSE_BAD, 5, "" },
	{ IN("0\r\nA: \x7f\r\n\r\n"), PARSE_BAD, 5, "" },
};

static void check_chunked(struct slice in, enum parse want, size_t rest)
{
	struct http_body from;
	struct verdict v;

	http_body_init_framing(&from, HTTP_CHUNKED, 99);
	v = check_ways(from, in);
	CHECK_U64(v.r, want);
	CHECK_U64(in.n - v.used, rest);
	CHECK((v.why != NULL) == (want == PARSE_BAD));
}

/* ---- limits ---- */

static char big[128 * 1024];

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

static void test_line_limit(void)
{
	size_t n;

	check_case("longest chunk line");
	n = put(fill(put(0, "1;"), 'x', HTTP_CHUNK_LINE_MAX - 4), "\r\nx\r\n0\r\n\r\n");
	check_chunked(slice_make(big, n), PARSE_DONE, 0);
	check_case("chunk line one byte too long");
	n = put(fill(put(0, "1;"), 'x', HTTP_CHUNK_LINE_MAX - 3), "\r\nx\r\n0\r\n\r\n");
	check_chunked(slice_make(big, n), PARSE_BAD, 9);
	check_case("endless quoted extension");
	n = fill(put(0, "1;a=\""), ';', HTTP_CHUNK_LINE_MAX);
	check_chunked(slice_make(big, n), PARSE_BAD, 5);
}

static void test_trailer_limit(void)
{
	size_t n;

	check_case("longest trailers");
	n = put(fill(put(0, "0\r\nA:"), 'x', HTTP_TRAILER_MAX - 6), "\r\n\r\n");
	check_chunked(slice_make(big, n), PARSE_DONE, 0);
	check_case("trailers one byte too long");
	n = put(fill(put(0, "0\r\nA:"), 'x', HTTP_TRAILER_MAX - 5), "\r\n\r\n");
	check_chunked(slice_make(big, n), PARSE_BAD, 1);
	check_case("too many trailers");
	n = put(0, "0\r\n");
	while (n < HTTP_TRAILER_MAX + 50)
		n = put(n, "A: b\r\n");
	check_chunked(slice_make(big, n), PARSE_BAD, n - 3 - HTTP_TRAILER_MAX);
}

/* Many chunks of one byte: fine when plain, refused when each brings a long extension. */
static void test_waste(void)
{
	static const struct {
		const char *chunk;
		unsigned count;
		enum parse want;
	} rows[] = {
		{ "1\r\nx\r\n", 10000, PARSE_DONE },
		{ "1;a=bcdefghijkl\r\nx\r\n", 5000, PARSE_DONE }, /* 17 bytes are excused */
		{ "1;a=bcdefghijklmn\r\nx\r\n", 5000, PARSE_DONE },
		{ "1;0123456789abcdef0123456789abcdef0123456789abcdef\r\nx\r\n", 400, PARSE_DONE },
		{ "1;0123456789abcdef0123456789abcdef0123456789abcdef\r\nx\r\n", 600, PARSE_BAD },
	};
	struct http_body from;

	http_body_init_framing(&from, HTTP_CHUNKED, 0);
	FOR_ROWS(i, rows)
	{
		size_t n = 0;

		check_case("waste %zu", i);
		for (unsigned k = 0; k < rows[i].count; k++)
			n = put(n, rows[i].chunk);
		n = put(n, "0\r\n\r\n");
		CHECK_U64(feed(from, slice_make(big, n), n, SIZE_MAX / 2).r, rows[i].want);
	}
	check_case("signed chunks of 64 KiB"); /* 85 bytes a line, more than 200 of them */
	body = from;
	for (unsigned k = 0; k < 300; k++) {
		size_t used, n = fill(put(0, "10000;chunk-signature="), '0', 64);

		n = put(fill(put(n, "\r\n"), 'x', 0x10000), "\r\n");
		content_n = 0;
		if (!CHECK(feed_piece(slice_make(big, n), &used) == PARSE_MORE && used == n))
			break;
	}
}

/* ---- the other framings ---- */

static void test_length(void)
{
	static const struct {
		uint64_t length;
		struct slice in;
		enum parse want;
		size_t rest;
	} rows[] = {
		{ 0, IN(""), PARSE_DONE, 0 },
		{ 0, IN("x"), PARSE_DONE, 1 },
		{ 5, IN("hello"), PARSE_DONE, 0 },
		{ 5, IN("hello\r\n"), PARSE_DONE, 2 },
		{ 5, IN("hell"), PARSE_MORE, 0 },
		{ 5, IN(""), PARSE_MORE, 0 },
		{ UINT64_MAX, IN("a\0b"), PARSE_MORE, 0 },
	};
	struct http_body from;
	struct verdict v;

	FOR_ROWS(i, rows)
	{
		check_case("length %zu", i);
		http_body_init_framing(&from, HTTP_LENGTH, rows[i].length);
		if (rows[i].in.n > 0) {
			v = check_ways(from, rows[i].in);
			CHECK_U64(v.r, rows[i].want);
			CHECK_U64(rows[i].in.n - v.used, rows[i].rest);
			CHECK_SLICE(slice_make(content, content_n),
				    slice_make(rows[i].in.p, rows[i].in.n - rows[i].rest));
		}
	}
}

/* Calls with nothing to read: DONE at once or MORE, and nothing lent. */
static void test_empty(void)
{
	static const struct {
		enum http_framing framing;
		uint64_t length;
		enum parse want;
	} rows[] = {
		{ HTTP_NONE, 7, PARSE_DONE },   { HTTP_LENGTH, 0, PARSE_DONE },
		{ HTTP_LENGTH, 1, PARSE_MORE }, { HTTP_CHUNKED, 0, PARSE_MORE },
		{ HTTP_CLOSE, 0, PARSE_MORE },
	};

	FOR_ROWS(i, rows)
	{
		struct slice piece = SLICE("?");
		size_t used = 9;

		check_case("empty %zu", i);
		http_body_init_framing(&body, rows[i].framing, rows[i].length);
		CHECK_U64(http_body_feed(&body, check_guard_str(""), &used, &piece), rows[i].want);
		CHECK_U64(used, 0);
		CHECK_U64(piece.n, 0);
	}
}

static void test_none_and_close(void)
{
	struct http_body from;
	struct verdict v;

	check_case("none");
	http_body_init_framing(&from, HTTP_NONE, 0);
	v = check_ways(from, SLICE("GET / HTTP/1.1\r\n"));
	CHECK(v.r == PARSE_DONE && v.used == 0 && v.content == 0);
	check_case("close");
	http_body_init_framing(&from, HTTP_CLOSE, 0);
	v = check_ways(from, SLICE("5\r\nhello\r\n0\r\n\r\n"));
	CHECK(v.r == PARSE_MORE && v.used == 15 && v.content == 15);
}

/* Once refused, always refused; once whole, always whole. */
static void test_after_the_end(void)
{
	struct slice piece;
	size_t used;

	check_case("after the end");
	http_body_init_framing(&body, HTTP_CHUNKED, 0);
	CHECK(http_body_feed(&body, SLICE("x"), &used, &piece) == PARSE_BAD);
	CHECK(http_body_feed(&body, SLICE("0\r\n\r\n"), &used, &piece) == PARSE_BAD && used == 0);
	http_body_init_framing(&body, HTTP_CHUNKED, 0);
	CHECK(http_body_feed(&body, SLICE("0\r\n\r\n"), &used, &piece) == PARSE_DONE && used == 5);
	CHECK(http_body_feed(&body, SLICE("0\r\n\r\n"), &used, &piece) == PARSE_DONE && used == 0);
}

static void test_init_from_head(void)
{
	static struct http_head head;

	check_case("from a head");
	head.framing = HTTP_LENGTH;
	head.length = 12;
	http_body_init(&body, &head);
	CHECK(body.framing == HTTP_LENGTH && body.left == 12 && body.total == 0);
}

static void test_promised(void)
{
	struct http_body b;
	struct slice piece;
	size_t n;

	check_case("what is sure to come");
	http_body_init_framing(&b, HTTP_LENGTH, 10);
	CHECK(http_body_promised(&b) == 10);
	http_body_feed(&b, check_guard_str("abc"), &n, &piece);
	CHECK(http_body_promised(&b) == 7);
	http_body_init_framing(&b, HTTP_CHUNKED, 0);
	CHECK(http_body_promised(&b) == 0);
	http_body_feed(&b, check_guard_str("ff"), &n, &piece); /* the size may grow yet */
	CHECK(http_body_promised(&b) == 0);
	http_body_feed(&b, check_guard_str("f\r\nab"), &n, &piece);
	CHECK(http_body_promised(&b) == 0xffd);
	http_body_init_framing(&b, HTTP_CLOSE, 0);
	CHECK(http_body_promised(&b) == 0);
}

int main(void)
{
	FOR_ROWS(i, chunked)
	{
		check_case("chunked %zu: %s", i, chunked[i].in.p);
		check_chunked(chunked[i].in, chunked[i].want, chunked[i].rest);
		CHECK_STR(slice_make(content, content_n), chunked[i].content);
	}
	test_line_limit();
	test_trailer_limit();
	test_waste();
	test_length();
	test_empty();
	test_none_and_close();
	test_after_the_end();
	test_init_from_head();
	test_promised();
	return check_done();
}
