/* SPDX-License-Identifier: MIT */
/* stream_tls.h: the TLS kind of stream, for servers and clients: TLS 1.2, ECDHE with AES-GCM or
 * ChaCha20-Poly1305, no renegotiation, ALPN http/1.1.
 *
 * A stream borrows one block for its engine, records and all, until it is closed: STREAM_TLS_BLOCK
 * bytes of address space, of which the two record buffers (16 KiB each) are touched only as far as
 * records are long. Handshakes run inside read, write and flush; a stream is fit for use when flush
 * says OK. An end without close_notify reads as IO_CUT. */
#ifndef IO_STREAM_TLS_H
#define IO_STREAM_TLS_H

#include "io/mem.h"
#include "io/stream.h"

enum { STREAM_TLS_BLOCK = 64 * 1024 };

/* A pack (cert.h) made ready for use: a server's chain and key, or a client's trust anchors. Streams
 * need it only until their handshake is over; closing it waits for those. */
struct tls_creds;
struct tls_creds *tls_creds_open(struct mem *,
				 struct slice pack); /* NULL: no memory, or no such pack */
void tls_creds_close(struct tls_creds *);            /* may be NULL */

/* Both take the descriptor when they say true; false: no memory, or no random bytes. */

/* `refusal` is sent in the clear to a peer that does not speak TLS; it must outlive the stream. */
bool stream_init_tls_server(struct stream *, int fd, struct mem *, struct tls_creds *,
			    struct slice refusal);

/* Whom a client side wants to talk to. */
struct tls_peer {
	const char *name;     /* as its certificate must have it; NULL: by address */
	struct slice ip;      /* 4 or 16 bytes, when there is no name */
	int64_t unix_seconds; /* now, for certificates that expire */
};
/* The name must last until the handshake is over. */
bool stream_init_tls_client(struct stream *, int fd, struct mem *, struct tls_creds *,
			    const struct tls_peer *);

#endif
