/* SPDX-License-Identifier: MIT */
/* keeper.c: the keeper's birth, its signals, its end. */
#include "app/keeper_parts.h"
#include "base/fmt.h"
#include "io/proc.h"
#include "io/sock.h"

enum { LOOP_CAPACITY = 2048 };

/* "http://127.0.0.1:3000" */
static void put_url(struct buf *b, const struct sock_addr *a, bool https)
{
	struct ip_addr ip;

	memcpy(ip.b, a->ip, sizeof(ip.b));
	buf_put_str(b, https ? "https://" : "http://");
	if (a->v6)
		buf_put_byte(b, '[');
	ip_write(b, &ip);
	if (a->v6)
		buf_put_byte(b, ']');
	buf_put_byte(b, ':');
	fmt_u64(b, a->port);
}

static void announce_address(struct keeper *k, const struct sock_addr *a, bool https)
{
	char mem[256];
	struct buf b;

	buf_init(&b, mem, sizeof(mem) - 1);
	buf_put_str(&b, "listening on ");
	put_url(&b, a, https);
	mem[buf_len(&b)] = '\0';
	log_event(&k->log, LOG_INFO, mem, "version", OLLACHAT_VERSION);
	buf_put_byte(&b, '\n');
	proc_write_stdout(buf_view(&b));
}

/* Inherited ones may have several addresses. */
static void announce_listeners(struct keeper *k, const struct keeper_group *g)
{
	struct sock_addr at[SHARED_WORKERS_MAX];
	unsigned i, n;

	for (i = 0; i < g->listener_count; i++) {
		sock_local(g->listeners[i], &at[i]);
		for (n = 0; n < i && !sock_addr_eq(&at[n], &at[i]); n++)
			;
		if (n == i)
			announce_address(k, &at[i], g->config.tls != TLS_OFF);
	}
	if (k->plan->note != NULL)
		proc_write_stdout(slice_str(k->plan->note));
}

static void on_signal(void *ctx, unsigned signal)
{
	struct keeper *k = ctx;

	if (signal == PROC_SIGCHLD) {
		keeper_reap(k);
	} else if (signal == PROC_SIGTERM || signal == PROC_SIGINT) {
		if (k->stopping)
			keeper_stop_now(k);
		else
			keeper_stop(k, signal == PROC_SIGTERM);
	} else if (signal == PROC_SIGHUP) {
		keeper_reload(k);
	} else if (signal == PROC_SIGUSR2) {
		keeper_upgrade(k);
	}
}

/* ---- birth ---- */

/* What the upstream is called in the Host field: its own address, never a client's. */
static void name_host(struct group *g, const struct url *u)
{
	struct buf b;
	bool v6 = u->ip && memchr(u->host.p, ':', u->host.n) != NULL;

	buf_init(&b, g->host, sizeof(g->host));
	if (v6)
		buf_put_byte(&b, '[');
	if (slice_eq_nocase(u->host, SLICE("localhost")))
		buf_put_str(&b, "127.0.0.1");
	else
		buf_put(&b, u->host);
	if (v6)
		buf_put_byte(&b, ']');
	buf_put_byte(&b, ':');
	fmt_u64(&b, u->port);
	g->host_text = buf_view(&b);
}

static bool group_open(struct keeper *k, size_t i)
{
	struct keeper_group *plan = &k->plan->groups[i];
	struct group *g = &k->groups[i];
	unsigned n;

	g->plan = plan;
	if (plan->upstream != NULL) {
		struct tls_side *tls = NULL;

		name_host(g, plan->upstream);
		if (plan->upstream->https) {
			tls = tls_client_open(&k->mem, tls_source_shared(k->plan->tls),
					      plan->upstream, k->clock);
			if (tls == NULL)
				return false;
		}
		g->dial = dial_open(k->loop, plan->upstream, plan->config.connect_timeout_ms, tls);
		if (g->dial == NULL)
			return false;
	}
	for (n = 0; n < plan->workers && k->worker_count < SHARED_WORKERS_MAX; n++) {
		keeper_worker_init(&k->workers[k->worker_count], k, g, n);
		metrics_board_add(k->board, plan->kind, plan->probes);
	}
	return true;
}

