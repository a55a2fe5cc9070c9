/* SPDX-License-Identifier: MIT */
/* test_api_key.c: files of keys, and Authorization fields. */
#include "check.h"

#include "proto/api_key.h"

static struct digest found[API_KEYS_MAX];

/* clang-format off: a row is a case */
static const struct {
	const char *text, *keys[3];
} good[] = {
	{ "one", { "one" } },
	{ "one\n", { "one" } },
	{ "one\r\ntwo\r\n", { "one", "two" } },
	{ "# who: the page\none\n\n  \t\n#two\nthree", { "one", "three" } },
	{ "  # still a comment\n one \t\ntwo  \r\n", { "one", "two" } },
	{ "sk-1~!@$%^&*()_+={}[]|:;<>,.?/'\"\\\n", { "sk-1~!@$%^&*()_+={}[]|:;<>,.?/'\"\\" } },
	{ "a#b\n", { "a#b" } },
	{ "one\none\n", { "one", "one" } },
	{ "\n\n\nx", { "x" } },
};

static const struct {
	const char *text;
	unsigned line;
	const char *why;
} bad[] = {
	{ "", 0, "no key" },
	{ "\n\n", 0, "no key" },
	{ "# only words\n", 0, "no key" },
	{ "one\ntwo three\n", 2, "blank" },
	{ "one\n\ntwo\tthree", 3, "blank" },
	{ "\xef\xbb\xbfone\n", 1, "ASCII" },
	{ "one\nk\xc3\xa9y\n", 2, "ASCII" },
	{ "one\x7f\n", 1, "ASCII" },
	{ "o\x01ne\n", 1, "ASCII" },
	{ "one\rtwo\n", 1, "blank" },
};

static const struct {
	const char *field, *key; /* NULL: none */
} fields[] = {
	{ "Bearer one", "one" },
	{ "bearer one", "one" },
	{ "BEARER  \t one", "one" },
	{ "Bearer one two", "one two" },
	{ "Bearer", "" },
	{ "Bearer ", "" },
	{ "Bearerone", NULL },
	{ "Basic b25l", NULL },
	{ "Bear", NULL },
	{ "one", NULL },
	{ "", NULL },
};
/* clang-format on */

static void test_good(void)
{
	FOR_ROWS(i, good)
	{
		const char *why;
		unsigned line, n, k;

		check_case("%s", good[i].text);
		n = api_keys_parse(check_guard_str(good[i].text), found, &line, &why);
		for (k = 0; k < 3 && good[i].keys[k] != NULL; k++) {
			struct digest want = digest_sha256(slice_str(good[i].keys[k]));

			CHECK(k < n && digest_eq(&found[k], &want));
		}
		CHECK_U64(n, k);
	}
}

static void test_bad(void)
{
	FOR_ROWS(i, bad)
	{
		const char *why = "";
		unsigned line;

		check_case("%s", bad[i].text);
		CHECK_U64(api_keys_parse(check_guard_str(bad[i].text), found, &line, &why), 0);
		CHECK_U64(line, bad[i].line);
		CHECK(why != NULL && strstr(why, bad[i].why) != NULL);
	}
}

/* A NUL is a byte like others, and no end. */
static void test_nul(void)
{
	const char *why = "";
	unsigned line;

	check_case("NUL");
	CHECK_U64(api_keys_parse(check_guard(SLICE("one\nt\0wo\n")), found, &line, &why), 0);
	CHECK_U64(line, 2);
}

static void test_limits(void)
{
	static char text[(API_KEYS_MAX + 1) * 2 + 2 * API_KEY_MAX];
	const char *why = "";
	unsigned line;
	size_t i;

	check_case("length");
	memset(text, 'k', sizeof(text));
	CHECK_U64(api_keys_parse(slice_make(text, API_KEY_MAX), found, &line, &why), 1);
	CHECK_U64(api_keys_parse(slice_make(text, API_KEY_MAX + 1), found, &line, &why), 0);
	CHECK(line == 1 && strstr(why, "longer") != NULL);
	check_case("number");
	for (i = 1; i < 2 * (API_KEYS_MAX + 1); i += 2)
		text[i] = '\n';
	CHECK_U64(api_keys_parse(slice_make(text, 2 * API_KEYS_MAX), found, &line, &why),
		  API_KEYS_MAX);
	CHECK_U64(api_keys_parse(slice_make(text, 2 * API_KEYS_MAX + 2), found, &line, &why), 0);
	CHECK(line == API_KEYS_MAX + 1 && strstr(why, "1024") != NULL);
}

static void test_fields(void)
{
	FOR_ROWS(i, fields)
	{
		struct slice key = SLICE("?");
		bool has;

		check_case("%s", fields[i].field);
		has = api_key_bearer(check_guard_str(fields[i].field), &key);
		if (CHECK(has == (fields[i].key != NULL)) && has)
			CHECK_STR(key, fields[i].key);
	}
}

int main(void)
{
	test_good();
	test_bad();
	test_nul();
	test_limits();
	test_fields();
	return check_done();
}
