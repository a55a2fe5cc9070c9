/* SPDX-License-Identifier: MIT */
/* test_sim_model.c: the stand-in's heart: what it refuses, what it says, and whether its replies have
 * the shapes of Ollama's: the same keys, in the same order, with the same types. */
#include "check.h"

#include "app/sim_model.h"
#include "base/fmt.h"
#include "proto/utf8.h"

static char memory[1 << 19], text[1 << 19];
static const int64_t now = 1764000000123; /* 2025-11-24T16:00:00.123Z */

static const struct sim_stats stats = {
	.total_ns = 6,
	.load_ns = 5,
	.prompt_ns = 4,
	.eval_ns = 3,
	.prompt_count = 2,
	.eval_count = 1,
	.id = 7,
};

static struct sim_library library(void)
{
	struct sim_library lib;

	sim_library_init(&lib, now);
	CHECK(sim_library_add(&lib, SLICE("ollachat-sim:plain"), now) != NULL);
	CHECK(sim_library_add(&lib, SLICE("me/x:embed"), now) != NULL);
	return lib;
}

static struct sim_library lib;
static struct arena arena;

static struct sim_request request(enum sim_kind kind, const char *body)
{
	struct sim_request r;

	arena_init(&arena, memory, sizeof(memory));
	sim_request_read(kind, check_guard_str(body), &lib, now, &arena, &r);
	return r;
}

/* --- Shapes -------------------------------------------------------------------------------------- */

/* s string, n number, b bool, 0 null, [shape of all elements], {key:shape ...} */
static void put_shape(struct buf *b, struct json_value v)
{
	static const char letters[] = { [JSON_NULL] = '0',
					[JSON_TRUE] = 'b',
					[JSON_FALSE] = 'b',
					[JSON_NUMBER] = 'n',
					[JSON_STRING] = 's' };
	struct json_member m;
	struct json_walk w;
	struct slice last = { NULL, 0 };
	bool object = v.type == JSON_OBJECT;
	size_t n = 0;

	if (!object && v.type != JSON_ARRAY) {
		buf_put_byte(b, letters[v.type]);
		return;
	}
	buf_put_str(b, object ? "{" : "[");
	json_walk_init(&w, v);
	while (json_walk_next(&w, &m)) {
		size_t before = buf_len(b);
		struct slice got;

		if (object) {
			buf_put_str(b, n++ > 0 ? " " : "");
			buf_put(b, m.key);
			buf_put_str(b, ":");
		}
		put_shape(b, m.value);
		got = slice_from(buf_view(b), before);
		if (!object && last.p != NULL && slice_eq(got, last))
			b->tail -= got.n; /* one more of the same */
		else
			last = got;
	}
	buf_put_str(b, object ? "}" : "]");
}

static void check_shape(struct slice json, const char *want)
{
	char mem[2048];
	struct json_value top;
	struct json_error err;
	struct buf b;

	if (!CHECK(json_check(check_guard(json), &top, &err))) {
		check_print("not JSON", json);
		return;
	}
	buf_init(&b, mem, sizeof(mem));
	put_shape(&b, top);
	CHECK_STR(buf_view(&b), want);
}

static struct slice member(struct slice json, const char *key)
{
	struct json_value top, v = { JSON_NONE, { NULL, 0 } };
	struct json_error err;

	if (json_check(json, &top, &err))
		v = json_find(top, slice_str(key));
	return v.raw;
}

/* Whether a writer that has no room leaves the buf as it was: call it with every size. */
#define CHECK_ROOM(call)                                                                           \
	do {                                                                                       \
		struct buf *const out = &(struct buf){ 0 };                                        \
		size_t need, room;                                                                 \
		buf_init(out, text, sizeof(text));                                                 \
		CHECK(call);                                                                       \
		need = buf_len(out);                                                               \
		for (room = need > 300 ? need - 300 : 0; room < need; room++) {                    \
			buf_init(out, text, room);                                                 \
			CHECK(!(call) && buf_len(out) == 0);                                       \
		}                                                                                  \
		buf_init(out, text, sizeof(text));                                                 \
		(void)(call);                                                                      \
		written = buf_view(out);                                                           \
	} while (0)

static struct slice written;

/* --- Refusals ------------------------------------------------------------------------------------ */

#define SIM  "\"model\":\"ollachat-sim\""
#define USER "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

