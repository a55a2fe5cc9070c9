/* SPDX-License-Identifier: MIT */
/* resolve.c: name lookups in a child process. */
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/proc.h"
#include "io/resolve.h"

enum { GIVE_UP_SECONDS = 30 };

static void put_v4(struct sock_addr *a, const void *four)
{
	memset(a, 0, sizeof(*a));
	a->ip[10] = a->ip[11] = 0xff;
	memcpy(a->ip + 12, four, 4);
}

static void put_v6(struct sock_addr *a, const void *sixteen)
{
	memset(a, 0, sizeof(*a));
	a->v6 = true;
	memcpy(a->ip, sixteen, 16);
}

static bool copy_name(struct slice host, char out[RESOLVE_NAME_MAX + 1])
{
	if (host.n == 0 || host.n > RESOLVE_NAME_MAX)
		return false;
	memcpy(out, host.p, host.n);
	out[host.n] = '\0';
	return true;
}

bool resolve_literal(struct slice host, struct sock_addr *out)
{
	char name[RESOLVE_NAME_MAX + 1];
	struct in_addr v4;
	struct in6_addr v6;

	if (!copy_name(host, name))
		return false;
	if (inet_pton(AF_INET, name, &v4) == 1) {
		put_v4(out, &v4);
		return true;
	}
	if (inet_pton(AF_INET6, name, &v6) == 1) {
		put_v6(out, &v6);
		return true;
	}
	return false;
}

static void ask(const char *name, struct resolve_answer *answer)
{
	struct addrinfo hints = { 0 }, *list = NULL, *ai;
	int rc;

	hints.ai_socktype = SOCK_STREAM;
	rc = getaddrinfo(name, NULL, &hints, &list);
	if (rc != 0) {
		strncpy(answer->why, gai_strerror(rc), sizeof(answer->why) - 1);
		return;
	}
	for (ai = list; ai != NULL && answer->count < RESOLVE_MAX; ai = ai->ai_next) {
		if (ai->ai_family == AF_INET)
			put_v4(&answer->addrs[answer->count++],
			       &((struct sockaddr_in *)(void *)ai->ai_addr)->sin_addr);
		else if (ai->ai_family == AF_INET6)
			put_v6(&answer->addrs[answer->count++],
			       &((struct sockaddr_in6 *)(void *)ai->ai_addr)->sin6_addr);
	}
	freeaddrinfo(list);
}

int resolve_start(struct slice host, int *pid)
{
	char name[RESOLVE_NAME_MAX + 1];
	int pair[2];

	if (!copy_name(host, name) || !sock_pair(pair))
		return -1;
	*pid = fork();
	if (*pid == 0) {
		struct resolve_answer answer;

		proc_close_others(&pair[1], 1); /* a slow name must not hold a port */
		signal(SIGALRM, SIG_DFL);
		alarm(GIVE_UP_SECONDS);
		memset(&answer, 0, sizeof(answer));
		ask(name, &answer);
		sock_send_message(pair[1], &answer, sizeof(answer), -1);
		_exit(0);
	}
	close(pair[1]);
	if (*pid < 0) {
		close(pair[0]);
		return -1;
	}
	return pair[0];
}

bool resolve_finish(int fd, struct resolve_answer *answer)
{
	int passed;

	return sock_receive_message(fd, answer, sizeof(*answer), &passed) == 1;
}
