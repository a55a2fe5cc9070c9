/* SPDX-License-Identifier: MIT */
/* test_config.c: the command line and the environment: what is taken, from where, and where it ends up. */
#include "config_case.h"

/* ---- roles ---- */

static void test_roles(void)
{
	static const struct {
		const char *args;
		enum role role;
	} rows[] = {
		{ "ollachat-backend", ROLE_BACKEND },
		{ "/usr/local/bin/ollachat-backend", ROLE_BACKEND },
		{ "./ollachat-frontend --workers 2", ROLE_FRONTEND },
		{ "ollachat backend", ROLE_BACKEND },
		{ "a.out frontend", ROLE_FRONTEND },
		{ "ollachat-demo sim", ROLE_SIM },
		{ "/x/ollachat-backend/ollachat demo", ROLE_DEMO },
		{ "ollachat-backendx sim", ROLE_SIM },
	};

	FOR_ROWS(i, rows)
	{
		if (runs(rows[i].args, ""))
			CHECK_I64(config.role, rows[i].role);
	}
}

/* ---- defaults ---- */

static void test_defaults(void)
{
	static const struct {
		const char *role, *listen;
		int64_t announce, drain;
		unsigned workers;
	} rows[] = {
		{ "ollachat backend", "0.0.0.0:8000", 30000, 300000, 1 },
		{ "ollachat frontend", "0.0.0.0:3000", 30000, 30000, 0 },
		{ "ollachat demo", "127.0.0.1:3000", 0, 500, 1 },
		{ "ollachat sim", "127.0.0.1:11434", 0, 500, 1 },
	};

	FOR_ROWS(i, rows)
	{
		const struct config *c = &config;

		if (!runs(rows[i].role, ""))
			continue;
		CHECK_STR(c->listen_text, rows[i].listen);
		CHECK(!c->listen.v6);
		CHECK_STR(c->ollama_text, "http://127.0.0.1:11434");
		CHECK_U64(c->ollama.port, 11434);
		CHECK_STR(c->ollama.host, "127.0.0.1");
		CHECK(!c->ollama_given && !c->ollama_sim && !c->allow_client_keep_alive);
		CHECK(c->model.n == 0 && c->models.n == 0 && c->alias_count == 0);
		CHECK(c->max_active == 1 && c->max_queue == 64);
		CHECK_I64(c->queue_timeout_ms, 120000);
		CHECK_I64(c->connect_timeout_ms, 2000);
		CHECK_I64(c->first_byte_timeout_ms, 600000);
		CHECK_I64(c->stall_timeout_ms, 120000);
		CHECK_I64(c->max_generation_ms, 900000);
		CHECK_I64(c->start_timeout_ms, 600000);
		CHECK_U64(c->max_body, 16u << 20);
		CHECK_U64(c->body_memory, 256u << 20);
		CHECK_U64(c->max_connections, 10000);
		CHECK(c->head_timeout_ms == 10000 && c->body_timeout_ms == 30000);
		CHECK(c->send_timeout_ms == 30000 && c->idle_timeout_ms == 75000);
		CHECK_I64(c->drain_announce_ms, rows[i].announce);
		CHECK_I64(c->drain_timeout_ms, rows[i].drain);
		CHECK(c->api_keys == NULL && c->rate_requests == 0 && !c->allow_admin);
		CHECK(c->cors_count == 0 && c->allowed_hosts_count == 0);
		CHECK_U64(c->admin_from_count, 2);
		CHECK_U64(c->trusted_count, cidr_private_count);
		CHECK_U64(c->forwarded_hops, 1);
		CHECK_U64(c->workers, rows[i].workers);
		CHECK(c->root == NULL && c->api_proxy_text.n == 0 && c->api_base.n == 0);
		CHECK(c->sandbox && c->access_log && !c->log_json && c->log_level == LOG_INFO);
		CHECK(c->metrics);
		CHECK_U64(c->sim_tokens_per_1000s, 30000);
		CHECK(c->sim_first_token_delay_ms == 300 && c->sim_load_delay_ms == 0);
	}
}

