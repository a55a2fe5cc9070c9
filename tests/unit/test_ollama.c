/* SPDX-License-Identifier: MIT */
/* test_ollama.c: what clients ask of Ollama, what goes on to it, and what it answers. */
#include "check.h"

#include "base/fmt.h"
#include "proto/ollama.h"

static char memory[1 << 16];

static struct arena arena(void)
{
	struct arena a;

	arena_init(&a, memory, sizeof(memory));
	return a;
}

/* --- Refusals ----------------------------------------------------------------------------------- */

/* clang-format off: a row is a case */
static const struct {
	enum ollama_kind kind;
	const char *body, *error;
} refused[] = {
	/* syntax */
	{ OLLAMA_CHAT, "", "invalid JSON at byte 0: missing request body" },
	{ OLLAMA_CHAT, "  ", "invalid JSON at byte 2: the text ends too soon" },
	{ OLLAMA_CHAT, "{\"prompt\":\"hi\"", "invalid JSON at byte 14: the text ends too soon" },
	{ OLLAMA_CHAT, "{\"prompt\":'hi'}", "invalid JSON at byte 10: a value is expected" },
	{ OLLAMA_CHAT, "{\"prompt\":\"hi\"}}",
	  "invalid JSON at byte 15: something follows the value" },
	{ OLLAMA_CHAT, "\xef\xbb\xbf{}", "invalid JSON at byte 0: a byte order mark" },
	{ OLLAMA_CHAT, "{\"prompt\":\"\xff\"}", "invalid JSON at byte 11: not UTF-8" },
	{ OLLAMA_GENERATE, "prompt=hi", "invalid JSON at byte 0: a value is expected" },
	{ OLLAMA_OPENAI, "{,}", "invalid JSON at byte 1: a key in quotes is expected" },
	/* no object */
	{ OLLAMA_CHAT, "null", "No JSON data provided" },
	{ OLLAMA_CHAT, " null\n", "No JSON data provided" },
	{ OLLAMA_CHAT, "{}", "No JSON data provided" },
	{ OLLAMA_CHAT, " { } ", "No JSON data provided" },
	{ OLLAMA_CHAT, "[]", "body must be an object" },
	{ OLLAMA_CHAT, "[{\"prompt\":\"hi\"}]", "body must be an object" },
	{ OLLAMA_CHAT, "\"prompt\"", "body must be an object" },
	{ OLLAMA_CHAT, "1", "body must be an object" },
	{ OLLAMA_CHAT, "true", "body must be an object" },
	{ OLLAMA_GENERATE, "null", "body must be an object" },
	{ OLLAMA_OPENAI, "[]", "body must be an object" },
	{ OLLAMA_ADMIN, "0", "body must be an object" },
	/* keys */
	{ OLLAMA_CHAT, "{\"a\":1,\"a\":1}", "repeated key \"a\"" },
	{ OLLAMA_CHAT, "{\"model\":\"a\",\"model\":\"a\"}", "repeated key \"model\"" },
	{ OLLAMA_CHAT, "{\"model\":\"a\",\"Model\":\"b\"}", "repeated key \"Model\"" },
	{ OLLAMA_CHAT, "{\"model\":\"a\",\"\\u006dodel\":\"b\"}", "repeated key \"model\"" },
	{ OLLAMA_CHAT, "{\"x\":1,\"X\":2}", "repeated key \"X\"" },
	{ OLLAMA_CHAT, "{\"ks\":1,\"\xe2\x84\xaa\xc5\xbf\":2}",
	  "repeated key \"\xe2\x84\xaa\xc5\xbf\"" },
	{ OLLAMA_CHAT, "{\"\":1,\"\":2}", "repeated key \"\"" },
	{ OLLAMA_CHAT, "{\"\\ud800\":1,\"\\ud801\":2}", "repeated key \"\xef\xbf\xbd\"" },
	{ OLLAMA_CHAT, "{\"Model\":\"a\"}", "unknown spelling \"Model\" of \"model\"" },
	{ OLLAMA_CHAT, "{\"MESSAGES\":[]}", "unknown spelling \"MESSAGES\" of \"messages\"" },
	{ OLLAMA_CHAT,
	  "{\"me\xc5\xbf\xc5\xbf"
	  "ages\":[]}",
	  "unknown spelling \"me\xc5\xbf\xc5\xbf"
	  "ages\" of \"messages\"" },
	{ OLLAMA_CHAT,
	  "{\"\xe2\x84\xaa"
	  "eep_alive\":0}",
	  "unknown spelling \"\xe2\x84\xaa"
	  "eep_alive\" of \"keep_alive\"" },
	{ OLLAMA_CHAT, "{\"\\u212aeep_alive\":0}",
	  "unknown spelling \"\xe2\x84\xaa"
	  "eep_alive\" of \"keep_alive\"" },
	{ OLLAMA_CHAT, "{\"\\u004dodel\":\"a\"}", "unknown spelling \"Model\" of \"model\"" },
	{ OLLAMA_GENERATE, "{\"Prompt\":\"a\"}", "unknown spelling \"Prompt\" of \"prompt\"" },
	{ OLLAMA_GENERATE, "{\"_DEBUG_render_only\":true}",
	  "unknown spelling \"_DEBUG_render_only\" of \"_debug_render_only\"" },
	{ OLLAMA_EMBED, "{\"Input\":[]}", "unknown spelling \"Input\" of \"input\"" },
	{ OLLAMA_SHOW, "{\"NAME\":\"a\"}", "unknown spelling \"NAME\" of \"name\"" },
	{ OLLAMA_OPENAI, "{\"Stream_Options\":{}}",
	  "unknown spelling \"Stream_Options\" of \"stream_options\"" },
	{ OLLAMA_ADMIN, "{\"Source\":\"a\"}", "unknown spelling \"Source\" of \"source\"" },
	{ OLLAMA_CHAT,
	  "{\"0123456789012345678901234567890123456789\":1,"
	  "\"0123456789012345678901234567890123456789\":1}",
	  "repeated key \"0123456789012345678901234567890123456789\"" },
	{ OLLAMA_CHAT,
	  "{\"0123456789012345678901234567890123456789x\":1,"
	  "\"0123456789012345678901234567890123456789X\":1}",
	  "repeated key \"0123456789012345678901234567890123456789...\"" },
	/* types */
	{ OLLAMA_CHAT, "{\"prompt\":1}", "prompt must be a string" },
	{ OLLAMA_CHAT, "{\"prompt\":true}", "prompt must be a string" },
	{ OLLAMA_CHAT, "{\"prompt\":[\"a\"]}", "prompt must be a string" },
	{ OLLAMA_CHAT, "{\"prompt\":{}}", "prompt must be a string" },
	{ OLLAMA_CHAT, "{\"prompt\":\"\"}", "Prompt is required" },
	{ OLLAMA_CHAT, "{\"prompt\":\"\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}",
	  "Prompt is required" },
	{ OLLAMA_CHAT, "{\"prompt\":\"a\",\"model\":1}", "model must be a string" },
	{ OLLAMA_CHAT, "{\"model\":[]}", "model must be a string" },
	{ OLLAMA_CHAT, "{\"model\":false}", "model must be a string" },
	{ OLLAMA_GENERATE, "{\"model\":{}}", "model must be a string" },
	{ OLLAMA_OPENAI, "{\"model\":0}", "model must be a string" },
	{ OLLAMA_SHOW, "{\"name\":0}", "name must be a string" },
	{ OLLAMA_CHAT, "{\"messages\":{}}", "messages must be an array" },
	{ OLLAMA_CHAT, "{\"messages\":\"a\"}", "messages must be an array" },
	{ OLLAMA_CHAT, "{\"prompt\":\"a\",\"messages\":1}", "messages must be an array" },
	{ OLLAMA_CHAT, "{\"stream\":\"true\"}", "stream must be true or false" },
	{ OLLAMA_CHAT, "{\"stream\":1}", "stream must be true or false" },
	{ OLLAMA_GENERATE, "{\"stream\":[]}", "stream must be true or false" },
	{ OLLAMA_OPENAI, "{\"stream\":{}}", "stream must be true or false" },
	{ OLLAMA_CHAT, "{\"prompt\":\"a\",\"conversation_id\":[]}",
	  "conversation_id must be a string" },
	{ OLLAMA_CHAT, "{\"prompt\":\"a\",\"conversation_id\":{}}",
	  "conversation_id must be a string" },
	{ OLLAMA_CHAT, "{\"prompt\":\"a\",\"conversation_id\":true}",
	  "conversation_id must be a string" },
	/* earlier turns in the origin's form */
	{ OLLAMA_CHAT, "{\"prompt\":\"a\",\"messages\":[1]}", "messages[0] must be an object" },
	{ OLLAMA_CHAT, "{\"prompt\":\"a\",\"messages\":[null]}", "messages[0] must be an object" },
	{ OLLAMA_CHAT, "{\"prompt\":\"a\",\"messages\":[{}]}",
	  "messages[0].role must be a string" },
	{ OLLAMA_CHAT, "{\"prompt\":\"a\",\"messages\":[{\"role\":1,\"content\":\"\"}]}",
	  "messages[0].role must be a string" },
	{ OLLAMA_CHAT, "{\"prompt\":\"a\",\"messages\":[{\"role\":\"user\"}]}",
	  "messages[0].content must be a string" },
	{ OLLAMA_CHAT,
	  "{\"prompt\":\"a\",\"messages\":[{\"role\":\"user\",\"content\":\"\"},{\"role\":\"user\","
	  "\"content\":null}]}",
	  "messages[1].content must be a string" },
	{ OLLAMA_CHAT,
	  "{\"prompt\":\"a\",\"messages\":[{\"role\":\"user\",\"content\":\"\",\"images\":\"x\"}]}",
	  "messages[0].images must be an array" },
	{ OLLAMA_CHAT, "{\"messages\":[3],\"prompt\":\"a\"}", "messages[0] must be an object" },
};
/* clang-format on */

