/* SPDX-License-Identifier: MIT */
/* test_json.c: the judge, the walk, the tree, strings, numbers and the writer. */
#include "check.h"

#include "base/fmt.h"
#include "proto/json.h"

static char memory[1 << 20];

#define T(lit) SLICE_INIT(lit)

/* --- The judge ---------------------------------------------------------------------------------- */

/* clang-format off: a row is a case */
static const struct slice good[] = {
	/* RFC 8259, 3: any value may be the whole text */
	T("null"),
	T("true"),
	T("false"),
	T("0"),
	T("\"\""),
	T("[]"),
	T("{}"),
	T("\"a\""),
	T("-1"),
	T(" \t\r\n null \t\r\n "),
	T("\n1"),
	T("1\n"),
	T("\r[\r]\r"),
	T("\t{\t}\t"),
	/* 4 and 5: objects and arrays */
	T("[1]"),
	T("[1,2]"),
	T("[ 1 , 2 ]"),
	T("[[]]"),
	T("[[],[]]"),
	T("[{}]"),
	T("[{},[],\"\",0,null]"),
	T("{\"a\":1}"),
	T("{\"a\":1,\"b\":2}"),
	T("{ \"a\" : 1 , \"b\" : [ ] }"),
	T("{\"a\":{}}"),
	T("{\"\":0}"),
	T("{\"a\":1,\"a\":1}"),
	T("{\"a\":1,\"a\":2}"),
	T("{\"a\":{\"b\":{\"c\":[{}]}}}"),
	T("[\n]"),
	T("{\n}"),
	T("[true,false,null]"),
	T("[[[[[[]]]]]]"),
	T("[null,null]"),
	T("{\"a\":[],\"b\":{},\"c\":[[],{}]}"),
	T("[{\"a\":[{\"b\":[]}]}]"),
	T("{\"\\u0000\":1}"),
	T("[[1],2]"),
	T("[[[1]],[2,[3]],4]"),
	T("{\"a\":{\"b\":1},\"c\":2}"),
	T("{\"a\":[1,{\"b\":[2]}],\"c\":[3]}"),
	/* 6: numbers */
	T("[0,1,2,3,4,5,6,7,8,9]"),
	T("-0"),
	T("0.0"),
	T("-0.0"),
	T("0e0"),
	T("0E0"),
	T("0e+0"),
	T("0e-0"),
	T("1e1"),
	T("1E+1"),
	T("1e-1"),
	T("10"),
	T("100"),
	T("1.5"),
	T("1.50"),
	T("1.0e10"),
	T("-1.25E-3"),
	T("123456789"),
	T("0.1"),
	T("0e1"),
	T("0.0e00"),
	T("1e00012"),
	T("9007199254740993"),
	T("-9223372036854775809"),
	T("1e999999999"),
	T("-1e-999999999"),
	T("1000000000000000000000000000000000000000000000000000"),
	T("0.0000000000000000000000000000000000000000000000000000001"),
	T("[1,2.5,-3e4]"),
	T("[-0]"),
	T("{\"a\":-0.5e+1}"),
	T("[0]"),
	T("[0,0]"),
	T("[1e1]"),
	T("[1E1]"),
	T("[20e1 ]"),
	/* 7: strings */
	T("\"\\\"\""),
	T("\"\\\\\""),
	T("\"\\/\""),
	T("\"/\""),
	T("\"\\b\\f\\n\\r\\t\""),
	T("\"\\u0041\""),
	T("\"\\u00e9\""),
	T("\"\\u00E9\""),
	T("\"\\uABCD\""),
	T("\"\\uabcd\""),
	T("\"\\u0000\""),
	T("\"\\ud83d\\ude00\""),
	T("\"\\ud800\""),
	T("\"\\udc00\""),
	T("\"\\ude00\\ud83d\""),
	T("\"\\ud800\\n\""),
	T("\"\\ud800\\ud800\\udc00\""),
	T("\"\\uDBFF\\uDFFF\""),
	T("\"\\uFFFE\""),
	T("\"\x7f\""),
	T("\" \""),
	T("\"'\""),
	T("\"{}[]:,\""),
	T("\"\\\\\\\\\""),
	T("\"\\\\\\\"\""),
	T("\"a\\u0061a\""),
	T("\"// no comment /* here */\""),
	T("\"01234567\""),
	T("\"0123456\\n\""),
	T("\"01234567\\\\\""),
	T("\"0123456789abcdef\\t0123456789abcdef\""),
	T("\"\\u0022\""),
	/* 8.1: UTF-8, from the first to the last of every length (Unicode, table 3-7) */
	T("\"\xc2\x80\""),
	T("\"\xdf\xbf\""),
	T("\"\xe0\xa0\x80\""),
	T("\"\xe0\xbf\xbf\""),
	T("\"\xe1\x80\x80\""),
	T("\"\xec\xbf\xbf\""),
	T("\"\xed\x80\x80\""),
	T("\"\xed\x9f\xbf\""),
	T("\"\xee\x80\x80\""),
	T("\"\xef\xbf\xbf\""),
	T("\"\xf0\x90\x80\x80\""),
	T("\"\xf0\xbf\xbf\xbf\""),
	T("\"\xf1\x80\x80\x80\""),
	T("\"\xf3\xbf\xbf\xbf\""),
	T("\"\xf4\x80\x80\x80\""),
	T("\"\xf4\x8f\xbf\xbf\""),
	T("\"\xef\xbb\xbf\""),
	T("\"\xe2\x80\xa8\""),
	T("\"\xe2\x80\xa9\""),
	T("\"\xe4\xb8\xad\xe6\x96\x87 and back\""),
	T("{\"\xc3\xa9\":\"\xf0\x9f\x98\x80\"}"),
	T("\"1234567\xc3\xa9\""),
	T("\"12345678\xc3\xa9\""),
	T("\"123456\xc3\xa9"
	  "8\""),
};
/* clang-format on */

