/* SPDX-License-Identifier: MIT */
/* test_der.c: elements in and out, and what is none. */
#include "base/der.h"
#include "check.h"

static void test_read(void)
{
	static const struct {
		struct slice in;
		unsigned tag;
		size_t content, rest; /* tag 0: no element */
	} rows[] = {
		{ SLICE_INIT("\x30\x00"), DER_SEQUENCE, 0, 0 },
		{ SLICE_INIT("\x02\x01\x05tail"), DER_INTEGER, 1, 4 },
		{ SLICE_INIT("\x04\x81\x03"
			     "abc"),
		  DER_OCTET_STRING, 3, 0 },
		{ SLICE_INIT("\x04\x82\x00\x03"
			     "abcd"),
		  DER_OCTET_STRING, 3, 1 },
		{ SLICE_INIT("\x87\x04\x7f\x00\x00\x01"), DER_CONTEXT | 7, 4, 0 },
		{ SLICE_INIT(""), 0, 0, 0 },
		{ SLICE_INIT("\x30"), 0, 0, 0 },
		{ SLICE_INIT("\x30\x01"), 0, 0, 0 },
		{ SLICE_INIT("\x30\x80\x00\x00"), 0, 0, 0 }, /* of unknown length */
		{ SLICE_INIT("\x30\x81"), 0, 0, 0 },
		{ SLICE_INIT("\x30\x82\x01"), 0, 0, 0 },
		{ SLICE_INIT("\x30\x84\x00\x00\x00\x01x"), 0, 0, 0 },
		{ SLICE_INIT("\x30\x83\xff\xff\xff"), 0, 0, 0 },
		{ SLICE_INIT("\x1f\x81\x01\x00"), 0, 0, 0 }, /* a tag of several bytes */
	};

	FOR_ROWS(i, rows)
	{
		struct slice in = check_guard(rows[i].in), content;
		unsigned tag = 0;

		check_case("row %zu", i);
		if (!CHECK(der_next(&in, &tag, &content) == (rows[i].tag != 0)) || rows[i].tag == 0)
			continue;
		CHECK_U64(tag, rows[i].tag);
		CHECK_U64(content.n, rows[i].content);
		CHECK_U64(in.n, rows[i].rest);
	}
}

static void test_take(void)
{
	struct slice in = SLICE("\x02\x01\x05\x30\x00"), content;

	check_case("take");
	CHECK(!der_take(&in, DER_SEQUENCE, &content));
	CHECK_U64(in.n, 5);
	CHECK(der_take(&in, DER_INTEGER, &content));
	CHECK(der_take(&in, DER_SEQUENCE, &content));
	CHECK(!der_take(&in, DER_SEQUENCE, &content));
}

/* Around each length of the length; what was written is read again. */
static void test_write(void)
{
	static const size_t sizes[] = { 0, 1, 127, 128, 129, 255, 256, 257, 65535, 65536, 100000 };
	static char mem[200100], bytes[100000];
	size_t room;

	memset(bytes, 'x', sizeof(bytes));
	FOR_ROWS(i, sizes)
	{
		struct slice in, list, number, text;
		struct buf b;
		size_t mark;

		check_case("%zu bytes", sizes[i]);
		buf_init(&b, mem, sizeof(mem));
		CHECK(der_open(&b, DER_SEQUENCE, &mark) &&
		      der_put(&b, DER_INTEGER, SLICE("\x07")) &&
		      der_put(&b, DER_UTF8, slice_make(bytes, sizes[i])) && der_close(&b, mark));
		in = buf_view(&b);
		CHECK(der_take(&in, DER_SEQUENCE, &list) && in.n == 0);
		CHECK(der_take(&list, DER_INTEGER, &number) && number.n == 1);
		CHECK(der_take(&list, DER_UTF8, &text) && list.n == 0);
		CHECK(slice_eq(text, slice_make(bytes, sizes[i])));
	}
	for (room = 0; room < 8; room++) { /* "30 06 02 01 07 0c 01 78" needs eight */
		struct buf b;
		size_t mark;

		check_case("room for %zu", room);
		buf_init(&b, mem, room);
		CHECK(!(der_open(&b, DER_SEQUENCE, &mark) &&
			der_put(&b, DER_INTEGER, SLICE("\x07")) &&
			der_put(&b, DER_UTF8, SLICE("x")) && der_close(&b, mark)));
	}
}

int main(void)
{
	test_read();
	test_take();
	test_write();
	return check_done();
}
