/* SPDX-License-Identifier: MIT */
/* ollama.h: requests of Ollama's API (and of the original chat application's form of /api/chat)
 * and the lines of its streams, between bytes and structs. */
#ifndef PROTO_OLLAMA_H
#define PROTO_OLLAMA_H

#include "proto/json.h"

enum { OLLAMA_KEYS_MAX = 256, OLLAMA_NAME_MAX = 512, OLLAMA_PARTS_MAX = 16 };

/* Which request a body belongs to; it decides which keys are known and where `model` may be
 * added. */
enum ollama_kind {
	OLLAMA_CHAT,     /* /api/chat, either form */
	OLLAMA_GENERATE, /* /api/generate */
	OLLAMA_EMBED,    /* /api/embed, /api/embeddings */
	OLLAMA_SHOW,     /* /api/show ("model" or "name") */
	OLLAMA_OPENAI,   /* /v1/...: OpenAI's keys */
	OLLAMA_ADMIN,    /* pull, push, delete, create, copy: passed unchanged */
};

enum ollama_stream { OLLAMA_STREAM_UNSET, OLLAMA_STREAM_ON, OLLAMA_STREAM_OFF };

struct ollama_request {
	enum ollama_kind kind;
	struct slice body;       /* as it came */
	struct json_value top;   /* the object in it */
	bool origin_form;        /* OLLAMA_CHAT with `prompt` a string */
	struct json_value model; /* JSON_NONE: absent, null or "" */
	/* Text of a `"model":null` or `"model":""` member to replace; n == 0: none. */
	struct slice model_member;
	enum ollama_stream stream;
	struct json_value prompt, messages, conversation_id; /* origin form */
	struct json_value keep_alive;                        /* JSON_NONE: absent */
	struct slice keep_alive_member;                      /* to cut out, n == 0: none */
	/* Only unloads: no messages or prompt, and keep_alive is 0. */
	bool unload_only;
	/* When reading failed: */
	unsigned refuse;    /* HTTP status, 400 */
	struct slice error; /* the text for `error`, in the arena */
};

/* Judges and reads a request body (CONTRACT: JSON, the origin's form): broken JSON with the byte
 * offset ("invalid JSON at byte 17: why"), `body must be an object`, `repeated key "x"`,
 * `unknown spelling "X" of "x"`, `Prompt is required`, `No JSON data provided` ({} and null for
 * OLLAMA_CHAT), wrong types naming the field. Keys are compared after unescaping and under Go's
 * folding (ASCII case, U+017F = s, U+212A = k). False: req->refuse and req->error say why. */
bool ollama_request_read(enum ollama_kind, struct slice body, struct arena *,
			 struct ollama_request *);

/* What goes to Ollama, as slices to be sent one after the other: byte for byte the client's body,
 * but a missing model is added (`model` not empty: the plain name to put in), `model` replaced
 * when `replace_model`, keep_alive cut out when `cut_keep_alive`, and the origin's form written
 * anew ({"model","messages":[...,{"role":"user","content":prompt}],"stream":true}).
 * Returns the number of parts, 0 when the arena is full. */
size_t ollama_request_write(const struct ollama_request *, struct slice model, bool replace_model,
			    bool cut_keep_alive, struct arena *,
			    struct slice parts[OLLAMA_PARTS_MAX]);

/* One line of an NDJSON stream (or a whole reply), without its newline. */
enum chat_event_type {
	CHAT_OTHER,
	CHAT_DELTA,
	CHAT_DONE,
	CHAT_ERROR,
	CHAT_BROKEN /* no JSON object */
};
struct chat_event {
	enum chat_event_type type;
	/* Raw escaped text of message.content or response, to be joined as it is. */
	struct slice content;
	struct json_value error; /* CHAT_ERROR: the string */
	/* Tokens in and out, by Ollama's names or OpenAI's `usage`; 0 when absent. */
	uint64_t prompt_eval_count, eval_count;
	bool success; /* CHAT_OTHER: "status":"success", the end of a pull, push or create */
};
void ollama_line_read(struct slice line, struct chat_event *);

/* {"error":"text"}, without a newline. False: no room, and the buf is unchanged. */
bool ollama_error_write(struct buf *, struct slice text);

/* Model names: `[host/][namespace/]model[:tag]`. Writes the form in which two names of the same
 * model are equal: lower case, default host and namespace dropped, tag `latest` added. False: no
 * room, or no name ("", "a:", "/a"). */
bool ollama_name_normalise(struct buf *, struct slice name);
bool ollama_name_eq(struct slice a, struct slice b);

/* Whether a list like "a, b:tag" has the name; an empty list has all. */
bool ollama_name_allowed(struct slice only, struct slice name);

/* Turns Ollama's /api/tags reply into ours for GET /api/models:
 * {"models":[names],"count":N,"default":name|null,"details":[{name,size,family,parameter_size,
 * quantization_level,capabilities}]}, null for what Ollama does not say. PARSE_MORE: `out` or the
 * arena has no room; PARSE_BAD: not such a reply.
 * `only` (may be empty) is a comma-separated list of models that clients may see. */
enum parse ollama_models_write(struct slice tags_reply, struct slice default_model,
			       struct slice only, struct arena *, struct buf *out);
/* A reply of /api/tags or /v1/models without the models that are not in `only`, byte for byte but
 * for what stood between entries. `out` needs no more room than the reply, the arena some KiB.
 * PARSE_MORE: there was no room; PARSE_BAD: not such a reply. */
enum parse ollama_list_filter(struct slice reply, struct slice only, struct arena *,
			      struct buf *out);
/* Names in a /api/tags or /api/ps reply, as a comma-and-space separated list in `out` (cut at whole
 * names when full); returns their number, -1 when it is no such reply. */
int ollama_names_list(struct slice reply, struct arena *, struct buf *out);
/* Whether such a reply lists the model. */
bool ollama_names_has(struct slice reply, struct slice model, struct arena *);

/* How long Ollama may work on files without a word: it verifies the digests of a large model, or
 * converts one. */
enum { OLLAMA_WORK_MS = 30 * 60 * 1000 };

/* One line of a /api/pull stream. */
enum pull_line_type {
	PULL_LINE_BROKEN /* no such line */,
	PULL_LINE_PROGRESS,
	PULL_LINE_SUCCESS,
	PULL_LINE_ERROR
};
struct pull_line {
	enum pull_line_type type;
	struct json_value text;    /* the status, or the error: a string */
	uint64_t total, completed; /* bytes of the layer under way; total 0: not about a layer */
};
void ollama_pull_line_read(struct slice line, struct pull_line *);
/* {"model":name}: the request. False: no room. */
bool ollama_pull_write(struct buf *, struct slice model);

#endif