/* clang-format off: a row is a case */
static const struct {
	struct slice text;
	size_t offset;
	const char *why;
} bad[] = {
	/* nothing, or too little */
	{ T(""), 0, "the text ends too soon" },
	{ T(" "), 1, "the text ends too soon" },
	{ T("\r\n\t "), 4, "the text ends too soon" },
	{ T("["), 1, "the text ends too soon" },
	{ T("{"), 1, "the text ends too soon" },
	{ T("[["), 2, "the text ends too soon" },
	{ T("[1"), 2, "the text ends too soon" },
	{ T("[1,"), 3, "the text ends too soon" },
	{ T("[1, "), 4, "the text ends too soon" },
	{ T("{\"a\""), 4, "the text ends too soon" },
	{ T("{\"a\":"), 5, "the text ends too soon" },
	{ T("{\"a\":1"), 6, "the text ends too soon" },
	{ T("{\"a\":1,"), 7, "the text ends too soon" },
	{ T("{\"a\":1, "), 8, "the text ends too soon" },
	{ T("{\"a\" "), 5, "the text ends too soon" },
	{ T("\""), 1, "the text ends too soon" },
	{ T("\"a"), 2, "the text ends too soon" },
	{ T("\"12345678"), 9, "the text ends too soon" },
	{ T("\"\\"), 2, "the text ends too soon" },
	{ T("\"\\\""), 3, "the text ends too soon" },
	{ T("\"\\u"), 3, "the text ends too soon" },
	{ T("\"\\u004"), 6, "the text ends too soon" },
	{ T("t"), 1, "the text ends too soon" },
	{ T("tru"), 3, "the text ends too soon" },
	{ T("fals"), 4, "the text ends too soon" },
	{ T("nul"), 3, "the text ends too soon" },
	{ T("-"), 1, "the text ends too soon" },
	{ T("1."), 2, "the text ends too soon" },
	{ T("1e"), 2, "the text ends too soon" },
	{ T("1e+"), 3, "the text ends too soon" },
	{ T("[1]["), 3, "something follows the value" },
	/* too much */
	{ T("1 2"), 2, "something follows the value" },
	{ T("null null"), 5, "something follows the value" },
	{ T("{}}"), 2, "something follows the value" },
	{ T("[]]"), 2, "something follows the value" },
	{ T("[]\n]"), 3, "something follows the value" },
	{ T("\"\"x"), 2, "something follows the value" },
	{ T("{}#"), 2, "something follows the value" },
	{ T("{}//"), 2, "something follows the value" },
	{ T("{}\0"), 2, "something follows the value" },
	{ T("nullx"), 4, "something follows the value" },
	{ T("1,"), 1, "something follows the value" },
	{ T("00"), 1, "something follows the value" },
	{ T("012"), 1, "something follows the value" },
	{ T("-012"), 2, "something follows the value" },
	{ T("1.2.3"), 3, "something follows the value" },
	{ T("0x42"), 1, "something follows the value" },
	{ T("1e2e3"), 3, "something follows the value" },
	{ T("1 000.0"), 2, "something follows the value" },
	{ T("1e1.5"), 3, "something follows the value" },
	{ T("1_0"), 1, "something follows the value" },
	{ T("2\xd9\xa1"), 1, "something follows the value" },
	/* no value at all */
	{ T("a"), 0, "a value is expected" },
	{ T("'a'"), 0, "a value is expected" },
	{ T("True"), 0, "a value is expected" },
	{ T("TRUE"), 0, "a value is expected" },
	{ T("trua"), 3, "a value is expected" },
	{ T("nilx"), 1, "a value is expected" },
	{ T("NaN"), 0, "a value is expected" },
	{ T("-NaN"), 1, "a digit is expected" },
	{ T("Infinity"), 0, "a value is expected" },
	{ T("-Infinity"), 1, "a digit is expected" },
	{ T("+1"), 0, "a value is expected" },
	{ T("-+1"), 1, "a digit is expected" },
	{ T("--1"), 1, "a digit is expected" },
	{ T(".5"), 0, "a value is expected" },
	{ T("-.5"), 1, "a digit is expected" },
	{ T("[1.]"), 3, "a digit is expected" },
	{ T("[1.e1]"), 3, "a digit is expected" },
	{ T("[1e]"), 3, "a digit is expected" },
	{ T("[1e+]"), 4, "a digit is expected" },
	{ T("[1e+-1]"), 4, "a digit is expected" },
	{ T("[1eE2]"), 3, "a digit is expected" },
	{ T("[-]"), 2, "a digit is expected" },
	{ T("[- 1]"), 2, "a digit is expected" },
	{ T("-a"), 1, "a digit is expected" },
	{ T("\xef\xbc\x91"), 0, "a value is expected" }, /* a full-width digit */
	{ T("undefined"), 0, "a value is expected" },
	{ T("//"), 0, "a value is expected" },
	{ T("/**/1"), 0, "a value is expected" },
	{ T("#"), 0, "a value is expected" },
	{ T("\0"), 0, "a value is expected" },
	{ T("]"), 0, "a value is expected" },
	{ T("}"), 0, "a value is expected" },
	{ T(","), 0, "a value is expected" },
	{ T(":"), 0, "a value is expected" },
	{ T("<null>"), 0, "a value is expected" },
	{ T("*"), 0, "a value is expected" },
	{ T("\\u0031"), 0, "a value is expected" },
	/* white space that is none (RFC 8259, 2 knows four) */
	{ T("\f1"), 0, "a value is expected" },
	{ T("\v1"), 0, "a value is expected" },
	{ T("1\f"), 1, "something follows the value" },
	{ T("[\f]"), 1, "a value is expected" },
	{ T("\xc2\xa0"
	    "1"),
	  0, "a value is expected" },
	{ T("1\xc2\xa0"), 1, "something follows the value" },
	{ T("[\xe2\x81\xa0]"), 1, "a value is expected" },
	{ T("\xe2\x80\xa8"
	    "1"),
	  0, "a value is expected" },
	{ T("1\xc2\x85"), 1, "something follows the value" },
	{ T("[1,\x1f"
	    "2]"),
	  3, "a value is expected" },
	/* commas, colons and brackets in wrong places */
	{ T("[,]"), 1, "a value is expected" },
	{ T("[,1]"), 1, "a value is expected" },
	{ T("[1,]"), 3, "a value is expected" },
	{ T("[1,,2]"), 3, "a value is expected" },
	{ T("[1 2]"), 3, "a comma or ] is expected" },
	{ T("[1:2]"), 2, "a comma or ] is expected" },
	{ T("[\"a\":1]"), 4, "a comma or ] is expected" },
	{ T("[1}"), 2, "a comma or ] is expected" },
	{ T("[}"), 1, "a value is expected" },
	{ T("[[]}"), 3, "a comma or ] is expected" },
	{ T("[{}}"), 3, "a comma or ] is expected" },
	{ T("[\"\"\"\"]"), 3, "a comma or ] is expected" },
	{ T("[3[4]]"), 2, "a comma or ] is expected" },
	{ T("[1;2]"), 2, "a comma or ] is expected" },
	{ T("[01]"), 2, "a comma or ] is expected" },
	{ T("[\"a\"\n"), 5, "the text ends too soon" },
	{ T("[+1]"), 1, "a value is expected" },
	{ T("[*]"), 1, "a value is expected" },
	{ T("{]"), 1, "a key in quotes is expected" },
	{ T("{,}"), 1, "a key in quotes is expected" },
	{ T("{1:1}"), 1, "a key in quotes is expected" },
	{ T("{a:1}"), 1, "a key in quotes is expected" },
	{ T("{'a':1}"), 1, "a key in quotes is expected" },
	{ T("{null:1}"), 1, "a key in quotes is expected" },
	{ T("{[]:1}"), 1, "a key in quotes is expected" },
	{ T("{{}:1}"), 1, "a key in quotes is expected" },
	{ T("{\"a\":1,}"), 7, "a key in quotes is expected" },
	{ T("{\"a\":1,,\"b\":2}"), 7, "a key in quotes is expected" },
	{ T("{\"a\":1,b:2}"), 7, "a key in quotes is expected" },
	{ T("{\"a\"}"), 4, "a colon is expected" },
	{ T("{\"a\",\"b\"}"), 4, "a colon is expected" },
	{ T("{\"a\" 1}"), 5, "a colon is expected" },
	{ T("{\"a\"=1}"), 4, "a colon is expected" },
	{ T("{\"a\":}"), 5, "a value is expected" },
	{ T("{\"a\":,}"), 5, "a value is expected" },
	{ T("{\"a\"::1}"), 5, "a value is expected" },
	{ T("{\"a\":1 \"b\":2}"), 7, "a comma or } is expected" },
	{ T("{\"a\":1:2}"), 6, "a comma or } is expected" },
	{ T("{\"a\":1]"), 6, "a comma or } is expected" },
	{ T("{\"a\":[}"), 6, "a value is expected" },
	{ T("{\"a\":[]]"), 7, "a comma or } is expected" },
	{ T("{\"a\":\"b\"/**/}"), 8, "a comma or } is expected" },
	{ T("{\"a\":TRUE}"), 5, "a value is expected" },
	{ T("{\"a\":truefalse}"), 9, "a comma or } is expected" },
	/* strings */
	{ T("\"\x01\""), 1, "a control character in a string" },
	{ T("\"\x1f\""), 1, "a control character in a string" },
	{ T("\"a\nb\""), 2, "a control character in a string" },
	{ T("\"a\tb\""), 2, "a control character in a string" },
	{ T("\"a\0b\""), 2, "a control character in a string" },
	{ T("\"12345678\r\""), 9, "a control character in a string" },
	{ T("{\"\n\":1}"), 2, "a control character in a string" },
	{ T("\"\\a\""), 2, "no such escape" },
	{ T("\"\\x41\""), 2, "no such escape" },
	{ T("\"\\U0041\""), 2, "no such escape" },
	{ T("\"\\'\""), 2, "no such escape" },
	{ T("\"\\0\""), 2, "no such escape" },
	{ T("\"\\\n\""), 2, "no such escape" },
	{ T("\"\\\0\""), 2, "no such escape" },
	{ T("\"\\\xc3\xa9\""), 2, "no such escape" },
	{ T("\"\\B\""), 2, "no such escape" },
	{ T("\"\\u\""), 3, "\\u needs four hexadecimal digits" },
	{ T("\"\\u00\""), 5, "\\u needs four hexadecimal digits" },
	{ T("\"\\u00g0\""), 5, "\\u needs four hexadecimal digits" },
	{ T("\"\\u004\""), 6, "\\u needs four hexadecimal digits" },
	{ T("\"\\u 041\""), 3, "\\u needs four hexadecimal digits" },
	{ T("\"\\u+041\""), 3, "\\u needs four hexadecimal digits" },
	{ T("\"\\ud800\\u\""), 9, "\\u needs four hexadecimal digits" },
	{ T("\"\\ud800\\"), 8, "the text ends too soon" },
	{ T("{\"a\\q\":1}"), 4, "no such escape" },
	{ T("[\"a"), 3, "the text ends too soon" },
	{ T("{\"a\":\"b}"), 8, "the text ends too soon" },
	/* bytes that are no UTF-8 */
	{ T("\"\x80\""), 1, "not UTF-8" },
	{ T("\"\xbf\""), 1, "not UTF-8" },
	{ T("\"\xc0\x80\""), 1, "not UTF-8" }, /* overlong */
	{ T("\"\xc0\xaf\""), 1, "not UTF-8" },
	{ T("\"\xc1\xbf\""), 1, "not UTF-8" },
	{ T("\"\xe0\x80\xaf\""), 1, "not UTF-8" },
	{ T("\"\xe0\x9f\xbf\""), 1, "not UTF-8" },
	{ T("\"\xf0\x80\x80\xaf\""), 1, "not UTF-8" },
	{ T("\"\xf0\x8f\xbf\xbf\""), 1, "not UTF-8" },
	{ T("\"\xf8\x88\x80\x80\x80\""), 1, "not UTF-8" },
	{ T("\"\xfc\x83\xbf\xbf\xbf\xbf\""), 1, "not UTF-8" },
	{ T("\"\xed\xa0\x80\""), 1, "not UTF-8" }, /* surrogates */
	{ T("\"\xed\xbf\xbf\""), 1, "not UTF-8" },
	{ T("\"\xed\xa0\xbd\xed\xb8\x80\""), 1, "not UTF-8" },
	{ T("\"\xf4\x90\x80\x80\""), 1, "not UTF-8" }, /* above U+10FFFF */
	{ T("\"\xf5\x80\x80\x80\""), 1, "not UTF-8" },
	{ T("\"\xfe\""), 1, "not UTF-8" },
	{ T("\"\xff\""), 1, "not UTF-8" },
	{ T("\"\xe9\""), 1, "not UTF-8" }, /* Latin-1 */
	{ T("\"\xe0\xff\""), 1, "not UTF-8" },
	{ T("\"\xc3\""), 1, "not UTF-8" }, /* cut short, by a quote or by the end */
	{ T("\"\xe4\xb8\""), 1, "not UTF-8" },
	{ T("\"\xf0\x9f\x98\""), 1, "not UTF-8" },
	{ T("\"\xc3"), 1, "not UTF-8" },
	{ T("\"\xe4\xb8"), 1, "not UTF-8" },
	{ T("\"\xf0\x9f\x98"), 1, "not UTF-8" },
	{ T("\"\xc3\xa9\xc3\""), 3, "not UTF-8" },
	{ T("\"12345678\xe9"
	    "0\""),
	  9, "not UTF-8" },
	{ T("[\xe5]"), 1, "a value is expected" },
	{ T("[1\xe5]"), 2, "a comma or ] is expected" },
	{ T("{\"\xe9\":0}"), 2, "not UTF-8" },
	/* other encodings, byte order marks */
	{ T("\xef\xbb\xbf"), 0, "a byte order mark" },
	{ T("\xef\xbb\xbf{}"), 0, "a byte order mark" },
	{ T("\xef\xbb{}"), 0, "a value is expected" },
	{ T(" \xef\xbb\xbf{}"), 1, "a value is expected" },
	{ T("\xff\xfe[\0]\0"), 0, "a value is expected" },
	{ T("\xfe\xff\0[\0]"), 0, "a value is expected" },
	{ T("[\0\"\0\"\0]\0"), 1, "a value is expected" },
	{ T("\0[\0]"), 0, "a value is expected" },
};
/* clang-format on */

