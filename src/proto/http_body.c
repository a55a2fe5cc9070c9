/* SPDX-License-Identifier: MIT */
/* http_body.c: undoes the framing of a body.
 *
 * A chunked body (RFC 9112, 7.1) is read by one state per place in its grammar. A chunk line:
 *
 *	SIZE > SIZE_SPACE > EXT_NAME0 > EXT_NAME > EXT_NAME_SPACE > EXT_VALUE0
 *	                        ^                                     |   |
 *	                        |                             EXT_TOKEN   EXT_QUOTED <> EXT_ESCAPE
 *	                        |                                     |   |
 *	                        +------------ EXT_VALUE_SPACE <-------+---+ EXT_CLOSED
 *
 * (the states named SPACE may be skipped), and from SIZE, EXT_NAME, EXT_TOKEN and EXT_CLOSED by CR
 * to SIZE_LF; then DATA, DATA_CR, DATA_LF and the next SIZE, or after the chunk of size 0 the
 * trailer section. White space must be read where the grammar says BWS, so around ";" and "="
 * (RFC 9110, 5.6.3), but nowhere else: "5 \r\n" is refused. Control bytes, bare CR and bare LF
 * fit no state. */
#include "proto/http_body.h"

#include "proto/http_char.h"

enum state {
	/* chunk line */
	SIZE0, /* before the first digit */
	SIZE,
	SIZE_SPACE,
	EXT_NAME0, /* after ";" */
	EXT_NAME,
	EXT_NAME_SPACE,
	EXT_VALUE0, /* after "=" */
	EXT_TOKEN,
	EXT_QUOTED,
	EXT_ESCAPE,
	EXT_CLOSED, /* after the closing quote */
	EXT_VALUE_SPACE,
	SIZE_LF,
	/* trailer section */
	TRAILER0, /* at the start of a line */
	TRAILER_NAME,
	TRAILER_VALUE,
	TRAILER_LF,
	END_LF,
	/* behind a chunk's content */
	DATA_CR,
	DATA_LF,
	/* content */
	DATA,   /* of a chunk */
	PLAIN,  /* of a body by length */
	STREAM, /* of a body until close */
	/* no more of it */
	END,
	REFUSED,
};

enum {
	SIZE_DIGITS_MAX = 16,
	CHUNK_EXCUSE = 16, /* line bytes that any chunk may have */
};

void http_body_init(struct http_body *b, const struct http_head *head)
{
	http_body_init_framing(b, head->framing, head->length);
}

void http_body_init_framing(struct http_body *b, enum http_framing framing, uint64_t length)
{
	memset(b, 0, sizeof(*b));
	b->framing = framing;
	b->state = END;
	if (framing == HTTP_LENGTH && length > 0) {
		b->left = length;
		b->state = PLAIN;
	} else if (framing == HTTP_CHUNKED) {
		b->state = SIZE0;
	} else if (framing == HTTP_CLOSE) {
		b->state = STREAM;
	}
}

static uint8_t refuse(struct http_body *b, const char *why)
{
	b->why = why;
	return REFUSED;
}

/* One more digit of a chunk size. Sixteen are as many as fit, so nothing can overflow; leading
 * zeros beyond that help nobody. */
static uint8_t size_digit(struct http_body *b, char c)
{
	int v = http_hex_value(c);

	if (v < 0)
		return refuse(b, "bad chunk size");
	if (b->line > SIZE_DIGITS_MAX)
		return refuse(b, "chunk size too long");
	b->left = b->left << 4 | (unsigned)v;
	return SIZE;
}

/* What may follow a whole element of the chunk line: the line's end, or BWS ";". */
static uint8_t line_go_on(struct http_body *b, char c, uint8_t space)
{
	if (c == '\r')
		return SIZE_LF;
	if (c == ';')
		return EXT_NAME0;
	if (http_is_space(c))
		return space;
	return refuse(b, "bad chunk line");
}

/* After white space that has to lead to ";" (or "=", `equals`). */
static uint8_t space_go_on(struct http_body *b, char c, bool equals)
{
	if (http_is_space(c))
		return b->state;
	if (c == ';')
		return EXT_NAME0;
	if (equals && c == '=')
		return EXT_VALUE0;
	return refuse(b, "bad chunk line");
}

static uint8_t ext_name0(struct http_body *b, char c)
{
	if (http_is_space(c))
		return EXT_NAME0;
	return http_is_tchar(c) ? EXT_NAME : refuse(b, "bad chunk extension");
}

static uint8_t ext_value0(struct http_body *b, char c)
{
	if (http_is_space(c))
		return EXT_VALUE0;
	if (c == '"')
		return EXT_QUOTED;
	return http_is_tchar(c) ? EXT_TOKEN : refuse(b, "bad chunk extension");
}

static uint8_t ext_quoted(struct http_body *b, char c)
{
	if (!http_is_text(c))
		return refuse(b, "control byte in a chunk extension");
	if (c == '"')
		return EXT_CLOSED;
	return c == '\\' ? EXT_ESCAPE : EXT_QUOTED;
}

/* RFC 9112, 7.1.1: extensions ought to be bounded over the whole request. A chunk line beyond 16
 * bytes plus twice the chunk's content counts as waste, so small plain chunks never do. */
