/* SPDX-License-Identifier: MIT */
/* spawn.h: this program started anew beside the one that runs, for an upgrade in place: the same
 * command line and environment, with the listening sockets (as LISTEN_FDS) and a channel to its
 * starter handed over. It is an ordinary child, tied to its starter by nothing else. */
#ifndef IO_SPAWN_H
#define IO_SPAWN_H

#include "base/base.h"

enum { SPAWN_WHY_MAX = 256 };

/* The path this process was started by, links unresolved: what is there now may be a newer one. */
const char *spawn_path(void);
/* Its pid, or -1. `channel` is one end of a sock_pair(). If the path cannot be executed the child
 * sends the reason, a text, through the channel and ends. */
int spawn_again(char *const *argv, const int *listeners, unsigned count, int channel);
/* The channel to whoever started this process by spawn_again(); -1: nobody did. To be asked once. */
int spawn_channel(void);

#endif
