/* SPDX-License-Identifier: MIT */
/* cert.c: PEM in, packs out; what certificates say, and whether key and certificate belong together. */
#include "bearssl.h"

#include "base/der.h"
#include "io/cert_parts.h"
#include "io/mem.h"

enum {
	RSA_BITS_MIN = 2048,
	RSA_BITS_MAX = 4096,
	DAY = 86400,
	DAYS_TO_1970 = 719528, /* BearSSL counts from the year 0 */
};

static const char NO_ROOM[] = "has too much in it";
static const char BROKEN_PEM[] = "is broken: it is no PEM text";

/* ---- packs ---- */

bool cert_part_open(struct buf *pack, size_t *mark)
{
	static const char head[CERT_PART_HEAD];

	*mark = buf_len(pack);
	return buf_put(pack, slice_make(head, sizeof(head)));
}

void cert_part_close(struct buf *pack, size_t mark, enum cert_part part)
{
	char *head = pack->base + pack->head + mark;
	size_t n = buf_len(pack) - mark - CERT_PART_HEAD;

	head[0] = (char)part;
	head[1] = (char)(n >> 16);
	head[2] = (char)(n >> 8);
	head[3] = (char)n;
}

void cert_pack_cut(struct buf *pack, size_t n)
{
	pack->tail = pack->head + n;
}

