/* SPDX-License-Identifier: MIT */
/* test_sse.c: what the watcher of event streams sees, however the bytes arrive. */
#include "check.h"

#include "proto/sse.h"

#define CHUNK                                                                                      \
	"data: "                                                                                   \
	"{\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\\\"error\\\"\"}}]}\n\n"
#define LONG64  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define LONG512 LONG64 LONG64 LONG64 LONG64 LONG64 LONG64 LONG64 LONG64

enum { DONE = 1, ERROR = 2, BETWEEN = 4 };

/* clang-format off: a row is a case */
static const struct {
	const char *text;
	unsigned want;
} rows[] = {
	{ "", BETWEEN },
	{ CHUNK, BETWEEN },
	{ CHUNK CHUNK, BETWEEN },
	{ "data: {\"a\":1}", 0 },
	{ "data: {\"a\":1}\n", 0 },
	{ "data: {\"a\":1}\r\n", 0 },
	{ "data: {\"a\":1}\r\n\r", BETWEEN },
	{ "data: {\"a\":1}\r\n\r\n", BETWEEN },
	{ "data: {\"a\":1}\r\r", BETWEEN },
	{ "data: {\"a\":1}\r", 0 },
	{ "data: {\"a\":1}\n\r", BETWEEN },
	{ "d", 0 },
	{ "\n", BETWEEN },
	{ "\n\n\r\n\r\r", BETWEEN },
	/* comments belong to no event */
	{ ": ping\n\n", BETWEEN },
	{ ": ping\n", BETWEEN },
	{ ": pi", 0 },
	{ ":\n", BETWEEN },
	{ "data: 1\n: ping\n", 0 },
	{ "data: 1\n: pi", 0 },
	{ ": ping\ndata: 1\n", 0 },
	{ "data: 1\n\n: ping\n", BETWEEN },
	/* the end */
	{ CHUNK "data: [DONE]\n\n", DONE | BETWEEN },
	{ "data:[DONE]\r\n\r\n", DONE | BETWEEN },
	{ "data: [DONE]\n", DONE },
	{ "data: [DONE]", 0 },
	{ "data:  [DONE]\n\n", BETWEEN },
	{ "data: [DONE] \n\n", BETWEEN },
	{ "data: [done]\n\n", BETWEEN },
	{ "xdata: [DONE]\n\n", BETWEEN },
	{ "data\n\n", BETWEEN },
	{ "data: {\"a\":\"[DONE]\"}\n\n", BETWEEN },
	{ "event: response.completed\ndata: "
	  "{\"type\":\"response.completed\",\"response\":{\"error\":null}}\n\n",
	  DONE | BETWEEN },
	{ "event: response.completed\ndata: {\"response\":\"" LONG512 "\"}\n\n", DONE | BETWEEN },
	{ "event: response.incomplete\ndata: {}\n\n", DONE | BETWEEN },
	{ "event:response.failed\ndata: {}\n\n", DONE | BETWEEN },
	{ "data: {\"type\":\"response.failed\"}\n\n", DONE | BETWEEN },
	{ "event: response.created\ndata: "
	  "{\"type\":\"response.created\",\"response\":{\"error\":null}}\n\n",
	  BETWEEN },
	{ "event: response.output_text.delta\ndata: "
	  "{\"type\":\"response.output_text.delta\",\"delta\":\"response.completed\"}\n\n",
	  BETWEEN },
	{ "data: {\"type\":\"other\",\"x\":\"response.completed\"}\n\n", BETWEEN },
	{ "data: {\"type\":5,\"x\":\"response.\"}\n\n", BETWEEN },
	/* errors */
	{ "data: {\"error\":{\"message\":\"it broke\"}}\n\n", ERROR | BETWEEN },
	{ "data: {\"id\":1,\"error\" : \"it broke\"}\n\n", ERROR | BETWEEN },
	{ "data: {\"error\":null}\n\n", BETWEEN },
	{ "data: {\"a\":{\"error\":1}}\n\n", BETWEEN },
	{ "data: {\"error\":{\n\n", BETWEEN },
	{ "event: error\ndata: {}\n\n", ERROR | BETWEEN },
	{ "data: {\"type\":\"error\",\"message\":\"x\"}\n\n", ERROR | BETWEEN },
	{ "event: errors\n\n", BETWEEN },
	{ "id: error\nretry: 5\nevent\n\n", BETWEEN },
	{ "data: {\"error\":{\"message\":\"" LONG512 "\"}}\n\n", ERROR | BETWEEN },
	{ "data: {\"x\":\"" LONG512 "\",\"error\":{}}\n\n", BETWEEN }, /* out of sight */
	{ "data: {\"x\":\"" LONG512 LONG512 LONG512 "\"}\n\n" CHUNK "data: [DONE]\n\n",
	  DONE | BETWEEN },
	{ "data: \"error\n\n", BETWEEN },
	{ "data: \"error\"\n\n", BETWEEN },
	{ "data: [\"error\"]\n\n", BETWEEN },
	{ CHUNK "data: {\"error\":{}}\n\ndata: [DONE]\n\n", DONE | ERROR | BETWEEN },
	{ "{\"error\":\"no stream at all\"}", 0 },
};
/* clang-format on */

