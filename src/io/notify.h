/* SPDX-License-Identifier: MIT */
/* notify.h: telling the service manager (systemd, sd_notify(3)) how the service does: datagrams to
 * the socket that $NOTIFY_SOCKET names. Whoever started us without one hears nothing. */
#ifndef IO_NOTIFY_H
#define IO_NOTIFY_H

#include "base/base.h"

/* A descriptor to tell by; -1: nobody listens. Kept open, so that a lack of descriptors silences nobody. */
int notify_open(void);
/* "READY=1" and the like, one assignment a line. Waits a moment if the manager is slow. False: it was
 * not told. */
bool notify_send(int fd, struct slice);
/* The longest silence between two "WATCHDOG=1" of this process; 0: none are asked for. */
int64_t notify_watchdog_ms(void);
/* systemd started this very process as a service without a socket: it ends the service, and every
 * process in it, when this one ends. */
bool notify_is_missed(void);

#endif
