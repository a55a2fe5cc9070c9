/* SPDX-License-Identifier: MIT */
/* sock.h: sockets: listening, accepting, connecting, and passing descriptors between processes.
 * All descriptors are non-blocking and close-on-exec. */
#ifndef IO_SOCK_H
#define IO_SOCK_H

#include "base/base.h"

/* An IPv4 address is kept in mapped form (::ffff:a.b.c.d). */
struct sock_addr {
	uint8_t ip[16];
	uint16_t port;
	bool v6; /* which family to open; ::1 and friends */
};

/* A listening TCP socket with TCP_NODELAY (accepted sockets inherit it) and the largest backlog.
 * `shared`: SO_REUSEPORT, one of several with the same address. -1: errno text in *why. */
int sock_listen(const struct sock_addr *, bool shared, const char **why);
bool sock_local(int fd, struct sock_addr *); /* false: not an IP socket */
bool sock_addr_eq(const struct sock_addr *, const struct sock_addr *);
enum sock_accept {
	SOCK_ACCEPTED,
	SOCK_ACCEPT_LOST,   /* a connection that died before we took it: try the next */
	SOCK_ACCEPT_NONE,   /* nothing to accept now */
	SOCK_ACCEPT_FULL,   /* no descriptor or no memory left */
	SOCK_ACCEPT_BROKEN, /* the listener itself: trying again now would fail again */
};
/* The next connection. */
enum sock_accept sock_accept(int listener, int *fd, struct sock_addr *peer);

/* Starts to connect. -1: failed at once, *why says it. Else wait for writability, then ask
 * sock_connect_result(). */
int sock_connect(const struct sock_addr *, const char **why);
const char *sock_connect_result(int fd);  /* NULL: connected */
bool sock_wait_connected(int fd, int ms); /* blocks; only before a loop runs */
bool sock_is_stale(int fd); /* an idle connection that has seen EOF, an error, or stray bytes */
/* From now on its close, also by the death of this process, is a reset; or an end in order again. */
void sock_reset_on_close(int fd, bool on);
void sock_close(int fd); /* -1 is fine */

/* A pair of connected SOCK_SEQPACKET sockets: each write is one message, whole. */
bool sock_pair(int pair[2]);
/* Sends one message, with a descriptor when pass >= 0 (ours stays open). False: full or closed. */
bool sock_send_message(int fd, const void *msg, size_t n, int pass);
/* Receives one message of exactly n bytes: 1; nothing there: 0; the other side is gone: -1.
 * *passed gets the descriptor that came with it, or -1. */
int sock_receive_message(int fd, void *msg, size_t n, int *passed);
/* From now on the other side's sending fails; what it sent before can still be received. */
void sock_stop_hearing(int fd);
/* Any message, up to cap bytes; -1 gone, 0 nothing. */
long sock_receive_any(int fd, void *msg, size_t cap);

/* Descriptors handed over by socket activation (LISTEN_PID, LISTEN_FDS): how many, first in *first. */
unsigned sock_listen_fds(int *first);
bool sock_adopt_listener(
	int fd); /* checks and prepares one; false: it is no listening TCP socket */

#endif
