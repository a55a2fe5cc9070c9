/* SPDX-License-Identifier: MIT */
/* sim_reply.c: the stand-in's answers in the shapes of Ollama's four ways to generate (api/types.go,
 * openai/openai.go and middleware/openai.go of Ollama; members in their order). */
#include "app/sim_model.h"
#include "app/sim_out.h"

static bool is_v1(enum sim_kind kind)
{
	return kind >= SIM_V1_CHAT;
}

const char *sim_stream_type(enum sim_kind kind)
{
	return is_v1(kind) ? "text/event-stream" : "application/x-ndjson";
}

const char *sim_whole_type(enum sim_kind kind)
{
	return is_v1(kind) ? "application/json" : "application/json; charset=utf-8";
}

static const char *done_reason(const struct sim_answer *a)
{
	return a->cut ? "length" : "stop";
}

/* --- /api/chat and /api/generate ----------------------------------------------------------------- */

static void put_thinking(struct sim_out *o, struct slice thinking)
{
	if (thinking.n == 0)
		return;
	out(o, ",\"thinking\":");
	out_text(o, thinking);
}

/* Up to `done`, which the caller says. */
static void put_line(struct sim_out *o, const struct sim_request *r, int64_t now,
		     struct slice content, struct slice thinking)
{
	bool chat = r->kind == SIM_CHAT;

	out(o, "{\"model\":");
	out_text(o, r->model);
	out(o, ",\"created_at\":");
	out_time(o, now);
	out(o, chat ? ",\"message\":{\"role\":\"assistant\",\"content\":" : ",\"response\":");
	out_text(o, content);
	put_thinking(o, thinking);
	out(o, chat ? "}" : "");
}

/* Ollama leaves zeros out (omitempty). */
static void put_figure(struct sim_out *o, const char *name, uint64_t v)
{
	if (v == 0)
		return;
	out(o, ",\"");
	out(o, name);
	out(o, "\":");
	out_u64(o, v);
}

static void put_done(struct sim_out *o, const struct sim_request *r, const struct sim_stats *s,
		     const char *reason)
{
	out(o, ",\"done\":true,\"done_reason\":\"");
	out(o, reason);
	out(o, "\"");
	if (r->kind == SIM_GENERATE) /* the conversation as tokens, for the next request */
		out(o, ",\"context\":[151644,872,198,9707]");
	put_figure(o, "total_duration", s->total_ns);
	put_figure(o, "load_duration", s->load_ns);
	put_figure(o, "prompt_eval_count", s->prompt_count);
	put_figure(o, "prompt_eval_duration", s->prompt_ns);
	put_figure(o, "eval_count", s->eval_count);
	put_figure(o, "eval_duration", s->eval_ns);
	out(o, "}");
}

/* --- /v1/chat/completions and /v1/completions ----------------------------------------------------- */

static void put_v1_head(struct sim_out *o, const struct sim_request *r, const struct sim_stats *s,
			const char *object)
{
	out(o, r->kind == SIM_V1_CHAT ? "{\"id\":\"chatcmpl-" : "{\"id\":\"cmpl-");
	out_u64(o, s->id);
	out(o, "\",\"object\":\"");
	out(o, object);
	out(o, "\",\"created\":");
	out_i64(o, r->created / 1000);
}

static void put_v1_model(struct sim_out *o, struct slice model)
{
	out(o, ",\"model\":");
	out_text(o, model);
	out(o, ",\"system_fingerprint\":\"fp_ollama\"");
}

static void put_v1_usage(struct sim_out *o, uint64_t prompt, uint64_t completion)
{
	out(o, ",\"usage\":{\"prompt_tokens\":");
	out_u64(o, prompt);
	out(o, ",\"completion_tokens\":");
	out_u64(o, completion);
	out(o, ",\"total_tokens\":");
	out_u64(o, prompt + completion);
	out(o, "}");
}

static void put_finish_reason(struct sim_out *o, const char *reason)
{
	out(o, ",\"finish_reason\":");
	out(o, reason != NULL ? "\"" : "null");
	if (reason != NULL) {
		out(o, reason);
		out(o, "\"");
	}
}

/* One event with these choices in it. */
static void put_v1_chat_event(struct sim_out *o, const struct sim_request *r,
			      const struct sim_stats *s, struct slice choices, bool usage)
{
	out(o, "data: ");
	put_v1_head(o, r, s, "chat.completion.chunk");
	put_v1_model(o, r->model);
	out(o, ",\"choices\":[");
	out_raw(o, choices);
	out(o, "]");
	if (usage)
		put_v1_usage(o, s->prompt_count, s->eval_count);
	out(o, "}\n\n");
}

static void put_v1_chat_delta(struct sim_out *o, const struct sim_request *r,
			      const struct sim_stats *s, const struct sim_delta *d)
{
	out(o, "data: ");
	put_v1_head(o, r, s, "chat.completion.chunk");
	put_v1_model(o, r->model);
	out(o, ",\"choices\":[{\"index\":0,\"delta\":{");
	out(o, d->first ? "\"role\":\"assistant\"," : "");
	out(o, "\"content\":");
	out_text(o, d->thinking ? slice_make("", 0) : d->text);
	if (d->thinking) {
		out(o, ",\"reasoning\":");
		out_text(o, d->text);
	}
	out(o, "},\"finish_reason\":null}]}\n\n");
}

static void put_v1_chat_end(struct sim_out *o, const struct sim_request *r,
			    const struct sim_stats *s, const struct sim_answer *a)
{
	put_v1_chat_event(o, r, s,
			  a->cut ? SLICE("{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}")
				 : SLICE("{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}"),
			  false);
	if (r->include_usage)
		put_v1_chat_event(o, r, s, slice_make("", 0), true);
}

