/* SPDX-License-Identifier: MIT */
/* test_http_cond.c: what a conditional or range request gets (RFC 9110, 13 and 14). */
#include "proto/http_cond.h"
#include "check.h"

#define TAG "\"abc\""

static const struct {
	const char *fields;
	enum http_part part;
	uint64_t from, to;
} rows[] = {
	{ "", HTTP_PART_ALL, 0, 100 },
	{ "If-None-Match: " TAG "\r\n", HTTP_PART_NOT_MODIFIED, 0, 100 },
	{ "If-None-Match: W/" TAG "\r\n", HTTP_PART_NOT_MODIFIED, 0, 100 },
	{ "If-None-Match: *\r\n", HTTP_PART_NOT_MODIFIED, 0, 100 },
	{ "If-None-Match: \"x\", \"y\" ,\t" TAG "\r\n", HTTP_PART_NOT_MODIFIED, 0, 100 },
	{ "If-None-Match: \"x\"\r\n", HTTP_PART_ALL, 0, 100 },
	{ "If-None-Match: abc\r\n", HTTP_PART_ALL, 0, 100 },
	{ "If-None-Match:\r\n", HTTP_PART_ALL, 0, 100 },
	{ "Range: bytes=0-0\r\n", HTTP_PART_SOME, 0, 1 },
	{ "Range: bytes=0-9\r\n", HTTP_PART_SOME, 0, 10 },
	{ "Range: BYTES=10-19\r\n", HTTP_PART_SOME, 10, 20 },
	{ "Range: bytes=90-\r\n", HTTP_PART_SOME, 90, 100 },
	{ "Range: bytes=90-500\r\n", HTTP_PART_SOME, 90, 100 },
	{ "Range: bytes=0-18446744073709551615\r\n", HTTP_PART_SOME, 0, 100 },
	{ "Range: bytes=-1\r\n", HTTP_PART_SOME, 99, 100 },
	{ "Range: bytes=-500\r\n", HTTP_PART_SOME, 0, 100 },
	{ "Range: bytes=-0\r\n", HTTP_PART_UNSATISFIABLE, 100, 0 },
	{ "Range: bytes=100-\r\n", HTTP_PART_UNSATISFIABLE, 100, 100 },
	{ "Range: bytes=100-200\r\n", HTTP_PART_UNSATISFIABLE, 100, 100 },
	{ "Range: bytes=9-5\r\n", HTTP_PART_ALL, 0, 100 },
	{ "Range: bytes=-\r\n", HTTP_PART_ALL, 0, 100 },
	{ "Range: bytes=\r\n", HTTP_PART_ALL, 0, 100 },
	{ "Range: bytes=5\r\n", HTTP_PART_ALL, 0, 100 },
	{ "Range: bytes=a-b\r\n", HTTP_PART_ALL, 0, 100 },
	{ "Range: bytes=0-1,5-6\r\n", HTTP_PART_ALL, 0, 100 },
	{ "Range: bytes=99999999999999999999-\r\n", HTTP_PART_ALL, 0, 100 },
	{ "Range: lines=0-9\r\n", HTTP_PART_ALL, 0, 100 },
	{ "Range: bytes=0-9\r\nIf-Range: " TAG "\r\n", HTTP_PART_SOME, 0, 10 },
	{ "Range: bytes=0-9\r\nIf-Range: W/" TAG "\r\n", HTTP_PART_ALL, 0, 100 },
	{ "Range: bytes=0-9\r\nIf-Range: \"x\"\r\n", HTTP_PART_ALL, 0, 100 },
	{ "Range: bytes=0-9\r\nIf-None-Match: " TAG "\r\n", HTTP_PART_NOT_MODIFIED, 0, 100 },
};

static void judge(const char *method, const char *fields, struct http_head *h)
{
	static char text[1024];

	snprintf(text, sizeof(text), "%s / HTTP/1.1\r\nHost: a\r\n%s\r\n", method, fields);
	CHECK(http_request_parse(h, check_guard_str(text), 0) == PARSE_DONE);
}

int main(void)
{
	struct http_head h;
	uint64_t from, to;

	FOR_ROWS(i, rows)
	{
		check_case("%zu: %s", i, rows[i].fields);
		judge("GET", rows[i].fields, &h);
		CHECK(http_part_of(&h, SLICE(TAG), 100, &from, &to) == rows[i].part);
		CHECK(from == rows[i].from && to == rows[i].to);
	}
	check_case("a range is for GET alone");
	judge("HEAD", "Range: bytes=0-9\r\n", &h);
	CHECK(http_part_of(&h, SLICE(TAG), 100, &from, &to) == HTTP_PART_ALL);
	check_case("nothing of an empty file can be had in part");
	judge("GET", "Range: bytes=0-\r\n", &h);
	CHECK(http_part_of(&h, SLICE(TAG), 0, &from, &to) == HTTP_PART_UNSATISFIABLE);
	return check_done();
}