static uint8_t size_end(struct http_body *b, char c)
{
	uint64_t excuse;

	if (c != '\n')
		return refuse(b, "bare CR in a chunk line");
	excuse = CHUNK_EXCUSE + 2 * MIN(b->left, (uint64_t)HTTP_CHUNK_LINE_MAX);
	b->waste += b->line;
	b->waste -= (uint32_t)MIN(excuse, (uint64_t)b->waste);
	if (b->waste > HTTP_CHUNK_WASTE_MAX)
		return refuse(b, "too many chunk extensions");
	b->line = 0;
	return b->left > 0 ? DATA : TRAILER0;
}

/* RFC 9112, 7.1.2: trailers are field lines, judged as in a head (5) and dropped. */
static uint8_t trailer0(struct http_body *b, char c)
{
	if (c == '\r')
		return END_LF;
	return http_is_tchar(c) ? TRAILER_NAME : refuse(b, "bad trailer");
}

static uint8_t trailer_name(struct http_body *b, char c)
{
	if (c == ':')
		return TRAILER_VALUE;
	return http_is_tchar(c) ? TRAILER_NAME : refuse(b, "bad trailer name");
}

static uint8_t trailer_value(struct http_body *b, char c)
{
	if (c == '\r')
		return TRAILER_LF;
	return http_is_text(c) ? TRAILER_VALUE : refuse(b, "control byte in a trailer");
}

static uint8_t need(struct http_body *b, char c, char want, uint8_t then, const char *why)
{
	return c == want ? then : refuse(b, why);
}

/* The state after one byte of framing. */
static uint8_t step(struct http_body *b, char c)
{
	switch ((enum state)b->state) {
	case SIZE0:
		return size_digit(b, c);
	case SIZE:
		return http_hex_value(c) >= 0 ? size_digit(b, c) : line_go_on(b, c, SIZE_SPACE);
	case SIZE_SPACE:
	case EXT_VALUE_SPACE:
		return space_go_on(b, c, false);
	case EXT_NAME0:
		return ext_name0(b, c);
	case EXT_NAME:
		if (http_is_tchar(c))
			return EXT_NAME;
		return c == '=' ? EXT_VALUE0 : line_go_on(b, c, EXT_NAME_SPACE);
	case EXT_NAME_SPACE:
		return space_go_on(b, c, true);
	case EXT_VALUE0:
		return ext_value0(b, c);
	case EXT_TOKEN:
		return http_is_tchar(c) ? EXT_TOKEN : line_go_on(b, c, EXT_VALUE_SPACE);
	case EXT_QUOTED:
		return ext_quoted(b, c);
	case EXT_ESCAPE:
		return http_is_text(c) ? EXT_QUOTED
				       : refuse(b, "control byte in a chunk extension");
	case EXT_CLOSED:
		return line_go_on(b, c, EXT_VALUE_SPACE);
	case SIZE_LF:
		return size_end(b, c);
	case DATA_CR:
		return need(b, c, '\r', DATA_LF, "no CRLF after a chunk");
	case DATA_LF:
		return need(b, c, '\n', SIZE0, "no CRLF after a chunk");
	case TRAILER0:
		return trailer0(b, c);
	case TRAILER_NAME:
		return trailer_name(b, c);
	case TRAILER_VALUE:
		return trailer_value(b, c);
	case TRAILER_LF:
		return need(b, c, '\n', TRAILER0, "bare CR in a trailer");
	default: /* END_LF */
		return need(b, c, '\n', END, "bare CR after the last chunk");
	}
}

/* Counts a byte of framing against the limit of the line or section it belongs to. */
static bool is_within(struct http_body *b)
{
	if (b->state <= SIZE_LF)
		return ++b->line <= HTTP_CHUNK_LINE_MAX;
	if (b->state <= END_LF)
		return ++b->line <= HTTP_TRAILER_MAX;
	return true;
}

static struct slice lend(struct http_body *b, struct slice in)
{
	if (b->state == STREAM) {
		b->total += in.n;
		return in;
	}
	in.n = (size_t)MIN((uint64_t)in.n, b->left);
	b->total += in.n;
	b->left -= in.n;
	if (b->left == 0)
		b->state = b->state == DATA ? DATA_CR : END;
	return in;
}

enum parse http_body_feed(struct http_body *b, struct slice in, size_t *used, struct slice *piece)
{
	size_t i = 0;

	while (i < in.n && b->state < DATA) {
		b->state = is_within(b) ? step(b, in.p[i])
					: refuse(b, "chunk line or trailers too long");
		if (b->state != REFUSED)
			i++;
	}
	*piece = slice_make(in.p + i, 0);
	if (b->state >= DATA && b->state <= STREAM) {
		*piece = lend(b, slice_from(in, i));
		i += piece->n;
	}
	*used = i;
	if (b->state == REFUSED)
		return PARSE_BAD;
	return b->state == END ? PARSE_DONE : PARSE_MORE;
}

uint64_t http_body_promised(const struct http_body *b)
{
	return b->state == DATA || b->state == PLAIN ? b->left : 0;
}
