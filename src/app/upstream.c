/* SPDX-License-Identifier: MIT */
/* upstream.c: pool of connections to the upstream. */
#include "app/upstream.h"
#include "app/tls.h"
#include "io/sock.h"

enum {
	KEPT_MAX = 32,
	IDLE_MS = 55000,
	ASKED_MAX = 64, /* connects asked of the keeper at a time */
	BLOCK = 4096,   /* connections are cut from such blocks */
};

struct upstream_pool {
	struct server *server;
	struct tls_side *tls;  /* NULL: plain HTTP */
	struct upstream *kept; /* latest used first */
	unsigned kept_count;
	struct upstream *free;
	struct upstream_wait *head, *tail; /* first come, first served */
	unsigned waiting, asked;           /* asked: of the keeper, or in their handshake */
};

struct upstream_pool *upstream_pool_open(struct server *s)
{
	size_t cap;
	struct upstream_pool *p = mem_take(&s->mem, sizeof(*p), &cap);

	if (p == NULL)
		return NULL;
	memset(p, 0, sizeof(*p));
	p->server = s;
	if (!s->start->upstream->https)
		return p;
	p->tls = tls_client_open(&s->mem, s->start->tls, s->start->upstream, s->env.clock);
	return p->tls != NULL ? p : NULL;
}

static void shake(struct upstream *);

/* ---- records ---- */

static struct upstream *record_take(struct upstream_pool *p)
{
	struct upstream *up = p->free;
	size_t cap, i;

	if (up == NULL) {
		up = mem_take(&p->server->mem, BLOCK, &cap);
		if (up == NULL)
			return NULL;
		for (i = 0; i < cap / sizeof(*up); i++) {
			up[i].next = p->free;
			p->free = &up[i];
		}
		up = p->free;
	}
	p->free = up->next;
	memset(up, 0, sizeof(*up));
	up->pool = p;
	return up;
}

static void record_close(struct upstream *up)
{
	struct upstream_pool *p = up->pool;

	loop_remove(p->server->env.loop, &up->handle);
	loop_timer_clear(p->server->env.loop, &up->timer);
	loop_later_cancel(&up->later);
	stream_close(&up->stream);
	up->next = p->free;
	p->free = up;
}

/* ---- kept connections ---- */

static void kept_remove(struct upstream *up)
{
	struct upstream_pool *p = up->pool;

	up->idle = false;
	if (up->prev != NULL)
		up->prev->next = up->next;
	else
		p->kept = up->next;
	if (up->next != NULL)
		up->next->prev = up->prev;
	p->kept_count--;
	loop_timer_clear(p->server->env.loop, &up->timer);
}

static void on_idle_timer(void *ctx, int64_t now)
{
	struct upstream *up = ctx;

	(void)now;
	kept_remove(up);
	record_close(up);
}

/* What the stream waits for changes with what it did; and bytes it holds already are no event. */
static void wish_again(struct upstream *up)
{
	struct loop *loop = up->pool->server->env.loop;

	loop_wish(loop, up->handle, stream_await(&up->stream, up->wish));
	if (up->wish & LOOP_READ && stream_ready(&up->stream))
		loop_later(loop, &up->later);
}

/* Whatever a silent connection says is its end, or nonsense. */
static void on_event(void *ctx, unsigned events)
{
	struct upstream *up = ctx;

	if (up->shaking) {
		shake(up);
		return;
	}
	if (up->idle) {
		kept_remove(up);
		record_close(up);
		return;
	}
	if (events & LOOP_WRITE)
		stream_flush(&up->stream); /* a failure is told by the reading side */
	up->on_ready(up->user, events);
	if (stream_is_open(&up->stream) && !up->idle) /* records outlive their connections */
		wish_again(up);
}

static void on_later(void *ctx, unsigned events)
{
	struct upstream *up = ctx;

	(void)events;
	if (stream_ready(&up->stream))
		on_event(up, LOOP_READ);
}

void upstream_use(struct upstream *up, loop_fn *on_ready, void *user, unsigned wish)
{
	up->on_ready = on_ready;
	up->user = user;
	up->served = true;
	upstream_wish(up, wish);
}

void upstream_wish(struct upstream *up, unsigned wish)
{
	up->wish = wish;
	wish_again(up);
}

/* ---- those who wait ---- */

static void wait_add(struct upstream_pool *p, struct upstream_wait *w)
{
	w->waiting = true;
	w->next = NULL;
	w->prev = p->tail;
	if (p->tail != NULL)
		p->tail->next = w;
	else
		p->head = w;
	p->tail = w;
	p->waiting++;
}

void upstream_cancel(struct upstream_pool *p, struct upstream_wait *w)
{
	if (!w->waiting)
		return;
	w->waiting = false;
	if (w->prev != NULL)
		w->prev->next = w->next;
	else
		p->head = w->next;
	if (w->next != NULL)
		w->next->prev = w->prev;
	else
		p->tail = w->prev;
	p->waiting--;
}

static void fail_first(struct upstream_pool *p, enum connect_fault fault, const char *why)
{
	struct upstream_wait *w = p->head;

	if (w == NULL)
		return;
	upstream_cancel(p, w);
	w->fn(w->ctx, NULL, fault, why);
}