/* ---- where a value comes from ---- */

static void test_precedence(void)
{
	static const struct {
		const char *args, *env;
		unsigned want;
	} rows[] = {
		{ "ollachat backend", "", 64 },
		{ "ollachat backend", "OLLACHAT_MAX_QUEUE=7", 7 },
		{ "ollachat backend --max-queue 9", "OLLACHAT_MAX_QUEUE=7", 9 },
		{ "ollachat backend --max-queue=9", "OLLACHAT_MAX_QUEUE=rubbish", 9 },
		{ "ollachat backend --max-queue 9 --max-queue=0", "", 0 },
		{ "ollachat backend", "OLLACHAT_MAX_QUEUE=", 64 },
		{ "ollachat frontend", "OLLACHAT_MAX_QUEUE=rubbish", 64 }, /* none of its options */
		{ "ollachat backend", "MAX_QUEUE=7 OLLACHAT_MAX_QUEUES=8", 64 },
	};

	FOR_ROWS(i, rows)
	{
		if (runs(rows[i].args, rows[i].env))
			CHECK_U64(config.max_queue, rows[i].want);
	}
}

/* ---- --listen ---- */

static void test_listen(void)
{
	static const struct {
		const char *value, *text; /* NULL: refused */
		unsigned port;
		bool v6;
	} rows[] = {
		{ "127.0.0.1:3000", "127.0.0.1:3000", 3000, false },
		{ "10.1.2.3:1", "10.1.2.3:1", 1, false },
		{ "0.0.0.0:0", "0.0.0.0:0", 0, false },
		{ "localhost:80", "127.0.0.1:80", 80, false },
		{ "LocalHost:80", "127.0.0.1:80", 80, false },
		{ "[::]:8000", "[::]:8000", 8000, true },
		{ "[::1]:65535", "[::1]:65535", 65535, true },
		{ "[2001:DB8:0:0::7]:9", "[2001:db8::7]:9", 9, true },
		{ "[::ffff:10.0.0.1]:9", "10.0.0.1:9", 9, false },
		{ "9000", "0.0.0.0:9000", 9000, false },
		{ ":9000", "0.0.0.0:9000", 9000, false },
		{ "0", "0.0.0.0:0", 0, false },
		{ "65536", NULL, 0, false },
		{ ":65536", NULL, 0, false },
		{ "99999999999999999999999", NULL, 0, false },
		{ "127.0.0.1:", NULL, 0, false },
		{ "127.0.0.1", NULL, 0, false },
		{ "127.0.0.1:x", NULL, 0, false },
		{ "127.0.0.1:-1", NULL, 0, false },
		{ "127.0.0.256:80", NULL, 0, false },
		{ "::1", NULL, 0, false },
		{ "::1:80", NULL, 0, false },
		{ "[::1]", NULL, 0, false },
		{ "[127.0.0.1]:80", NULL, 0, false },
		{ "[::1%eth0]:80", NULL, 0, false },
		{ "example.com:80", NULL, 0, false },
		{ "http://127.0.0.1:80", NULL, 0, false },
		{ ":", NULL, 0, false },
		{ "''", NULL, 0, false },
	};

	FOR_ROWS(i, rows)
	{
		char args[200] = "ollachat backend --listen ";

		strcat(args, rows[i].value);
		if (rows[i].text == NULL) {
			CHECK_I64(read_args(args, ""), CONFIG_WRONG);
			continue;
		}
		if (!runs(args, ""))
			continue;
		CHECK_STR(config.listen_text, rows[i].text);
		CHECK_U64(config.listen.port, rows[i].port);
		CHECK(config.listen.v6 == rows[i].v6);
	}
	if (runs("ollachat demo", "OLLACHAT_LISTEN=4000")) { /* the role's own address */
		CHECK_STR(config.listen_text, "127.0.0.1:4000");
		CHECK(config.listen.ip[10] == 0xff && config.listen.ip[12] == 127);
	}
}

/* ---- --ollama and its forerunners ---- */

