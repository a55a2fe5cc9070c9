/* SPDX-License-Identifier: MIT */
/* cert.c: PEM in, packs out; whether key and certificate belong together; a certificate of our own. */
#include "bearssl.h"

#include "base/der.h"
#include "base/fmt.h"
#include "io/cert.h"
#include "io/mem.h"
#include "io/proc.h"

enum {
	PART_HEAD = 4, /* its kind, then its length in three bytes */
	RSA_BITS_MIN = 2048,
	RSA_BITS_MAX = 4096,
	YEARS = 10,
	DAY = 86400,
};

static const char NO_ROOM[] = "has too much in it";
static const char BROKEN_PEM[] = "is broken: it is no PEM text";

/* ---- packs ---- */

static bool part_open(struct buf *pack, size_t *mark)
{
	static const char head[PART_HEAD];

	*mark = buf_len(pack);
	return buf_put(pack, slice_make(head, sizeof(head)));
}

static void part_close(struct buf *pack, size_t mark, enum cert_part part)
{
	char *head = pack->base + pack->head + mark;
	size_t n = buf_len(pack) - mark - PART_HEAD;

	head[0] = (char)part;
	head[1] = (char)(n >> 16);
	head[2] = (char)(n >> 8);
	head[3] = (char)n;
}

static void pack_cut(struct buf *pack, size_t n)
{
	pack->tail = pack->head + n;
}

