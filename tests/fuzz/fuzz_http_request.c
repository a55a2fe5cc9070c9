/* SPDX-License-Identifier: MIT */
/* fuzz_http_request.c: any bytes as a request head. The verdict must not depend on the pieces in
 * which they came, and what is said of a good head must hold. */
#include "proto/http_char.h"
#include "proto/http_head.h"
#include "proto/uri.h"

#include "fuzz.h"

static struct http_head whole, piece;

static void check_inside(struct slice view, struct slice s)
{
	MUST(s.p >= view.p && s.p + s.n <= view.p + view.n);
}

static void check_head(struct slice view)
{
	unsigned i;
	size_t k;

	MUST(whole.size <= view.n && whole.size <= HTTP_HEAD_MAX && whole.minor <= 1);
	MUST(memcmp(view.p + whole.size - 2, "\r\n", 2) == 0);
	check_inside(view, whole.target);
	MUST(whole.target.n > 0 && whole.target.n <= HTTP_TARGET_MAX);
	MUST(whole.method_text.n > 0 && whole.method_text.n <= 32);
	MUST(whole.count <= HTTP_FIELDS_MAX);
	for (i = 0; i < whole.count; i++) {
		check_inside(view, whole.fields[i].name);
		check_inside(view, whole.fields[i].value);
		MUST(whole.fields[i].name.n > 0);
		for (k = 0; k < whole.fields[i].value.n; k++)
			MUST(http_is_text(whole.fields[i].value.p[k]));
	}
	MUST(uri_host_valid(whole.host));
	MUST(whole.framing != HTTP_CLOSE);
	MUST((whole.framing == HTTP_CHUNKED) ==
	     (http_field_find(&whole, SLICE("transfer-encoding")) != NULL));
	MUST((whole.framing == HTTP_LENGTH) ==
	     (http_field_find(&whole, SLICE("content-length")) != NULL));
	MUST(http_accepts_coding(&whole, SLICE("gzip")) <= 1000);
	http_field_is_hop(&whole, SLICE("x-any"));
}

/* The view grows by `step` bytes until there is a verdict. */
static enum parse in_pieces(struct slice view, size_t step)
{
	enum parse r = PARSE_MORE;
	size_t n = 0, seen = 0;

	while (n < view.n && r == PARSE_MORE) {
		n = MIN(n + step, view.n);
		r = http_request_parse(&piece, slice_make(view.p, n), seen);
		seen = n;
	}
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice view = slice_make((const char *)data, size);
	enum parse r = http_request_parse(&whole, view, 0);

	if (size == 0)
		return 0;
	MUST(in_pieces(view, 1 + size / 5000) == r);
	if (r == PARSE_BAD) {
		MUST(whole.refuse >= 400 && whole.why != NULL);
		MUST(piece.refuse == whole.refuse && piece.why == whole.why);
	}
	if (r == PARSE_DONE) {
		MUST(piece.size == whole.size && piece.framing == whole.framing);
		MUST(piece.length == whole.length && piece.count == whole.count);
		MUST(piece.keep_alive == whole.keep_alive);
		MUST(http_request_parse(&piece, slice_make(view.p, whole.size - 1), 0) ==
		     PARSE_MORE);
		check_head(view);
	}
	return 0;
}
