/* SPDX-License-Identifier: MIT */
/* tls.h: who speaks TLS here, and with what. The keeper reads certificates, keys and trust anchors,
 * and shows them to its workers in memory that those cannot write, with a sequence number; a worker
 * makes them ready for use, and anew when the number has changed. So SIGHUP is: read, write, done. */
#ifndef APP_TLS_H
#define APP_TLS_H

#include "app/config.h"
#include "io/mem.h"
#include "io/stream.h"

/* ---- the keeper's side ---- */

struct tls_shared;
struct tls_source;

/* Reads what --tls and --ollama-ca name. NULL: it cannot be used, and `why` says it in one line. */
struct tls_source *tls_source_open(const struct config *, struct buf *why);
/* Reads it again; a bad file keeps the old one, and the log says so. False: there are no files. */
bool tls_source_reload(struct tls_source *, struct log *);
/* Says what is doubtful about them: what has expired, and is shown all the same, or left out. */
void tls_source_warn(const struct tls_source *, struct log *);
/* In a worker: from now on it can only read them. False: no memory. */
bool tls_source_fix(const struct tls_source *);
const struct tls_shared *tls_source_shared(const struct tls_source *);

/* ---- whoever opens streams ---- */

struct tls_side;

/* For a listener with TLS. NULL: no memory. */
struct tls_side *tls_server_open(struct mem *, const struct tls_shared *);
/* Towards an https upstream: its certificate must be for the URL's host. NULL: no memory. */
struct tls_side *tls_client_open(struct mem *, const struct tls_shared *, const struct url *,
				 const struct clock *);

/* A stream over a connected descriptor, which is the stream's from then on: TLS, or a plain one where
 * the side is NULL. False: no memory; the descriptor is closed. */
bool tls_stream_open(struct tls_side *, struct stream *, int fd);

#endif
