/* SPDX-License-Identifier: MIT */
/* test_config_text.c: what the configuration says: refusals, help, version, --print-config. */
#include "config_case.h"

#define ALL_ROLES "backend, frontend, demo, sim, version, help"

/* ---- what is refused, in which words ---- */

static void test_errors(void)
{
#define URLS        "; accepted: http://HOST[:PORT]\n"
#define OLLAMA_URLS "; accepted: http://HOST[:PORT] or https://HOST[:PORT]\n"
	static const struct {
		const char *args, *env, *want;
	} rows[] = {
		{ "ollachat", "", "usage: ollachat ROLE [options]; roles: " ALL_ROLES "\n" },
		{ "ollachat --listen 3000", "",
		  "usage: ollachat ROLE [options]; roles: " ALL_ROLES "\n" },
		{ "ollachat bakend", "", "unknown role \"bakend\"; roles: " ALL_ROLES "\n" },
		{ "ollachat ''", "", "unknown role \"\"; roles: " ALL_ROLES "\n" },
		{ "ollachat help bakend", "", "unknown role \"bakend\"; roles: " ALL_ROLES "\n" },
		{ "ollachat help demo x", "",
		  "\"x\" is one argument too many; see `ollachat --help`\n" },
		{ "ollachat version x", "",
		  "\"x\" is one argument too many; see `ollachat --help`\n" },
		{ "ollachat backend frontend", "",
		  "\"frontend\" is one argument too many; see `ollachat backend --help`\n" },
		{ "ollachat-backend help", "",
		  "\"help\" is one argument too many; see `ollachat backend --help`\n" },
		{ "ollachat backend --max-activ 2", "",
		  "unknown option --max-activ; did you mean --max-active?\n" },
		{ "ollachat backend --max_queue=2", "",
		  "unknown option --max_queue; did you mean --max-queue?\n" },
		{ "ollachat demo --Models a", "",
		  "unknown option --Models; did you mean --models?\n" },
		{ "ollachat sim --wrokers 2", "",
		  "unknown option --wrokers; see `ollachat sim --help`\n" },
		{ "ollachat sim --colour", "",
		  "unknown option --colour; see `ollachat sim --help`\n" },
		{ "ollachat sim --", "", "unknown option --; see `ollachat sim --help`\n" },
		{ "ollachat sim -", "", "unknown option -; see `ollachat sim --help`\n" },
		{ "ollachat sim -l 1", "", "unknown option -l; see `ollachat sim --help`\n" },
		{ "ollachat sim --a-name-that-is-much-longer-than-all-we-have", "",
		  "unknown option --a-name-that-is-much-longer-than-all-we-have; see `ollachat sim "
		  "--help`\n" },
		{ "ollachat backend --workers 2", "",
		  "--workers is an option of frontend and demo, not of backend; see `ollachat "
		  "backend --help`\n" },
		{ "ollachat sim --admin-from ::", "",
		  "--admin-from is an option of backend, frontend and demo, not of sim; see "
		  "`ollachat sim --help`\n" },
		{ "ollachat demo --api-proxy http://x", "",
		  "--api-proxy is an option of frontend, not of demo; see `ollachat demo "
		  "--help`\n" },
		{ "ollachat backend --max-active abc", "",
		  "--max-active: \"abc\" is no number; accepted: 1 to 4096\n" },
		{ "ollachat backend --max-active 5000", "",
		  "--max-active: \"5000\" is out of range; accepted: 1 to 4096\n" },
		{ "ollachat backend --max-active=", "",
		  "--max-active: \"\" is no number; accepted: 1 to 4096\n" },
		{ "ollachat backend", "OLLACHAT_MAX_ACTIVE=-1",
		  "OLLACHAT_MAX_ACTIVE: \"-1\" is no number; accepted: 1 to 4096\n" },
		{ "ollachat backend --max-active", "",
		  "--max-active needs a value; accepted: 1 to 4096\n" },
		{ "ollachat backend --max-active --log json", "",
		  "--max-active needs a value; accepted: 1 to 4096\n" },
		{ "ollachat backend --sandbox", "",
		  "--sandbox needs a value; accepted: on, off\n" },
		{ "ollachat backend --sandbox maybe", "",
		  "--sandbox: \"maybe\" is neither on nor off; accepted: on, off\n" },
		{ "ollachat backend --allow-client-keep-alive on", "",
		  "\"on\" is one argument too many; see `ollachat backend --help`\n" },
		{ "ollachat demo --help=x", "", "--help takes no value\n" },
		{ "ollachat demo --max-body 2G", "",
		  "--max-body: \"2G\" is out of range; accepted: bytes, or with k, M or G: 1 to "
		  "1G\n" },
		{ "ollachat demo --idle-timeout 75s", "",
		  "--idle-timeout: \"75s\" is no number; accepted: seconds: 0.001 to 86400\n" },
		{ "ollachat demo --workers 0", "",
		  "--workers: \"0\" is out of range; accepted: auto or 1 to 64\n" },
		{ "ollachat demo --log-level loud", "",
		  "--log-level: \"loud\" is no log level; accepted: error, warn, info, debug\n" },
		{ "ollachat demo --log xml", "",
		  "--log: \"xml\" is no form of the log; accepted: text, json\n" },
		{ "ollachat backend --ollama https://gpu", "",
		  "--ollama is an https URL: that needs --ollama-ca, the certificates its own "
		  "must be signed by\n" },
		{ "ollachat backend", "OLLAMA_HOST=https://gpu",
		  "--ollama is an https URL: that needs --ollama-ca, the certificates its own "
		  "must be signed by\n" },
		{ "ollachat backend --tls on", "",
		  "--tls: \"on\" is no way to speak TLS; accepted: off, self-signed, files\n" },
		{ "ollachat backend --tls files --tls-key k", "",
		  "--tls files needs both --tls-cert and --tls-key\n" },
		{ "ollachat frontend --tls files", "OLLACHAT_TLS_CERT=c",
		  "--tls files needs both --tls-cert and --tls-key\n" },
		{ "ollachat backend --tls-cert c --tls-key k", "",
		  "--tls-cert and --tls-key are for --tls files, which is not given\n" },
		{ "ollachat demo --tls self-signed", "OLLACHAT_TLS_KEY=k",
		  "--tls-cert and --tls-key are for --tls files, which is not given\n" },
		{ "ollachat backend", "OLLAMA_HOST=gpu OLLAMA_PORT=http",
		  "OLLAMA_PORT: \"http\" is no port; accepted: 1 to 65535\n" },
		{ "ollachat frontend --api-proxy https://gpu", "",
		  "--api-proxy: \"https://gpu\" cannot be used: https is not supported here" URLS },
		{ "ollachat frontend --api-proxy gpu", "",
		  "--api-proxy: \"gpu\" is no URL of a server" URLS },
		{ "ollachat backend --ollama sim", "",
		  "--ollama: \"sim\" is for the role demo only" OLLAMA_URLS },
		{ "ollachat backend --model-alias a=b,c", "",
		  "--model-alias: \"c\" is not of the form OLD=NEW; accepted: OLD=NEW\n" },
		{ "ollachat backend --model-alias =b", "",
		  "--model-alias: \"=b\" is not of the form OLD=NEW; accepted: OLD=NEW\n" },
		{ "ollachat backend --model-alias a=", "",
		  "--model-alias: \"a=\" is not of the form OLD=NEW; accepted: OLD=NEW\n" },
		{ "ollachat backend --model-alias a=b --model-alias a=c", "",
		  "--model-alias: \"a=c\" is the second alias for that name; accepted: OLD=NEW\n" },
		{ "ollachat backend --admin-from 10.0.0.0/8,x", "",
		  "--admin-from: \"x\" is no address or range; "
		  "accepted: IP, IP/BITS, loopback or private, separated by commas\n" },
		{ "ollachat backend --model a\nb", "",
		  "--model: \"a\\x0ab\" has a blank in it; accepted: a model's name\n" },
		{ "ollachat backend --models a,\tb", "",
		  "--models: \"\\x09b\" has a blank in it; accepted: models' names, separated by "
		  "commas alone\n" },
	};

	FOR_ROWS(i, rows)
	{
		CHECK_I64(read_args(rows[i].args, rows[i].env), CONFIG_WRONG);
		CHECK_STR(said, rows[i].want);
	}
}