bool cert_pack_next(struct slice *pack, enum cert_part *part, struct slice *der)
{
	const unsigned char *p = (const unsigned char *)pack->p;
	size_t n;

	if (pack->n < CERT_PART_HEAD)
		return false;
	n = (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
	if (n > pack->n - CERT_PART_HEAD)
		return false;
	*part = (enum cert_part)p[0];
	*der = slice_make(pack->p + CERT_PART_HEAD, n);
	*pack = slice_from(*pack, CERT_PART_HEAD + n);
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

/* What is signed (RFC 5280, 4.1). */
static struct slice body_of(struct slice der)
{
	struct slice cert, body;

	if (der_take(&der, DER_SEQUENCE, &cert) && der_take(&cert, DER_SEQUENCE, &body))
		return body;
	return slice_make("", 0);
}

struct names {
	struct slice issuer, subject;
};

static struct names names_of(struct slice der)
{
	struct slice body = body_of(der), part;
	struct names n = { { "", 0 }, { "", 0 } };
	unsigned tag, sequence = 0;

	while (der_next(&body, &tag, &part)) {
		sequence += tag == DER_SEQUENCE; /* algorithm, issuer, validity, subject, key */
		if (tag == DER_SEQUENCE && sequence == 2)
			n.issuer = part;
		if (tag == DER_SEQUENCE && sequence == 4)
			n.subject = part;
	}
	return n;
}

static struct slice extensions_of(struct slice der)
{
	struct slice body = body_of(der), part, list;
	unsigned tag;

	while (der_next(&body, &tag, &part))
		if (tag == (DER_CONTEXT | DER_CONSTRUCTED | 3) &&
		    der_take(&part, DER_SEQUENCE, &list))
			return list;
	return slice_make("", 0);
}

/* Whether there is such an extension, and what is in it. */
static bool extension_find(struct slice der, struct slice wanted, struct slice *value)
{
	struct slice all = extensions_of(der), one, oid, critical;

	*value = slice_make("", 0);
	while (der_take(&all, DER_SEQUENCE, &one)) {
		if (!der_take(&one, DER_OID, &oid) || !slice_eq(oid, wanted))
			continue;
		der_take(&one, DER_BOOLEAN, &critical);
		der_take(&one, DER_OCTET_STRING, value);
		return true;
	}
	return false;
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

bool cert_names_ip(struct slice der, struct slice ip)
{
	struct slice value;

	return extension_find(der, cert_oid_alt_name, &value) && names_ip(value, ip);
}

bool cert_has_names(struct slice der)
{
	struct slice value;

	return extension_find(der, cert_oid_alt_name, &value);
}

bool cert_is_for_servers(struct slice der)
{
	static const struct slice extended_usage = SLICE_INIT("\x55\x1d\x25"),
				  any = SLICE_INIT("\x55\x1d\x25\x00"),
				  server = SLICE_INIT("\x2b\x06\x01\x05\x05\x07\x03\x01");
	struct slice value, list, oid;

	if (!extension_find(der, extended_usage, &value))
		return true;
	if (!der_take(&value, DER_SEQUENCE, &list))
		return false;
	while (der_take(&list, DER_OID, &oid))
		if (slice_eq(oid, any) || slice_eq(oid, server))
			return true;
	return false;
}

static int64_t unix_of(uint32_t days, uint32_t seconds)
{
	return ((int64_t)days - DAYS_TO_1970) * DAY + seconds;
}

enum cert_age cert_age_of(struct slice der, int64_t unix_seconds)
{
	br_x509_decoder_context d;

	if (key_of(&d, der) == NULL)
		return CERT_IN_TIME;
	if (unix_of(d.notafter_days, d.notafter_seconds) < unix_seconds)
		return CERT_EXPIRED;
	return unix_of(d.notbefore_days, d.notbefore_seconds) > unix_seconds ? CERT_NOT_YET
									     : CERT_IN_TIME;
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
		if (!cert_part_open(pack, &mark))
			return NO_ROOM;
		if (!pem_next(&p, &name))
			break;
		if (!is_certificate(name)) { /* the key may be in the same file */
			cert_pack_cut(pack, mark);
			continue;
		}
		wrong = certificate_check(slice_from(buf_view(pack), mark + CERT_PART_HEAD),
					  count == 0);
		if (wrong != NULL)
			return wrong;
		if (++count > CERT_CHAIN_MAX)
			return "has more certificates in it than a chain may have";
		cert_part_close(pack, mark, CERT_CHAIN);
	}
	cert_pack_cut(pack, mark);
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
		if (!cert_part_open(pack, &mark))
			return NO_ROOM;
		if (!pem_next(&p, &name))
			break;
		if (is_key(name)) {
			part = slice_from(buf_view(pack), mark + CERT_PART_HEAD);
			br_skey_decoder_init(k);
			br_skey_decoder_push(k, part.p, part.n);
			cert_part_close(pack, mark, CERT_KEY);
			return key_check(k);
		}
		if (has(name, SLICE("PRIVATE KEY")))
			return NO_SUCH_KEY;
		cert_pack_cut(pack, mark); /* EC PARAMETERS, a certificate */
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

/* RFC 5246, 7.4.2: each is followed by the one that signed it. */
static bool is_chain(struct slice pack)
{
	struct slice der, issuer = { "", 0 };
	enum cert_part part;
	bool first = true;

	while (cert_pack_next(&pack, &part, &der)) {
		struct names n = names_of(der);

		if (part != CERT_CHAIN)
			continue;
		if (!first && !slice_eq(n.subject, issuer))
			return false;
		issuer = n.issuer;
		first = false;
	}
	return true;
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
	if (f->why == NULL && !is_chain(slice_from(buf_view(pack), was))) {
		f->file = CERT_CHAIN;
		f->why = "is in disorder: behind each certificate must come the one that signed it";
	}
	mem_wipe(&k, sizeof(k));
	if (f->why != NULL)
		cert_pack_cut(pack, was);
	return f->why == NULL;
}

static const char *no_anchor(size_t unusable, size_t expired)
{
	if (expired > 0)
		return "has no certificate in it that can be used and has not expired";
	return unusable > 0 ? "has no certificate in it that can be used"
			    : "has no certificate in it";
}

bool cert_pack_anchors(struct slice pem, int64_t unix_seconds, struct buf *pack, size_t *expired,
		       const char **why)
{
	br_x509_decoder_context d;
	struct slice name, der;
	struct pem p;
	size_t mark, was = buf_len(pack), unusable = 0, got = 0;

	*expired = 0;
	pem_init(&p, pem, pack);
	while (cert_part_open(pack, &mark) && pem_next(&p, &name)) {
		bool wanted = is_certificate(name), late;

		der = slice_from(buf_view(pack), mark + CERT_PART_HEAD);
		late = wanted && cert_age_of(der, unix_seconds) == CERT_EXPIRED;
		if (wanted && !late && key_of(&d, der) != NULL) {
			cert_part_close(pack, mark, CERT_ANCHOR);
			got++;
			continue;
		}
		*expired += late;
		unusable += wanted && !late;
		cert_pack_cut(pack, mark);
	}
	cert_pack_cut(pack, mark);
	*why = p.why;
	if (p.why == NULL && p.rest.n > 0)
		*why = NO_ROOM;
	else if (p.why == NULL && got == 0)
		*why = no_anchor(unusable, *expired);
	if (*why != NULL)
		cert_pack_cut(pack, was);
	return *why == NULL;
}
