/* SPDX-License-Identifier: MIT */
/* cert_make.c: a key and a certificate of our own, made at start and signed by itself. */
#include "bearssl.h"

#include "base/der.h"
#include "base/fmt.h"
#include "io/cert_parts.h"
#include "io/mem.h"
#include "io/proc.h"

enum { YEARS = 10, DAY = 86400 };

static const struct slice oid_ecdsa_sha256 = SLICE_INIT("\x2a\x86\x48\xce\x3d\x04\x03\x02");
static const struct slice oid_ec_key = SLICE_INIT("\x2a\x86\x48\xce\x3d\x02\x01");
static const struct slice oid_p256 = SLICE_INIT("\x2a\x86\x48\xce\x3d\x03\x01\x07");
static const struct slice oid_common_name = SLICE_INIT("\x55\x04\x03");

/* What is always the same: no CA (critical), signs handshakes only (critical), is a server's. */
static const char fixed_extensions[] =
	"\x30\x0c\x06\x03\x55\x1d\x13\x01\x01\xff\x04\x02\x30\x00"
	"\x30\x0e\x06\x03\x55\x1d\x0f\x01\x01\xff\x04\x04\x03\x02\x07\x80"
	"\x30\x13\x06\x03\x55\x1d\x25\x04\x0c\x30\x0a\x06\x08"
	"\x2b\x06\x01\x05\x05\x07\x03\x01";

static bool put_oids(struct buf *b, struct slice one, struct slice two)
{
	size_t mark;

	return der_open(b, DER_SEQUENCE, &mark) && der_put(b, DER_OID, one) &&
	       (two.n == 0 || der_put(b, DER_OID, two)) && der_close(b, mark);
}

static bool put_name(struct buf *b, struct slice name)
{
	size_t all, set, one;

	return der_open(b, DER_SEQUENCE, &all) && der_open(b, DER_SET, &set) &&
	       der_open(b, DER_SEQUENCE, &one) && der_put(b, DER_OID, oid_common_name) &&
	       der_put(b, DER_UTF8, name) && der_close(b, one) && der_close(b, set) &&
	       der_close(b, all);
}

/* RFC 5280, 4.1.2.5: two digits for the year until 2049, then four. */
static bool put_time(struct buf *b, int64_t unix_seconds)
{
	char mem[40], digits[14];
	struct slice s;
	struct buf text;
	size_t i, n = 0;

	buf_init(&text, mem, sizeof(mem));
	fmt_rfc3339(&text, unix_seconds * 1000);
	s = buf_view(&text);
	for (i = 0; i < s.n && n < sizeof(digits); i++)
		if (s.p[i] >= '0' && s.p[i] <= '9')
			digits[n++] = s.p[i];
	buf_init(&text, mem, sizeof(mem));
	buf_put(&text, slice_make(digits, n));
	buf_put_byte(&text, 'Z');
	if (memcmp(digits, "2050", 4) >= 0)
		return der_put(b, DER_TIME, buf_view(&text));
	return der_put(b, DER_UTC_TIME, slice_from(buf_view(&text), 2));
}

static bool put_validity(struct buf *b, int64_t now)
{
	size_t mark;

	return der_open(b, DER_SEQUENCE, &mark) && put_time(b, now - DAY) &&
	       put_time(b, now + (int64_t)YEARS * 365 * DAY) && der_close(b, mark);
}

static bool put_bits(struct buf *b, struct slice bytes)
{
	size_t mark;

	return der_open(b, DER_BIT_STRING, &mark) && buf_put_byte(b, 0) && buf_put(b, bytes) &&
	       der_close(b, mark);
}

static bool put_public_key(struct buf *b, const br_ec_public_key *key)
{
	size_t mark;

	return der_open(b, DER_SEQUENCE, &mark) && put_oids(b, oid_ec_key, oid_p256) &&
	       put_bits(b, slice_make((char *)key->q, key->qlen)) && der_close(b, mark);
}

static bool put_alt_names(struct buf *b, struct slice name)
{
	static const struct slice v4 = SLICE_INIT("\x7f\0\0\x01");
	static const struct slice v6 = SLICE_INIT("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01");
	size_t one, value, list;

	return der_open(b, DER_SEQUENCE, &one) && der_put(b, DER_OID, cert_oid_alt_name) &&
	       der_open(b, DER_OCTET_STRING, &value) && der_open(b, DER_SEQUENCE, &list) &&
	       der_put(b, DER_CONTEXT | 2, SLICE("localhost")) &&
	       (name.n == 0 || der_put(b, DER_CONTEXT | 2, name)) &&
	       der_put(b, DER_CONTEXT | 7, v4) && der_put(b, DER_CONTEXT | 7, v6) &&
	       der_close(b, list) && der_close(b, value) && der_close(b, one);
}

