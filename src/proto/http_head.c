/* SPDX-License-Identifier: MIT */
/* http_head.c: request and response heads.
 *
 * A view is judged line by line from its start, and each line byte by byte, so the verdict is that
 * of the first byte that cannot be right. It is therefore the same however the bytes were cut when
 * they arrived, and once a view is refused, more bytes cannot mend it. */
#include "proto/http_head.h"

#include "base/fmt.h"
#include "proto/http_char.h"
#include "proto/uri.h"

enum {
	METHOD_MAX = 32,
	VERSION_SIZE = 8, /* "HTTP/1.1" */
	SMALL = 64,       /* a view of this size is looked at again at every call */
};

static enum parse refuse(struct http_head *h, unsigned status, const char *why)
{
	h->refuse = status;
	h->why = why;
	return PARSE_BAD;
}

/* The line that begins at `at`, in *line without its CRLF. Unless it is DONE, *line is as much of
 * it as can be used. Bare CR, bare LF and NUL: RFC 9112, 2.2, and RFC 9110, 5.5. */
static enum parse line_take(struct http_head *h, struct slice view, size_t at, struct slice *line)
{
	size_t i = at;

	while (i < view.n && http_is_text(view.p[i]))
		i++;
	*line = slice_make(view.p + at, i - at);
	if (i == view.n)
		return PARSE_MORE;
	if (view.p[i] == '\n')
		return refuse(h, 400, "bare LF in head");
	if (view.p[i] != '\r')
		return refuse(h, 400, "control byte in head");
	if (i + 1 == view.n)
		return PARSE_MORE;
	return view.p[i + 1] == '\n' ? PARSE_DONE : refuse(h, 400, "bare CR in head");
}

/* ---- start lines ---- */

/* A start line, or what is there of it. DONE and MORE are both fine when `whole` is false. */
typedef enum parse start_fn(struct http_head *, struct slice line, bool whole);

static enum parse cut_short(struct http_head *h, bool whole, const char *why)
{
	return whole ? refuse(h, 400, why) : PARSE_MORE;
}

static enum http_method method_of(struct slice s)
{
	static const struct {
		struct slice name;
		enum http_method method;
	} known[] = {
		{ SLICE_INIT("GET"), HTTP_GET },         { SLICE_INIT("HEAD"), HTTP_HEAD },
		{ SLICE_INIT("POST"), HTTP_POST },       { SLICE_INIT("PUT"), HTTP_PUT },
		{ SLICE_INIT("DELETE"), HTTP_DELETE },   { SLICE_INIT("PATCH"), HTTP_PATCH },
		{ SLICE_INIT("OPTIONS"), HTTP_OPTIONS },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(known); i++)
		if (slice_eq(s, known[i].name)) /* methods are case-sensitive (RFC 9110, 9.1) */
			return known[i].method;
	return HTTP_OTHER;
}

/* Whether s is "HTTP/d.d", or begins like it when it is shorter. */
static bool is_version(struct slice s)
{
	static const char form[] = "HTTP/0.0";
	size_t i;

	for (i = 0; i < s.n && i < VERSION_SIZE; i++)
		if (form[i] == '0' ? !http_is_digit(s.p[i]) : s.p[i] != form[i])
			return false;
	return s.n <= VERSION_SIZE;
}

/* RFC 9110, 2.5: a higher minor version is read as the highest we know. */
static unsigned minor_of(struct slice version)
{
	return version.p[7] == '0' ? 0 : 1;
}

static enum parse request_version(struct http_head *h, struct slice s, bool whole)
{
	if (!is_version(s))
		return refuse(h, 400, "bad version");
	if (s.n < VERSION_SIZE || !whole)
		return cut_short(h, whole, "bad version");
	if (s.p[5] == '0') /* HTTP/0.9 never wrote its version */
		return refuse(h, 400, "bad version");
	if (s.p[5] != '1')
		return refuse(h, 505, "only HTTP/1.x is spoken here");
	h->minor = minor_of(s);
	return PARSE_DONE;
}

static enum parse request_target(struct http_head *h, struct slice s, bool whole)
{
	size_t i = 0;

