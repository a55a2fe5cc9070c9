/* SPDX-License-Identifier: MIT */
/* test_metrics.c: what is counted where. */
#include "check.h"

#include "app/server.h"

static struct metrics m;

static uint64_t total(enum metric_span span)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i <= METRIC_BUCKETS; i++)
		sum += m.spans[span].buckets[i];
	return sum;
}

/* A value on a bound belongs to that bound (le: less or equal), one more to the next. */
static void test_bounds(void)
{
	unsigned span, i;

	for (span = 0; span < METRIC_SPANS; span++) {
		const uint32_t *bounds = metrics_bounds(span);

		for (i = 0; i < METRIC_BUCKETS && bounds[i] > 0; i++) {
			bool last = i + 1 == METRIC_BUCKETS || bounds[i + 1] == 0;

			check_case("span %u, bound %u", span, bounds[i]);
			CHECK(i == 0 || bounds[i] > bounds[i - 1]);
			memset(&m, 0, sizeof(m));
			metrics_observe(&m, span, bounds[i]);
			CHECK_U64(m.spans[span].buckets[i], 1);
			metrics_observe(&m, span, (int64_t)bounds[i] + 1);
			CHECK_U64(m.spans[span].buckets[last ? METRIC_BUCKETS : i + 1], 1);
			CHECK_U64(total(span), 2);
			CHECK_U64(m.spans[span].sum_ms, 2 * (uint64_t)bounds[i] + 1);
		}
		CHECK(i > 5);
		memset(&m, 0, sizeof(m));
		metrics_observe(&m, span, 0);
		metrics_observe(&m, span, -5); /* a clock's whim */
		metrics_observe(&m, span, INT64_MAX);
		CHECK_U64(m.spans[span].buckets[0], 2);
		CHECK_U64(m.spans[span].buckets[METRIC_BUCKETS], 1);
		CHECK_U64(m.spans[span].sum_ms, INT64_MAX);
	}
	check_case("-");
}

static void test_codes(void)
{
	unsigned status, known = 0;

	for (status = 0; status < 1200; status++) {
		unsigned i, at = METRIC_CODES;

		memset(&m, 0, sizeof(m));
		metrics_http(&m, 3, HTTP_POST, status);
		for (i = 0; i < METRIC_CODES; i++)
			if (m.requests_by[3][2][i] > 0)
				at = i;
		check_case("status %u", status);
		CHECK(at == METRIC_CODE_OTHER || metrics_code(at) == status);
		CHECK_U64(m.requests[3], 1);
		known += at != METRIC_CODE_OTHER;
	}
	CHECK(known > 40);
	CHECK_U64(metrics_code(METRIC_CODE_OTHER), 0);
	check_case("-");
}

static void test_methods(void)
{
	static const unsigned methods[] = { HTTP_GET,    HTTP_HEAD,    HTTP_POST,  HTTP_PUT,
					    HTTP_DELETE, HTTP_OPTIONS, HTTP_PATCH, HTTP_OTHER };

	FOR_ROWS(i, methods)
	{
		memset(&m, 0, sizeof(m));
		metrics_http(&m, METRIC_ROUTE_NONE, methods[i], 200);
		CHECK_U64(m.requests_by[METRIC_ROUTE_NONE][i][1], 1);
	}
	memset(&m, 0, sizeof(m));
	metrics_http(&m, 1000, 3, 200); /* not of this world */
	CHECK_U64(m.requests_by[METRIC_ROUTE_NONE][METRIC_METHODS - 1][1], 1);
}

static void test_routes(void)
{
	static const struct route routes[] = { { SLICE_INIT("/a"), HTTP_GET, 0, NULL },
					       { SLICE_INIT("/b"), HTTP_GET, 0, NULL } };
	static const struct route fallback = { SLICE_INIT(""), HTTP_GET, 0, NULL };
	static const struct route stranger = { SLICE_INIT("/a"), HTTP_GET, 0, NULL };
	const struct role_kind kind = { .routes = routes, .route_count = 2, .fallback = &fallback };

	CHECK_U64(metrics_route(&kind, &routes[0]), 0);
	CHECK_U64(metrics_route(&kind, &routes[1]), 1);
	CHECK_U64(metrics_route(&kind, &fallback), METRIC_ROUTE_OTHER);
	CHECK_U64(metrics_route(&kind, &stranger), METRIC_ROUTE_NONE);
	CHECK_U64(metrics_route(&kind, NULL), METRIC_ROUTE_NONE);
}

int main(void)
{
	test_bounds();
	test_codes();
	test_methods();
	test_routes();
	return check_done();
}
