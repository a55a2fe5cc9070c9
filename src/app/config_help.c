/* SPDX-License-Identifier: MIT */
/* config_help.c: what we say about options: --help, --print-config, parts of error lines. */
#include "app/config_option.h"
#include "base/fmt.h"

enum {
	COLUMNS = 99,     /* of --help */
	HELP_INDENT = 30, /* where its texts begin */
	VALUE_MAX = 2000, /* bytes of a value in --print-config */
	NEAR_MAX = 32,    /* bytes of a name that may be a slip of the pen */
};

/* ---- pieces ---- */

void config_put_clean(struct buf *b, struct slice s, size_t max)
{
	size_t i, n = MIN(s.n, max);

	while (n < s.n && n > 0 && ((unsigned char)s.p[n] & 0xc0) == 0x80)
		n--; /* not in the middle of a character */
	for (i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c >= 0x20 && c != 0x7f) {
			buf_put_byte(b, (char)c);
		} else {
			buf_put_str(b, "\\x");
			fmt_hex(b, c, 2);
		}
	}
	if (n < s.n)
		buf_put_str(b, "...");
}

static void put_spaces(struct buf *b, size_t n)
{
	while (n-- > 0)
		buf_put_byte(b, ' ');
}

/* Spaces up to a column of a line that began at byte `start`; one at least. */
static void put_column(struct buf *b, size_t start, size_t column)
{
	size_t at = buf_len(b) - start;

	put_spaces(b, at < column ? column - at : 1);
}

void config_put_roles(struct buf *b, unsigned roles, const char *last)
{
	bool first = true;
	unsigned i;

	for (i = 0; i < CONFIG_ROLE_COUNT; i++) {
		if (!(roles >> i & 1))
			continue;
		if (!first)
			buf_put_str(b, roles >> i == 1 ? last : ", ");
		buf_put_str(b, config_roles[i].name);
		first = false;
	}
}

static void put_thousandths(struct buf *b, uint64_t v)
{
	uint64_t rest = v % 1000;

	fmt_u64(b, v / 1000);
	if (rest == 0)
		return;
	buf_put_byte(b, '.');
	while (rest > 0) {
		buf_put_byte(b, (char)('0' + rest / 100));
		rest = rest % 100 * 10;
	}
}

static void put_size(struct buf *b, uint64_t v)
{
	static const char suffixes[] = "kMG";
	int i = -1;

	while (i < 2 && v >= 1024 && v % 1024 == 0) {
		v /= 1024;
		i++;
	}
	fmt_u64(b, v);
	if (i >= 0)
		buf_put_byte(b, suffixes[i]);
}

static void put_range(struct buf *b, const struct config_option *o,
		      void (*put)(struct buf *, uint64_t))
{
	put(b, o->min);
	buf_put_str(b, " to ");
	put(b, o->max);
}

static void put_count(struct buf *b, uint64_t v)
{
	fmt_u64(b, v);
}

void config_put_accepted(struct buf *b, const struct config_option *o)
{
	static const char *const words[KIND_PRINT + 1] = {
		[KIND_LISTEN] =
			"IP:PORT, [IPv6]:PORT, localhost:PORT, :PORT, PORT; ports are 0 to 65535",
		[KIND_OLLAMA] = "http://HOST[:PORT] or https://HOST[:PORT]",
		[KIND_PROXY] = "http://HOST[:PORT]",
		[KIND_ORIGIN] = "http://HOST[:PORT] or https://HOST[:PORT], without a path",
		[KIND_ORIGINS] = "http://HOST[:PORT] or https://HOST[:PORT], without a path, or *",
		[KIND_HOSTS] = "names or IP addresses without port, separated by commas, or *",
		[KIND_CIDRS] = "IP, IP/BITS, loopback or private, separated by commas",
		[KIND_NAME] = "a model's name",
		[KIND_NAMES] = "models' names, separated by commas alone",
		[KIND_ALIASES] = "OLD=NEW",
		[KIND_PATH] = "a folder",
		[KIND_FILE] = "a file",
		[KIND_SWITCH] = "on, off",
		[KIND_WORKERS] = "auto or ",
		[KIND_SIZE] = "bytes, or with k, M or G: ",
		[KIND_SPAN] = "seconds: ",
		[KIND_QUOTA] = "off, or requests/seconds: 1 to 1000000, a slash, 1 to 86400",
		[KIND_FORMAT] = "text, json",
		[KIND_PULL] = "off, missing",
		[KIND_LEVEL] = "error, warn, info, debug",
		[KIND_TLS] = "off, self-signed, files",
	};

	buf_put_str(b, words[o->kind] != NULL ? words[o->kind] : "");
	if (o->kind == KIND_COUNT || o->kind == KIND_WORKERS)
		put_range(b, o, put_count);
	else if (o->kind == KIND_SIZE)
		put_range(b, o, put_size);
	else if (o->kind == KIND_SPAN || o->kind == KIND_RATE)
		put_range(b, o, put_thousandths);
}