static void test_refused(void)
{
	FOR_ROWS(i, refused)
	{
		struct ollama_request req;
		struct arena a = arena();

		check_case("refused %zu: %s", i, refused[i].body);
		CHECK(!ollama_request_read(refused[i].kind, check_guard_str(refused[i].body), &a,
					   &req));
		CHECK_U64(req.refuse, 400);
		CHECK_STR(req.error, refused[i].error);
		/* Without memory it is refused all the same, if in fewer words. */
		arena_init(&a, memory, 0);
		CHECK(!ollama_request_read(refused[i].kind, check_guard_str(refused[i].body), &a,
					   &req));
		CHECK(req.refuse == 400 && req.error.n > 0);
	}
}

/* n different keys */
static struct slice many_keys(unsigned n)
{
	static char text[8192];
	struct buf b;
	unsigned i;

	buf_init(&b, text, sizeof(text));
	buf_put_str(&b, "{");
	for (i = 0; i < n; i++) {
		buf_put_str(&b, i > 0 ? ",\"k" : "\"k");
		fmt_u64(&b, i);
		buf_put_str(&b, "\":0");
	}
	buf_put_str(&b, "}");
	return buf_view(&b);
}

static void test_many_keys(void)
{
	struct ollama_request req;
	struct arena a = arena();

	check_case("many keys");
	CHECK(ollama_request_read(OLLAMA_CHAT, check_guard(many_keys(OLLAMA_KEYS_MAX)), &a, &req));
	CHECK(!ollama_request_read(OLLAMA_CHAT, check_guard(many_keys(OLLAMA_KEYS_MAX + 1)), &a,
				   &req));
	CHECK_STR(req.error, "too many keys");
}

/* --- What goes on ------------------------------------------------------------------------------- */

enum { REPLACE = 1, CUT = 2, ORIGIN = 4, UNLOAD = 8, ON = 16, OFF = 32 };

#define HI "{\"role\":\"user\",\"content\":\"hi\"}"

