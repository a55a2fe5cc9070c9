/* SPDX-License-Identifier: MIT */
/* fmt.c: numbers and dates into a buf, and back. */
#include "base/fmt.h"

static const char digits[16] = "0123456789abcdef";

bool fmt_u64(struct buf *b, uint64_t v)
{
	char tmp[20];
	size_t i = sizeof(tmp);

	do {
		tmp[--i] = digits[v % 10];
		v /= 10;
	} while (v > 0);
	return buf_put(b, slice_make(tmp + i, sizeof(tmp) - i));
}

bool fmt_i64(struct buf *b, int64_t v)
{
	char tmp[21];
	size_t i = sizeof(tmp);
	uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;

	do {
		tmp[--i] = digits[u % 10];
		u /= 10;
	} while (u > 0);
	if (v < 0)
		tmp[--i] = '-';
	return buf_put(b, slice_make(tmp + i, sizeof(tmp) - i));
}

bool fmt_hex(struct buf *b, uint64_t v, unsigned min_digits)
{
	char tmp[16];
	size_t i = sizeof(tmp);

	do {
		tmp[--i] = digits[v & 15];
		v >>= 4;
	} while (i > 0 && (v > 0 || sizeof(tmp) - i < min_digits));
	return buf_put(b, slice_make(tmp + i, sizeof(tmp) - i));
}

/* Exactly n digits, with leading zeros. */
static char *put_digits(char *p, unsigned v, unsigned n)
{
	unsigned i;

	for (i = n; i > 0; i--) {
		p[i - 1] = digits[v % 10];
		v /= 10;
	}
	return p + n;
}

bool fmt_ms(struct buf *b, uint64_t ms)
{
	char tmp[24];
	struct buf t;
	char *p;

	buf_init(&t, tmp, sizeof(tmp));
	fmt_u64(&t, ms / 1000);
	p = tmp + buf_len(&t);
	*p++ = '.';
	p = put_digits(p, (unsigned)(ms % 1000), 3);
	return buf_put(b, slice_make(tmp, (size_t)(p - tmp)));
}

struct civil {
	int64_t year;
	unsigned month, day, hour, minute, second, weekday; /* month 1.., weekday 0 = Sunday */
};

/* Days since 1970-01-01 to a date of the proleptic Gregorian calendar: years run from March, so
 * that the leap day is the last of its year, and repeat every 400 years = 146,097 days. */
static struct civil civil_from(int64_t t)
{
	struct civil c;
	int64_t days = t >= 0 ? t / 86400 : -((86399 - t) / 86400);
	unsigned sec = (unsigned)(t - days * 86400);
	int64_t z = days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	unsigned doe = (unsigned)(z - era * 146097);
	unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	unsigned mp = (5 * doy + 2) / 153;

	c.day = doy - (153 * mp + 2) / 5 + 1;
	c.month = mp < 10 ? mp + 3 : mp - 9;
	c.year = (int64_t)yoe + era * 400 + (c.month <= 2);
	c.hour = sec / 3600;
	c.minute = sec / 60 % 60;
	c.second = sec % 60;
	c.weekday = (unsigned)(((days + 4) % 7 + 7) % 7);
	return c;
}

static int64_t days_from(int64_t y, unsigned m, unsigned d)
{
	int64_t era;
	unsigned yoe, doy;

	y -= m <= 2;
	era = (y >= 0 ? y : y - 399) / 400;
	yoe = (unsigned)(y - era * 400);
	doy = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
	return era * 146097 + (int64_t)(yoe * 365 + yoe / 4 - yoe / 100 + doy) - 719468;
}

static const char weekdays[] = "SunMonTueWedThuFriSat";
static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

static char *put_text(char *p, const char *s, size_t n)
{
	memcpy(p, s, n);
	return p + n;
}

bool fmt_http_date(struct buf *b, int64_t t)
{
	struct civil c = civil_from(t);
	char tmp[29], *p = tmp;

	p = put_text(p, weekdays + 3 * c.weekday, 3);
	p = put_text(p, ", ", 2);
	p = put_digits(p, c.day, 2);
	*p++ = ' ';
	p = put_text(p, months + 3 * (c.month - 1), 3);
	*p++ = ' ';
	p = put_digits(p, (unsigned)(c.year % 10000), 4);
	*p++ = ' ';
	p = put_digits(p, c.hour, 2);
	*p++ = ':';
	p = put_digits(p, c.minute, 2);
	*p++ = ':';
	p = put_digits(p, c.second, 2);
	p = put_text(p, " GMT", 4);
	return buf_put(b, slice_make(tmp, (size_t)(p - tmp)));
}

bool fmt_rfc3339(struct buf *b, int64_t ms)
{
	int64_t t = ms >= 0 ? ms / 1000 : -((999 - ms) / 1000);
	struct civil c = civil_from(t);
	char tmp[24], *p = tmp;

	p = put_digits(p, (unsigned)(c.year % 10000), 4);
	*p++ = '-';
	p = put_digits(p, c.month, 2);
	*p++ = '-';
	p = put_digits(p, c.day, 2);
	*p++ = 'T';
	p = put_digits(p, c.hour, 2);
	*p++ = ':';
	p = put_digits(p, c.minute, 2);
	*p++ = ':';
	p = put_digits(p, c.second, 2);
	*p++ = '.';
	p = put_digits(p, (unsigned)(ms - t * 1000), 3);
	*p++ = 'Z';
	return buf_put(b, slice_make(tmp, (size_t)(p - tmp)));
}

bool fmt_parse_u64(struct slice s, uint64_t *out)
{
	uint64_t v = 0;
	size_t i;

	if (s.n == 0)
		return false;
	for (i = 0; i < s.n; i++) {
		unsigned d = (unsigned)(unsigned char)s.p[i] - '0';

		if (d > 9 || v > (UINT64_MAX - d) / 10)
			return false;
		v = v * 10 + d;
	}
	*out = v;
	return true;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = ascii_lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool fmt_parse_hex(struct slice s, uint64_t *out)
{
	uint64_t v = 0;
	size_t i;

	if (s.n == 0)
		return false;
	for (i = 0; i < s.n; i++) {
		int d = hex_value(s.p[i]);

		if (d < 0 || v >> 60 != 0)
			return false;
		v = v << 4 | (unsigned)d;
	}
	*out = v;
	return true;
}

static bool two(const char *p, unsigned *out)
{
	if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
		return false;
	*out = (unsigned)(p[0] - '0') * 10 + (unsigned)(p[1] - '0');
	return true;
}

bool fmt_parse_http_date(struct slice s, int64_t *out)
{
	unsigned day, month, century, year, h, m, sec;

	/* "Mon, 23 Nov 2026 19:47:41 GMT"; the weekday is not checked (RFC 9110, 5.6.7) */
	if (s.n != 29 || memcmp(s.p + 3, ", ", 2) != 0 || memcmp(s.p + 25, " GMT", 4) != 0)
		return false;
	for (month = 0; month < 12; month++)
		if (memcmp(s.p + 8, months + 3 * month, 3) == 0)
			break;
	if (month == 12 || !two(s.p + 5, &day) || !two(s.p + 12, &century) ||
	    !two(s.p + 14, &year) || !two(s.p + 17, &h) || !two(s.p + 20, &m) ||
	    !two(s.p + 23, &sec))
		return false;
	if (day < 1 || day > 31 || h > 23 || m > 59 || sec > 60)
		return false;
	*out = days_from(century * 100 + year, month + 1, day) * 86400 + h * 3600 + m * 60 + sec;
	return true;
}