static bool judge(struct slice text)
{
	struct json_value top;
	struct json_error err;

	return json_check(check_guard(text), &top, &err);
}

static void test_good(void)
{
	FOR_ROWS(i, good)
	{
		struct slice s = check_guard(good[i]);
		struct json_value top = { JSON_NONE, { NULL, 0 } };
		struct json_error err = { 0, "" };
		size_t n, end;

		check_case("good %zu: %.*s", i, (int)s.n, s.p);
		if (!CHECK(json_check(s, &top, &err)))
			printf("\t%s at %zu\n", err.why, err.offset);
		CHECK(top.type != JSON_NONE && top.raw.n > 0 &&
		      strchr(" \t\r\n", top.raw.p[0]) == NULL);
		/* Cut anywhere inside its value it is no text any more, except for numbers. */
		end = (size_t)(top.raw.p - s.p) + top.raw.n;
		for (n = 0; top.type != JSON_NUMBER && n < end; n++)
			CHECK(!judge(slice_make(good[i].p, n)));
	}
}

static void test_bad(void)
{
	FOR_ROWS(i, bad)
	{
		struct json_value top;
		struct json_error err = { 0, "" };

		check_case("bad %zu: %.*s", i, (int)bad[i].text.n, bad[i].text.p);
		CHECK(!json_check(check_guard(bad[i].text), &top, &err));
		CHECK_U64(err.offset, bad[i].offset);
		CHECK_STR(slice_str(err.why), bad[i].why);
	}
}