/* clang-format off: a row is a case */
static const struct {
	enum ollama_kind kind;
	const char *body, *model;
	unsigned flags; /* what is asked for, and what is read */
	const char *want;
} passed[] = {
	/* Ollama's form: not a byte changes when nothing has to */
	{ OLLAMA_CHAT, "{\"model\":\"a\",\"messages\":[" HI "]}", "", 0,
	  "{\"model\":\"a\",\"messages\":[" HI "]}" },
	{ OLLAMA_CHAT, " {\"model\" : \"a\"}\r\n", "m", 0, " {\"model\" : \"a\"}\r\n" },
	{ OLLAMA_CHAT, "{\"prompt\":null,\"model\":\"a\"}", "m", CUT,
	  "{\"prompt\":null,\"model\":\"a\"}" },
	{ OLLAMA_CHAT, "{\"\\u006dodel\":\"a\"}", "m", 0, "{\"\\u006dodel\":\"a\"}" },
	{ OLLAMA_CHAT, "{\"model\":\"a\",\"stream\":true}", "m", ON,
	  "{\"model\":\"a\",\"stream\":true}" },
	{ OLLAMA_CHAT, "{\"model\":\"a\",\"stream\":false}", "m", OFF,
	  "{\"model\":\"a\",\"stream\":false}" },
	{ OLLAMA_CHAT, "{\"model\":\"a\",\"stream\":null}", "m", 0,
	  "{\"model\":\"a\",\"stream\":null}" },
	{ OLLAMA_CHAT, "{\"model\":\"a\",\"options\":{\"seed\":1,\"seed\":2},\"unknown\":[]}", "m",
	  0, "{\"model\":\"a\",\"options\":{\"seed\":1,\"seed\":2},\"unknown\":[]}" },
	{ OLLAMA_CHAT, "{\"model\":\"a\",\"messages\":[1,{\"role\":2}]}", "m", 0,
	  "{\"model\":\"a\",\"messages\":[1,{\"role\":2}]}" },
	{ OLLAMA_CHAT, "{\"model\":\"a\",\"conversation_id\":[]}", "m", 0,
	  "{\"model\":\"a\",\"conversation_id\":[]}" },
	{ OLLAMA_CHAT, "{\"Input\":1,\"model\":\"a\"}", "m", 0, "{\"Input\":1,\"model\":\"a\"}" },
	/* a missing model */
	{ OLLAMA_CHAT, "{\"messages\":[]}", "m", 0, "{\"model\":\"m\",\"messages\":[]}" },
	{ OLLAMA_CHAT, "{\"messages\":[]}", "", 0, "{\"messages\":[]}" },
	{ OLLAMA_CHAT, " { \"messages\":[]}", "m", 0, " {\"model\":\"m\", \"messages\":[]}" },
	{ OLLAMA_CHAT, "{\"model\":null,\"messages\":[]}", "m", 0,
	  "{\"model\":\"m\",\"messages\":[]}" },
	{ OLLAMA_CHAT, "{\"messages\":[], \"model\" : \"\" }", "m", 0,
	  "{\"messages\":[], \"model\":\"m\" }" },
	{ OLLAMA_CHAT, "{\"model\":\"\"}", "", 0, "{\"model\":\"\"}" },
	{ OLLAMA_CHAT, "{\"a\":1}", "q\"\\\n\xff", 0,
	  "{\"model\":\"q\\\"\\\\\\n\xef\xbf\xbd\",\"a\":1}" },
	{ OLLAMA_GENERATE, "{}", "m", 0, "{\"model\":\"m\"}" },
	{ OLLAMA_GENERATE, "{ \n}", "m", 0, "{\"model\":\"m\" \n}" },
	{ OLLAMA_GENERATE, "{\"prompt\":5}", "m", 0, "{\"model\":\"m\",\"prompt\":5}" },
	{ OLLAMA_EMBED, "{\"input\":\"a\"}", "m", 0, "{\"model\":\"m\",\"input\":\"a\"}" },
	{ OLLAMA_OPENAI, "{\"messages\":{}}", "m", 0, "{\"model\":\"m\",\"messages\":{}}" },
	/* the model replaced */
	{ OLLAMA_CHAT, "{\"model\":\"a\",\"x\":1}", "m", REPLACE, "{\"model\":\"m\",\"x\":1}" },
	{ OLLAMA_CHAT, "{\"x\":1,\"model\" : \"a\"}", "m", REPLACE, "{\"x\":1,\"model\" : \"m\"}" },
	{ OLLAMA_CHAT, "{\"model\":\"a\"}", "", REPLACE, "{\"model\":\"a\"}" },
	{ OLLAMA_CHAT, "{\"x\":1}", "m", REPLACE, "{\"model\":\"m\",\"x\":1}" },
	/* keep_alive cut out: first, in the middle, last, alone */
	{ OLLAMA_CHAT, "{\"keep_alive\":5,\"model\":\"a\"}", "m", CUT, "{\"model\":\"a\"}" },
	{ OLLAMA_CHAT, "{ \"keep_alive\" : \"5m\" , \"model\":\"a\"}", "m", CUT,
	  "{  \"model\":\"a\"}" },
	{ OLLAMA_CHAT, "{\"model\":\"a\",\"keep_alive\":-1,\"x\":1}", "m", CUT,
	  "{\"model\":\"a\",\"x\":1}" },
	{ OLLAMA_CHAT, "{\"model\":\"a\" , \"keep_alive\":-1 , \"x\":1}", "m", CUT,
	  "{\"model\":\"a\" ,  \"x\":1}" },
	{ OLLAMA_CHAT, "{\"model\":\"a\",\"keep_alive\":null}", "m", CUT, "{\"model\":\"a\"}" },
	{ OLLAMA_CHAT, "{\"model\":\"a\"\n,\n\"keep_alive\":{} \n}", "m", CUT,
	  "{\"model\":\"a\"\n \n}" },
	{ OLLAMA_GENERATE, "{\"keep_alive\":5}", "", CUT, "{}" },
	{ OLLAMA_GENERATE, "{ \"keep_alive\":5 }", "", CUT, "{  }" },
	{ OLLAMA_EMBED, "{\"model\":\"a\",\"keep_alive\":5}", "", CUT, "{\"model\":\"a\"}" },
	{ OLLAMA_OPENAI, "{\"model\":\"a\",\"keep_alive\":5}", "", CUT,
	  "{\"model\":\"a\",\"keep_alive\":5}" },
	/* both */
	{ OLLAMA_GENERATE, "{\"keep_alive\":5}", "m", CUT, "{\"model\":\"m\"}" },
	{ OLLAMA_GENERATE, "{\"keep_alive\":5,\"prompt\":\"a\"}", "m", CUT,
	  "{\"model\":\"m\",\"prompt\":\"a\"}" },
	{ OLLAMA_GENERATE, "{\"prompt\":\"a\",\"keep_alive\":5}", "m", CUT,
	  "{\"prompt\":\"a\",\"model\":\"m\"}" },
	{ OLLAMA_GENERATE, "{\"keep_alive\":5,\"model\":\"a\"}", "m", CUT | REPLACE,
	  "{\"model\":\"m\"}" },
	{ OLLAMA_GENERATE, "{\"model\":\"a\",\"keep_alive\":5}", "m", CUT | REPLACE,
	  "{\"model\":\"m\"}" },
	{ OLLAMA_GENERATE, "{\"model\":null,\"keep_alive\":5}", "m", CUT, "{\"model\":\"m\"}" },
	{ OLLAMA_GENERATE, "{\"keep_alive\":5,\"model\":null}", "m", CUT, "{\"model\":\"m\"}" },
	{ OLLAMA_GENERATE, "{\"a\":1,\"keep_alive\":5,\"b\":2,\"model\":\"\",\"c\":3}", "m", CUT,
	  "{\"a\":1,\"b\":2,\"model\":\"m\",\"c\":3}" },
	/* /api/show: the old word for the model */
	{ OLLAMA_SHOW, "{\"name\":\"a\"}", "m", 0, "{\"name\":\"a\"}" },
	{ OLLAMA_SHOW, "{\"name\":\"a\"}", "m", REPLACE, "{\"name\":\"m\"}" },
	{ OLLAMA_SHOW, "{\"name\":\"a\",\"model\":\"\"}", "m", 0,
	  "{\"name\":\"a\",\"model\":\"\"}" },
	{ OLLAMA_SHOW, "{\"name\":\"a\",\"model\":\"b\"}", "m", REPLACE,
	  "{\"name\":\"a\",\"model\":\"m\"}" },
	{ OLLAMA_SHOW, "{\"name\":\"\",\"verbose\":true}", "m", 0,
	  "{\"model\":\"m\",\"name\":\"\",\"verbose\":true}" },
	{ OLLAMA_SHOW, "{\"name\":null}", "m", 0, "{\"model\":\"m\",\"name\":null}" },
	/* admin: not ours to change */
	{ OLLAMA_ADMIN, " {\"name\":\"a\",\"keep_alive\":0}", "m", CUT | REPLACE,
	  " {\"name\":\"a\",\"keep_alive\":0}" },
	{ OLLAMA_ADMIN, "{}", "m", 0, "{}" },
	/* the origin's form */
	{ OLLAMA_CHAT, "{\"prompt\":\"hi\"}", "m", ORIGIN,
	  "{\"model\":\"m\",\"messages\":[" HI "],\"stream\":true}" },
	{ OLLAMA_CHAT, "{\"prompt\":\"hi\"}", "", ORIGIN,
	  "{\"messages\":[" HI "],\"stream\":true}" },
	{ OLLAMA_CHAT, "{\"prompt\":\"hi\",\"model\":\"a\"}", "m", ORIGIN,
	  "{\"model\":\"a\",\"messages\":[" HI "],\"stream\":true}" },
	{ OLLAMA_CHAT, "{\"prompt\":\"hi\",\"model\":\"a\"}", "m", ORIGIN | REPLACE,
	  "{\"model\":\"m\",\"messages\":[" HI "],\"stream\":true}" },
	{ OLLAMA_CHAT,
	  "{\"prompt\":\"hi\",\"model\":null,\"messages\":null,\"conversation_id\":null}", "m",
	  ORIGIN, "{\"model\":\"m\",\"messages\":[" HI "],\"stream\":true}" },
	{ OLLAMA_CHAT, "{\"prompt\":\"hi\",\"messages\":[ ],\"stream\":false,\"x\":1}", "m",
	  ORIGIN | OFF, "{\"model\":\"m\",\"messages\":[" HI "],\"stream\":true}" },
	{ OLLAMA_CHAT,
	  "{\"messages\":[" HI ",{\"role\":\"assistant\",\"content\":\"yes\",\"images\":null}],"
	  "\"prompt\":\"\\u00e9\\n\",\"stream\":true,\"keep_alive\":0}",
	  "m", ORIGIN | ON,
	  "{\"model\":\"m\",\"messages\":[" HI
	  ",{\"role\":\"assistant\",\"content\":\"yes\",\"images\":null},"
	  "{\"role\":\"user\",\"content\":\"\\u00e9\\n\"}],\"stream\":true}" },
	{ OLLAMA_CHAT,
	  "{\"prompt\":\"a\",\"conversation_id\":\"x\",\"messages\":[{\"role\":\"user\","
	  "\"content\":\"\",\"images\":[\"QQ==\"]}]}",
	  "m", ORIGIN,
	  "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"\",\"images\":[\"QQ==\"]"
	  "},{\"role\":\"user\",\"content\":\"a\"}],\"stream\":true}" },
	{ OLLAMA_CHAT,
	  "{\"prompt\":\"a\",\"messages\":[{\"id\":\"7\",\"role\":\"user\",\"content\":\"b\","
	  "\"content\":\"c\",\"role\":\"x\",\"images\":[],\"images\":5,\"isError\":true}]}",
	  "m", ORIGIN,
	  "{\"model\":\"m\",\"messages\":[{\"id\":\"7\",\"role\":\"user\",\"content\":\"b\","
	  "\"content\":\"c\",\"role\":\"x\",\"images\":[],\"images\":5,\"isError\":true},"
	  "{\"role\":\"user\",\"content\":\"a\"}],\"stream\":true}" },
	/* only unloading */
	{ OLLAMA_CHAT, "{\"model\":\"a\",\"keep_alive\":0}", "", UNLOAD,
	  "{\"model\":\"a\",\"keep_alive\":0}" },
	{ OLLAMA_CHAT, "{\"model\":\"a\",\"keep_alive\":-0.0e7,\"messages\":[ ]}", "", UNLOAD,
	  "{\"model\":\"a\",\"keep_alive\":-0.0e7,\"messages\":[ ]}" },
	{ OLLAMA_CHAT, "{\"model\":\"a\",\"keep_alive\":\"0\",\"messages\":null}", "", UNLOAD,
	  "{\"model\":\"a\",\"keep_alive\":\"0\",\"messages\":null}" },
	{ OLLAMA_CHAT, "{\"keep_alive\":\"0s\",\"model\":\"a\"}", "", UNLOAD,
	  "{\"keep_alive\":\"0s\",\"model\":\"a\"}" },
	{ OLLAMA_CHAT, "{\"keep_alive\":\"-0h00m0.0s\",\"model\":\"a\"}", "", UNLOAD,
	  "{\"keep_alive\":\"-0h00m0.0s\",\"model\":\"a\"}" },
	{ OLLAMA_CHAT, "{\"keep_alive\":\"\\u0030m\",\"model\":\"a\"}", "", UNLOAD,
	  "{\"keep_alive\":\"\\u0030m\",\"model\":\"a\"}" },
	{ OLLAMA_CHAT, "{\"keep_alive\":\"\",\"model\":\"a\"}", "", 0,
	  "{\"keep_alive\":\"\",\"model\":\"a\"}" },
	{ OLLAMA_CHAT, "{\"keep_alive\":\"10s\",\"model\":\"a\"}", "", 0,
	  "{\"keep_alive\":\"10s\",\"model\":\"a\"}" },
	{ OLLAMA_CHAT, "{\"keep_alive\":0.5,\"model\":\"a\"}", "", 0,
	  "{\"keep_alive\":0.5,\"model\":\"a\"}" },
	{ OLLAMA_CHAT, "{\"keep_alive\":null,\"model\":\"a\"}", "", 0,
	  "{\"keep_alive\":null,\"model\":\"a\"}" },
	{ OLLAMA_CHAT, "{\"keep_alive\":false,\"model\":\"a\"}", "", 0,
	  "{\"keep_alive\":false,\"model\":\"a\"}" },
	{ OLLAMA_CHAT, "{\"keep_alive\":0,\"messages\":[" HI "]}", "", 0,
	  "{\"keep_alive\":0,\"messages\":[" HI "]}" },
	{ OLLAMA_GENERATE, "{\"keep_alive\":0}", "", UNLOAD, "{\"keep_alive\":0}" },
	{ OLLAMA_GENERATE, "{\"keep_alive\":0,\"prompt\":\"\"}", "", UNLOAD,
	  "{\"keep_alive\":0,\"prompt\":\"\"}" },
	{ OLLAMA_GENERATE, "{\"keep_alive\":0,\"prompt\":null}", "", UNLOAD,
	  "{\"keep_alive\":0,\"prompt\":null}" },
	{ OLLAMA_GENERATE, "{\"keep_alive\":0,\"prompt\":\"a\"}", "", 0,
	  "{\"keep_alive\":0,\"prompt\":\"a\"}" },
	{ OLLAMA_EMBED, "{\"keep_alive\":0,\"input\":\"a\"}", "", 0,
	  "{\"keep_alive\":0,\"input\":\"a\"}" },
};
/* clang-format on */

