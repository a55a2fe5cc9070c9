/* SPDX-License-Identifier: MIT */
/* sim_field.h: single members of requests to the stand-in, read and refused as Ollama does it. */
#ifndef APP_SIM_FIELD_H
#define APP_SIM_FIELD_H

#include "app/sim_model.h"

struct sim_reader {
	struct sim_request *r;
	struct arena *arena;
	struct json_value top; /* the body */
	bool unload_wish;      /* keep_alive was said, and is 0 */
	bool empty;            /* nothing to answer: no messages, no prompt */
	bool tools;            /* the request brings some */
};

/* All of these answer false when the request is refused; r->status and r->error then say how. */
bool sim_refuse(struct sim_reader *, unsigned status, const char *before, struct slice name,
		const char *after);
bool sim_refuse_str(struct sim_reader *, unsigned status, const char *text);
/* "json: cannot unmarshal number into Go struct field ChatRequest.model of type string" */
bool sim_refuse_type(struct sim_reader *, struct json_value, const char *key, const char *wanted);
/* The body is no object. */
bool sim_refuse_body(struct sim_reader *);

/* JSON_NONE also for null, which Go takes for "not said". */
struct json_value sim_member(struct sim_reader *, const char *key);
bool sim_read_string(struct sim_reader *, const char *key, struct slice *); /* "" when not said */
bool sim_read_bool(struct sim_reader *, const char *key, bool *); /* unchanged when not said */
bool sim_read_options(struct sim_reader *);
bool sim_read_think(struct sim_reader *);
bool sim_read_effort(struct sim_reader *); /* /v1: reasoning.effort, reasoning_effort */
bool sim_read_keep_alive(struct sim_reader *);

#endif