/* clang-format off: a row is a case */
static const struct {
	enum sim_kind kind;
	const char *body;
	unsigned status;
	const char *error;
} refused[] = {
	{ SIM_CHAT, "", 400, "missing request body" },
	{ SIM_CHAT, " \n", 400, "missing request body" },
	{ SIM_V1_CHAT, "", 400, "EOF" },
	{ SIM_CHAT, "{\"model\"", 400, "unexpected EOF" },
	{ SIM_CHAT, "{'model'}", 400, "invalid character ''' looking for beginning of value" },
	{ SIM_CHAT, "[]", 400,
	  "json: cannot unmarshal array into Go value of type api.ChatRequest" },
	{ SIM_GENERATE, "\"a\"", 400,
	  "json: cannot unmarshal string into Go value of type api.GenerateRequest" },
	{ SIM_V1_CHAT, "1", 400,
	  "json: cannot unmarshal number into Go value of type openai.ChatCompletionRequest" },
	{ SIM_EMBED, "true", 400,
	  "json: cannot unmarshal bool into Go value of type api.EmbedRequest" },
	{ SIM_CHAT, "null", 400, "model is required" },
	{ SIM_CHAT, "{}", 400, "model is required" },
	{ SIM_CHAT, "{\"model\":\"  \"}", 400, "model is required" },
	{ SIM_EMBEDDINGS, "{}", 400, "model is required" },
	{ SIM_SHOW, "{}", 400, "model is required" },
	{ SIM_SHOW, "{\"model\":\"\",\"name\":\"\"}", 400, "model is required" },
	{ SIM_PULL_REQUEST, "{}", 400, "invalid model name" },
	{ SIM_GENERATE, "{}", 404, "model '' not found" },
	{ SIM_EMBED, "{\"input\":\"a\"}", 404, "model '' not found" },
	{ SIM_V1_COMPLETIONS, "{\"prompt\":\"a\"}", 404, "model '' not found" },
	{ SIM_CHAT, "{\"model\":\"a b\"}", 400, "invalid model name" },
	{ SIM_CHAT, "{\"model\":\"a:\"}", 400, "invalid model name" },
	{ SIM_CHAT, "{\"model\":\"-a\"}", 400, "invalid model name" },
	{ SIM_CHAT, "{\"model\":\"a/-b\"}", 400, "invalid model name" },
	{ SIM_PULL_REQUEST, "{\"model\":\"\xc3\xa9\"}", 400, "invalid model name" },
	{ SIM_CHAT, "{\"model\":\"llama2\"}", 404, "model 'llama2' not found" },
	{ SIM_V1_CHAT, "{\"model\":\"llama2\"," USER "}", 404, "model 'llama2' not found" },
	{ SIM_GENERATE, "{\"model\":\"llama2\",\"prompt\":\"a\"}", 404,
	  "model 'llama2' not found" },
	{ SIM_SHOW, "{\"name\":\"llama2\"}", 404, "model 'llama2:latest' not found" },
	{ SIM_EMBED, "{\"model\":\"llama2\",\"input\":\"a\"}", 404,
	  "model \"llama2\" not found, try pulling it first" },
	{ SIM_EMBEDDINGS, "{\"model\":\"llama2\"}", 404,
	  "model \"llama2\" not found, try pulling it first" },
	{ SIM_V1_EMBEDDINGS, "{\"model\":\"llama2\",\"input\":\"a\"}", 404,
	  "model \"llama2\" not found, try pulling it first" },
	/* types */
	{ SIM_CHAT, "{\"model\":5}", 400,
	  "json: cannot unmarshal number into Go struct field ChatRequest.model of type string" },
	{ SIM_SHOW, "{\"name\":{}}", 400,
	  "json: cannot unmarshal object into Go struct field ShowRequest.name of type string" },
	{ SIM_CHAT, "{" SIM ",\"stream\":\"no\"}", 400,
	  "json: cannot unmarshal string into Go struct field ChatRequest.stream of type bool" },
	{ SIM_PULL_REQUEST, "{\"model\":\"a\",\"stream\":0}", 400,
	  "json: cannot unmarshal number into Go struct field PullRequest.stream of type bool" },
	{ SIM_CHAT, "{" SIM ",\"messages\":{}}", 400,
	  "json: cannot unmarshal object into Go struct field ChatRequest.messages of type "
	  "[]api.Message" },
	{ SIM_CHAT, "{" SIM ",\"messages\":[\"a\"]}", 400,
	  "json: cannot unmarshal string into Go struct field ChatRequest.messages of type "
	  "api.Message" },
	{ SIM_CHAT, "{" SIM ",\"messages\":[{\"role\":1}]}", 400,
	  "json: cannot unmarshal number into Go struct field ChatRequest.messages.role of type "
	  "string" },
	{ SIM_CHAT, "{" SIM ",\"messages\":[{\"content\":[]}]}", 400,
	  "json: cannot unmarshal array into Go struct field ChatRequest.messages.content of type "
	  "string" },
	{ SIM_V1_CHAT, "{" SIM ",\"messages\":5}", 400,
	  "json: cannot unmarshal number into Go struct field ChatCompletionRequest.messages of "
	  "type []openai.Message" },
	{ SIM_GENERATE, "{" SIM ",\"prompt\":[\"a\"]}", 400,
	  "json: cannot unmarshal array into Go struct field GenerateRequest.prompt of type "
	  "string" },
	{ SIM_V1_COMPLETIONS, "{" SIM ",\"prompt\":[\"a\"]}", 400,
	  "json: cannot unmarshal array into Go struct field CompletionRequest.prompt of type "
	  "string" },
	{ SIM_EMBEDDINGS, "{" SIM ",\"prompt\":5}", 400,
	  "json: cannot unmarshal number into Go struct field EmbeddingRequest.prompt of type "
	  "string" },
	{ SIM_EMBED, "{" SIM ",\"input\":\"a\",\"dimensions\":\"5\"}", 400,
	  "json: cannot unmarshal string into Go struct field EmbedRequest.dimensions of type "
	  "int" },
	{ SIM_CHAT, "{" SIM "," USER ",\"options\":[]}", 400,
	  "json: cannot unmarshal array into Go struct field ChatRequest.options of type "
	  "map[string]interface {}" },
	/* values */
	{ SIM_CHAT, "{" SIM "," USER ",\"options\":{\"num_ctx\":\"big\"}}", 500,
	  "option \"num_ctx\" must be of type integer" },
	{ SIM_CHAT, "{" SIM "," USER ",\"options\":{\"unknown\":1,\"temperature\":true}}", 500,
	  "option \"temperature\" must be of type float32" },
	{ SIM_CHAT, "{" SIM "," USER ",\"think\":\"a lot\"}", 400,
	  "invalid think value: \"a lot\" (must be \"high\", \"medium\", \"low\", \"max\", true, "
	  "or false)" },
	{ SIM_CHAT, "{" SIM "," USER ",\"think\":1}", 400,
	  "think must be a boolean or string (\"high\", \"medium\", \"low\", \"max\", true, or "
	  "false)" },
	{ SIM_V1_CHAT, "{" SIM "," USER ",\"reasoning_effort\":\"huge\"}", 400,
	  "invalid reasoning value: \"huge\" (must be \"minimal\", \"low\", \"medium\", \"high\", "
	  "\"xhigh\", \"ultra\", \"max\", or \"none\")" },
	{ SIM_CHAT, "{" SIM "," USER ",\"top_logprobs\":21}", 400,
	  "top_logprobs must be between 0 and 20" },
	{ SIM_CHAT, "{" SIM "," USER ",\"top_logprobs\":-1}", 400,
	  "top_logprobs must be between 0 and 20" },
	{ SIM_CHAT, "{" SIM "," USER ",\"top_logprobs\":\"1\"}", 400,
	  "json: cannot unmarshal string into Go struct field ChatRequest.top_logprobs of type "
	  "int" },
	{ SIM_CHAT, "{" SIM "," USER ",\"keep_alive\":\"soon\"}", 400,
	  "time: invalid duration \"soon\"" },
	{ SIM_CHAT, "{" SIM "," USER ",\"keep_alive\":\"10\"}", 400,
	  "time: invalid duration \"10\"" },
	{ SIM_CHAT, "{" SIM "," USER ",\"keep_alive\":\"\"}", 400, "time: invalid duration \"\"" },
	{ SIM_CHAT, "{" SIM "," USER ",\"keep_alive\":true}", 400, "Unsupported type: 'bool'" },
	{ SIM_CHAT, "{" SIM "," USER ",\"keep_alive\":[]}", 400,
	  "Unsupported type: '[]interface {}'" },
	{ SIM_CHAT, "{" SIM "," USER ",\"keep_alive\":{}}", 400,
	  "Unsupported type: 'map[string]interface {}'" },
	{ SIM_EMBED, "{" SIM ",\"input\":5}", 400, "invalid input type" },
	{ SIM_EMBED, "{" SIM ",\"input\":[\"a\",5]}", 400, "invalid input type" },
	{ SIM_V1_EMBEDDINGS, "{" SIM "}", 400, "invalid input" },
	{ SIM_V1_EMBEDDINGS, "{" SIM ",\"input\":[]}", 400, "invalid input" },
	{ SIM_V1_EMBEDDINGS, "{" SIM ",\"input\":\"a\",\"encoding_format\":\"hex\"}", 400,
	  "Invalid value for 'encoding_format' = hex. Supported values: ['float', 'base64']." },
	{ SIM_V1_CHAT, "{" SIM "}", 400, "[] is too short - 'messages'" },
	{ SIM_V1_CHAT, "{" SIM ",\"messages\":[]}", 400, "[] is too short - 'messages'" },
	{ SIM_V1_CHAT, "{" SIM ",\"messages\":[{\"role\":\"user\"}]}", 400,
	  "invalid message content type: <nil>" },
	{ SIM_V1_CHAT, "{" SIM ",\"messages\":[{\"role\":\"user\",\"content\":5}]}", 400,
	  "invalid message content type: float64" },
	{ SIM_V1_CHAT,
	  "{" SIM ",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"song\"}]}]}", 400,
	  "invalid message format" },
	{ SIM_V1_CHAT, "{" SIM ",\"messages\":[{\"role\":\"user\",\"content\":[\"text\"]}]}", 400,
	  "invalid message format" },
	/* what a model cannot do */
	{ SIM_CHAT, "{\"model\":\"ollachat-sim:plain\"," USER ",\"think\":true}", 400,
	  "\"ollachat-sim:plain\" does not support thinking" },
	{ SIM_CHAT, "{\"model\":\"Ollachat-Sim:plain\"," USER ",\"tools\":[{}]}", 400,
	  "registry.ollama.ai/library/ollachat-sim:plain does not support tools" },
	{ SIM_CHAT, "{\"model\":\"me/x:embed\"," USER "}", 400,
	  "\"me/x:embed\" does not support chat" },
	{ SIM_V1_CHAT, "{\"model\":\"me/x:embed\"," USER "}", 400,
	  "\"me/x:embed\" does not support chat" },
	{ SIM_GENERATE, "{\"model\":\"me/x:embed\",\"prompt\":\"a\"}", 400,
	  "\"me/x:embed\" does not support generate" },
	{ SIM_GENERATE, "{\"model\":\"me/x:embed\",\"prompt\":\"a\",\"think\":\"low\"}", 400,
	  "\"me/x:embed\" does not support thinking" },
};
/* clang-format on */

