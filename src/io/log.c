/* SPDX-License-Identifier: MIT */
/* log.c: lines to stderr or to the keeper, never blocking. */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
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

void log_begin(struct log_line *l, struct log *log, enum log_level level, const char *event)
{
	char when[32];
	struct buf t;

	l->log = log;
	l->on = log_is_on(log, level);
	if (!l->on)
		return;
	buf_init(&l->buf, l->mem, sizeof(l->mem));
	if (log->json)
		buf_put_byte(&l->buf, '{');
	buf_init(&t, when, sizeof(when));
	fmt_rfc3339(&t, clock_wall(log->clock));
	log_text(l, "time", buf_view(&t));
	log_str(l, "level", level_names[level]);
	log_str(l, "role", log->role);
	log_str(l, "msg", event);
}

/* A pipe that polls writable takes up to PIPE_BUF (4096) bytes at once, so asking first keeps us
 * from blocking on a descriptor whose flags are not ours to change. */
void log_pass(struct log *log, struct slice line)
{
	struct pollfd p = { log->fd, POLLOUT, 0 };
	bool sent = false;

	if (log->fd < 0)
		return;
	if (log->is_socket)
		sent = send(log->fd, line.p, line.n, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
	else if (poll(&p, 1, 0) == 1 && (p.revents & POLLOUT))
		sent = write(log->fd, line.p, line.n) >= 0;
	if (!sent && log->dropped != NULL)
		__atomic_fetch_add(log->dropped, 1, __ATOMIC_RELAXED);
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
	if (!l->on)
		return;
	if (l->log->json)
		buf_put_byte(&l->buf, '}');
	buf_put_byte(&l->buf, '\n');
	if (l->log->batch != NULL)
		keep(l->log, buf_view(&l->buf));
	else
		log_pass(l->log, buf_view(&l->buf));
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
