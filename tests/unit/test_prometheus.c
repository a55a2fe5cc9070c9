/* SPDX-License-Identifier: MIT */
/* test_prometheus.c: pages of figures, byte for byte. */
#include "check.h"

#include "proto/prometheus.h"

static char mem[4096];
static struct buf out;
static struct prometheus page;

static void start(void)
{
	buf_init(&out, mem, sizeof(mem));
	prometheus_init(&page, &out);
}

static void test_families(void)
{
	start();
	prometheus_family(&page, "a_total", PROMETHEUS_COUNTER, "What \\ it\nis \"for\".");
	prometheus_sample(&page, NULL, 0, 0);
	prometheus_family(&page, "b", PROMETHEUS_GAUGE, "B.");
	prometheus_sample(&page, NULL, 0, UINT64_MAX);
	CHECK_STR(buf_view(&out), "# HELP a_total What \\\\ it\\nis \"for\".\n"
				  "# TYPE a_total counter\n"
				  "a_total 0\n"
				  "# HELP b B.\n"
				  "# TYPE b gauge\n"
				  "b 18446744073709551615\n");
	CHECK(!page.full);
}

static void test_labels(void)
{
	const struct prometheus_label l[] = { { "x", SLICE_INIT("a\"b\\c\nd{}e, f=") },
					      { "y", SLICE_INIT("") } };

	start();
	prometheus_family(&page, "a", PROMETHEUS_GAUGE, "A.");
	buf_reset(&out);
	prometheus_sample(&page, l, 1, 7);
	prometheus_sample(&page, l, 2, 8);
	CHECK_STR(buf_view(&out), "a{x=\"a\\\"b\\\\c\\nd{}e, f=\"} 7\n"
				  "a{x=\"a\\\"b\\\\c\\nd{}e, f=\",y=\"\"} 8\n");
}

static void test_seconds(void)
{
	static const struct {
		uint64_t ms;
		const char *want;
	} rows[] = {
		{ 0, "a 0\n" },
		{ 1, "a 0.001\n" },
		{ 10, "a 0.01\n" },
		{ 50, "a 0.05\n" },
		{ 100, "a 0.1\n" },
		{ 999, "a 0.999\n" },
		{ 1000, "a 1\n" },
		{ 2500, "a 2.5\n" },
		{ 600000, "a 600\n" },
		{ 1795463261123, "a 1795463261.123\n" },
		{ UINT64_MAX, "a 18446744073709551.615\n" },
	};

	FOR_ROWS(i, rows)
	{
		check_case("%s", rows[i].want);
		start();
		prometheus_family(&page, "a", PROMETHEUS_GAUGE, "A.");
		buf_reset(&out);
		prometheus_sample_ms(&page, NULL, 0, rows[i].ms);
		CHECK_STR(buf_view(&out), rows[i].want);
	}
	check_case("-");
}

static void test_histogram(void)
{
	static const uint32_t bounds[] = { 50, 1000, 600000 };
	static const uint64_t buckets[] = { 3, 0, 4, 1 };

	start();
	prometheus_family(&page, "h_seconds", PROMETHEUS_HISTOGRAM, "H.");
	prometheus_histogram(&page, bounds, buckets, 3, 1234567);
	CHECK_STR(buf_view(&out), "# HELP h_seconds H.\n"
				  "# TYPE h_seconds histogram\n"
				  "h_seconds_bucket{le=\"0.05\"} 3\n"
				  "h_seconds_bucket{le=\"1\"} 3\n"
				  "h_seconds_bucket{le=\"600\"} 7\n"
				  "h_seconds_bucket{le=\"+Inf\"} 8\n"
				  "h_seconds_sum 1234.567\n"
				  "h_seconds_count 8\n");
}

static void write_all_kinds(size_t room)
{
	static const uint32_t bounds[] = { 50 };
	static const uint64_t buckets[] = { 3, 1 };
	const struct prometheus_label l = { "x", SLICE_INIT("\"\\\n") };

	buf_init(&out, mem, room);
	prometheus_init(&page, &out);
	prometheus_family(&page, "h", PROMETHEUS_HISTOGRAM, "H.");
	prometheus_histogram(&page, bounds, buckets, 1, 1);
	prometheus_sample(&page, &l, 1, 10);
	prometheus_sample_ms(&page, &l, 1, 10);
}

/* With any room less than it takes, the page says that it is of no use. */
static void test_full(void)
{
	size_t room, whole;

	write_all_kinds(sizeof(mem));
	CHECK(!page.full);
	whole = buf_len(&out);
	for (room = 0; room < whole; room++) {
		check_case("room %zu of %zu", room, whole);
		write_all_kinds(room);
		CHECK(page.full);
	}
	write_all_kinds(whole);
	CHECK(!page.full);
}

int main(void)
{
	test_families();
	test_labels();
	test_seconds();
	test_histogram();
	test_full();
	return check_done();
}
