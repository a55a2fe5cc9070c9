/* SPDX-License-Identifier: MIT */
/* clock.c: a clock that a test winds by hand, linked into the program's own objects. The linker's
 * --wrap sends the program's clock_gettime() here, and its waits.
 *
 * $TEST_CLOCK names a file that the test maps, too (tests/lib/clock.py). While the test lets it
 * run, time is the kernel's plus an offset; while it is stopped, time moves only when it is wound.
 * Waits end when the time they wait for has come, so no sleeper has to be woken: each looks at the
 * file every few milliseconds. A process that slept that long writes down up to what time it has
 * done all its work, and so the test knows when a winding has had all its effects. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { PROCESSES = 256, SLICE_MS = 3 };

struct process {
	volatile int64_t pid;
	volatile int64_t asleep; /* it slept with nothing left to do when `wound` was this */
};

/* All in nanoseconds. */
struct face {
	volatile int64_t wound;
	volatile int64_t stopped; /* 1: time is mono (or wall) + wound */
	volatile int64_t mono, wall;
	volatile int64_t lead;      /* 0: time is the kernel's + lead + wound */
	volatile int64_t processes; /* how many have taken a place; some may be gone */
	struct process process[PROCESSES];
};

int __real_clock_gettime(clockid_t, struct timespec *);
int __real_epoll_wait(int, struct epoll_event *, int, int);
int __real_poll(struct pollfd *, nfds_t, int);
int __wrap_clock_gettime(clockid_t, struct timespec *);
int __wrap_epoll_wait(int, struct epoll_event *, int, int);
int __wrap_poll(struct pollfd *, nfds_t, int);

static struct face *face;
static int place;
static int64_t told_ms; /* what the program was last told, CLOCK_MONOTONIC */

static void take_place(void)
{
	int64_t n = __atomic_fetch_add(&face->processes, 1, __ATOMIC_SEQ_CST);

	if (n >= PROCESSES)
		abort();
	place = (int)n;
	face->process[n].asleep = -1;
	face->process[n].pid = getpid();
}

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("TEST_CLOCK");
	int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;

	if (fd < 0)
		return;
	face = mmap(NULL, sizeof(*face), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (face == MAP_FAILED)
		abort();
	take_place();
	pthread_atfork(NULL, NULL, take_place);
}

static int64_t to_ns(const struct timespec *t)
{
	return t->tv_sec * INT64_C(1000000000) + t->tv_nsec;
}

static int64_t read_ns(clockid_t id, int64_t *wound)
{
	struct timespec t;
	int64_t ns;

	__real_clock_gettime(id, &t);
	ns = to_ns(&t) + face->lead;
	if (face->stopped)
		ns = id == CLOCK_REALTIME ? face->wall : face->mono;
	*wound = face->wound;
	return ns + *wound;
}

int __wrap_clock_gettime(clockid_t id, struct timespec *t)
{
	int64_t ns, wound;

	if (face == NULL || (id != CLOCK_MONOTONIC && id != CLOCK_BOOTTIME && id != CLOCK_REALTIME))
		return __real_clock_gettime(id, t);
	ns = read_ns(id, &wound);
	if (id == CLOCK_MONOTONIC)
		told_ms = ns / 1000000;
	t->tv_sec = (time_t)(ns / 1000000000);
	t->tv_nsec = (long)(ns % 1000000000);
	return 0;
}

/* How long to wait really before looking at the clock again; 0 when the time has come. *wound is
 * what the clock was wound to at this look. */
static int slice_ms(int64_t end, int64_t *wound)
{
	int64_t left = end - read_ns(CLOCK_MONOTONIC, wound) / 1000000;

	return left <= 0 ? 0 : left < SLICE_MS ? (int)left : SLICE_MS;
}

/* A program says how long to wait, and means: from the moment it last was told. */
static int64_t end_of(int ms)
{
	return ms < 0 ? INT64_MAX : told_ms + ms;
}

int __wrap_epoll_wait(int epoll, struct epoll_event *events, int count, int ms)
{
	int64_t wound, end = face != NULL ? end_of(ms) : 0;
	int n, slice;

	if (face == NULL || ms == 0)
		return __real_epoll_wait(epoll, events, count, ms);
	for (;;) {
		slice = slice_ms(end, &wound);
		n = __real_epoll_wait(epoll, events, count, slice);
		if (n != 0 || slice == 0)
			return n;
		face->process[place].asleep = wound;
	}
}

int __wrap_poll(struct pollfd *fds, nfds_t count, int ms)
{
	int64_t wound, end = face != NULL ? end_of(ms) : 0;
	int n, slice;

	if (face == NULL || ms == 0)
		return __real_poll(fds, count, ms);
	do {
		slice = slice_ms(end, &wound);
		n = __real_poll(fds, count, slice);
	} while (n == 0 && slice != 0);
	return n;
}