static void test_ollama(void)
{
	static const struct {
		const char *args, *env, *host; /* NULL: refused */
		unsigned port;
		bool given;
	} rows[] = {
		{ "backend --ollama http://10.0.0.5:1234", "OLLAMA_HOST=h", "10.0.0.5", 1234,
		  true },
		{ "backend --ollama http://gpu.example/", "", "gpu.example", 80, true },
		{ "backend --ollama http://[::1]:11434", "", "::1", 11434, true },
		{ "backend", "OLLACHAT_OLLAMA=http://h:1 OLLAMA_HOST=x:2", "h", 1, true },
		{ "backend", "OLLAMA_HOST=gpu", "gpu", 11434, true },
		{ "backend", "OLLAMA_HOST=gpu:99", "gpu", 99, true },
		{ "backend", "OLLAMA_HOST=gpu OLLAMA_PORT=77", "gpu", 77, true },
		{ "backend", "OLLAMA_HOST=gpu:99 OLLAMA_PORT=77", "gpu", 99, true },
		{ "backend", "OLLAMA_PORT=77", "127.0.0.1", 77, true },
		{ "backend", "OLLAMA_HOST=:99", "127.0.0.1", 99, true },
		{ "backend", "OLLAMA_HOST=http://gpu:99", "gpu", 99, true },
		{ "backend", "OLLAMA_HOST=HTTP://gpu:99/", "gpu", 99, true },
		{ "backend", "OLLAMA_HOST=http://gpu", "gpu", 80, true },
		{ "backend", "OLLAMA_HOST=http://gpu OLLAMA_PORT=77", "gpu", 77, true },
		{ "backend", "OLLAMA_HOST=\"gpu:99\"", "gpu", 99, true },
		{ "backend", "OLLAMA_HOST=0.0.0.0", "127.0.0.1", 11434, true },
		{ "backend", "OLLAMA_HOST=http://0.0.0.0:99", "127.0.0.1", 99, true },
		{ "backend", "OLLAMA_HOST=::", "::1", 11434, true },
		{ "backend", "OLLAMA_HOST=[::]:99", "::1", 99, true },
		{ "backend", "OLLAMA_HOST=::1", "::1", 11434, true },
		{ "backend", "OLLAMA_HOST=[fd00::7]", "fd00::7", 11434, true },
		{ "backend", "OLLAMA_HOST= OLLAMA_PORT=", "127.0.0.1", 11434, false },
		{ "demo", "", "127.0.0.1", 11434, false },
		{ "demo", "OLLAMA_HOST=gpu", "gpu", 11434, true },
		{ "frontend", "OLLAMA_HOST=https://gpu OLLAMA_PORT=x", "127.0.0.1", 11434, false },
		{ "backend", "OLLAMA_HOST=https://gpu", NULL, 0, false },
		{ "backend", "OLLAMA_HOST=ftp://gpu", NULL, 0, false },
		{ "backend", "OLLAMA_HOST=http://gpu:99/path", NULL, 0, false },
		{ "backend", "OLLAMA_HOST=gpu/", "gpu", 11434, true },
		{ "backend", "OLLAMA_HOST=:x", NULL, 0, false },
		{ "backend --ollama http://h/ollama/", "", NULL, 0, false },
		{ "backend", "OLLAMA_HOST=a@gpu", NULL, 0, false },
		{ "backend", "OLLAMA_HOST=gpu:0", NULL, 0, false },
		{ "backend", "OLLAMA_HOST=gpu:65536", NULL, 0, false },
		{ "backend", "OLLAMA_PORT=0", NULL, 0, false },
		{ "backend", "OLLAMA_PORT=http", NULL, 0, false },
		{ "backend --ollama gpu:11434", "", NULL, 0, false },
		{ "backend --ollama https://gpu", "", NULL, 0, false },
		{ "backend --ollama http://u:p@gpu", "", NULL, 0, false },
		{ "backend --ollama http://gpu/?x", "", NULL, 0, false },
		{ "backend --ollama ''", "", NULL, 0, false },
		{ "backend --ollama sim", "", NULL, 0, false },
		{ "backend", "OLLACHAT_OLLAMA=sim", NULL, 0, false },
	};

	FOR_ROWS(i, rows)
	{
		char args[200] = "ollachat ";

		strcat(args, rows[i].args);
		if (rows[i].host == NULL) {
			CHECK_I64(read_args(args, rows[i].env), CONFIG_WRONG);
			continue;
		}
		if (!runs(args, rows[i].env))
			continue;
		CHECK_STR(config.ollama.host, rows[i].host);
		CHECK_U64(config.ollama.port, rows[i].port);
		CHECK(config.ollama_given == rows[i].given);
		CHECK(!config.ollama_sim);
	}
	if (runs("ollachat demo", "OLLAMA_HOST=[fd00::7]:9"))
		CHECK_STR(config.ollama_text, "http://[fd00::7]:9");
	if (runs("ollachat demo --ollama sim", "OLLAMA_HOST=gpu")) {
		CHECK(config.ollama_sim && config.ollama_given);
		CHECK_STR(config.ollama_text, "sim");
		CHECK_U64(config.ollama.host.n, 0);
	}
	if (runs("ollachat demo --ollama sim --ollama http://h", ""))
		CHECK(!config.ollama_sim);
}

