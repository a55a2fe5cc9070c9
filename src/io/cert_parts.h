/* SPDX-License-Identifier: MIT */
/* cert_parts.h: what the parts of certificates (cert.c, cert_make.c) know of each other, and nobody
 * else: how packs are written. */
#ifndef IO_CERT_PARTS_H
#define IO_CERT_PARTS_H

#include "io/cert.h"

enum { CERT_PART_HEAD = 4 /* its kind, then its length in three bytes */ };

static const struct slice cert_oid_alt_name = SLICE_INIT("\x55\x1d\x11");

/* Begins a part; its DER is appended next. False: no room. */
bool cert_part_open(struct buf *pack, size_t *mark);
void cert_part_close(struct buf *pack, size_t mark, enum cert_part);
/* Back to the first n bytes. */
void cert_pack_cut(struct buf *pack, size_t n);

#endif
