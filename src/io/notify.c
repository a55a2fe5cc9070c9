/* SPDX-License-Identifier: MIT */
/* notify.c: the service manager's notify socket. */
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "io/notify.h"

enum { SLOW_US = 200000 };

/* False: none is named, or by a name that is no path and not abstract. */
static bool address(struct sockaddr_un *a, socklen_t *n)
{
	const char *name = getenv("NOTIFY_SOCKET");
	size_t len = name != NULL ? strlen(name) : 0;

	if (len < 2 || len >= sizeof(a->sun_path) || (name[0] != '/' && name[0] != '@'))
		return false;
	memset(a, 0, sizeof(*a));
	a->sun_family = AF_UNIX;
	memcpy(a->sun_path, name, len);
	if (name[0] == '@') /* abstract: a zero byte and the name, which has no end mark */
		a->sun_path[0] = '\0';
	else
		len++;
	*n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	return true;
}

int notify_open(void)
{
	struct timeval slow = { 0, SLOW_US };
	struct sockaddr_un a;
	socklen_t n;
	int fd;

	if (!address(&a, &n))
		return -1;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &slow, sizeof(slow));
	return fd;
}

bool notify_send(int fd, struct slice text)
{
	struct sockaddr_un a;
	socklen_t n;

	return fd >= 0 && address(&a, &n) &&
	       sendto(fd, text.p, text.n, MSG_NOSIGNAL, (struct sockaddr *)&a, n) ==
		       (ssize_t)text.n;
}

static bool is_me(const char *pid)
{
	return strtol(pid, NULL, 10) == (long)getpid();
}

int64_t notify_watchdog_ms(void)
{
	const char *pid = getenv("WATCHDOG_PID"), *us = getenv("WATCHDOG_USEC");

	if (us == NULL || (pid != NULL && !is_me(pid)))
		return 0;
	return MAX(0, strtoll(us, NULL, 10) / 1000);
}

/* The environment alone is no proof: whatever a service starts, a shell, say, inherits it. */
bool notify_is_missed(void)
{
	const char *pid = getenv("SYSTEMD_EXEC_PID");

	if (getenv("NOTIFY_SOCKET") != NULL || getenv("INVOCATION_ID") == NULL)
		return false;
	return pid != NULL ? is_me(pid) : getppid() == 1; /* systemd before 248 */
}
