/* SPDX-License-Identifier: MIT */
/* sim_model.h: the heart of the stand-in for Ollama: reads what it is asked as Ollama would, makes
 * the answer by fixed rules, and writes every reply in Ollama's shape. No sockets, no clock: what
 * it is told of time comes in as an argument (Unix milliseconds, durations in nanoseconds).
 *
 * In the order of use, for each POST:
 *
 *	sim_request_read(kind, body, library, now, arena, &r)  -> r.act says what to do
 *	  SIM_REFUSE   sim_error_write() with r.status
 *	  SIM_REPLY    sim_reply_write()                         embed, show, load, unload: one JSON text
 *	  SIM_ANSWER   sim_answer_make(), then, delta by delta, sim_answer_next()
 *	               streamed: sim_delta_write() for each, sim_end_write() at last
 *	               whole:    sim_whole_write() after the last delta
 *	  SIM_PULL     sim_pull_write() step by step
 *
 * A request that needs the model in memory (r.needs_model) finds it there when
 * sim_model_is_loaded(); else it has to wait for it as long as the caller likes. Then, and again
 * when the request is over, sim_model_use() sets how long it stays.
 * The writers append all or nothing; false: no room. */
#ifndef APP_SIM_MODEL_H
#define APP_SIM_MODEL_H

#include "base/arena.h"
#include "base/buf.h"
#include "proto/ollama.h"

enum {
	SIM_MODELS_MAX = 16,
	SIM_NAME_MAX = 128,
	SIM_ANSWER_MAX = 64 * 1024, /* bytes of one answer; its arena needs about twice that */
	SIM_DIMENSIONS = 64,
	SIM_INPUTS_MAX = 256, /* texts to embed in one request; more are refused */
};

/* --- Models -------------------------------------------------------------------------------------- */

#define SIM_FOREVER INT64_MAX

struct sim_model {
	char name[SIM_NAME_MAX]; /* normalised, `ollachat-sim:latest` */
	size_t n;
	int64_t modified;  /* Unix ms */
	int64_t loaded_to; /* Unix ms; SIM_FOREVER; 0: not in memory */
};

/* What is installed. A model whose tag is `plain` cannot think; one whose tag is `embed` can only
 * embed; all others can do everything. */
struct sim_library {
	struct sim_model models[SIM_MODELS_MAX];
	unsigned count;
};

void sim_library_init(struct sim_library *, int64_t now); /* ollachat-sim:latest alone */
/* NULL: not installed. */
struct sim_model *sim_library_find(struct sim_library *, struct slice name);
/* Installs a model (after a pull). NULL: no room, or no name. */
struct sim_model *sim_library_add(struct sim_library *, struct slice name, int64_t now);

bool sim_model_can_think(const struct sim_model *);
bool sim_model_can_chat(const struct sim_model *); /* and generate */
bool sim_model_can_use_tools(const struct sim_model *);
bool sim_model_is_loaded(const struct sim_model *, int64_t now);
/* keep_alive in ms: 0 unloads, SIM_FOREVER stays, below 0 changes nothing (/api/show). */
void sim_model_use(struct sim_model *, int64_t now, int64_t keep_alive);

/* --- Requests ------------------------------------------------------------------------------------ */

enum sim_kind {
	SIM_CHAT,           /* POST /api/chat */
	SIM_GENERATE,       /* POST /api/generate */
	SIM_EMBED,          /* POST /api/embed */
	SIM_EMBEDDINGS,     /* POST /api/embeddings */
	SIM_SHOW,           /* POST /api/show */
	SIM_PULL_REQUEST,   /* POST /api/pull */
	SIM_V1_CHAT,        /* POST /v1/chat/completions */
	SIM_V1_COMPLETIONS, /* POST /v1/completions */
	SIM_V1_EMBEDDINGS,  /* POST /v1/embeddings */
};

enum sim_act { SIM_REFUSE, SIM_REPLY, SIM_ANSWER, SIM_PULL };

struct sim_request {
	enum sim_kind kind;
	enum sim_act act;
	unsigned status; /* SIM_REFUSE: the HTTP status, and the text */
	struct slice error;
	struct slice model;      /* the name as the client wrote it */
	struct sim_model *entry; /* the model; NULL for SIM_PULL and SIM_REFUSE */
	bool needs_model;        /* it has to be in memory first */
	bool unload;             /* it shall leave memory (and is not needed there) */
	int64_t created;         /* when it was read, Unix ms */
	int64_t keep_alive;      /* ms, for sim_model_use(); 5 minutes when not said */
	bool stream;             /* with the kind's default when not said */
	bool include_usage;      /* /v1: stream_options.include_usage */
	bool think, think_set;   /* the answer has a thinking part; whether that was said */
	bool json;               /* the answer has to be JSON */
	bool base64;             /* /v1/embeddings: encoding_format */
	bool list;               /* embeddings: `input` is an array */
	uint64_t limit;          /* deltas at most; 0: no limit */
	unsigned dimensions;     /* of embeddings */
	struct json_value input; /* embeddings: checked JSON, string or array of strings */
	struct slice prompt;     /* what was said last, escapes undone */
	uint64_t turns;          /* messages before it, but for system's */
	uint64_t images;         /* that came with it */
	uint64_t prompt_tokens;
};

