/* SPDX-License-Identifier: MIT */
/* metrics_page.c: adds up what the workers counted, and writes it. Every worker of the service is in
 * it, so that a page shows the whole whoever serves it; `demo` shows both of its roles. Its stand-in
 * for Ollama is left out: it plays somebody else's part. */
#include "app/metrics_page.h"
#include "app/access.h"
#include "base/fmt.h"
#include "proto/prometheus.h"

enum { PAGE_FIRST = 64 * 1024, PAGE_MAX = 8 * 1024 * 1024, PATTERN_MAX = 64, NUMBER_MAX = 8 };

struct page {
	struct prometheus out;
	const struct server *server;
	const struct metrics_board *board;
	bool generates; /* a worker here has an Ollama */
};

/* ---- sums ---- */

static bool is_ours(const struct metrics_place *p)
{
	return !slice_eq(slice_str(p->kind->name), SLICE("sim"));
}

/* Of one figure over all workers; `at` is its place in their blocks. */
static uint64_t sum_at(const struct page *p, size_t at)
{
	uint64_t sum = 0;
	unsigned i;

	for (i = 0; i < p->board->count; i++) {
		const struct metrics *m = &p->board->of[i];

		if (is_ours(&p->board->places[i]))
			sum += *(const volatile uint64_t *)(const void *)((const char *)m + at);
	}
	return sum;
}

#define SUM(p, field) sum_at((p), offsetof(struct metrics, field))

/* ---- HTTP ---- */

static struct slice pattern(const struct role_kind *kind, unsigned route, struct buf *mem)
{
	const struct route *r;

	if (route == METRIC_ROUTE_NONE)
		return SLICE("none");
	if (route >= kind->route_count)
		return SLICE("other");
	r = &kind->routes[route];
	if (!(r->flags & ROUTE_PREFIX))
		return r->path;
	buf_put(mem, r->path);
	buf_put_byte(mem, '*');
	return buf_view(mem);
}

static struct slice method_name(unsigned place)
{
	static const char *const names[METRIC_METHODS] = { "GET",    "HEAD",    "POST",  "PUT",
							   "DELETE", "OPTIONS", "PATCH", "other" };

	return slice_str(names[place]);
}

static struct slice code_name(unsigned place, struct buf *mem)
{
	if (place == METRIC_CODE_OTHER)
		return SLICE("other");
	fmt_u64(mem, metrics_code(place));
	return buf_view(mem);
}

static void put_requests(struct page *p, const struct role_kind *kind, unsigned route,
			 unsigned method, unsigned code, uint64_t count)
{
	char path[PATTERN_MAX], number[NUMBER_MAX];
	struct buf path_mem, number_mem;
	struct prometheus_label l[4] = {
		{ .name = "role" }, { .name = "route" }, { .name = "method" }, { .name = "code" }
	};

	buf_init(&path_mem, path, sizeof(path));
	buf_init(&number_mem, number, sizeof(number));
	l[0].value = slice_str(kind->name);
	l[1].value = pattern(kind, route, &path_mem);
	l[2].value = method_name(method);
	l[3].value = code_name(code, &number_mem);
	prometheus_sample(&p->out, l, ARRAY_LEN(l), count);
}

static uint64_t requests_by(const struct page *p, const struct role_kind *kind, unsigned route,
			    unsigned method, unsigned code)
{
	uint64_t sum = 0;
	unsigned i;

	for (i = 0; i < p->board->count; i++)
		if (p->board->places[i].kind == kind)
			sum += p->board->of[i].requests_by[route][method][code];
	return sum;
}

static uint64_t requests_of_route(const struct page *p, const struct role_kind *kind,
				  unsigned route)
{
	uint64_t sum = 0;
	unsigned i;

	for (i = 0; i < p->board->count; i++)
		if (p->board->places[i].kind == kind)
			sum += p->board->of[i].requests[route];
	return sum;
}

static void put_requests_of_route(struct page *p, const struct role_kind *kind, unsigned route)
{
	unsigned method, code;

	for (method = 0; method < METRIC_METHODS; method++)
		for (code = 0; code < METRIC_CODES; code++) {
			uint64_t count = requests_by(p, kind, route, method, code);

			if (count > 0)
				put_requests(p, kind, route, method, code, count);
		}
}

/* Routes never asked for are passed over before their many figures are touched. */
static void put_requests_of_role(struct page *p, const struct role_kind *kind)
{
	unsigned route;

	for (route = 0; route < METRIC_ROUTES; route++)
		if (requests_of_route(p, kind, route) > 0)
			put_requests_of_route(p, kind, route);
}

