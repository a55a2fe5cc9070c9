/* SPDX-License-Identifier: MIT */
/* json.c: judges JSON texts, and finds the way around in those that passed (walk and tree). */
#include "proto/json.h"
#include "proto/utf8.h"

#define JSMN_STATIC
#define JSMN_STRICT
#define JSMN_PARENT_LINKS /* without them jsmn searches backwards: quadratic */
#include "jsmn.h"

/* --- The judge ---------------------------------------------------------------------------------
 *
 * One pass, no recursion. Between two tokens all there is to know is how deep we are and, for each
 * level, whether it is an object or an array: one bit a level in `objects`, the innermost lowest.
 *
 *                 ,---------------------------------.
 *                 v                                 |
 *   expect a value: scalar -----> value ended: ',' -'  (in an object a key and a colon come first)
 *        '[' or '{', one level down    |  closer: one level up, and a value has ended again
 *                                      `- no level left: done
 */

struct judge {
	const char *end;
	const char *at, *why; /* what is wrong, and where */
	uint64_t objects;
	unsigned depth;
};

static const char too_short[] = "the text ends too soon";

/* The judge_ functions return where they stopped reading, NULL when something is wrong there. */
static const char *wrong(struct judge *j, const char *p, const char *why)
{
	j->at = p;
	j->why = p == j->end ? too_short : why;
	return NULL;
}

static inline bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static inline bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static inline const char *skip_space(const char *p, const char *end)
{
	while (p < end && (unsigned char)*p <= ' ' && is_space(*p))
		p++;
	return p;
}

#define EACH_BYTE(n) (UINT64_MAX / 255 * (n))

/* Whether one of 8 bytes is a quote or a backslash (or, when `strict`, a control character or no
 * ASCII). A byte is zero when subtracting 1 borrows into a top bit that was not set before. */
static inline bool is_special(const char *p, bool strict)
{
	uint64_t v, quote, backslash, hit;

	memcpy(&v, p, 8);
	quote = v ^ EACH_BYTE('"');
	backslash = v ^ EACH_BYTE('\\');
	hit = ((quote - EACH_BYTE(1)) & ~quote) | ((backslash - EACH_BYTE(1)) & ~backslash);
	if (strict)
		hit |= ((v - EACH_BYTE(0x20)) & ~v) | v;
	return (hit & EACH_BYTE(0x80)) != 0;
}

/* From p to the first byte that is not plain text inside a string, or to the end. */
static inline const char *skip_plain(const char *p, const char *end, bool strict)
{
	while (end - p >= 8 && !is_special(p, strict))
		p += 8;
	for (; p < end; p++) {
		unsigned char c = (unsigned char)*p;

		if (c == '"' || c == '\\' || (strict && (c < 0x20 || c >= 0x80)))
			break;
	}
	return p;
}

static inline bool is_hex(char c)
{
	return is_digit(c) || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'f');
}

static inline bool is_escape(char c)
{
	return c == '"' || c == '\\' || c == '/' || c == 'b' || c == 'f' || c == 'n' || c == 'r' ||
	       c == 't';
}

static const char *judge_escape(struct judge *j, const char *p)
{
	unsigned i;

	if (++p == j->end)
		return wrong(j, p, NULL);
	if (is_escape(*p))
		return p + 1;
	if (*p++ != 'u')
		return wrong(j, p - 1, "no such escape");
	for (i = 0; i < 4; i++, p++)
		if (p == j->end || !is_hex(*p))
			return wrong(j, p, "\\u needs four hexadecimal digits");
	return p;
}

/* A run of characters beyond ASCII. */
static const char *judge_utf8(struct judge *j, const char *p)
{
	do {
		size_t n = utf8_len(p, (size_t)(j->end - p));

		if (n == 0)
			return wrong(j, p, "not UTF-8");
		p += n;
	} while (p < j->end && (unsigned char)*p >= 0x80);
	return p;
}

