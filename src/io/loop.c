/* SPDX-License-Identifier: MIT */
/* loop.c: epoll, timers, work put off, signals. */
#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "io/loop.h"
#include "io/mem.h"

enum { BATCH = 256, TURN_MAX_MS = 1000 /* so that a watchdog sees an idle loop turn */ };

struct slot {
	int fd;
	uint32_t gen;
	uint32_t wish;
	uint32_t next_free;
	loop_fn *fn;
	void *ctx;
};

struct loop {
	int epoll;
	int signals;
	bool stop;
	const struct clock *clock;
	int64_t now;
	uint32_t capacity, fresh, free_head; /* slots from `fresh` on were never used */
	struct slot *slots;
	struct timer_heap timers;
	struct loop_later later; /* a ring; this is where it begins and ends */
	loop_fn *signal_fn;
	void *signal_ctx;
	size_t bytes;
};

#define NO_SLOT UINT32_MAX

struct loop *loop_open(const struct clock *clock, uint32_t capacity)
{
	size_t head = (sizeof(struct loop) + 63) & ~(size_t)63;
	size_t bytes =
		head + capacity * sizeof(struct slot) + 2 * capacity * sizeof(struct timer *);
	char *mem = mem_pages(bytes);
	struct loop *l = (struct loop *)mem;

	if (mem == NULL)
		return NULL;
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll < 0) {
		munmap(mem, bytes);
		return NULL;
	}
	l->signals = -1;
	l->clock = clock;
	l->now = clock_mono(clock);
	l->capacity = capacity;
	l->free_head = NO_SLOT;
	l->slots = (struct slot *)(mem + head);
	l->later.next = l->later.prev = &l->later;
	l->bytes = bytes;
	timer_heap_init(&l->timers, (struct timer **)(l->slots + capacity), 2 * capacity);
	return l;
}

void loop_close(struct loop *l)
{
	close(l->epoll);
	if (l->signals >= 0)
		close(l->signals);
	munmap(l, l->bytes);
}

static uint32_t to_epoll(unsigned wish)
{
	uint32_t e = 0;

	if (wish & LOOP_READ)
		e |= EPOLLIN;
	if (wish & LOOP_WRITE)
		e |= EPOLLOUT;
	if (wish & LOOP_PEER)
		e |= EPOLLRDHUP;
	if (wish & LOOP_EXCLUSIVE)
		e |= EPOLLEXCLUSIVE;
	return e;
}

static unsigned from_epoll(uint32_t e)
{
	unsigned events = 0;

	if (e & EPOLLIN)
		events |= LOOP_READ;
	if (e & EPOLLOUT)
		events |= LOOP_WRITE;
	if (e & EPOLLRDHUP)
		events |= LOOP_HUP;
	if (e & (EPOLLERR | EPOLLHUP))
		events |= LOOP_ERROR;
	return events;
}

static struct slot *slot_take(struct loop *l)
{
	struct slot *s;

	if (l->free_head != NO_SLOT) {
		s = &l->slots[l->free_head];
		l->free_head = s->next_free;
		return s;
	}
	return l->fresh < l->capacity ? &l->slots[l->fresh++] : NULL;
}

static void slot_give(struct loop *l, struct slot *s)
{
	s->gen++;
	s->fn = NULL;
	s->next_free = l->free_head;
	l->free_head = (uint32_t)(s - l->slots);
}

static struct epoll_event event_of(const struct loop *l, const struct slot *s)
{
	struct epoll_event ev;

	ev.events = to_epoll(s->wish);
	ev.data.u64 = (uint64_t)s->gen << 32 | (uint32_t)(s - l->slots);
	return ev;
}

struct loop_handle loop_add(struct loop *l, int fd, unsigned wish, loop_fn *fn, void *ctx)
{
	struct slot *s = slot_take(l);
	struct epoll_event ev;

	if (s == NULL)
		return LOOP_NONE;
	if (s->gen == 0)
		s->gen = 1;
	s->fd = fd;
	s->wish = wish;
	s->fn = fn;
	s->ctx = ctx;
	ev = event_of(l, s);
	if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ev) != 0) {
		slot_give(l, s);
		return LOOP_NONE;
	}
	return (struct loop_handle){ (uint32_t)(s - l->slots), s->gen };
}

