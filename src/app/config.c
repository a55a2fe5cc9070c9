/* SPDX-License-Identifier: MIT */
/* config.c: reads the command line, then the environment, then the defaults; says what is wrong in
 * one line. Whatever was set first stays: that is the order of precedence. */
#include "app/config_option.h"
#include "base/fmt.h"

enum { REPEAT_MAX = 120 }; /* bytes of what was given that an error line repeats */

struct reader {
	struct config *config;
	config_env_fn *env;
	struct buf *out;
	bool print;
	struct config_setting settings[CONFIG_OPTION_MAX]; /* by the option's place in the table */
};

/* ---- error lines ---- */

static void put_quoted(struct buf *b, struct slice s)
{
	buf_put_byte(b, '"');
	config_put_clean(b, s, REPEAT_MAX);
	buf_put_byte(b, '"');
}

static enum config_result wrong_end(struct buf *out)
{
	buf_put_byte(out, '\n');
	return CONFIG_WRONG;
}

static enum config_result wrong_see_help(struct buf *out, enum role role)
{
	buf_put_str(out, "; see `ollachat ");
	if (role < CONFIG_SERVER_COUNT) {
		buf_put_str(out, config_roles[role].name);
		buf_put_byte(out, ' ');
	}
	buf_put_str(out, "--help`");
	return wrong_end(out);
}

static enum config_result wrong_extra(struct buf *out, enum role role, const char *arg)
{
	put_quoted(out, slice_str(arg));
	buf_put_str(out, " is one argument too many");
	return wrong_see_help(out, role);
}

static enum config_result wrong_role(struct buf *out, const char *name)
{
	buf_put_str(out, "unknown role ");
	put_quoted(out, slice_str(name));
	buf_put_str(out, "; roles: ");
	config_put_roles(out, ~0u, ", ");
	return wrong_end(out);
}

static enum config_result wrong_no_role(struct buf *out)
{
	buf_put_str(out, "usage: ollachat ROLE [options]; roles: ");
	config_put_roles(out, ~0u, ", ");
	return wrong_end(out);
}

/* `o` tells what is accepted, if the fault does not. */
static enum config_result wrong_value(struct buf *out, const struct config_option *o,
				      const struct config_fault *f)
{
	buf_put_str(out, f->name != NULL ? f->name : "--");
	buf_put_str(out, f->name != NULL ? "" : o->name);
	buf_put_str(out, ": ");
	put_quoted(out, f->part);
	buf_put_byte(out, ' ');
	buf_put_str(out, f->why);
	buf_put_str(out, "; accepted: ");
	if (f->accepted != NULL)
		buf_put_str(out, f->accepted);
	else
		config_put_accepted(out, o);
	return wrong_end(out);
}

static enum config_result wrong_no_value(struct buf *out, const struct config_option *o)
{
	buf_put_str(out, "--");
	buf_put_str(out, o->name);
	buf_put_str(out, " needs a value; accepted: ");
	config_put_accepted(out, o);
	return wrong_end(out);
}

/* name: as given, dashes and all */
static enum config_result wrong_option(struct buf *out, enum role role, struct slice name)
{
	const struct config_option *near = NULL;

	if (name.n > 2 && name.p[1] == '-')
		near = config_option_near(role, slice_from(name, 2));
	buf_put_str(out, "unknown option ");
	config_put_clean(out, name, REPEAT_MAX);
	if (near == NULL)
		return wrong_see_help(out, role);
	buf_put_str(out, "; did you mean --");
	buf_put_str(out, near->name);
	buf_put_byte(out, '?');
	return wrong_end(out);
}

static enum config_result wrong_owner(struct buf *out, enum role role,
				      const struct config_option *o)
{
	buf_put_str(out, "--");
	buf_put_str(out, o->name);
	buf_put_str(out, " is an option of ");
	config_put_roles(out, o->roles, " and ");
	buf_put_str(out, ", not of ");
	buf_put_str(out, config_roles[role].name);
	return wrong_see_help(out, role);
}

/* ---- settings ---- */

static struct config_setting *setting_of(struct reader *r, const struct config_option *o)
{
	return &r->settings[o - config_options];
}

static enum config_result setting_take(struct reader *r, const struct config_option *o,
				       struct slice text, enum config_source from,
				       const char *variable)
{
	struct config_setting *s = setting_of(r, o);
	struct config_fault f = { .name = variable, .part = text };

	f.why = config_value_take(r->config, o, &f.part);
	if (f.why != NULL)
		return wrong_value(r->out, o, &f);
	s->from = from;
	s->text = text;
	return CONFIG_RUN;
}

static enum config_result version_show(struct buf *out)
{
	buf_put_str(out, "ollachat " OLLACHAT_VERSION "\n");
	return CONFIG_SHOWN;
}

