/* SPDX-License-Identifier: MIT */
/* file_reply.c: representations, validators and ranges of files. */
#include "app/file_reply.h"
#include "base/fmt.h"

enum coding file_coding(const struct conn *c, bool has_gzip, bool has_br)
{
	const struct http_head *h = &c->req->head;
	unsigned identity = http_accepts_coding(h, SLICE("identity"));
	unsigned gzip = has_gzip ? http_accepts_coding(h, SLICE("gzip")) : 0;
	unsigned br = has_br ? http_accepts_coding(h, SLICE("br")) : 0;

	if (br > 0 && br >= gzip && br >= identity)
		return CODING_BR;
	if (gzip > 0 && gzip >= identity)
		return CODING_GZIP;
	return CODING_IDENTITY;
}

static const char *const coding_fields[] = { "", "Content-Encoding: gzip\r\n",
					     "Content-Encoding: br\r\n" };
static const char *const coding_marks[] = { "", "-gz", "-br" };

/* Each coding is a representation of its own, with its own strong tag (RFC 9110, 8.8.3.3). */
static struct slice mark_etag(const struct file_reply *f, struct buf *b)
{
	buf_put(b, slice_make(f->etag.p, f->etag.n - 1));
	buf_put_str(b, coding_marks[f->coding]);
	buf_put_byte(b, '"');
	return buf_view(b);
}

static void put_range(struct buf *b, const struct file_reply *f)
{
	buf_put_str(b, "Content-Range: bytes ");
	if (f->part == HTTP_PART_SOME) {
		fmt_u64(b, f->from);
		buf_put_byte(b, '-');
		fmt_u64(b, f->to - 1);
	} else {
		buf_put_byte(b, '*');
	}
	buf_put_byte(b, '/');
	fmt_u64(b, f->size);
	buf_put_str(b, "\r\n");
}

static void put_fields(const struct file_reply *f, struct slice etag, struct buf *fields)
{
	buf_put_str(fields, "ETag: ");
	buf_put(fields, etag);
	buf_put_str(fields, f->immutable
				    ? "\r\nCache-Control: public, max-age=31536000, immutable\r\n"
				    : "\r\nCache-Control: no-cache\r\n");
	if (f->varies)
		buf_put_str(fields, "Vary: Accept-Encoding\r\n");
	if (f->part == HTTP_PART_NOT_MODIFIED)
		return;
	buf_put_str(fields, "Accept-Ranges: bytes\r\n");
	if (f->part == HTTP_PART_UNSATISFIABLE || f->part == HTTP_PART_SOME)
		put_range(fields, f);
	if (f->part != HTTP_PART_UNSATISFIABLE)
		buf_put_str(fields, coding_fields[f->coding]);
}

void file_reply_begin(const struct conn *c, struct file_reply *f, struct buf *fields)
{
	static const unsigned statuses[] = { 200, 206, 304, 416 };
	char mem[128];
	struct buf tag;
	struct slice etag;

	buf_init(&tag, mem, sizeof(mem));
	etag = mark_etag(f, &tag);
	f->part = http_part_of(&c->req->head, etag, f->size, &f->from, &f->to);
	f->status = statuses[f->part];
	put_fields(f, etag, fields);
}

void file_reply_prepare(struct file_reply *f, struct buf *fields)
{
	char mem[128];
	struct buf tag;

	buf_init(&tag, mem, sizeof(mem));
	f->part = HTTP_PART_ALL;
	put_fields(f, mark_etag(f, &tag), fields);
}

bool file_wants_all(const struct conn *c)
{
	const struct http_head *h = &c->req->head;

	return http_field_find(h, SLICE("If-None-Match")) == NULL &&
	       http_field_find(h, SLICE("Range")) == NULL;
}

struct slice file_type(struct slice path)
{
	static const struct {
		struct slice ending, type;
	} types[] = {
		{ SLICE_INIT(".html"), SLICE_INIT("text/html; charset=utf-8") },
		{ SLICE_INIT(".js"), SLICE_INIT("text/javascript; charset=utf-8") },
		{ SLICE_INIT(".mjs"), SLICE_INIT("text/javascript; charset=utf-8") },
		{ SLICE_INIT(".css"), SLICE_INIT("text/css; charset=utf-8") },
		{ SLICE_INIT(".json"), SLICE_INIT("application/json") },
		{ SLICE_INIT(".map"), SLICE_INIT("application/json") },
		{ SLICE_INIT(".webmanifest"), SLICE_INIT("application/manifest+json") },
		{ SLICE_INIT(".svg"), SLICE_INIT("image/svg+xml") },
		{ SLICE_INIT(".png"), SLICE_INIT("image/png") },
		{ SLICE_INIT(".jpg"), SLICE_INIT("image/jpeg") },
		{ SLICE_INIT(".jpeg"), SLICE_INIT("image/jpeg") },
		{ SLICE_INIT(".gif"), SLICE_INIT("image/gif") },
		{ SLICE_INIT(".webp"), SLICE_INIT("image/webp") },
		{ SLICE_INIT(".ico"), SLICE_INIT("image/x-icon") },
		{ SLICE_INIT(".woff2"), SLICE_INIT("font/woff2") },
		{ SLICE_INIT(".woff"), SLICE_INIT("font/woff") },
		{ SLICE_INIT(".wasm"), SLICE_INIT("application/wasm") },
		{ SLICE_INIT(".txt"), SLICE_INIT("text/plain; charset=utf-8") },
		{ SLICE_INIT(".xml"), SLICE_INIT("application/xml") },
		{ SLICE_INIT(".pdf"), SLICE_INIT("application/pdf") },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(types); i++) {
		struct slice e = types[i].ending;

		if (path.n > e.n && slice_eq_nocase(slice_from(path, path.n - e.n), e))
			return types[i].type;
	}
	return SLICE("application/octet-stream");
}

bool file_has_extension(struct slice path)
{
	size_t i;

	for (i = path.n; i > 0 && path.p[i - 1] != '/'; i--)
		if (path.p[i - 1] == '.')
			return true;
	return false;
}
