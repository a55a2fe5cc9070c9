/* SPDX-License-Identifier: MIT */
/* proxy.h: --api-proxy: the frontend passes a request on to the backend, where no load balancer
 * does it. Only the backend judges origins, keys and bodies. */
#ifndef APP_PROXY_H
#define APP_PROXY_H

#include "app/conn.h"

void proxy_pass(struct conn *);

#endif