static void repeat(struct buf *b, const char *s, size_t times)
{
	while (times-- > 0)
		buf_put_str(b, s);
}

static bool judge_nested(const char *open, const char *inside, const char *close, size_t depth)
{
	struct buf b;

	buf_init(&b, memory, sizeof(memory));
	repeat(&b, open, depth);
	buf_put_str(&b, inside);
	repeat(&b, close, depth);
	return judge(buf_view(&b));
}

static void test_depth(void)
{
	struct json_value top;
	struct json_error err;
	struct buf b;

	check_case("depth");
	CHECK(judge_nested("[", "", "]", 64));
	CHECK(judge_nested("[", "1", "]", 64));
	CHECK(!judge_nested("[", "", "]", 65));
	CHECK(!judge_nested("[", "", "]", 100000));
	CHECK(judge_nested("{\"a\":", "{}", "}", 63));
	CHECK(!judge_nested("{\"a\":", "{}", "}", 64));
	CHECK(judge_nested("[{\"a\":", "1", "}]", 32));
	CHECK(!judge_nested("[{\"a\":", "[]", "}]", 32));
	CHECK(!judge_nested("[{\"a\":", "1", "]}", 2));
	CHECK(!judge_nested("{\"a\":[", "1", "}]", 2));
	buf_init(&b, memory, sizeof(memory));
	repeat(&b, "[", 100000);
	CHECK(!json_check(buf_view(&b), &top, &err));
	CHECK_U64(err.offset, 64);
	CHECK_STR(slice_str(err.why), "nested deeper than 64");
	/* Wide is not deep. */
	buf_reset(&b);
	buf_put_str(&b, "[[]");
	repeat(&b, ",[{}]", 100000);
	buf_put_str(&b, "]");
	CHECK(judge(buf_view(&b)));
}

