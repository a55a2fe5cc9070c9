/* SPDX-License-Identifier: MIT */
/* dial.c: resolve, connect, next address, deadline. */
#include "app/dial.h"
#include "io/mem.h"
#include "io/sock.h"

enum {
	ATTEMPTS = 512,
	NAME_FRESH_MS = 30000, /* how long an answer of the resolver is used */
};

struct attempt {
	struct dial *dial;
	dial_fn *fn;
	void *ctx;
	const void *owner;
	struct attempt *next; /* free list */
	struct loop_handle handle;
	struct timer timer;
	struct loop_later
		later; /* a failure that is known at once is told at the end of the turn */
	enum connect_fault fault;
	const char *why;
	int fd;
	uint32_t at;       /* address tried */
	bool busy, naming; /* in use; waits for the name */
};

struct dial {
	struct loop *loop;
	const struct url *url;
	int64_t timeout_ms;
	struct tls_side *tls;
	struct resolve_answer names;
	int64_t named_ms;
	bool literal, asking;
	int ask_fd;
	struct loop_handle ask_handle;
	struct attempt *free;
	struct attempt attempts[ATTEMPTS];
};

static void try_address(struct attempt *);

struct dial *dial_open(struct loop *loop, const struct url *url, int64_t timeout_ms,
		       struct tls_side *tls)
{
	struct dial *d = mem_pages(sizeof(*d));
	size_t i;

	if (d == NULL)
		return NULL;
	d->loop = loop;
	d->url = url;
	d->timeout_ms = timeout_ms;
	d->tls = tls;
	d->literal = resolve_literal(url->host, &d->names.addrs[0]);
	d->names.count = d->literal;
	for (i = ATTEMPTS; i > 0; i--) {
		d->attempts[i - 1].next = d->free;
		d->free = &d->attempts[i - 1];
	}
	return d;
}

struct tls_side *dial_tls(const struct dial *d)
{
	return d->tls;
}

static void attempt_close(struct attempt *a)
{
	struct dial *d = a->dial;

	loop_remove(d->loop, &a->handle);
	loop_timer_clear(d->loop, &a->timer);
	loop_later_cancel(&a->later);
	sock_close(a->fd);
	a->fd = -1;
	a->busy = a->naming = false;
	a->next = d->free;
	d->free = a;
}

static void settle(struct attempt *a, int fd, enum connect_fault fault, const char *why)
{
	dial_fn *fn = a->fn;
	void *ctx = a->ctx;

	if (fd >= 0) {
		loop_remove(a->dial->loop, &a->handle);
		a->fd = -1;
	}
	attempt_close(a);
	fn(ctx, fd, fault, why);
}

static enum connect_fault fault_of(const char *why)
{
	return strcmp(why, "Connection refused") == 0 ? CONNECT_REFUSED : CONNECT_OTHER;
}

static void next_address(struct attempt *a, const char *why)
{
	loop_remove(a->dial->loop, &a->handle);
	sock_close(a->fd);
	a->fd = -1;
	a->fault = fault_of(why);
	a->why = why;
	if (++a->at < a->dial->names.count)
		try_address(a);
	else
		loop_later(a->dial->loop, &a->later);
}

static void on_failure(void *ctx, unsigned events)
{
	struct attempt *a = ctx;

	(void)events;
	settle(a, -1, a->fault, a->why);
}

static void on_writable(void *ctx, unsigned events)
{
	struct attempt *a = ctx;
	const char *why = sock_connect_result(a->fd);

	(void)events;
	if (why != NULL)
		next_address(a, why);
	else
		settle(a, a->fd, CONNECT_OK, NULL);
}

static void try_address(struct attempt *a)
{
	struct dial *d = a->dial;
	struct sock_addr addr = d->names.addrs[a->at];
	const char *why = "out of descriptors";

	addr.port = (uint16_t)d->url->port;
	a->fd = sock_connect(&addr, &why);
	if (a->fd >= 0)
		a->handle = loop_add(d->loop, a->fd, LOOP_WRITE, on_writable, a);
	if (a->fd < 0 || a->handle.gen == 0)
		next_address(a, why);
}

/* ---- names ---- */

static void on_name(void *ctx, unsigned events)
{
	struct dial *d = ctx;
	struct resolve_answer answer;
	bool got = resolve_finish(d->ask_fd, &answer) && answer.count > 0;
	size_t i;

	(void)events;
	loop_remove(d->loop, &d->ask_handle);
	sock_close(d->ask_fd);
	d->asking = false;
	if (got) {
		d->names = answer;
		d->named_ms = loop_now(d->loop);
	}
	for (i = 0; i < ATTEMPTS; i++) {
		struct attempt *a = &d->attempts[i];

		if (!a->busy || !a->naming)
			continue;
		a->naming = false;
		if (d->names.count > 0)
			try_address(a);
		else
			settle(a, -1, CONNECT_NAME, "its name has no address");
	}
}

static bool ask_name(struct dial *d)
{
	int pid;

	if (d->asking)
		return true;
	d->ask_fd = resolve_start(d->url->host, &pid);
	if (d->ask_fd < 0)
		return false;
	d->ask_handle = loop_add(d->loop, d->ask_fd, LOOP_READ, on_name, d);
	d->asking = d->ask_handle.gen != 0;
	if (!d->asking)
		sock_close(d->ask_fd);
	return d->asking;
}

static bool name_is_fresh(const struct dial *d)
{
	return d->literal ||
	       (d->names.count > 0 && loop_now(d->loop) - d->named_ms < NAME_FRESH_MS);
}

/* ---- attempts ---- */

static void on_timer(void *ctx, int64_t now)
{
	struct attempt *a = ctx;

	(void)now;
	if (a->naming)
		settle(a, -1, CONNECT_NAME, "its name was not resolved in time");
	else
		settle(a, -1, CONNECT_TIMEOUT, "no connection in time");
}

bool dial_start(struct dial *d, dial_fn *fn, void *ctx, const void *owner)
{
	struct attempt *a = d->free;

	if (a == NULL)
		return false;
	d->free = a->next;
	memset(a, 0, sizeof(*a));
	a->dial = d;
	a->fn = fn;
	a->ctx = ctx;
	a->owner = owner;
	a->fd = -1;
	a->busy = true;
	a->later.fn = on_failure;
	a->later.ctx = a;
	timer_init(&a->timer, on_timer, a);
	loop_timer_after(d->loop, &a->timer, d->timeout_ms);
	if (!name_is_fresh(d) && d->names.count > 0)
		ask_name(d); /* for the next ones; meanwhile the old answer serves */
	if (d->names.count > 0) {
		try_address(a);
		return true;
	}
	a->naming = true;
	if (!ask_name(d)) {
		a->naming = false;
		a->fault = CONNECT_NAME;
		a->why = "its name cannot be looked up";
		loop_later(d->loop, &a->later);
	}
	return true;
}

void dial_forget(struct dial *d, const void *owner)
{
	size_t i;

	for (i = 0; i < ATTEMPTS; i++)
		if (d->attempts[i].busy && d->attempts[i].owner == owner)
			attempt_close(&d->attempts[i]);
}
