/* SPDX-License-Identifier: MIT */
/* request_log.c: one line a request, and its place in the metrics. */
#include "app/request_log.h"

void request_log_address(struct log_line *l, const char *key, const struct ip_addr *a)
{
	char mem[64];
	struct buf b;

	buf_init(&b, mem, sizeof(mem));
	ip_write(&b, a);
	log_text(l, key, buf_view(&b));
}

/* What the client was told, or was to be told; 499, as nginx has it: it left before that. */
static unsigned status_of(const struct request *r)
{
	if (r->log.intended_status > 0)
		return r->log.intended_status;
	return r->status > 0 ? r->status : 499;
}

void request_log_write(struct conn *c, const char *how)
{
	const struct env *env = &c->server->env;
	const struct request *r = c->req;
	unsigned status = status_of(r);
	struct log_line l;

	metrics_http(env->metrics, metrics_route(c->server->kind, r->route), r->head.method,
		     status);
	if (!env->config->access_log || !log_is_on(env->log, LOG_INFO))
		return;
	log_begin(&l, env->log, LOG_INFO, "request");
	if (r->id.n > 0)
		log_text(&l, "request_id", r->id);
	request_log_address(&l, "client", &r->client);
	log_text(&l, "method", r->head.method_text);
	/* the path alone: a query may hold what is nobody's business */
	log_text(&l, "path", slice_make(r->uri.path.p, MIN(r->uri.path.n, (size_t)128)));
	log_num(&l, "status", status);
	log_num(&l, "bytes", (int64_t)r->sent);
	log_num(&l, "duration_ms", loop_now(env->loop) - r->started);
	if (r->log.queue_ms >= 0)
		log_num(&l, "queue_ms", r->log.queue_ms);
	if (r->log.ttft_ms >= 0)
		log_num(&l, "ttft_ms", r->log.ttft_ms);
	if (r->log.model[0] != '\0')
		log_str(&l, "model", r->log.model);
	if (r->log.tokens > 0)
		log_num(&l, "tokens", (int64_t)r->log.tokens);
	if (r->log.result != NULL)
		log_str(&l, "result", r->log.result);
	if (how != NULL)
		log_str(&l, "end", how);
	log_end(&l);
}
