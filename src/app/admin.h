/* SPDX-License-Identifier: MIT */
/* admin.h: the routes that change which models Ollama has; only with --allow-admin. A model may be
 * any, whatever --models and --model-alias say. */
#ifndef APP_ADMIN_H
#define APP_ADMIN_H

#include "app/conn.h"

void admin_stream(struct conn *); /* pull, push, create: progress, line by line */
void admin_whole(struct conn *);  /* copy, delete */
void admin_blob(struct conn *);   /* HEAD and POST /api/blobs/sha256:HEX */

#endif