/* A line stays one line however long and odd what it repeats. */
static void test_error_long(void)
{
	char args[1000] = "ollachat backend --max-active ";
	size_t n = strlen(args), i;

	for (i = 0; i < 400; i++)
		strcat(args, "\xc3\xa9");
	CHECK_I64(read_args(args, ""), CONFIG_WRONG);
	CHECK(said.n < 250 && has_text("\xa9...\" is no number"));
	memset(args + n, 'x', 800);
	CHECK_I64(read_args(args, ""), CONFIG_WRONG);
	CHECK(said.n < 250 && has_text("xxx...\" is no number"));
}

/* ---- what is shown ---- */

/* Plain text, no line of 100 columns or more, no blanks at the end of one. */
static bool is_tidy(void)
{
	size_t i, start = 0;

	for (i = 0; i < said.n; i++) {
		unsigned char c = (unsigned char)said.p[i];

		if (c == '\n' && (i - start >= 100 || (i > start && said.p[i - 1] == ' ')))
			break;
		if (c >= 0x7f || (c < ' ' && c != '\n'))
			break;
		if (c == '\n')
			start = i + 1;
	}
	if (i < said.n)
		check_print("line", slice_from(said, start));
	return i == said.n && start == said.n && said.n > 0;
}

static void test_help(void)
{
	static const struct {
		const char *args, *has, *has_not;
	} rows[] = {
		{ "ollachat help", "usage: ollachat ROLE [options]", "--listen" },
		{ "ollachat --help", "  frontend  ", "--listen" },
		{ "ollachat -h", "  sim  ", "--listen" },
		{ "ollachat help help", "  sim  ", "--listen" },
		{ "ollachat version --help", "  sim  ", "--listen" },
		{ "ollachat backend --help", "  --listen ADDR:PORT  ", "--workers" },
		{ "ollachat backend --max-active 2 --help", "[0.0.0.0:8000]",
		  "--tokens-per-second" },
		{ "ollachat-backend --help --max-active x", "usage: ollachat-backend [",
		  "--api-base" },
		{ "ollachat help frontend", "usage: ollachat-frontend [", "--max-active" },
		{ "ollachat frontend -h", "  --workers N  ", "--cors-origin" },
		{ "ollachat demo --help", "  --tokens-per-second N  ", "--api-proxy" },
		{ "ollachat help sim", "  --load-delay S  ", "--ollama URL" },
	};

	FOR_ROWS(i, rows)
	{
		CHECK_I64(read_args(rows[i].args, "OLLACHAT_MAX_ACTIVE=x"), CONFIG_SHOWN);
		CHECK(has_text(rows[i].has));
		CHECK(!has_text(rows[i].has_not));
		CHECK(is_tidy());
	}
}

