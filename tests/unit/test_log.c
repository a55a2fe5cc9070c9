/* SPDX-License-Identifier: MIT */
/* test_log.c: which lines of a worker wait for the end of the turn, and which leave at once. */
#include "check.h"
#include "io/log.h"
#include "io/sock.h"

static void count(void *ctx)
{
	++*(unsigned *)ctx;
}

static struct slice received(int fd, char *mem, size_t cap)
{
	long n = sock_receive_any(fd, mem, cap);

	return slice_make(mem, n > 0 ? (size_t)n : 0);
}

static unsigned lines(struct slice s)
{
	unsigned n = 0;
	size_t i;

	for (i = 0; i < s.n; i++)
		n += s.p[i] == '\n';
	return n;
}

int main(void)
{
	char mem[LOG_LINE_MAX];
	volatile uint64_t dropped = 0;
	unsigned woken = 0;
	struct log_batch batch = { .wake = count, .ctx = &woken };
	struct log log = { .level = LOG_INFO,
			   .clock = &clock_system,
			   .role = "test",
			   .dropped = &dropped,
			   .batch = &batch };
	int pair[2];

	CHECK(sock_pair(pair));
	log_to_socket(&log, pair[0]);
	log_event(&log, LOG_INFO, "one", NULL, NULL);
	log_event(&log, LOG_INFO, "two", NULL, NULL);
	log_event(&log, LOG_DEBUG, "not asked for", NULL, NULL);
	CHECK_U64(woken, 1);
	CHECK_U64(received(pair[1], mem, sizeof(mem)).n, 0);
	log_event(&log, LOG_WARN, "three", NULL, NULL);
	CHECK_U64(lines(received(pair[1], mem, sizeof(mem))), 3);
	log_event(&log, LOG_ERROR, "four", NULL, NULL);
	CHECK_U64(lines(received(pair[1], mem, sizeof(mem))), 1);
	log_event(&log, LOG_INFO, "five", NULL, NULL);
	CHECK_U64(received(pair[1], mem, sizeof(mem)).n, 0);
	log_flush(&log);
	CHECK_U64(lines(received(pair[1], mem, sizeof(mem))), 1);
	CHECK_U64(dropped, 0);
	sock_close(pair[0]);
	sock_close(pair[1]);
	return check_done();
}
