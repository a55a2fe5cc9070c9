/* SPDX-License-Identifier: MIT */
/* frontend.h: the role on :3000: the chat page. */
#ifndef APP_FRONTEND_H
#define APP_FRONTEND_H

#include "app/server.h"

extern const struct role_kind frontend_kind;

#endif
