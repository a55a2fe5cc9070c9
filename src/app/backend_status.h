/* SPDX-License-Identifier: MIT */
/* backend_status.h: what the gateway says of itself, from memory. */
#ifndef APP_BACKEND_STATUS_H
#define APP_BACKEND_STATUS_H

#include "app/conn.h"

void status_health(struct conn *); /* GET /health, for the load balancer; ?gate=model */
void status_ready(struct conn *);  /* GET /ready */
void status_full(struct conn *);   /* GET /api/status */

#endif
