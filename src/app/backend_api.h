/* SPDX-License-Identifier: MIT */
/* backend_api.h: the backend's routes that go on to Ollama. */
#ifndef APP_BACKEND_API_H
#define APP_BACKEND_API_H

#include "app/conn.h"

bool api_open(struct server *);  /* makes the turns: server->role_data */
void api_drain(struct server *); /* a drain has begun */

void api_models(struct conn *); /* GET /api/models */
void api_chat(struct conn *);   /* POST /api/chat, both forms */
void api_generate(struct conn *);
void api_embed(struct conn *);
void api_show(struct conn *);
void api_openai(struct conn *); /* POST /v1/... */
void api_pass(struct conn *);   /* GETs without a body */
void api_list(struct conn *);   /* the same for lists of models, of which --models may show some */
void api_model(struct conn *);  /* GET /v1/models/NAME */

#endif
