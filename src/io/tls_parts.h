/* SPDX-License-Identifier: MIT */
/* tls_parts.h: what the parts of the TLS stream (stream_tls.c, tls_creds.c) know of each other, and
 * nobody else. */
#ifndef IO_TLS_PARTS_H
#define IO_TLS_PARTS_H

#include "bearssl.h"

#include "base/arena.h"
#include "io/cert.h"
#include "io/stream_tls.h"

struct tls_creds {
	struct mem *mem;
	size_t cap;
	unsigned users; /* handshakes under way */
	bool closed;
	struct arena arena; /* the rest of this block */
	br_x509_certificate chain[CERT_CHAIN_MAX];
	size_t chain_count;
	br_skey_decoder_context key;
	br_x509_trust_anchor *anchors;
	size_t anchor_count;
};

void tls_creds_leave(struct tls_creds **); /* a handshake is over; *creds may be NULL */

enum { TLS_OWN_CERT_MAX = 16384 }; /* of a server; longer ones are refused */

/* What BearSSL does not say; between its own errors and the peer's alerts. */
enum { TLS_ERR_NO_NAMES = 200, TLS_ERR_OTHER_USE };

/* BearSSL compares names, but no addresses, and knows nothing of extended key usages. So this stands
 * around its checker, keeps the server's own certificate, and looks at it when all else is well. */
struct tls_checker {
	const br_x509_class *vtable; /* first: BearSSL's contexts begin like this */
	br_x509_minimal_context inner;
	unsigned char ip[16];
	size_t ip_n; /* 0: the inner checker compares the name */
	size_t certs, own_n;
	char own[TLS_OWN_CERT_MAX];
};

void tls_checker_init(struct tls_checker *, const struct tls_creds *, const struct tls_peer *);

#endif
