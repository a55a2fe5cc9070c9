/* SPDX-License-Identifier: MIT */
/* sim_answer.c: what the stand-in says, by fixed rules, and how it is cut into deltas. */
#include "app/sim_model.h"
#include "base/fmt.h"
#include "proto/utf8.h"

enum {
	ECHO_MAX = 2000,   /* of the prompt, repeated in the answer */
	COUNT_MAX = 10000, /* "count to N" */
	WORD_MAX = 24,     /* bytes of one delta's word; longer ones are cut */
};

static const char intro[] = "I am ollachat-sim, a stand-in: no model is answering, these words "
			    "come from fixed rules.\n\n";

static const char help[] = "Ask me for a `table`, some `code`, a `list`, `math`, a `quote`, a "
			   "`link`, raw `html`, a `long` "
			   "text, to `think`, or to `count to 20`. Everything else I just repeat.";

static const char table[] = "| Part | Port | What it does |\n"
			    "| :--- | ---: | :---: |\n"
			    "| frontend | 3000 | serves the page |\n"
			    "| backend | 8000 | stands before Ollama |\n"
			    "| Ollama | 11434 | runs the **model** |\n"
			    "| a \\| b | 0 | `x \\| y` |\n\n";

static const char code_python[] = "```python\n"
				  "def greet(name: str) -> str:\n"
				  "    \"\"\"Says hello to <name> & friends.\"\"\"\n"
				  "    return f\"Hello, {name}!\"\n"
				  "\n"
				  "\n"
				  "for i in range(3):\n"
				  "    print(i, greet(\"world\"))\n"
				  "```\n\n";

static const char code_c[] = "```c\n"
			     "#include <stdio.h>\n"
			     "\n"
			     "int main(void)\n"
			     "{\n"
			     "\tputs(\"Hello, world!\"); /* a tab in front */\n"
			     "\treturn 0;\n"
			     "}\n"
			     "```\n\nInline there is `printf(\"%d\\n\", 42)` too.\n\n";

static const char list[] = "1. First, a numbered item\n"
			   "2. Second, with **bold**, *italic* and ~~struck~~ words\n"
			   "   - a nested item\n"
			   "   - another one, with `code`\n"
			   "3. Third\n\n"
			   "- [x] a task that is done\n"
			   "- [ ] one that is not\n\n";

static const char math[] =
	"Inline: $e^{i\\pi} + 1 = 0$ and \\(a^2 + b^2 = c^2\\). On a line of its own:\n\n"
	"$$\\int_0^\\infty e^{-x^2}\\,dx = \\frac{\\sqrt{\\pi}}{2}$$\n\n"
	"\\[ \\sum_{k=1}^{n} k = \\frac{n(n+1)}{2} \\]\n\n";

static const char quote[] = "> A quotation, as somebody might have said it.\n"
			    ">\n"
			    "> > And one inside it.\n\n";

static const char heading[] = "# A heading\n\n## A smaller one\n\nText between "
			      "headings.\n\n---\n\n### The smallest here\n\n";

static const char link[] = "[A link](https://example.com/path?a=1&b=2 \"with a title\"), a bare "
			   "one: https://example.com/ , "
			   "[a bad one](javascript:alert(1)), "
			   "[another](data:text/html,<script>alert(1)</script>), and an image: "
			   "![a picture](https://example.com/picture.png)\n\n";

static const char html[] = "<script>alert('from a model')</script>\n\n"
			   "<img src=x onerror=\"alert('from an image')\"> and <b>bold</b>, "
			   "<a href=\"javascript:alert(1)\">a link</a>, <iframe "
			   "src=\"https://example.com/\"></iframe>\n\n"
			   "<style>body { display: none }</style><svg "
			   "onload=alert(1)></svg>&lt;escaped&gt; &amp; &#60;\n\n"
			   "```html\n<script>alert('in a code block')</script>\n```\n\n";

static const char unicode[] =
	"Gr\xc3\xbc\xc3\x9f"
	"e, \xd0\xbf\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82, "
	"\xe4\xbd\xa0\xe5\xa5\xbd\xe4\xb8\x96\xe7\x95\x8c\xef\xbc\x8c"
	"\xd9\x85\xd8\xb1\xd8\xad\xd8\xa8\xd8\xa7, \xf0\x9f\x91\x8b\xf0\x9f\x8f\xbd "
	"\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7 "
	"and e\xcc\x81.\n\n";

static const char paragraph[] =
	"This is a paragraph of a long text, made so that pages can be tested with it. It has "
	"several "
	"sentences, some short. Others go on for a while, with commas, with *emphasis*, and with "
	"words of "
	"different length, so that lines break in different places and scrolling has something to "
	"do. "
	"Nothing in it means anything; a stand-in has nothing to tell. It ends here.\n\n";

/* Words of the prompt (any of them, without case) and what they bring into the answer. */
static const struct feature {
	const char *words[3];
	const char *text;
} features[] = {
	{ { "table" }, table },
	{ { "python", "code" }, code_python },
	{ { "c program", "code" }, code_c },
	{ { "list", "steps" }, list },
	{ { "math", "formula", "latex" }, math },
	{ { "quote" }, quote },
	{ { "heading", "markdown" }, heading },
	{ { "link", "image" }, link },
	{ { "html", "script" }, html },
	{ { "unicode", "emoji" }, unicode },
};

