/* SPDX-License-Identifier: MIT */
/* log.c: lines to stderr or to the keeper, never blocking. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fmt.h"
#include "io/log.h"

static const char *const level_names[] = { "error", "warn", "info", "debug" };

enum { TAIL = 8, VALUE_MAX = 512 }; /* room kept for the end of the line; longest value */

/* As a JSON string's inside; it also serves the text form, whose quoted values use the same
 * escapes, so that no value can end a line or a quotation. */
static void put_escaped(struct buf *b, struct slice s)
{
	static const char hex[] = "0123456789abcdef";
	size_t i;

	for (i = 0; i < s.n && i < VALUE_MAX; i++) {
		unsigned char c = (unsigned char)s.p[i];
		char esc[6] = { '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] };

		if (b->cap - b->tail < sizeof(esc) + TAIL)
			return;
		if (c == '"' || c == '\\') {
			buf_put_byte(b, '\\');
			buf_put_byte(b, (char)c);
		} else if (c < 0x20 || c >= 0x7f) {
			buf_put(b, slice_make(esc, sizeof(esc)));
		} else {
			buf_put_byte(b, (char)c);
		}
	}
}

static bool is_plain(struct slice s)
{
	size_t i;

	for (i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c <= ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '=')
			return false;
	}
	return s.n > 0;
}

static bool has_room(const struct buf *b, const char *key)
{
	return b->cap - b->tail > strlen(key) + 32;
}

static void put_key(struct log_line *l, const char *key)
{
	if (l->log->json) {
		buf_put_str(&l->buf, buf_len(&l->buf) == 1 ? "\"" : ",\"");
		buf_put_str(&l->buf, key);
		buf_put_str(&l->buf, "\":");
	} else {
		if (buf_len(&l->buf) > 0)
			buf_put_byte(&l->buf, ' ');
		buf_put_str(&l->buf, key);
		buf_put_byte(&l->buf, '=');
	}
}

void log_text(struct log_line *l, const char *key, struct slice value)
{
	bool quote;

	if (!l->on || !has_room(&l->buf, key))
		return;
	quote = l->log->json || !is_plain(value);
	put_key(l, key);
	if (quote)
		buf_put_byte(&l->buf, '"');
	put_escaped(&l->buf, value);
	if (quote)
		buf_put_byte(&l->buf, '"');
}

void log_str(struct log_line *l, const char *key, const char *value)
{
	log_text(l, key, slice_str(value));
}

void log_num(struct log_line *l, const char *key, int64_t value)
{
	if (!l->on || !has_room(&l->buf, key))
		return;
	put_key(l, key);
	fmt_i64(&l->buf, value);
}

static void line_start(struct log_line *l, enum log_level level, const char *event)
{
	char when[32];
	struct buf t;

	buf_init(&l->buf, l->mem, sizeof(l->mem));
	if (l->log->json)
		buf_put_byte(&l->buf, '{');
	buf_init(&t, when, sizeof(when));
	fmt_rfc3339(&t, clock_wall(l->log->clock));
	log_text(l, "time", buf_view(&t));
	log_str(l, "level", level_names[level]);
	log_str(l, "role", l->log->role);
	log_str(l, "msg", event);
}

static struct slice line_finish(struct log_line *l)
{
	if (l->log->json)
		buf_put_byte(&l->buf, '}');
	buf_put_byte(&l->buf, '\n');
	return buf_view(&l->buf);
}

void log_begin(struct log_line *l, struct log *log, enum log_level level, const char *event)
{
	l->log = log;
	l->on = log_is_on(log, level);
	l->urgent = level <= LOG_WARN;
	if (l->on)
		line_start(l, level, event);
}

/* ---- out ---- */

/* A pipe or terminal opened anew has flags of its own, so that not blocking is our affair alone; a
 * socket can be asked not to block each time. What is neither, or cannot be opened, is polled. */
void log_to_stderr(struct log *log)
{
	struct stat st;
	int fd = -1;

	log->fd = 2;
	log->tells = true;
	if (fstat(2, &st) != 0)
		return;
	log->is_socket = S_ISSOCK(st.st_mode);
	if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode))
		fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd >= 0)
		log->fd = fd;
}

void log_to_socket(struct log *log, int fd)
{
	log->fd = fd;
	log->is_socket = true;
	log->tells = log->torn = false;
}

/* How much of it went out. A pipe that polls writable takes up to PIPE_BUF (4096) bytes at once. */
static size_t put_out(const struct log *log, struct slice s)
{
	struct pollfd p = { log->fd, POLLOUT, 0 };
	ssize_t n = -1;

	if (log->is_socket)
		n = send(log->fd, s.p, s.n, MSG_DONTWAIT | MSG_NOSIGNAL);
	else if (poll(&p, 1, 0) == 1 && (p.revents & POLLOUT))
		n = write(log->fd, s.p, s.n);
	return n > 0 ? (size_t)n : 0;
}

static void count_dropped(const struct log *log, struct slice lines)
{
	uint64_t count = 0;
	size_t i;

	for (i = 0; i < lines.n; i++)
		count += lines.p[i] == '\n';
	__atomic_fetch_add(log->dropped, count, __ATOMIC_RELAXED);
}

/* What did not go out. */
static struct slice put_lines(struct log *log, struct slice lines)
{
	size_t n;

	if (log->torn && put_out(log, SLICE("\n")) == 0)
		return lines;
	n = put_out(log, lines);
	log->torn = n > 0 && n < lines.n && lines.p[n - 1] != '\n';
	return slice_from(lines, n);
}

/* That lines were lost, and how many; at any level, for it is about whatever was to be told. */
static bool tell_dropped(struct log *log)
{
	uint64_t all = __atomic_load_n(log->dropped, __ATOMIC_RELAXED);
	struct log_line l;

	if (all == log->told)
		return true;
	l.log = log;
	l.on = true;
	line_start(&l, LOG_WARN, "log lines were dropped");
	log_num(&l, "count", (int64_t)(all - log->told));
	if (put_lines(log, line_finish(&l)).n > 0)
		return false;
	log->told = all;
	return true;
}

void log_pass(struct log *log, struct slice lines)
{
	if (!log->tells || tell_dropped(log))
		lines = put_lines(log, lines);
	count_dropped(log, lines);
}

void log_flush(struct log *log)
{
	struct log_batch *b = log->batch;

	if (b == NULL || b->n == 0)
		return;
	log_pass(log, slice_make(b->mem, b->n));
	b->n = 0;
}

static void keep(struct log *log, struct slice line)
{
	struct log_batch *b = log->batch;

	if (line.n > sizeof(b->mem) - b->n)
		log_flush(log);
	if (b->n == 0)
		b->wake(b->ctx);
	memcpy(b->mem + b->n, line.p, line.n);
	b->n += line.n;
}

void log_end(struct log_line *l)
{
	struct slice line;

	if (!l->on)
		return;
	line = line_finish(l);
	if (l->log->batch == NULL) {
		log_pass(l->log, line);
		return;
	}
	keep(l->log, line);
	if (l->urgent)
		log_flush(l->log);
}

void log_event(struct log *log, enum log_level level, const char *event, const char *key,
	       const char *value)
{
	struct log_line l;

	log_begin(&l, log, level, event);
	if (key != NULL)
		log_str(&l, key, value);
	log_end(&l);
}