/* The parts as one text; n == 0 when there are none. */
static struct slice join(const struct ollama_request *req, const char *model, unsigned flags,
			 struct arena *a)
{
	static char text[8192];
	struct slice parts[OLLAMA_PARTS_MAX];
	struct buf b;
	size_t n, i;

	buf_init(&b, text, sizeof(text));
	n = ollama_request_write(req, slice_str(model), flags & REPLACE, flags & CUT, a, parts);
	CHECK(n <= OLLAMA_PARTS_MAX);
	for (i = 0; i < n; i++)
		CHECK(parts[i].n > 0 && buf_put(&b, parts[i]));
	return buf_view(&b);
}

static bool is_object(struct slice text, struct json_value *top)
{
	struct json_error err;

	return json_check(check_guard(text), top, &err) && top->type == JSON_OBJECT;
}

static void test_passed(void)
{
	FOR_ROWS(i, passed)
	{
		struct slice body = check_guard_str(passed[i].body);
		unsigned flags = passed[i].flags;
		struct ollama_request req;
		struct arena a = arena();
		struct json_value top;

		check_case("passed %zu: %s", i, passed[i].body);
		if (!CHECK(ollama_request_read(passed[i].kind, body, &a, &req))) {
			check_print("error", req.error);
			continue;
		}
		CHECK(req.origin_form == ((flags & ORIGIN) != 0));
		CHECK(req.unload_only == ((flags & UNLOAD) != 0));
		CHECK(req.stream == (flags & ON    ? OLLAMA_STREAM_ON
				     : flags & OFF ? OLLAMA_STREAM_OFF
						   : OLLAMA_STREAM_UNSET));
		CHECK_STR(join(&req, passed[i].model, flags, &a), passed[i].want);
		CHECK(is_object(join(&req, passed[i].model, flags, &a), &top));
		/* No memory: nothing, unless none was needed. */
		arena_init(&a, memory, 0);
		body = join(&req, passed[i].model, flags, &a);
		CHECK(body.n == 0 || slice_eq(body, slice_str(passed[i].want)));
	}
}

