/* SPDX-License-Identifier: MIT */
/* access.h: may this request go on? Who the client is, which Host and which Origin it names, which
 * key it shows, and how many it made. */
#ifndef APP_ACCESS_H
#define APP_ACCESS_H

#include "app/conn.h"

/* Fills the request's client, key, party, id and allowed origin. */
void access_identify(struct conn *);
/* False: it was answered (421, 403, 401, 429, or a preflight's 204). */
bool access_allow(struct conn *);
/* Whether this request comes straight from a peer that may see inner details: no proxy stands
 * between, or the client is in --admin-from. */
bool access_is_admin(const struct conn *);

#endif
