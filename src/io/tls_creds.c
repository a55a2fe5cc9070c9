/* SPDX-License-Identifier: MIT */
/* tls_creds.c: packs made ready for BearSSL, and its judge of certificates. */
#include "io/tls_parts.h"

enum {
	RSA_BYTES_MIN = 2048 / 8,
	DAY = 86400,
	DAYS_TO_1970 = 719528, /* BearSSL counts from the year 0 */
};

/* ---- credentials ---- */

static void creds_free(struct tls_creds *c)
{
	struct mem *mem = c->mem;
	size_t cap = c->cap;

	if (!c->closed || c->users > 0)
		return;
	mem_wipe(c, sizeof(*c));
	mem_give(mem, c, cap);
}

void tls_creds_close(struct tls_creds *c)
{
	if (c == NULL)
		return;
	c->closed = true;
	creds_free(c);
}

void tls_creds_leave(struct tls_creds **c)
{
	if (*c == NULL)
		return;
	(*c)->users--;
	creds_free(*c);
	*c = NULL;
}

/* A subject as it comes out of the decoder. */
struct subject {
	unsigned char *p;
	size_t n, cap;
};

static void subject_append(void *ctx, const void *bytes, size_t n)
{
	struct subject *s = ctx;

	if (n <= s->cap - s->n)
		memcpy(s->p + s->n, bytes, n);
	s->n += MIN(n, s->cap - s->n);
}

static bool keep(struct arena *a, unsigned char **p, size_t n)
{
	struct slice s = arena_copy(a, slice_make((char *)*p, n));

	*p = (unsigned char *)(uintptr_t)s.p;
	return s.p != NULL;
}

static bool add_anchor(struct tls_creds *c, struct slice der)
{
	br_x509_trust_anchor *a = &c->anchors[c->anchor_count];
	struct subject subject = { arena_take(&c->arena, der.n), 0, der.n };
	br_x509_decoder_context d;
	br_x509_pkey *key;

	if (subject.p == NULL)
		return false;
	br_x509_decoder_init(&d, subject_append, &subject);
	br_x509_decoder_push(&d, der.p, der.n);
	key = br_x509_decoder_get_pkey(&d);
	if (key == NULL)
		return false;
	a->dn.data = subject.p;
	a->dn.len = subject.n;
	a->flags = br_x509_decoder_isCA(&d) ? BR_X509_TA_CA : 0;
	a->pkey = *key;
	c->anchor_count++;
	if (key->key_type == BR_KEYTYPE_EC)
		return keep(&c->arena, &a->pkey.key.ec.q, key->key.ec.qlen);
	return keep(&c->arena, &a->pkey.key.rsa.n, key->key.rsa.nlen) &&
	       keep(&c->arena, &a->pkey.key.rsa.e, key->key.rsa.elen);
}

static bool add_part(struct tls_creds *c, enum cert_part part, struct slice der)
{
	br_x509_certificate *cert = &c->chain[c->chain_count];

	switch (part) {
	case CERT_ANCHOR:
		return add_anchor(c, der);
	case CERT_CHAIN:
		if (c->chain_count == CERT_CHAIN_MAX)
			return false;
		cert->data = (unsigned char *)(uintptr_t)der.p;
		cert->data_len = der.n;
		c->chain_count++;
		return keep(&c->arena, &cert->data, der.n);
	default:
		br_skey_decoder_init(&c->key);
		br_skey_decoder_push(&c->key, der.p, der.n);
		return br_skey_decoder_last_error(&c->key) == 0;
	}
}

static size_t anchors_in(struct slice pack)
{
	enum cert_part part;
	struct slice der;
	size_t n = 0;

	while (cert_pack_next(&pack, &part, &der))
		n += part == CERT_ANCHOR;
	return n;
}

struct tls_creds *tls_creds_open(struct mem *m, struct slice pack)
{
	size_t count = anchors_in(pack), cap;
	/* nothing kept of a part is longer than the part, but for the key of an anchor */
	size_t need = sizeof(struct tls_creds) + 2 * pack.n +
		      (count + CERT_CHAIN_MAX) * (sizeof(br_x509_trust_anchor) + 64);
	struct tls_creds *c = mem_take(m, need, &cap);
	enum cert_part part;
	struct slice der;

