/* SPDX-License-Identifier: MIT */
/* http_field.c: questions about the fields of a parsed head (declared in http_head.h). */
#include "proto/http_char.h"
#include "proto/http_head.h"

const struct http_field *http_field_find(const struct http_head *h, struct slice name)
{
	unsigned i;

	for (i = 0; i < h->count; i++)
		if (slice_eq_nocase(h->fields[i].name, name))
			return &h->fields[i];
	return NULL;
}

struct slice http_field_value(const struct http_head *h, struct slice name)
{
	const struct http_field *field = http_field_find(h, name);

	return field ? field->value : slice_make(NULL, 0);
}

/* Cuts the part before `sep` off the front of *rest. False when nothing is left. */
static bool part_take(struct slice *rest, char sep, struct slice *part)
{
	const char *end;

	if (rest->n == 0)
		return false;
	end = memchr(rest->p, sep, rest->n);
	*part = slice_make(rest->p, end ? (size_t)(end - rest->p) : rest->n);
	*rest = slice_from(*rest, end ? part->n + 1 : rest->n);
	*part = http_trim(*part);
	return true;
}

bool http_field_has_token(const struct http_head *h, struct slice name, struct slice token)
{
	struct slice rest, part;
	unsigned i;

	for (i = 0; i < h->count; i++) {
		if (!slice_eq_nocase(h->fields[i].name, name))
			continue;
		rest = h->fields[i].value;
		while (part_take(&rest, ',', &part))
			if (slice_eq_nocase(part, token))
				return true;
	}
	return false;
}

static bool is_one_of(struct slice name, const struct slice *list, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (slice_eq_nocase(name, list[i]))
			return true;
	return false;
}

bool http_field_is_hop(const struct http_head *h, struct slice name)
{
	static const struct slice hop[] = {
		SLICE_INIT("Connection"), SLICE_INIT("Keep-Alive"),        SLICE_INIT("TE"),
		SLICE_INIT("Trailer"),    SLICE_INIT("Transfer-Encoding"), SLICE_INIT("Upgrade"),
	};
	/* Connection must not take away what says where and how long a message is. */
	static const struct slice never[] = { SLICE_INIT("Host"), SLICE_INIT("Content-Length") };
	static const struct slice proxy = SLICE_INIT("proxy-");

	if (is_one_of(name, hop, ARRAY_LEN(hop)))
		return true;
	if (name.n > proxy.n && slice_eq_nocase(slice_make(name.p, proxy.n), proxy))
		return true;
	if (is_one_of(name, never, ARRAY_LEN(never)))
		return false;
	return http_field_has_token(h, SLICE("Connection"), name);
}

/* ---- Accept-Encoding ---- */

enum { QUALITY_BEST = 1000, QUALITY_NONE = -1 };

/* "0", "0.5", "1.000" -> thousandths (RFC 9110, 12.4.2); anything else is 0, a refusal: a coding
 * that was not clearly asked for is not used. */
static int quality_of(struct slice s)
{
	int v, unit = 100;
	size_t i;

	if (s.n == 0 || s.n > 5 || (s.p[0] != '0' && s.p[0] != '1') || (s.n > 1 && s.p[1] != '.'))
		return 0;
	v = (s.p[0] - '0') * QUALITY_BEST;
	for (i = 2; i < s.n; i++, unit /= 10) {
		if (!http_is_digit(s.p[i]))
			return 0;
		v += (s.p[i] - '0') * unit;
	}
	return v <= QUALITY_BEST ? v : 0;
}

/* The weight behind a coding's name: "" or "q=0.5". */
static int weight_of(struct slice s)
{
	if (s.n == 0)
		return QUALITY_BEST;
	if (s.n < 2 || ascii_lower(s.p[0]) != 'q' || s.p[1] != '=')
		return 0;
	return quality_of(slice_from(s, 2));
}

/* RFC 9110, 8.4.1: "x-gzip" and "x-compress" mean what they mean without "x-". */
static bool is_coding(struct slice listed, struct slice coding)
{
	if (listed.n == coding.n + 2 && slice_eq_nocase(slice_make(listed.p, 2), SLICE("x-")))
		listed = slice_from(listed, 2);
	return slice_eq_nocase(listed, coding);
}

/* What one Accept-Encoding line says of a coding and of "*", unless an earlier one has. */
static void weigh(struct slice rest, struct slice coding, int *own, int *any)
{
	struct slice part, name;

	while (part_take(&rest, ',', &part)) {
		if (!part_take(&part, ';', &name))
			continue;
		if (*own == QUALITY_NONE && is_coding(name, coding))
			*own = weight_of(http_trim(part));
		if (*any == QUALITY_NONE && slice_eq(name, SLICE("*")))
			*any = weight_of(http_trim(part));
	}
}

unsigned http_accepts_coding(const struct http_head *h, struct slice coding)
{
	bool identity = slice_eq_nocase(coding, SLICE("identity"));
	int own = QUALITY_NONE, any = QUALITY_NONE;
	bool said = false;
	unsigned i;

	for (i = 0; i < h->count; i++) {
		if (!slice_eq_nocase(h->fields[i].name, SLICE("Accept-Encoding")))
			continue;
		said = true;
		weigh(h->fields[i].value, coding, &own, &any);
	}
	if (!said) /* anything would do (RFC 9110, 12.5.3), but only identity is sure to be read */
		return identity ? QUALITY_BEST : 0;
	if (own != QUALITY_NONE)
		return (unsigned)own;
	if (any != QUALITY_NONE)
		return (unsigned)any;
	return identity ? 1 : 0; /* acceptable unless excluded, but behind all that was asked for */
}