/* Members in every order, with and without white space: what goes on must be JSON again, with the
 * right model and every other member as it was. */
static const char *const model_members[] = { NULL, "\"model\":\"a\"", "\"model\" : null",
					     "\"model\":\"\"" };
static const char *const keep_members[] = { NULL, "\"keep_alive\":0", "\"keep_alive\" : \"5m\"" };
static const char *const other_members[] = { NULL, "\"options\":{\"keep_alive\":1,\"model\":2}" };

static void put_shape(struct buf *b, const char *members[3], unsigned order, const char *space)
{
	static const unsigned char orders[6][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 },
						    { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };
	unsigned k, n = 0;

	buf_put_str(b, "{");
	for (k = 0; k < 3; k++) {
		const char *m = members[orders[order][k]];

		if (m == NULL)
			continue;
		if (n++ > 0)
			buf_put_str(b, ",");
		buf_put_str(b, space);
		buf_put_str(b, m);
		buf_put_str(b, space);
	}
	buf_put_str(b, "}");
}

static void check_shape(struct slice body, const char *members[3], const char *model,
			unsigned flags)
{
	struct json_value top, got;
	struct ollama_request req;
	struct arena a = arena();
	bool named;

	check_case("shape %.*s, \"%s\", %u", (int)body.n, body.p, model, flags);
	if (!CHECK(ollama_request_read(OLLAMA_GENERATE, check_guard(body), &a, &req)))
		return;
	if (!CHECK(is_object(join(&req, model, flags, &a), &top)))
		return;
	got = json_find(top, SLICE("model"));
	named = members[0] == model_members[1];
	if (model[0] != '\0' && (!named || (flags & REPLACE)))
		CHECK(json_string_is(got, slice_str(model)));
	else
		CHECK(named ? json_string_is(got, SLICE("a"))
			    : (got.type == JSON_NONE) == (members[0] == NULL));
	got = json_find(top, SLICE("keep_alive"));
	CHECK((got.type == JSON_NONE) == (members[1] == NULL || (flags & CUT)));
	got = json_find(top, SLICE("options"));
	CHECK((got.type == JSON_NONE) == (members[2] == NULL));
	CHECK(members[2] == NULL || got.raw.n == strlen(members[2]) - 10);
}