static struct slot *slot_find(struct loop *l, struct loop_handle h)
{
	struct slot *s;

	if (h.gen == 0 || h.slot >= l->fresh)
		return NULL;
	s = &l->slots[h.slot];
	return s->gen == h.gen && s->fn != NULL ? s : NULL;
}

void loop_wish(struct loop *l, struct loop_handle h, unsigned wish)
{
	struct slot *s = slot_find(l, h);
	struct epoll_event ev;
	uint32_t was;

	if (s == NULL || s->wish == wish)
		return;
	was = s->wish;
	s->wish = wish;
	ev = event_of(l, s);
	if (epoll_ctl(l->epoll, EPOLL_CTL_MOD, s->fd, &ev) != 0)
		s->wish = was;
}

void loop_remove(struct loop *l, struct loop_handle *h)
{
	struct slot *s = slot_find(l, *h);

	*h = LOOP_NONE;
	if (s == NULL)
		return;
	epoll_ctl(l->epoll, EPOLL_CTL_DEL, s->fd, NULL);
	slot_give(l, s);
}

int64_t loop_now(const struct loop *l)
{
	return l->now;
}

bool loop_timer_set(struct loop *l, struct timer *t, int64_t deadline)
{
	return timer_set(&l->timers, t, deadline);
}

bool loop_timer_after(struct loop *l, struct timer *t, int64_t ms)
{
	return timer_set(&l->timers, t, l->now + ms);
}

void loop_timer_clear(struct loop *l, struct timer *t)
{
	timer_clear(&l->timers, t);
}

void loop_later(struct loop *l, struct loop_later *w)
{
	if (w->next != NULL)
		return;
	w->next = &l->later;
	w->prev = l->later.prev;
	w->prev->next = w;
	l->later.prev = w;
}

void loop_later_cancel(struct loop_later *w)
{
	if (w->next == NULL)
		return;
	w->prev->next = w->next;
	w->next->prev = w->prev;
	w->next = w->prev = NULL;
}

/* Work that is put off while this runs waits for the next turn, which then does not sleep: the
 * ring is cut at a mark. */
static void run_later(struct loop *l)
{
	struct loop_later mark = { 0 };

	if (l->later.next == &l->later)
		return;
	loop_later(l, &mark);
	while (l->later.next != &mark) {
		struct loop_later *w = l->later.next;

		loop_later_cancel(w);
		w->fn(w->ctx, 0);
	}
	loop_later_cancel(&mark);
}

static int wait_ms(const struct loop *l)
{
	int64_t next = timer_next(&l->timers), ms;

	if (l->later.next != &l->later)
		return 0;
	if (next < 0)
		return TURN_MAX_MS;
	ms = next - l->now;
	return (int)MAX(0, MIN(ms, TURN_MAX_MS));
}

void loop_run(struct loop *l, volatile uint64_t *turns)
{
	struct epoll_event events[BATCH];

	while (!l->stop) {
		int i, n;

		l->now = clock_mono(l->clock);
		n = epoll_wait(l->epoll, events, BATCH, wait_ms(l));
		l->now = clock_mono(l->clock);
		for (i = 0; i < n; i++) {
			struct loop_handle h = { (uint32_t)events[i].data.u64,
						 (uint32_t)(events[i].data.u64 >> 32) };
			struct slot *s = slot_find(l, h);

			if (s != NULL)
				s->fn(s->ctx, from_epoll(events[i].events));
		}
		timer_run(&l->timers, l->now);
		run_later(l);
		if (turns != NULL)
			*turns = *turns + 1;
	}
}

void loop_stop(struct loop *l)
{
	l->stop = true;
}

static void on_signal(void *ctx, unsigned events)
{
	struct loop *l = ctx;
	struct signalfd_siginfo info;

	(void)events;
	while (read(l->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
		l->signal_fn(l->signal_ctx, info.ssi_signo);
}

bool loop_signals(struct loop *l, const int *signals, size_t count, loop_fn *fn, void *ctx)
{
	sigset_t set;
	size_t i;

	sigemptyset(&set);
	for (i = 0; i < count; i++)
		sigaddset(&set, signals[i]);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return false;
	l->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	l->signal_fn = fn;
	l->signal_ctx = ctx;
	return l->signals >= 0 && loop_add(l, l->signals, LOOP_READ, on_signal, l).gen != 0;
}
