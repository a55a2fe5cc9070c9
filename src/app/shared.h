/* SPDX-License-Identifier: MIT */
/* shared.h: the one page that keeper and workers share: figures and states, each with one writer
 * (named behind it). Plain reads and writes of aligned words; longer texts are guarded by a
 * sequence number that is odd while the keeper writes. Any worker could write anywhere in it, so the
 * keeper reads back only what may be wrong without harm. */
#ifndef APP_SHARED_H
#define APP_SHARED_H

#include "base/base.h"

enum {
	SHARED_WORKERS_MAX = 64,
	SHARED_NAMES_MAX = 8192,
	SHARED_LOADED_MAX = 2048,
	SHARED_MODEL_MAX = 512,
	SHARED_PULL_MAX = 256,
};

/* Why no connection to the upstream came about. */
enum connect_fault { CONNECT_OK, CONNECT_REFUSED, CONNECT_TIMEOUT, CONNECT_NAME, CONNECT_OTHER };

enum drain_phase {
	DRAIN_NONE,
	DRAIN_HANDOVER, /* a newer process listens; the end of this one is nobody's concern */
	DRAIN_ANNOUNCE, /* still listening, but the load balancer is told to go elsewhere */
	DRAIN_FINISH,
};

enum model_presence { MODEL_UNKNOWN, MODEL_INSTALLED, MODEL_MISSING };

/* What became of --pull missing. */
enum pull_state {
	PULL_NONE,   /* nothing to do: not asked for, or the model is there */
	PULL_WANTED, /* if the model turns out to be missing */
	PULL_RUNNING,
	PULL_WAITING, /* it failed, and will be tried again */
	PULL_DONE,
};

struct shared {
	/* the keeper writes; times are monotonic ms, 0 = never */
	volatile int64_t started_ms;
	volatile int64_t answered_ms; /* Ollama's last answer to a probe */
	volatile int64_t first_answer_ms;
	volatile int64_t refused_since_ms; /* connects are refused since then, 0: they are not */
	volatile uint32_t probe_failing;   /* the latest probe failed */
	volatile uint32_t model_count;
	volatile uint32_t
		model_ready; /* the default model is loaded (or, without one, Ollama answers) */
	volatile uint32_t model_was_ready;  /* once; for /health?gate=model */
	volatile uint32_t drain;            /* enum drain_phase */
	volatile int64_t drain_deadline_ms; /* when what still runs is cut; set before `drain` */
	volatile int64_t loaded_ms;         /* when the poll behind `loaded` was started */
	volatile int64_t
		model_loaded_ms; /* the default model (without one: any) was first loaded */
	volatile int64_t
		boot_offset_ms; /* to be added: monotonic ms -> ms since the kernel began */
	volatile uint32_t model_presence;             /* of --model: enum model_presence */
	volatile uint32_t pull_state;                 /* enum pull_state */
	volatile uint64_t pull_total, pull_completed; /* bytes of the layer under way, 0: none */
	volatile uint32_t worker_restarts;
	volatile uint32_t texts_seq;
	char default_model[SHARED_MODEL_MAX]; /* --model, or the only one installed; "" otherwise */
	char names[SHARED_NAMES_MAX];         /* installed models, "a, b, c" */
	char loaded[SHARED_LOADED_MAX];       /* models in Ollama's memory, "a, b" */
	char pull_text[SHARED_PULL_MAX];      /* Ollama's status line, or why it failed */

	/* the backend's worker writes */
	volatile int64_t moved_ms; /* a generation last moved a byte */
	volatile uint32_t active, queued;
	volatile int64_t first_generation_ms; /* the first answer was complete; set once */

	/* every worker its own */
	volatile uint64_t turns[SHARED_WORKERS_MAX];
	volatile uint64_t log_dropped; /* atomic add */
};

/* The service is going away from here, and probes are to know it. */
static inline bool shared_is_leaving(const struct shared *s)
{
	return s->drain >= DRAIN_ANNOUNCE;
}

/* Copies a guarded text; always NUL-ended. `n` is the size of both. */
void shared_read_text(const struct shared *, const char *text, char *out, size_t n);
void shared_write_text(struct shared *, char *text, struct slice value, size_t n);

#endif
