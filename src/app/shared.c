/* SPDX-License-Identifier: MIT */
/* shared.c: the guarded texts of the shared page. */
#include "app/shared.h"
#include "base/seq.h"

void shared_write_text(struct shared *s, char *text, struct slice value, size_t n)
{
	uint32_t odd = s->texts_seq | 1; /* whatever a worker made of it */

	seq_set(&s->texts_seq, odd);
	value.n = MIN(value.n, n - 1);
	*slice_copy_to(text, value) = '\0';
	seq_set(&s->texts_seq, odd + 1);
}

void shared_read_text(const struct shared *s, const char *text, char *out, size_t n)
{
	unsigned tries;

	for (tries = 0; tries < 1000; tries++) {
		uint32_t before = seq_read(&s->texts_seq);

		memcpy(out, text, n);
		if (!(before & 1) && seq_same(&s->texts_seq, before))
			break;
	}
	out[n - 1] = '\0';
}