static void test_version(void)
{
	static const char *const rows[] = { "ollachat version", "ollachat --version",
					    "ollachat-backend --version",
					    "ollachat demo --version" };

	FOR_ROWS(i, rows)
	{
		CHECK_I64(read_args(rows[i], "OLLACHAT_LISTEN=x"), CONFIG_SHOWN);
		CHECK_STR(said, "ollachat " OLLACHAT_VERSION "\n");
	}
}

/* Whether --print-config has "--name  value  from", however many spaces there are. */
static bool prints(const char *name, const char *value, const char *from)
{
	const char *line = memmem(said.p, said.n, name, strlen(name));
	char found[300], want[300];
	size_t n = 0;

	snprintf(want, sizeof(want), "%s %s %s", name, value, from);
	for (; line != NULL && *line != '\n' && n < sizeof(found) - 1; line++)
		if (*line != ' ' || line[1] != ' ')
			found[n++] = *line;
	found[n] = '\0';
	if (strcmp(found, want) == 0)
		return true;
	printf("\tgot  %s\n\twant %s\n", found, want);
	return false;
}

static void test_print(void)
{
	static const char *const roles[] = { "backend", "frontend", "demo", "sim" };

	CHECK_I64(
		read_args("ollachat demo --listen 9 --print-config --max-queue=9 --model-alias "
			  "a=b,c=d "
			  "--model-alias e=f --allow-client-keep-alive --cors-origin http://x:80/",
			  "OLLAMA_HOST=0.0.0.0 OLLAMA_MODEL=tiny OLLACHAT_MAX_BODY=3k "
			  "OLLACHAT_LOG=json"),
		CONFIG_SHOWN);
	CHECK(slice_starts(said, SLICE("ollachat " OLLACHAT_VERSION ", role demo\n")));
	CHECK(prints("--listen", "127.0.0.1:9", "option"));
	CHECK(prints("--ollama", "http://127.0.0.1:11434", "environment OLLAMA_HOST"));
	CHECK(prints("--model", "tiny", "environment OLLAMA_MODEL"));
	CHECK(prints("--models", "-", "default"));
	CHECK(prints("--model-alias", "a=b,c=d,e=f", "option"));
	CHECK(prints("--allow-client-keep-alive", "on", "option"));
	CHECK(prints("--max-queue", "9", "option"));
	CHECK(prints("--max-body", "3k", "environment OLLACHAT_MAX_BODY"));
	CHECK(prints("--cors-origin", "http://x", "option"));
	CHECK(prints("--trusted-proxies", "private", "default"));
	CHECK(prints("--log", "json", "environment OLLACHAT_LOG"));
	CHECK(!has_text("--help") && !has_text("--api-proxy"));
	FOR_ROWS(i, roles)
	{
		char args[80] = "ollachat ";

		strcat(args, roles[i]);
		strcat(args, " --print-config");
		CHECK_I64(read_args(args, ""), CONFIG_SHOWN);
		CHECK(is_tidy());
	}
	CHECK_I64(read_args("ollachat demo --print-config", "OLLAMA_PORT=7"), CONFIG_SHOWN);
	CHECK(prints("--ollama", "http://127.0.0.1:7", "environment OLLAMA_PORT"));
	CHECK_I64(read_args("ollachat demo --print-config", "OLLACHAT_LOG=x"), CONFIG_WRONG);
	CHECK_I64(read_args("ollachat sim --print-config --bogus", ""), CONFIG_WRONG);
}

/* A caller that lends too little room gets a cut text, no more. */
static void test_small_out(void)
{
	static const char *const rows[] = { "ollachat", "ollachat demo --help", "ollachat help",
					    "ollachat demo --print-config",
					    "ollachat backend --x" };
	size_t room;

	FOR_ROWS(i, rows)
	{
		check_case("%s in little room", rows[i]);
		for (room = 0; room < 300; room++)
			if (read_with(rows[i], "", room) == CONFIG_RUN || said.n > room)
				break;
		CHECK_U64(room, 300);
	}
}

static void test_no_argv(void)
{
	char *argv[] = { NULL };
	struct buf out;

	check_case("no argv at all");
	buf_init(&out, out_mem, sizeof(out_mem));
	CHECK_I64(config_read(0, argv, fake_env, &config, &out), CONFIG_WRONG);
}

int main(void)
{
	test_errors();
	test_error_long();
	test_help();
	test_version();
	test_print();
	test_small_out();
	test_no_argv();
	return check_done();
}
