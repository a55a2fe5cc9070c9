/* SPDX-License-Identifier: MIT */
/* test_arena.c: alignment, exact fits, full, reset. */
#include "check.h"

#include "base/arena.h"

static _Alignas(16) char mem[128];

static bool is_aligned(const void *p)
{
	return ((uintptr_t)p & 15) == 0;
}

static void test_take(void)
{
	struct arena a;
	char *p, *q;

	arena_init(&a, mem, sizeof(mem));
	p = arena_take(&a, 1);
	q = arena_take(&a, 17);
	CHECK(p == mem && q == mem + 16);
	CHECK(is_aligned(q));
	CHECK(arena_take(&a, 81) == NULL); /* 48 used, 80 left */
	CHECK(arena_take(&a, 80) == mem + 48);
	CHECK(arena_take(&a, 1) == NULL);
	CHECK(arena_take(&a, 0) != NULL);
	CHECK(arena_take(&a, SIZE_MAX) == NULL);
	arena_reset(&a);
	CHECK(arena_take(&a, sizeof(mem)) == mem);
}

/* A block that begins and ends anywhere. */
static void test_odd_blocks(void)
{
	for (size_t from = 0; from < 16; from++) {
		for (size_t cap = 0; cap < 40; cap++) {
			struct arena a;
			char *p;

			check_case("block at %zu of %zu bytes", from, cap);
			arena_init(&a, mem + from, cap);
			p = arena_take(&a, 16);
			if (p == NULL) {
				CHECK(cap < 31);
				continue;
			}
			CHECK(is_aligned(p) && p >= mem + from && p + 16 <= mem + from + cap);
		}
	}
}

static void test_none(void)
{
	struct arena a;

	check_case("no block");
	arena_init(&a, NULL, 0);
	CHECK(arena_take(&a, 0) == NULL);
	CHECK(arena_take(&a, 1) == NULL);
}

static void test_copy(void)
{
	struct arena a;
	struct slice s;

	check_case("copy");
	arena_init(&a, mem, sizeof(mem));
	s = arena_copy(&a, check_guard_str("hello"));
	CHECK_STR(s, "hello");
	CHECK(s.p == mem);
	s = arena_copy(&a, slice_make(NULL, 0));
	CHECK(s.p != NULL && s.n == 0);
	memset(mem, 'x', sizeof(mem));
	s = arena_copy(&a, slice_make(mem, sizeof(mem)));
	CHECK(s.p == NULL && s.n == 0);
}

int main(void)
{
	test_take();
	test_odd_blocks();
	test_none();
	test_copy();
	return check_done();
}