static bool put_extensions(struct buf *b, struct slice name)
{
	size_t outer, list;

	return der_open(b, DER_CONTEXT | DER_CONSTRUCTED | 3, &outer) &&
	       der_open(b, DER_SEQUENCE, &list) &&
	       buf_put(b, slice_make(fixed_extensions, sizeof(fixed_extensions) - 1)) &&
	       put_alt_names(b, name) && der_close(b, list) && der_close(b, outer);
}

/* What is signed (RFC 5280, 4.1). */
static bool put_body(struct buf *b, struct slice name, struct slice serial, int64_t now,
		     const br_ec_public_key *key)
{
	struct slice title = name.n > 0 && name.n <= 64 ? name : SLICE("localhost");
	size_t all, version;

	return der_open(b, DER_SEQUENCE, &all) &&
	       der_open(b, DER_CONTEXT | DER_CONSTRUCTED | 0, &version) &&
	       der_put(b, DER_INTEGER, SLICE("\x02")) && der_close(b, version) &&
	       der_put(b, DER_INTEGER, serial) &&
	       put_oids(b, oid_ecdsa_sha256, slice_make("", 0)) && put_name(b, title) &&
	       put_validity(b, now) && put_name(b, title) && put_public_key(b, key) &&
	       put_extensions(b, name) && der_close(b, all);
}

static bool put_signature(struct buf *b, struct slice body, const br_ec_private_key *key)
{
	unsigned char hash[br_sha256_SIZE], sig[160];
	br_sha256_context sha;
	size_t n;

	br_sha256_init(&sha);
	br_sha256_update(&sha, body.p, body.n);
	br_sha256_out(&sha, hash);
	n = br_ecdsa_sign_asn1_get_default()(br_ec_get_default(), &br_sha256_vtable, hash, key,
					     sig);
	return n > 0 && put_oids(b, oid_ecdsa_sha256, slice_make("", 0)) &&
	       put_bits(b, slice_make((char *)sig, n));
}

static bool certificate_pack(struct buf *pack, struct slice name, struct slice serial, int64_t now,
			     const br_ec_private_key *key, const br_ec_public_key *pub)
{
	size_t part, cert, from;

	if (!cert_part_open(pack, &part) || !der_open(pack, DER_SEQUENCE, &cert))
		return false;
	from = buf_len(pack);
	if (!put_body(pack, name, serial, now, pub) ||
	    !put_signature(pack, slice_from(buf_view(pack), from), key) || !der_close(pack, cert))
		return false;
	cert_part_close(pack, part, CERT_CHAIN);
	return true;
}

static bool own_key_pack(struct buf *pack, const br_ec_private_key *key)
{
	unsigned char der[256];
	size_t mark, n = br_encode_ec_raw_der(NULL, key, NULL);
	bool ok = n > 0 && n <= sizeof(der) && cert_part_open(pack, &mark);

	if (!ok)
		return false;
	br_encode_ec_raw_der(der, key, NULL);
	ok = buf_put(pack, slice_make((char *)der, n));
	if (ok)
		cert_part_close(pack, mark, CERT_KEY);
	mem_wipe(der, sizeof(der));
	return ok;
}

bool cert_pack_self_signed(struct slice name, int64_t unix_seconds, struct buf *pack)
{
	unsigned char seed[48], serial[16];
	unsigned char key_mem[BR_EC_KBUF_PRIV_MAX_SIZE], pub_mem[BR_EC_KBUF_PUB_MAX_SIZE];
	br_hmac_drbg_context rng;
	br_ec_private_key key;
	br_ec_public_key pub;
	size_t was = buf_len(pack);
	bool ok = proc_random(seed, sizeof(seed)) && proc_random(serial, sizeof(serial));

	if (!ok)
		return false;
	serial[0] = (unsigned char)((serial[0] & 0x3f) | 0x40); /* positive, of one length */
	br_hmac_drbg_init(&rng, &br_sha256_vtable, seed, sizeof(seed));
	ok = br_ec_keygen(&rng.vtable, br_ec_get_default(), &key, key_mem, BR_EC_secp256r1) != 0 &&
	     br_ec_compute_pub(br_ec_get_default(), &pub, pub_mem, &key) != 0 &&
	     certificate_pack(pack, name, slice_make((char *)serial, sizeof(serial)), unix_seconds,
			      &key, &pub) &&
	     own_key_pack(pack, &key);
	mem_wipe(key_mem, sizeof(key_mem));
	mem_wipe(&rng, sizeof(rng));
	mem_wipe(seed, sizeof(seed));
	if (!ok)
		cert_pack_cut(pack, was);
	return ok;
}
