/* SPDX-License-Identifier: MIT */
/* wire.h: the few fixed-size messages between the keeper and a worker. */
#ifndef APP_WIRE_H
#define APP_WIRE_H

#include "base/base.h"

enum wire_type {
	WIRE_CONNECT,   /* worker: a connection to your upstream, please */
	WIRE_CONNECTED, /* keeper: here it is (the descriptor comes with the message) */
	WIRE_FAILED,    /* keeper: it cannot be had; fault and why say it */
	WIRE_PROBE,     /* worker: something changed in Ollama, look now (a load is over, say) */
	WIRE_ANNOUNCE,  /* keeper: a drain began; shared->drain and its deadline are set */
	WIRE_FINISH, /* keeper: stop listening, finish what runs until `value` (monotonic ms), exit */
};

struct wire {
	uint32_t type;
	uint32_t fault; /* enum connect_fault */
	int64_t value;
	char why[64];
};

#endif
