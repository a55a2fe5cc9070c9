/* SPDX-License-Identifier: MIT */
/* config_value.c: what each kind of value looks like, and where it goes. */
#include "app/config_option.h"
#include "app/rate.h"
#include "app/shared.h"
#include "base/fmt.h"

static const char NO_NUMBER[] = "is no number";
static const char OUT_OF_RANGE[] = "is out of range";

static const char *const level_names[] = {
	[LOG_ERROR] = "error", [LOG_WARN] = "warn", [LOG_INFO] = "info", [LOG_DEBUG] = "debug"
};

static void *field(struct config *c, const struct config_option *o)
{
	return (char *)c + o->at;
}

static bool is_blank(char c)
{
	return (unsigned char)c <= ' ' || c == 0x7f;
}

static struct slice trim(struct slice s)
{
	while (s.n > 0 && is_blank(s.p[0]))
		s = slice_from(s, 1);
	while (s.n > 0 && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

bool config_list_next(struct slice *rest, struct slice *item)
{
	while (rest->n > 0) {
		const char *comma = memchr(rest->p, ',', rest->n);
		size_t n = comma != NULL ? (size_t)(comma - rest->p) : rest->n;

		*item = trim(slice_make(rest->p, n));
		*rest = slice_from(*rest, MIN(n + 1, rest->n));
		if (item->n > 0)
			return true;
	}
	return false;
}

/* ---- numbers ---- */

/* "0.25" -> 250 */
static const char *thousandths_parse(struct slice s, uint64_t *out)
{
	const char *dot = s.n > 0 ? memchr(s.p, '.', s.n) : NULL;
	struct slice whole = slice_make(s.p, dot != NULL ? (size_t)(dot - s.p) : s.n);
	struct slice rest = slice_from(s, MIN(whole.n + 1, s.n));
	uint64_t w = 0, r = 0;
	size_t i;

	if ((whole.n > 0 || rest.n == 0) && !fmt_parse_u64(whole, &w))
		return NO_NUMBER;
	if (rest.n > 0 && !fmt_parse_u64(rest, &r))
		return NO_NUMBER;
	if (rest.n > 3)
		return "has more than three decimals";
	for (i = rest.n; i < 3; i++)
		r *= 10;
	if (w > UINT64_MAX / 1000 - 1)
		return OUT_OF_RANGE;
	*out = w * 1000 + r;
	return NULL;
}

/* Which power of two a suffix stands for. */
static unsigned suffix_shift(char c)
{
	switch (ascii_lower(c)) {
	case 'k':
		return 10;
	case 'm':
		return 20;
	case 'g':
		return 30;
	default:
		return 0;
	}
}

/* "16M" -> 16777216 */
static const char *size_parse(struct slice s, uint64_t *out)
{
	unsigned shift = s.n > 0 ? suffix_shift(s.p[s.n - 1]) : 0;
	uint64_t v;

	if (shift > 0)
		s.n--;
	if (!fmt_parse_u64(s, &v))
		return "is no size";
	if (v > UINT64_MAX >> shift)
		return OUT_OF_RANGE;
	*out = v << shift;
	return NULL;
}

static const char *number_take(struct config *c, const struct config_option *o, struct slice s)
{
	const char *wrong = NULL;
	uint64_t v = 0;

	if (o->kind == KIND_SPAN || o->kind == KIND_RATE)
		wrong = thousandths_parse(s, &v);
	else if (o->kind == KIND_SIZE)
		wrong = size_parse(s, &v);
	else if (!fmt_parse_u64(s, &v))
		wrong = NO_NUMBER;
	if (wrong != NULL)
		return wrong;
	if (v < o->min || v > o->max)
		return OUT_OF_RANGE;
	if (o->kind == KIND_SPAN)
		*(int64_t *)field(c, o) = (int64_t)v;
	else if (o->kind == KIND_SIZE || o->kind == KIND_RATE)
		*(uint64_t *)field(c, o) = v;
	else
		*(unsigned *)field(c, o) = (unsigned)v;
	return NULL;
}

/* "60/10" */
static const char *quota_take(struct config *c, const struct config_option *o, struct slice s)
{
	const char *slash = memchr(s.p, '/', s.n);
	unsigned *per = (unsigned *)(void *)((char *)c + o->count_at), *count = field(c, o);
	uint64_t n = 0, seconds = 0;

	if (slice_eq(s, SLICE("off"))) {
		*count = *per = 0;
		return NULL;
	}
	if (slash == NULL || !fmt_parse_u64(slice_make(s.p, (size_t)(slash - s.p)), &n) ||
	    !fmt_parse_u64(slice_from(s, (size_t)(slash - s.p) + 1), &seconds))
		return "is not of the form N/S";
	if (n < 1 || n > RATE_REQUESTS_MAX || seconds < 1 || seconds > RATE_SECONDS_MAX)
		return OUT_OF_RANGE;
	*count = (unsigned)n;
	*per = (unsigned)seconds;
	return NULL;
}

static const char *workers_take(struct config *c, const struct config_option *o, struct slice s)
{
	if (!slice_eq(s, SLICE("auto")))
		return number_take(c, o, s);
	*(unsigned *)field(c, o) = 0;
	return NULL;
}

/* ---- words ---- */

static const char *switch_take(struct config *c, const struct config_option *o, struct slice s)
{
	static const char *const words[] = { "off", "on", "0", "1", "false", "true", "no", "yes" };
	size_t i;

	for (i = 0; i < ARRAY_LEN(words); i++) {
		if (slice_eq_nocase(s, slice_str(words[i]))) {
			*(bool *)field(c, o) = i & 1;
			return NULL;
		}
	}
	return "is neither on nor off";
}

static const char *format_take(struct config *c, const struct config_option *o, struct slice s)
{
	bool json = slice_eq(s, SLICE("json"));

	if (!json && !slice_eq(s, SLICE("text")))
		return "is no form of the log";
	*(bool *)field(c, o) = json;
	return NULL;
}

static const char *pull_take(struct config *c, const struct config_option *o, struct slice s)
{
	bool missing = slice_eq(s, SLICE("missing"));

	if (!missing && !slice_eq(s, SLICE("off")))
		return "is no time to pull at";
	*(bool *)field(c, o) = missing;
	return NULL;
}

static const char *level_take(struct config *c, const struct config_option *o, struct slice s)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(level_names); i++) {
		if (slice_eq(s, slice_str(level_names[i]))) {
			*(enum log_level *)field(c, o) = (enum log_level)i;
			return NULL;
		}
	}
	return "is no log level";
}