/* ---- --help ---- */

/* Writes words from the present column on; a line that would be too long is continued at `indent`. */
static void put_wrapped(struct buf *b, struct slice text, size_t start, size_t indent)
{
	while (text.n > 0) {
		const char *space = memchr(text.p, ' ', text.n);
		struct slice word =
			slice_make(text.p, space != NULL ? (size_t)(space - text.p) : text.n);
		size_t at = buf_len(b) - start;

		if (at + 1 + word.n > COLUMNS) {
			buf_put_byte(b, '\n');
			start = buf_len(b);
			put_spaces(b, indent);
		} else if (at > indent) {
			buf_put_byte(b, ' ');
		}
		buf_put(b, word);
		text = slice_from(text, MIN(word.n + 1, text.n));
	}
	buf_put_byte(b, '\n');
}

static void put_option_help(struct buf *b, const struct config_option *o, enum role role)
{
	const char *fallback = o->shape != NULL ? config_option_fallback(o, role) : NULL;
	size_t start = buf_len(b);
	char mem[256];
	struct buf text;

	buf_put_str(b, "  --");
	buf_put_str(b, o->name);
	if (o->shape != NULL) {
		buf_put_byte(b, ' ');
		buf_put_str(b, o->shape);
	}
	put_column(b, start, HELP_INDENT);
	buf_init(&text, mem, sizeof(mem));
	buf_put_str(&text, o->help);
	if (fallback != NULL) {
		buf_put_str(&text, " [");
		buf_put_str(&text, fallback);
		buf_put_byte(&text, ']');
	}
	put_wrapped(b, buf_view(&text), start, HELP_INDENT);
}

void config_help_role(struct buf *b, enum role role)
{
	const struct config_option *o;
	size_t i;
	int group = -1;

	buf_put_str(b, role <= ROLE_FRONTEND ? "usage: ollachat-" : "usage: ollachat ");
	buf_put_str(b, config_roles[role].name);
	buf_put_str(b, " [options]\n");
	buf_put_str(b, config_roles[role].help);
	buf_put_byte(b, '\n');
	for (i = 0; i < config_option_count; i++) {
		o = &config_options[i];
		if (!config_option_has_role(o, role))
			continue;
		if ((int)o->group != group) {
			group = (int)o->group;
			buf_put_byte(b, '\n');
			buf_put_str(b, config_groups[group]);
			buf_put_str(b, ":\n");
		}
		put_option_help(b, o, role);
	}
	buf_put_str(b, "\n[x]: the default. S: seconds, such as 30 or 0.5. BYTES: such as 65536, "
		       "64k, 16M, 1G. CIDR: such as\n"
		       "10.0.0.0/8, fd00::/8, 192.0.2.7, and the words loopback and private. "
		       "`--name value` and\n"
		       "`--name=value` are the same. What is not given is looked for in the "
		       "environment: --max-body is\n"
		       "OLLACHAT_MAX_BODY.\n");
}

void config_help_all(struct buf *b)
{
	size_t i, start;

	buf_put_str(
		b,
		"usage: ollachat ROLE [options]\n"
		"A chat service around Ollama: the page, and the gateway behind it.\n\nRoles:\n");
	for (i = 0; i < CONFIG_ROLE_COUNT; i++) {
		start = buf_len(b);
		buf_put_str(b, "  ");
		buf_put_str(b, config_roles[i].name);
		put_column(b, start, 12);
		buf_put_str(b, config_roles[i].help);
		buf_put_byte(b, '\n');
	}
	buf_put_str(b, "\n`ollachat demo` is the quickest way to see it. `ollachat ROLE --help` "
		       "prints the options of\n"
		       "a role. Started as ollachat-backend or ollachat-frontend, the name is the "
		       "role.\n");
}

