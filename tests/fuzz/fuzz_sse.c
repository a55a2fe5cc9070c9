/* SPDX-License-Identifier: MIT */
/* fuzz_sse.c: any bytes as an event stream: seen alike whole, byte by byte and cut in two (the first
 * byte says where); where the watcher says that an event may be put in, it may. */
#include "proto/sse.h"
#include "proto/openai.h"

#include "fuzz.h"

static void check_same(const struct sse_watch *a, const struct sse_watch *b)
{
	MUST(a->done == b->done && a->error == b->error && a->between == b->between);
}

/* An error event put in there is seen as one, and the stream goes on as it would have. */
static void check_insert(const struct sse_watch *at, struct slice rest)
{
	struct sse_watch with = *at, without = *at;
	char mem[256];
	struct buf b;

	buf_init(&b, mem, sizeof(mem));
	MUST(openai_error_event_write(&b, 503, SLICE("cut"), false));
	with.error = false;
	sse_watch_feed(&with, buf_view(&b));
	MUST(with.error && with.between && with.done == at->done);
	with.error = at->error;
	sse_watch_feed(&with, rest);
	sse_watch_feed(&without, rest);
	check_same(&with, &without);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sse_watch whole, bytes, cut;
	struct slice s;
	size_t i, at;

	if (size == 0)
		return 0;
	s = slice_make((const char *)data + 1, size - 1);
	at = MIN((size_t)data[0] * 4, s.n);
	sse_watch_init(&whole);
	sse_watch_feed(&whole, s);
	sse_watch_init(&bytes);
	for (i = 0; i < s.n; i++)
		sse_watch_feed(&bytes, slice_make(s.p + i, 1));
	check_same(&whole, &bytes);
	sse_watch_init(&cut);
	sse_watch_feed(&cut, slice_make(s.p, at));
	if (cut.between)
		check_insert(&cut, slice_from(s, at));
	sse_watch_feed(&cut, slice_from(s, at));
	check_same(&whole, &cut);
	return 0;
}