static const char *tls_take(struct config *c, const struct config_option *o, struct slice s)
{
	static const char *const words[] = {
		[TLS_OFF] = "off", [TLS_SELF_SIGNED] = "self-signed", [TLS_FILES] = "files"
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(words); i++) {
		if (slice_eq(s, slice_str(words[i]))) {
			*(enum tls_mode *)field(c, o) = (enum tls_mode)i;
			return NULL;
		}
	}
	return "is no way to speak TLS";
}

/* ---- models ---- */

static const char *name_check(struct slice s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (is_blank(s.p[i]))
			return "has a blank in it";
	return s.n < SHARED_MODEL_MAX ? NULL : "is too long";
}

static const char *name_take(struct config *c, const struct config_option *o, struct slice s)
{
	const char *wrong = name_check(s);

	if (wrong == NULL)
		*(struct slice *)field(c, o) = s;
	return wrong;
}

/* The text is kept as it is, for whoever reads it to split: there must be no blanks around names. */
static const char *names_take(struct config *c, const struct config_option *o, struct slice *s)
{
	struct slice rest = *s;

	while (rest.n > 0) {
		const char *comma = memchr(rest.p, ',', rest.n);
		struct slice name =
			slice_make(rest.p, comma != NULL ? (size_t)(comma - rest.p) : rest.n);
		const char *wrong = name_check(name);

		if (wrong != NULL) {
			*s = name;
			return wrong;
		}
		rest = slice_from(rest, MIN(name.n + 1, rest.n));
	}
	*(struct slice *)field(c, o) = *s;
	return NULL;
}