static void test_shapes(void)
{
	static const char *const spaces[] = { "", " ", "\n\t\r " };
	char text[256];

	FOR_ROWS(m, model_members)
	FOR_ROWS(k, keep_members)
	FOR_ROWS(o, other_members)
	FOR_ROWS(s, spaces)
	{
		const char *members[3] = { model_members[m], keep_members[k], other_members[o] };
		unsigned order, flags;

		for (order = 0; order < 6; order++)
			for (flags = 0; flags < 4; flags++) {
				struct buf b;

				buf_init(&b, text, sizeof(text));
				put_shape(&b, members, order, spaces[s]);
				check_shape(buf_view(&b), members, "m", flags);
				check_shape(buf_view(&b), members, "", flags);
			}
	}
}

static void test_read_values(void)
{
	struct ollama_request req;
	struct arena a = arena();

	check_case("values");
	CHECK(ollama_request_read(OLLAMA_CHAT,
				  SLICE("{\"prompt\":\"p\",\"conversation_id\":7,\"model\":\"x\"}"),
				  &a, &req));
	CHECK_STR(req.conversation_id.raw, "7");
	CHECK_STR(req.model.raw, "\"x\"");
	CHECK_STR(req.prompt.raw, "\"p\"");
	CHECK(req.messages.type == JSON_NONE && req.keep_alive.type == JSON_NONE);
	CHECK(ollama_request_read(OLLAMA_CHAT, SLICE("{\"prompt\":\"p\",\"conversation_id\":null}"),
				  &a, &req));
	CHECK(req.conversation_id.type == JSON_NONE && req.model.type == JSON_NONE);
	CHECK(ollama_request_read(
		OLLAMA_CHAT, SLICE("{\"prompt\":\"p\",\"conversation_id\":\"c-1\"}"), &a, &req));
	CHECK_STR(req.conversation_id.raw, "\"c-1\"");
	CHECK(ollama_request_read(OLLAMA_SHOW, SLICE("{\"name\":\"n\"}"), &a, &req));
	CHECK_STR(req.model.raw, "\"n\"");
}

/* --- Lines -------------------------------------------------------------------------------------- */

/* clang-format off: a row is a case */
static const struct {
	const char *line;
	enum chat_event_type type;
	const char *content, *error;
	uint64_t prompt_count, count;
} lines[] = {
	{ "{\"model\":\"m\",\"created_at\":\"x\",\"message\":{\"role\":\"assistant\",\"content\":"
	  "\"Hi \\u00e9\"},\"done\":false}",
	  CHAT_DELTA, "Hi \\u00e9", "", 0, 0 },
	{ "   {\"message\":{\"content\":\"a\",\"role\":\"assistant\"},\"done\":false}\r",
	  CHAT_DELTA, "a", "", 0, 0 },
	{ "{\"message\":{\"role\":\"assistant\",\"content\":\"\",\"thinking\":\"hm\"},\"done\":"
	  "false}",
	  CHAT_DELTA, "", "", 0, 0 },
	{ "{\"message\":{\"role\":\"assistant\",\"content\":\"end\"},\"done\":true,\"done_reason\":"
	  "\"stop\",\"total_duration\":5,"
	  "\"prompt_eval_count\":26,\"prompt_eval_duration\":1,\"eval_count\":298,\"eval_"
	  "duration\":2}",
	  CHAT_DONE, "end", "", 26, 298 },
	{ "{\"done\":true}", CHAT_DONE, "", "", 0, 0 },
	{ "{\"model\":\"m\",\"response\":\"tok\",\"done\":false}", CHAT_DELTA, "tok", "", 0, 0 },
	{ "{\"model\":\"m\",\"response\":\"\",\"done\":true,\"context\":[1,2,3],\"eval_count\":3}",
	  CHAT_DONE, "", "", 0, 3 },
	{ "{\"error\":\"it broke\"}", CHAT_ERROR, "", "\"it broke\"", 0, 0 },
	{ "{\"error\":\"it \\\"broke\\\"\",\"done\":true}", CHAT_ERROR, "", "\"it \\\"broke\\\"\"",
	  0, 0 },
	{ "{\"error\":\"\",\"done\":true}", CHAT_DONE, "", "", 0, 0 },
	{ "{\"error\":null,\"response\":\"a\"}", CHAT_DELTA, "a", "", 0, 0 },
	{ "{\"status\":\"pulling manifest\"}", CHAT_OTHER, "", "", 0, 0 },
	{ "{\"message\":\"text\"}", CHAT_OTHER, "", "", 0, 0 },
	{ "{\"message\":{\"content\":5},\"done\":\"true\"}", CHAT_OTHER, "", "", 0, 0 },
	{ "{\"message\":null,\"response\":null}", CHAT_OTHER, "", "", 0, 0 },
	{ "{\"done\":true,\"eval_count\":-1,\"prompt_eval_count\":\"7\"}", CHAT_DONE, "", "", 0,
	  0 },
	{ "{}", CHAT_OTHER, "", "", 0, 0 },
	{ "", CHAT_BROKEN, "", "", 0, 0 },
	{ "   ", CHAT_BROKEN, "", "", 0, 0 },
	{ "[]", CHAT_BROKEN, "", "", 0, 0 },
	{ "\"done\"", CHAT_BROKEN, "", "", 0, 0 },
	{ "{\"done\":true", CHAT_BROKEN, "", "", 0, 0 },
	{ "{\"done\":true}{\"done\":true}", CHAT_BROKEN, "", "", 0, 0 },
	{ "upstream connect error", CHAT_BROKEN, "", "", 0, 0 },
};
/* clang-format on */