static void ask_keeper(struct upstream_pool *p)
{
	struct wire w = { 0 };

	w.type = WIRE_CONNECT;
	while (p->asked < p->waiting && p->asked < ASKED_MAX) {
		if (!sock_send_message(p->server->start->channel, &w, sizeof(w), -1)) {
			while (p->asked == 0 &&
			       p->head != NULL) /* no reply will come to try again on */
				fail_first(p, CONNECT_OTHER, "the keeper does not listen");
			return;
		}
		p->asked++;
	}
}

static bool is_stale(const struct upstream *up)
{
	return stream_ready(&up->stream) || sock_is_stale(up->stream.fd);
}

void upstream_take(struct upstream_pool *p, struct upstream_wait *w)
{
	while (p->kept != NULL && !w->fresh) {
		struct upstream *up = p->kept;

		kept_remove(up);
		if (is_stale(up)) {
			record_close(up);
			continue;
		}
		up->reused = up->served;
		w->fn(w->ctx, up, CONNECT_OK, NULL);
		return;
	}
	wait_add(p, w);
	ask_keeper(p);
}

void upstream_give(struct upstream *up, bool keep)
{
	struct upstream_pool *p = up->pool;

	up->on_ready = NULL;
	if (!keep || p->kept_count >= KEPT_MAX || server_is_draining(p->server)) {
		record_close(up);
		return;
	}
	if (p->head != NULL && !p->head->fresh) {
		struct upstream_wait *w = p->head;

		if (is_stale(up)) { /* the one the keeper was asked for will come */
			record_close(up);
			return;
		}
		upstream_cancel(p, w);
		up->reused = up->served;
		w->fn(w->ctx, up, CONNECT_OK, NULL);
		return;
	}
	up->idle = true;
	up->prev = NULL;
	up->next = p->kept;
	if (p->kept != NULL)
		p->kept->prev = up;
	p->kept = up;
	p->kept_count++;
	timer_init(&up->timer, on_idle_timer, up);
	loop_timer_after(p->server->env.loop, &up->timer, IDLE_MS);
	upstream_wish(up, LOOP_READ | LOOP_PEER);
}

static void hand_over(struct upstream *up)
{
	struct upstream_wait *w = up->pool->head;

	if (w == NULL) { /* whoever asked has left; the next one is glad of it */
		upstream_give(up, true);
		return;
	}
	upstream_cancel(up->pool, w);
	w->fn(w->ctx, up, CONNECT_OK, NULL);
}

/* ---- handshakes ---- */

static void shaken(struct upstream *up, const char *why)
{
	struct upstream_pool *p = up->pool;

	p->asked--;
	up->shaking = false;
	loop_timer_clear(p->server->env.loop, &up->timer);
	if (why == NULL) {
		hand_over(up);
	} else {
		record_close(up);
		fail_first(p, CONNECT_OTHER, why);
	}
	ask_keeper(p);
}

static void shake(struct upstream *up)
{
	enum io r = stream_flush(&up->stream);
	const char *why = stream_why(&up->stream);

	if (r == IO_AGAIN)
		upstream_wish(up, 0);
	else if (r == IO_OK)
		shaken(up, NULL);
	else
		shaken(up, why != NULL ? why : "the TLS handshake broke off");
}

static void on_shake_timer(void *ctx, int64_t now)
{
	(void)now;
	shaken(ctx, "no TLS handshake in time");
}

static void shake_start(struct upstream *up)
{
	struct server *s = up->pool->server;

	up->pool->asked++;
	up->shaking = true;
	timer_init(&up->timer, on_shake_timer, up);
	loop_timer_after(s->env.loop, &up->timer, s->env.config->connect_timeout_ms);
	shake(up);
}

static void arrived(struct upstream_pool *p, int fd)
{
	struct upstream *up = record_take(p);

	if (up == NULL) {
		sock_close(fd);
		fail_first(p, CONNECT_OTHER, "out of memory");
		return;
	}
	timer_init(&up->timer, on_idle_timer, up);
	up->later.fn = on_later;
	up->later.ctx = up;
	if (!tls_stream_open(p->tls, &up->stream, fd)) {
		record_close(up);
		fail_first(p, CONNECT_OTHER, "out of memory");
		return;
	}
	up->handle = loop_add(p->server->env.loop, fd, 0, on_event, up);
	if (up->handle.gen == 0) {
		record_close(up);
		fail_first(p, CONNECT_OTHER, "out of descriptors");
	} else if (p->tls != NULL) {
		shake_start(up);
	} else {
		hand_over(up);
	}
}

void upstream_on_wire(struct upstream_pool *p, const struct wire *w, int fd)
{
	if (w->type != WIRE_CONNECTED && w->type != WIRE_FAILED) {
		sock_close(fd);
		return;
	}
	if (p->asked > 0)
		p->asked--;
	if (w->type == WIRE_CONNECTED && fd >= 0)
		arrived(p, fd);
	else
		fail_first(p, w->type == WIRE_FAILED ? (enum connect_fault)w->fault : CONNECT_OTHER,
			   w->type == WIRE_FAILED ? w->why : "no descriptor came");
	ask_keeper(p);
}