static const char *judge_string(struct judge *j, const char *p)
{
	for (p++; p != NULL;) {
		unsigned char c;

		p = skip_plain(p, j->end, true);
		if (p == j->end)
			return wrong(j, p, NULL);
		c = (unsigned char)*p;
		if (c == '"')
			return p + 1;
		if (c < 0x20)
			return wrong(j, p, "a control character in a string");
		p = c == '\\' ? judge_escape(j, p) : judge_utf8(j, p);
	}
	return NULL;
}

static const char *judge_digits(struct judge *j, const char *p)
{
	if (p == j->end || !is_digit(*p))
		return wrong(j, p, "a digit is expected");
	do
		p++;
	while (p < j->end && is_digit(*p));
	return p;
}

/* RFC 8259, 6: number = [ minus ] int [ frac ] [ exp ]. A second digit after a leading zero is
 * left standing, and is then no comma. */
static const char *judge_number(struct judge *j, const char *p)
{
	p += *p == '-';
	if (p < j->end && *p == '0')
		p++;
	else if ((p = judge_digits(j, p)) == NULL)
		return NULL;
	if (p < j->end && *p == '.' && (p = judge_digits(j, p + 1)) == NULL)
		return NULL;
	if (p < j->end && (*p == 'e' || *p == 'E')) {
		p++;
		p += p < j->end && (*p == '+' || *p == '-');
		return judge_digits(j, p);
	}
	return p;
}

static const char *judge_word(struct judge *j, const char *p, const char *word)
{
	for (; *word != '\0'; word++, p++)
		if (p == j->end || *p != *word)
			return wrong(j, p, "a value is expected");
	return p;
}

static const char *judge_scalar(struct judge *j, const char *p)
{
	switch (*p) {
	case '"':
		return judge_string(j, p);
	case 't':
		return judge_word(j, p, "true");
	case 'f':
		return judge_word(j, p, "false");
	case 'n':
		return judge_word(j, p, "null");
	default:
		if (*p == '-' || is_digit(*p))
			return judge_number(j, p);
		return wrong(j, p, "a value is expected");
	}
}

static const char *judge_key(struct judge *j, const char *p)
{
	p = skip_space(p, j->end);
	if (p == j->end || *p != '"')
		return wrong(j, p, "a key in quotes is expected");
	if ((p = judge_string(j, p)) == NULL)
		return NULL;
	p = skip_space(p, j->end);
	if (p == j->end || *p != ':')
		return wrong(j, p, "a colon is expected");
	return p + 1;
}

/* One level down. *empty: the container is closed at once. */
static const char *judge_open(struct judge *j, const char *p, bool *empty)
{
	bool object = *p == '{';

	if (j->depth == JSON_DEPTH_MAX)
		return wrong(j, p, "nested deeper than 64");
	j->depth++;
	j->objects = j->objects << 1 | object;
	p = skip_space(p + 1, j->end);
	*empty = p < j->end && *p == (object ? '}' : ']');
	return *empty || !object ? p : judge_key(j, p);
}

static const char *const after_what[] = { "a comma or ] is expected", "a comma or } is expected" };

/* What may follow a value: closers, as many as fit, then a comma (and a key). */
static const char *judge_after(struct judge *j, const char *p)
{
	while (j->depth > 0) {
		bool object = j->objects & 1;

		p = skip_space(p, j->end);
		if (p == j->end)
			return wrong(j, p, NULL);
		if (*p == ',')
			return object ? judge_key(j, p + 1) : p + 1;
		if (*p != (object ? '}' : ']'))
			return wrong(j, p, after_what[object]);
		p++;
		j->objects >>= 1;
		j->depth--;
	}
	return p;
}

static const char *judge_value(struct judge *j, const char *p)
{
	do {
		bool ended = true;

		p = skip_space(p, j->end);
		if (p == j->end)
			return wrong(j, p, NULL);
		p = *p == '{' || *p == '[' ? judge_open(j, p, &ended) : judge_scalar(j, p);
		if (p != NULL && ended)
			p = judge_after(j, p);
	} while (p != NULL && j->depth > 0);
	return p;
}