bool cert_pack_next(struct slice *pack, enum cert_part *part, struct slice *der)
{
	const unsigned char *p = (const unsigned char *)pack->p;
	size_t n;

	if (pack->n < PART_HEAD)
		return false;
	n = (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
	if (n > pack->n - PART_HEAD)
		return false;
	*part = (enum cert_part)p[0];
	*der = slice_make(pack->p + PART_HEAD, n);
	*pack = slice_from(*pack, PART_HEAD + n);
	return true;
}

/* ---- PEM ---- */

struct pem {
	br_pem_decoder_context decoder;
	struct slice rest;
	struct buf *out;
	const char *why; /* NULL: nothing is wrong so far */
	bool ended;      /* a line end was added: files may lack their last one */
};

static void pem_init(struct pem *p, struct slice text, struct buf *out)
{
	br_pem_decoder_init(&p->decoder);
	p->rest = text;
	p->out = out;
	p->why = NULL;
	p->ended = false;
}

static void pem_append(void *ctx, const void *bytes, size_t n)
{
	struct pem *p = ctx;

	if (!buf_put(p->out, slice_make(bytes, n)))
		p->why = NO_ROOM;
}

/* Carriage returns are no good to the decoder: one would become a part of the object's name. */
static size_t before_return(struct slice s)
{
	const char *cr = memchr(s.p, '\r', s.n);

	return cr != NULL ? (size_t)(cr - s.p) : s.n;
}

/* To the next event; 0 at the end of the text. */
static int pem_step(struct pem *p)
{
	int event = 0;
	size_t n;

	while (event == 0) {
		if (p->rest.n == 0) {
			if (p->ended)
				return 0;
			p->ended = true;
			p->rest = SLICE("\n");
		}
		n = before_return(p->rest);
		n = n > 0 ? br_pem_decoder_push(&p->decoder, p->rest.p, n) : 1;
		p->rest = slice_from(p->rest, n);
		event = br_pem_decoder_event(&p->decoder);
	}
	return event;
}

/* The next object, written behind what `out` has; false at the end, and when something is wrong. */
static bool pem_next(struct pem *p, struct slice *name)
{
	int event = pem_step(p);

	if (event == 0)
		return false;
	*name = slice_str(br_pem_decoder_name(&p->decoder));
	if (event == BR_PEM_BEGIN_OBJ) {
		br_pem_decoder_setdest(&p->decoder, pem_append, p);
		event = pem_step(p);
	}
	if (event != BR_PEM_END_OBJ)
		p->why = BROKEN_PEM;
	return p->why == NULL;
}

static bool is_certificate(struct slice name)
{
	return slice_eq(name, SLICE("CERTIFICATE")) || slice_eq(name, SLICE("X509 CERTIFICATE"));
}

/* ---- what a certificate says ---- */

static const br_x509_pkey *key_of(br_x509_decoder_context *d, struct slice der)
{
	br_x509_decoder_init(d, NULL, NULL);
	br_x509_decoder_push(d, der.p, der.n);
	return br_x509_decoder_get_pkey(d);
}

static bool has(struct slice text, struct slice word)
{
	return text.n > 0 && memmem(text.p, text.n, word.p, word.n) != NULL;
}

static struct slice extensions_of(struct slice der)
{
	struct slice cert, tbs, part;
	unsigned tag;

	if (!der_take(&der, DER_SEQUENCE, &cert) || !der_take(&cert, DER_SEQUENCE, &tbs))
		return slice_make("", 0);
	while (der_next(&tbs, &tag, &part))
		if (tag == (DER_CONTEXT | DER_CONSTRUCTED | 3) &&
		    der_take(&part, DER_SEQUENCE, &cert))
			return cert;
	return slice_make("", 0);
}

static bool names_ip(struct slice names, struct slice ip)
{
	struct slice list, name;
	unsigned tag;

	if (!der_take(&names, DER_SEQUENCE, &list))
		return false;
	while (der_next(&list, &tag, &name))
		if (tag == (DER_CONTEXT | 7) && slice_eq(name, ip))
			return true;
	return false;
}

static const struct slice oid_alt_name = SLICE_INIT("\x55\x1d\x11");

bool cert_names_ip(struct slice der, struct slice ip)
{
	struct slice all = extensions_of(der), one, oid, critical, value;

	while (der_take(&all, DER_SEQUENCE, &one)) {
		if (!der_take(&one, DER_OID, &oid) || !slice_eq(oid, oid_alt_name))
			continue;
		der_take(&one, DER_BOOLEAN, &critical);
		return der_take(&one, DER_OCTET_STRING, &value) && names_ip(value, ip);
	}
	return false;
}

/* ---- a chain and its key ---- */

static const char NO_SUCH_KEY[] =
	"has a key in it of a kind that is not supported: RSA of 2048 to 4096 bits, EC P-256 and "
	"P-384 are";

/* Of other certificates than our own, strange keys are none of our business. */
static const char *certificate_check(struct slice der, bool own)
{
	br_x509_decoder_context d;
	int err;

	if (key_of(&d, der) != NULL)
		return NULL;
	err = br_x509_decoder_last_error(&d);
	if (err != BR_ERR_X509_UNSUPPORTED && err != BR_ERR_X509_LIMIT_EXCEEDED)
		return "has a certificate in it that cannot be read";
	return own ? NO_SUCH_KEY : NULL;
}

static const char *chain_pack(struct slice pem, struct buf *pack)
{
	const char *wrong;
	struct slice name;
	struct pem p;
	size_t mark, count = 0;

	pem_init(&p, pem, pack);
	for (;;) {
		if (!part_open(pack, &mark))
			return NO_ROOM;
		if (!pem_next(&p, &name))
			break;
		if (!is_certificate(name)) { /* the key may be in the same file */
			pack_cut(pack, mark);
			continue;
		}
		wrong = certificate_check(slice_from(buf_view(pack), mark + PART_HEAD), count == 0);
		if (wrong != NULL)
			return wrong;
		if (++count > CERT_CHAIN_MAX)
			return "has more certificates in it than a chain may have";
		part_close(pack, mark, CERT_CHAIN);
	}
	pack_cut(pack, mark);
	if (p.why != NULL)
		return p.why;
	return count > 0 ? NULL : "has no certificate in it";
}

static const char *key_check(const br_skey_decoder_context *k)
{
	const br_rsa_private_key *rsa = br_skey_decoder_get_rsa(k);
	const br_ec_private_key *ec = br_skey_decoder_get_ec(k);

	if (rsa != NULL && rsa->n_bitlen >= RSA_BITS_MIN && rsa->n_bitlen <= RSA_BITS_MAX)
		return NULL;
	if (ec != NULL && (ec->curve == BR_EC_secp256r1 || ec->curve == BR_EC_secp384r1))
		return NULL;
	return NO_SUCH_KEY;
}

static bool is_key(struct slice name)
{
	return slice_eq(name, SLICE(BR_ENCODE_PEM_PKCS8)) ||
	       slice_eq(name, SLICE(BR_ENCODE_PEM_RSA_RAW)) ||
	       slice_eq(name, SLICE(BR_ENCODE_PEM_EC_RAW));
}

static const char *key_pack(struct slice pem, struct buf *pack, br_skey_decoder_context *k)
{
	struct slice name, part;
	struct pem p;
	size_t mark;

	if (has(pem, SLICE("ENCRYPTED"))) /* PKCS#8 says it in the title, the old form in a field */
		return "is encrypted: the key must be there in the clear";
	pem_init(&p, pem, pack);
	for (;;) {
		if (!part_open(pack, &mark))
			return NO_ROOM;
		if (!pem_next(&p, &name))
			break;
		if (is_key(name)) {
			part = slice_from(buf_view(pack), mark + PART_HEAD);
			br_skey_decoder_init(k);
			br_skey_decoder_push(k, part.p, part.n);
			part_close(pack, mark, CERT_KEY);
			return key_check(k);
		}
		if (has(name, SLICE("PRIVATE KEY")))
			return NO_SUCH_KEY;
		pack_cut(pack, mark); /* EC PARAMETERS, a certificate */
	}
	return p.why != NULL ? p.why : "has no private key in it";
}

static bool is_pair(const br_x509_pkey *cert, const br_skey_decoder_context *k)
{
	const br_rsa_private_key *rsa = br_skey_decoder_get_rsa(k);
	const br_ec_private_key *ec = br_skey_decoder_get_ec(k);
	unsigned char mem[RSA_BITS_MAX / 8 + BR_EC_KBUF_PUB_MAX_SIZE];
	struct slice made, said;
	br_ec_public_key pub;

	if (cert == NULL || cert->key_type != br_skey_decoder_key_type(k))
		return false;
	if (rsa != NULL) {
		made = slice_make((char *)mem, br_rsa_compute_modulus_get_default()(mem, rsa));
		said = slice_make((char *)cert->key.rsa.n, cert->key.rsa.nlen);
	} else {
		if (cert->key.ec.curve != ec->curve ||
		    br_ec_compute_pub(br_ec_get_default(), &pub, mem, ec) == 0)
			return false;
		made = slice_make((char *)pub.q, pub.qlen);
		said = slice_make((char *)cert->key.ec.q, cert->key.ec.qlen);
	}
	return made.n > 0 && slice_eq(made, said);
}

/* Whose key it is: the first certificate's, one further on's, or nobody's. */
static bool fits(struct slice pack, const br_skey_decoder_context *k, struct cert_fault *f)
{
	br_x509_decoder_context d;
	enum cert_part part;
	struct slice der;
	bool first = true;

	f->file = CERT_KEY;
	f->why = "does not belong to the certificate";
	while (cert_pack_next(&pack, &part, &der)) {
		if (part == CERT_CHAIN && is_pair(key_of(&d, der), k)) {
			f->file = CERT_CHAIN;
			f->why = first ? NULL : "must begin with the key's own certificate";
			break;
		}
		first = false;
	}
	return f->why == NULL;
}

bool cert_pack_pair(struct slice chain_pem, struct slice key_pem, struct buf *pack,
		    struct cert_fault *f)
{
	br_skey_decoder_context k;
	size_t was = buf_len(pack);

	f->file = CERT_CHAIN;
	f->why = chain_pack(chain_pem, pack);
	if (f->why == NULL) {
		f->file = CERT_KEY;
		f->why = key_pack(key_pem, pack, &k);
	}
	if (f->why == NULL)
		fits(slice_from(buf_view(pack), was), &k, f);
	mem_wipe(&k, sizeof(k));
	if (f->why != NULL)
		pack_cut(pack, was);
	return f->why == NULL;
}

bool cert_pack_anchors(struct slice pem, struct buf *pack, const char **why)
{
	br_x509_decoder_context d;
	struct slice name;
	struct pem p;
	size_t mark, was = buf_len(pack), left_out = 0;
	bool got = false;

	pem_init(&p, pem, pack);
	while (part_open(pack, &mark) && pem_next(&p, &name)) {
		bool wanted = is_certificate(name);

		if (wanted && key_of(&d, slice_from(buf_view(pack), mark + PART_HEAD)) != NULL) {
			part_close(pack, mark, CERT_ANCHOR);
			got = true;
		} else {
			left_out += wanted;
			pack_cut(pack, mark);
		}
	}
	pack_cut(pack, mark);
	*why = p.why;
	if (p.why == NULL && p.rest.n > 0)
		*why = NO_ROOM;
	else if (p.why == NULL && !got)
		*why = left_out > 0 ? "has no certificate in it that can be used"
				    : "has no certificate in it";
	if (*why != NULL)
		pack_cut(pack, was);
	return *why == NULL;
}

/* ---- a certificate of our own ---- */

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

	return der_open(b, DER_SEQUENCE, &one) && der_put(b, DER_OID, oid_alt_name) &&
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

	if (!part_open(pack, &part) || !der_open(pack, DER_SEQUENCE, &cert))
		return false;
	from = buf_len(pack);
	if (!put_body(pack, name, serial, now, pub) ||
	    !put_signature(pack, slice_from(buf_view(pack), from), key) || !der_close(pack, cert))
		return false;
	part_close(pack, part, CERT_CHAIN);
	return true;
}

static bool own_key_pack(struct buf *pack, const br_ec_private_key *key)
{
	unsigned char der[256];
	size_t mark, n = br_encode_ec_raw_der(NULL, key, NULL);
	bool ok = n > 0 && n <= sizeof(der) && part_open(pack, &mark);

	if (!ok)
		return false;
	br_encode_ec_raw_der(der, key, NULL);
	ok = buf_put(pack, slice_make((char *)der, n));
	if (ok)
		part_close(pack, mark, CERT_KEY);
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
		pack_cut(pack, was);
	return ok;
}
