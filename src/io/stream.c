/* SPDX-License-Identifier: MIT */
/* stream.c: the plain-socket kind of stream. */
#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "io/stream.h"

static enum io verdict(int err)
{
	switch (err) {
	case EAGAIN:
		return IO_AGAIN;
	case ECONNRESET:
	case EPIPE:
	case ETIMEDOUT:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case ENOTCONN:
	case ECONNREFUSED:
	case ECONNABORTED:
		return IO_CUT;
	default:
		return IO_FAIL;
	}
}

static enum io sock_read(struct stream *s, void *dst, size_t cap, size_t *n)
{
	ssize_t got;

	*n = 0;
	do
		got = recv(s->fd, dst, cap, 0);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return verdict(errno);
	*n = (size_t)got;
	return got > 0 ? IO_OK : IO_EOF;
}

static enum io sock_write(struct stream *s, const struct slice *parts, size_t count, size_t *n)
{
	struct iovec iov[STREAM_PARTS_MAX];
	struct msghdr msg = { 0 };
	ssize_t sent;
	size_t i;

	*n = 0;
	msg.msg_iov = iov;
	for (i = 0; i < count && msg.msg_iovlen < STREAM_PARTS_MAX; i++) {
		if (parts[i].n == 0)
			continue;
		iov[msg.msg_iovlen].iov_base = (void *)(uintptr_t)parts[i].p;
		iov[msg.msg_iovlen].iov_len = parts[i].n;
		msg.msg_iovlen++;
	}
	if (msg.msg_iovlen == 0)
		return IO_OK;
	do
		sent = sendmsg(s->fd, &msg, MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return errno == ENOBUFS || errno == ENOMEM ? IO_AGAIN : verdict(errno);
	*n = (size_t)sent;
	return IO_OK;
}

static enum io sock_flush(struct stream *s)
{
	(void)s;
	return IO_OK;
}

static enum io sock_finish(struct stream *s)
{
	return shutdown(s->fd, SHUT_WR) == 0 ? IO_OK : verdict(errno);
}

static void sock_close(struct stream *s)
{
	close(s->fd);
}

static unsigned sock_await(const struct stream *s, unsigned wish)
{
	(void)s;
	return wish;
}

static bool sock_ready(const struct stream *s)
{
	(void)s;
	return false;
}

static size_t sock_pending(const struct stream *s)
{
	(void)s;
	return 0;
}

static const char *sock_why(const struct stream *s)
{
	(void)s;
	return NULL;
}

const struct stream_kind stream_sock = {
	sock_read,  sock_write, sock_flush,   sock_finish, sock_close,
	sock_await, sock_ready, sock_pending, sock_why,
};

void stream_init_sock(struct stream *s, int fd)
{
	s->kind = &stream_sock;
	s->fd = fd;
	s->cut = false;
	s->state = NULL;
}

void stream_close(struct stream *s)
{
	if (s->fd < 0)
		return;
	s->kind->close(s);
	s->fd = -1;
}

void stream_reset(struct stream *s)
{
	struct linger now = { 1, 0 };

	if (s->fd < 0)
		return;
	setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	s->cut = true;
	stream_close(s);
}
