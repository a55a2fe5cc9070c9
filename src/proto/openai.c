/* SPDX-License-Identifier: MIT */
/* openai.c: OpenAI's error shape and token counts. */
#include "proto/openai.h"

static const char *error_type(unsigned status)
{
	switch (status) {
	case 404:
		return "not_found_error";
	case 429:
		return "rate_limit_error";
	default:
		return status < 500 ? "invalid_request_error" : "api_error";
	}
}

/* What clients look at to tell errors of one status apart. */
static const char *error_code(unsigned status)
{
	switch (status) {
	case 401:
		return "\"invalid_api_key\"";
	case 429:
		return "\"rate_limit_exceeded\"";
	default:
		return "null";
	}
}

/* `"error":{...}}`: the last member of an object that has been opened. */
static bool put_error(struct buf *b, unsigned status, struct slice message)
{
	return buf_put_str(b, "\"error\":{\"message\":") && json_write_string(b, message) &&
	       buf_put_str(b, ",\"type\":\"") && buf_put_str(b, error_type(status)) &&
	       buf_put_str(b, "\",\"param\":null,\"code\":") &&
	       buf_put_str(b, error_code(status)) && buf_put_str(b, "}}");
}

/* All or nothing: half an error would be worse than none. */
static bool keep(struct buf *b, size_t before, bool ok)
{
	if (!ok)
		b->tail = b->head + before;
	return ok;
}

bool openai_error_write(struct buf *b, unsigned status, struct slice message)
{
	size_t before = buf_len(b);

	return keep(b, before, buf_put_byte(b, '{') && put_error(b, status, message));
}

bool openai_error_event_write(struct buf *b, unsigned status, struct slice message, bool responses)
{
	/* Readers of /v1/responses choose by `type`, and want events numbered. */
	const char *start =
		responses ? "event: error\ndata: {\"type\":\"error\",\"sequence_number\":0,"
			  : "data: {";
	size_t before = buf_len(b);

	return keep(b, before,
		    buf_put_str(b, start) && put_error(b, status, message) &&
			    buf_put_str(b, "\n\n"));
}

bool openai_usage_read(struct json_value top, uint64_t *input, uint64_t *output)
{
	struct json_value usage = json_find(top, SLICE("usage")), in, out;

	in = json_find(usage, SLICE("prompt_tokens"));
	out = json_find(usage, SLICE("completion_tokens"));
	if (in.type == JSON_NONE) {
		in = json_find(usage, SLICE("input_tokens"));
		out = json_find(usage, SLICE("output_tokens"));
	}
	if (!json_u64(in, input))
		return false;
	if (!json_u64(out, output)) /* embeddings put none out */
		*output = 0;
	return true;
}
