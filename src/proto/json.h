/* SPDX-License-Identifier: MIT */
/* json.h: JSON (RFC 8259), strict. First json_check() judges a text (grammar, UTF-8, depth; no
 * recursion); everything else here is for text that passed. Two ways to read it: the walk
 * (json_walk, json_find), which needs no memory and suits large texts of which a few members
 * matter, and the tree (jsmn's tokens in memory the caller gives), which suits small ones. */
#ifndef PROTO_JSON_H
#define PROTO_JSON_H

#include "base/arena.h"
#include "base/buf.h"

enum { JSON_DEPTH_MAX = 64 };

enum json_type {
	JSON_NONE,
	JSON_NULL,
	JSON_TRUE,
	JSON_FALSE,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT
};

struct json_value {
	enum json_type type;
	struct slice raw; /* the value's text; a string's is with its quotes */
};

struct json_error {
	size_t offset; /* of the first byte that is wrong; the text's length when it ends too soon */
	const char *why; /* a few words */
};

/* Judges a whole text; false fills *err. Blank text and anything behind the value are wrong, a
 * byte order mark too. On true *top is the value without the white space around it. */
bool json_check(struct slice text, struct json_value *top, struct json_error *err);

/* The walk: members of an object, or elements of an array (key.n == 0, key.p == NULL), in order.
 * The container's text must have passed json_check(). */
struct json_walk {
	const char *p, *end;
	bool object;
};
struct json_member {
	struct slice key;   /* raw text between the quotes, escapes not undone */
	struct slice whole; /* from the key's opening quote to the value's last byte */
	struct json_value value;
};
void json_walk_init(struct json_walk *, struct json_value container);
bool json_walk_next(struct json_walk *, struct json_member *); /* false: no more */
/* The first member whose key is `key` after unescaping; type JSON_NONE if there is none, or if
 * `object` is no object. */
struct json_value json_find(struct json_value object, struct slice key);

/* A string value's text with the escapes undone, as UTF-8 in the arena (p == NULL: arena full).
 * A lone surrogate becomes U+FFFD, as Go reads it. */
struct slice json_unescape(struct arena *, struct json_value string);
/* Raw text between the quotes. */
struct slice json_string_raw(struct json_value string);
/* Whether a string value, or the raw text between quotes (a key), is this text after unescaping. */
bool json_string_is(struct json_value string, struct slice text);
bool json_raw_is(struct slice raw, struct slice text);
/* The characters of raw text one by one, escapes undone: *raw loses its first one. False: none is
 * left. */
bool json_raw_next(struct slice *raw, uint32_t *character);
/* A number as unsigned integer: false if negative, fractional or too large. "1e3", "1.0" and "-0"
 * are taken. */
bool json_u64(struct json_value, uint64_t *);

/* The writer: `text` (any bytes; broken UTF-8 becomes U+FFFD) as a JSON string with its quotes.
 * False: no room, and the buf is unchanged. Escapes control characters, quote, backslash, U+2028
 * and U+2029. */
bool json_write_string(struct buf *, struct slice text);
/* Like json_write_string() but without the quotes, for building a string piece by piece; `text`
 * must not end inside a UTF-8 sequence that goes on in the next piece. */
bool json_write_escaped(struct buf *, struct slice text);

/* The tree, by jsmn. Takes its token array from the arena; NULL when the arena is full. */
struct json_tree;
struct json_tree *json_tree_make(struct arena *, struct json_value checked);
/* Node 0 is the root. 0 = none for the other calls (the root is nobody's child). */
unsigned json_tree_find(const struct json_tree *, unsigned object, struct slice key);
/* The first element, or the first key's value. */
unsigned json_tree_first(const struct json_tree *, unsigned container);
unsigned json_tree_next(const struct json_tree *, unsigned node);
struct json_value json_tree_value(const struct json_tree *, unsigned node);

#endif
