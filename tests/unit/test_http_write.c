/* SPDX-License-Identifier: MIT */
/* test_http_write.c: what goes on the wire; each writer into every size of room. */
#include "check.h"

#include "proto/http_write.h"

typedef bool write_fn(struct buf *);

static bool status_200(struct buf *b)
{
	return http_write_status(b, 200);
}

static bool status_unknown(struct buf *b)
{
	return http_write_status(b, 299);
}

static bool request(struct buf *b)
{
	return http_write_request(b, SLICE("POST"), SLICE("/a?b"));
}

static bool request_dirty(struct buf *b)
{
	return http_write_request(b, SLICE("PO ST\r\n"), SLICE("/a b\r\nX:\x80\0"));
}

static bool field(struct buf *b)
{
	return http_write_field(b, SLICE("Name"), SLICE("a \t\xe9"));
}

static bool field_dirty(struct buf *b)
{
	return http_write_field(b, SLICE("Na:me\r\n "), SLICE("\x01x\r\nSet-Cookie: a\0b\x7f"));
}

static bool field_empty(struct buf *b)
{
	return http_write_field(b, SLICE("Name"), slice_make(NULL, 0));
}

static bool number(struct buf *b)
{
	return http_write_field_u64(b, SLICE("N"), UINT64_MAX);
}

static bool date(struct buf *b)
{
	return http_write_date(b, 784111777);
}

static bool chunk(struct buf *b)
{
	return http_write_chunk_head(b, 0x1f);
}

static bool chunk_large(struct buf *b)
{
	return http_write_chunk_head(b, SIZE_MAX);
}

static const struct {
	write_fn *fn;
	const char *want;
} rows[] = {
	{ status_200, "HTTP/1.1 200 OK\r\n" },
	{ status_unknown, "HTTP/1.1 299 \r\n" }, /* the SP stays (RFC 9112, 4) */
	{ request, "POST /a?b HTTP/1.1\r\n" },
	{ request_dirty, "POST /abX: HTTP/1.1\r\n" },
	{ field, "Name: a \t\xe9\r\n" },
	{ field_dirty, "Name: xSet-Cookie: ab\r\n" },
	{ field_empty, "Name: \r\n" },
	{ number, "N: 18446744073709551615\r\n" },
	{ date, "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n" },
	{ http_write_end, "\r\n" },
	{ chunk, "1f\r\n" },
	{ chunk_large, "ffffffffffffffff\r\n" },
};

/* With every size of room: all of it or nothing, also when what is there has to be moved. */
static void check_room(write_fn *fn, struct slice want, size_t room, size_t skip)
{
	static char mem[256];
	struct buf b;

	buf_init(&b, mem, skip + 3 + room);
	buf_put(&b, slice_make("................................", skip));
	buf_put_str(&b, "abc");
	buf_consume(&b, skip);
	CHECK(fn(&b) == (room + skip >= want.n));
	CHECK_STR(slice_make(buf_view(&b).p, 3), "abc");
	CHECK_SLICE(slice_from(buf_view(&b), 3), room + skip >= want.n ? want : SLICE(""));
}

static void test_reasons(void)
{
	static const unsigned used[] = { 100, 200, 204, 206, 304, 400, 401, 403, 404,
					 405, 408, 411, 413, 414, 415, 416, 417, 421,
					 429, 431, 500, 501, 502, 503, 504, 505 };

	FOR_ROWS(i, used)
	{
		check_case("reason %u", used[i]);
		CHECK(http_reason(used[i])[0] != '\0');
	}
	CHECK_STR(slice_str(http_reason(404)), "Not Found");
	CHECK_STR(slice_str(http_reason(0)), "");
	CHECK_STR(slice_str(http_reason(999)), "");
}

int main(void)
{
	FOR_ROWS(i, rows)
	{
		struct slice want = slice_str(rows[i].want);

		check_case("write %zu", i);
		for (size_t room = 0; room <= want.n + 1; room++) {
			check_room(rows[i].fn, want, room, 0);
			check_room(rows[i].fn, want, room, 20);
		}
	}
	check_case("longest chunk head");
	CHECK_U64(strlen("ffffffffffffffff\r\n"), HTTP_CHUNK_HEAD_MAX);
	test_reasons();
	return check_done();
}