static unsigned seen(const struct sse_watch *w)
{
	return (w->done ? DONE : 0) | (w->error ? ERROR : 0) | (w->between ? BETWEEN : 0);
}

static void check_text(struct slice s, unsigned want)
{
	struct sse_watch w;
	size_t step, i;

	/* whole, byte by byte, and in steps of other sizes */
	for (step = s.n + 1; step >= 1; step = step > 8 ? 7 : step - 1) {
		sse_watch_init(&w);
		for (i = 0; i < s.n; i += step)
			sse_watch_feed(&w, check_guard(slice_make(s.p + i, MIN(step, s.n - i))));
		CHECK_U64(seen(&w), want);
	}
	/* in two pieces, cut anywhere (at the ends only, when it is long) */
	for (i = 0; i <= s.n; i = i == 40 && s.n > 600 ? s.n - 40 : i + 1) {
		sse_watch_init(&w);
		sse_watch_feed(&w, slice_make(s.p, i));
		sse_watch_feed(&w, slice_from(s, i));
		CHECK_U64(seen(&w), want);
	}
}

/* The line that is kept has exactly 512 bytes: one more, and its end is out of sight. */
static void test_long_line(void)
{
	static const char tail[] = "\",\"error\":1}\n\n";
	char text[1024] = "data: {\"x\":\"";
	size_t n;

	for (n = 505; n < 520; n++) {
		size_t head = strlen("data: {\"x\":\""), fill = n - head - (sizeof(tail) - 3);

		check_case("line of %zu", n);
		memset(text + head, 'x', fill);
		memcpy(text + head + fill, tail, sizeof(tail));
		check_text(slice_str(text), n <= 512 ? ERROR | BETWEEN : BETWEEN);
	}
}

static void test_usage(void)
{
	static const struct {
		const char *text;
		uint64_t input, output;
	} usages[] = {
		{ "data: "
		  "{\"choices\":[],\"usage\":{\"prompt_tokens\":26,\"completion_tokens\":9}}\n\n",
		  26, 9 },
		{ "data: {\"usage\":{\"input_tokens\":4,\"output_tokens\":2}}\n\n", 4, 2 },
		{ "data: {\"usage\":{\"prompt_tokens\":3}}\n\n", 3, 0 },
		{ "data: {\"choices\":[{}],\"usage\":null}\n\n", 0, 0 },
		{ "data: {\"usage\":{\"prompt_tokens\":-1,\"completion_tokens\":9}}\n\n", 0, 0 },
		{ "data: {\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":1}}\n\n"
		  "data: {\"usage\":null}\n\ndata: [DONE]\n\n",
		  1, 1 },
	};

	FOR_ROWS(i, usages)
	{
		struct sse_watch w;

		check_case("usage %zu", i);
		sse_watch_init(&w);
		sse_watch_feed(&w, slice_str(usages[i].text));
		CHECK_U64(w.input_tokens, usages[i].input);
		CHECK_U64(w.output_tokens, usages[i].output);
	}
}

int main(void)
{
	test_usage();
	FOR_ROWS(i, rows)
	{
		check_case("%zu: %.60s", i, rows[i].text);
		check_text(slice_str(rows[i].text), rows[i].want);
	}
	test_long_line();
	return check_done();
}