/* Every two-byte and (around the borders) three- and four-byte sequence, against the plain rule. */
static void test_utf8(void)
{
	static const unsigned char border[] = { 0x00, 0x22, 0x7f, 0x80, 0x8f, 0x90,
						0x9f, 0xa0, 0xbf, 0xc0, 0xe0, 0xff };
	unsigned a, b, c, d, wrong = 0;

	check_case("UTF-8");
	for (a = 0x80; a < 0x100; a++) {
		FOR_ROWS(i, border)
		{
			FOR_ROWS(k, border)
			{
				bool tails, valid;
				char t[6] = { '"', (char)a, (char)border[i], (char)border[k],
					      '"', '"' };

				b = border[i];
				c = border[k];
				tails = b >= 0x80 && b < 0xc0 && c >= 0x80 && c < 0xc0;
				valid = a >= 0xe0 && a < 0xf0 && tails &&
					!(a == 0xe0 && b < 0xa0) && !(a == 0xed && b > 0x9f);
				valid = valid || (a >= 0xc2 && a < 0xe0 && b >= 0x80 && b < 0xc0 &&
						  c == 0x7f);
				wrong += valid != judge(slice_make(t, 5));
				if (a >= 0xf0)
					FOR_ROWS(m, border)
					{
						d = border[m];
						t[4] = (char)d;
						valid = a < 0xf5 && tails && d >= 0x80 &&
							d < 0xc0 && !(a == 0xf0 && b < 0x90) &&
							!(a == 0xf4 && b > 0x8f);
						wrong += valid != judge(slice_make(t, 6));
					}
			}
		}
		for (b = 0; b < 0x100; b++) {
			char t[4] = { '"', (char)a, (char)b, '"' };
			bool valid = a >= 0xc2 && a < 0xe0 && b >= 0x80 && b < 0xc0;

			wrong += valid != judge(slice_make(t, 4));
		}
	}
	CHECK_U64(wrong, 0);
}

/* A special byte at every place of strings of every length up to 40: the eight-byte steps. */
static void test_seams(void)
{
	static const struct {
		char c;
		bool ok;
	} bytes[] = { { 'x', true },         { 0x1f, false }, { 0x20, true }, { 0x7f, true },
		      { '!', true },         { '#', true },   { '[', true },  { ']', true },
		      { (char)0x80, false }, { 0, false },    { '"', false }, { '\\', false } };
	size_t n, at;

	check_case("seams");
	for (n = 1; n <= 40; n++)
		for (at = 0; at < n; at++)
			FOR_ROWS(i, bytes)
			{
				char t[42] = "\"";

				memset(t + 1, 'a', n);
				t[1 + at] = bytes[i].c;
				t[1 + n] = '"';
				if (bytes[i].c == '\\' && at + 1 < n)
					t[2 + at] = 'n';
				CHECK(judge(slice_make(t, n + 2)) ==
				      (bytes[i].ok || (bytes[i].c == '\\' && at + 1 < n)));
			}
}

/* --- The walk ----------------------------------------------------------------------------------- */

static struct json_value parse(const char *text)
{
	struct json_value top = { JSON_NONE, { NULL, 0 } };
	struct json_error err;

	CHECK(json_check(check_guard_str(text), &top, &err));
	return top;
}

/* clang-format off: a row is a case */
static const struct {
	const char *text, *want;
} walks[] = {
	{ "[]", "" },
	{ "{}", "" },
	{ " [ ] ", "" },
	{ "7", "" },
	{ "\"a\"", "" },
	{ "null", "" },
	{ "[1]", "=1;" },
	{ "[ 1 , \"a\" , [2,[3]] , {\"k\":[]} , null,true , false ]",
	  "=1;=\"a\";=[2,[3]];={\"k\":[]};=null;=true;=false;" },
	{ "{\"a\":1}", "a=1;" },
	{ "{ \"a\" : 1 , \"b\":\"]}\" ,\"c\" :{\"d\":[1,2,{\"e\":\"\\\"\"}]}, \"\" : -0.5e+3 }",
	  "a=1;b=\"]}\";c={\"d\":[1,2,{\"e\":\"\\\"\"}]};=-0.5e+3;" },
	{ "{\"\\\"\\\\\":\"\\\\\"}", "\\\"\\\\=\"\\\\\";" },
	{ "[\"\\\\\",\"\\\\\\\"\",\"12345678\\\"\"]",
	  "=\"\\\\\";=\"\\\\\\\"\";=\"12345678\\\"\";" },
	{ "[[[]],[[\"[\"]]]", "=[[]];=[[\"[\"]];" },
	{ "[1\n,2\t]", "=1;=2;" },
};
/* clang-format on */

