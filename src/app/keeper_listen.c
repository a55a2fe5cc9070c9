/* SPDX-License-Identifier: MIT */
/* keeper_listen.c: listening sockets: opened, or adopted from whoever started us. */
#include "app/keeper.h"
#include "io/proc.h"
#include "io/sock.h"

static void complain(struct slice listen, const char *why)
{
	char mem[512];
	struct buf b;

	buf_init(&b, mem, sizeof(mem));
	buf_put_str(&b, "ollachat: cannot listen on ");
	buf_put(&b, slice_make(listen.p, MIN(listen.n, (size_t)256)));
	buf_put_str(&b, ": ");
	buf_put_str(&b, why);
	buf_put_byte(&b, '\n');
	proc_write_stderr(buf_view(&b));
}

/* Sockets with SO_REUSEPORT would share a port with a stranger's in silence: a plain one first
 * finds out whether the port is free. */
static bool port_is_free(struct sock_addr *a, const char **why)
{
	int fd = sock_listen(a, false, why);

	if (fd < 0)
		return false;
	sock_local(fd, a); /* port 0 has become one */
	sock_close(fd);
	return true;
}

static bool is_loopback(const struct sock_addr *a)
{
	struct ip_addr ip;

	memcpy(ip.b, a->ip, sizeof(ip.b));
	return ip_is_loopback(&ip);
}

/* NULL: taken; or why it cannot be. The first one's address stands for all: whether it is a loopback
 * address decides who is let in. */
static const char *adopt(struct keeper_group *g, int fd)
{
	struct sock_addr local;

	if (!sock_adopt_listener(fd) || !sock_local(fd, &local))
		return "one of them is no listening TCP socket";
	if (g->listener_count == 0)
		g->config.listen = local;
	if (is_loopback(&local) != is_loopback(&g->config.listen))
		return "some are on a loopback address and some are not, so their rules would "
		       "differ";
	g->listeners[g->listener_count++] = fd;
	return NULL;
}

/* All that were handed over, or none: a socket that nobody accepts from would hold its clients up. */
static bool adopt_listeners(struct keeper_group *g)
{
	const char *why = NULL;
	unsigned i, count;
	int first;

	count = sock_listen_fds(&first);
	if (count > SHARED_WORKERS_MAX)
		why = "they are more than 64";
	for (i = 0; i < count && why == NULL; i++)
		why = adopt(g, first + (int)i);
	if (why != NULL)
		complain(SLICE("the sockets of LISTEN_FDS"), why);
	return why == NULL;
}

bool keeper_listen(struct keeper_group *g)
{
	const char *why = NULL;
	bool several = g->workers > 1;
	unsigned i;

	if (!g->hidden && !adopt_listeners(g))
		return false;
	if (g->listener_count > 0)
		return true;
	if (several && !port_is_free(&g->config.listen, &why)) {
		complain(g->config.listen_text, why);
		return false;
	}
	for (i = 0; i < g->workers; i++) {
		g->listeners[i] = sock_listen(&g->config.listen, several, &why);
		if (g->listeners[i] < 0) {
			complain(g->config.listen_text, why);
			return false;
		}
		sock_local(g->listeners[i], &g->config.listen);
		g->listener_count++;
	}
	return true;
}