static void test_refused(void)
{
	FOR_ROWS(i, refused)
	{
		struct sim_request r = request(refused[i].kind, refused[i].body);
		bool v1 = refused[i].kind >= SIM_V1_CHAT;

		check_case("refused %zu: %s", i, refused[i].body);
		CHECK(r.act == SIM_REFUSE && r.entry == NULL);
		CHECK_U64(r.status, refused[i].status);
		CHECK_STR(r.error, refused[i].error);
		CHECK_ROOM(sim_error_write(out, r.kind, r.status, r.error));
		check_shape(written,
			    v1 ? "{error:{message:s type:s param:0 code:0}}" : "{error:s}");
		arena_init(&arena, memory, 0);
		sim_request_read(refused[i].kind, check_guard_str(refused[i].body), &lib, now,
				 &arena, &r);
		CHECK(r.act == SIM_REFUSE);
	}
	check_case("error types");
	CHECK_ROOM(sim_error_write(out, SIM_V1_CHAT, 400, SLICE("a<b")));
	CHECK_STR(written, "{\"error\":{\"message\":\"a\\u003cb\",\"type\":\"invalid_request_"
			   "error\",\"param\":null,\"code\":null}}");
	CHECK_ROOM(sim_error_write(out, SIM_V1_EMBEDDINGS, 404, SLICE("a")));
	CHECK_STR(written, "{\"error\":{\"message\":\"a\",\"type\":\"not_found_error\",\"param\":"
			   "null,\"code\":null}}");
	CHECK_ROOM(sim_error_write(out, SIM_V1_COMPLETIONS, 500, SLICE("a")));
	CHECK_STR(written, "{\"error\":{\"message\":\"a\",\"type\":\"api_error\",\"param\":null,"
			   "\"code\":null}}");
}

/* --- What is read -------------------------------------------------------------------------------- */

