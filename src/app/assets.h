/* SPDX-License-Identifier: MIT */
/* assets.h: the page, embedded. The table is written at build time by src/web/embed.sh. */
#ifndef APP_ASSETS_H
#define APP_ASSETS_H

#include "base/base.h"

/* One file of the page in its three representations. All bytes live in the program's read-only
 * image: nobody owns or frees them. */
struct asset {
	struct slice path;     /* "/assets/app-AB12CD34.js"; begins with a slash */
	struct slice type;     /* Content-Type's value, with charset where there is one */
	struct slice etag;     /* of the identity bytes, strong, with its quotes */
	bool immutable;        /* the name carries a hash: may be cached for ever */
	struct slice identity; /* the file */
	struct slice gzip, br; /* the same, coded; n == 0: not there, for it would not be smaller */
};

extern const struct asset assets[]; /* sorted by path, as memcmp sorts */
extern const size_t assets_count;

#endif
