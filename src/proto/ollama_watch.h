/* SPDX-License-Identifier: MIT */
/* ollama_watch.h: the few things we want to know of a JSON object that is too long to keep, read as
 * its bytes pass by: a line of a stream, or a whole reply. Nothing is judged: broken text says
 * nothing, and does no harm. */
#ifndef PROTO_OLLAMA_WATCH_H
#define PROTO_OLLAMA_WATCH_H

#include "base/base.h"

struct ollama_watch {
	bool done, error;                     /* "done":true; an "error" that is not empty */
	uint64_t input_tokens, output_tokens; /* by Ollama's names, or of OpenAI's `usage` */

	/* private */
	uint32_t depth;
	bool in_string, escaped, in_usage, has_key;
	uint8_t key_n, token_n;
	char key[24], token[24]; /* longer ones are none of those we look for */
};

void ollama_watch_init(struct ollama_watch *);
void ollama_watch_feed(struct ollama_watch *, struct slice bytes);

#endif