static void put_v1_text_event(struct sim_out *o, const struct sim_request *r,
			      const struct sim_stats *s, struct slice text, const char *reason,
			      bool last)
{
	out(o, "data: ");
	put_v1_head(o, r, s, "text_completion");
	out(o, ",\"choices\":[");
	if (!last) {
		out(o, "{\"text\":");
		out_text(o, text);
		out(o, ",\"index\":0");
		put_finish_reason(o, reason);
		out(o, "}");
	}
	out(o, "]");
	put_v1_model(o, r->model);
	if (r->include_usage)
		put_v1_usage(o, last ? s->prompt_count : 0, last ? s->eval_count : 0);
	out(o, "}\n\n");
}

static void put_v1_whole(struct sim_out *o, const struct sim_request *r, const struct sim_stats *s,
			 const struct sim_answer *a, struct slice thinking, struct slice content)
{
	bool chat = r->kind == SIM_V1_CHAT;

	put_v1_head(o, r, s, chat ? "chat.completion" : "text_completion");
	put_v1_model(o, r->model);
	out(o, chat ? ",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"
		    : ",\"choices\":[{\"text\":");
	out_text(o, content);
	if (chat && thinking.n > 0) {
		out(o, ",\"reasoning\":");
		out_text(o, thinking);
	}
	out(o, chat ? "}" : ",\"index\":0");
	put_finish_reason(o, done_reason(a));
	out(o, "}]");
	put_v1_usage(o, s->prompt_count, s->eval_count);
	out(o, "}\n");
}

/* --- All ----------------------------------------------------------------------------------------- */

bool sim_delta_write(struct buf *b, const struct sim_request *r, int64_t now,
		     const struct sim_stats *s, const struct sim_delta *d)
{
	struct sim_out o = sim_out_begin(b);
	struct slice none = { "", 0 };

	switch (r->kind) {
	case SIM_V1_CHAT:
		put_v1_chat_delta(&o, r, s, d);
		break;
	case SIM_V1_COMPLETIONS: /* thinking has no place there */
		put_v1_text_event(&o, r, s, d->thinking ? none : d->text, NULL, false);
		break;
	default:
		put_line(&o, r, now, d->thinking ? none : d->text, d->thinking ? d->text : none);
		out(&o, ",\"done\":false}\n");
		break;
	}
	return sim_out_end(&o);
}

bool sim_end_write(struct buf *b, const struct sim_request *r, int64_t now,
		   const struct sim_stats *s, const struct sim_answer *a)
{
	struct sim_out o = sim_out_begin(b);
	struct slice none = { "", 0 };

	switch (r->kind) {
	case SIM_V1_CHAT:
		put_v1_chat_end(&o, r, s, a);
		out(&o, "data: [DONE]\n\n");
		break;
	case SIM_V1_COMPLETIONS:
		put_v1_text_event(&o, r, s, none, done_reason(a), false);
		if (r->include_usage)
			put_v1_text_event(&o, r, s, none, NULL, true);
		out(&o, "data: [DONE]\n\n");
		break;
	default:
		put_line(&o, r, now, none, none);
		put_done(&o, r, s, done_reason(a));
		out(&o, "\n");
		break;
	}
	return sim_out_end(&o);
}

bool sim_whole_write(struct buf *b, const struct sim_request *r, int64_t now,
		     const struct sim_stats *s, const struct sim_answer *a)
{
	struct sim_out o = sim_out_begin(b);
	struct slice thinking = slice_make(a->thinking.p, a->said_thinking);
	struct slice content = slice_make(a->content.p, a->said);

	if (is_v1(r->kind)) {
		put_v1_whole(&o, r, s, a, thinking, content);
	} else {
		put_line(&o, r, now, content, thinking);
		put_done(&o, r, s, done_reason(a));
	}
	return sim_out_end(&o);
}

bool sim_loaded_write(struct buf *b, const struct sim_request *r, int64_t now)
{
	struct sim_out o = sim_out_begin(b);
	struct slice none = { "", 0 };

	put_line(&o, r, now, none, none);
	out(&o, ",\"done\":true,\"done_reason\":");
	out(&o, r->unload ? "\"unload\"}" : "\"load\"}");
	return sim_out_end(&o);
}

bool sim_error_write(struct buf *b, enum sim_kind kind, unsigned status, struct slice text)
{
	struct sim_out o = sim_out_begin(b);

	out(&o, is_v1(kind) ? "{\"error\":{\"message\":" : "{\"error\":");
	out_text(&o, text);
	if (is_v1(kind)) {
		out(&o, ",\"type\":");
		out(&o, status == 400   ? "\"invalid_request_error\""
			: status == 404 ? "\"not_found_error\""
					: "\"api_error\"");
		out(&o, ",\"param\":null,\"code\":null}");
	}
	out(&o, "}");
	return sim_out_end(&o);
}

bool sim_error_line_write(struct buf *b, const struct sim_request *r, int64_t now,
			  const struct sim_stats *s, struct slice text)
{
	struct sim_request lost = *r;
	struct sim_delta none = { { "", 0 }, false, false };
	size_t before = buf_len(b);

	if (is_v1(r->kind)) { /* Ollama reads its own error line as a delta without anything in it */
		lost.model = slice_make("", 0);
		return sim_delta_write(b, &lost, now, s, &none);
	}
	if (ollama_error_write(b, text) && buf_put_byte(b, '\n'))
		return true;
	b->tail = b->head + before;
	return false;
}
