/* SPDX-License-Identifier: MIT */
/* fuzz_http_response.c: any bytes as a reply of an upstream, whole and in pieces. The first byte
 * chooses: 'H' is a reply to HEAD. */
#include "proto/http_head.h"

#include "fuzz.h"

static struct http_head whole, piece;

static enum parse in_pieces(struct slice view, size_t step, bool to_head)
{
	enum parse r = PARSE_MORE;
	size_t n = 0, seen = 0;

	while (n < view.n && r == PARSE_MORE) {
		n = MIN(n + step, view.n);
		r = http_response_parse(&piece, slice_make(view.p, n), seen, to_head);
		seen = n;
	}
	return r;
}

static void check_head(struct slice view, bool to_head)
{
	MUST(piece.size == whole.size && piece.status == whole.status);
	MUST(piece.framing == whole.framing && piece.length == whole.length);
	MUST(whole.size <= view.n && whole.size <= HTTP_RESPONSE_HEAD_MAX);
	MUST(whole.status >= 100 && whole.status <= 599 && whole.status != 101);
	MUST(whole.framing == HTTP_NONE || (!to_head && whole.status >= 200));
	MUST(whole.framing != HTTP_CLOSE || !whole.keep_alive);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice view = slice_make((const char *)data + 1, size - 1);
	bool to_head;
	enum parse r;

	if (size < 2)
		return 0;
	to_head = data[0] == 'H';
	r = http_response_parse(&whole, view, 0, to_head);
	MUST(in_pieces(view, 1 + size / 5000, to_head) == r);
	MUST(whole.refuse == 0);
	if (r == PARSE_BAD)
		MUST(whole.why != NULL && piece.why == whole.why);
	if (r == PARSE_DONE)
		check_head(view, to_head);
	return 0;
}
