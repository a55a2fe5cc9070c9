/* SPDX-License-Identifier: MIT */
/* fuzz_json.c: any bytes as JSON. What the judge passes must be read alike by the walk, the tree and
 * the plain eye of a second, slower judge; any bytes can be written as a string and read back. */
#include "proto/json.h"

#include "fuzz.h"

/* --- A second judge, recursive and simple, for bodies of a few KiB ------------------------------- */

struct eye {
	const unsigned char *p, *end;
	unsigned depth;
};

static bool eye_value(struct eye *e);

static void eye_space(struct eye *e)
{
	while (e->p < e->end && (*e->p == ' ' || *e->p == '\t' || *e->p == '\n' || *e->p == '\r'))
		e->p++;
}

static bool eye_take(struct eye *e, unsigned char c)
{
	if (e->p == e->end || *e->p != c)
		return false;
	e->p++;
	return true;
}

static bool eye_range(struct eye *e, unsigned char from, unsigned char to)
{
	if (e->p == e->end || *e->p < from || *e->p > to)
		return false;
	e->p++;
	return true;
}

static bool eye_tails(struct eye *e, unsigned n)
{
	while (n-- > 0)
		if (!eye_range(e, 0x80, 0xbf))
			return false;
	return true;
}

/* RFC 3629, 4, line by line */
static bool eye_utf8(struct eye *e)
{
	unsigned char c = *e->p++;

	if (c >= 0xc2 && c <= 0xdf)
		return eye_tails(e, 1);
	if (c == 0xe0)
		return eye_range(e, 0xa0, 0xbf) && eye_tails(e, 1);
	if ((c >= 0xe1 && c <= 0xec) || c == 0xee || c == 0xef)
		return eye_tails(e, 2);
	if (c == 0xed)
		return eye_range(e, 0x80, 0x9f) && eye_tails(e, 1);
	if (c == 0xf0)
		return eye_range(e, 0x90, 0xbf) && eye_tails(e, 2);
	if (c >= 0xf1 && c <= 0xf3)
		return eye_tails(e, 3);
	return c == 0xf4 && eye_range(e, 0x80, 0x8f) && eye_tails(e, 2);
}

static bool eye_hex(struct eye *e)
{
	return eye_range(e, '0', '9') || eye_range(e, 'a', 'f') || eye_range(e, 'A', 'F');
}

static bool eye_string(struct eye *e)
{
	if (!eye_take(e, '"'))
		return false;
	while (e->p < e->end) {
		if (eye_take(e, '"'))
			return true;
		if (*e->p < 0x20)
			return false;
		if (*e->p >= 0x80) {
			if (!eye_utf8(e))
				return false;
		} else if (*e->p++ == '\\') {
			if (eye_take(e, 'u')) {
				if (!(eye_hex(e) && eye_hex(e) && eye_hex(e) && eye_hex(e)))
					return false;
			} else if (e->p == e->end || *e->p == 0 ||
				   strchr("\"\\/bfnrt", *e->p++) == NULL) {
				return false;
			}
		}
	}
	return false;
}

static bool eye_digits(struct eye *e)
{
	if (!eye_range(e, '0', '9'))
		return false;
	while (eye_range(e, '0', '9'))
		;
	return true;
}

static bool eye_number(struct eye *e)
{
	eye_take(e, '-');
	if (!eye_take(e, '0') && !eye_digits(e))
		return false;
	if (eye_take(e, '.') && !eye_digits(e))
		return false;
	if (eye_take(e, 'e') || eye_take(e, 'E')) {
		if (!eye_take(e, '+'))
			eye_take(e, '-');
		return eye_digits(e);
	}
	return true;
}

static bool eye_word(struct eye *e, const char *word)
{
	for (; *word != '\0'; word++)
		if (!eye_take(e, (unsigned char)*word))
			return false;
	return true;
}

static bool eye_members(struct eye *e, bool object)
{
	unsigned char close = object ? '}' : ']';

	if (++e->depth > JSON_DEPTH_MAX)
		return false;
	e->p++;
	eye_space(e);
	while (!eye_take(e, close)) {
		eye_space(e);
		if (object && !(eye_string(e) && (eye_space(e), eye_take(e, ':'))))
			return false;
		if (!eye_value(e))
			return false;
		if (e->p < e->end && *e->p == close)
			continue;
		if (!eye_take(e, ','))
			return false;
		eye_space(e);
		if (e->p < e->end && *e->p == close)
			return false; /* a comma, and nothing behind it */
	}
	e->depth--;
	return true;
}