static enum json_type type_of(char c)
{
	switch (c) {
	case '{':
		return JSON_OBJECT;
	case '[':
		return JSON_ARRAY;
	case '"':
		return JSON_STRING;
	case 't':
		return JSON_TRUE;
	case 'f':
		return JSON_FALSE;
	case 'n':
		return JSON_NULL;
	default:
		return JSON_NUMBER;
	}
}

static struct json_value value_make(const char *p, const char *end)
{
	struct json_value v = { type_of(*p), { p, (size_t)(end - p) } };

	return v;
}

bool json_check(struct slice text, struct json_value *top, struct json_error *err)
{
	struct judge j = { .end = text.p + text.n };
	const char *start, *stop, *rest;

	if (text.n == 0) { /* and perhaps no pointer either */
		*err = (struct json_error){ 0, too_short };
		return false;
	}
	start = skip_space(text.p, j.end);
	/* RFC 8259, 8.1: no byte order mark is to be written; we are not lenient with those who do. */
	if (slice_starts(text, SLICE("\xef\xbb\xbf")))
		stop = wrong(&j, text.p, "a byte order mark");
	else
		stop = judge_value(&j, start);
	if (stop != NULL && (rest = skip_space(stop, j.end)) != j.end)
		stop = wrong(&j, rest, "something follows the value");
	if (stop == NULL) {
		*err = (struct json_error){ (size_t)(j.at - text.p), j.why };
		return false;
	}
	*top = value_make(start, stop);
	return true;
}

/* --- The walk --------------------------------------------------------------------------------- */

/* From behind the opening quote to behind the closing one. */
static const char *skip_string(const char *p, const char *end)
{
	for (;;) {
		p = skip_plain(p, end, false);
		if (p >= end || *p == '"')
			return MIN(p + 1, end);
		p = MIN(p + 2, end); /* a backslash and what it escapes */
	}
}

/* From an opening bracket to behind its partner. The text is known good, so one count will do for
 * both kinds. */
static const char *skip_container(const char *p, const char *end)
{
	unsigned depth = 0;

	while (p < end) {
		char c = *p++;

		if (c == '"') {
			p = skip_string(p, end);
		} else if (c == '{' || c == '[') {
			depth++;
		} else if ((c == '}' || c == ']') && --depth == 0) {
			break;
		}
	}
	return p;
}

static const char *skip_value(const char *p, const char *end)
{
	if (*p == '"')
		return skip_string(p + 1, end);
	if (*p == '{' || *p == '[')
		return skip_container(p, end);
	while (p < end && *p != ',' && !is_space(*p))
		p++;
	return p;
}

/* Over what stands between two values: white space, commas, colons. */
static const char *skip_between(const char *p, const char *end)
{
	while (p < end && (is_space(*p) || *p == ',' || *p == ':'))
		p++;
	return p;
}

void json_walk_init(struct json_walk *w, struct json_value container)
{
	w->object = container.type == JSON_OBJECT;
	w->p = w->end = NULL;
	if (w->object || container.type == JSON_ARRAY) {
		w->p = container.raw.p + 1;
		w->end = container.raw.p + container.raw.n - 1;
	}
}

bool json_walk_next(struct json_walk *w, struct json_member *m)
{
	const char *start;

	w->p = start = skip_between(w->p, w->end);
	if (w->p >= w->end)
		return false;
	m->key = slice_make(NULL, 0);
	if (w->object) {
		w->p = skip_string(w->p + 1, w->end);
		m->key = slice_make(start + 1, (size_t)(w->p - start) - 2);
		w->p = skip_between(w->p, w->end);
	}
	m->value.type = type_of(*w->p);
	m->value.raw.p = w->p;
	w->p = skip_value(w->p, w->end);
	m->value.raw.n = (size_t)(w->p - m->value.raw.p);
	m->whole = slice_make(start, (size_t)(w->p - start));
	return true;
}

