/* SPDX-License-Identifier: MIT */
/* test_ollama_list.c: lists of models without those that clients may not see. */
#include "check.h"

#include "proto/ollama.h"

/* clang-format off: a row is a case */
static const struct {
	const char *reply, *only, *want; /* want NULL: no such reply */
} rows[] = {
	{ "{\"models\":[{\"name\":\"a:latest\",\"size\":1},{\"name\":\"b:1\"}]}", "a",
	  "{\"models\":[{\"name\":\"a:latest\",\"size\":1}]}" },
	{ "{\"models\":[{\"name\":\"a:latest\"},{\"name\":\"b:1\"}]}", "b:1,zz",
	  "{\"models\":[{\"name\":\"b:1\"}]}" },
	{ "{\"models\":[{\"name\":\"a:latest\"},{\"name\":\"b:1\"}]}", "b:1, A:LATEST",
	  "{\"models\":[{\"name\":\"a:latest\"},{\"name\":\"b:1\"}]}" },
	{ "{\"models\":[{\"name\":\"a:latest\"},{\"name\":\"b:1\"}]}", "c", "{\"models\":[]}" },
	{ "{\"models\":[{\"name\":\"a\"}]}", "", "{\"models\":[{\"name\":\"a\"}]}" },
	{ "{\"models\":[]}", "a", "{\"models\":[]}" },
	{ "{\"models\":null}", "a", "{\"models\":null}" },
	{ " { \"x\" : 1 , \"models\" : [ {\"name\":\"b\"} , { \"size\" : 1.0e2, \"name\" : \"a\" } "
	  "] , \"y\" : [2] }\n",
	  "a",
	  " { \"x\" : 1 , \"models\" : [{ \"size\" : 1.0e2, \"name\" : \"a\" }] , \"y\" : [2] "
	  "}\n" },
	{ "{\"models\":[{\"model\":\"a\"},{\"model\":\"b\"},{\"name\":7,\"model\":\"a:latest\"}]}",
	  "a", "{\"models\":[{\"model\":\"a\"},{\"name\":7,\"model\":\"a:latest\"}]}" },
	{ "{\"models\":[{\"name\":\"\\u0061\"},{\"name\":\"\"},{},7,null,\"a\",[\"a\"]]}", "a",
	  "{\"models\":[{\"name\":\"\\u0061\"}]}" },
	{ "{\"models\":[{\"name\":\"b\",\"details\":{\"name\":\"a\"},\"x\":[\"]\",\"}\"]},{"
	  "\"name\":\"a\"}]}",
	  "a", "{\"models\":[{\"name\":\"a\"}]}" },
	{ "{\"object\":\"list\",\"data\":[{\"id\":\"a:latest\",\"object\":\"model\"},{\"id\":\"b\"}"
	  "]}",
	  "a", "{\"object\":\"list\",\"data\":[{\"id\":\"a:latest\",\"object\":\"model\"}]}" },
	{ "{\"object\":\"list\",\"data\":null}", "a", "{\"object\":\"list\",\"data\":null}" },
	{ "{\"models\":[{\"name\":\"registry.ollama.ai/library/a\"},{\"name\":\"x.example/library/"
	  "a\"}]}",
	  "a", "{\"models\":[{\"name\":\"registry.ollama.ai/library/a\"}]}" },
	{ "", "a", NULL },
	{ "{\"models\":[", "a", NULL },
	{ "{\"models\":[{\"name\":\"a\"}]} x", "a", NULL },
	{ "{\"models\":{}}", "a", NULL },
	{ "{\"models\":\"a\"}", "a", NULL },
	{ "{\"list\":[]}", "a", NULL },
	{ "[{\"name\":\"a\"}]", "a", NULL },
	{ "7", "a", NULL },
};
/* clang-format on */

static char arena_mem[8192], out_mem[4096];

static enum parse filter(struct slice reply, const char *only, struct buf *out, size_t room)
{
	struct arena a;
	enum parse p;

	arena_init(&a, arena_mem, sizeof(arena_mem));
	buf_init(out, out_mem, room);
	p = ollama_list_filter(reply, slice_str(only), &a, out);
	CHECK_U64(a.used, 0);
	return p;
}

int main(void)
{
	FOR_ROWS(i, rows)
	{
		struct slice reply = check_guard_str(rows[i].reply);
		struct buf out;
		size_t room;

		check_case("%s, only %s", rows[i].reply, rows[i].only);
		if (rows[i].want == NULL) {
			CHECK(filter(reply, rows[i].only, &out, reply.n + 1) == PARSE_BAD);
			CHECK_U64(buf_len(&out), 0);
			continue;
		}
		if (CHECK(filter(reply, rows[i].only, &out, reply.n) == PARSE_DONE))
			CHECK_STR(buf_view(&out), rows[i].want);
		for (room = 0; room < strlen(rows[i].want); room++) {
			CHECK(filter(reply, rows[i].only, &out, room) == PARSE_MORE);
			CHECK_U64(buf_len(&out), 0);
		}
	}
	return check_done();
}