static void test_lines(void)
{
	FOR_ROWS(i, lines)
	{
		struct chat_event e;

		check_case("line %zu: %s", i, lines[i].line);
		ollama_line_read(check_guard_str(lines[i].line), &e);
		CHECK(e.type == lines[i].type);
		CHECK_STR(e.content, lines[i].content);
		CHECK_STR(e.error.raw, lines[i].error);
		CHECK_U64(e.prompt_eval_count, lines[i].prompt_count);
		CHECK_U64(e.eval_count, lines[i].count);
	}
}

static void test_error(void)
{
	char text[64];
	struct buf b;
	size_t room;

	check_case("error");
	buf_init(&b, text, sizeof(text));
	CHECK(ollama_error_write(&b, SLICE("model 'm' \"not\" found\n")));
	CHECK_STR(buf_view(&b), "{\"error\":\"model 'm' \\\"not\\\" found\\n\"}");
	for (room = 0; room < 13; room++) {
		buf_init(&b, text, room);
		CHECK(!ollama_error_write(&b, SLICE("a")));
		CHECK_U64(buf_len(&b), 0);
	}
}

/* --- Names -------------------------------------------------------------------------------------- */

/* clang-format off: a row is a case */
static const struct {
	const char *name, *want; /* NULL: no name */
} names[] = {
	{ "llama3.2", "llama3.2:latest" },
	{ "llama3.2:latest", "llama3.2:latest" },
	{ "LLaMA3.2:Latest", "llama3.2:latest" },
	{ "llama3.2:1b", "llama3.2:1b" },
	{ "library/llama3.2", "llama3.2:latest" },
	{ "Library/llama3.2:1B", "llama3.2:1b" },
	{ "registry.ollama.ai/library/llama3.2", "llama3.2:latest" },
	{ "https://registry.ollama.ai/library/llama3.2", "llama3.2:latest" },
	{ "http://example.com/ns/m", "example.com/ns/m:latest" },
	{ "registry.ollama.ai/me/llama3.2:x", "me/llama3.2:x" },
	{ "me/m", "me/m:latest" },
	{ "hf.co/bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M",
	  "hf.co/bartowski/llama-3.2-1b-instruct-gguf:q4_k_m" },
	{ "example.com/library/m", "example.com/library/m:latest" },
	{ "localhost:5000/ns/m", "localhost:5000/ns/m:latest" },
	{ "localhost:5000/ns/m:t", "localhost:5000/ns/m:t" },
	{ "", NULL },
	{ ":", NULL },
	{ ":t", NULL },
	{ "m:", NULL },
	{ "/", NULL },
	{ "/m", NULL },
	{ "a/", NULL },
	{ "//m", NULL },
	{ "/a/m", NULL },
	{ "https:///a/m", NULL },
	{ "a/b/c/d", NULL },
	{ "https://https://a/b/c", NULL },
};
/* clang-format on */

static void test_names(void)
{
	char text[600], full[OLLAMA_NAME_MAX + 1];
	struct buf b;

	FOR_ROWS(i, names)
	{
		const char *want = names[i].want;
		size_t room;

		check_case("name %zu: %s", i, names[i].name);
		buf_init(&b, text, sizeof(text));
		CHECK(ollama_name_normalise(&b, check_guard_str(names[i].name)) == (want != NULL));
		CHECK_STR(buf_view(&b), want != NULL ? want : "");
		if (want == NULL) {
			CHECK(!ollama_name_eq(slice_str(names[i].name), slice_str(names[i].name)));
			CHECK(!ollama_name_eq(SLICE("m"), slice_str(names[i].name)));
			continue;
		}
		FOR_ROWS(k, names)
		CHECK(ollama_name_eq(slice_str(names[i].name), slice_str(names[k].name)) ==
		      (names[k].want != NULL && strcmp(want, names[k].want) == 0));
		for (room = 0; room < strlen(want); room++) {
			buf_init(&b, text, room);
			CHECK(!ollama_name_normalise(&b, slice_str(names[i].name)));
			CHECK_U64(buf_len(&b), 0);
		}
	}
	check_case("long name");
	memset(full, 'a', sizeof(full));
	buf_init(&b, text, sizeof(text));
	CHECK(ollama_name_normalise(&b, slice_make(full, OLLAMA_NAME_MAX)));
	CHECK(!ollama_name_normalise(&b, slice_make(full, OLLAMA_NAME_MAX + 1)));
}

/* --- Lists -------------------------------------------------------------------------------------- */

#define TAGS                                                                                       \
	"{\"models\":["                                                                            \
	"{\"name\":\"llama3.2:1b\",\"model\":\"llama3.2:1b\",\"modified_at\":\"2026-08-21T18:48:"  \
	"22Z\",\"size\":1321098329,\"digest\":\"ba\","                                             \
	"\"details\":{\"parent_model\":\"\",\"format\":\"gguf\",\"family\":\"llama\","             \
	"\"families\":[\"llama\"],\"parameter_size\":\"1.2B\","                                    \
	"\"quantization_level\":\"Q8_0\"},\"capabilities\":[\"completion\",\"tools\"]},"           \
	"{\"size\":1},{\"name\":\"\"},7,"                                                          \
	"{\"model\":\"tiny:latest\",\"size\":\"big\",\"details\":null},"                           \
	"{\"details\":{\"family\":null,\"size\":5},\"name\":\"\\u0071\\/wen:7b\"}]}"