static void test_ollama_https(void)
{
	if (runs("ollachat backend --ollama https://gpu.example --ollama-ca /etc/ca.pem", "")) {
		CHECK(config.ollama.https);
		CHECK_U64(config.ollama.port, 443);
		CHECK(strcmp(config.ollama_ca, "/etc/ca.pem") == 0);
	}
	if (runs("ollachat demo", "OLLAMA_HOST=https://[fd00::7] OLLACHAT_OLLAMA_CA=ca.pem"))
		CHECK_STR(config.ollama_text, "https://[fd00::7]:443");
	if (runs("ollachat backend", "OLLAMA_HOST=https://gpu OLLAMA_PORT=77 OLLACHAT_OLLAMA_CA=c"))
		CHECK_STR(config.ollama_text, "https://gpu:77");
	if (runs("ollachat backend --ollama http://gpu --ollama-ca ca.pem", ""))
		CHECK(!config.ollama.https);
	if (runs("ollachat demo --ollama sim --ollama-ca ca.pem", "OLLAMA_HOST=https://gpu"))
		CHECK(!config.ollama.https);
}

static void test_tls(void)
{
	static const struct {
		const char *args, *env;
		enum tls_mode tls;
	} rows[] = {
		{ "backend", "", TLS_OFF },
		{ "frontend --tls self-signed", "", TLS_SELF_SIGNED },
		{ "demo", "OLLACHAT_TLS=self-signed", TLS_SELF_SIGNED },
		{ "backend --tls off", "OLLACHAT_TLS=self-signed", TLS_OFF },
		{ "backend --tls files --tls-cert c --tls-key k", "", TLS_FILES },
		{ "frontend", "OLLACHAT_TLS=files OLLACHAT_TLS_CERT=c OLLACHAT_TLS_KEY=k",
		  TLS_FILES },
	};

	FOR_ROWS(i, rows)
	{
		char args[200] = "ollachat ";

		strcat(args, rows[i].args);
		if (!runs(args, rows[i].env))
			continue;
		CHECK_I64(config.tls, rows[i].tls);
		CHECK((config.tls_cert != NULL) == (rows[i].tls == TLS_FILES));
		CHECK((config.tls_key != NULL) == (rows[i].tls == TLS_FILES));
	}
	CHECK_I64(read_args("ollachat sim --tls self-signed", ""), CONFIG_WRONG);
}

static void test_ollama_long(void)
{
	char env[600] = "OLLAMA_HOST=";

	memset(env + strlen(env), 'a', 400);
	CHECK_I64(read_args("ollachat backend", env), CONFIG_WRONG);
	CHECK(has_text("is too long"));
}

/* ---- numbers ---- */

enum number { SPAN, SIZE, COUNT, RATE, WORKERS };