static const char *alias_add(struct config *c, struct slice s)
{
	const char *eq = memchr(s.p, '=', s.n);
	struct config_alias a;
	size_t i;

	if (eq == NULL || eq == s.p || eq == s.p + s.n - 1)
		return "is not of the form OLD=NEW";
	a.from = slice_make(s.p, (size_t)(eq - s.p));
	a.to = slice_from(s, a.from.n + 1);
	if (name_check(s) != NULL)
		return name_check(s);
	for (i = 0; i < c->alias_count; i++)
		if (slice_eq(c->aliases[i].from, a.from))
			return "is the second alias for that name";
	if (c->alias_count == CONFIG_LIST_MAX)
		return CONFIG_TOO_MANY;
	c->aliases[c->alias_count++] = a;
	return NULL;
}

/* ---- lists ---- */

static size_t *list_count(struct config *c, const struct config_option *o)
{
	switch (o->kind) {
	case KIND_ALIASES:
		return &c->alias_count;
	case KIND_ORIGINS:
		return &c->cors_count;
	case KIND_HOSTS:
		return &c->allowed_hosts_count;
	default:
		return (size_t *)(void *)((char *)c + o->count_at);
	}
}

static const char *item_add(struct config *c, const struct config_option *o, struct slice item)
{
	switch (o->kind) {
	case KIND_ALIASES:
		return alias_add(c, item);
	case KIND_ORIGINS:
		return config_origin_add(c, item);
	case KIND_HOSTS:
		return config_host_add(c, item);
	default:
		return config_cidr_add(field(c, o), list_count(c, o), item);
	}
}

static const char *list_take(struct config *c, const struct config_option *o, struct slice *s)
{
	struct slice rest = *s, item;

	if (!o->adds)
		*list_count(c, o) = 0;
	while (config_list_next(&rest, &item)) {
		const char *wrong = item_add(c, o, item);

		if (wrong != NULL) {
			*s = item;
			return wrong;
		}
	}
	return NULL;
}

/* ---- all of them ---- */

const char *config_value_take(struct config *c, const struct config_option *o, struct slice *s)
{
	switch (o->kind) {
	case KIND_LISTEN:
		return config_listen_take(c, o, *s);
	case KIND_OLLAMA:
		return config_ollama_take(c, *s);
	case KIND_PROXY:
		return config_proxy_take(c, *s);
	case KIND_ORIGIN:
		return config_origin_take(*s, field(c, o));
	case KIND_ORIGINS:
	case KIND_HOSTS:
	case KIND_CIDRS:
	case KIND_ALIASES:
		return list_take(c, o, s);
	case KIND_NAME:
		return name_take(c, o, *s);
	case KIND_NAMES:
		return names_take(c, o, s);
	case KIND_PATH: /* ends where argv's or the environment's string ends */
		*(const char **)field(c, o) = s->n > 0 ? s->p : NULL;
		return NULL;
	case KIND_FILE:
		if (s->n == 0) /* rather than none where one was meant */
			return "names no file";
		*(const char **)field(c, o) = s->p;
		return NULL;
	case KIND_SWITCH:
		return switch_take(c, o, *s);
	case KIND_COUNT:
	case KIND_SIZE:
	case KIND_SPAN:
	case KIND_RATE:
		return number_take(c, o, *s);
	case KIND_QUOTA:
		return quota_take(c, o, *s);
	case KIND_WORKERS:
		return workers_take(c, o, *s);
	case KIND_FORMAT:
		return format_take(c, o, *s);
	case KIND_PULL:
		return pull_take(c, o, *s);
	case KIND_LEVEL:
		return level_take(c, o, *s);
	case KIND_TLS:
		return tls_take(c, o, *s);
	case KIND_HELP:
	case KIND_VERSION:
	case KIND_PRINT:
		break;
	}
	return "is not wanted";
}
