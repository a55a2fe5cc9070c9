/* SPDX-License-Identifier: MIT */
/* config_case.h: one reading of a command line and an environment, both written as text with spaces. */
#ifndef UNIT_CONFIG_CASE_H
#define UNIT_CONFIG_CASE_H

#include "check.h"

#include "app/config.h"

static const char *variables[8]; /* "NAME=value", of the case under test */

static const char *fake_env(const char *name)
{
	size_t i, n = strlen(name);

	for (i = 0; i < ARRAY_LEN(variables) && variables[i] != NULL; i++)
		if (strncmp(variables[i], name, n) == 0 && variables[i][n] == '=')
			return variables[i] + n + 1;
	return NULL;
}

static struct config config;
static char out_mem[CONFIG_OUT_MAX], words[2][2048];
static struct slice said;

/* Cuts text at spaces; "''" stands for nothing. */
static int split(char *mem, const char *text, const char **to, int max)
{
	int n = 0;
	char *p = mem;

	strcpy(mem, text);
	while (n < max) {
		while (*p == ' ')
			p++;
		if (*p == '\0')
			break;
		to[n++] = strncmp(p, "''", 2) == 0 ? "" : p;
		while (*p != ' ' && *p != '\0')
			p++;
		if (*p == ' ')
			*p++ = '\0';
	}
	return n;
}

static enum config_result read_with(const char *args, const char *env, size_t room)
{
	const char *argv[40];
	enum config_result result;
	struct buf out;
	int argc = split(words[0], args, argv, 39);

	argv[argc] = NULL;
	memset(variables, 0, sizeof(variables));
	split(words[1], env, variables, ARRAY_LEN(variables));
	memset(&config, 0xa5, sizeof(config));
	buf_init(&out, out_mem, room);
	result = config_read(argc, (char **)(uintptr_t)argv, fake_env, &config, &out);
	said = buf_view(&out);
	return result;
}

__attribute__((unused)) static enum config_result read_args(const char *args, const char *env)
{
	check_case("%s {%s}", args, env);
	return read_with(args, env, sizeof(out_mem));
}

/* Reads what must be good. */
__attribute__((unused)) static bool runs(const char *args, const char *env)
{
	bool ok = CHECK_I64(read_args(args, env), CONFIG_RUN) && CHECK_U64(said.n, 0);

	if (!ok)
		check_print("said", said);
	return ok;
}

__attribute__((unused)) static bool has_text(const char *text)
{
	return memmem(said.p, said.n, text, strlen(text)) != NULL;
}

#endif