	if (c == NULL)
		return NULL;
	memset(c, 0, sizeof(*c));
	c->mem = m;
	c->cap = cap;
	arena_init(&c->arena, c + 1, cap - sizeof(*c));
	c->anchors = arena_take(&c->arena, count * sizeof(*c->anchors));
	while (c->anchors != NULL && cert_pack_next(&pack, &part, &der)) {
		if (!add_part(c, part, der)) {
			tls_creds_close(c);
			return NULL;
		}
	}
	return c;
}

/* ---- judging a server ---- */

static struct tls_checker *checker_of(const br_x509_class *const *ctx)
{
	return (struct tls_checker *)(uintptr_t)ctx;
}

static void check_start_chain(const br_x509_class **ctx, const char *name)
{
	struct tls_checker *k = checker_of(ctx);

	k->certs = k->own_n = 0;
	k->inner.vtable->start_chain(&k->inner.vtable, name);
}

static void check_start_cert(const br_x509_class **ctx, uint32_t n)
{
	struct tls_checker *k = checker_of(ctx);

	k->certs++;
	k->inner.vtable->start_cert(&k->inner.vtable, n);
}

static void check_append(const br_x509_class **ctx, const unsigned char *p, size_t n)
{
	struct tls_checker *k = checker_of(ctx);

	if (k->certs == 1) {
		if (n <= sizeof(k->own) - MIN(k->own_n, sizeof(k->own)))
			memcpy(k->own + k->own_n, p, n);
		k->own_n += n;
	}
	k->inner.vtable->append(&k->inner.vtable, p, n);
}

static void check_end_cert(const br_x509_class **ctx)
{
	struct tls_checker *k = checker_of(ctx);

	k->inner.vtable->end_cert(&k->inner.vtable);
}

/* What the inner checker leaves out, about the server's own certificate. */
static unsigned check_own(struct tls_checker *k)
{
	struct slice own = slice_make(k->own, k->own_n);

	if (k->own_n > sizeof(k->own))
		return BR_ERR_X509_LIMIT_EXCEEDED;
	if (!cert_has_names(own))
		return TLS_ERR_NO_NAMES;
	if (k->ip_n > 0 && !cert_names_ip(own, slice_make((char *)k->ip, k->ip_n)))
		return BR_ERR_X509_BAD_SERVER_NAME;
	return cert_is_for_servers(own) ? 0 : TLS_ERR_OTHER_USE;
}

static unsigned check_end_chain(const br_x509_class **ctx)
{
	struct tls_checker *k = checker_of(ctx);
	unsigned err = k->inner.vtable->end_chain(&k->inner.vtable);

	return err == 0 ? check_own(k) : err;
}

static const br_x509_pkey *check_get_pkey(const br_x509_class *const *ctx, unsigned *usages)
{
	struct tls_checker *k = checker_of(ctx);

	return k->inner.vtable->get_pkey(&k->inner.vtable, usages);
}

static const br_x509_class checker_class = {
	sizeof(struct tls_checker),
	check_start_chain,
	check_start_cert,
	check_append,
	check_end_cert,
	check_end_chain,
	check_get_pkey,
};

void tls_checker_init(struct tls_checker *k, const struct tls_creds *c, const struct tls_peer *peer)
{
	br_x509_minimal_context *x = &k->inner;

	k->vtable = &checker_class;
	k->ip_n = peer->name != NULL ? 0 : MIN(peer->ip.n, sizeof(k->ip));
	if (k->ip_n > 0)
		memcpy(k->ip, peer->ip.p, k->ip_n);
	br_x509_minimal_init(x, &br_sha256_vtable, c->anchors, c->anchor_count);
	br_x509_minimal_set_rsa(x, br_rsa_pkcs1_vrfy_get_default());
	br_x509_minimal_set_ecdsa(x, br_ec_get_default(), br_ecdsa_vrfy_asn1_get_default());
	br_x509_minimal_set_hash(x, br_sha256_ID, &br_sha256_vtable);
	br_x509_minimal_set_hash(x, br_sha384_ID, &br_sha384_vtable);
	br_x509_minimal_set_hash(x, br_sha512_ID, &br_sha512_vtable);
	br_x509_minimal_set_minrsa(x, RSA_BYTES_MIN);
	br_x509_minimal_set_time(x, (uint32_t)(peer->unix_seconds / DAY + DAYS_TO_1970),
				 (uint32_t)(peer->unix_seconds % DAY));
}
