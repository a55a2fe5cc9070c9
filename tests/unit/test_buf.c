/* SPDX-License-Identifier: MIT */
/* test_buf.c: the queue against a plain model of it, and its edges. */
#include "check.h"

#include "base/buf.h"

static char mem[16], other[32];

static void test_edges(void)
{
	struct buf b;
	size_t n;

	buf_init(&b, mem, 8);
	CHECK_U64(buf_len(&b), 0);
	CHECK(buf_put_str(&b, "abcdef"));
	CHECK(!buf_put_str(&b, "ghi")); /* all or nothing */
	CHECK_STR(buf_view(&b), "abcdef");
	buf_consume(&b, 4);
	buf_tail(&b, &n);
	CHECK_U64(n, 2); /* room at the tail, nothing moved */
	CHECK_STR(buf_view(&b), "ef");
	buf_space(&b, &n);
	CHECK_U64(n, 2);               /* there is room, so nothing is moved yet */
	CHECK(buf_put_str(&b, "ghi")); /* it fits when the bytes are moved */
	CHECK_STR(buf_view(&b), "efghi");
	CHECK(b.head == 0);
	CHECK(buf_put_str(&b, "jkl"));
	CHECK(!buf_put_byte(&b, 'm'));
	buf_space(&b, &n);
	CHECK_U64(n, 0); /* full */
	buf_consume(&b, 3);
	memset(buf_space(&b, &n), 'x', 3);
	CHECK_U64(n, 3); /* full at the tail: now it moves */
	buf_commit(&b, 3);
	CHECK_STR(buf_view(&b), "hijklxxx");
	buf_consume(&b, 8);
	CHECK(b.head == 0 && b.tail == 0); /* empty: starts over without a move */
	CHECK(buf_put_byte(&b, 'z') && buf_len(&b) == 1);
	buf_reset(&b);
	CHECK_U64(buf_len(&b), 0);
}

static void test_none(void)
{
	struct buf b;
	size_t n = 9;

	check_case("no memory");
	buf_init(&b, NULL, 0);
	buf_space(&b, &n);
	CHECK_U64(n, 0);
	CHECK(buf_put(&b, SLICE("")));
	CHECK(!buf_put_byte(&b, 'x'));
	CHECK_U64(buf_view(&b).n, 0);
	buf_move(&b, mem, sizeof(mem));
	CHECK(buf_put_byte(&b, 'x'));
}

static void test_move(void)
{
	struct buf b;

	check_case("move");
	buf_init(&b, mem, 8);
	buf_put_str(&b, "abcdefgh");
	buf_consume(&b, 3);
	CHECK(buf_move(&b, other, sizeof(other)) == mem);
	CHECK_STR(buf_view(&b), "defgh");
	CHECK(buf_put_str(&b, "0123456789"));
	CHECK_STR(buf_view(&b), "defgh0123456789");
}

/* Puts and takes of changing sizes against a string that does the same. */
static void test_model(void)
{
	char model[64], piece[8];
	size_t len = 0, n;
	unsigned seed = 1, next = 0;
	struct buf b;

	check_case("model");
	buf_init(&b, mem, 13);
	for (int round = 0; round < 5000; round++) {
		seed = seed * 1103515245u + 12345u;
		n = (seed >> 16) % sizeof(piece);
		for (size_t i = 0; i < n; i++)
			piece[i] = (char)('a' + next++ % 26);
		if (!CHECK(buf_put(&b, slice_make(piece, n)) == (len + n <= 13)))
			return;
		if (len + n <= 13) {
			memcpy(model + len, piece, n);
			len += n;
		}
		n = MIN((seed >> 24) % 9, len);
		if (!CHECK_SLICE(buf_view(&b), slice_make(model, len)))
			return;
		buf_consume(&b, n);
		len -= n;
		memmove(model, model + n, len);
	}
}

int main(void)
{
	test_edges();
	test_none();
	test_move();
	test_model();
	return check_done();
}
