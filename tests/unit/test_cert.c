/* SPDX-License-Identifier: MIT */
/* test_cert.c: a certificate of our own, through PEM and back, and files that are not right. (Other
 * makers' certificates: tests/faults/tls.py.) */
#include "check.h"
#include "io/cert.h"

enum { NOW = 1795474061 /* 2026-11-23 */, DAY = 86400, TEN_YEARS = 10 * 365 * DAY };

static char pack_mem[2][CERT_PACK_MAX], pem_mem[4][8192];

static struct slice make(size_t slot, const char *name, int64_t now)
{
	struct buf b;

	buf_init(&b, pack_mem[slot], CERT_PACK_MAX);
	CHECK(cert_pack_self_signed(slice_str(name), now, &b));
	return buf_view(&b);
}

static struct slice part_of(struct slice pack, enum cert_part want)
{
	enum cert_part part;
	struct slice der;

	while (cert_pack_next(&pack, &part, &der))
		if (part == want)
			return der;
	return slice_make("", 0);
}

static void put_base64(struct buf *b, struct slice s, const char *line_end)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t i, k;

	for (i = 0; i < s.n; i += 3) {
		uint32_t v = 0;

		for (k = 0; k < 3; k++)
			v = v << 8 | (i + k < s.n ? (unsigned char)s.p[i + k] : 0u);
		for (k = 0; k < 4; k++)
			buf_put_byte(b, i + k > s.n ? '=' : digits[v >> (18 - 6 * k) & 63]);
		if (i % 48 == 45)
			buf_put_str(b, line_end);
	}
}

/* A PEM file in slot's memory; several objects make a longer one. */
static struct slice pem_add(size_t slot, struct slice so_far, const char *title, struct slice der,
			    const char *line_end)
{
	struct buf b;

	buf_init(&b, pem_mem[slot], sizeof(pem_mem[slot]));
	b.tail = so_far.n;
	buf_put_str(&b, "-----BEGIN ");
	buf_put_str(&b, title);
	buf_put_str(&b, "-----");
	buf_put_str(&b, line_end);
	put_base64(&b, der, line_end);
	buf_put_str(&b, line_end);
	buf_put_str(&b, "-----END ");
	buf_put_str(&b, title);
	buf_put_str(&b, "-----");
	buf_put_str(&b, line_end);
	return buf_view(&b);
}

static struct slice pem(size_t slot, const char *title, struct slice der)
{
	return pem_add(slot, slice_make("", 0), title, der, "\n");
}

static const char *pair_fault(struct slice chain, struct slice key)
{
	static char mem[CERT_PACK_MAX];
	struct cert_fault fault;
	struct buf b;

	buf_init(&b, mem, sizeof(mem));
	if (cert_pack_pair(chain, key, &b, &fault))
		return NULL;
	CHECK_U64(buf_len(&b), 0);
	return fault.why;
}

static void check_fault(struct slice chain, struct slice key, const char *words)
{
	const char *why = pair_fault(chain, key);

	if (CHECK(why != NULL) && !CHECK(strstr(why, words) != NULL))
		printf("\tsays: %s\n", why);
}

/* ---- ours ---- */

static void test_own(void)
{
	struct slice pack = make(0, "host.example", NOW), cert = part_of(pack, CERT_CHAIN);
	static const char v4[] = { 127, 0, 0, 1 }, other[] = { 127, 0, 0, 2 };
	static const char v6[16] = { [15] = 1 };

	check_case("own");
	CHECK(cert.n > 300 && part_of(pack, CERT_KEY).n > 30);
	CHECK(memmem(cert.p, cert.n, "host.example", 12) != NULL);
	CHECK(cert_names_ip(cert, slice_make(v4, 4)) && cert_names_ip(cert, slice_make(v6, 16)));
	CHECK(cert_has_names(cert) && cert_is_for_servers(cert));
	CHECK(cert_age_of(cert, NOW) == CERT_IN_TIME &&
	      cert_age_of(cert, NOW - 2 * DAY) == CERT_NOT_YET &&
	      cert_age_of(cert, NOW + TEN_YEARS + 1) == CERT_EXPIRED);
	CHECK(!cert_names_ip(cert, slice_make(other, 4)) &&
	      !cert_names_ip(cert, slice_make(v6, 4)));
	CHECK(memmem(cert.p, cert.n, "\x17\r361120", 8) != NULL); /* ends in 2036, UTCTime */
	CHECK(!slice_eq(cert, part_of(make(1, "host.example", NOW), CERT_CHAIN)));
	cert = part_of(make(1, "", 2531433600 /* 2050-03-21 */), CERT_CHAIN);
	CHECK(memmem(cert.p, cert.n,
		     "\x18\017"
		     "20500320",
		     10) != NULL); /* GeneralizedTime */
}

