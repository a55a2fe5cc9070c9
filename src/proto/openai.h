/* SPDX-License-Identifier: MIT */
/* openai.h: OpenAI's error shape, whole and in a stream, and its count of tokens. */
#ifndef PROTO_OPENAI_H
#define PROTO_OPENAI_H

#include "proto/json.h"

/* {"error":{"message":text,"type":...,"param":null,"code":null}}; the type follows from the
 * status (invalid_request_error, authentication_error, not_found_error, rate_limit_error,
 * api_error). */
bool openai_error_write(struct buf *, unsigned status, struct slice message);
/* data: {"error":{...}}\n\n ; with `event: error\n` before it for /v1/responses. */
bool openai_error_event_write(struct buf *, unsigned status, struct slice message, bool responses);
/* What a reply's or event's `usage` says (prompt_tokens and completion_tokens, or, for
 * /v1/responses, input_tokens and output_tokens). False: it has none. */
bool openai_usage_read(struct json_value top, uint64_t *input, uint64_t *output);

#endif
