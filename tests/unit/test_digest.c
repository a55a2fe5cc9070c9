/* SPDX-License-Identifier: MIT */
/* test_digest.c: SHA-256 by the examples of FIPS 180-2 and NIST's short messages, and comparing. */
#include "check.h"

#include "base/fmt.h"
#include "proto/digest.h"

static const struct {
	const char *in, *hex;
} rows[] = {
	{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
	{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
	{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
	  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
	{ "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqr"
	  "lmnopqrsmnopqrstnopqrstu",
	  "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1" },
	{ "\xbd", "68325720aabd7c82f30f554b313d0570c95accbb7dc4b5aae11204c08ffe732b" },
};

static void hex_of(const struct digest *d, char out[65])
{
	struct buf b;
	size_t i;

	buf_init(&b, out, 64);
	for (i = 0; i < DIGEST_SIZE; i++)
		fmt_hex(&b, d->b[i], 2);
	out[64] = '\0';
}

static void test_sha256(void)
{
	static char million[1000000];
	struct digest d;
	char hex[65];

	FOR_ROWS(i, rows)
	{
		check_case("%s", rows[i].in);
		d = digest_sha256(check_guard_str(rows[i].in));
		hex_of(&d, hex);
		CHECK(strcmp(hex, rows[i].hex) == 0);
	}
	check_case("a million times a");
	memset(million, 'a', sizeof(million));
	d = digest_sha256(slice_make(million, sizeof(million)));
	hex_of(&d, hex);
	CHECK(strcmp(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0") == 0);
}

static void test_eq(void)
{
	struct digest a = digest_sha256(SLICE("a")), b = a;
	size_t i;

	CHECK(digest_eq(&a, &b));
	for (i = 0; i < DIGEST_SIZE; i++) {
		check_case("byte %zu", i);
		b.b[i] ^= 0x80;
		CHECK(!digest_eq(&a, &b));
		b.b[i] ^= 0x81;
		CHECK(!digest_eq(&a, &b));
		b.b[i] ^= 1;
		CHECK(digest_eq(&a, &b));
	}
}

int main(void)
{
	test_sha256();
	test_eq();
	return check_done();
}
