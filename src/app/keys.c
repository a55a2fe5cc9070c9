/* SPDX-License-Identifier: MIT */
/* keys.c: the API keys that count, and how they change under the workers' eyes. */
#include "app/keys.h"
#include "base/fmt.h"
#include "base/seq.h"
#include "io/file.h"
#include "io/mem.h"

struct keys *keys_open(void)
{
	int fd;
	struct keys *k = mem_shown(sizeof(*k), &fd);

	if (k != NULL)
		k->fd = fd;
	return k;
}

bool keys_fix(struct keys *k)
{
	return k == NULL || mem_shown_fix(k, sizeof(*k), k->fd);
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
	struct keys_half *half = &k->half[(k->seq + 1) & 1];
	const char *words = "out of memory";
	unsigned line = 0, count = 0;
	size_t n;

	if (text != NULL && file_read_whole(path, text, API_KEY_FILE_MAX, &n, &words))
		count = api_keys_parse(slice_make(text, n), half->digests, &line, &words);
	mem_unmap(text, API_KEY_FILE_MAX);
	if (count == 0) {
		put_why(why, line, words);
		return 0;
	}
	half->count = count;
	seq_step(&k->seq);
	return count;
}

static bool half_has(const struct keys_half *half, const struct digest *d)
{
	size_t i, count = MIN(half->count, (uint32_t)API_KEYS_MAX);
	unsigned found = 0;

	for (i = 0; i < count; i++)
		found |= digest_eq(&half->digests[i], d);
	return found;
}

bool keys_has(const struct keys *k, const struct digest *d)
{
	uint32_t seq;
	bool found;

	do { /* again if it was the keeper's turn to write what we looked at */
		seq = seq_read(&k->seq);
		found = half_has(&k->half[seq & 1], d);
	} while (!seq_same(&k->seq, seq));
	return found;
}