static enum config_result help_show(struct buf *out, enum role role)
{
	if (role < CONFIG_SERVER_COUNT)
		config_help_role(out, role);
	else
		config_help_all(out);
	return CONFIG_SHOWN;
}

/* ---- the command line ---- */

static const struct config_option *option_find(struct slice name)
{
	size_t i;

	for (i = 0; i < config_option_count; i++)
		if (slice_eq(name, slice_str(config_options[i].name)))
			return &config_options[i];
	return NULL;
}

static enum config_result action_do(struct reader *r, const struct config_option *o, bool has_value)
{
	if (has_value) {
		buf_put_str(r->out, "--");
		buf_put_str(r->out, o->name);
		buf_put_str(r->out, " takes no value");
		return wrong_end(r->out);
	}
	if (o->kind == KIND_HELP)
		return help_show(r->out, r->config->role);
	if (o->kind == KIND_VERSION)
		return version_show(r->out);
	r->print = true;
	return CONFIG_RUN;
}

/* One option; `next` is the argument behind it or NULL, *used tells whether it was the value. */
static enum config_result argument_read(struct reader *r, const char *arg, const char *next,
					bool *used)
{
	struct slice name = slice_str(arg + 2), value = { NULL, 0 };
	const char *eq = strchr(arg, '=');
	const struct config_option *o;

	if (eq != NULL) {
		name.n = (size_t)(eq - name.p);
		value = slice_str(eq + 1);
	}
	o = option_find(name);
	if (o == NULL)
		return wrong_option(r->out, r->config->role, slice_make(arg, name.n + 2));
	if (!config_option_has_role(o, r->config->role))
		return wrong_owner(r->out, r->config->role, o);
	if (config_option_is_action(o))
		return action_do(r, o, eq != NULL);
	if (eq == NULL && o->shape == NULL) {
		value = SLICE("on");
	} else if (eq == NULL) {
		/* No value begins like an option: its own was forgotten. */
		if (next == NULL || strncmp(next, "--", 2) == 0)
			return wrong_no_value(r->out, o);
		value = slice_str(next);
		*used = true;
	}
	return setting_take(r, o, value, FROM_OPTION, NULL);
}

static enum config_result arguments_read(struct reader *r, int argc, char **argv, int i)
{
	for (; i < argc; i++) {
		enum config_result result;
		bool used = false;

		if (strcmp(argv[i], "-h") == 0)
			return help_show(r->out, r->config->role);
		if (argv[i][0] != '-')
			return wrong_extra(r->out, r->config->role, argv[i]);
		if (argv[i][1] != '-')
			return wrong_option(r->out, r->config->role, slice_str(argv[i]));
		result = argument_read(r, argv[i], i + 1 < argc ? argv[i + 1] : NULL, &used);
		if (result != CONFIG_RUN)
			return result;
		i += used;
	}
	return CONFIG_RUN;
}

/* ---- the environment ---- */

static const char *variable_get(struct reader *r, const char *name)
{
	const char *value = r->env(name);

	return value != NULL && *value != '\0' ? value : NULL; /* empty is not set */
}

static enum config_result ollama_read(struct reader *r, const struct config_option *o)
{
	const char *host = variable_get(r, "OLLAMA_HOST"), *port = variable_get(r, "OLLAMA_PORT");
	struct config_setting *s = setting_of(r, o);
	struct config_fault f;

	if (host == NULL && port == NULL)
		return CONFIG_RUN;
	if (!config_ollama_from(r->config, host, port, &f))
		return wrong_value(r->out, o, &f);
	s->variable = f.name;
	s->from = FROM_ENVIRONMENT;
	s->text = r->config->ollama_text;
	return CONFIG_RUN;
}

static enum config_result variable_read(struct reader *r, const struct config_option *o)
{
	struct config_setting *s = setting_of(r, o);
	const char *value;
	char name[CONFIG_VARIABLE_MAX];

	config_option_variable(o, name);
	value = variable_get(r, name);
	if (value != NULL)
		return setting_take(r, o, slice_str(value), FROM_ENVIRONMENT, name);
	if (o->kind == KIND_OLLAMA)
		return ollama_read(r, o);
	value = o->alias != NULL ? variable_get(r, o->alias) : NULL;
	if (value == NULL)
		return CONFIG_RUN;
	s->variable = o->alias;
	return setting_take(r, o, slice_str(value), FROM_ENVIRONMENT, o->alias);
}

static enum config_result environment_read(struct reader *r)
{
	const struct config_option *o;

	for (o = config_options; o < config_options + config_option_count; o++) {
		enum config_result result;

		if (config_option_is_action(o) || !config_option_has_role(o, r->config->role) ||
		    setting_of(r, o)->from != FROM_DEFAULT)
			continue;
		result = variable_read(r, o);
		if (result != CONFIG_RUN)
			return result;
	}
	return CONFIG_RUN;
}

/* ---- defaults ---- */

static enum config_result defaults_read(struct reader *r)
{
	const struct config_option *o;

