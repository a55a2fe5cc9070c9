/* SPDX-License-Identifier: MIT */
/* config_option.h: one row for each option: its name, whose it is, what its values look like, its
 * default and where it ends up. All of the command line, the environment, --help and --print-config
 * follow from the table. Only for config*.c; all of it is const. */
#ifndef APP_CONFIG_OPTION_H
#define APP_CONFIG_OPTION_H

#include "app/config.h"

#define CONFIG_ROLE_COUNT   (ROLE_HELP + 1)
#define CONFIG_SERVER_COUNT (ROLE_SIM + 1) /* roles that run, and so have options */
#define CONFIG_OPTION_MAX   64

struct config_role {
	const char *name, *help;
};

enum config_kind {
	KIND_LISTEN,  /* ADDR:PORT */
	KIND_OLLAMA,  /* a URL, or "sim" */
	KIND_PROXY,   /* a URL */
	KIND_ORIGIN,  /* scheme://host[:port], in struct slice */
	KIND_ORIGINS, /* ... a list of them */
	KIND_HOSTS,   /* names without ports */
	KIND_CIDRS,   /* struct cidr[CONFIG_LIST_MAX] at `at`, its size_t count at `count_at` */
	KIND_NAME,    /* a model's, in struct slice */
	KIND_NAMES,   /* models', comma-separated, in struct slice */
	KIND_ALIASES, /* OLD=NEW */
	KIND_PATH,    /* const char * */
	KIND_FILE,    /* const char *, not empty */
	KIND_SWITCH,  /* bool */
	KIND_COUNT,   /* unsigned, min..max */
	KIND_WORKERS, /* unsigned, min..max, or "auto" */
	KIND_SIZE,    /* uint64_t, bytes, min..max */
	KIND_SPAN,    /* int64_t, milliseconds, min..max; given in seconds */
	KIND_RATE,    /* uint64_t, thousandths, min..max */
	KIND_QUOTA,   /* N/S: unsigned at `at` and at `count_at`, or "off" */
	KIND_FORMAT,  /* bool: is it json? */
	KIND_PULL,    /* bool: when the model is missing? */
	KIND_LEVEL,   /* enum log_level */
	KIND_TLS,     /* enum tls_mode */
	KIND_HELP,    /* from here on: something to do instead, no value */
	KIND_VERSION,
	KIND_PRINT,
};

enum config_group {
	GROUP_LISTEN,
	GROUP_OLLAMA,
	GROUP_PAGE,
	GROUP_SIM,
	GROUP_ACCESS,
	GROUP_LIMITS,
	GROUP_PROCESS,
	GROUP_OTHER,
};

struct config_option {
	const char *name;  /* without the dashes */
	const char *shape; /* of the value, for --help; NULL: a flag, which needs none */
	enum config_group group;
	enum config_kind kind;
	unsigned roles;      /* bits: 1 << enum role */
	bool adds;           /* each value given adds to those before */
	size_t at, count_at; /* offsets into struct config */
	uint64_t min, max;
	const char *fallback;                         /* the default; NULL: none */
	const char *fallback_of[CONFIG_SERVER_COUNT]; /* where a role has its own */
	const char *alias; /* another variable that counts when ours is not set */
	const char *help;
};

enum config_source { FROM_DEFAULT, FROM_ENVIRONMENT, FROM_OPTION };

/* What an option got in the end, and from where. */
struct config_setting {
	enum config_source from;
	const char *variable; /* not ours, but the one named here */
	struct slice text;
};

extern const struct config_role config_roles[CONFIG_ROLE_COUNT];
extern const char *const config_groups[];
extern const struct config_option config_options[]; /* sorted by group */
extern const size_t config_option_count;            /* <= CONFIG_OPTION_MAX */

static inline bool config_option_has_role(const struct config_option *o, enum role role)
{
	return o->roles >> role & 1;
}

static inline bool config_option_is_action(const struct config_option *o)
{
	return o->kind >= KIND_HELP;
}

const char *config_option_fallback(const struct config_option *, enum role); /* NULL: none */
/* "max-active" -> "OLLACHAT_MAX_ACTIVE" */
#define CONFIG_VARIABLE_MAX 48
void config_option_variable(const struct config_option *, char mem[CONFIG_VARIABLE_MAX]);

/* config_value.c: puts a value into its place. NULL: done. Else what is wrong with it, to be read
 * after the value in quotes; the slice is then narrowed to the part that is wrong. */
const char *config_value_take(struct config *, const struct config_option *, struct slice *);
/* The next element of a comma-separated list, without blanks around it. False: no more. */
bool config_list_next(struct slice *rest, struct slice *item);

/* config_host.c: the same for addresses, origins and URLs. */
#define CONFIG_TOO_MANY "is one too many"
const char *config_listen_take(struct config *, const struct config_option *, struct slice);
const char *config_ollama_take(struct config *, struct slice);
const char *config_proxy_take(struct config *, struct slice);
const char *config_origin_take(struct slice, struct slice *out);
const char *config_origin_add(struct config *, struct slice);
const char *config_host_add(struct config *, struct slice);
const char *config_cidr_add(struct cidr *list, size_t *count, struct slice);
/* What an error line about a value says: `name: "part" why; accepted: accepted`. */
struct config_fault {
	const char *name, *why, *accepted;
	struct slice part;
};
/* OLLAMA_HOST and OLLAMA_PORT, as Ollama's own tools and the first ollama-chat-app read them; either
 * may be NULL. True: done, and f->name is the one that counts. */
bool config_ollama_from(struct config *, const char *host, const char *port,
			struct config_fault *f);

/* config_help.c: texts. */
/* Any bytes as a part of one line, at most about max of them. */
void config_put_clean(struct buf *, struct slice, size_t max);
void config_put_accepted(struct buf *, const struct config_option *);  /* "1 to 1024" */
void config_put_roles(struct buf *, unsigned roles, const char *last); /* "a, b" last "c" */
void config_help_all(struct buf *);
void config_help_role(struct buf *, enum role);
void config_print(struct buf *, const struct config *, const struct config_setting *);
/* The option of this role whose name is nearest to a wrong one; NULL: none is near. */
const struct config_option *config_option_near(enum role, struct slice name);

#endif
