/* SPDX-License-Identifier: MIT */
/* test_openai.c: OpenAI's error shape. */
#include "check.h"

#include "proto/openai.h"
#include "proto/sse.h"

/* clang-format off: a row is a case */
static const struct {
	unsigned status;
	const char *type, *code;
} types[] = {
	{ 400, "invalid_request_error", "null" },
	{ 401, "invalid_request_error", "\"invalid_api_key\"" },
	{ 403, "invalid_request_error", "null" },
	{ 404, "not_found_error", "null" },
	{ 405, "invalid_request_error", "null" },
	{ 413, "invalid_request_error", "null" },
	{ 429, "rate_limit_error", "\"rate_limit_exceeded\"" },
	{ 500, "api_error", "null" },
	{ 502, "api_error", "null" },
	{ 503, "api_error", "null" },
	{ 504, "api_error", "null" },
};
/* clang-format on */

/* clang-format off: a row is a case */
static const struct {
	bool event, responses;
	const char *before, *after;
} forms[] = {
	{ false, false, "{\"error\":{\"message\":\"no \\\"m\\\"\\n\",\"type\":\"", "" },
	{ true, false, "data: {\"error\":{\"message\":\"no \\\"m\\\"\\n\",\"type\":\"", "\n\n" },
	{ true, true,
	  "event: error\ndata: "
	  "{\"type\":\"error\",\"sequence_number\":0,\"error\":{\"message\":\"no "
	  "\\\"m\\\"\\n\",\"type\":\"",
	  "\n\n" },
};
/* clang-format on */

static bool write_form(struct buf *b, size_t form, unsigned status)
{
	struct slice text = check_guard_str("no \"m\"\n");

	if (forms[form].event)
		return openai_error_event_write(b, status, text, forms[form].responses);
	return openai_error_write(b, status, text);
}

int main(void)
{
	char text[512], want[512];

	FOR_ROWS(i, types)
	FOR_ROWS(k, forms)
	{
		int n = snprintf(want, sizeof(want), "%s%s\",\"param\":null,\"code\":%s}}%s",
				 forms[k].before, types[i].type, types[i].code, forms[k].after);
		struct sse_watch w;
		struct buf b;
		int room;

		check_case("status %u, form %zu", types[i].status, k);
		buf_init(&b, text, sizeof(text));
		CHECK(write_form(&b, k, types[i].status));
		CHECK_STR(buf_view(&b), want);
		sse_watch_init(&w);
		sse_watch_feed(&w, buf_view(&b));
		CHECK(w.error == forms[k].event && w.between == forms[k].event && !w.done);
		for (room = 0; room < n; room++) {
			buf_init(&b, text, (size_t)room);
			CHECK(!write_form(&b, k, types[i].status));
			CHECK_U64(buf_len(&b), 0);
		}
	}
	return check_done();
}