static void test_read(void)
{
	struct sim_request r;

	check_case("read");
	r = request(
		SIM_CHAT,
		"{" SIM ",\"messages\":[{\"role\":\"system\",\"content\":\"be kind\"},"
		"{\"role\":\"user\",\"content\":\"one\"},{\"role\":\"assistant\",\"content\":"
		"\"two\"},"
		"{\"role\":\"user\",\"content\":\"thr\\u00e9e\",\"images\":[\"QQ==\",\"QQ==\"]}],"
		"\"options\":{\"num_predict\":5,\"temperature\":0},\"think\":\"high\"}");
	CHECK(r.act == SIM_ANSWER && r.stream && r.needs_model && !r.unload && r.think &&
	      r.think_set);
	CHECK_STR(r.prompt, "thr\xc3\xa9"
			    "e");
	CHECK_U64(r.turns, 2);
	CHECK_U64(r.images, 2);
	CHECK_U64(r.limit, 5);
	CHECK_I64(r.keep_alive, 300000);
	CHECK_I64(r.created, now);
	CHECK(r.entry == &lib.models[0]);
	r = request(SIM_CHAT, "{\"model\":\" Ollachat-SIM:latest \"," USER
			      ",\"stream\":false,\"think\":false,\"format\":\"json\"}");
	CHECK(r.act == SIM_ANSWER && !r.stream && !r.think && r.think_set && r.json);
	CHECK(r.entry == &lib.models[0]);
	r = request(
		SIM_V1_CHAT,
		"{" SIM "," USER ",\"stream_options\":{\"include_usage\":true},\"max_tokens\":3,"
		"\"reasoning_effort\":\"xhigh\",\"response_format\":{\"type\":\"json_object\"}}");
	CHECK(r.act == SIM_ANSWER && !r.stream && r.include_usage && r.limit == 3 && r.think &&
	      r.json);
	r = request(SIM_V1_CHAT,
		    "{" SIM "," USER ",\"reasoning\":{\"effort\":\"none\"},\"stream\":true}");
	CHECK(r.act == SIM_ANSWER && r.stream && !r.think && r.think_set && !r.json);
	r = request(
		SIM_V1_CHAT,
		"{" SIM ",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\","
		"\"text\":\"a\\n\"},"
		"{\"type\":\"image_url\",\"image_url\":{}},{\"type\":\"text\",\"text\":\"b\"}]}]}");
	CHECK_STR(r.prompt, "a\nb");
	CHECK_U64(r.images, 1);
	r = request(SIM_V1_CHAT,
		    "{" SIM
		    ",\"messages\":[{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[]}]}");
	CHECK(r.act == SIM_ANSWER && r.prompt.n == 0);
	r = request(SIM_PULL_REQUEST, "{\"name\":\"tiny\",\"stream\":false}");
	CHECK(r.act == SIM_PULL && !r.stream && r.entry == NULL);
	CHECK_STR(r.model, "tiny");
	r = request(SIM_SHOW, "{\"name\":\"ollachat-sim\"}");
	CHECK(r.act == SIM_REPLY && !r.needs_model && r.keep_alive < 0);
	r = request(SIM_EMBED, "{" SIM ",\"input\":[\"a\",\"b\"],\"dimensions\":8}");
	CHECK(r.act == SIM_REPLY && r.needs_model && r.list && r.dimensions == 8);
}

static const struct {
	const char *value;
	int64_t ms;
	bool unload;
} keeps[] = {
	{ "0", 0, true },
	{ "\"0\"", 0, true },
	{ "\"0s\"", 0, true },
	{ "-0.0", 0, true },
	{ "5", 5000, false },
	{ "0.5", 500, false },
	{ "1e2", 100000, false },
	{ "100e-2", 1000, false },
	{ "0.0001", 1, false },
	{ "-1", SIM_FOREVER, false },
	{ "1e300", SIM_FOREVER, false },
	{ "1e999999", SIM_FOREVER, false },
	{ "\"10m\"", 600000, false },
	{ "\"1h30m\"", 5400000, false },
	{ "\"1.5h\"", 5400000, false },
	{ "\"+250ms\"", 250, false },
	{ "\"5000us\"", 5, false },
	{ "\"1ns\"", 1, false },
	{ "\"-1s\"", SIM_FOREVER, false },
	{ "null", 300000, false },
};

static void test_keep_alive(void)
{
	char body[128];

	FOR_ROWS(i, keeps)
	{
		struct sim_request r;

		check_case("keep_alive %s", keeps[i].value);
		snprintf(body, sizeof(body), "{" SIM ",\"keep_alive\":%s}", keeps[i].value);
		r = request(SIM_CHAT, body);
		CHECK(r.act == SIM_REPLY && r.unload == keeps[i].unload &&
		      r.needs_model == !keeps[i].unload);
		CHECK_I64(r.keep_alive, keeps[i].ms);
		CHECK_ROOM(sim_reply_write(out, &r, now, &stats, &arena));
		check_shape(
			written,
			"{model:s created_at:s message:{role:s content:s} done:b done_reason:s}");
		CHECK_STR(member(written, "done_reason"),
			  keeps[i].unload ? "\"unload\"" : "\"load\"");
		r = request(SIM_GENERATE, body);
		CHECK(r.act == SIM_REPLY && r.unload == keeps[i].unload);
		CHECK_ROOM(sim_reply_write(out, &r, now, &stats, &arena));
		check_shape(written, "{model:s created_at:s response:s done:b done_reason:s}");
	}
}

/* --- Answers ------------------------------------------------------------------------------------- */

static bool has(struct slice s, const char *what)
{
	struct slice w = slice_str(what);

	for (; s.n >= w.n; s = slice_from(s, 1))
		if (slice_starts(s, w))
			return true;
	return false;
}

static struct sim_request chat(const char *prompt, const char *rest)
{
	char body[4096];

	snprintf(body, sizeof(body),
		 "{" SIM ",\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}]%s}", prompt, rest);
	return request(SIM_CHAT, body);
}

static const struct {
	const char *prompt, *has;
} answers[] = {
	{ "hi", "no model is answering" },
	{ "hi there", "You said: hi there\n" },
	{ "hi", "Earlier turns I was given: 0." },
	{ "hi", "Ask me for a `table`" },
	{ "show me a Table", "| :--- | ---: | :---: |" },
	{ "some code", "```python\n" },
	{ "some code", "```c\n" },
	{ "in python please", "def greet" },
	{ "a list", "1. First" },
	{ "math", "$$" },
	{ "quote", "> A quotation" },
	{ "link", "https://example.com/" },
	{ "html", "<script>" },
	{ "emoji", "\xf0\x9f\x91\x8b" },
	{ "a heading", "# A heading" },
	{ "count to 12", " 10 11 12\n\n" },
	{ "Count to 99999", " 9999 10000\n\n" },
	{ "a long text", "This is a paragraph" },
};

