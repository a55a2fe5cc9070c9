/* SPDX-License-Identifier: MIT */
/* keeper.h: the parent process: it owns what must outlive or outrank a worker (listeners,
 * connections out, the probe, the log, restarts) and never talks to a client. */
#ifndef APP_KEEPER_H
#define APP_KEEPER_H

#include "app/keys.h"
#include "app/server.h"

enum { KEEPER_GROUPS_MAX = 3 };

/* Workers of one role. */
struct keeper_group {
	const struct role_kind *kind;
	struct config config;       /* this group's own: its listener, its upstream */
	const struct url *upstream; /* into config; NULL: it connects to nobody */
	struct slice upstream_name; /* "Ollama", "the backend" */
	struct keys *keys;          /* of config.api_keys; NULL: clients need none */
	bool probes;                /* its upstream is an Ollama whose health is watched */
	unsigned workers;
	bool hidden; /* not what the operator asked to listen: not announced */
	int listeners[SHARED_WORKERS_MAX]; /* by keeper_listen(): one a worker, or as inherited */
	unsigned listener_count;
};

struct keeper_plan {
	struct keeper_group groups[KEEPER_GROUPS_MAX];
	size_t count;
	char *const *argv;      /* of main(), to be started again with */
	struct tls_source *tls; /* what --tls and --ollama-ca name */
	bool quick_stop;        /* demo and sim: no announcement, no waiting for answers */
	const char *note;       /* a line for stdout behind "listening on"; may be NULL */
};

/* Opens the group's listeners; its config.listen gets the true port. False: it cannot, and said so
 * in one line on stderr. */
bool keeper_listen(struct keeper_group *);

/* The keeper's whole life, with listeners open; returns the exit code: 0 after a clean stop, 1: could not start. */
int keeper_run(struct keeper_plan *);

#endif
