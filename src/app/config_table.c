/* SPDX-License-Identifier: MIT */
/* config_table.c: the roles and their options. */
#include "app/config_option.h"
#include "app/shared.h"

#define B                 (1u << ROLE_BACKEND)
#define F                 (1u << ROLE_FRONTEND)
#define D                 (1u << ROLE_DEMO)
#define S                 (1u << ROLE_SIM)
#define AT(field)         .at = offsetof(struct config, field)
#define SECONDS(from, to) .kind = KIND_SPAN, .shape = "S", .min = (from), .max = (to)*UINT64_C(1000)
#define DAY               86400

const struct config_role config_roles[CONFIG_ROLE_COUNT] = {
	[ROLE_BACKEND] = { "backend", "the gateway in front of Ollama, port 8000" },
	[ROLE_FRONTEND] = { "frontend", "the chat page, port 3000" },
	[ROLE_DEMO] = { "demo",
			"page and gateway on 127.0.0.1:3000, with your Ollama or a stand-in" },
	[ROLE_SIM] = { "sim", "the stand-in alone: speaks Ollama's protocol, has no model" },
	[ROLE_VERSION] = { "version", "prints the version" },
	[ROLE_HELP] = { "help", "prints this; `help ROLE` prints a role's options" },
};

const char *const config_groups[] = {
	[GROUP_LISTEN] = "Listening",        [GROUP_OLLAMA] = "Ollama and its models",
	[GROUP_PAGE] = "The page",           [GROUP_SIM] = "The stand-in",
	[GROUP_ACCESS] = "Who may ask",      [GROUP_LIMITS] = "Limits towards clients",
	[GROUP_PROCESS] = "Process and log", [GROUP_OTHER] = "Instead of running",
};

