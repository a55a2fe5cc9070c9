/* SPDX-License-Identifier: MIT */
/* spawn.c: descriptors put in their places, signals as a new process expects them, execve. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fmt.h"
#include "io/proc.h"
#include "io/spawn.h"

#define CHANNEL_NAME "OLLACHAT_STARTER" /* "pid:descriptor"; the pid as LISTEN_PID has it */

enum { FIRST = 3, SOCKETS_MAX = 64 };

const char *spawn_path(void)
{
	return (const char *)getauxval(AT_EXECFN);
}

/* FIRST, FIRST + 1, ... become the listeners and the channel, whatever those numbers were; all else
 * from there on is closed. */
static bool place(const int *listeners, unsigned count, int channel)
{
	int moved[SOCKETS_MAX + 1], places[SOCKETS_MAX + 1];
	unsigned i;

	for (i = 0; i <= count; i++) {
		moved[i] =
			fcntl(i < count ? listeners[i] : channel, F_DUPFD, FIRST + (int)count + 1);
		places[i] = FIRST + (int)i;
		if (moved[i] < 0)
			return false;
	}
	for (i = 0; i <= count; i++)
		if (dup2(moved[i], places[i]) < 0)
			return false;
	proc_close_others(places, count + 1);
	return true;
}

static void set_number(const char *name, uint64_t a, const char *between, uint64_t b)
{
	char mem[64];
	struct buf text;

	buf_init(&text, mem, sizeof(mem) - 1);
	fmt_u64(&text, a);
	if (between != NULL) {
		buf_put_str(&text, between);
		fmt_u64(&text, b);
	}
	mem[buf_len(&text)] = '\0';
	setenv(name, mem, 1);
}

static void set_environment(unsigned count)
{
	uint64_t pid = (uint64_t)getpid();

	set_number("LISTEN_PID", pid, NULL, 0);
	set_number("LISTEN_FDS", count, NULL, 0);
	if (getenv("WATCHDOG_PID") != NULL) /* it is to be its turn */
		set_number("WATCHDOG_PID", pid, NULL, 0);
	set_number(CHANNEL_NAME, pid, ":", FIRST + count);
}

/* Blocked signals would stay blocked, ignored ones ignored. */
static void reset_signals(void)
{
	sigset_t none;

	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void tell_failure(int channel, const char *path)
{
	char mem[SPAWN_WHY_MAX];
	struct buf b;
	const char *why = strerror(errno);

	buf_init(&b, mem, sizeof(mem));
	buf_put_str(&b, "cannot run ");
	buf_put(&b, slice_make(path, MIN(strlen(path), sizeof(mem) / 2)));
	buf_put_str(&b, ": ");
	buf_put_str(&b, why);
	send(channel, mem, buf_len(&b), MSG_NOSIGNAL);
}

int spawn_again(char *const *argv, const int *listeners, unsigned count, int channel)
{
	int pid;

	if (count > SOCKETS_MAX)
		return -1;
	pid = fork();
	if (pid != 0)
		return pid;
	if (!place(listeners, count, channel)) {
		tell_failure(channel, spawn_path());
		_exit(1);
	}
	set_environment(count);
	reset_signals();
	execve(spawn_path(), argv, environ);
	tell_failure(FIRST + (int)count, spawn_path());
	_exit(1);
}

int spawn_channel(void)
{
	const char *value = getenv(CHANNEL_NAME);
	char *end = NULL;
	long pid, fd = -1;

	if (value == NULL)
		return -1;
	pid = strtol(value, &end, 10);
	if (*end == ':' && pid == (long)getpid())
		fd = strtol(end + 1, &end, 10);
	unsetenv(CHANNEL_NAME);
	if (fd < FIRST || fcntl((int)fd, F_SETFD, FD_CLOEXEC) != 0)
		return -1;
	return (int)fd;
}
