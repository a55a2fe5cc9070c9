/* SPDX-License-Identifier: MIT */
/* sse.h: splits an event stream (text/event-stream, WHATWG HTML 9.2) into events as its bytes
 * pass by, for watching: how it ended, and whether it stands between two events. Bytes are never
 * changed or held back. */
#ifndef PROTO_SSE_H
#define PROTO_SSE_H

#include "base/base.h"

/* What has been seen of an OpenAI-style stream so far. */
struct sse_watch {
	bool done;  /* `data: [DONE]`, or response.completed|incomplete|failed */
	bool error; /* an event with an `error` member, or `event: error` */
	uint64_t input_tokens, output_tokens; /* as `usage` said last */
	/* The last byte ended an event (or none came yet): a comment or event may be put in. */
	bool between;
	uint8_t state;  /* private */
	uint32_t kept;  /* private */
	char line[512]; /* private: the start of the current line */
};

void sse_watch_init(struct sse_watch *);
void sse_watch_feed(struct sse_watch *, struct slice bytes);

#endif