static uint64_t number_of(enum number kind)
{
	switch (kind) {
	case SPAN:
		return (uint64_t)config.stall_timeout_ms;
	case SIZE:
		return config.max_body;
	case COUNT:
		return config.max_connections;
	case WORKERS:
		return config.workers;
	default:
		return config.sim_tokens_per_1000s;
	}
}

static void test_numbers(void)
{
	static const char *const options[] = { "--stall-timeout", "--max-body", "--max-connections",
					       "--tokens-per-second", "--workers" };
	static const struct {
		enum number kind;
		const char *value;
		bool ok;
		uint64_t want;
	} rows[] = {
		{ SPAN, "1", true, 1000 },
		{ SPAN, "0.25", true, 250 },
		{ SPAN, ".5", true, 500 },
		{ SPAN, "007", true, 7000 },
		{ SPAN, "12.", true, 12000 },
		{ SPAN, "0.001", true, 1 },
		{ SPAN, "86400", true, 86400000 },
		{ SPAN, "86400.001", false, 0 },
		{ SPAN, "0", false, 0 },
		{ SPAN, "0.0001", false, 0 },
		{ SPAN, "1.2345", false, 0 },
		{ SPAN, ".", false, 0 },
		{ SPAN, "''", false, 0 },
		{ SPAN, "-1", false, 0 },
		{ SPAN, "+1", false, 0 },
		{ SPAN, "1e3", false, 0 },
		{ SPAN, "1.2.3", false, 0 },
		{ SPAN, "30s", false, 0 },
		{ SPAN, "0x10", false, 0 },
		{ SPAN, "18446744073709551615", false, 0 },
		{ SPAN, "18446744073709551616", false, 0 },
		{ SPAN, "18446744073709552", false, 0 },
		{ SIZE, "1", true, 1 },
		{ SIZE, "65536", true, 65536 },
		{ SIZE, "64k", true, 65536 },
		{ SIZE, "64K", true, 65536 },
		{ SIZE, "3m", true, 3u << 20 },
		{ SIZE, "3M", true, 3u << 20 },
		{ SIZE, "1g", true, 1u << 30 },
		{ SIZE, "1G", true, 1u << 30 },
		{ SIZE, "2G", false, 0 },
		{ SIZE, "0", false, 0 },
		{ SIZE, "k", false, 0 },
		{ SIZE, "1kk", false, 0 },
		{ SIZE, "1T", false, 0 },
		{ SIZE, "1.5M", false, 0 },
		{ SIZE, "16MB", false, 0 },
		{ SIZE, "17179869184G", false, 0 },
		{ SIZE, "18446744073709551615k", false, 0 },
		{ COUNT, "16", true, 16 },
		{ COUNT, "1000000", true, 1000000 },
		{ COUNT, "15", false, 0 },
		{ COUNT, "1000001", false, 0 },
		{ COUNT, "4294967312", false, 0 }, /* 2^32 + 16 */
		{ COUNT, "16.5", false, 0 },
		{ COUNT, "abc", false, 0 },
		{ RATE, "0", true, 0 },
		{ RATE, "12.5", true, 12500 },
		{ RATE, "0.001", true, 1 },
		{ RATE, "1000000", true, 1000000000 },
		{ RATE, "1000001", false, 0 },
		{ WORKERS, "auto", true, 0 },
		{ WORKERS, "1", true, 1 },
		{ WORKERS, "64", true, 64 },
		{ WORKERS, "65", false, 0 },
		{ WORKERS, "0", false, 0 },
		{ WORKERS, "many", false, 0 },
	};
	static const enum number order[] = { SPAN, SIZE, COUNT, RATE, WORKERS };

	FOR_ROWS(i, rows)
	{
		char args[200] = "ollachat demo ";
		size_t k = 0;

		while (order[k] != rows[i].kind)
			k++;
		strcat(args, options[k]);
		strcat(args, " ");
		strcat(args, rows[i].value);
		if (!rows[i].ok)
			CHECK_I64(read_args(args, ""), CONFIG_WRONG);
		else if (runs(args, ""))
			CHECK_U64(number_of(rows[i].kind), rows[i].want);
	}
}