static void test_walk(void)
{
	FOR_ROWS(i, walks)
	{
		struct json_value v = parse(walks[i].text);
		struct json_member m;
		struct json_walk w;
		struct buf b;

		check_case("walk %zu: %s", i, walks[i].text);
		buf_init(&b, memory, sizeof(memory));
		json_walk_init(&w, v);
		while (json_walk_next(&w, &m)) {
			buf_put(&b, m.key);
			buf_put_str(&b, "=");
			buf_put(&b, m.value.raw);
			buf_put_str(&b, ";");
			CHECK(m.whole.p == (w.object ? m.key.p - 1 : m.value.raw.p));
			CHECK(m.whole.p + m.whole.n == m.value.raw.p + m.value.raw.n);
			CHECK((m.key.p == NULL) == !w.object);
		}
		CHECK_STR(buf_view(&b), walks[i].want);
		CHECK(!json_walk_next(&w, &m));
	}
}

/* Text that never passed the judge is nobody's right to walk; even so no byte behind it is read. */
static void test_walk_bounds(void)
{
	static const char *const texts[] = { "[",    "[\"", "[\"]",  "[\"\\", "[\"abc\\]",
					     "[[1]", "[[",  "[{\"a", "[1",    "[a b" };

	FOR_ROWS(i, texts)
	{
		struct json_value v = { JSON_ARRAY, check_guard_str(texts[i]) };
		struct json_member m;
		struct json_walk w;
		unsigned n = 0;

		check_case("walk bounds %zu: %s", i, texts[i]);
		json_walk_init(&w, v);
		while (json_walk_next(&w, &m) && n < 10)
			n++;
		CHECK(n < 10 && w.p <= v.raw.p + v.raw.n);
	}
}

/* clang-format off: a row is a case */
static const struct {
	const char *text, *key;
	enum json_type type;
	const char *raw;
} finds[] = {
	{ "{\"a\":1,\"b\":[2],\"c\":{},\"d\":null,\"e\":true,\"f\":false,\"g\":\"\"}", "a",
	  JSON_NUMBER, "1" },
	{ "{\"a\":1,\"b\":[2],\"c\":{},\"d\":null,\"e\":true,\"f\":false,\"g\":\"\"}", "b",
	  JSON_ARRAY, "[2]" },
	{ "{\"a\":1,\"b\":[2],\"c\":{},\"d\":null,\"e\":true,\"f\":false,\"g\":\"\"}", "c",
	  JSON_OBJECT, "{}" },
	{ "{\"a\":1,\"b\":[2],\"c\":{},\"d\":null,\"e\":true,\"f\":false,\"g\":\"\"}", "d",
	  JSON_NULL, "null" },
	{ "{\"a\":1,\"b\":[2],\"c\":{},\"d\":null,\"e\":true,\"f\":false,\"g\":\"\"}", "e",
	  JSON_TRUE, "true" },
	{ "{\"a\":1,\"b\":[2],\"c\":{},\"d\":null,\"e\":true,\"f\":false,\"g\":\"\"}", "f",
	  JSON_FALSE, "false" },
	{ "{\"a\":1,\"b\":[2],\"c\":{},\"d\":null,\"e\":true,\"f\":false,\"g\":\"\"}", "g",
	  JSON_STRING, "\"\"" },
	{ "{\"a\":1,\"b\":[2],\"c\":{},\"d\":null,\"e\":true,\"f\":false,\"g\":\"\"}", "h",
	  JSON_NONE, "" },
	{ "{\"a\":1,\"a\":2}", "a", JSON_NUMBER, "1" },
	{ "{\"x\":{\"a\":1}}", "a", JSON_NONE, "" },
	{ "{\"\\u0061\":1}", "a", JSON_NUMBER, "1" },
	{ "{\"\\u00e9\\n\":1}", "\xc3\xa9\n", JSON_NUMBER, "1" },
	{ "{\"ab\":1}", "a", JSON_NONE, "" },
	{ "{\"\\u0061b\":1}", "a", JSON_NONE, "" },
	{ "{\"\\u0061\":1}", "ab", JSON_NONE, "" },
	{ "{\"\\\\u0061\":1}", "a", JSON_NONE, "" },
	{ "[\"a\",1]", "a", JSON_NONE, "" },
	{ "\"a\"", "a", JSON_NONE, "" },
};
/* clang-format on */

/* The same by the walk and by the tree. */
static void test_find(void)
{
	FOR_ROWS(i, finds)
	{
		struct json_value v = parse(finds[i].text),
				  found = json_find(v, slice_str(finds[i].key));
		struct json_tree *t;
		struct arena a;
		unsigned node;

		check_case("find %zu: %s in %s", i, finds[i].key, finds[i].text);
		CHECK(found.type == finds[i].type);
		CHECK_STR(found.raw, finds[i].raw);
		arena_init(&a, memory, sizeof(memory));
		if (!CHECK((t = json_tree_make(&a, v)) != NULL))
			continue;
		node = json_tree_find(t, 0, slice_str(finds[i].key));
		CHECK((node == 0) == (found.type == JSON_NONE));
		if (node != 0) {
			CHECK(json_tree_value(t, node).type == found.type);
			CHECK_SLICE(json_tree_value(t, node).raw, found.raw);
		}
	}
}

/* --- The tree ----------------------------------------------------------------------------------- */