static void put_http(struct page *p)
{
	const struct role_kind *last = NULL;
	const struct prometheus_label active = { "state", SLICE_INIT("active") };
	const struct prometheus_label idle = { "state", SLICE_INIT("idle") };
	uint64_t idle_count = SUM(p, connections_idle), all = SUM(p, connections);
	unsigned i;

	prometheus_family(
		&p->out, "ollachat_http_requests_total", PROMETHEUS_COUNTER,
		"Requests that are over. Code 499: the client left before it had a status.");
	for (i = 0; i < p->board->count; i++) { /* workers of a role lie together */
		const struct metrics_place *at = &p->board->places[i];

		if (is_ours(at) && at->kind != last)
			put_requests_of_role(p, at->kind);
		last = at->kind;
	}
	prometheus_family(&p->out, "ollachat_http_connections", PROMETHEUS_GAUGE,
			  "Connections of clients; idle ones wait for a request.");
	prometheus_sample(&p->out, &active, 1, all - MIN(idle_count, all));
	prometheus_sample(&p->out, &idle, 1, idle_count);
}

/* ---- generations ---- */

static void put_gauge(struct page *p, const char *name, const char *help, uint64_t v)
{
	prometheus_family(&p->out, name, PROMETHEUS_GAUGE, help);
	prometheus_sample(&p->out, NULL, 0, v);
}

static void put_counter(struct page *p, const char *name, const char *help, uint64_t v)
{
	prometheus_family(&p->out, name, PROMETHEUS_COUNTER, help);
	prometheus_sample(&p->out, NULL, 0, v);
}

static void put_span(struct page *p, enum metric_span span, const char *name, const char *help)
{
	const uint32_t *bounds = metrics_bounds(span);
	uint64_t buckets[METRIC_BUCKETS + 1];
	size_t n, at = offsetof(struct metrics, spans) + span * sizeof(struct metric_histogram);

	for (n = 0; n < METRIC_BUCKETS && bounds[n] > 0; n++)
		buckets[n] = sum_at(p, at + n * sizeof(uint64_t));
	buckets[n] = sum_at(p, at + METRIC_BUCKETS * sizeof(uint64_t));
	prometheus_family(&p->out, name, PROMETHEUS_HISTOGRAM, help);
	prometheus_histogram(&p->out, bounds, buckets, n,
			     sum_at(p, at + offsetof(struct metric_histogram, sum_ms)));
}

static void put_generations(struct page *p)
{
	static const char *const results[METRIC_RESULTS] = {
		[METRIC_OK] = "ok",
		[METRIC_ERROR] = "error",
		[METRIC_CANCELLED] = "cancelled",
		[METRIC_REJECTED] = "rejected",
		[METRIC_TIMEOUT] = "timeout",
	};
	const struct shared *sh = p->server->env.shared;
	unsigned i;

	put_gauge(p, "ollachat_generations_active", "Generations running in Ollama.", sh->active);
	put_gauge(p, "ollachat_generations_queued", "Requests waiting for a turn.", sh->queued);
	prometheus_family(&p->out, "ollachat_generations_total", PROMETHEUS_COUNTER,
			  "Generations that are over, by how they ended.");
	for (i = 0; i < METRIC_RESULTS; i++) {
		struct prometheus_label l = { "result", slice_str(results[i]) };

		prometheus_sample(&p->out, &l, 1, SUM(p, generations[i]));
	}
	put_span(p, METRIC_QUEUE_WAIT, "ollachat_queue_wait_seconds", "Waiting for a turn.");
	put_span(p, METRIC_FIRST_TOKEN, "ollachat_time_to_first_token_seconds",
		 "From the turn to the first piece of the answer.");
	put_span(p, METRIC_GENERATION, "ollachat_generation_seconds",
		 "From the turn to the end of the answer.");
	put_counter(p, "ollachat_output_tokens_total", "Tokens that Ollama said it made.",
		    SUM(p, output_tokens));
	put_counter(p, "ollachat_input_tokens_total", "Tokens that Ollama said it read.",
		    SUM(p, input_tokens));
	put_counter(p, "ollachat_heartbeats_total", "Signs of life sent in silent answers.",
		    SUM(p, heartbeats));
}

