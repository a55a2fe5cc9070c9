/* SPDX-License-Identifier: MIT */
/* shared.c: the guarded texts of the shared page. */
#include "app/shared.h"

void shared_write_text(struct shared *s, char *text, struct slice value, size_t n)
{
	uint32_t odd = __atomic_load_n(&s->texts_seq, __ATOMIC_RELAXED) | 1;

	__atomic_store_n(&s->texts_seq, odd, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	value.n = MIN(value.n, n - 1);
	*slice_copy_to(text, value) = '\0';
	__atomic_store_n(&s->texts_seq, odd + 1, __ATOMIC_RELEASE);
}

void shared_read_text(const struct shared *s, const char *text, char *out, size_t n)
{
	unsigned tries;

	for (tries = 0; tries < 1000; tries++) {
		uint32_t before = __atomic_load_n(&s->texts_seq, __ATOMIC_ACQUIRE);

		memcpy(out, text, n);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (!(before & 1) && __atomic_load_n(&s->texts_seq, __ATOMIC_RELAXED) == before)
			break;
	}
	out[n - 1] = '\0';
}