static void keeper_log_init(struct keeper *k)
{
	const struct config *cf = &k->plan->groups[k->plan->count - 1].config;

	log_to_stderr(&k->log);
	k->log.json = cf->log_json;
	k->log.level = cf->log_level;
	k->log.clock = k->clock;
	k->log.role = "keeper";
	k->log.dropped = &k->shared->log_dropped;
}

static bool keeper_open(struct keeper *k)
{
	static const int signals[] = { PROC_SIGTERM, PROC_SIGINT, PROC_SIGHUP, PROC_SIGUSR2,
				       PROC_SIGCHLD };
	size_t i;

	k->clock = &clock_system;
	k->shared = mem_shared(sizeof(*k->shared));
	k->loop = loop_open(k->clock, LOOP_CAPACITY);
	k->board = metrics_board_open(SHARED_WORKERS_MAX);
	if (k->shared == NULL || k->board == NULL || k->loop == NULL)
		return false;
	k->started_ms = loop_now(k->loop);
	k->shared->started_ms = k->started_ms;
	k->board->started_ms = clock_wall(k->clock);
	k->shared->boot_offset_ms = clock_boot_offset();
	keeper_log_init(k);
	keeper_stop_init(k);
	keeper_upgrade_init(k);
	if (!loop_signals(k->loop, signals, ARRAY_LEN(signals), on_signal, k))
		return false;
	for (i = 0; i < k->plan->count; i++)
		if (!group_open(k, i))
			return false;
	return true;
}

void keeper_start_workers(struct keeper *k)
{
	unsigned i;

	for (i = 0; i < k->worker_count && !k->started; i++)
		if (!keeper_worker_start(&k->workers[i]))
			keeper_worker_restart(&k->workers[i]);
	k->started = true;
	loop_timer_clear(k->loop, &k->look_timer);
}

static void on_looked(void *ctx, bool answered)
{
	struct keeper *k = ctx;
	size_t i;

	keeper_start_workers(k);
	for (i = 0; i < k->plan->count; i++)
		if (k->groups[i].pull != NULL && !k->handed_over && !k->stopping)
			pull_on_looked(k->groups[i].pull, answered);
}

static bool has_probe(const struct keeper_plan *p)
{
	size_t i;

	for (i = 0; i < p->count; i++)
		if (p->groups[i].probes)
			return true;
	return false;
}

static bool probe_start(struct keeper *k)
{
	size_t i;

	for (i = 0; i < k->plan->count; i++) {
		struct group *g = &k->groups[i];

		if (!g->plan->probes)
			continue;
		g->probe = probe_open(k->loop, g->dial, &g->plan->config, k->shared, &k->log,
				      g->host_text);
		if (g->probe == NULL)
			return false;
		probe_watch(g->probe, on_looked, k);
		if (!g->plan->config.pull_missing)
			continue;
		g->pull = pull_open(k->loop, g->dial, &g->plan->config, k->shared, &k->log,
				    g->host_text, g->probe);
		if (g->pull == NULL)
			return false;
	}
	return true;
}

int keeper_run(struct keeper_plan *plan)
{
	struct keeper *k = mem_pages(sizeof(*k));
	bool waits;
	size_t g;

	if (k == NULL)
		return 1;
	k->plan = plan;
	if (!keeper_open(k)) {
		proc_write_stderr(SLICE("ollachat: cannot start: out of memory or descriptors\n"));
		return 1;
	}
	proc_ignore_signals(NULL, 0);
	tls_source_warn(plan->tls, &k->log);
	for (g = 0; g < plan->count; g++)
		if (!plan->groups[g].hidden)
			announce_listeners(k, &plan->groups[g]);
	waits = keeper_upgrade_waits(k, has_probe(plan));
	keeper_notify_init(k);
	if (!waits)
		keeper_start_workers(k);
	if (!probe_start(k))
		return 1;
	if (plan->groups[plan->count - 1].config.metrics)
		measure_start(&k->measure, k->loop, k->board);
	loop_run(k->loop, NULL);
	keeper_stop_told(k);
	return k->exit_code;
}
