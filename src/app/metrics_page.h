/* SPDX-License-Identifier: MIT */
/* metrics_page.h: GET /metrics: the figures of every worker of this service in one page, whichever
 * worker is asked. */
#ifndef APP_METRICS_PAGE_H
#define APP_METRICS_PAGE_H

#include "app/conn.h"

/* A route's handler. */
void metrics_get(struct conn *);

#endif