/* ---- --print-config ---- */

static void put_separated(struct buf *b, size_t i, struct slice s)
{
	if (i > 0)
		buf_put_byte(b, ',');
	config_put_clean(b, s, VALUE_MAX);
}

/* The value in effect. Nothing is written for one that is not set. */
static void put_value(struct buf *b, const struct config *c, const struct config_option *o,
		      struct slice given)
{
	size_t i;

	switch (o->kind) {
	case KIND_LISTEN:
		buf_put(b, c->listen_text);
		return;
	case KIND_SWITCH:
		buf_put_str(b, *(const bool *)((const char *)c + o->at) ? "on" : "off");
		return;
	case KIND_ORIGIN:
		config_put_clean(b, c->api_base, VALUE_MAX);
		return;
	case KIND_ORIGINS:
		for (i = 0; i < c->cors_count; i++)
			put_separated(b, i, c->cors_origins[i]);
		return;
	case KIND_ALIASES:
		for (i = 0; i < c->alias_count; i++) {
			put_separated(b, i, c->aliases[i].from);
			buf_put_byte(b, '=');
			config_put_clean(b, c->aliases[i].to, VALUE_MAX);
		}
		return;
	default:
		config_put_clean(b, given, VALUE_MAX);
	}
}

static void put_source(struct buf *b, const struct config_option *o, const struct config_setting *s)
{
	char variable[CONFIG_VARIABLE_MAX];

	if (s->from != FROM_ENVIRONMENT) {
		buf_put_str(b, s->from == FROM_OPTION ? "option" : "default");
		return;
	}
	config_option_variable(o, variable);
	buf_put_str(b, "environment ");
	buf_put_str(b, s->variable != NULL ? s->variable : variable);
}

void config_print(struct buf *b, const struct config *c, const struct config_setting *settings)
{
	size_t i, start, value;

	buf_put_str(b, "ollachat " OLLACHAT_VERSION ", role ");
	buf_put_str(b, config_roles[c->role].name);
	buf_put_byte(b, '\n');
	for (i = 0; i < config_option_count; i++) {
		const struct config_option *o = &config_options[i];

		if (config_option_is_action(o) || !config_option_has_role(o, c->role))
			continue;
		start = buf_len(b);
		buf_put_str(b, "--");
		buf_put_str(b, o->name);
		put_column(b, start, 27);
		value = buf_len(b);
		put_value(b, c, o, settings[i].text);
		if (buf_len(b) == value)
			buf_put_byte(b, '-');
		put_column(b, start, 56);
		put_source(b, o, &settings[i]);
		buf_put_byte(b, '\n');
	}
}

/* ---- did you mean ---- */

/* How many letters must be put in, taken out or changed to make one of the other (Levenshtein). */
static size_t distance(struct slice a, struct slice b)
{
	size_t row[NEAR_MAX + 1];
	size_t i, j;

	for (j = 0; j <= b.n; j++)
		row[j] = j;
	for (i = 0; i < a.n; i++) {
		size_t corner = row[0];

		row[0] = i + 1;
		for (j = 0; j < b.n; j++) {
			size_t change = corner + (ascii_lower(a.p[i]) != b.p[j]);

			corner = row[j + 1];
			row[j + 1] = MIN(change, MIN(row[j], corner) + 1);
		}
	}
	return row[b.n];
}

const struct config_option *config_option_near(enum role role, struct slice name)
{
	const struct config_option *best = NULL;
	size_t i, least = MAX(name.n / 3, 1) + 1;

	if (name.n > NEAR_MAX)
		return NULL;
	for (i = 0; i < config_option_count; i++) {
		const struct config_option *o = &config_options[i];
		size_t d;

		if (!config_option_has_role(o, role) || strlen(o->name) > NEAR_MAX)
			continue;
		d = distance(name, slice_str(o->name));
		if (d < least) {
			least = d;
			best = o;
		}
	}
	return best;
}