	while (i < s.n && http_is_target(s.p[i]))
		i++;
	if (i > HTTP_TARGET_MAX)
		return refuse(h, 414, "target too long");
	if (i == s.n)
		return cut_short(h, whole, "no version");
	if (i == 0 || s.p[i] != ' ')
		return refuse(h, 400, "bad target");
	h->target = slice_make(s.p, i);
	return request_version(h, slice_from(s, i + 1), whole);
}

/* RFC 9112, 3: method SP request-target SP HTTP-version, each SP exactly one. */
static enum parse request_line(struct http_head *h, struct slice s, bool whole)
{
	size_t i = 0;

	while (i < s.n && http_is_tchar(s.p[i]))
		i++;
	if (i > METHOD_MAX) /* RFC 9112, 3: longer than any we know, 501 */
		return refuse(h, 501, "method too long");
	if (i == s.n)
		return cut_short(h, whole, "no target");
	if (i == 0 || s.p[i] != ' ')
		return refuse(h, 400, "bad method");
	h->method_text = slice_make(s.p, i);
	h->method = method_of(h->method_text);
	return request_target(h, slice_from(s, i + 1), whole);
}

/* RFC 9112, 4: HTTP-version SP status-code SP [ reason-phrase ]. The SP before an absent reason is
 * often forgotten and may be. */
static enum parse status_line(struct http_head *h, struct slice s, bool whole)
{
	struct slice version = slice_make(s.p, MIN(s.n, (size_t)VERSION_SIZE));
	size_t i;

	if (!is_version(version) || (s.n > 5 && s.p[5] != '1'))
		return refuse(h, 400, "not an HTTP/1.x reply");
	if (s.n > 8 && s.p[8] != ' ')
		return refuse(h, 400, "bad status line");
	for (i = 9; i < s.n && i < 12; i++) {
		if (!http_is_digit(s.p[i]))
			return refuse(h, 400, "bad status");
		h->status = h->status * 10 + (unsigned)(s.p[i] - '0');
	}
	if (s.n < 12)
		return cut_short(h, whole, "bad status line");
	if (h->status < 100 || h->status > 599)
		return refuse(h, 400, "status out of range");
	if (s.n > 12 && s.p[12] != ' ')
		return refuse(h, 400, "bad status line");
	h->minor = minor_of(version);
	return PARSE_DONE;
}

/* ---- fields that decide how the message is read ---- */

struct facts {
	bool reply; /* a response head */
	bool host, length, coding;
};

typedef enum parse judge_fn(struct http_head *, struct facts *, struct slice value);

/* RFC 9112, 3.2: a request with several Host lines, or an invalid one, is refused. */
static enum parse judge_host(struct http_head *h, struct facts *f, struct slice value)
{
	if (f->reply)
		return PARSE_DONE;
	if (f->host)
		return refuse(h, 400, "more than one Host");
	if (!uri_host_valid(value))
		return refuse(h, 400, "bad Host");
	f->host = true;
	h->host = value;
	return PARSE_DONE;
}

/* RFC 9112, 6.3: one length, digits only. The RFC lets a reader fold equal repeats; we do not. */
static enum parse judge_length(struct http_head *h, struct facts *f, struct slice value)
{
	if (f->length)
		return refuse(h, 400, "more than one Content-Length");
	if (f->coding)
		return refuse(h, 400, "both Content-Length and Transfer-Encoding");
	if (!fmt_parse_u64(value, &h->length))
		return refuse(h, 400, "bad Content-Length");
	f->length = true;
	return PARSE_DONE;
}

/* A Transfer-Encoding that is not plain "chunked". Known to be wrong in itself, 400: no list of
 * names, parameters or quotes (no coding we could know has any), or "chunked" that is repeated or
 * not the last one (RFC 9112, 6.1 and 6.3). Well said but unknown here: 501 (6.1). */
static enum parse refuse_coding(struct http_head *h, struct slice value)
{
	bool chunked = false;
	size_t i = 0, from;

