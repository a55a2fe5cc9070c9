/* SPDX-License-Identifier: MIT */
/* test_ollama_pull.c: lines of a pull, as Ollama sends them and as it never should. */
#include "check.h"
#include "proto/ollama.h"

static const struct {
	const char *line;
	enum pull_line_type type;
	const char *text;
	uint64_t total, completed;
} rows[] = {
	{ "{\"status\":\"pulling manifest\"}", PULL_LINE_PROGRESS, "pulling manifest", 0, 0 },
	{ "{\"status\":\"pulling aabb\",\"digest\":\"sha256:aabb\",\"total\":100}",
	  PULL_LINE_PROGRESS, "pulling aabb", 100, 0 },
	{ "{\"status\":\"pulling aabb\",\"total\":100,\"completed\":40}", PULL_LINE_PROGRESS,
	  "pulling aabb", 100, 40 },
	{ "{\"status\":\"pulling aabb\",\"total\":100,\"completed\":400}", PULL_LINE_PROGRESS,
	  "pulling aabb", 100, 100 },
	{ "{\"status\":\"pulling aabb\",\"total\":-1,\"completed\":400}", PULL_LINE_PROGRESS,
	  "pulling aabb", 0, 0 },
	{ "{\"status\":\"success\"}", PULL_LINE_SUCCESS, "success", 0, 0 },
	{ "{\"error\":\"pull model manifest: file does not exist\"}", PULL_LINE_ERROR,
	  "pull model manifest: file does not exist", 0, 0 },
	{ "{\"status\":3}", PULL_LINE_BROKEN, NULL, 0, 0 },
	{ "{}", PULL_LINE_BROKEN, NULL, 0, 0 },
	{ "[]", PULL_LINE_BROKEN, NULL, 0, 0 },
	{ "{\"status\":\"success\"", PULL_LINE_BROKEN, NULL, 0, 0 },
	{ "", PULL_LINE_BROKEN, NULL, 0, 0 },
};

int main(void)
{
	char mem[128];
	struct buf b;

	FOR_ROWS(i, rows)
	{
		struct pull_line e;

		check_case("%s", rows[i].line);
		ollama_pull_line_read(slice_str(rows[i].line), &e);
		CHECK(e.type == rows[i].type);
		CHECK_U64(e.total, rows[i].total);
		CHECK_U64(e.completed, rows[i].completed);
		if (rows[i].text != NULL)
			CHECK(json_string_is(e.text, slice_str(rows[i].text)));
	}
	check_case("request");
	buf_init(&b, mem, sizeof(mem));
	CHECK(ollama_pull_write(&b, SLICE("a\"b")));
	CHECK(slice_eq(buf_view(&b), SLICE("{\"model\":\"a\\\"b\"}")));
	buf_init(&b, mem, 9);
	CHECK(!ollama_pull_write(&b, SLICE("ab")));
	return check_done();
}