/* Writes a container's leaves with their depth, once by the walk and once by the tree. */
static void list_walk(struct buf *b, struct json_value v, unsigned depth)
{
	struct json_member m;
	struct json_walk w;

	fmt_u64(b, depth);
	buf_put(b, v.raw);
	json_walk_init(&w, v);
	while (json_walk_next(&w, &m))
		list_walk(b, m.value, depth + 1);
}

static void list_tree(struct buf *b, const struct json_tree *t, unsigned node, unsigned depth)
{
	fmt_u64(b, depth);
	buf_put(b, json_tree_value(t, node).raw);
	for (node = json_tree_first(t, node); node != 0; node = json_tree_next(t, node))
		list_tree(b, t, node, depth + 1);
}

static void test_tree(void)
{
	static char one[1 << 16], two[1 << 16], mem[1 << 16];

	FOR_ROWS(i, good)
	{
		struct json_tree *t;
		struct json_value v;
		struct json_error err;
		struct buf b, c;
		struct arena a;

		check_case("tree %zu: %.*s", i, (int)good[i].n, good[i].p);
		CHECK(json_check(check_guard(good[i]), &v, &err));
		buf_init(&b, one, sizeof(one));
		buf_init(&c, two, sizeof(two));
		arena_init(&a, mem, sizeof(mem));
		t = json_tree_make(&a, v);
		if (!CHECK(t != NULL))
			continue;
		CHECK(json_tree_value(t, 0).type == v.type);
		CHECK(json_tree_next(t, 0) == 0);
		list_walk(&b, v, 0);
		list_tree(&c, t, 0, 0);
		CHECK_SLICE(buf_view(&c), buf_view(&b));
		arena_init(&a, mem, 16);
		CHECK(json_tree_make(&a, v) == NULL);
	}
	CHECK(json_tree_make(NULL, (struct json_value){ JSON_NONE, { NULL, 0 } }) == NULL);
}

/* --- Strings and numbers ------------------------------------------------------------------------ */

/* clang-format off: a row is a case */
static const struct {
	const char *text;
	struct slice want;
} strings[] = {
	{ "\"\"", T("") },
	{ "\"abc\"", T("abc") },
	{ "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", T("\"\\/\b\f\n\r\t") },
	{ "\"\\u0041\\u00e9\\u4e2d\"", T("A\xc3\xa9\xe4\xb8\xad") },
	{ "\"\\u0000\"", T("\0") },
	{ "\"\\u007f\\u0080\\u07ff\\u0800\\uffff\"",
	  T("\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf") },
	{ "\"\\uD83D\\uDE00\"", T("\xf0\x9f\x98\x80") },
	{ "\"\\ud83d\\ude00!\"", T("\xf0\x9f\x98\x80!") },
	{ "\"\\ud800\\udc00\\udbff\\udfff\"", T("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf") },
	/* lone surrogates, as Go reads them */
	{ "\"\\ud800\"", T("\xef\xbf\xbd") },
	{ "\"\\udc00\"", T("\xef\xbf\xbd") },
	{ "\"\\ud800x\"", T("\xef\xbf\xbdx") },
	{ "\"\\ud800xyzuvw\"", T("\xef\xbf\xbdxyzuvw") },
	{ "\"\\ud800\\n12345\"", T("\xef\xbf\xbd\n12345") },
	{ "\"\\ud800\\u0041\"", T("\xef\xbf\xbd"
				  "A") },
	{ "\"\\ud800\\ue000\"", T("\xef\xbf\xbd\xee\x80\x80") },
	{ "\"\\ud800\\ud83d\\ude00\"", T("\xef\xbf\xbd\xf0\x9f\x98\x80") },
	{ "\"\\ude00\\ud83d\"", T("\xef\xbf\xbd\xef\xbf\xbd") },
	{ "\"\\udc00\\udc00\"", T("\xef\xbf\xbd\xef\xbf\xbd") },
	{ "\"\xc3\xa9\\n\xf0\x9f\x98\x80\"", T("\xc3\xa9\n\xf0\x9f\x98\x80") },
	{ "\"\\\\u0041\"", T("\\u0041") },
};
/* clang-format on */

static void test_strings(void)
{
	FOR_ROWS(i, strings)
	{
		struct json_value v = parse(strings[i].text);
		struct slice got;
		struct arena a;

		check_case("string %zu: %s", i, strings[i].text);
		arena_init(&a, memory, sizeof(memory));
		got = json_unescape(&a, v);
		CHECK_SLICE(got, strings[i].want);
		CHECK(json_string_is(v, strings[i].want));
		CHECK(!json_string_is(v, SLICE("something else")));
		CHECK(got.n == 0 || !json_string_is(v, slice_make(got.p, got.n - 1)));
		CHECK(json_string_raw(v).n == strlen(strings[i].text) - 2);
		arena_init(&a, memory, 0);
		CHECK((json_unescape(&a, v).p == NULL) == (v.raw.n > 2));
	}
	check_case("no string");
	CHECK(!json_string_is(parse("1"), SLICE("1")));
	CHECK(!json_string_is(parse("\"\\u0061\""), SLICE("")));
}