/* Reads a body as Ollama does, its refusals word for word. Always fills *r; slices point into the
 * arena, `input` into the body. The arena needs no more than the body's length + 4 KiB. */
void sim_request_read(enum sim_kind, struct slice body, struct sim_library *, int64_t now,
		      struct arena *, struct sim_request *);

/* --- Answers ------------------------------------------------------------------------------------- */

struct sim_answer {
	struct slice thinking, content; /* whole; thinking may be empty */
	size_t said_thinking, said;     /* bytes handed out so far */
	uint64_t count, limit;          /* deltas so far, and at most (0: no limit) */
	bool cut;                       /* the limit ended it: done_reason "length" */
};

struct sim_delta {
	struct slice text;
	bool thinking;
	bool first; /* of this answer */
};

/* Makes the whole answer, in the arena. False: no room. The same request always gets the same. */
bool sim_answer_make(const struct sim_request *, struct arena *, struct sim_answer *);
/* The next delta: a word with the white space before it, whole UTF-8 characters. False: all said. */
bool sim_answer_next(struct sim_answer *, struct sim_delta *);

/* --- Replies to generations ---------------------------------------------------------------------- */

/* Figures of a finished answer. Zeros are left out on the wire, as Ollama does. */
struct sim_stats {
	uint64_t total_ns, load_ns, prompt_ns, eval_ns;
	uint64_t prompt_count, eval_count;
	uint32_t id; /* /v1: the number in "chatcmpl-N"; the same for all writes of an answer */
};

/* The content type of a streamed answer, of a whole one, and of errors before the first byte. */
const char *sim_stream_type(enum sim_kind);
const char *sim_whole_type(enum sim_kind);

/* One line of NDJSON (with its newline) or one event; /v1/chat begins its first with the role. */
bool sim_delta_write(struct buf *, const struct sim_request *, int64_t now,
		     const struct sim_stats *, const struct sim_delta *);
/* The last line; /v1: the finish chunk, the usage chunk if asked for, and [DONE]. */
bool sim_end_write(struct buf *, const struct sim_request *, int64_t now, const struct sim_stats *,
		   const struct sim_answer *);
/* Everything said so far in one JSON text (`stream` false). */
bool sim_whole_write(struct buf *, const struct sim_request *, int64_t now,
		     const struct sim_stats *, const struct sim_answer *);

/* SIM_REPLY: embeddings, /api/show, a load or an unload. total_ns and load_ns count. */
bool sim_reply_write(struct buf *, const struct sim_request *, int64_t now,
		     const struct sim_stats *, struct arena *);

/* The kinds of reply it chooses from: "load" or "unload", /api/show, vectors. */
bool sim_loaded_write(struct buf *, const struct sim_request *, int64_t now);
bool sim_show_write(struct buf *, const struct sim_model *);
bool sim_embed_write(struct buf *, const struct sim_request *, const struct sim_stats *);

/* {"error":text}, for /v1 in OpenAI's shape with Ollama's types. */
bool sim_error_write(struct buf *, enum sim_kind, unsigned status, struct slice text);
/* An error after the first byte of a stream: on /api an error line; /v1 loses it, as Ollama's does:
 * an empty delta, and no [DONE]. */
bool sim_error_line_write(struct buf *, const struct sim_request *, int64_t now,
			  const struct sim_stats *, struct slice text);

/* --- Pulls --------------------------------------------------------------------------------------- */

/* One step of a pull, as a line with its newline; steps count from 0, Ollama sends one every 60 ms.
 * *last: no further step. A name with "missing" in it fails in its second step, with an error line
 * (*failed; Ollama has begun its 200 by then). Else the caller adds the model at the last step.
 * For `stream` false go through the steps in the same way, but send only the last one's text
 * without its newline (status 500 when *failed). */
bool sim_pull_write(struct buf *, const struct sim_request *, unsigned step, bool *last,
		    bool *failed);

/* --- GET ----------------------------------------------------------------------------------------- */

bool sim_version_write(struct buf *, struct slice version);               /* /api/version */
bool sim_tags_write(struct buf *, const struct sim_library *);            /* /api/tags */
bool sim_ps_write(struct buf *, const struct sim_library *, int64_t now); /* /api/ps */
bool sim_v1_models_write(struct buf *, const struct sim_library *);       /* /v1/models */
/* /v1/models/NAME; *status is 200, 400 or 404. */
bool sim_v1_model_write(struct buf *, struct sim_library *, struct slice name, unsigned *status);

#endif