static void put_faults(struct page *p)
{
	static const char *const faults[METRIC_FAULTS] = {
		[METRIC_FAULT_REFUSED] = "refused",
		[METRIC_FAULT_CONNECT] = "connect",
		[METRIC_FAULT_HANGUP] = "hangup",
		[METRIC_FAULT_NONSENSE] = "nonsense",
		[METRIC_FAULT_FIRST_BYTE] = "first_byte_timeout",
		[METRIC_FAULT_STALL] = "stall_timeout",
		[METRIC_FAULT_BROKEN] = "broken",
		[METRIC_FAULT_UNFINISHED] = "unfinished",
		[METRIC_FAULT_TOO_LONG] = "too_long",
		[METRIC_FAULT_IN_STREAM] = "in_stream",
		[METRIC_FAULT_STATUS] = "status",
	};
	unsigned i;

	prometheus_family(&p->out, "ollachat_upstream_errors_total", PROMETHEUS_COUNTER,
			  "What Ollama did wrong.");
	for (i = 0; i < METRIC_FAULTS; i++) {
		struct prometheus_label l = { "kind", slice_str(faults[i]) };

		prometheus_sample(&p->out, &l, 1, SUM(p, faults[i]));
	}
}

/* ---- the service ---- */

static void put_service(struct page *p)
{
	const struct shared *sh = p->server->env.shared;
	bool up = sh->answered_ms > 0 && !sh->probe_failing;

	put_counter(p, "ollachat_log_dropped_total", "Lines of the log that nobody took in time.",
		    sh->log_dropped);
	put_counter(p, "ollachat_worker_restarts_total", "Workers that died and were replaced.",
		    sh->worker_restarts);
	if (p->generates) {
		put_gauge(p, "ollachat_ollama_up", "Whether Ollama answered the latest probe.", up);
		put_gauge(p, "ollachat_model_ready",
			  "Whether the default model is loaded; without one: as ollama_up.",
			  up && sh->model_ready);
	}
	put_gauge(p, "ollachat_draining", "Whether this service is stopping.",
		  shared_is_leaving(sh));
}

static void put_process(struct page *p)
{
	const struct metrics_usage *u = p->board->usage;

	prometheus_family(&p->out, "process_start_time_seconds", PROMETHEUS_GAUGE,
			  "When the service started, in Unix time.");
	prometheus_sample_ms(&p->out, NULL, 0, (uint64_t)MAX(p->board->started_ms, INT64_C(0)));
	if (u->virtual == 0) /* no /proc here */
		return;
	prometheus_family(&p->out, "process_cpu_seconds_total", PROMETHEUS_COUNTER,
			  "User and system time of all processes of the service.");
	prometheus_sample_ms(&p->out, NULL, 0, u->cpu_ms);
	put_gauge(p, "process_resident_memory_bytes",
		  "Resident memory of all processes; what they share is counted once.",
		  u->resident);
	put_gauge(p, "process_virtual_memory_bytes", "Virtual memory of all processes.",
		  u->virtual);
	if (u->open_fds > 0)
		put_gauge(p, "process_open_fds", "Open descriptors of all processes.", u->open_fds);
	if (u->max_fds > 0)
		put_gauge(p, "process_max_fds", "The descriptor limits of all processes, added up.",
			  u->max_fds);
}

static void put_page(struct page *p)
{
	const struct prometheus_label version = { "version", SLICE_INIT(OLLACHAT_VERSION) };

	prometheus_family(&p->out, "ollachat_build_info", PROMETHEUS_GAUGE, "Always 1.");
	prometheus_sample(&p->out, &version, 1, 1);
	put_http(p);
	if (p->generates) {
		put_generations(p);
		put_faults(p);
	}
	put_service(p);
	put_process(p);
}

static void page_init(struct page *p, const struct server *s)
{
	unsigned i;

	p->server = s;
	p->board = s->start->board;
	p->generates = false;
	for (i = 0; i < p->board->count; i++)
		p->generates |= p->board->places[i].generates;
}

static void page_reply(struct conn *c)
{
	struct mem *m = &c->server->mem;
	size_t want, cap;
	struct page p;
	struct buf b;
	void *block;

	page_init(&p, c->server);
	for (want = PAGE_FIRST; want <= PAGE_MAX; want *= 2) {
		block = mem_take(m, want, &cap);
		if (block == NULL)
			break;
		buf_init(&b, block, cap);
		prometheus_init(&p.out, &b);
		put_page(&p);
		if (!p.out.full) {
			conn_reply_block(c, 200, SLICE(PROMETHEUS_TYPE),
					 SLICE("Cache-Control: no-store\r\n"), block, cap,
					 buf_len(&b));
			return;
		}
		mem_give(m, block, cap);
	}
	conn_error(c, 503, SLICE("out of memory for the metrics, try again"), 5);
}

void metrics_get(struct conn *c)
{
	if (!c->server->env.config->metrics)
		conn_error(c, 404, SLICE("there are no metrics here; see --metrics"), 0);
	else if (!access_is_admin(c))
		conn_error(c, 403, SLICE("metrics are not shown through a proxy; see --admin-from"),
			   0);
	else
		page_reply(c);
}
