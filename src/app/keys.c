/* SPDX-License-Identifier: MIT */
/* keys.c: the API keys that count, and how they change under the workers' eyes. */
#include "app/keys.h"
#include "base/fmt.h"
#include "io/file.h"
#include "io/mem.h"

struct keys_half {
	uint32_t count;
	struct digest digests[API_KEYS_MAX];
};

/* Shared with the workers. */
struct keys_shown {
	uint32_t seq; /* the half that counts is seq & 1; the other one is written next */
	struct keys_half half[2];
};

struct keys {
	struct keys_shown *shown;
	struct keys_half now, next; /* the keeper's own: what is to be shown; what is being read */
};

struct keys *keys_open(void)
{
	struct keys *k = mem_pages(sizeof(*k));

	if (k != NULL)
		k->shown = mem_shared(sizeof(*k->shown));
	return k != NULL && k->shown != NULL ? k : NULL;
}

static size_t used(const struct keys_half *half)
{
	return offsetof(struct keys_half, digests) + half->count * sizeof(half->digests[0]);
}

static void show(struct keys *k)
{
	struct keys_shown *s = k->shown;

	memcpy(&s->half[(s->seq + 1) & 1], &k->now, used(&k->now));
	__atomic_fetch_add(&s->seq, 1, __ATOMIC_SEQ_CST);
}

void keys_show_again(struct keys *k)
{
	if (memcmp(&k->shown->half[k->shown->seq & 1], &k->now, used(&k->now)) != 0)
		show(k);
}

static void put_why(struct buf *why, unsigned line, const char *words)
{
	if (line > 0) {
		buf_put_str(why, "line ");
		fmt_u64(why, line);
		buf_put_str(why, ": ");
	}
	buf_put_str(why, words);
}

unsigned keys_read(struct keys *k, const char *path, struct buf *why)
{
	/* pages of its own, gone before a worker is forked that could look at them */
	char *text = mem_pages(API_KEY_FILE_MAX);
	const char *words = "out of memory";
	unsigned line = 0, count = 0;
	size_t n;

	if (text != NULL && file_read_whole(path, text, API_KEY_FILE_MAX, &n, &words))
		count = api_keys_parse(slice_make(text, n), k->next.digests, &line, &words);
	mem_unmap(text, API_KEY_FILE_MAX);
	if (count == 0) {
		put_why(why, line, words);
		return 0;
	}
	k->next.count = count;
	memcpy(&k->now, &k->next, used(&k->next));
	show(k);
	return count;
}

static bool half_has(const struct keys_half *half, const struct digest *d)
{
	size_t i, count = MIN(__atomic_load_n(&half->count, __ATOMIC_RELAXED),
			      (uint32_t)API_KEYS_MAX);
	unsigned found = 0;

	for (i = 0; i < count; i++)
		found |= digest_eq(&half->digests[i], d);
	return found;
}

bool keys_has(const struct keys *k, const struct digest *d)
{
	const struct keys_shown *s = k->shown;
	uint32_t seq;
	bool found;

	do { /* again if it was the keeper's turn to write what we looked at */
		seq = __atomic_load_n(&s->seq, __ATOMIC_ACQUIRE);
		found = half_has(&s->half[seq & 1], d);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (__atomic_load_n(&s->seq, __ATOMIC_RELAXED) != seq);
	return found;
}
