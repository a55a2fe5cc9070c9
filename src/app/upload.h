/* SPDX-License-Identifier: MIT */
/* upload.h: a request whose body goes on to the upstream as it comes, of any length, in bounded
 * memory: what the upstream does not take is not read from the client. Never sent twice. */
#ifndef APP_UPLOAD_H
#define APP_UPLOAD_H

#include "app/conn.h"

/* From here on the upload answers the connection. `head`: the request's, for the upstream, with the
 * framing the client chose; good until the connection to the upstream is there. */
void upload_start(struct conn *, struct slice head);

#endif