static void check_deltas(struct sim_answer a)
{
	size_t content = 0, thinking = 0;
	struct sim_delta d;
	uint64_t n = 0;

	while (sim_answer_next(&a, &d)) {
		size_t *at = d.thinking ? &thinking : &content;
		struct slice whole = d.thinking ? a.thinking : a.content;

		CHECK(d.first == (n++ == 0));
		CHECK(d.text.n > 0 && d.text.p == whole.p + *at);
		CHECK(!utf8_is_tail(d.text.p));
		CHECK(!d.thinking || content == 0);
		*at += d.text.n;
	}
	CHECK(!a.cut && content == a.content.n && thinking == a.thinking.n && n == a.count);
	CHECK(!sim_answer_next(&a, &d));
}

static void test_answers(void)
{
	struct sim_answer a, again;
	struct sim_request r;
	struct sim_delta d;
	char prompt[3001];

	FOR_ROWS(i, answers)
	{
		check_case("answer to %s", answers[i].prompt);
		r = chat(answers[i].prompt, "");
		CHECK(sim_answer_make(&r, &arena, &a));
		if (!CHECK(has(a.content, answers[i].has)))
			check_print("answer", a.content);
		CHECK(a.thinking.n == 0);
		CHECK(sim_answer_make(&r, &arena, &again) && slice_eq(a.content, again.content));
		check_deltas(a);
	}
	check_case("thinking");
	r = chat("please think", "");
	CHECK(sim_answer_make(&r, &arena, &a) && a.thinking.n > 0);
	check_deltas(a);
	r = chat("hi", ",\"think\":true");
	CHECK(sim_answer_make(&r, &arena, &a) && a.thinking.n > 0);
	r = chat("please think", ",\"think\":false");
	CHECK(sim_answer_make(&r, &arena, &a) && a.thinking.n == 0);
	r = request(SIM_CHAT, "{\"model\":\"ollachat-sim:plain\",\"messages\":[{\"role\":\"user\","
			      "\"content\":\"think\"}]}");
	CHECK(sim_answer_make(&r, &arena, &a) && a.thinking.n == 0);
	check_case("limit");
	r = chat("hi", ",\"options\":{\"num_predict\":3}");
	CHECK(sim_answer_make(&r, &arena, &a));
	CHECK(sim_answer_next(&a, &d) && sim_answer_next(&a, &d) && sim_answer_next(&a, &d));
	CHECK(!sim_answer_next(&a, &d) && a.cut && a.count == 3);
	check_case("long prompt");
	memset(prompt, 'x', sizeof(prompt) - 1);
	prompt[0] = '1';
	prompt[sizeof(prompt) - 1] = '\0';
	memcpy(prompt + 1999, "\xc3\xa9", 2);
	r = chat(prompt, "");
	CHECK(sim_answer_make(&r, &arena, &a) && has(a.content, "xxx ...\n"));
	check_deltas(a);
	r = chat(prompt, ",\"format\":\"json\"");
	CHECK(sim_answer_make(&r, &arena, &a));
	check_shape(a.content, "{model:s note:s you_said:s earlier_turns:n}");
	check_case("no memory");
	arena_init(&arena, memory, 1000);
	CHECK(!sim_answer_make(&r, &arena, &a));
}

/* --- Replies to generations ---------------------------------------------------------------------- */

/* An answer in all three parts of a stream: some delta, a thinking one, the end. */
struct shapes {
	enum sim_kind kind;
	const char *body, *delta, *thinking, *end, *whole;
};

#define METRICS                                                                                    \
	"total_duration:n load_duration:n prompt_eval_count:n prompt_eval_duration:n "             \
	"eval_count:n eval_duration:n"
#define V1_HEAD "id:s object:s created:n model:s system_fingerprint:s choices:"
#define USAGE   "usage:{prompt_tokens:n completion_tokens:n total_tokens:n}"

/* clang-format off: a row is a case */
static const struct shapes shapes[] = {
	{ SIM_CHAT, "{" SIM "," USER ",\"think\":true}",
	  "{model:s created_at:s message:{role:s content:s} done:b}",
	  "{model:s created_at:s message:{role:s content:s thinking:s} done:b}",
	  "{model:s created_at:s message:{role:s content:s} done:b done_reason:s " METRICS "}",
	  "{model:s created_at:s message:{role:s content:s thinking:s} done:b "
	  "done_reason:s " METRICS "}" },
	{ SIM_GENERATE, "{" SIM ",\"prompt\":\"a\",\"think\":true}",
	  "{model:s created_at:s response:s done:b}",
	  "{model:s created_at:s response:s thinking:s done:b}",
	  "{model:s created_at:s response:s done:b done_reason:s context:[n] " METRICS "}",
	  "{model:s created_at:s response:s thinking:s done:b done_reason:s context:[n] " METRICS
	  "}" },
	{ SIM_V1_CHAT,
	  "{" SIM "," USER
	  ",\"reasoning_effort\":\"low\",\"stream_options\":{\"include_usage\":true}}",
	  "{" V1_HEAD "[{index:n delta:{content:s} finish_reason:0}]}",
	  "{" V1_HEAD "[{index:n delta:{role:s content:s reasoning:s} finish_reason:0}]}",
	  "{" V1_HEAD "[{index:n delta:{} finish_reason:s}]}|{" V1_HEAD "[] " USAGE "}",
	  "{" V1_HEAD "[{index:n message:{role:s content:s reasoning:s} finish_reason:s}] " USAGE
	  "}" },
	{ SIM_V1_CHAT, "{" SIM "," USER ",\"reasoning_effort\":\"low\"}",
	  "{" V1_HEAD "[{index:n delta:{content:s} finish_reason:0}]}",
	  "{" V1_HEAD "[{index:n delta:{role:s content:s reasoning:s} finish_reason:0}]}",
	  "{" V1_HEAD "[{index:n delta:{} finish_reason:s}]}",
	  "{" V1_HEAD "[{index:n message:{role:s content:s reasoning:s} finish_reason:s}] " USAGE
	  "}" },
	{ SIM_V1_COMPLETIONS, "{" SIM ",\"prompt\":\"think\"}",
	  "{id:s object:s created:n choices:[{text:s index:n finish_reason:0}] model:s "
	  "system_fingerprint:s}",
	  "{id:s object:s created:n choices:[{text:s index:n finish_reason:0}] model:s "
	  "system_fingerprint:s}",
	  "{id:s object:s created:n choices:[{text:s index:n finish_reason:s}] model:s "
	  "system_fingerprint:s}",
	  "{" V1_HEAD "[{text:s index:n finish_reason:s}] " USAGE "}" },
	{ SIM_V1_COMPLETIONS,
	  "{" SIM ",\"prompt\":\"think\",\"stream_options\":{\"include_usage\":true}}",
	  "{id:s object:s created:n choices:[{text:s index:n finish_reason:0}] model:s "
	  "system_fingerprint:s " USAGE "}",
	  "{id:s object:s created:n choices:[{text:s index:n finish_reason:0}] model:s "
	  "system_fingerprint:s " USAGE "}",
	  "{id:s object:s created:n choices:[{text:s index:n finish_reason:s}] model:s "
	  "system_fingerprint:s " USAGE "}"
	  "|{id:s object:s created:n choices:[] model:s system_fingerprint:s " USAGE "}",
	  "{" V1_HEAD "[{text:s index:n finish_reason:s}] " USAGE "}" },
};
/* clang-format on */

