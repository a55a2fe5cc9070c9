/* SPDX-License-Identifier: MIT */
/* test_ollama_watch.c: what is read of an object whose bytes pass by, however they are cut. */
#include "proto/ollama_watch.h"
#include "check.h"

static const struct {
	const char *text;
	bool done, error;
	uint64_t input, output;
} rows[] = {
	{ "{\"done\":true}", true, false, 0, 0 },
	{ " { \"done\" : true , \"eval_count\" : 7 } ", true, false, 0, 7 },
	{ "{\"done\":false,\"prompt_eval_count\":26,\"eval_count\":298}", false, false, 26, 298 },
	{ "{\"response\":\"\\\"done\\\":true,\",\"done\":false}", false, false, 0, 0 },
	{ "{\"context\":[1,2,{\"done\":true}],\"done\":false}", false, false, 0, 0 },
	{ "{\"message\":{\"done\":true,\"error\":\"x\",\"eval_count\":3}}", false, false, 0, 0 },
	{ "{\"context\":[1,2,3],\"done\":true,\"eval_count\":4}", true, false, 0, 4 },
	{ "{\"done\":\"true\"}", true, false, 0, 0 }, /* not Ollama's; it does no harm */
	{ "{\"error\":\"it broke\"}", false, true, 0, 0 },
	{ "{\"error\":\"\"}", false, false, 0, 0 },
	{ "{\"error\":null}", false, false, 0, 0 },
	{ "{\"error\":{\"message\":\"x\"}}", false, true, 0, 0 },
	{ "{\"response\":\"error\",\"done\":false}", false, false, 0, 0 },
	{ "{\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":9,\"total_tokens\":14}}", false,
	  false, 5, 9 },
	{ "{\"usage\":{\"input_tokens\":5,\"details\":{\"output_tokens\":1},\"output_tokens\":9}}",
	  false, false, 5, 9 },
	{ "{\"other\":{\"prompt_tokens\":5}}", false, false, 0, 0 },
	{ "{\"eval_count\":-1,\"prompt_eval_count\":1e3}", false, false, 0, 0 },
	{ "{\"eval_count\":123456789012345678901234567890}", false, false, 0, 0 },
	{ "{\"a key that is longer than all of those that are looked for\":true,\"done\":true}",
	  true, false, 0, 0 },
	{ "{\"d\\u006fne\":true}", false, false, 0, 0 },
	{ "}}}]]]{\"done\":true", false, false, 0, 0 },
	{ "", false, false, 0, 0 },
};

int main(void)
{
	FOR_ROWS(i, rows)
	{
		size_t n = strlen(rows[i].text), step, at;

		for (step = 1; step <= n + 1; step++) {
			struct ollama_watch w;

			check_case("%zu in pieces of %zu", i, step);
			ollama_watch_init(&w);
			for (at = 0; at < n; at += step)
				ollama_watch_feed(&w, check_guard(slice_make(rows[i].text + at,
									     MIN(step, n - at))));
			CHECK(w.done == rows[i].done && w.error == rows[i].error);
			CHECK_U64(w.input_tokens, rows[i].input);
			CHECK_U64(w.output_tokens, rows[i].output);
		}
	}
	return check_done();
}
