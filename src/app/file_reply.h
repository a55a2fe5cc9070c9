/* SPDX-License-Identifier: MIT */
/* file_reply.h: one file as a reply: which of its codings, whether it changed, which part. */
#ifndef APP_FILE_REPLY_H
#define APP_FILE_REPLY_H

#include "app/conn.h"
#include "proto/http_cond.h"

enum coding { CODING_IDENTITY, CODING_GZIP, CODING_BR };

/* The best coding the client takes of those that are there. */
enum coding file_coding(const struct conn *, bool has_gzip, bool has_br);

struct file_reply {
	struct slice type;
	struct slice etag; /* of the identity bytes, with quotes; the coding is added here */
	enum coding coding;
	bool varies; /* other codings exist */
	bool immutable;
	uint64_t size; /* in this coding */
	/* filled by file_reply_begin(): */
	enum http_part part;
	uint64_t from, to;
	unsigned status;
};

/* Judges conditions and ranges; the reply's fields into `fields` (512 bytes are enough). */
void file_reply_begin(const struct conn *, struct file_reply *, struct buf *fields);
/* The fields of a plain 200 ahead of any request, and whether a request is content with it. */
void file_reply_prepare(struct file_reply *, struct buf *fields);
bool file_wants_all(const struct conn *);
/* The content type for a file's name. */
struct slice file_type(struct slice path);
/* Whether the last segment has a dot: else it may be a view of the page, known by its path. */
bool file_has_extension(struct slice path);

#endif
