/* SPDX-License-Identifier: MIT */
/* admin.c: from an admin's request to a plan for the relay, or to an upload. */
#include "app/admin.h"
#include "app/relay.h"
#include "app/upload.h"
#include "proto/http_write.h"

enum {
	ARENA = 16 * 1024, /* for judging a body, and the head that Ollama is sent */
	DIGEST_HEX = 64,
	MODEL_RAW_MAX = 6 * OLLAMA_NAME_MAX + 2, /* as escaped as can be */
};

/* Nothing of the client's head goes on but its method and how its body is framed. */
static struct slice request_head(struct conn *c, struct arena *a, struct slice type)
{
	const struct http_head *h = &c->req->head;
	size_t cap = c->req->uri.path.n + c->server->start->upstream_host.n + 256;
	char *mem = arena_take(a, cap);
	struct buf b;

	buf_init(&b, mem, mem != NULL ? cap : 0);
	http_write_request(&b, h->method_text, c->req->uri.path);
	http_write_field(&b, SLICE("Host"), c->server->start->upstream_host);
	if (h->method != HTTP_HEAD) {
		http_write_field(&b, SLICE("Content-Type"), type);
		if (c->req->body_done)
			http_write_field_u64(&b, SLICE("Content-Length"), conn_body(c).n);
		else if (h->framing == HTTP_LENGTH)
			http_write_field_u64(&b, SLICE("Content-Length"), h->length);
		else
			buf_put(&b, SLICE("Transfer-Encoding: chunked\r\n"));
	}
	http_write_end(&b);
	return buf_view(&b);
}

static void log_model(struct conn *c, struct arena *a, struct json_value model)
{
	char *to = c->req->log.model;
	struct slice name = slice_make("", 0);

	if (model.type == JSON_STRING)
		name = json_unescape(a, model);
	name.n = MIN(name.n, sizeof(c->req->log.model) - 1);
	*slice_copy_to(to, name) = '\0';
}

/* Judges the body and fills in what all have in common; false: answered. */
static bool prepare(struct conn *c, struct relay_plan *plan, struct ollama_request *q)
{
	const struct config *cf = c->server->env.config;
	struct arena a;

	if (!conn_work_arena(c, &a, ARENA))
		return false;
	if (!ollama_request_read(OLLAMA_ADMIN, conn_body(c), &a, q)) {
		conn_error(c, q->refuse, q->error, 0);
		return false;
	}
	if (q->model.raw.n > MODEL_RAW_MAX) {
		conn_error(c, 400, SLICE("the model's name is too long"), 0);
		return false;
	}
	log_model(c, &a, q->model);
	plan->admin = true;
	plan->parts[0] = request_head(c, &a, SLICE("application/json"));
	plan->parts[1] = conn_body(c);
	plan->part_count = 2;
	plan->first_byte_ms = cf->first_byte_timeout_ms;
	plan->stall_ms = cf->stall_timeout_ms;
	return true;
}

void admin_stream(struct conn *c)
{
	const struct config *cf = c->server->env.config;
	struct relay_plan plan = { 0 };
	struct ollama_request q;

	if (!prepare(c, &plan, &q))
		return;
	plan.fin_is_gone = plan.beats = true;
	plan.stall_ms = MAX(cf->stall_timeout_ms, (int64_t)OLLAMA_WORK_MS);
	plan.form = q.stream == OLLAMA_STREAM_OFF ? RELAY_FORM_WHOLE : RELAY_FORM_LINES;
	if (plan.form == RELAY_FORM_WHOLE) /* its first byte comes with its last */
		plan.first_byte_ms = MAX(cf->first_byte_timeout_ms, cf->max_generation_ms);
	relay_start(c, &plan);
}

void admin_whole(struct conn *c)
{
	struct relay_plan plan = { 0 };
	struct ollama_request q;

	if (!prepare(c, &plan, &q))
		return;
	plan.mode = RELAY_WHOLE;
	relay_start(c, &plan);
}

/* ---- blobs ---- */

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* "sha256:" or "sha256-", as Ollama takes either, and 64 digits. */
static bool is_digest(struct slice s)
{
	struct slice hex;
	size_t i;

	if (!slice_starts(s, SLICE("sha256:")) && !slice_starts(s, SLICE("sha256-")))
		return false;
	hex = slice_from(s, 7);
	for (i = 0; i < hex.n && is_hex(hex.p[i]); i++)
		;
	return hex.n == DIGEST_HEX && i == hex.n;
}

static void blob_ask(struct conn *c, struct slice head)
{
	const struct config *cf = c->server->env.config;
	struct relay_plan plan = { 0 };

	plan.admin = plan.head_only = true;
	plan.mode = RELAY_WHOLE;
	plan.parts[0] = head;
	plan.part_count = 1;
	plan.first_byte_ms = cf->first_byte_timeout_ms;
	plan.stall_ms = cf->stall_timeout_ms;
	relay_start(c, &plan);
}

void admin_blob(struct conn *c)
{
	struct arena a;
	struct slice head;

	if (!is_digest(slice_from(c->req->uri.path, c->req->route->path.n))) {
		conn_error(c, 400, SLICE("the path must end in sha256: and 64 hex digits"), 0);
		return;
	}
	if (!conn_work_arena(c, &a, ARENA))
		return;
	head = request_head(c, &a, SLICE("application/octet-stream"));
	if (c->req->head.method == HTTP_HEAD)
		blob_ask(c, head);
	else
		upload_start(c, head);
}
