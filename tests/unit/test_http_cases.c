/* SPDX-License-Identifier: MIT */
/* test_http_cases.c: the cases of tests/http/ through the parsers alone, whole and byte by byte.
 * The format is described in tests/http/README.md. */
#include "check.h"

#include "proto/http_body.h"
#include "proto/http_head.h"
#include "proto/uri.h"

#include <dirent.h>

enum { IN_MAX = 512 * 1024, VERDICTS_MAX = 1024 };

static struct {
	char name[160];
	char in[IN_MAX];
	size_t in_n;
	char want[VERDICTS_MAX]; /* verdicts, each with a newline */
} test;

/* ---- reading a case ---- */

static void in_put(char c)
{
	if (test.in_n == IN_MAX)
		abort();
	test.in[test.in_n++] = c;
}

/* One byte of text with its escapes; returns the rest. */
static const char *byte_read(const char *s, char *c)
{
	static const char escapes[] = "r\rn\nt\t0\0\\\\";
	char hex[3] = "";
	size_t i;

	*c = *s;
	if (*s != '\\')
		return s + 1;
	if (s[1] == 'x') {
		memcpy(hex, s + 2, 2);
		*c = (char)strtoul(hex, NULL, 16);
		return s + 4;
	}
	for (i = 0; i + 1 < sizeof(escapes) - 1; i += 2)
		if (escapes[i] == s[1])
			*c = escapes[i + 1];
	return s + 2;
}

/* "{100 x 'TEXT'}" at s: puts it and returns the rest, or NULL when it is none. */
static const char *repeat_read(const char *s)
{
	char text[64];
	unsigned long count, n = 0, i, k;
	int size = 0;

	if (sscanf(s, "{%lu x '%n", &count, &size) != 1 || size == 0)
		return NULL;
	for (s += size; *s != '\'' && *s != '\0' && n < sizeof(text);)
		s = byte_read(s, &text[n++]);
	for (i = 0; i < count; i++)
		for (k = 0; k < n; k++)
			in_put(text[k]);
	return s + 2; /* "'}" */
}

static void in_read(const char *s)
{
	while (*s != '\0') {
		const char *rest = *s == '{' ? repeat_read(s) : NULL;
		char c;

		if (rest == NULL) {
			rest = byte_read(s, &c);
			in_put(c);
		}
		s = rest;
	}
}

/* ---- verdicts ---- */

struct run {
	char said[VERDICTS_MAX];
	size_t said_n;
	struct http_head head;
	struct http_body body;
	size_t at, seen; /* where the message begins; how much of its head was looked at */
	size_t fed;      /* in the body: how far */
	bool in_body, over;
};

__attribute__((format(printf, 2, 3))) static void say(struct run *r, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(r->said + r->said_n, VERDICTS_MAX - r->said_n, fmt, ap);
	va_end(ap);
	r->said_n = MIN(r->said_n + (size_t)n, (size_t)VERDICTS_MAX - 1);
}

static void say_head(struct run *r)
{
	static const char *const framings[] = { "none", "length", "chunked", "close" };
	const struct http_head *h = &r->head;

	say(r, "%.*s ", (int)h->method_text.n, h->method_text.p);
	if (h->target.n > 60)
		say(r, "(%zu)", h->target.n);
	else
		say(r, "%.*s", (int)h->target.n, h->target.p);
	say(r, " %s %s%s", framings[h->framing], h->keep_alive ? "keep" : "last",
	    h->expect_continue ? " expect" : "");
}

static void message_over(struct run *r)
{
	say(r, "\n");
	r->over = !r->head.keep_alive;
	r->in_body = false;
	r->at = r->fed;
	r->seen = 0;
}

/* Both return false when they need more bytes, or nothing is to be read any more. */
static bool head_step(struct run *r, struct slice view)
{
	static char mem[HTTP_TARGET_MAX];
	struct uri uri;
	enum parse p = http_request_parse(&r->head, slice_from(view, r->at), r->seen);

	r->seen = view.n - r->at;
	if (p == PARSE_MORE)
		return false;
	if (p == PARSE_DONE && !uri_parse(r->head.target, mem, &uri)) {
		p = PARSE_BAD;
		r->head.refuse = 400;
	}
	if (p == PARSE_BAD) {
		say(r, "BAD %u\n", r->head.refuse);
		r->over = true;
		return false;
	}
	say_head(r);
	http_body_init(&r->body, &r->head);
	r->fed = r->at + r->head.size;
	r->in_body = r->head.framing != HTTP_NONE;
	if (!r->in_body)
		message_over(r);
	return true;
}