/* Each number ends up in its own field. */
static void test_fields(void)
{
	const struct config *c = &config;

	if (runs("ollachat demo --max-active 2 --max-queue 3 --queue-timeout 4 --connect-timeout 5 "
		 "--first-byte-timeout 6 --stall-timeout 7 --max-generation 8 --start-timeout 9 "
		 "--max-body 10 --body-memory 11 --max-connections 20",
		 "")) {
		CHECK(c->max_active == 2 && c->max_queue == 3 && c->queue_timeout_ms == 4000);
		CHECK(c->connect_timeout_ms == 5000 && c->first_byte_timeout_ms == 6000);
		CHECK(c->stall_timeout_ms == 7000 && c->max_generation_ms == 8000);
		CHECK(c->start_timeout_ms == 9000 && c->max_body == 10 && c->body_memory == 11);
		CHECK_U64(c->max_connections, 20);
	}
	if (runs("ollachat demo --head-timeout 1 --body-timeout 2 --send-timeout 3 --idle-timeout "
		 "4 "
		 "--drain-announce 5 --drain-timeout 0 --first-token-delay 0 --load-delay 2.5 "
		 "--forwarded-hops 2 --workers 3",
		 "")) {
		CHECK(c->head_timeout_ms == 1000 && c->body_timeout_ms == 2000);
		CHECK(c->send_timeout_ms == 3000 && c->idle_timeout_ms == 4000);
		CHECK(c->drain_announce_ms == 5000 && c->drain_timeout_ms == 0);
		CHECK(c->sim_first_token_delay_ms == 0 && c->sim_load_delay_ms == 2500);
		CHECK(c->forwarded_hops == 2 && c->workers == 3);
	}
	if (runs("ollachat frontend --root /srv/page --api-proxy http://10.0.0.9:8000 --api-base "
		 "https://api.example",
		 "")) {
		CHECK(c->root != NULL && strcmp(c->root, "/srv/page") == 0);
		CHECK_STR(c->api_proxy_text, "http://10.0.0.9:8000");
		CHECK_STR(c->api_proxy.host, "10.0.0.9");
		CHECK_U64(c->api_proxy.port, 8000);
		CHECK_STR(c->api_base, "https://api.example");
	}
	if (runs("ollachat frontend --root= --api-proxy= --api-base=", "OLLACHAT_ROOT=/x")) {
		CHECK(c->root == NULL);
		CHECK(c->api_proxy_text.n == 0 && c->api_base.n == 0);
	}
	CHECK_I64(read_args("ollachat frontend --api-proxy https://10.0.0.9", ""), CONFIG_WRONG);
}

/* ---- words ---- */

static void test_switches(void)
{
	static const struct {
		const char *args, *env;
		bool allow, sandbox;
	} rows[] = {
		{ "ollachat backend --allow-client-keep-alive", "", true, true },
		{ "ollachat backend --allow-client-keep-alive=on", "", true, true },
		{ "ollachat backend --allow-client-keep-alive=off",
		  "OLLACHAT_ALLOW_CLIENT_KEEP_ALIVE=1", false, true },
		{ "ollachat backend --allow-client-keep-alive --sandbox off", "", true, false },
		{ "ollachat backend --sandbox=off", "OLLACHAT_ALLOW_CLIENT_KEEP_ALIVE=yes", true,
		  false },
		{ "ollachat backend",
		  "OLLACHAT_ALLOW_CLIENT_KEEP_ALIVE=True OLLACHAT_SANDBOX=FALSE", true, false },
		{ "ollachat backend", "OLLACHAT_ALLOW_CLIENT_KEEP_ALIVE=0 OLLACHAT_SANDBOX=no",
		  false, false },
	};

	FOR_ROWS(i, rows)
	{
		if (!runs(rows[i].args, rows[i].env))
			continue;
		CHECK(config.allow_client_keep_alive == rows[i].allow);
		CHECK(config.sandbox == rows[i].sandbox);
	}
	if (runs("ollachat sim --log json --log-level debug --access-log off", ""))
		CHECK(config.log_json && config.log_level == LOG_DEBUG && !config.access_log);
	if (runs("ollachat frontend --metrics off", "OLLACHAT_METRICS=on"))
		CHECK(!config.metrics);
	if (runs("ollachat backend", "OLLACHAT_METRICS=off"))
		CHECK(!config.metrics);
	if (runs("ollachat sim --log=text --log-level=error", "OLLACHAT_ACCESS_LOG=on"))
		CHECK(!config.log_json && config.log_level == LOG_ERROR && config.access_log);
}