	for (;;) {
		from = i;
		while (i < value.n && http_is_tchar(value.p[i]))
			i++;
		if (i == from || chunked)
			break;
		chunked = slice_eq_nocase(slice_make(value.p + from, i - from), SLICE("chunked"));
		while (i < value.n && http_is_space(value.p[i]))
			i++;
		if (i == value.n)
			return refuse(h, 501, "unknown transfer coding");
		if (value.p[i] != ',')
			break;
		i++;
		while (i < value.n && http_is_space(value.p[i]))
			i++;
	}
	return refuse(h, 400, "bad Transfer-Encoding");
}

static enum parse judge_coding(struct http_head *h, struct facts *f, struct slice value)
{
	if (f->coding)
		return refuse(h, 400, "more than one Transfer-Encoding");
	if (f->length)
		return refuse(h, 400, "both Content-Length and Transfer-Encoding");
	if (h->minor == 0) /* RFC 9112, 6.1: such framing is faulty */
		return refuse(h, 400, "Transfer-Encoding in an HTTP/1.0 message");
	if (!slice_eq_nocase(value, SLICE("chunked")))
		return refuse_coding(h, value);
	f->coding = true;
	return PARSE_DONE;
}

/* RFC 9110, 10.1.1: 1.0 clients cannot mean it; an expectation we cannot meet is 417. */
static enum parse judge_expect(struct http_head *h, struct facts *f, struct slice value)
{
	if (f->reply || h->minor == 0)
		return PARSE_DONE;
	if (!slice_eq_nocase(value, SLICE("100-continue")))
		return refuse(h, 417, "unknown expectation");
	h->expect_continue = true;
	return PARSE_DONE;
}

static enum parse judge(struct http_head *h, struct facts *f, const struct http_field *field)
{
	static const struct {
		struct slice name;
		judge_fn *fn;
	} judged[] = {
		{ SLICE_INIT("Host"), judge_host },
		{ SLICE_INIT("Content-Length"), judge_length },
		{ SLICE_INIT("Transfer-Encoding"), judge_coding },
		{ SLICE_INIT("Expect"), judge_expect },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(judged); i++)
		if (slice_eq_nocase(field->name, judged[i].name))
			return judged[i].fn(h, f, field->value);
	return PARSE_DONE;
}

/* ---- fields ---- */

/* RFC 9112, 5: field-name ":" OWS field-value OWS. The line's bytes are text already. */
static enum parse field_line(struct http_head *h, struct facts *f, struct slice line)
{
	struct http_field *field;
	size_t i = 0;

	if (h->count == HTTP_FIELDS_MAX)
		return refuse(h, 431, "too many fields");
	while (i < line.n && http_is_tchar(line.p[i]))
		i++;
	if (i == 0 && http_is_space(line.p[0])) /* RFC 9112, 2.2 and 5.2 */
		return refuse(h, 400, "folded line, or white space before the first field");
	if (i < line.n && http_is_space(line.p[i])) /* RFC 9112, 5.1 */
		return refuse(h, 400, "white space in a field name or before its colon");
	if (i == 0 || i == line.n || line.p[i] != ':')
		return refuse(h, 400, "bad field name");
	field = &h->fields[h->count++];
	field->name = slice_make(line.p, i);
	field->value = http_trim(slice_from(line, i + 1));
	return judge(h, f, field);
}

/* The field lines from `at` to the empty line. */
static enum parse fields_take(struct http_head *h, struct facts *f, struct slice view, size_t at)
{
	struct slice line;
	enum parse r;

	for (;;) {
		r = line_take(h, view, at, &line);
		if (r != PARSE_DONE)
			return r;
		at += line.n + 2;
		if (line.n == 0)
			break;
		r = field_line(h, f, line);
		if (r != PARSE_DONE)
			return r;
	}
	h->size = at;
	return PARSE_DONE;
}

/* ---- whole heads ---- */

static void head_reset(struct http_head *h)
{
	/* All but the fields: those are 3 KiB, and `count` says which of them mean anything. */
	memset(h, 0, offsetof(struct http_head, fields));
}

