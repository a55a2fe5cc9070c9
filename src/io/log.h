/* SPDX-License-Identifier: MIT */
/* log.h: one event, one line, one write; at most 4096 bytes; text (key=value) or JSON. A worker's
 * lines go to the keeper through a non-blocking socket, the keeper's to stderr; what does not fit
 * is dropped and counted, so that a full or closed log never stops the service. */
#ifndef IO_LOG_H
#define IO_LOG_H

#include "base/buf.h"
#include "io/clock.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum { LOG_LINE_MAX = 4096 };

struct log {
	int fd;
	bool is_socket;
	bool json;
	enum log_level level;
	const struct clock *clock;
	const char *role;
	volatile uint64_t *dropped; /* lines that nobody took; workers and keeper count together */
	uint64_t told;              /* so many of them were told in the log itself */
	bool tells;                 /* it is this one's part to tell (the keeper's) */
	bool torn;                  /* the last line went out in part: the next one begins anew */
	struct log_batch
		*batch; /* where lines wait for the end of the turn; NULL: each leaves at once */
};

/* One message's worth of lines, so that a busy worker needs one system call for many. `wake` is
 * called with the first line: the owner then calls log_flush() before long. Errors and warnings do
 * not wait, and take with them what does: whoever dies next has told them. */
struct log_batch {
	void (*wake)(void *ctx);
	void *ctx;
	size_t n;
	char mem[LOG_LINE_MAX];
};

/* A line under way; lives on the caller's stack. */
struct log_line {
	struct log *log;
	struct buf buf;
	bool on, urgent;
	char mem[LOG_LINE_MAX];
};

static inline bool log_is_on(const struct log *l, enum log_level level)
{
	return level <= l->level;
}

/* This log goes to stderr, by a way that does not block, and tells of dropped lines. */
void log_to_stderr(struct log *);
/* This one goes through a socket to the one that does. */
void log_to_socket(struct log *, int fd);

/* `event` and keys are literals of ours; values may be anything: they are escaped. */
void log_begin(struct log_line *, struct log *, enum log_level, const char *event);
void log_text(struct log_line *, const char *key, struct slice value);
void log_str(struct log_line *, const char *key, const char *value);
void log_num(struct log_line *, const char *key, int64_t value);
void log_end(struct log_line *);
/* A line with no more than an event and one text value (key may be NULL). */
void log_event(struct log *, enum log_level, const char *event, const char *key, const char *value);
void log_flush(struct log *);
/* Passes finished lines on (the keeper, for its workers), at most LOG_LINE_MAX bytes. When some were
 * dropped before, their number comes first. */
void log_pass(struct log *, struct slice line);

#endif
