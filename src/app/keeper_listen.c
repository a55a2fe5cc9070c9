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

static bool is_same(const struct sock_addr *a, const struct sock_addr *b)
{
	return memcmp(a->ip, b->ip, sizeof(a->ip)) == 0 && a->port == b->port;
}

/* All that were handed over for one address; others would escape the rules for it. */
static bool adopt_listeners(struct keeper_group *g)
{
	struct sock_addr local;
	unsigned i, count;
	int first;

	if (g->hidden)
		return false;
	count = sock_listen_fds(&first);
	for (i = 0; i < count; i++) {
		int fd = first + (int)i;

		if (!sock_adopt_listener(fd) || !sock_local(fd, &local))
			continue;
		if (g->listener_count == 0)
			g->config.listen = local;
		if (is_same(&local, &g->config.listen))
			g->listeners[g->listener_count++] = fd;
	}
	return g->listener_count > 0;
}

bool keeper_listen(struct keeper_group *g)
{
	const char *why = NULL;
	bool several = g->workers > 1;
	unsigned i;

	if (adopt_listeners(g))
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
