/* SPDX-License-Identifier: MIT */
/* ollama_pull.c: asking Ollama to fetch a model, and what it says meanwhile. */
#include "proto/ollama.h"

void ollama_pull_line_read(struct slice line, struct pull_line *e)
{
	struct json_value top;
	struct json_error err;

	memset(e, 0, sizeof(*e));
	if (!json_check(line, &top, &err) || top.type != JSON_OBJECT)
		return;
	e->text = json_find(top, SLICE("error"));
	if (e->text.type == JSON_STRING) {
		e->type = PULL_LINE_ERROR;
		return;
	}
	e->text = json_find(top, SLICE("status"));
	if (e->text.type != JSON_STRING)
		return;
	e->type =
		json_string_is(e->text, SLICE("success")) ? PULL_LINE_SUCCESS : PULL_LINE_PROGRESS;
	if (!json_u64(json_find(top, SLICE("total")), &e->total) ||
	    !json_u64(json_find(top, SLICE("completed")), &e->completed))
		e->completed = 0; /* left out as long as it is 0 */
	e->completed = MIN(e->completed, e->total);
}

bool ollama_pull_write(struct buf *b, struct slice model)
{
	return buf_put_str(b, "{\"model\":") && json_write_string(b, model) && buf_put_str(b, "}");
}
