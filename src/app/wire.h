/* SPDX-License-Identifier: MIT */
/* wire.h: the few fixed-size messages between the keeper and a worker. */
#ifndef APP_WIRE_H
#define APP_WIRE_H

#include "base/base.h"

enum wire_type {
	/* worker */
	WIRE_READY,   /* it accepts, or (a successor's) could */
	WIRE_CONNECT, /* a connection to your upstream, please */
	WIRE_PROBE,   /* something changed in Ollama, look now (a load is over, say) */
	WIRE_WAS_CUT, /* so many answers (`value`) were under way at the drain's deadline */
	/* keeper */
	WIRE_CONNECTED, /* here it is (the descriptor comes with the message) */
	WIRE_FAILED,    /* it cannot be had; fault and why say it */
	WIRE_ACCEPT,    /* for a worker that was told to wait with it */
	WIRE_HANDOVER,  /* a newer process listens: finish what is here, idle connections too */
	WIRE_ANNOUNCE,  /* a drain began; its phase and deadline are in the shared page */
	WIRE_FINISH,    /* stop listening, close what is idle, finish what runs, exit */
	WIRE_CUT,       /* the drain's deadline: end what still runs, in words, and exit */
};

struct wire {
	uint32_t type;
	uint32_t fault; /* enum connect_fault */
	int64_t value;
	char why[64];
};

#endif