static bool has_word(struct slice text, const char *word)
{
	struct slice w = slice_str(word);
	size_t i;

	for (i = 0; i + w.n <= text.n; i++)
		if (slice_eq_nocase(slice_make(text.p + i, w.n), w))
			return true;
	return false;
}

static bool wants(struct slice prompt, const struct feature *f)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(f->words) && f->words[i] != NULL; i++)
		if (has_word(prompt, f->words[i]))
			return true;
	return false;
}

/* The N of "count to N"; 0: not asked. */
static uint64_t count_to(struct slice prompt)
{
	struct slice words = SLICE("count to ");
	uint64_t n = 0;
	size_t i;

	for (i = 0; i + words.n < prompt.n; i++)
		if (slice_eq_nocase(slice_make(prompt.p + i, words.n), words))
			break;
	for (i += words.n; i < prompt.n && prompt.p[i] >= '0' && prompt.p[i] <= '9'; i++)
		n = MIN(n * 10 + (uint64_t)(prompt.p[i] - '0'), COUNT_MAX);
	return n;
}

/* At most max bytes of it, whole characters. */
static struct slice cut(struct slice s, size_t max)
{
	if (s.n <= max)
		return s;
	while (max > 0 && utf8_is_tail(s.p + max))
		max--;
	return slice_make(s.p, max);
}

static void put_count(struct buf *b, uint64_t n)
{
	uint64_t i;

	for (i = 1; i <= n; i++) {
		fmt_u64(b, i);
		buf_put_str(b, i < n ? " " : "\n\n");
	}
}

static void put_said(struct buf *b, const struct sim_request *r)
{
	struct slice said = cut(r->prompt, ECHO_MAX);

	buf_put_str(b, "You said: ");
	buf_put(b, said);
	buf_put_str(b, said.n < r->prompt.n ? " ...\n\n" : "\n\n");
	if (r->images > 0) {
		buf_put_str(b, "Images that came with it: ");
		fmt_u64(b, r->images);
		buf_put_str(b, ". I cannot see.\n\n");
	}
	if (r->kind != SIM_CHAT && r->kind != SIM_V1_CHAT)
		return;
	buf_put_str(b, "Earlier turns I was given: ");
	fmt_u64(b, r->turns);
	buf_put_str(b, ".\n\n");
}

static void put_content(struct buf *b, const struct sim_request *r)
{
	uint64_t n = count_to(r->prompt);
	bool found = n > 0;
	size_t i;

	buf_put_str(b, intro);
	put_said(b, r);
	put_count(b, n);
	for (i = 0; i < ARRAY_LEN(features); i++)
		if (wants(r->prompt, &features[i])) {
			buf_put_str(b, features[i].text);
			found = true;
		}
	if (has_word(r->prompt, "long") || has_word(r->prompt, "story")) {
		for (i = 0; i < 12; i++)
			buf_put_str(b, paragraph);
		found = true;
	}
	buf_put_str(b, found ? "That is all." : help);
}

static void put_json(struct buf *b, const struct sim_request *r)
{
	buf_put_str(b,
		    "{\"model\":\"ollachat-sim\",\"note\":\"no model is answering\",\"you_said\":");
	json_write_string(b, cut(r->prompt, ECHO_MAX));
	buf_put_str(b, ",\"earlier_turns\":");
	fmt_u64(b, r->turns);
	buf_put_str(b, "}");
}

static const char thoughts[] = "The user wants an answer. I have no model to find one with, so I "
			       "look for words that I know. "
			       "Then I repeat what was said.\n\nThat should do.";

/* Ollama lets a model that can think do so unless it is told not to; we do it when we are told to,
 * or when the prompt speaks of it. */
static bool thinks(const struct sim_request *r)
{
	return r->think_set ? r->think : has_word(r->prompt, "think");
}

bool sim_answer_make(const struct sim_request *r, struct arena *a, struct sim_answer *answer)
{
	char *mem = arena_take(a, SIM_ANSWER_MAX);
	struct buf b;

	if (mem == NULL)
		return false;
	buf_init(&b, mem, SIM_ANSWER_MAX);
	if (r->json)
		put_json(&b, r);
	else
		put_content(&b, r);
	*answer = (struct sim_answer){ .content = buf_view(&b), .limit = r->limit };
	if (thinks(r) && sim_model_can_think(r->entry))
		answer->thinking = slice_make(thoughts, sizeof(thoughts) - 1);
	return true;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\t';
}

/* White space, and the word behind it. */
static size_t delta_len(struct slice s)
{
	size_t n = 0, word;

	while (n < s.n && is_space(s.p[n]))
		n++;
	for (word = n; n < s.n && !is_space(s.p[n]) && n - word < WORD_MAX;) {
		size_t len = utf8_len(s.p + n, s.n - n);

		n += len > 0 ? len : 1;
	}
	return n;
}

bool sim_answer_next(struct sim_answer *a, struct sim_delta *d)
{
	struct slice rest;

	d->thinking = a->said_thinking < a->thinking.n;
	rest = d->thinking ? slice_from(a->thinking, a->said_thinking)
			   : slice_from(a->content, a->said);
	if (rest.n == 0)
		return false;
	if (a->limit > 0 && a->count == a->limit) {
		a->cut = true;
		return false;
	}
	d->text = slice_make(rest.p, delta_len(rest));
	d->first = a->count++ == 0;
	*(d->thinking ? &a->said_thinking : &a->said) += d->text.n;
	return true;
}