/* Cuts the next line of NDJSON, or the next event's data. */
static struct slice take_json(struct slice *stream, bool v1)
{
	const char *end = memchr(stream->p, '\n', stream->n);
	struct slice line = { stream->p, 0 };

	if (!CHECK(end != NULL))
		return line;
	line.n = (size_t)(end - stream->p);
	*stream = slice_from(*stream, line.n + 1);
	if (v1) {
		CHECK(slice_starts(line, SLICE("data: ")) && stream->n > 0 && stream->p[0] == '\n');
		line = slice_from(line, 6);
		*stream = slice_from(*stream, 1);
	}
	return line;
}

/* `want` are shapes with | between them; /v1 ends with [DONE]. */
static void check_stream(struct slice s, bool v1, const char *want, bool done)
{
	const char *bar;
	char one[512];

	for (; *want != '\0'; want = bar[0] == '|' ? bar + 1 : bar) {
		bar = want + strcspn(want, "|");
		snprintf(one, sizeof(one), "%.*s", (int)(bar - want), want);
		check_shape(take_json(&s, v1), one);
	}
	if (v1 && done)
		CHECK_STR(take_json(&s, v1), "[DONE]");
	CHECK_U64(s.n, 0);
}

static void test_shape(const struct shapes *sh)
{
	struct sim_request r = request(sh->kind, sh->body);
	bool v1 = sh->kind >= SIM_V1_CHAT;
	struct sim_answer a;
	struct sim_delta d;
	bool thought = false;

	if (!CHECK(r.act == SIM_ANSWER && sim_answer_make(&r, &arena, &a)))
		return;
	while (sim_answer_next(&a, &d)) {
		if (d.thinking ? thought : a.said > d.text.n)
			continue; /* one of each kind is enough */
		thought = true;
		CHECK_ROOM(sim_delta_write(out, &r, now, &stats, &d));
		check_stream(written, v1, d.thinking ? sh->thinking : sh->delta, false);
	}
	CHECK_ROOM(sim_end_write(out, &r, now, &stats, &a));
	check_stream(written, v1, sh->end, true);
	CHECK(has(written, "\"stop\""));
	a.cut = true;
	CHECK_ROOM(sim_end_write(out, &r, now, &stats, &a));
	CHECK(has(written, "\"length\""));
	CHECK_ROOM(sim_whole_write(out, &r, now, &stats, &a));
	check_shape(written, sh->whole);
	CHECK_ROOM(sim_error_line_write(out, &r, now, &stats, SLICE("it broke")));
	check_stream(written, v1, v1 ? sh->delta : "{error:s}", false);
}

static void test_texts(void)
{
	struct sim_request r = chat("a <b> & c", "");
	struct sim_delta d = { SLICE_INIT(" <b> &\n"), false, true };
	struct sim_stats none = { .id = 1 };
	struct sim_answer a = { 0 };

	check_case("texts");
	CHECK_ROOM(sim_delta_write(out, &r, now, &stats, &d));
	CHECK_STR(written, "{\"model\":\"ollachat-sim\",\"created_at\":\"2025-11-24T16:00:00."
			   "123Z\",\"message\":"
			   "{\"role\":\"assistant\",\"content\":\" \\u003cb\\u003e "
			   "\\u0026\\n\"},\"done\":false}\n");
	CHECK_ROOM(sim_end_write(out, &r, now, &none, &a));
	CHECK_STR(written, "{\"model\":\"ollachat-sim\",\"created_at\":\"2025-11-24T16:00:00."
			   "123Z\",\"message\":"
			   "{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,\"done_"
			   "reason\":\"stop\"}\n");
	r = request(SIM_V1_CHAT, "{" SIM "," USER "}");
	CHECK_ROOM(sim_delta_write(out, &r, now, &stats, &d));
	CHECK_STR(written, "data: "
			   "{\"id\":\"chatcmpl-7\",\"object\":\"chat.completion.chunk\","
			   "\"created\":1764000000,"
			   "\"model\":\"ollachat-sim\",\"system_fingerprint\":\"fp_ollama\","
			   "\"choices\":[{\"index\":0,\"delta\":"
			   "{\"role\":\"assistant\",\"content\":\" \\u003cb\\u003e "
			   "\\u0026\\n\"},\"finish_reason\":null}]}\n\n");
	CHECK_STR(slice_str(sim_stream_type(SIM_CHAT)), "application/x-ndjson");
	CHECK_STR(slice_str(sim_stream_type(SIM_V1_CHAT)), "text/event-stream");
	CHECK_STR(slice_str(sim_whole_type(SIM_EMBED)), "application/json; charset=utf-8");
	CHECK_STR(slice_str(sim_whole_type(SIM_V1_EMBEDDINGS)), "application/json");
}