static void test_own_without_room(void)
{
	size_t need = make(0, "host.example", NOW).n, room;

	check_case("room");
	for (room = 0; room < need - 4; room += 7) { /* a signature may be some bytes shorter */
		struct buf b;

		buf_init(&b, pack_mem[1], room);
		CHECK(!cert_pack_self_signed(SLICE("host.example"), NOW, &b) && buf_len(&b) == 0);
	}
}

/* ---- files ---- */

static void test_pair(void)
{
	struct slice one = make(0, "one", NOW), two = make(1, "two", NOW);
	struct slice cert = part_of(one, CERT_CHAIN), key = part_of(one, CERT_KEY);
	struct slice both, pem_key = pem(1, "EC PRIVATE KEY", key);
	struct slice pem_cert = pem(0, "CERTIFICATE", cert);

	check_case("pair");
	CHECK(pair_fault(pem_cert, pem_key) == NULL);
	CHECK(pair_fault(slice_make(pem_cert.p, pem_cert.n - 1), pem_key) ==
	      NULL); /* no last line end */
	both = pem_add(2, slice_make("", 0), "CERTIFICATE", cert, "\r\n");
	both = pem_add(2, both, "CERTIFICATE", cert, "\r\n"); /* signed by itself: its own issuer */
	both = pem_add(2, both, "EC PARAMETERS", SLICE("\x06\x01\x00"), "\r\n");
	both = pem_add(2, both, "EC PRIVATE KEY", key, "\r\n");
	check_case("one file");
	CHECK(pair_fault(both, both) == NULL);
	check_case("faults");
	check_fault(SLICE(""), pem_key, "no certificate");
	check_fault(SLICE("hello\n"), pem_key, "no certificate");
	check_fault(pem_key, pem_key, "no certificate");
	check_fault(pem_cert, SLICE(""), "no private key");
	check_fault(pem_cert, pem_cert, "no private key");
	check_fault(pem_cert, pem(3, "EC PRIVATE KEY", part_of(two, CERT_KEY)), "does not belong");
	check_fault(pem_cert, pem(3, "ENCRYPTED PRIVATE KEY", key), "encrypted");
	check_fault(pem_cert, pem(3, "OPENSSH PRIVATE KEY", key), "not supported");
	check_fault(pem_cert, pem(3, "PRIVATE KEY", SLICE("\x30\x03\x02\x01\x00")),
		    "not supported");
	check_fault(pem(3, "CERTIFICATE", key), pem_key, "cannot be read");
	check_fault(pem(3, "CERTIFICATE", slice_make(cert.p, cert.n - 1)), pem_key,
		    "cannot be read");
	both = pem_add(2, slice_make("", 0), "CERTIFICATE", part_of(two, CERT_CHAIN), "\n");
	check_fault(pem_add(2, both, "CERTIFICATE", cert, "\n"), pem_key, "must begin with");
	both = pem_add(2, slice_make("", 0), "CERTIFICATE", cert, "\n");
	check_fault(pem_add(2, both, "CERTIFICATE", part_of(two, CERT_CHAIN), "\n"), pem_key,
		    "in disorder");
}

static void test_long_chain(void)
{
	static char mem[CERT_PACK_MAX];
	struct slice one = make(0, "one", NOW),
		     key = pem(1, "EC PRIVATE KEY", part_of(one, CERT_KEY));
	struct cert_fault fault;
	struct buf text, pack;
	size_t i;

	check_case("long chain");
	buf_init(&text, mem, sizeof(mem));
	for (i = 0; i <= CERT_CHAIN_MAX; i++) {
		struct slice cert = pem(0, "CERTIFICATE", part_of(one, CERT_CHAIN));

		buf_put(&text, cert);
		buf_init(&pack, pack_mem[1], CERT_PACK_MAX);
		CHECK(cert_pack_pair(buf_view(&text), key, &pack, &fault) == (i < CERT_CHAIN_MAX));
	}
	buf_init(&pack, pack_mem[1], 1000);
	CHECK(!cert_pack_pair(buf_view(&text), key, &pack, &fault) && buf_len(&pack) == 0);
	CHECK(strstr(fault.why, "too much") != NULL);
}

