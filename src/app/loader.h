/* SPDX-License-Identifier: MIT */
/* loader.h: models into Ollama's memory. Ollama gives up a load when whoever asked for it leaves;
 * so requests for a model that is not loaded wait behind one load request that is the gateway's
 * own. The default model is loaded at start, and again when Ollama dropped it (--preload). */
#ifndef APP_LOADER_H
#define APP_LOADER_H

#include "app/admission.h"
#include "app/server.h"

struct loader;
struct load;

enum load_kind { LOAD_CHAT, LOAD_EMBED };
enum load_end { LOAD_ENDED, LOAD_TIMED_OUT /* --first-byte-timeout */ };

/* Somebody who waits for a model; lives in the waiter's struct. */
struct load_wait {
	/* The turn is the waiter's (again). LOAD_ENDED says nothing of success: Ollama will tell. */
	void (*fn)(void *ctx, enum load_end);
	void *ctx;
	struct load *load; /* NULL: waits for none */
	struct load_wait *next, *prev;
};

/* Loads take turns at the gate. NULL: no memory. */
struct loader *loader_open(struct server *, struct admission *gate);

/* Whether Ollama is known not to have this model in memory. */
bool loader_lacks(const struct loader *, struct slice model);
/* A generation was answered: the model is in memory. */
void loader_saw(struct loader *, struct slice model);
/* Waits for the model. Unless it is being loaded already, a load starts in the running turn of
 * this ticket, which is handed back at its end. False: too many loads at a time; go on without. */
bool loader_join(struct loader *, struct load_wait *, struct slice model, enum load_kind,
		 struct ticket *turn);
/* The waiter leaves; the load goes on. Also when it does not wait. */
void loader_leave(struct load_wait *);
/* When the load of this model that is under way began, ms; 0: none is. */
int64_t loader_loading(struct loader *, struct slice model);

#endif