/* ---- models ---- */

static void test_models(void)
{
	const struct config *c = &config;

	if (runs("ollachat backend", "OLLAMA_MODEL=llama3.2:1b"))
		CHECK_STR(c->model, "llama3.2:1b");
	if (runs("ollachat backend", "OLLAMA_MODEL=a OLLACHAT_MODEL=b"))
		CHECK_STR(c->model, "b");
	if (runs("ollachat backend --model hf.co/x/y:Q4_K_M", "OLLAMA_MODEL=a OLLACHAT_MODEL=b"))
		CHECK_STR(c->model, "hf.co/x/y:Q4_K_M");
	if (runs("ollachat backend --model ''", "OLLAMA_MODEL=a"))
		CHECK_U64(c->model.n, 0);
	if (runs("ollachat backend --models a,b:7b,c", ""))
		CHECK_STR(c->models, "a,b:7b,c");
	if (runs("ollachat backend --model-alias llama2=llama3.2 --model-alias a=b,c=d", "")) {
		CHECK_U64(c->alias_count, 3);
		CHECK_STR(c->aliases[0].from, "llama2");
		CHECK_STR(c->aliases[0].to, "llama3.2");
		CHECK_STR(c->aliases[2].from, "c");
		CHECK_STR(c->aliases[2].to, "d");
	}
	if (runs("ollachat backend", "OLLACHAT_MODEL_ALIAS=a=b,c=d"))
		CHECK_U64(c->alias_count, 2);
	if (runs("ollachat backend --model-alias x=y", "OLLACHAT_MODEL_ALIAS=a=b,c=d")) {
		CHECK_U64(c->alias_count, 1); /* the option replaces the variable */
		CHECK_STR(c->aliases[0].from, "x");
	}
}

static void test_lists_full(void)
{
	char args[1000] = "ollachat demo --allowed-hosts ";
	size_t i;

	for (i = 0; i < CONFIG_LIST_MAX; i++)
		strcat(args, i == 0 ? "a" : ",a");
	if (runs(args, ""))
		CHECK_U64(config.allowed_hosts_count, CONFIG_LIST_MAX);
	strcat(args, ",b");
	CHECK_I64(read_args(args, ""), CONFIG_WRONG);
	CHECK(has_text("\"b\" is one too many"));

	strcpy(args, "ollachat demo --admin-from ");
	for (i = 0; i < CONFIG_LIST_MAX - 1; i++)
		strcat(args, "::,");
	CHECK(runs(args, ""));
	strcat(args, "loopback");
	CHECK_I64(read_args(args, ""), CONFIG_WRONG);
	CHECK(has_text("\"loopback\" is one too many"));
}

/* ---- who may ask ---- */