/* Cut anywhere, and with any byte changed: an answer, never a crash. */
static void test_damage(void)
{
	struct slice one = make(0, "one", NOW);
	struct slice cert = pem(0, "CERTIFICATE", part_of(one, CERT_CHAIN));
	struct slice key = pem(1, "EC PRIVATE KEY", part_of(one, CERT_KEY));
	char copy[8192];
	size_t i;

	check_case("damage");
	for (i = 0; i < cert.n - 26; i += 3) /* the last line may lack its end */
		CHECK(pair_fault(check_guard(slice_make(cert.p, i)), key) != NULL);
	for (i = 0; i < key.n - 29; i++)
		CHECK(pair_fault(cert, check_guard(slice_make(key.p, i))) != NULL);
	for (i = 30; i < key.n - 30; i++) {
		memcpy(copy, key.p, key.n);
		copy[i] ^= 1;
		pair_fault(cert, slice_make(copy, key.n));
	}
	one = part_of(one, CERT_CHAIN);
	for (i = 0; i < one.n; i++) {
		memcpy(copy, one.p, one.n);
		copy[i] ^= 0x5a;
		cert_names_ip(check_guard(slice_make(copy, one.n)), SLICE("\x7f\0\0\x01"));
		cert_is_for_servers(check_guard(slice_make(copy, one.n)));
		cert_age_of(check_guard(slice_make(copy, one.n)), NOW);
		CHECK(!cert_names_ip(check_guard(slice_make(one.p, i)), SLICE("\x7f\0\0\x01")));
	}
}

static void test_anchors(void)
{
	struct slice one = make(0, "one", NOW), text;
	const char *why = "";
	size_t expired;
	struct buf b;

	check_case("anchors");
	text = pem(0, "CERTIFICATE", part_of(one, CERT_CHAIN));
	text = pem_add(0, text, "CERTIFICATE", SLICE("\x30\x00"), "\n"); /* left out */
	text = pem_add(0, text, "X509 CERTIFICATE", part_of(one, CERT_CHAIN), "\n");
	buf_init(&b, pack_mem[1], CERT_PACK_MAX);
	CHECK(cert_pack_anchors(text, NOW, &b, &expired, &why));
	CHECK_U64(buf_len(&b), 2 * (4 + part_of(one, CERT_CHAIN).n));
	CHECK(part_of(buf_view(&b), CERT_ANCHOR).n > 0);
	CHECK(!cert_pack_anchors(SLICE("nothing"), NOW, &b, &expired, &why) &&
	      strstr(why, "no certificate") != NULL);
	CHECK(!cert_pack_anchors(pem(0, "CERTIFICATE", SLICE("\x30\x00")), NOW, &b, &expired,
				 &why));
	CHECK(strstr(why, "can be used") != NULL);
	text = pem(0, "CERTIFICATE", part_of(one, CERT_CHAIN));
	CHECK(cert_pack_anchors(text, NOW + TEN_YEARS, &b, &expired, &why) && expired == 0);
	buf_reset(&b);
	CHECK(!cert_pack_anchors(text, NOW + TEN_YEARS + 1, &b, &expired, &why) && expired == 1);
	CHECK(buf_len(&b) == 0 && strstr(why, "not expired") != NULL);
	buf_init(&b, pack_mem[1], 100);
	CHECK(!cert_pack_anchors(pem(0, "CERTIFICATE", part_of(one, CERT_CHAIN)), NOW, &b, &expired,
				 &why));
	CHECK(buf_len(&b) == 0 && strstr(why, "too much") != NULL);
}

static void test_packs(void)
{
	static const struct slice rows[] = { SLICE_INIT(""), SLICE_INIT("\0\0\0"),
					     SLICE_INIT("\0\0\0\1"), SLICE_INIT("\1\xff\xff\xff") };

	FOR_ROWS(i, rows)
	{
		struct slice pack = check_guard(rows[i]), der;
		enum cert_part part;

		check_case("pack %zu", i);
		CHECK(!cert_pack_next(&pack, &part, &der));
	}
}

int main(void)
{
	test_own();
	test_own_without_room();
	test_pair();
	test_long_chain();
	test_damage();
	test_anchors();
	test_packs();
	return check_done();
}
