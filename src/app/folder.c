/* SPDX-License-Identifier: MIT */
/* folder.c: files below --root, small ones whole, large ones piece by piece. */
#include "app/folder.h"
#include "app/file_reply.h"
#include "base/fmt.h"
#include "io/file.h"

enum {
	PATH_MAX_BYTES = 2048,
	PIECE = 64 * 1024,
	WORK_BLOCK = 4096,
};

/* A file on its way to the client. */
struct sending {
	struct conn *conn;
	struct server *server;
	size_t cap;
	int fd;
	uint64_t at, end;
};

struct found {
	int fd;
	struct file_info info;
};

/* "a/b" + suffix below the folder, if it is a regular file. */
static enum file_found open_file(int dir, struct slice path, const char *suffix, struct found *f)
{
	char name[PATH_MAX_BYTES];
	struct buf b;
	enum file_found found;

	buf_init(&b, name, sizeof(name) - 1);
	if (!buf_put(&b, path) || !buf_put_str(&b, suffix) || buf_len(&b) == 0)
		return FILE_ABSENT;
	name[buf_len(&b)] = '\0';
	if (strlen(name) != buf_len(&b))
		return FILE_ABSENT;
	found = file_open_beneath(dir, name, &f->fd, &f->info);
	if (found != FILE_FOUND || f->info.regular)
		return found;
	file_close(f->fd);
	return FILE_ABSENT;
}

static struct slice make_etag(const struct file_info *i, struct buf *b)
{
	buf_put_byte(b, '"');
	fmt_hex(b, i->size, 1);
	buf_put_byte(b, '-');
	fmt_hex(b, (uint64_t)i->mtime_ns, 1);
	buf_put_byte(b, '"');
	return buf_view(b);
}

/* Vite and its kin put names with a hash below assets/. */
static bool is_immutable(struct slice path)
{
	size_t i, hash = 0;

	if (!slice_starts(path, SLICE("assets/")))
		return false;
	for (i = path.n; i > 0 && path.p[i - 1] != '-' && path.p[i - 1] != '/'; i--)
		hash = path.p[i - 1] == '.' ? 0 : hash + 1;
	return i > 0 && path.p[i - 1] == '-' && hash >= 8;
}

static void sending_free(struct sending *s)
{
	file_close(s->fd);
	mem_give(&s->server->mem, s, s->cap);
}

static void on_gone(void *work)
{
	sending_free(work);
}

static void send_pieces(struct sending *s)
{
	struct conn *c = s->conn;

	while (s->at < s->end && conn_backlog(c) <= CONN_HIGH_MARK && !c->broken) {
		size_t want = (size_t)MIN(s->end - s->at, (uint64_t)PIECE);
		long n = file_read_at(s->fd, s->server->scratch, want, s->at);

		if (n <= 0) { /* it shrank under us: the promised length cannot be kept */
			sending_free(s);
			conn_abort(c);
			return;
		}
		s->at += (uint64_t)n;
		conn_send(c, slice_make(s->server->scratch, (size_t)n));
	}
	if (s->at < s->end)
		return;
	sending_free(s);
	conn_finish(c);
}

static void on_drained(void *work)
{
	send_pieces(work);
}

static const struct work_ops sending_ops = { on_gone, on_drained, false, NULL };

static void start_sending(struct conn *c, int fd, const struct file_reply *f, struct slice fields)
{
	size_t cap;
	struct sending *s = mem_take(&c->server->mem, WORK_BLOCK, &cap);

	if (s == NULL) {
		file_close(fd);
		conn_error(c, 503, SLICE("out of memory"), 5);
		return;
	}
	s->conn = c;
	s->server = c->server;
	s->cap = cap;
	s->fd = fd;
	s->at = f->from;
	s->end = f->to;
	conn_work_start(c, &sending_ops, s);
	conn_begin(c, f->status, f->type, fields, (int64_t)(f->to - f->from));
	if (c->no_body)
		s->at = s->end;
	send_pieces(s);
}

static void reply(struct conn *c, struct slice path, struct found *f, enum coding coding,
		  bool varies)
{
	char tag_mem[64], mem[512];
	struct buf tag, fields;
	struct file_reply r = { 0 };

	buf_init(&tag, tag_mem, sizeof(tag_mem));
	buf_init(&fields, mem, sizeof(mem));
	r.type = file_type(path);
	r.etag = make_etag(&f->info, &tag);
	r.coding = coding;
	r.varies = varies;
	r.immutable = is_immutable(path);
	r.size = f->info.size;
	file_reply_begin(c, &r, &fields);
	if (r.part == HTTP_PART_ALL || r.part == HTTP_PART_SOME) {
		start_sending(c, f->fd, &r, buf_view(&fields));
		return;
	}
	file_close(f->fd);
	conn_reply(c, r.status, slice_make("", 0), buf_view(&fields), slice_make("", 0));
}

/* The file itself, or a coded sibling ("app.js.gz") that is not older. */
static bool reply_best(struct conn *c, int dir, struct slice path)
{
	static const char *const suffixes[] = { "", ".gz", ".br" };
	struct found plain, coded[3];
	bool has[3] = { true, false, false };
	enum coding best;
	size_t i;

	switch (open_file(dir, path, "", &plain)) {
	case FILE_ABSENT:
		return false;
	case FILE_NO_DESCRIPTOR:
		conn_error(c, 503, SLICE("too many open files, try again"), 2);
		return true;
	case FILE_FOUND:
		break;
	}
	coded[0] = plain;
	for (i = CODING_GZIP; i <= CODING_BR; i++) {
		has[i] = open_file(dir, path, suffixes[i], &coded[i]) == FILE_FOUND;
		if (has[i] && coded[i].info.mtime_ns < plain.info.mtime_ns) {
			file_close(coded[i].fd);
			has[i] = false;
		}
	}
	best = file_coding(c, has[CODING_GZIP], has[CODING_BR]);
	for (i = 0; i <= CODING_BR; i++)
		if (has[i] && i != best)
			file_close(coded[i].fd);
	reply(c, path, &coded[best], best, has[CODING_GZIP] || has[CODING_BR]);
	return true;
}

bool folder_reply(struct conn *c, int dir, struct slice path)
{
	while (path.n > 0 && path.p[0] == '/')
		path = slice_from(path, 1);
	if (path.n > 0 && reply_best(c, dir, path))
		return true;
	return !file_has_extension(path) && reply_best(c, dir, SLICE("index.html"));
}
