/* SPDX-License-Identifier: MIT */
/* request_log.h: the access log: one line a request, never a prompt, an answer or a key. And the
 * count of requests in the metrics, log or no log. */
#ifndef APP_REQUEST_LOG_H
#define APP_REQUEST_LOG_H

#include "app/conn.h"

/* Writes the line of conn->req. `how`: NULL for a reply that went out whole, else a word for its
 * end ("cut", "gone", "aborted"). */
void request_log_write(struct conn *, const char *how);
void request_log_address(struct log_line *, const char *key, const struct ip_addr *);

#endif
