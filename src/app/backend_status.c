/* SPDX-License-Identifier: MIT */
/* backend_status.c: /health, /ready and /api/status. Through a proxy only what anyone may know. */
#include "app/backend_status.h"
#include "app/access.h"
#include "app/health.h"
#include "base/fmt.h"
#include "proto/json.h"

static const struct slice json_type = SLICE_INIT("application/json");

static void put_bool(struct buf *b, const char *key, bool v)
{
	buf_put_str(b, key);
	buf_put_str(b, v ? "true" : "false");
}

static void put_u64(struct buf *b, const char *key, uint64_t v)
{
	buf_put_str(b, key);
	fmt_u64(b, v);
}

static void put_text(struct buf *b, const char *key, struct slice v)
{
	buf_put_str(b, key);
	json_write_string(b, v);
}

static struct health judge(const struct conn *c)
{
	const struct env *env = &c->server->env;
	struct health h;

	health_judge(env->shared, env->config, loop_now(env->loop), &h);
	return h;
}

static void put_model(const struct conn *c, struct buf *b)
{
	const struct shared *sh = c->server->env.shared;
	char model[SHARED_MODEL_MAX];

	shared_read_text(sh, sh->default_model, model, sizeof(model));
	if (model[0] == '\0')
		buf_put_str(b, ",\"model\":null");
	else
		put_text(b, ",\"model\":", slice_str(model));
}

static void put_health(struct conn *c, struct buf *b, const struct health *h)
{
	const struct env *env = &c->server->env;
	const struct shared *sh = env->shared;

	put_text(b, "{\"status\":", slice_str(h->text));
	put_bool(b, ",\"ollama_connected\":", h->connected);
	put_u64(b, ",\"models_available\":", sh->model_count);
	put_model(c, b);
	put_bool(b, ",\"model_ready\":", h->ready);
	put_text(b, ",\"version\":", SLICE(OLLACHAT_VERSION));
	if (access_is_admin(c)) {
		put_text(b, ",\"ollama_host\":", c->server->start->upstream_host);
		put_u64(b, ",\"active\":", sh->active);
		put_u64(b, ",\"queued\":", sh->queued);
		put_u64(b, ",\"uptime_seconds\":",
			(uint64_t)MAX(0, loop_now(env->loop) - sh->started_ms) / 1000);
	}
	buf_put_byte(b, '}');
}

static void health_reply(struct conn *c, unsigned status, const struct health *h)
{
	char mem[2048];
	struct buf b;

	buf_init(&b, mem, sizeof(mem));
	put_health(c, &b, h);
	conn_reply(c, status, json_type,
		   status == 200 ? SLICE("Cache-Control: no-store\r\n")
				 : SLICE("Cache-Control: no-store\r\nRetry-After: 5\r\n"),
		   buf_view(&b));
}

/* GET /health: for the load balancer. */
void status_health(struct conn *c)
{
	struct health h = judge(c);
	unsigned status = h.status;

	if (slice_eq(uri_query_find(c->req->uri.query, SLICE("gate")), SLICE("model")) &&
	    !c->server->env.shared->model_was_ready)
		status = 503;
	health_reply(c, status, &h);
}

/* GET /ready: the default model is there and loaded. */
void status_ready(struct conn *c)
{
	struct health h = judge(c);

	health_reply(c, h.ready ? 200 : 503, &h);
}

/* ---- /api/status ---- */

/* ,"key":n, counted from the kernel's start; null: that has not come yet. */
static void put_moment(struct buf *b, const char *key, const struct shared *sh, int64_t at)
{
	buf_put_str(b, key);
	if (at == 0)
		buf_put_str(b, "null");
	else
		fmt_i64(b, at + sh->boot_offset_ms);
}

static void put_boot(const struct conn *c, struct buf *b)
{
	const struct env *env = &c->server->env;
	const struct shared *sh = env->shared;
	int64_t since = clock_mono(env->clock) + sh->boot_offset_ms;

	buf_put_str(b, ",\"boot\":{\"kernel_start\":\"");
	fmt_rfc3339(b, clock_wall(env->clock) - since);
	put_moment(b, "\",\"process_start_ms\":", sh, sh->started_ms);
	put_moment(b, ",\"ollama_up_ms\":", sh, sh->first_answer_ms);
	put_moment(b, ",\"model_loaded_ms\":", sh, sh->model_loaded_ms);
	put_moment(b, ",\"first_answer_ms\":", sh, sh->first_generation_ms);
	buf_put_byte(b, '}');
}

static void put_pull(const struct conn *c, struct buf *b)
{
	static const char *const states[] = { NULL, "wanted", "running", "waiting", "done" };
	const struct shared *sh = c->server->env.shared;
	uint32_t state = sh->pull_state;
	uint64_t total = sh->pull_total, completed = MIN(sh->pull_completed, total);
	char text[SHARED_PULL_MAX];

	if (state == PULL_NONE || state >= ARRAY_LEN(states)) {
		buf_put_str(b, ",\"pull\":null");
		return;
	}
	shared_read_text(sh, sh->pull_text, text, sizeof(text));
	put_text(b, ",\"pull\":{\"state\":", slice_str(states[state]));
	put_text(b, ",\"status\":", slice_str(text));
	if (total > 0) {
		put_u64(b, ",\"completed\":", completed);
		put_u64(b, ",\"total\":", total);
		put_u64(b, ",\"percent\":", (uint64_t)((double)completed * 100 / (double)total));
	}
	buf_put_byte(b, '}');
}

/* How this program came to be. */
static void put_provenance(struct buf *b)
{
	put_text(b, ",\"provenance\":{\"version\":", SLICE(OLLACHAT_VERSION));
	put_text(b, ",\"compiler\":", SLICE(__VERSION__));
	buf_put_byte(b, '}');
}

static void put_details(const struct conn *c, struct buf *b)
{
	put_boot(c, b);
	buf_put_str(b, ",\"instance\":null");
	put_provenance(b);
	put_pull(c, b);
	put_u64(b, ",\"worker_restarts\":", c->server->env.shared->worker_restarts);
}

void status_full(struct conn *c)
{
	const struct shared *sh = c->server->env.shared;
	struct health h = judge(c);
	char mem[4096];
	struct buf b;

	buf_init(&b, mem, sizeof(mem));
	put_text(&b, "{\"version\":", SLICE(OLLACHAT_VERSION));
	put_text(&b, ",\"status\":", slice_str(h.text));
	put_model(c, &b);
	put_bool(&b, ",\"ready\":", h.ready);
	put_u64(&b, ",\"active\":", sh->active);
	put_u64(&b, ",\"queued\":", sh->queued);
	put_bool(&b, ",\"draining\":", h.state == HEALTH_DRAINING);
	if (access_is_admin(c))
		put_details(c, &b);
	buf_put_byte(&b, '}');
	conn_reply(c, 200, json_type, SLICE("Cache-Control: no-store\r\n"), buf_view(&b));
}
