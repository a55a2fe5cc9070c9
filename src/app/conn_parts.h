/* SPDX-License-Identifier: MIT */
/* conn_parts.h: what the parts of a connection (conn*.c) know of each other, and nobody else. */
#ifndef APP_CONN_PARTS_H
#define APP_CONN_PARTS_H

#include "app/conn.h"

/* ---- conn.c: memory, events, the end ---- */

void conn_in_give(struct conn *);
/* Room for `want` bytes behind what is in the buf, in a larger block if need be; false: beyond
 * max, or no memory. */
bool conn_grow(struct mem *, struct buf *, size_t *cap, size_t want, size_t max);
bool conn_request_take(struct conn *);
void conn_work_end(struct conn *);
/* The reply is out: on to the next request, or to the end. */
void conn_request_over(struct conn *);
/* Something failed in the middle of a call: closed at the end of the turn. */
void conn_break(struct conn *);
void conn_free(struct conn *);
/* Tells the loop what this state waits for. */
void conn_update_wish(struct conn *);

enum { CONN_IN_FIRST = 4096, CONN_IN_MAX = 128 * 1024 /* more than the longest head */ };

/* ---- conn_reply.c ---- */

void conn_flush(struct conn *);
/* Sends the parts now as far as the socket takes them and keeps the rest; the last part is not
 * copied when `last_stays` (its bytes outlive the reply). */
void conn_put(struct conn *, const struct slice *parts, size_t count, bool last_stays);

/* ---- conn_head.c ---- */

/* Reads, and handles every whole request that came. */
void conn_head_read(struct conn *);
/* Handles what is in the buffer already. */
void conn_process_input(struct conn *);
/* Answers head.refuse and head.why, and ends the connection. */
void conn_head_refuse(struct conn *);

/* ---- conn_body.c ---- */

void conn_body_start(struct conn *);
void conn_body_read(struct conn *);
void conn_body_too_slow(struct conn *);
/* Feeds bytes to the body's framing; content is collected, or dropped. Says how far it came in
 * *used. On PARSE_BAD *status says what to answer: 400 (framing.why), 413, 503. */
enum parse conn_body_feed(struct conn *, struct slice in, size_t *used, unsigned *status);

#endif
