/* SPDX-License-Identifier: MIT */
/* keeper_reload.c: SIGHUP: what is read from files at start is read again; a bad file changes
 * nothing. */
#include "app/keeper_parts.h"

static void reload_keys(struct keeper *k, const struct keeper_group *g)
{
	char mem[128];
	struct log_line l;
	struct buf why;
	unsigned count;

	buf_init(&why, mem, sizeof(mem));
	count = keys_read(g->keys, g->config.api_keys, &why);
	log_begin(&l, &k->log, count > 0 ? LOG_INFO : LOG_ERROR,
		  count > 0 ? "API keys were read again"
			    : "API keys cannot be read, the old ones stay");
	log_str(&l, "file", g->config.api_keys);
	if (count > 0)
		log_num(&l, "keys", count);
	else
		log_text(&l, "why", buf_view(&why));
	log_end(&l);
}

void keeper_reload(struct keeper *k)
{
	bool any = tls_source_reload(k->plan->tls, &k->log);
	size_t i;

	for (i = 0; i < k->plan->count; i++) {
		if (k->plan->groups[i].keys == NULL)
			continue;
		reload_keys(k, &k->plan->groups[i]);
		any = true;
	}
	if (!any)
		log_event(&k->log, LOG_INFO, "SIGHUP: there is nothing to read again", NULL, NULL);
}
