/* SPDX-License-Identifier: MIT */
/* sock.c: sockets and descriptor passing. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/sock.h"

enum {
	BACKLOG = 65535, /* the kernel lowers it to net.core.somaxconn */
	/* What the kernel keeps unsent for a slow peer, instead of megabytes of its send buffer. */
	UNSENT_MAX = 64 * 1024,
};

union any_addr {
	struct sockaddr sa;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

static socklen_t addr_to_kernel(const struct sock_addr *a, union any_addr *out)
{
	memset(out, 0, sizeof(*out));
	if (a->v6) {
		out->v6.sin6_family = AF_INET6;
		out->v6.sin6_port = htons(a->port);
		memcpy(&out->v6.sin6_addr, a->ip, 16);
		return sizeof(out->v6);
	}
	out->v4.sin_family = AF_INET;
	out->v4.sin_port = htons(a->port);
	memcpy(&out->v4.sin_addr, a->ip + 12, 4);
	return sizeof(out->v4);
}

static void addr_from_kernel(const union any_addr *in, struct sock_addr *a)
{
	memset(a, 0, sizeof(*a));
	if (in->sa.sa_family == AF_INET6) {
		a->v6 = true;
		a->port = ntohs(in->v6.sin6_port);
		memcpy(a->ip, &in->v6.sin6_addr, 16);
		return;
	}
	memcpy(a->ip, mapped, 12);
	if (in->sa.sa_family == AF_INET) {
		a->port = ntohs(in->v4.sin_port);
		memcpy(a->ip + 12, &in->v4.sin_addr, 4);
	}
}

int sock_listen(const struct sock_addr *a, bool shared, const char **why)
{
	union any_addr addr;
	socklen_t n = addr_to_kernel(a, &addr);
	int on = 1, off = 0, lowat = UNSENT_MAX;
	int fd = socket(addr.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		goto fail;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof(lowat));
	if (a->v6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0)
		goto fail;
	if (bind(fd, &addr.sa, n) != 0 || listen(fd, BACKLOG) != 0)
		goto fail;
	return fd;
fail:
	*why = strerror(errno);
	if (fd >= 0)
		close(fd);
	return -1;
}

bool sock_local(int fd, struct sock_addr *a)
{
	union any_addr addr;
	socklen_t n = sizeof(addr);

	if (getsockname(fd, &addr.sa, &n) != 0)
		return false;
	if (addr.sa.sa_family != AF_INET && addr.sa.sa_family != AF_INET6)
		return false;
	addr_from_kernel(&addr, a);
	return true;
}

bool sock_addr_eq(const struct sock_addr *a, const struct sock_addr *b)
{
	return memcmp(a->ip, b->ip, sizeof(a->ip)) == 0 && a->port == b->port;
}

static enum sock_accept accept_failure(int err)
{
	switch (err) {
	case EAGAIN:
		return SOCK_ACCEPT_NONE;
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case ENOBUFS:
		return SOCK_ACCEPT_FULL;
	case ECONNABORTED: /* and what Linux passes on of a connection's own errors, accept(2) */
	case EPROTO:
	case ENOPROTOOPT:
	case ENETDOWN:
	case ENETUNREACH:
	case ENONET:
	case EHOSTDOWN:
	case EHOSTUNREACH:
	case ETIMEDOUT:
		return SOCK_ACCEPT_LOST;
	default:
		return SOCK_ACCEPT_BROKEN;
	}
}

enum sock_accept sock_accept(int listener, int *fd, struct sock_addr *peer)
{
	union any_addr addr;
	socklen_t n = sizeof(addr);

	do
		*fd = accept4(listener, &addr.sa, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
	while (*fd < 0 && errno == EINTR);
	if (*fd < 0)
		return accept_failure(errno);
	addr_from_kernel(&addr, peer);
	return SOCK_ACCEPTED;
}

int sock_connect(const struct sock_addr *a, const char **why)
{
	union any_addr addr;
	socklen_t n = addr_to_kernel(a, &addr);
	int on = 1;
	int fd = socket(addr.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0) {
		*why = strerror(errno);
		return -1;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, &addr.sa, n) != 0 && errno != EINPROGRESS && errno != EINTR) {
		*why = strerror(errno);
		close(fd);
		return -1;
	}
	return fd;
}

const char *sock_connect_result(int fd)
{
	int err = 0;
	socklen_t n = sizeof(err);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &n) != 0)
		err = errno;
	return err == 0 ? NULL : strerror(err);
}

bool sock_wait_connected(int fd, int ms)
{
	struct pollfd p = { fd, POLLOUT, 0 };

	return poll(&p, 1, ms) == 1 && sock_connect_result(fd) == NULL;
}

bool sock_is_stale(int fd)
{
	char c;

	return recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || errno != EAGAIN;
}

void sock_reset_on_close(int fd, bool on)
{
	struct linger l = { on, 0 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
}

void sock_close(int fd)
{
	if (fd >= 0)
		close(fd);
}

bool sock_pair(int pair[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0;
}

bool sock_send_message(int fd, const void *msg, size_t n, int pass)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { (void *)(uintptr_t)msg, n };
	struct msghdr m = { 0 };
	ssize_t sent;

	m.msg_iov = &iov;
	m.msg_iovlen = 1;
	if (pass >= 0) {
		struct cmsghdr *c;

		memset(&control, 0, sizeof(control));
		m.msg_control = control.space;
		m.msg_controllen = sizeof(control.space);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &pass, sizeof(int));
	}
	do
		sent = sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (sent < 0 && errno == EINTR);
	return sent == (ssize_t)n;
}

int sock_receive_message(int fd, void *msg, size_t n, int *passed)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { msg, n };
	struct msghdr m = { 0 };
	struct cmsghdr *c;
	ssize_t got;

	*passed = -1;
	m.msg_iov = &iov;
	m.msg_iovlen = 1;
	m.msg_control = control.space;
	m.msg_controllen = CMSG_LEN(sizeof(int)); /* the kernel closes what is beyond the first */
	do
		got = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == EAGAIN || errno == ENOMEM || errno == ENOBUFS ? 0 : -1;
	for (c = CMSG_FIRSTHDR(&m); c != NULL; c = CMSG_NXTHDR(&m, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			memcpy(passed, CMSG_DATA(c), sizeof(int));
	if (got == (ssize_t)n)
		return 1;
	sock_close(*passed);
	*passed = -1;
	return -1;
}

long sock_receive_any(int fd, void *msg, size_t cap)
{
	ssize_t got;

	do
		got = recv(fd, msg, cap, MSG_DONTWAIT);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == EAGAIN ? 0 : -1;
	return got > 0 ? got : -1;
}

void sock_stop_hearing(int fd)
{
	shutdown(fd, SHUT_RD);
}

unsigned sock_listen_fds(int *first)
{
	const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
	unsigned n = 0;

	*first = 3; /* SD_LISTEN_FDS_START, sd_listen_fds(3) */
	if (pid != NULL && fds != NULL && strtol(pid, NULL, 10) == (long)getpid())
		n = (unsigned)strtoul(fds, NULL, 10);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return n;
}

bool sock_adopt_listener(int fd)
{
	struct sock_addr local;
	int on = 1, lowat = UNSENT_MAX, listening = 0, flags = fcntl(fd, F_GETFL);
	socklen_t n = sizeof(listening);

	if (flags < 0 || !sock_local(fd, &local))
		return false;
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &n) != 0 || !listening)
		return false;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof(lowat));
	return fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}