/* Whether the bytes after `seen` cannot change the verdict MORE, so that a head which arrives byte
 * by byte is judged once per line and not once per byte. What may change it: a line end, a byte
 * that is never text, and in the start line also a space, what comes soon after one (the version),
 * or too many bytes. */
static bool is_quiet(struct slice view, size_t seen)
{
	bool start;
	size_t i;

	if (seen < SMALL || view.p[seen - 1] == '\r')
		return false;
	start = memchr(view.p + 2, '\n', seen - 2) == NULL; /* an empty line may come first */
	if (start && (view.n > HTTP_TARGET_MAX ||
		      memchr(view.p + seen - VERSION_SIZE - 1, ' ', VERSION_SIZE + 1) != NULL))
		return false;
	for (i = seen; i < view.n; i++) {
		if (view.p[i] == '\r' && i + 1 == view.n)
			break;
		if (!(start ? http_is_target(view.p[i]) : http_is_text(view.p[i])))
			return false;
	}
	return true;
}

static enum parse head_take(struct http_head *h, struct facts *f, struct slice view, size_t at,
			    start_fn *start)
{
	struct slice line;
	enum parse r = line_take(h, view, at, &line);

	/* What the start line says so far comes before what is wrong behind it. */
	if (start(h, line, r == PARSE_DONE) == PARSE_BAD)
		return PARSE_BAD;
	if (r != PARSE_DONE)
		return r;
	return fields_take(h, f, view, at + line.n + 2);
}

static enum parse head_parse(struct http_head *h, struct facts *f, struct slice view, size_t max,
			     size_t seen, size_t at, start_fn *start)
{
	enum parse r = PARSE_MORE;

	view.n = MIN(view.n, max);
	if (!is_quiet(view, MIN(seen, view.n)))
		r = head_take(h, f, view, at, start);
	return r == PARSE_MORE && view.n == max ? refuse(h, 431, "head too large") : r;
}

/* RFC 9112, 9.3. */
static bool keeps_alive(const struct http_head *h)
{
	if (http_field_has_token(h, SLICE("Connection"), SLICE("close")))
		return false;
	return h->minor > 0 || http_field_has_token(h, SLICE("Connection"), SLICE("keep-alive"));
}

enum parse http_request_parse(struct http_head *h, struct slice view, size_t seen)
{
	struct facts f = { .reply = false };
	enum parse r;
	/* RFC 9112, 2.2: an empty line before the request line is passed over. One of them. */
	size_t at = view.n >= 2 && memcmp(view.p, "\r\n", 2) == 0 ? 2 : 0;

	head_reset(h);
	r = head_parse(h, &f, view, HTTP_HEAD_MAX, seen, at, request_line);
	if (r != PARSE_DONE)
		return r;
	if (!f.host && h->minor > 0) /* RFC 9112, 3.2 */
		return refuse(h, 400, "no Host");
	if (f.coding)
		h->framing = HTTP_CHUNKED;
	else if (f.length)
		h->framing = HTTP_LENGTH;
	h->keep_alive = keeps_alive(h);
	return PARSE_DONE;
}

/* RFC 9112, 6.3, in its order. */
static enum http_framing response_framing(const struct http_head *h, const struct facts *f,
					  bool to_head)
{
	if (to_head || h->status < 200 || h->status == 204 || h->status == 304)
		return HTTP_NONE;
	if (f->coding)
		return HTTP_CHUNKED;
	return f->length ? HTTP_LENGTH : HTTP_CLOSE;
}

enum parse http_response_parse(struct http_head *h, struct slice view, size_t seen, bool to_head)
{
	struct facts f = { .reply = true };
	enum parse r;

	head_reset(h);
	r = head_parse(h, &f, view, HTTP_RESPONSE_HEAD_MAX, seen, 0, status_line);
	if (r == PARSE_DONE && h->status == 101)
		r = refuse(h, 400, "switched protocols unasked"); /* RFC 9110, 7.8 */
	/* there is nobody to answer */
	h->refuse = 0;
	if (r != PARSE_DONE)
		return r;
	h->framing = response_framing(h, &f, to_head);
	h->keep_alive = h->framing != HTTP_CLOSE && keeps_alive(h);
	return PARSE_DONE;
}
