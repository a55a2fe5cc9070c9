/* SPDX-License-Identifier: MIT */
/* cert.h: certificates and keys: out of PEM files, or made here; judged, and packed (DER, one part
 * behind the other) for whoever speaks TLS with them. Nothing here opens a file. */
#ifndef IO_CERT_H
#define IO_CERT_H

#include "base/buf.h"

/* A pack's parts. A chain's certificates come in order, the own one first, then its key. */
enum cert_part { CERT_CHAIN, CERT_KEY, CERT_ANCHOR };

enum {
	CERT_CHAIN_MAX = 8,          /* certificates of a chain */
	CERT_PACK_MAX = 256 * 1024,  /* room for the anchors of a whole distribution */
	CERT_FILE_MAX = 1024 * 1024, /* PEM */
};

/* Whose fault it is, and what is wrong, to be read after the file's name. */
struct cert_fault {
	enum cert_part file; /* CERT_CHAIN or CERT_KEY */
	const char *why;
};

/* All writers append to `pack` and leave it as it was when they say false. */

/* A chain, in order, and its key: RSA of 2048 to 4096 bits, EC P-256 or P-384; the key PKCS#8 or
 * traditional. */
bool cert_pack_pair(struct slice chain_pem, struct slice key_pem, struct buf *pack,
		    struct cert_fault *);
/* A bundle of trust anchors. Those of a kind we cannot use are left out, and the *expired ones that
 * have expired by now; false: none is left. */
bool cert_pack_anchors(struct slice pem, int64_t unix_seconds, struct buf *pack, size_t *expired,
		       const char **why);
/* A fresh P-256 key and a certificate for it, good for ten years, for localhost, 127.0.0.1, ::1 and
 * this name (n == 0: none). False: no random bytes, or no room. */
bool cert_pack_self_signed(struct slice name, int64_t unix_seconds, struct buf *pack);

/* The next part of a pack; false at its end. */
bool cert_pack_next(struct slice *pack, enum cert_part *, struct slice *der);

/* Whether a certificate's subjectAltName has this address (4 or 16 bytes). */
bool cert_names_ip(struct slice der, struct slice ip);
/* Whether it has a subjectAltName at all: a common name names nobody (RFC 9525). */
bool cert_has_names(struct slice der);
/* False: it has an extended key usage, and that is another. */
bool cert_is_for_servers(struct slice der);

enum cert_age { CERT_IN_TIME, CERT_NOT_YET, CERT_EXPIRED };
enum cert_age cert_age_of(struct slice der, int64_t unix_seconds);

#endif