static bool body_step(struct run *r, struct slice view)
{
	struct slice piece;
	size_t used;
	enum parse p = http_body_feed(&r->body, slice_from(view, r->fed), &used, &piece);

	r->fed += used;
	if (p == PARSE_BAD) {
		say(r, " body=BAD\n");
		r->over = true;
	} else if (p == PARSE_DONE) {
		say(r, " body=%llu", (unsigned long long)r->body.total);
		message_over(r);
		return true;
	}
	return p == PARSE_MORE && r->fed < view.n;
}

static void advance(struct run *r, struct slice view)
{
	bool more = true;

	while (more && !r->over && (r->in_body || r->at < view.n))
		more = r->in_body ? body_step(r, view) : head_step(r, view);
}

/* The verdicts when the view grows by `step` bytes a time. */
static const char *run_in_steps(size_t step)
{
	static struct run r;
	size_t n = 0;

	memset(&r, 0, sizeof(r));
	while (n < test.in_n && !r.over) {
		n = MIN(n + step, test.in_n);
		advance(&r, check_guard(slice_make(test.in, n)));
	}
	if (r.in_body && !r.over)
		say(&r, " body=MORE\n");
	else if (!r.over && r.at < test.in_n)
		say(&r, "MORE\n");
	return r.said;
}

static void check_verdicts(const char *got, const char *how)
{
	if (!check_note(strcmp(got, test.want) == 0, test.name, 0, how))
		printf("got:\n%swant:\n%s", got, test.want);
}

static void test_run(void)
{
	if (test.want[0] == '\0')
		return;
	check_verdicts(run_in_steps(IN_MAX), "whole");
	check_verdicts(run_in_steps(test.in_n > 4000 ? 509 : 1), "in steps");
}

/* ---- files ---- */

static const char *value_of(const char *line, const char *key)
{
	size_t n = strlen(key);

	if (strncmp(line, key, n) != 0 || line[n] != ':')
		return NULL;
	line += n + 1;
	return *line == ' ' ? line + 1 : line;
}

static void line_read(const char *path, const char *line)
{
	const char *v;

	if ((v = value_of(line, "case")) != NULL) {
		test_run();
		memset(&test, 0, sizeof(test));
		snprintf(test.name, sizeof(test.name), "%.60s: %.90s", path, v);
	} else if ((v = value_of(line, "in")) != NULL) {
		in_read(v);
	} else if (value_of(line, "host") != NULL) {
		in_read("Host: localhost\\r\\n");
	} else if ((v = value_of(line, "pure")) != NULL) {
		strncat(test.want, v, VERDICTS_MAX - strlen(test.want) - 2);
		strcat(test.want, "\n");
	}
}

static void file_read(const char *path)
{
	FILE *f = fopen(path, "r");
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;

	if (!CHECK(f != NULL))
		return;
	while ((n = getline(&line, &cap, f)) > 0) {
		while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == ' '))
			line[--n] = '\0';
		line_read(path, line);
	}
	test_run();
	memset(&test, 0, sizeof(test));
	free(line);
	fclose(f);
}

static int is_case_file(const struct dirent *e)
{
	size_t n = strlen(e->d_name);

	return n > 4 && strcmp(e->d_name + n - 4, ".txt") == 0;
}

int main(int argc, char **argv)
{
	const char *folder = argc > 1 ? argv[1] : "tests/http";
	struct dirent **files;
	int count = scandir(folder, &files, is_case_file, alphasort), i;
	char path[512];

	if (!CHECK(count > 0))
		return check_done();
	for (i = 0; i < count; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, files[i]->d_name);
		file_read(path);
		free(files[i]);
	}
	free(files);
	return check_done();
}