static const struct {
	const char *text;
	bool ok;
	uint64_t want;
} numbers[] = {
	{ "0", true, 0 },
	{ "1", true, 1 },
	{ "-0", true, 0 },
	{ "-0.0e5", true, 0 },
	{ "42", true, 42 },
	{ "1e3", true, 1000 },
	{ "1E+3", true, 1000 },
	{ "1.5e1", true, 15 },
	{ "1.50e1", true, 15 },
	{ "1.0", true, 1 },
	{ "1200e-2", true, 12 },
	{ "0.00012e5", true, 12 },
	{ "0e999999999999", true, 0 },
	{ "0.0e-999999999999", true, 0 },
	{ "18446744073709551615", true, UINT64_MAX },
	{ "1844674407370955161.5e1", true, UINT64_MAX },
	{ "18446744073709551616", false, 0 },
	{ "18446744073709551620", false, 0 },
	{ "184467440737095516150", false, 0 },
	{ "1e19", true, 10000000000000000000u },
	{ "2e19", false, 0 },
	{ "1e20", false, 0 },
	{ "1e99999999999999999999", false, 0 },
	{ "1e-99999999999999999999", false, 0 },
	{ "-1", false, 0 },
	{ "-1e-1", false, 0 },
	{ "0.5", false, 0 },
	{ "1.5", false, 0 },
	{ "15e-1", false, 0 },
	{ "\"1\"", false, 0 },
	{ "null", false, 0 },
	{ "true", false, 0 },
};

static void test_numbers(void)
{
	FOR_ROWS(i, numbers)
	{
		uint64_t got = 77;

		check_case("number %zu: %s", i, numbers[i].text);
		CHECK(json_u64(parse(numbers[i].text), &got) == numbers[i].ok);
		CHECK_U64(got, numbers[i].ok ? numbers[i].want : 77);
	}
}

/* --- The writer --------------------------------------------------------------------------------- */

/* clang-format off: a row is a case */
static const struct {
	struct slice text;
	const char *want;
} writes[] = {
	{ T(""), "\"\"" },
	{ T("abc / 'd'"), "\"abc / 'd'\"" },
	{ T("\"\\"), "\"\\\"\\\\\"" },
	{ T("\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\"" },
	{ T("\0\x01\x1f\x7f"), "\"\\u0000\\u0001\\u001f\x7f\"" },
	{ T("a\nb\"c"), "\"a\\nb\\\"c\"" },
	{ T("\xc3\xa9\xe4\xb8\xad\xf0\x9f\x98\x80"), "\"\xc3\xa9\xe4\xb8\xad\xf0\x9f\x98\x80\"" },
	{ T("\xe2\x80\xa7\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa"),
	  "\"\xe2\x80\xa7\\u2028\\u2029\xe2\x80\xaa\"" },
	{ T("</script>"), "\"</script>\"" },
	/* broken UTF-8: one U+FFFD for each byte that does not belong */
	{ T("\x80"), "\"\xef\xbf\xbd\"" },
	{ T("a\xffz"), "\"a\xef\xbf\xbdz\"" },
	{ T("\xc3"), "\"\xef\xbf\xbd\"" },
	{ T("\xe4\xb8"), "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
	{ T("\xe2\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
	{ T("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
	{ T("\xc0\xaf\""), "\"\xef\xbf\xbd\xef\xbf\xbd\\\"\"" },
	{ T("\xf0\x9f\x98\n"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\\n\"" },
};
/* clang-format on */

static void test_writer(void)
{
	FOR_ROWS(i, writes)
	{
		size_t want = strlen(writes[i].want), room;
		struct json_value v;
		struct json_error err;
		struct buf b;

		check_case("write %zu: %s", i, writes[i].want);
		buf_init(&b, memory, sizeof(memory));
		CHECK(json_write_string(&b, check_guard(writes[i].text)));
		CHECK_STR(buf_view(&b), writes[i].want);
		CHECK(json_check(buf_view(&b), &v, &err));
		buf_reset(&b);
		CHECK(json_write_escaped(&b, writes[i].text));
		CHECK_SLICE(buf_view(&b), slice_make(writes[i].want + 1, want - 2));
		/* No room: nothing changes, also when the queue has to be moved down. */
		for (room = 0; room < want; room++) {
			buf_init(&b, memory, room + 3);
			buf_put_str(&b, "xyz");
			buf_consume(&b, 1);
			CHECK(json_write_string(&b, writes[i].text) == (room + 1 >= want));
			if (room + 1 < want)
				CHECK_STR(buf_view(&b), "yz");
		}
		buf_init(&b, memory, 0);
		CHECK(!json_write_string(&b, writes[i].text));
	}
}

/* What is written reads back as what was meant, for every character. */
static void test_round_trip(void)
{
	uint32_t c, wrong = 0;

	check_case("round trip");
	for (c = 0; c < 0x110000; c += c < 0x3000 ? 1 : 61) {
		char text[16], out[64], mem[64];
		struct json_value v;
		struct json_error err;
		struct slice back;
		struct arena a;
		struct buf b;
		size_t n = 0;

		if (c >= 0xd800 && c <= 0xdfff)
			continue;
		if (c >= 0x10000)
			text[n++] = (char)(0xf0 | c >> 18);
		if (c >= 0x800)
			text[n++] = (char)(c >= 0x10000 ? 0x80 | (c >> 12 & 0x3f) : 0xe0 | c >> 12);
		if (c >= 0x80)
			text[n++] = (char)(c >= 0x800 ? 0x80 | (c >> 6 & 0x3f) : 0xc0 | c >> 6);
		text[n++] = (char)(c >= 0x80 ? 0x80 | (c & 0x3f) : c);
		text[n++] = 'z';
		buf_init(&b, out, sizeof(out));
		arena_init(&a, mem, sizeof(mem));
		if (!json_write_string(&b, slice_make(text, n)) ||
		    !json_check(buf_view(&b), &v, &err)) {
			wrong++;
			continue;
		}
		back = json_unescape(&a, v);
		wrong += !slice_eq(back, slice_make(text, n));
	}
	CHECK_U64(wrong, 0);
}

int main(void)
{
	test_good();
	test_bad();
	test_depth();
	test_utf8();
	test_seams();
	test_walk();
	test_walk_bounds();
	test_find();
	test_tree();
	test_strings();
	test_numbers();
	test_writer();
	test_round_trip();
	return check_done();
}