static void test_access(void)
{
	static const struct {
		const char *given, *want; /* NULL: refused */
	} rows[] = {
		{ "https://chat.example", "https://chat.example" },
		{ "http://chat.example:8080", "http://chat.example:8080" },
		{ "https://chat.example/", "https://chat.example" },
		{ "https://chat.example:443", "https://chat.example" },
		{ "http://chat.example:80/", "http://chat.example" },
		{ "http://chat.example:443", "http://chat.example:443" },
		{ "http://[::1]:3000", "http://[::1]:3000" },
		{ "*", "*" },
		{ "https://chat.example/app", NULL },
		{ "https://chat.example//", NULL },
		{ "chat.example", NULL },
		{ "null", NULL },
		{ "https://", NULL },
		{ "/", NULL },
		{ "https://a;b", NULL },
		{ "https://*.example", NULL },
		{ "https://u@chat.example", NULL },
		{ "https://chat.example?x", NULL },
		{ "ftp://chat.example", NULL },
	};
	const struct config *c = &config;

	FOR_ROWS(i, rows)
	{
		char args[200] = "ollachat demo --cors-origin ";

		strcat(args, rows[i].given);
		if (rows[i].want == NULL) {
			CHECK_I64(read_args(args, ""), CONFIG_WRONG);
		} else if (runs(args, "") && CHECK_U64(c->cors_count, 1)) {
			CHECK_STR(c->cors_origins[0], rows[i].want);
		}
	}
	CHECK_I64(read_args("ollachat demo --api-base *", ""), CONFIG_WRONG);
	if (runs("ollachat demo --cors-origin http://a --cors-origin=http://b,http://c", ""))
		CHECK_U64(c->cors_count, 3);
	if (runs("ollachat demo", "OLLACHAT_CORS_ORIGIN=http://a,,http://b,"))
		CHECK_U64(c->cors_count, 2);
	if (runs("ollachat demo --allowed-hosts chat.example,[::1],10.0.0.1", "")) {
		CHECK_U64(c->allowed_hosts_count, 3);
		CHECK_STR(c->allowed_hosts[0], "chat.example");
		CHECK_STR(c->allowed_hosts[1], "::1");
	}
	if (runs("ollachat demo --allowed-hosts a,b --allowed-hosts *", "")) {
		CHECK_U64(c->allowed_hosts_count, 1); /* it does not add: the last one counts */
		CHECK_STR(c->allowed_hosts[0], "*");
	}
	CHECK_I64(read_args("ollachat demo --allowed-hosts a:80", ""), CONFIG_WRONG);
	CHECK_I64(read_args("ollachat demo --allowed-hosts http://a", ""), CONFIG_WRONG);
}

static bool trusts(const char *ip)
{
	struct ip_addr a;

	return ip_parse(slice_str(ip), &a) && cidr_has(config.trusted, config.trusted_count, &a);
}

static bool is_admin(const char *ip)
{
	struct ip_addr a;

	return ip_parse(slice_str(ip), &a) &&
	       cidr_has(config.admin_from, config.admin_from_count, &a);
}

static void test_ranges(void)
{
	if (runs("ollachat backend", "")) {
		CHECK(trusts("10.9.9.9") && trusts("fd00::1") && trusts("127.0.0.1") &&
		      !trusts("8.8.8.8"));
		CHECK(is_admin("127.0.0.1") && is_admin("127.255.0.1") && is_admin("::1"));
		CHECK(!is_admin("10.0.0.1") && !is_admin("128.0.0.1") && !is_admin("::2"));
	}
	if (runs("ollachat backend --trusted-proxies 192.0.2.0/24,2001:db8::/32 --admin-from "
		 "private,192.0.2.7",
		 "")) {
		CHECK(trusts("192.0.2.200") && trusts("2001:db8:1::1") && !trusts("10.0.0.1"));
		CHECK(is_admin("192.168.1.1") && is_admin("192.0.2.7") && !is_admin("192.0.2.8"));
	}
	if (runs("ollachat backend --trusted-proxies ''", ""))
		CHECK(!trusts("127.0.0.1"));
	CHECK_I64(read_args("ollachat backend --trusted-proxies 10.0.0.0/33", ""), CONFIG_WRONG);
	CHECK_I64(read_args("ollachat backend --admin-from localhost", ""), CONFIG_WRONG);
}

int main(void)
{
	test_roles();
	test_defaults();
	test_precedence();
	test_listen();
	test_ollama();
	test_ollama_https();
	test_tls();
	test_ollama_long();
	test_numbers();
	test_fields();
	test_switches();
	test_models();
	test_lists_full();
	test_access();
	test_ranges();
	return check_done();
}
