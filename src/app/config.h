/* SPDX-License-Identifier: MIT */
/* config.h: what the operator asked for: command line, environment, defaults. Const after start.
 * Slices point into argv, the environment and the struct itself: use it where it was read, or keep
 * the first one for as long as its copies. */
#ifndef APP_CONFIG_H
#define APP_CONFIG_H

#include "base/buf.h"
#include "io/log.h"
#include "io/sock.h"
#include "proto/forwarded.h"
#include "proto/uri.h"

enum role { ROLE_BACKEND, ROLE_FRONTEND, ROLE_DEMO, ROLE_SIM, ROLE_VERSION, ROLE_HELP };

/* What the listener speaks. */
enum tls_mode { TLS_OFF, TLS_SELF_SIGNED, TLS_FILES };

enum {
	CONFIG_LIST_MAX = 32,
	CONFIG_OUT_MAX = 32 * 1024, /* room for `out`; with less, its text is cut */
};

struct config_alias {
	struct slice from, to;
};

struct config {
	enum role role;
	struct sock_addr listen;
	struct slice
		listen_text; /* "127.0.0.1:3000", "[::]:8000", also when only a port was given */
	char listen_mem[64];
	enum tls_mode tls;
	const char *tls_cert, *tls_key; /* TLS_FILES: both; else NULL */

	/* towards Ollama (backend, demo) */
	struct slice ollama_text; /* "http://127.0.0.1:11434", or "sim" (demo only) */
	struct url ollama;
	bool ollama_given;     /* by option or environment (demo looks around otherwise) */
	bool ollama_sim;       /* demo: --ollama sim; `ollama` is then empty */
	char ollama_mem[320];  /* a URL made of OLLAMA_HOST and OLLAMA_PORT */
	const char *ollama_ca; /* NULL only where `ollama` is no https URL */
	struct slice model;    /* n == 0: unset */
	struct slice models;   /* comma-separated; n == 0: all */
	struct config_alias aliases[CONFIG_LIST_MAX];
	size_t alias_count;
	bool pull_missing; /* --pull missing */
	bool allow_client_keep_alive;
	unsigned max_active, max_queue;
	int64_t queue_timeout_ms;
	int64_t connect_timeout_ms, first_byte_timeout_ms, stall_timeout_ms, max_generation_ms;
	int64_t start_timeout_ms;
	int64_t heartbeat_ms; /* 0: none */
	bool preload;

	/* towards clients; what a role has no option for holds the default all the same */
	uint64_t max_body, body_memory;
	unsigned max_connections;
	int64_t head_timeout_ms, body_timeout_ms, send_timeout_ms, idle_timeout_ms;
	int64_t drain_announce_ms, drain_timeout_ms;
	struct slice cors_origins[CONFIG_LIST_MAX];
	size_t cors_count;
	struct slice allowed_hosts[CONFIG_LIST_MAX]; /* "*": any */
	size_t allowed_hosts_count;
	const char *api_keys;                 /* a file; NULL: none are asked for */
	unsigned rate_requests, rate_seconds; /* for each client; 0: no limit */
	bool allow_admin;
	struct cidr admin_from[CONFIG_LIST_MAX];
	size_t admin_from_count;
	struct cidr trusted[CONFIG_LIST_MAX];
	size_t trusted_count;
	unsigned forwarded_hops;

	/* frontend */
	unsigned workers;            /* 0: auto */
	const char *root;            /* NULL: the embedded page */
	struct slice api_proxy_text; /* n == 0: none */
	struct url api_proxy;
	struct slice api_base; /* n == 0: same origin */

	bool sandbox;
	bool log_json, access_log, metrics;
	enum log_level log_level;

	/* sim (and demo's sim) */
	uint64_t sim_tokens_per_1000s; /* --tokens-per-second x 1000; 0: as fast as it can */
	int64_t sim_first_token_delay_ms, sim_load_delay_ms;
};

/* What `out` holds ends with a newline. */
enum config_result {
	CONFIG_RUN,   /* go on */
	CONFIG_SHOWN, /* --help, --version, --print-config and their like: for stdout, exit 0 */
	CONFIG_WRONG, /* one line for stderr, exit 2 */
};

typedef const char *config_env_fn(const char *name); /* NULL: not set; proc_env() */

/* Reads everything, and nothing but its arguments. argv[0] chooses the role by its last path element
 * (ollachat-backend, ollachat-frontend), else argv[1] does. */
enum config_result config_read(int argc, char **argv, config_env_fn *, struct config *,
			       struct buf *out);

#endif
