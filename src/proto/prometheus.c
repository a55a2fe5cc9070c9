/* SPDX-License-Identifier: MIT */
/* prometheus.c: families and samples into a buf. */
#include "proto/prometheus.h"
#include "base/fmt.h"

static const char *const kinds[] = {
	[PROMETHEUS_COUNTER] = "counter",
	[PROMETHEUS_GAUGE] = "gauge",
	[PROMETHEUS_HISTOGRAM] = "histogram",
};

static void put(struct prometheus *p, struct slice s)
{
	if (!buf_put(p->out, s))
		p->full = true;
}

static void put_str(struct prometheus *p, const char *s)
{
	put(p, slice_str(s));
}

static void put_u64(struct prometheus *p, uint64_t v)
{
	if (!fmt_u64(p->out, v))
		p->full = true;
}

static void put_seconds(struct prometheus *p, uint64_t ms)
{
	char mem[32];
	struct buf b;
	struct slice s;

	buf_init(&b, mem, sizeof(mem));
	fmt_ms(&b, ms);
	s = buf_view(&b);
	while (s.p[s.n - 1] == '0')
		s.n--;
	if (s.p[s.n - 1] == '.')
		s.n--;
	put(p, s);
}

/* Help texts and label values: no line may end within them, no value's quotation before its time. */
static void put_escaped(struct prometheus *p, struct slice s, bool quoted)
{
	size_t i;

	for (i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '\n')
			put(p, SLICE("\\n"));
		else if (c == '\\')
			put(p, SLICE("\\\\"));
		else if (c == '"' && quoted)
			put(p, SLICE("\\\""));
		else
			put(p, slice_make(&s.p[i], 1));
	}
}

void prometheus_init(struct prometheus *p, struct buf *out)
{
	p->out = out;
	p->full = false;
	p->name = "";
}

void prometheus_family(struct prometheus *p, const char *name, enum prometheus_kind kind,
		       const char *help)
{
	p->name = name;
	put_str(p, "# HELP ");
	put_str(p, name);
	put_str(p, " ");
	put_escaped(p, slice_str(help), false);
	put_str(p, "\n# TYPE ");
	put_str(p, name);
	put_str(p, " ");
	put_str(p, kinds[kind]);
	put_str(p, "\n");
}

static void put_head(struct prometheus *p, const char *suffix, const struct prometheus_label *l,
		     size_t labels)
{
	size_t i;

	put_str(p, p->name);
	put_str(p, suffix);
	for (i = 0; i < labels; i++) {
		put_str(p, i == 0 ? "{" : ",");
		put_str(p, l[i].name);
		put_str(p, "=\"");
		put_escaped(p, l[i].value, true);
		put_str(p, "\"");
	}
	put_str(p, labels > 0 ? "} " : " ");
}

void prometheus_sample(struct prometheus *p, const struct prometheus_label *l, size_t labels,
		       uint64_t value)
{
	put_head(p, "", l, labels);
	put_u64(p, value);
	put_str(p, "\n");
}

void prometheus_sample_ms(struct prometheus *p, const struct prometheus_label *l, size_t labels,
			  uint64_t ms)
{
	put_head(p, "", l, labels);
	put_seconds(p, ms);
	put_str(p, "\n");
}

void prometheus_histogram(struct prometheus *p, const uint32_t *bounds, const uint64_t *buckets,
			  size_t n, uint64_t sum_ms)
{
	uint64_t count = 0;
	size_t i;

	for (i = 0; i <= n; i++) {
		count += buckets[i];
		put_str(p, p->name);
		put_str(p, "_bucket{le=\"");
		if (i < n)
			put_seconds(p, bounds[i]);
		else
			put_str(p, "+Inf");
		put_str(p, "\"} ");
		put_u64(p, count);
		put_str(p, "\n");
	}
	put_head(p, "_sum", NULL, 0);
	put_seconds(p, sum_ms);
	put_str(p, "\n");
	put_head(p, "_count", NULL, 0);
	put_u64(p, count);
	put_str(p, "\n");
}