const struct config_option config_options[] = {
	{
		.name = "listen", .shape = "ADDR:PORT", .group = GROUP_LISTEN, .kind = KIND_LISTEN,
		.roles = B | F | D | S,
		.fallback_of = {
			[ROLE_BACKEND] = "0.0.0.0:8000", [ROLE_FRONTEND] = "0.0.0.0:3000",
			[ROLE_DEMO] = "127.0.0.1:3000", [ROLE_SIM] = "127.0.0.1:11434",
		},
		.help = "where to listen; also [::]:8000, :8000 or 8000; port 0: any free one",
	},
	{
		.name = "tls", .shape = "off|self-signed|files", .group = GROUP_LISTEN, .kind = KIND_TLS,
		.roles = B | F | D, AT(tls), .fallback = "off",
		.help = "HTTPS on the listener; self-signed: with a key and certificate made at start; files: "
			"with those of --tls-cert and --tls-key, read again on SIGHUP",
	},
	{
		.name = "tls-cert", .shape = "FILE", .group = GROUP_LISTEN, .kind = KIND_FILE,
		.roles = B | F | D, AT(tls_cert),
		.help = "PEM certificate chain, our own certificate first",
	},
	{
		.name = "tls-key", .shape = "FILE", .group = GROUP_LISTEN, .kind = KIND_FILE,
		.roles = B | F | D, AT(tls_key),
		.help = "its PEM private key: RSA, EC P-256 or P-384, not encrypted",
	},

	{
		.name = "ollama", .shape = "URL", .group = GROUP_OLLAMA, .kind = KIND_OLLAMA,
		.roles = B | D, .fallback = "http://127.0.0.1:11434",
		.help = "where Ollama is; if unset, OLLAMA_HOST and OLLAMA_PORT count; demo: sim is the "
			"stand-in, which also answers when no Ollama is named and none is found",
	},
	{
		.name = "ollama-ca", .shape = "FILE", .group = GROUP_OLLAMA, .kind = KIND_FILE,
		.roles = B | D, AT(ollama_ca),
		.help = "PEM certificates that an https Ollama's must be signed by; needed for https; their "
			"nameConstraints are not looked at",
	},
	{
		.name = "model", .shape = "NAME", .group = GROUP_OLLAMA, .kind = KIND_NAME,
		.roles = B | D, AT(model), .alias = "OLLAMA_MODEL",
		.help = "default model, and the one /ready waits for; if unset, OLLAMA_MODEL counts, then the "
			"only installed one",
	},
	{
		.name = "models", .shape = "NAME,...", .group = GROUP_OLLAMA, .kind = KIND_NAMES,
		.roles = B | D, AT(models),
		.help = "models that clients may use, and see in lists; if unset, all that are installed",
	},
	{
		.name = "model-alias", .shape = "OLD=NEW", .group = GROUP_OLLAMA, .kind = KIND_ALIASES,
		.roles = B | D, .adds = true,
		.help = "answer requests for OLD with NEW; may be repeated",
	},
	{
		.name = "allow-client-keep-alive", .group = GROUP_OLLAMA, .kind = KIND_SWITCH,
		.roles = B | D, AT(allow_client_keep_alive), .fallback = "off",
		.help = "let clients say how long Ollama keeps a model in memory",
	},
	{
		.name = "max-active", .shape = "N", .group = GROUP_OLLAMA, .kind = KIND_COUNT,
		.roles = B | D, AT(max_active), .min = 1, .max = 4096, .fallback = "1",
		.help = "generations running at a time; match OLLAMA_NUM_PARALLEL",
	},
	{
		.name = "max-queue", .shape = "N", .group = GROUP_OLLAMA, .kind = KIND_COUNT,
		.roles = B | D, AT(max_queue), .min = 0, .max = 100000, .fallback = "64",
		.help = "requests waiting for a turn",
	},
	{
		.name = "queue-timeout", .group = GROUP_OLLAMA, SECONDS(1, DAY),
		.roles = B | D, AT(queue_timeout_ms), .fallback = "120",
		.help = "longest wait for a turn",
	},
	{
		.name = "pull", .shape = "off|missing", .group = GROUP_OLLAMA, .kind = KIND_PULL,
		.roles = B | D, AT(pull_missing), .fallback = "off",
		.help = "missing: ask Ollama to pull the default model (--model) if it is not there",
	},
	{
		.name = "preload", .shape = "on|off", .group = GROUP_OLLAMA, .kind = KIND_SWITCH,
		.roles = B | D, AT(preload), .fallback = "on",
		.help = "load the default model into memory at start, and again when Ollama dropped it",
	},
	{
		.name = "heartbeat", .group = GROUP_OLLAMA, SECONDS(0, DAY),
		.roles = B | D, AT(heartbeat_ms), .fallback = "15",
		.help = "longest silence on a response that is still to come or goes on; 0: off",
	},
	{
		.name = "connect-timeout", .group = GROUP_OLLAMA, SECONDS(1, DAY),
		.roles = B | D, AT(connect_timeout_ms), .fallback = "2",
		.help = "longest wait for a connection to Ollama, then 502",
	},
	{
		.name = "first-byte-timeout", .group = GROUP_OLLAMA, SECONDS(1, DAY),
		.roles = B | D, AT(first_byte_timeout_ms), .fallback = "600",
		.help = "Ollama silent before a streamed answer (it may load the model), then 504",
	},
	{
		.name = "stall-timeout", .group = GROUP_OLLAMA, SECONDS(1, DAY),
		.roles = B | D, AT(stall_timeout_ms), .fallback = "120",
		.help = "Ollama silent in mid-answer, then an error in the stream",
	},
	{
		.name = "max-generation", .group = GROUP_OLLAMA, SECONDS(1, DAY),
		.roles = B | D, AT(max_generation_ms), .fallback = "900",
		.help = "longest answer",
	},
	{
		.name = "start-timeout", .group = GROUP_OLLAMA, SECONDS(1, DAY),
		.roles = B | D, AT(start_timeout_ms), .fallback = "600",
		.help = "longest `starting` on /health, then `degraded`",
	},

	{
		.name = "root", .shape = "DIR", .group = GROUP_PAGE, .kind = KIND_PATH,
		.roles = F | D, AT(root),
		.help = "serve this folder instead of the built-in page",
	},
	{
		.name = "api-proxy", .shape = "URL", .group = GROUP_PAGE, .kind = KIND_PROXY, .roles = F,
		.help = "forward /api/* and /v1/* to this backend, where no load balancer does",
	},
	{
		.name = "api-base", .shape = "URL", .group = GROUP_PAGE, .kind = KIND_ORIGIN,
		.roles = F | D, AT(api_base),
		.help = "origin that the page calls; if unset, its own",
	},
	{
		.name = "workers", .shape = "N", .group = GROUP_PAGE, .kind = KIND_WORKERS,
		.roles = F | D, AT(workers), .min = 1, .max = SHARED_WORKERS_MAX, .fallback = "1",
		.fallback_of = { [ROLE_FRONTEND] = "auto" },
		.help = "processes that serve it; auto: one for each processor",
	},

	{
		.name = "tokens-per-second", .shape = "N", .group = GROUP_SIM, .kind = KIND_RATE,
		.roles = S | D, AT(sim_tokens_per_1000s), .min = 0, .max = 1000000000, .fallback = "30",
		.help = "how fast the stand-in answers; 0: as fast as it can",
	},
	{
		.name = "first-token-delay", .group = GROUP_SIM, SECONDS(0, DAY),
		.roles = S | D, AT(sim_first_token_delay_ms), .fallback = "0.3",
		.help = "how long the stand-in thinks before it answers",
	},
	{
		.name = "load-delay", .group = GROUP_SIM, SECONDS(0, DAY),
		.roles = S | D, AT(sim_load_delay_ms), .fallback = "0",
		.help = "how long the stand-in takes to load its model",
	},

	{
		.name = "cors-origin", .shape = "ORIGIN", .group = GROUP_ACCESS, .kind = KIND_ORIGINS,
		.roles = B | D, .adds = true,
		.help = "pages of this origin may call us; * is any; may be repeated",
	},
	{
		.name = "allowed-hosts", .shape = "NAME,...", .group = GROUP_ACCESS, .kind = KIND_HOSTS,
		.roles = B | F | D | S,
		.help = "Host names we answer to; * is any; if unset, any, but on a loopback address only "
			"localhost and IP addresses",
	},
	{
		.name = "api-keys", .shape = "FILE", .group = GROUP_ACCESS, .kind = KIND_FILE,
		.roles = B | D, AT(api_keys),
		.help = "a file with one key a line; then /api and /v1 need Authorization: Bearer KEY; SIGHUP "
			"reads it again",
	},
	{
		.name = "rate-limit", .shape = "N/S", .group = GROUP_ACCESS, .kind = KIND_QUOTA,
		.roles = B | D, AT(rate_requests), .count_at = offsetof(struct config, rate_seconds),
		.fallback = "off",
		.help = "requests per client per S seconds, then 429; or off",
	},
	{
		.name = "allow-admin", .group = GROUP_ACCESS, .kind = KIND_SWITCH,
		.roles = B | D, AT(allow_admin), .fallback = "off",
		.help = "also pass pull, push, create, copy, delete and blobs on to Ollama; needs --api-keys "
			"unless --listen is a loopback address",
	},
	{
		.name = "admin-from", .shape = "CIDR,...", .group = GROUP_ACCESS, .kind = KIND_CIDRS,
		.roles = B | F | D, AT(admin_from), .count_at = offsetof(struct config, admin_from_count),
		.fallback = "loopback",
		.help = "who sees the details of /health though a proxy stands between",
	},
	{
		.name = "trusted-proxies", .shape = "CIDR,...", .group = GROUP_ACCESS, .kind = KIND_CIDRS,
		.roles = B | F | D, AT(trusted), .count_at = offsetof(struct config, trusted_count),
		.fallback = "private",
		.help = "peers whose X-Forwarded-For is believed",
	},
	{
		.name = "forwarded-hops", .shape = "N", .group = GROUP_ACCESS, .kind = KIND_COUNT,
		.roles = B | F | D, AT(forwarded_hops), .min = 1, .max = 32, .fallback = "1",
		.help = "the client is the N-th address from the right of X-Forwarded-For",
	},

	{
		.name = "max-body", .shape = "BYTES", .group = GROUP_LIMITS, .kind = KIND_SIZE,
		.roles = B | F | D | S, AT(max_body), .min = 1, .max = UINT64_C(1) << 30, .fallback = "16M",
		.help = "longest request body, then 413",
	},
	{
		.name = "body-memory", .shape = "BYTES", .group = GROUP_LIMITS, .kind = KIND_SIZE,
		.roles = B | F | D | S, AT(body_memory), .max = UINT64_C(64) << 30, .fallback = "256M",
		.help = "all request bodies together, then 503 for those over 64k",
	},
	{
		.name = "max-connections", .shape = "N", .group = GROUP_LIMITS, .kind = KIND_COUNT,
		.roles = B | F | D | S, AT(max_connections), .min = 16, .max = 1000000, .fallback = "10000",
		.help = "connections of each worker",
	},
	{
		.name = "head-timeout", .group = GROUP_LIMITS, SECONDS(1, DAY),
		.roles = B | F | D | S, AT(head_timeout_ms), .fallback = "10",
		.help = "time for a whole request head, then 408",
	},
	{
		.name = "body-timeout", .group = GROUP_LIMITS, SECONDS(1, DAY),
		.roles = B | F | D | S, AT(body_timeout_ms), .fallback = "30",
		.help = "silence in a request body, then 408",
	},
	{
		.name = "send-timeout", .group = GROUP_LIMITS, SECONDS(1, DAY),
		.roles = B | F | D | S, AT(send_timeout_ms), .fallback = "30",
		.help = "a client that takes nothing of what waits for it, then a reset",
	},
	{
		.name = "idle-timeout", .group = GROUP_LIMITS, SECONDS(1, DAY),
		.roles = B | F | D | S, AT(idle_timeout_ms), .fallback = "75",
		.help = "idle connection; must be longer than the load balancer's idle timeout",
	},

	{
		.name = "drain-announce", .group = GROUP_PROCESS, SECONDS(0, DAY),
		.roles = B | F | D | S, AT(drain_announce_ms), .fallback = "30",
		.fallback_of = { [ROLE_DEMO] = "0", [ROLE_SIM] = "0" },
		.help = "after SIGTERM: serve on, with /health at 503, before the listener closes",
	},
	{
		.name = "drain-timeout", .group = GROUP_PROCESS, SECONDS(0, DAY),
		.roles = B | F | D | S, AT(drain_timeout_ms), .fallback = "30",
		.fallback_of = { [ROLE_BACKEND] = "300", [ROLE_DEMO] = "0.5", [ROLE_SIM] = "0.5" },
		.help = "after SIGTERM: longest time for answers under way",
	},
	{
		.name = "sandbox", .shape = "on|off", .group = GROUP_PROCESS, .kind = KIND_SWITCH,
		.roles = B | F | D | S, AT(sandbox), .fallback = "on",
		.help = "take from workers the system calls they do not need",
	},
	{
		.name = "log", .shape = "text|json", .group = GROUP_PROCESS, .kind = KIND_FORMAT,
		.roles = B | F | D | S, AT(log_json), .fallback = "text",
		.help = "form of the log, one line per event on stderr",
	},
	{
		.name = "log-level", .shape = "LEVEL", .group = GROUP_PROCESS, .kind = KIND_LEVEL,
		.roles = B | F | D | S, AT(log_level), .fallback = "info",
		.help = "error, warn, info or debug",
	},
	{
		.name = "access-log", .shape = "on|off", .group = GROUP_PROCESS, .kind = KIND_SWITCH,
		.roles = B | F | D | S, AT(access_log), .fallback = "on",
		.help = "a line for each request",
	},
	{
		.name = "metrics", .shape = "on|off", .group = GROUP_PROCESS, .kind = KIND_SWITCH,
		.roles = B | F | D, AT(metrics), .fallback = "on",
		.help = "/metrics, for Prometheus; through a proxy only for --admin-from",
	},

	{
		.name = "help", .group = GROUP_OTHER, .kind = KIND_HELP, .roles = B | F | D | S,
		.help = "print this",
	},
	{
		.name = "version", .group = GROUP_OTHER, .kind = KIND_VERSION, .roles = B | F | D | S,
		.help = "print the version",
	},
	{
		.name = "print-config", .group = GROUP_OTHER, .kind = KIND_PRINT, .roles = B | F | D | S,
		.help = "print every value in effect and where it came from",
	},
};

const size_t config_option_count = ARRAY_LEN(config_options);
_Static_assert(ARRAY_LEN(config_options) <= CONFIG_OPTION_MAX,
	       "a larger CONFIG_OPTION_MAX is needed");

const char *config_option_fallback(const struct config_option *o, enum role role)
{
	if (role < CONFIG_SERVER_COUNT && o->fallback_of[role] != NULL)
		return o->fallback_of[role];
	return o->fallback;
}

void config_option_variable(const struct config_option *o, char mem[CONFIG_VARIABLE_MAX])
{
	static const char prefix[] = "OLLACHAT_";
	size_t i, n = sizeof(prefix) - 1;

	memcpy(mem, prefix, n);
	for (i = 0; o->name[i] != '\0' && n + 1 < CONFIG_VARIABLE_MAX; i++) {
		char c = o->name[i];

		mem[n++] = c == '-' ? '_' : (char)(c - ('a' - 'A'));
	}
	mem[n] = '\0';
}