/* --- Embeddings ---------------------------------------------------------------------------------- */

static double square_sum(struct slice array)
{
	struct json_value top;
	struct json_error err;
	struct json_member m;
	struct json_walk w;
	double sum = 0;

	if (!json_check(array, &top, &err))
		return 0;
	json_walk_init(&w, top);
	while (json_walk_next(&w, &m)) {
		char number[32];
		double v;

		snprintf(number, sizeof(number), "%.*s", (int)m.value.raw.n, m.value.raw.p);
		v = strtod(number, NULL);
		sum += v * v;
	}
	return sum;
}

/* clang-format off: a row is a case */
static const struct {
	enum sim_kind kind;
	const char *body, *want;
} embeds[] = {
	{ SIM_EMBED, "{" SIM ",\"input\":\"a\"}",
	  "{model:s embeddings:[[n]] total_duration:n load_duration:n prompt_eval_count:n}" },
	{ SIM_EMBED, "{" SIM ",\"input\":[\"a\",\"b\",\"\"]}",
	  "{model:s embeddings:[[n]] total_duration:n load_duration:n prompt_eval_count:n}" },
	{ SIM_EMBED, "{\"model\":\"me/x:embed\",\"input\":\"\"}", "{model:s embeddings:[]}" },
	{ SIM_EMBED, "{" SIM ",\"input\":[]}", "{model:s embeddings:[]}" },
	{ SIM_EMBED, "{" SIM "}", "{model:s embeddings:[]}" },
	{ SIM_EMBEDDINGS, "{" SIM ",\"prompt\":\"a\"}", "{embedding:[n]}" },
	{ SIM_EMBEDDINGS, "{" SIM ",\"prompt\":\"\"}", "{embedding:[]}" },
	{ SIM_EMBEDDINGS, "{" SIM "}", "{embedding:[]}" },
	{ SIM_V1_EMBEDDINGS, "{" SIM ",\"input\":[\"a\",\"b\"]}",
	  "{object:s data:[{object:s embedding:[n] index:n}] model:s usage:{prompt_tokens:n "
	  "total_tokens:n}}" },
	{ SIM_V1_EMBEDDINGS, "{" SIM ",\"input\":\"\",\"encoding_format\":\"base64\"}",
	  "{object:s data:[{object:s embedding:s index:n}] model:s usage:{prompt_tokens:n "
	  "total_tokens:n}}" },
};
/* clang-format on */

static void test_embeds(void)
{
	static char many[8 * (SIM_INPUTS_MAX + 2)];
	struct sim_request r;
	unsigned n, i;
	char body[128];
	double sum;

	FOR_ROWS(k, embeds)
	{
		check_case("embed %zu: %s", k, embeds[k].body);
		r = request(embeds[k].kind, embeds[k].body);
		CHECK(r.act == SIM_REPLY);
		CHECK_ROOM(sim_reply_write(out, &r, now, &stats, &arena));
		check_shape(written, embeds[k].want);
	}
	for (n = 1; n <= SIM_DIMENSIONS + 1; n++) {
		struct slice vectors;

		check_case("%u dimensions", n);
		snprintf(body, sizeof(body), "{" SIM ",\"input\":\"text %u\",\"dimensions\":%u}", n,
			 n);
		r = request(SIM_EMBED, body);
		CHECK_ROOM(sim_embed_write(out, &r, &stats));
		vectors = member(written, "embeddings");
		sum = square_sum(slice_make(vectors.p + 1, vectors.n - 2));
		CHECK(sum > 0.999999 && sum < 1.000001);
	}
	check_case("base64");
	r = request(SIM_V1_EMBEDDINGS,
		    "{" SIM ",\"input\":\"a\",\"encoding_format\":\"base64\",\"dimensions\":1}");
	CHECK_ROOM(sim_embed_write(out, &r, &stats));
	CHECK(has(written, "\"embedding\":\"AACAPw==\"") ||
	      has(written, "\"embedding\":\"AACAvw==\"") ||
	      has(written, "\"embedding\":\"/v9/Pw==\"") ||
	      has(written, "\"embedding\":\"/f9/vw==\""));
	check_case("many inputs");
	for (i = 0; i <= SIM_INPUTS_MAX; i++)
		memcpy(many + 4 * i, ",\"a\"", 4);
	n = (unsigned)snprintf(memory, 64, "{" SIM ",\"input\":[");
	memcpy(memory + n, many + 1, 4 * SIM_INPUTS_MAX + 3);
	memcpy(memory + n + 4 * SIM_INPUTS_MAX + 3, "]}", 3);
	r = request(SIM_EMBED, strcpy(text, memory));
	CHECK_STR(r.error, "too many inputs for a stand-in");
}

/* --- Models -------------------------------------------------------------------------------------- */

#define DETAILS                                                                                    \
	"parent_model:s format:s family:s families:[s] parameter_size:s quantization_level:s"