	for (o = config_options; o < config_options + config_option_count; o++) {
		const char *text = config_option_fallback(o, r->config->role);
		enum config_result result;

		if (text == NULL || setting_of(r, o)->from != FROM_DEFAULT)
			continue;
		result = setting_take(r, o, slice_str(text), FROM_DEFAULT, NULL);
		if (result != CONFIG_RUN)
			return result;
	}
	return CONFIG_RUN;
}

static bool is_given(struct reader *r, const char *name)
{
	return setting_of(r, option_find(slice_str(name)))->from != FROM_DEFAULT;
}

static enum config_result wrong_whole(struct buf *out, const char *text)
{
	buf_put_str(out, text);
	return wrong_end(out);
}

/* What only makes sense together. A certificate that nobody would be shown is refused: who gave it
 * believes that HTTPS is spoken. */
static enum config_result together_check(const struct config *c, struct buf *out)
{
	if (c->pull_missing && c->model.n == 0)
		return wrong_whole(out, "--pull missing needs --model, the name of what to pull");
	if (c->tls == TLS_FILES && (c->tls_cert == NULL || c->tls_key == NULL))
		return wrong_whole(out, "--tls files needs both --tls-cert and --tls-key");
	if (c->tls != TLS_FILES && (c->tls_cert != NULL || c->tls_key != NULL))
		return wrong_whole(out, "--tls-cert and --tls-key are for --tls files, which is "
					"not given");
	if (c->ollama.https && c->ollama_ca == NULL)
		return wrong_whole(out, "--ollama is an https URL: that needs --ollama-ca, the "
					"certificates its own must be signed by");
	return CONFIG_RUN;
}

static enum config_result settings_read(struct reader *r, int argc, char **argv, int i)
{
	enum config_result result = arguments_read(r, argc, argv, i);

	if (result == CONFIG_RUN)
		result = environment_read(r);
	if (result == CONFIG_RUN)
		result = defaults_read(r);
	if (result == CONFIG_RUN)
		result = together_check(r->config, r->out);
	if (result != CONFIG_RUN)
		return result;
	r->config->ollama_given = is_given(r, "ollama");
	if (!r->print)
		return CONFIG_RUN;
	config_print(r->out, r->config, r->settings);
	return CONFIG_SHOWN;
}

/* ---- the role ---- */

static bool role_find(const char *name, enum role *role)
{
	size_t i;

	for (i = 0; i < CONFIG_ROLE_COUNT; i++) {
		if (strcmp(name, config_roles[i].name) == 0) {
			*role = (enum role)i;
			return true;
		}
	}
	return false;
}

/* By the name we were started under: "ollachat-backend" and "ollachat-frontend" alone. */
static bool role_from_name(const char *argv0, enum role *role)
{
	static const char prefix[] = "ollachat-";
	const char *slash = strrchr(argv0, '/');
	const char *name = slash != NULL ? slash + 1 : argv0;

	return strncmp(name, prefix, sizeof(prefix) - 1) == 0 &&
	       role_find(name + sizeof(prefix) - 1, role) && *role <= ROLE_FRONTEND;
}

static enum config_result help_read(int argc, char **argv, int i, struct buf *out)
{
	enum role role = ROLE_HELP;

	if (i < argc && strcmp(argv[i], "--help") != 0 && strcmp(argv[i], "-h") != 0 &&
	    !role_find(argv[i], &role))
		return wrong_role(out, argv[i]);
	if (i + 1 < argc)
		return wrong_extra(out, ROLE_HELP, argv[i + 1]);
	return help_show(out, role);
}

/* What stands where a role was due. */
static enum config_result no_role_read(const char *arg, struct buf *out)
{
	if (arg == NULL)
		return wrong_no_role(out);
	if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0)
		return help_show(out, ROLE_HELP);
	if (strcmp(arg, "--version") == 0)
		return version_show(out);
	return arg[0] == '-' ? wrong_no_role(out) : wrong_role(out, arg);
}

enum config_result config_read(int argc, char **argv, config_env_fn *env, struct config *config,
			       struct buf *out)
{
	struct reader r = { .config = config, .env = env, .out = out };
	int i = 1;

	memset(config, 0, sizeof(*config));
	if (argc < 1 || !role_from_name(argv[0], &config->role)) {
		if (argc < 2 || !role_find(argv[1], &config->role))
			return no_role_read(argc < 2 ? NULL : argv[1], out);
		i = 2;
	}
	if (config->role == ROLE_HELP)
		return help_read(argc, argv, i, out);
	if (config->role != ROLE_VERSION)
		return settings_read(&r, argc, argv, i);
	if (i < argc && strcmp(argv[i], "--help") == 0)
		return help_show(out, ROLE_HELP);
	return i < argc ? wrong_extra(out, ROLE_VERSION, argv[i]) : version_show(out);
}
