/* SPDX-License-Identifier: MIT */
/* sim.h: the stand-in for Ollama: its protocol, without a model. */
#ifndef APP_SIM_H
#define APP_SIM_H

#include "app/server.h"

extern const struct role_kind sim_kind;

#endif
