/* SPDX-License-Identifier: MIT */
/* relay_parts.h: what the parts that read a reply (relay_reply.c, relay_units.c, relay_whole.c,
 * relay_fail.c) know of each other, and nobody else. */
#ifndef APP_RELAY_PARTS_H
#define APP_RELAY_PARTS_H

#include "app/relay.h"

/* ---- relay_reply.c ---- */

/* Appends to a buf that grows in the worker's memory up to `max` bytes; false: no room. */
bool relay_keep(struct relay *, struct buf *, size_t *cap, struct slice, size_t max);
void relay_carry_drop(struct relay *);
/* Our reply's head goes out. length < 0: not known. */
void relay_commit(struct relay *, int64_t length);
enum relay_step relay_finish(struct relay *);
/* For Retry-After, in seconds: the upstream's own, or our estimate. */
unsigned relay_retry_after(struct relay *);

/* ---- relay_units.c: lines and events ---- */

enum relay_step relay_units_feed(struct relay *, struct slice piece);
enum relay_step relay_units_end(struct relay *); /* the body is over; what is left is a line */
/* Reads a line's meaning: done, error, first token, counts. */
void relay_watch_line(struct relay *, struct slice unit, struct chat_event *);

enum { RELAY_ANSWER_MAX = 8 * 1024 * 1024 };

/* ---- relay_whole.c: replies that are collected ---- */

enum relay_step relay_whole_feed(struct relay *, struct slice piece);
enum relay_step relay_whole_end(struct relay *);
enum relay_step relay_answer_end(struct relay *);
enum relay_step relay_models_end(struct relay *);

#endif