static void test_lists(void)
{
	struct sim_library l = library();
	struct sim_request r;
	struct buf names;
	char list[200];
	unsigned status;

	check_case("lists");
	CHECK_ROOM(sim_version_write(out, SLICE("0.1.0")));
	CHECK_STR(written, "{\"version\":\"0.1.0\"}");
	CHECK_ROOM(sim_tags_write(out, &l));
	check_shape(written,
		    "{models:[{name:s model:s modified_at:s size:n digest:s details:{" DETAILS
		    " context_length:n embedding_length:n} capabilities:[s]}]}");
	buf_init(&names, list, sizeof(list));
	CHECK_I64(ollama_names_list(written, &arena, &names), 3);
	CHECK_STR(buf_view(&names), "ollachat-sim:latest, ollachat-sim:plain, me/x:embed");
	CHECK_ROOM(sim_ps_write(out, &l, now));
	CHECK_STR(written, "{\"models\":[]}");
	sim_model_use(&l.models[0], now, 1000);
	sim_model_use(&l.models[1], now, SIM_FOREVER);
	sim_model_use(&l.models[2], now, 1000);
	CHECK_ROOM(sim_ps_write(out, &l, now));
	check_shape(written, "{models:[{name:s model:s size:n digest:s details:{" DETAILS
			     "} expires_at:s size_vram:n context_length:n}]}");
	buf_reset(&names);
	CHECK_I64(ollama_names_list(written, &arena, &names), 3);
	CHECK_STR(buf_view(&names), "ollachat-sim:plain, ollachat-sim:latest, me/x:embed");
	CHECK(has(written, "\"2262-01-01T00:00:00.000Z\""));
	CHECK_ROOM(sim_ps_write(out, &l, now + 1000));
	CHECK(has(written, "ollachat-sim:plain") && !has(written, "latest"));
	CHECK_ROOM(sim_v1_models_write(out, &l));
	check_shape(written, "{object:s data:[{id:s object:s created:n owned_by:s}]}");
	CHECK(has(written, "\"owned_by\":\"library\"") && has(written, "\"owned_by\":\"me\""));
	CHECK_ROOM(sim_v1_model_write(out, &l, SLICE("ollachat-sim"), &status));
	CHECK_U64(status, 200);
	CHECK_STR(written, "{\"id\":\"ollachat-sim\",\"object\":\"model\",\"created\":1764000000,"
			   "\"owned_by\":\"library\"}\n");
	CHECK_ROOM(sim_v1_model_write(out, &l, SLICE("tiny"), &status));
	CHECK_U64(status, 404);
	CHECK_STR(member(written, "error"),
		  "{\"message\":\"model 'tiny:latest' not "
		  "found\",\"type\":\"not_found_error\",\"param\":null,\"code\":null}");
	CHECK_ROOM(sim_v1_model_write(out, &l, SLICE(":"), &status));
	CHECK_U64(status, 400);
	r = request(SIM_SHOW, "{\"model\":\"ollachat-sim\"}");
	CHECK_ROOM(sim_reply_write(out, &r, now, &stats, &arena));
	check_shape(
		written,
		"{license:s modelfile:s parameters:s template:s details:{" DETAILS
		"} model_info:{general.architecture:s general.basename:s general.parameter_count:n "
		"sim.context_length:n sim.embedding_length:n} capabilities:[s] modified_at:s}");
}

static void test_library(void)
{
	struct sim_library l = library();
	struct sim_model *m = sim_library_find(&l, SLICE("OLLACHAT-SIM"));
	char name[16];
	unsigned i;

	check_case("library");
	CHECK_STR(slice_make(m->name, m->n), "ollachat-sim:latest");
	CHECK(!sim_model_is_loaded(m, now));
	sim_model_use(m, now, 5);
	CHECK(sim_model_is_loaded(m, now + 4) && !sim_model_is_loaded(m, now + 5));
	sim_model_use(m, now, -1);
	CHECK(sim_model_is_loaded(m, now + 4));
	sim_model_use(m, now, 0);
	CHECK(!sim_model_is_loaded(m, now));
	sim_model_use(m, now, SIM_FOREVER);
	CHECK(sim_model_is_loaded(m, SIM_FOREVER - 1));
	CHECK(sim_library_find(&l, SLICE("tiny")) == NULL);
	CHECK(sim_library_add(&l, SLICE("tiny"), now) ==
	      sim_library_find(&l, SLICE("library/tiny:latest")));
	CHECK(sim_library_add(&l, SLICE("Tiny"), now + 1)->modified == now + 1);
	CHECK_U64(l.count, 4);
	CHECK(sim_library_add(&l, SLICE("tiny:"), now) == NULL);
	for (i = l.count; i < SIM_MODELS_MAX; i++) {
		snprintf(name, sizeof(name), "m%u", i);
		CHECK(sim_library_add(&l, slice_str(name), now) != NULL);
	}
	CHECK(sim_library_add(&l, SLICE("one-more"), now) == NULL);
	CHECK(sim_model_can_think(&l.models[0]) && sim_model_can_chat(&l.models[0]));
	CHECK(!sim_model_can_think(&l.models[1]) && sim_model_can_chat(&l.models[1]));
	CHECK(!sim_model_can_think(&l.models[2]) && !sim_model_can_chat(&l.models[2]));
}

static void test_pull(void)
{
	struct sim_request r = request(SIM_PULL_REQUEST, "{\"model\":\"tiny\"}");
	bool last = false, failed = false;
	unsigned step, layers = 0;

	check_case("pull");
	for (step = 0; !last && step < 100; step++) {
		CHECK_ROOM(sim_pull_write(out, &r, step, &last, &failed));
		CHECK(!failed && written.p[written.n - 1] == '\n');
		if (step == 0)
			CHECK_STR(written, "{\"status\":\"pulling manifest\"}\n");
		else if (has(written, "digest\":"))
			check_shape(written, layers++ % 5 == 0
						     ? "{status:s digest:s total:n}"
						     : "{status:s digest:s total:n completed:n}");
		else
			check_shape(written, "{status:s}");
	}
	CHECK_U64(layers, 10);
	CHECK_STR(written, "{\"status\":\"success\"}\n");
	r = request(SIM_PULL_REQUEST, "{\"model\":\"Missing-model\"}");
	CHECK_ROOM(sim_pull_write(out, &r, 0, &last, &failed));
	CHECK(!last && !failed);
	CHECK_ROOM(sim_pull_write(out, &r, 1, &last, &failed));
	CHECK(last && failed);
	CHECK_STR(written, "{\"error\":\"pull model manifest: file does not exist\"}\n");
}

int main(void)
{
	lib = library();
	test_refused();
	test_read();
	test_keep_alive();
	test_answers();
	FOR_ROWS(i, shapes)
	{
		check_case("shape %zu", i);
		test_shape(&shapes[i]);
	}
	test_texts();
	test_embeds();
	test_lists();
	test_library();
	test_pull();
	return check_done();
}
