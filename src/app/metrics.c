/* SPDX-License-Identifier: MIT */
/* metrics.c: counting. */
#include "app/metrics.h"
#include "app/server.h"

/* Upstreams may answer with any number, so the known ones are told apart and the rest is one. */
static const uint16_t codes[METRIC_CODES] = {
	[METRIC_CODE_OTHER] = 0,
	200,
	404,
	304,
	206,
	503,
	499,
	400,
	401,
	403,
	405,
	201,
	202,
	204,
	301,
	302,
	303,
	307,
	308,
	402,
	406,
	408,
	409,
	410,
	411,
	412,
	413,
	414,
	415,
	416,
	417,
	421,
	422,
	424,
	425,
	426,
	428,
	429,
	431,
	500,
	501,
	502,
	504,
	505,
	507,
};

static const uint32_t bounds[METRIC_SPANS][METRIC_BUCKETS] = {
	[METRIC_QUEUE_WAIT] = { 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 120000,
				300000, 600000 },
	[METRIC_FIRST_TOKEN] = { 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 120000,
				 300000, 600000 },
	[METRIC_GENERATION] = { 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 120000,
				300000, 600000, 900000 },
};

struct metrics_board *metrics_board_open(unsigned workers)
{
	struct metrics_board *b = mem_pages(sizeof(*b) + workers * sizeof(*b->places));

	if (b == NULL)
		return NULL;
	b->places = (struct metrics_place *)(b + 1);
	b->usage = mem_shared(sizeof(*b->usage) + workers * sizeof(*b->of));
	if (b->usage == NULL)
		return NULL;
	b->of = (struct metrics *)(b->usage + 1);
	return b;
}

void metrics_board_add(struct metrics_board *b, const struct role_kind *kind, bool generates)
{
	struct metrics_place *p = &b->places[b->count++];

	p->kind = kind;
	p->generates = generates;
}

void metrics_worker_gone(struct metrics_board *b, unsigned index)
{
	struct metrics *m = &b->of[index];

	b->places[index].pid = 0;
	m->connections = m->connections_idle = 0;
}

static void add(volatile uint64_t *to, uint64_t n)
{
	*to = *to + n; /* its only writer */
}

void metrics_generation(struct metrics *m, enum metric_result result)
{
	add(&m->generations[result], 1);
}

void metrics_observe(struct metrics *m, enum metric_span span, int64_t ms)
{
	struct metric_histogram *h = &m->spans[span];
	uint64_t v = ms > 0 ? (uint64_t)ms : 0;
	unsigned i = 0;

	while (i < METRIC_BUCKETS && bounds[span][i] > 0 && v > bounds[span][i])
		i++;
	if (i < METRIC_BUCKETS && bounds[span][i] == 0)
		i = METRIC_BUCKETS;
	add(&h->buckets[i], 1);
	add(&h->sum_ms, v);
}

void metrics_tokens(struct metrics *m, uint64_t input, uint64_t output)
{
	add(&m->input_tokens, input);
	add(&m->output_tokens, output);
}

void metrics_fault(struct metrics *m, enum metric_fault fault)
{
	add(&m->faults[fault], 1);
}

void metrics_heartbeat(struct metrics *m)
{
	add(&m->heartbeats, 1);
}

static unsigned code_place(unsigned status)
{
	unsigned i;

	for (i = 1; i < METRIC_CODES; i++)
		if (codes[i] == status)
			return i;
	return METRIC_CODE_OTHER;
}

static unsigned method_place(unsigned method)
{
	unsigned i = 0;

	while (i < METRIC_METHODS - 1 && method != 1u << i)
		i++;
	return i;
}

void metrics_http(struct metrics *m, unsigned route, unsigned method, unsigned status)
{
	route = MIN(route, (unsigned)METRIC_ROUTE_NONE);
	add(&m->requests[route], 1);
	add(&m->requests_by[route][method_place(method)][code_place(status)], 1);
}

unsigned metrics_route(const struct role_kind *kind, const struct route *route)
{
	size_t i;

	if (route == kind->fallback)
		return METRIC_ROUTE_OTHER;
	for (i = 0; i < kind->route_count; i++)
		if (route == &kind->routes[i])
			return (unsigned)MIN(i, (size_t)METRIC_ROUTE_OTHER);
	return METRIC_ROUTE_NONE;
}

unsigned metrics_code(unsigned place)
{
	return place < METRIC_CODES ? codes[place] : 0;
}

const uint32_t *metrics_bounds(enum metric_span span)
{
	return bounds[span];
}
