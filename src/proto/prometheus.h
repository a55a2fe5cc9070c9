/* SPDX-License-Identifier: MIT */
/* prometheus.h: figures in the Prometheus text format 0.0.4: families with HELP and TYPE, samples
 * with their labels. Numbers are written by hand: no locale, no exponent. */
#ifndef PROTO_PROMETHEUS_H
#define PROTO_PROMETHEUS_H

#include "base/buf.h"

#define PROMETHEUS_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum prometheus_kind { PROMETHEUS_COUNTER, PROMETHEUS_GAUGE, PROMETHEUS_HISTOGRAM };

/* A page under way. */
struct prometheus {
	struct buf *out;
	bool full;        /* it did not fit: what is there is of no use */
	const char *name; /* of the family */
};

struct prometheus_label {
	const char *name;
	struct slice value; /* any bytes: they are escaped */
};

void prometheus_init(struct prometheus *, struct buf *out);
/* Its samples follow, together: a family is told once a page. */
void prometheus_family(struct prometheus *, const char *name, enum prometheus_kind,
		       const char *help);
void prometheus_sample(struct prometheus *, const struct prometheus_label *, size_t labels,
		       uint64_t value);
/* The value is milliseconds, told as seconds: 1500 -> "1.5". */
void prometheus_sample_ms(struct prometheus *, const struct prometheus_label *, size_t labels,
			  uint64_t ms);
/* `bounds`: upper bounds in ms, ascending; `buckets`: `n` counts, each bucket's own, and one more for
 * what is beyond all bounds. Told as the format wants them: cumulative, in seconds, then the sum and
 * the count. */
void prometheus_histogram(struct prometheus *, const uint32_t *bounds, const uint64_t *buckets,
			  size_t n, uint64_t sum_ms);

#endif