/* clang-format off: a row is a case */
static const struct {
	const char *tags, *model, *only;
	enum parse rc;
	const char *want;
} models[] = {
	{ TAGS, "tiny", "", PARSE_DONE,
	  "{\"models\":[\"llama3.2:1b\",\"tiny:latest\",\"\\u0071\\/"
	  "wen:7b\"],\"count\":3,\"default\":\"tiny\",\"details\":["
	  "{\"name\":\"llama3.2:1b\",\"size\":1321098329,\"family\":\"llama\",\"parameter_size\":"
	  "\"1.2B\",\"quantization_level\":\"Q8_0\","
	  "\"capabilities\":[\"completion\",\"tools\"]},"
	  "{\"name\":\"tiny:latest\",\"size\":null,\"family\":null,\"parameter_size\":null,"
	  "\"quantization_level\":null,\"capabilities\":null},"
	  "{\"name\":\"\\u0071\\/"
	  "wen:7b\",\"size\":null,\"family\":null,\"parameter_size\":null,\"quantization_level\":"
	  "null,\"capabilities\":null}]}" },
	{ TAGS, "", "TINY, q/wen:7b", PARSE_DONE,
	  "{\"models\":[\"tiny:latest\",\"\\u0071\\/"
	  "wen:7b\"],\"count\":2,\"default\":null,\"details\":["
	  "{\"name\":\"tiny:latest\",\"size\":null,\"family\":null,\"parameter_size\":null,"
	  "\"quantization_level\":null,\"capabilities\":null},"
	  "{\"name\":\"\\u0071\\/"
	  "wen:7b\",\"size\":null,\"family\":null,\"parameter_size\":null,\"quantization_level\":"
	  "null,\"capabilities\":null}]}" },
	{ TAGS, "", "other", PARSE_DONE,
	  "{\"models\":[],\"count\":0,\"default\":null,\"details\":[]}" },
	{ "{\"models\":[]}", "", " ", PARSE_DONE,
	  "{\"models\":[],\"count\":0,\"default\":null,\"details\":[]}" },
	{ "{\"models\":null}", "", "", PARSE_DONE,
	  "{\"models\":[],\"count\":0,\"default\":null,\"details\":[]}" },
	{ "{\"models\":{}}", "", "", PARSE_BAD, "" },
	{ "{}", "", "", PARSE_BAD, "" },
	{ "[]", "", "", PARSE_BAD, "" },
	{ "Ollama is running", "", "", PARSE_BAD, "" },
	{ "", "", "", PARSE_BAD, "" },
};
/* clang-format on */

static void test_models(void)
{
	char text[2048];

	FOR_ROWS(i, models)
	{
		struct slice tags = check_guard_str(models[i].tags);
		struct slice model = slice_str(models[i].model), only = slice_str(models[i].only);
		struct arena a = arena();
		struct json_value top;
		struct buf b;
		size_t room;

		check_case("models %zu", i);
		buf_init(&b, text, sizeof(text));
		CHECK(ollama_models_write(tags, model, only, &a, &b) == models[i].rc);
		CHECK_STR(buf_view(&b), models[i].want);
		CHECK_U64(a.used, 0);
		if (models[i].rc != PARSE_DONE)
			continue;
		CHECK(is_object(buf_view(&b), &top));
		for (room = 0; room < strlen(models[i].want); room++) {
			buf_init(&b, text, room);
			CHECK(ollama_models_write(tags, model, only, &a, &b) == PARSE_MORE);
			CHECK_U64(buf_len(&b), 0);
		}
	}
	check_case("models, small arena");
	{
		struct arena a;
		struct buf b;

		arena_init(&a, memory, 64);
		buf_init(&b, text, sizeof(text));
		CHECK(ollama_models_write(SLICE(TAGS), SLICE(""), SLICE(""), &a, &b) == PARSE_MORE);
	}
}

static void test_names_list(void)
{
	static const char want[] = "llama3.2:1b, tiny:latest, q/wen:7b";
	struct arena a = arena();
	char text[64];
	struct buf b;
	size_t room;

	check_case("names list");
	for (room = 0; room < sizeof(text); room++) {
		struct slice got;

		buf_init(&b, text, room);
		CHECK_I64(ollama_names_list(SLICE(TAGS), &a, &b), 3);
		got = buf_view(&b);
		CHECK(slice_starts(SLICE(want), got));
		CHECK(got.n == 0 || got.n == sizeof(want) - 1 || want[got.n] == ',');
	}
	CHECK_STR(buf_view(&b), want);
	buf_init(&b, text, sizeof(text));
	CHECK_I64(ollama_names_list(SLICE("{\"models\":[]}"), &a, &b), 0);
	CHECK_I64(ollama_names_list(SLICE("{\"error\":\"x\"}"), &a, &b), -1);
	CHECK_I64(ollama_names_list(SLICE("<html>"), &a, &b), -1);
	CHECK_U64(buf_len(&b), 0);
	CHECK(ollama_names_has(SLICE(TAGS), SLICE("tiny"), &a));
	CHECK(ollama_names_has(SLICE(TAGS), SLICE("Q/wen:7B"), &a));
	CHECK(ollama_names_has(SLICE(TAGS), SLICE("library/llama3.2:1b"), &a));
	CHECK(!ollama_names_has(SLICE(TAGS), SLICE("llama3.2"), &a));
	CHECK(!ollama_names_has(SLICE(TAGS), SLICE(""), &a));
	CHECK(!ollama_names_has(SLICE("nonsense"), SLICE("tiny"), &a));
	CHECK_U64(a.used, 0);
}

/* The end of a pull, push or create. */
static void test_success(void)
{
	static const struct {
		const char *line;
		bool success;
	} rows[] = {
		{ "{\"status\":\"success\"}", true },
		{ "{\"status\":\"succes\\u0073\",\"total\":1}", true },
		{ "{\"status\":\"pulling manifest\"}", false },
		{ "{\"status\":\"success soon\"}", false },
		{ "{\"status\":true}", false },
		{ "{\"message\":{\"status\":\"success\"}}", false },
		{ "{\"x\":\"success\"}", false },
	};
	struct chat_event e;

	FOR_ROWS(i, rows)
	{
		check_case("%s", rows[i].line);
		ollama_line_read(check_guard_str(rows[i].line), &e);
		CHECK(e.success == rows[i].success);
	}
}

int main(void)
{
	test_refused();
	test_many_keys();
	test_passed();
	test_shapes();
	test_read_values();
	test_lines();
	test_error();
	test_names();
	test_models();
	test_names_list();
	test_success();
	return check_done();
}
