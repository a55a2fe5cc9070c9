/* SPDX-License-Identifier: MIT */
/* der.h: ASN.1's tag-length-value bytes (X.690, DER), as certificates are made of: read piece by
 * piece, written from the outside in. Tags of one byte, definite lengths below 16 MiB. */
#ifndef BASE_DER_H
#define BASE_DER_H

#include "base/buf.h"

enum {
	DER_BOOLEAN = 0x01,
	DER_INTEGER = 0x02,
	DER_BIT_STRING = 0x03,
	DER_OCTET_STRING = 0x04,
	DER_OID = 0x06,
	DER_UTF8 = 0x0c,
	DER_UTC_TIME = 0x17,
	DER_TIME = 0x18,
	DER_SEQUENCE = 0x30,
	DER_SET = 0x31,
	DER_CONTEXT = 0x80, /* + number; constructed ones have DER_CONSTRUCTED, too */
	DER_CONSTRUCTED = 0x20,
};

/* Cuts the next element off; false at the end, and where no element is. */
bool der_next(struct slice *in, unsigned *tag, struct slice *content);
/* The same, when it has this tag; else false, and nothing is cut off. */
bool der_take(struct slice *in, unsigned tag, struct slice *content);

/* Writers say false when there is no room. An element may be left open for others inside. */
bool der_put(struct buf *, unsigned tag, struct slice content);
bool der_open(struct buf *, unsigned tag, size_t *mark);
bool der_close(struct buf *, size_t mark);

#endif
