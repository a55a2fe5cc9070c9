/* SPDX-License-Identifier: MIT */
/* backend.h: the role on :8000: the gateway in front of Ollama. */
#ifndef APP_BACKEND_H
#define APP_BACKEND_H

#include "app/server.h"

extern const struct role_kind backend_kind;

#endif
