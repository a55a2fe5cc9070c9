/* SPDX-License-Identifier: MIT */
/* fuzz_http_body.c: any bytes as a body, whole, byte by byte and cut in two. The first byte chooses
 * the framing ('L' length, 'N' none, 'S' until close, else chunked), the second says where to cut,
 * or how long. */
#include "proto/http_body.h"

#include "fuzz.h"

struct verdict {
	enum parse r;
	size_t used, content;
	uint32_t sum; /* of the content, in order */
	const char *why;
};

static void take(struct verdict *v, struct slice piece)
{
	size_t i;

	v->content += piece.n;
	for (i = 0; i < piece.n; i++)
		v->sum = (v->sum << 5 | v->sum >> 27) ^ (unsigned char)piece.p[i];
}

/* Feeds `in`, cut at `cut` and every `step` bytes. */
static struct verdict feed(struct http_body b, struct slice in, size_t cut, size_t step)
{
	struct verdict v = { .r = PARSE_MORE };
	struct slice piece;
	size_t n;

	while (v.r == PARSE_MORE && v.used < in.n) {
		size_t end = v.used < cut ? cut : in.n;
		struct slice part;

		end = MIN(end, v.used + step);
		part = slice_make(in.p + v.used, end - v.used);
		v.r = http_body_feed(&b, part, &n, &piece);
		MUST(n <= part.n && piece.n <= n);
		MUST(piece.n == 0 || (piece.p >= part.p && piece.p + piece.n <= part.p + n));
		MUST(v.r != PARSE_MORE || n > 0);
		MUST(v.r != PARSE_BAD || piece.n == 0);
		v.used += n;
		take(&v, piece);
	}
	MUST(b.total == v.content);
	MUST((b.why != NULL) == (v.r == PARSE_BAD));
	v.why = b.why;
	return v;
}

static void check_same(struct verdict a, struct verdict b)
{
	MUST(a.r == b.r && a.used == b.used && a.content == b.content && a.sum == b.sum);
	MUST(a.why == b.why);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_body b;
	struct verdict v;
	struct slice in;
	size_t cut;

	if (size < 3)
		return 0;
	cut = data[1];
	in = slice_make((const char *)data + 2, size - 2);
	http_body_init_framing(&b,
			       data[0] == 'L'   ? HTTP_LENGTH
			       : data[0] == 'N' ? HTTP_NONE
			       : data[0] == 'S' ? HTTP_CLOSE
						: HTTP_CHUNKED,
			       cut);
	v = feed(b, in, in.n, in.n);
	check_same(v, feed(b, in, in.n, 1));
	check_same(v, feed(b, in, MIN(cut, in.n), in.n));
	if (data[0] == 'L')
		MUST(v.content == MIN(cut, in.n));
	return 0;
}
