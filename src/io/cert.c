/* SPDX-License-Identifier: MIT */
/* cert.c: PEM in, packs out; what certificates say, and whether key and certificate belong together. */
#include "bearssl.h"

#include "base/der.h"
#include "io/cert_parts.h"
#include "io/mem.h"

enum {
	RSA_BITS_MIN = 2048,
	RSA_BITS_MAX = 4096,
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

bool cert_names_ip(struct slice der, struct slice ip)
{
	struct slice all = extensions_of(der), one, oid, critical, value;

	while (der_take(&all, DER_SEQUENCE, &one)) {
		if (!der_take(&one, DER_OID, &oid) || !slice_eq(oid, cert_oid_alt_name))
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
		cert_pack_cut(pack, was);
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
	while (cert_part_open(pack, &mark) && pem_next(&p, &name)) {
		bool wanted = is_certificate(name);

		if (wanted &&
		    key_of(&d, slice_from(buf_view(pack), mark + CERT_PART_HEAD)) != NULL) {
			cert_part_close(pack, mark, CERT_ANCHOR);
			got = true;
		} else {
			left_out += wanted;
			cert_pack_cut(pack, mark);
		}
	}
	cert_pack_cut(pack, mark);
	*why = p.why;
	if (p.why == NULL && p.rest.n > 0)
		*why = NO_ROOM;
	else if (p.why == NULL && !got)
		*why = left_out > 0 ? "has no certificate in it that can be used"
				    : "has no certificate in it";
	if (*why != NULL)
		cert_pack_cut(pack, was);
	return *why == NULL;
}
