/* SPDX-License-Identifier: MIT */
/* http_write.c: start lines, fields and chunk heads into a buf. */
#include "proto/http_write.h"

#include "base/fmt.h"
#include "proto/http_char.h"

const char *http_reason(unsigned status)
{
	static const struct {
		unsigned status;
		const char *reason;
	} reasons[] = {
		{ 100, "Continue" },
		{ 101, "Switching Protocols" },
		{ 103, "Early Hints" },
		{ 200, "OK" },
		{ 201, "Created" },
		{ 202, "Accepted" },
		{ 203, "Non-Authoritative Information" },
		{ 204, "No Content" },
		{ 205, "Reset Content" },
		{ 206, "Partial Content" },
		{ 300, "Multiple Choices" },
		{ 301, "Moved Permanently" },
		{ 302, "Found" },
		{ 303, "See Other" },
		{ 304, "Not Modified" },
		{ 307, "Temporary Redirect" },
		{ 308, "Permanent Redirect" },
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" },
		{ 402, "Payment Required" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 406, "Not Acceptable" },
		{ 407, "Proxy Authentication Required" },
		{ 408, "Request Timeout" },
		{ 409, "Conflict" },
		{ 410, "Gone" },
		{ 411, "Length Required" },
		{ 412, "Precondition Failed" },
		{ 413, "Content Too Large" },
		{ 414, "URI Too Long" },
		{ 415, "Unsupported Media Type" },
		{ 416, "Range Not Satisfiable" },
		{ 417, "Expectation Failed" },
		{ 421, "Misdirected Request" },
		{ 422, "Unprocessable Content" },
		{ 426, "Upgrade Required" },
		{ 428, "Precondition Required" },
		{ 429, "Too Many Requests" },
		{ 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" },
		{ 501, "Not Implemented" },
		{ 502, "Bad Gateway" },
		{ 503, "Service Unavailable" },
		{ 504, "Gateway Timeout" },
		{ 505, "HTTP Version Not Supported" },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "";
}

/* All of a line or nothing: what was put since `was` unread bytes is taken back. */
static bool keep(struct buf *b, size_t was, bool ok)
{
	if (!ok)
		b->tail = b->head + was;
	return ok;
}

/* Only the bytes that `is` allows: the last guard against a reply that is split by what it says
 * (RFC 9110, 5.5). */
static bool put_only(struct buf *b, struct slice s, bool (*is)(char))
{
	while (s.n > 0) {
		size_t n = 0;

		while (n < s.n && is(s.p[n]))
			n++;
		if (!buf_put(b, slice_make(s.p, n)))
			return false;
		s = slice_from(s, MIN(n + 1, s.n));
	}
	return true;
}

bool http_write_status(struct buf *b, unsigned status)
{
	size_t was = buf_len(b);

	return keep(b, was,
		    buf_put_str(b, "HTTP/1.1 ") && fmt_u64(b, status) && buf_put_byte(b, ' ') &&
			    buf_put_str(b, http_reason(status)) && buf_put_str(b, "\r\n"));
}

bool http_write_request(struct buf *b, struct slice method, struct slice target)
{
	size_t was = buf_len(b);

	return keep(b, was,
		    put_only(b, method, http_is_tchar) && buf_put_byte(b, ' ') &&
			    put_only(b, target, http_is_target) && buf_put_str(b, " HTTP/1.1\r\n"));
}

bool http_write_field(struct buf *b, struct slice name, struct slice value)
{
	size_t was = buf_len(b);

	return keep(b, was,
		    put_only(b, name, http_is_tchar) && buf_put_str(b, ": ") &&
			    put_only(b, value, http_is_text) && buf_put_str(b, "\r\n"));
}

bool http_write_field_u64(struct buf *b, struct slice name, uint64_t v)
{
	size_t was = buf_len(b);

	return keep(b, was,
		    put_only(b, name, http_is_tchar) && buf_put_str(b, ": ") && fmt_u64(b, v) &&
			    buf_put_str(b, "\r\n"));
}

bool http_write_date(struct buf *b, int64_t unix_seconds)
{
	size_t was = buf_len(b);

	return keep(b, was,
		    buf_put_str(b, "Date: ") && fmt_http_date(b, unix_seconds) &&
			    buf_put_str(b, "\r\n"));
}

bool http_write_end(struct buf *b)
{
	return buf_put_str(b, "\r\n");
}

bool http_write_chunk_head(struct buf *b, size_t n)
{
	size_t was = buf_len(b);

	return keep(b, was, fmt_hex(b, n, 1) && buf_put_str(b, "\r\n"));
}
