/* SPDX-License-Identifier: MIT */
/* check.h: what the unit tests share: checks that count and say where they failed, tables of cases,
 * and input that ends right at a forbidden page, so that one byte read too far is a crash.
 *
 *	static const struct { const char *in; bool want; } rows[] = { ... };
 *
 *	int main(void)
 *	{
 *		FOR_ROWS(i, rows) {
 *			check_case("%zu: %s", i, rows[i].in);
 *			CHECK(thing_parse(check_guard_str(rows[i].in)) == rows[i].want);
 *		}
 *		return check_done();
 *	}
 */
#ifndef UNIT_CHECK_H
#define UNIT_CHECK_H

#include "base/base.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static unsigned long check_passed, check_failed;
static char check_name[160];

#define FOR_ROWS(i, rows) for (size_t i = 0; i < ARRAY_LEN(rows); i++)

/* Names the case that the next checks belong to; a failure prints it. */
__attribute__((format(printf, 1, 2), unused)) static void check_case(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(check_name, sizeof(check_name), fmt, ap);
	va_end(ap);
}

__attribute__((unused)) static bool check_note(bool ok, const char *file, int line,
					       const char *what)
{
	if (ok) {
		check_passed++;
		return true;
	}
	check_failed++;
	printf("%s:%d: %s", file, line, what);
	if (check_name[0] != '\0')
		printf(" [%s]", check_name);
	putchar('\n');
	return false;
}

/* Prints bytes so that a reader sees each of them; long ones are cut. */
__attribute__((unused)) static void check_print(const char *label, struct slice s)
{
	size_t i;

	printf("\t%s (%zu): ", label, s.n);
	for (i = 0; i < s.n && i < 200; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == '\r' || c == '\n')
			fputs(c == '\r' ? "\\r" : "\\n", stdout);
		else if (c < 0x20 || c >= 0x7f || c == '\\')
			printf("\\x%02x", c);
		else
			putchar(c);
	}
	puts(i < s.n ? "..." : "");
}

__attribute__((unused)) static bool check_u64(unsigned long long got, unsigned long long want,
					      const char *file, int line, const char *what)
{
	if (check_note(got == want, file, line, what))
		return true;
	printf("\tgot %llu, want %llu\n", got, want);
	return false;
}

__attribute__((unused)) static bool check_i64(long long got, long long want, const char *file,
					      int line, const char *what)
{
	if (check_note(got == want, file, line, what))
		return true;
	printf("\tgot %lld, want %lld\n", got, want);
	return false;
}

__attribute__((unused)) static bool check_slice(struct slice got, struct slice want,
						const char *file, int line, const char *what)
{
	if (check_note(slice_eq(got, want), file, line, what))
		return true;
	check_print("got ", got);
	check_print("want", want);
	return false;
}

/* All of them are true when the check held, so that a test can stop early. */
#define CHECK(cond)            check_note((cond), __FILE__, __LINE__, #cond)
#define CHECK_U64(got, want)   check_u64((got), (want), __FILE__, __LINE__, #got)
#define CHECK_I64(got, want)   check_i64((got), (want), __FILE__, __LINE__, #got)
#define CHECK_SLICE(got, want) check_slice((got), (want), __FILE__, __LINE__, #got)
#define CHECK_STR(got, want)   check_slice((got), slice_str(want), __FILE__, __LINE__, #got)

/* Copies bytes so that they end right before a page that may not be touched. The copy is good until
 * CHECK_GUARDS more have been made. At most CHECK_GUARD_MAX bytes. */
#define CHECK_GUARDS    8u
#define CHECK_GUARD_MAX (1u << 20)

__attribute__((unused)) static struct slice check_guard(struct slice s)
{
	static char *blocks[CHECK_GUARDS];
	static unsigned next;
	char **block = &blocks[next++ % CHECK_GUARDS];
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *p;

	if (s.n > CHECK_GUARD_MAX)
		abort();
	if (*block == NULL) {
		*block = mmap(NULL, CHECK_GUARD_MAX + page, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (*block == MAP_FAILED ||
		    mprotect(*block + CHECK_GUARD_MAX, page, PROT_NONE) != 0)
			abort();
	}
	p = *block + CHECK_GUARD_MAX - s.n;
	if (s.n > 0)
		memcpy(p, s.p, s.n);
	return slice_make(p, s.n);
}

__attribute__((unused)) static struct slice check_guard_str(const char *s)
{
	return check_guard(slice_str(s));
}

/* The last line and the exit status of a test program. */
__attribute__((unused)) static int check_done(void)
{
	printf("%lu passed, %lu failed\n", check_passed, check_failed);
	return check_failed == 0 ? 0 : 1;
}

#endif