/* A value with the white space on both sides. */
static bool eye_value(struct eye *e)
{
	bool ok;

	eye_space(e);
	if (e->p == e->end)
		return false;
	switch (*e->p) {
	case '{':
	case '[':
		ok = eye_members(e, *e->p == '{');
		break;
	case '"':
		ok = eye_string(e);
		break;
	case 't':
		ok = eye_word(e, "true");
		break;
	case 'f':
		ok = eye_word(e, "false");
		break;
	case 'n':
		ok = eye_word(e, "null");
		break;
	default:
		ok = eye_number(e);
		break;
	}
	eye_space(e);
	return ok;
}

static bool eye_check(struct slice s)
{
	struct eye e = { (const unsigned char *)s.p, (const unsigned char *)s.p + s.n, 0 };

	return s.n > 0 && eye_value(&e) && e.p == e.end;
}

/* --- What holds for every text ------------------------------------------------------------------- */

static bool inside(struct slice part, struct slice whole)
{
	return part.p >= whole.p && part.p + part.n <= whole.p + whole.n;
}

static void check_string(struct json_value v, struct arena *a)
{
	size_t used = a->used, room;
	struct slice plain = json_unescape(a, v);
	struct json_value again;
	struct json_error err;
	struct buf b;
	char *mem;

	MUST(plain.p != NULL && plain.n <= v.raw.n);
	MUST(json_string_is(v, plain));
	room = 6 * plain.n + 2;
	if ((mem = arena_take(a, room)) != NULL) {
		buf_init(&b, mem, room);
		MUST(json_write_string(&b, plain));
		MUST(json_check(buf_view(&b), &again, &err) && json_string_is(again, plain));
	}
	a->used = used;
}

/* Goes through a value by the walk and by the tree at once. */
static void check_value(struct json_value v, const struct json_tree *t, unsigned node,
			struct arena *a)
{
	struct json_value same = json_tree_value(t, node), alone;
	const char *end = v.raw.p + 1;
	struct json_error err;
	struct json_member m;
	struct json_walk w;
	uint64_t n = 1, k = 2;

	MUST(same.type == v.type && same.raw.p == v.raw.p && same.raw.n == v.raw.n);
	MUST(json_check(v.raw, &alone, &err) && alone.type == v.type && alone.raw.n == v.raw.n);
	if (v.type == JSON_STRING)
		check_string(v, a);
	MUST(!json_u64(v, &n) || v.type == JSON_NUMBER);
	MUST(!json_u64(v, &k) || n == k);
	node = json_tree_first(t, node);
	json_walk_init(&w, v);
	while (json_walk_next(&w, &m)) {
		MUST(node != 0 && inside(m.whole, v.raw) && inside(m.value.raw, m.whole));
		MUST(m.whole.p >= end);
		end = m.whole.p + m.whole.n;
		MUST((v.type == JSON_OBJECT) == (m.key.p != NULL));
		if (m.key.p != NULL) {
			MUST(inside(m.key, m.whole));
			check_string(
				(struct json_value){ JSON_STRING, { m.key.p - 1, m.key.n + 2 } },
				a);
		}
		check_value(m.value, t, node, a);
		node = json_tree_next(t, node);
	}
	MUST(node == 0);
}

static void check_writer(struct slice s)
{
	static char mem[1 << 18];
	struct json_value v;
	struct json_error err;
	struct buf b;

	buf_init(&b, mem, sizeof(mem));
	if (!json_write_string(&b, s)) {
		MUST(buf_len(&b) == 0 && 6 * s.n + 2 > sizeof(mem));
		return;
	}
	MUST(json_check(buf_view(&b), &v, &err) && v.type == JSON_STRING);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char mem[1 << 20];
	struct slice s = { (const char *)data, size };
	struct json_value top;
	struct json_error err = { SIZE_MAX, NULL };
	struct json_tree *t;
	struct arena a;
	bool ok = json_check(s, &top, &err);

	if (size <= 1 << 14)
		MUST(ok == eye_check(s));
	check_writer(s);
	if (!ok) {
		MUST(err.offset <= size && err.why != NULL);
		return 0;
	}
	MUST(inside(top.raw, s));
	arena_init(&a, mem, sizeof(mem));
	t = json_tree_make(&a, top);
	if (t != NULL)
		check_value(top, t, 0, &a);
	else
		MUST(size > 20000); /* jsmn takes whatever we take */
	return 0;
}