struct json_value json_find(struct json_value object, struct slice key)
{
	struct json_walk w;
	struct json_member m;

	if (object.type == JSON_OBJECT) {
		json_walk_init(&w, object);
		while (json_walk_next(&w, &m))
			if (json_raw_is(m.key, key))
				return m.value;
	}
	return (struct json_value){ JSON_NONE, { NULL, 0 } };
}

/* --- The tree --------------------------------------------------------------------------------- */

/* jsmn's tokens in the order of the text; a key is a token too, with its value as its child. */
struct json_tree {
	const char *text;
	unsigned count;
	jsmntok_t tokens[];
};

struct json_tree *json_tree_make(struct arena *a, struct json_value checked)
{
	bool scalar = checked.type != JSON_OBJECT && checked.type != JSON_ARRAY;
	struct json_tree *t;
	jsmn_parser parser;
	int n = 1;

	if (checked.type == JSON_NONE || checked.raw.n > INT32_MAX)
		return NULL;
	if (!scalar) {
		jsmn_init(&parser);
		n = jsmn_parse(&parser, checked.raw.p, checked.raw.n, NULL, 0);
	}
	if (n < 1 || (t = arena_take(a, sizeof(*t) + (size_t)n * sizeof(t->tokens[0]))) == NULL)
		return NULL;
	t->text = checked.raw.p;
	t->count = (unsigned)n;
	if (scalar) {
		/* jsmn takes no number or word that ends with the text */
		t->tokens[0] = (jsmntok_t){ JSMN_PRIMITIVE, 0, (int)checked.raw.n, 0, -1 };
		if (checked.type == JSON_STRING)
			t->tokens[0] = (jsmntok_t){ JSMN_STRING, 1, (int)checked.raw.n - 1, 0, -1 };
		return t;
	}
	jsmn_init(&parser);
	if (jsmn_parse(&parser, checked.raw.p, checked.raw.n, t->tokens, t->count) != n)
		return NULL;
	return t;
}

static bool is_key(const struct json_tree *t, unsigned node)
{
	int parent = t->tokens[node].parent;

	return parent >= 0 && t->tokens[parent].type == JSMN_OBJECT;
}

unsigned json_tree_first(const struct json_tree *t, unsigned container)
{
	const jsmntok_t *c = &t->tokens[container];

	if (c->size == 0)
		return 0;
	return container + (c->type == JSMN_OBJECT ? 2 : 1);
}

unsigned json_tree_next(const struct json_tree *t, unsigned node)
{
	int parent = t->tokens[node].parent;
	unsigned next = node + 1;

	if (parent < 0)
		return 0;
	while (next < t->count && t->tokens[next].start < t->tokens[node].end)
		next++;
	if (next == t->count)
		return 0;
	/* When ours is a key's value, what follows is the next key, or no sibling. */
	if (is_key(t, (unsigned)parent))
		return t->tokens[next].parent == t->tokens[parent].parent ? next + 1 : 0;
	return t->tokens[next].parent == parent ? next : 0;
}

struct json_value json_tree_value(const struct json_tree *t, unsigned node)
{
	const jsmntok_t *k = &t->tokens[node];
	int quote = k->type == JSMN_STRING;

	return value_make(t->text + k->start - quote, t->text + k->end + quote);
}

unsigned json_tree_find(const struct json_tree *t, unsigned object, struct slice key)
{
	unsigned node = t->tokens[object].type == JSMN_OBJECT ? json_tree_first(t, object) : 0;

	for (; node != 0; node = json_tree_next(t, node)) {
		const jsmntok_t *k = &t->tokens[node - 1];

		if (json_raw_is(slice_make(t->text + k->start, (size_t)(k->end - k->start)), key))
			return node;
	}
	return 0;
}
