/* SPDX-License-Identifier: MIT */
/* test_fmt.c: numbers and dates, out and in. */
#include "check.h"

#include "base/fmt.h"

#include <time.h>

static char mem[64];
static struct buf out;

static struct buf *fresh(size_t cap)
{
	buf_init(&out, mem, cap);
	return &out;
}

static struct slice text(void)
{
	return buf_view(&out);
}

static void test_numbers(void)
{
	static const struct {
		uint64_t v;
		const char *dec, *hex, *ms;
	} rows[] = {
		{ 0, "0", "0", "0.000" },
		{ 9, "9", "9", "0.009" },
		{ 10, "10", "a", "0.010" },
		{ 1234, "1234", "4d2", "1.234" },
		{ UINT64_MAX, "18446744073709551615", "ffffffffffffffff", "18446744073709551.615" },
	};

	FOR_ROWS(i, rows)
	{
		check_case("number %s", rows[i].dec);
		CHECK(fmt_u64(fresh(64), rows[i].v));
		CHECK_STR(text(), rows[i].dec);
		CHECK(!fmt_u64(fresh(strlen(rows[i].dec) - 1), rows[i].v));
		CHECK(fmt_hex(fresh(64), rows[i].v, 1));
		CHECK_STR(text(), rows[i].hex);
		CHECK(!fmt_hex(fresh(strlen(rows[i].hex) - 1), rows[i].v, 1));
		CHECK(fmt_ms(fresh(64), rows[i].v));
		CHECK_STR(text(), rows[i].ms);
		CHECK(!fmt_ms(fresh(strlen(rows[i].ms) - 1), rows[i].v));
	}
	CHECK(fmt_hex(fresh(64), 0xab, 4));
	CHECK_STR(text(), "00ab");
	CHECK(fmt_hex(fresh(64), 0xabcde, 4));
	CHECK_STR(text(), "abcde");
	CHECK(fmt_hex(fresh(64), 1, 99)); /* never more than sixteen */
	CHECK_STR(text(), "0000000000000001");
}

static void test_signed(void)
{
	static const struct {
		int64_t v;
		const char *want;
	} rows[] = {
		{ 0, "0" },
		{ -1, "-1" },
		{ 42, "42" },
		{ INT64_MAX, "9223372036854775807" },
		{ INT64_MIN, "-9223372036854775808" },
	};

	FOR_ROWS(i, rows)
	{
		check_case("signed %s", rows[i].want);
		CHECK(fmt_i64(fresh(64), rows[i].v));
		CHECK_STR(text(), rows[i].want);
	}
}

static const struct {
	int64_t t;
	const char *http, *rfc3339;
} dates[] = {
	{ 0, "Thu, 01 Jan 1970 00:00:00 GMT", "1970-01-01T00:00:00.007Z" },
	{ -1, "Wed, 31 Dec 1969 23:59:59 GMT", "1969-12-31T23:59:59.007Z" },
	{ 784111777, "Sun, 06 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37.007Z" },
	{ 951782400, "Tue, 29 Feb 2000 00:00:00 GMT", "2000-02-29T00:00:00.007Z" },
	{ 951868800, "Wed, 01 Mar 2000 00:00:00 GMT", "2000-03-01T00:00:00.007Z" },
	{ 1709164800, "Thu, 29 Feb 2024 00:00:00 GMT", "2024-02-29T00:00:00.007Z" },
	{ 1795463261, "Mon, 23 Nov 2026 19:47:41 GMT", "2026-11-23T19:47:41.007Z" },
	{ 4107542399, "Sun, 28 Feb 2100 23:59:59 GMT", "2100-02-28T23:59:59.007Z" },
	{ 4107542400, "Mon, 01 Mar 2100 00:00:00 GMT", "2100-03-01T00:00:00.007Z" },
	{ 253402300799, "Fri, 31 Dec 9999 23:59:59 GMT", "9999-12-31T23:59:59.007Z" },
	{ -62135596800, "Mon, 01 Jan 0001 00:00:00 GMT", "0001-01-01T00:00:00.007Z" },
};

static void test_dates(void)
{
	FOR_ROWS(i, dates)
	{
		int64_t back;

		check_case("date %s", dates[i].http);
		CHECK(fmt_http_date(fresh(64), dates[i].t));
		CHECK_STR(text(), dates[i].http);
		CHECK(fmt_parse_http_date(check_guard(text()), &back));
		CHECK_I64(back, dates[i].t);
		CHECK(!fmt_http_date(fresh(28), dates[i].t));
		CHECK(fmt_rfc3339(fresh(64), dates[i].t * 1000 + 7));
		CHECK_STR(text(), dates[i].rfc3339);
		CHECK(!fmt_rfc3339(fresh(23), dates[i].t * 1000 + 7));
	}
	check_case("before 1970, in milliseconds");
	CHECK(fmt_rfc3339(fresh(64), -1));
	CHECK_STR(text(), "1969-12-31T23:59:59.999Z");
}

/* Many days against libc's calendar. */
static void test_calendar(void)
{
	char want[64];

	for (int64_t t = -86400ll * 200000; t < 86400ll * 200000; t += 86400ll * 37 + 12345) {
		time_t when = (time_t)t;
		struct tm tm;
		int64_t back = 0;

		gmtime_r(&when, &tm);
		strftime(want, sizeof(want), "%a, %d %b %Y %H:%M:%S GMT", &tm);
		check_case("%s", want);
		fmt_http_date(fresh(64), t);
		if (!CHECK_STR(text(), want) ||
		    !CHECK(fmt_parse_http_date(text(), &back) && back == t))
			return;
	}
}

static void test_parse_dates(void)
{
	static const char *const bad[] = {
		"",
		"Sun, 06 Nov 1994 08:49:37 GM",
		"Sun, 06 Nov 1994 08:49:37 GMTx",
		"Sunday, 06-Nov-94 08:49:37 GMT", /* the obsolete forms */
		"Sun Nov  6 08:49:37 1994",
		"Sun. 06 Nov 1994 08:49:37 GMT",
		"Sun, 06 nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 08:49:37 UTC",
		"Sun, 00 Nov 1994 08:49:37 GMT",
		"Sun, 32 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 24:49:37 GMT",
		"Sun, 06 Nov 1994 08:60:37 GMT",
		"Sun, 06 Nov 1994 08:49:61 GMT",
		"Sun, x6 Nov 1994 08:49:37 GMT",
		"Sun, 0x Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 1x94 08:49:37 GMT",
		"Sun, 06 Nov 199x 08:49:37 GMT",
		"Sun, 06 Nov 1994 x8:49:37 GMT",
		"Sun, 06 Nov 1994 08:4x:37 GMT",
		"Sun, 06 Nov 1994 08:49:/7 GMT",
		"Sun, 06 Nov 1994 08:49:3: GMT",
	};
	int64_t t;

	FOR_ROWS(i, bad)
	{
		check_case("bad date %s", bad[i]);
		CHECK(!fmt_parse_http_date(check_guard_str(bad[i]), &t));
	}
	CHECK(fmt_parse_http_date(SLICE("xxx, 06 Nov 1994 08:49:60 GMT"), &t) && t == 784111800);
}

static void test_parse_numbers(void)
{
	static const struct {
		const char *in;
		bool dec, hex;
		uint64_t dec_want, hex_want;
	} rows[] = {
		{ "", false, false, 0, 0 },
		{ "0", true, true, 0, 0 },
		{ "10", true, true, 10, 16 },
		{ "007", true, true, 7, 7 },
		{ "aF", false, true, 0, 0xaf },
		{ "18446744073709551615", true, false, UINT64_MAX, 0 },
		{ "18446744073709551616", false, false, 0, 0 },
		{ "99999999999999999999", false, false, 0, 0 },
		{ "ffffffffffffffff", false, true, 0, UINT64_MAX },
		{ "10000000000000000", true, false, 10000000000000000ull, 0 },
		{ "00000000000000000f", false, true, 0, 15 },
		{ "+1", false, false, 0, 0 },
		{ "-1", false, false, 0, 0 },
		{ " 1", false, false, 0, 0 },
		{ "1 ", false, false, 0, 0 },
		{ "0x1", false, false, 0, 0 },
		{ "1g", false, false, 0, 0 },
		{ "1/", false, false, 0, 0 },
		{ "1:", false, false, 0, 0 },
		{ "@", false, false, 0, 0 },
		{ "`", false, false, 0, 0 },
		{ "\xb1", false, false, 0, 0 },
	};

	FOR_ROWS(i, rows)
	{
		struct slice in = check_guard_str(rows[i].in);
		uint64_t v = 0;

		check_case("parse %s", rows[i].in);
		CHECK(fmt_parse_u64(in, &v) == rows[i].dec);
		CHECK(!rows[i].dec || v == rows[i].dec_want);
		CHECK(fmt_parse_hex(in, &v) == rows[i].hex);
		CHECK(!rows[i].hex || v == rows[i].hex_want);
	}
}

int main(void)
{
	test_numbers();
	test_signed();
	test_dates();
	test_calendar();
	test_parse_dates();
	test_parse_numbers();
	return check_done();
}
