/* SPDX-License-Identifier: MIT */
/* mem.c: power-of-two blocks over mmap. */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fmt.h"
#include "io/mem.h"

enum {
	SMALL_MAX = 32 * 1024, /* smaller blocks are cut from runs and never returned */
	RUN = 128 * 1024,
	KEEP_BYTES = 1024 * 1024, /* of each larger class, kept for the next taker */
};

struct link {
	struct link *next;
};

void mem_init(struct mem *m)
{
	memset(m, 0, sizeof(*m));
}

void *mem_pages(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

void *mem_shared(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* No new mapping may write, and none may be made to; that is Linux 5.1. Before
 * that a descriptor that was opened for reading does the same. */
static int only_for_readers(int fd)
{
	char path[40];
	struct buf b;
	int reader;

	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE) == 0)
		return fd;
	buf_init(&b, path, sizeof(path) - 1);
	buf_put_str(&b, "/proc/self/fd/");
	fmt_u64(&b, (uint64_t)fd);
	path[buf_len(&b)] = '\0';
	reader = open(path, O_RDONLY | O_CLOEXEC);
	close(fd);
	return reader;
}

void *mem_shown(size_t n, int *fd)
{
	int made = memfd_create("shown", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	void *p = MAP_FAILED;

	*fd = -1;
	if (made >= 0 && ftruncate(made, (off_t)n) == 0)
		p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, made, 0);
	if (p != MAP_FAILED)
		*fd = only_for_readers(made);
	else if (made >= 0)
		close(made);
	if (*fd >= 0)
		return p;
	if (p != MAP_FAILED)
		munmap(p, n);
	return mem_shared(n);
}

bool mem_shown_fix(void *pages, size_t n, int fd)
{
	if (fd < 0)
		return mprotect(pages, n, PROT_READ) == 0;
	return mmap(pages, n, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) == pages;
}

void mem_unmap(void *pages, size_t n)
{
	if (pages != NULL)
		munmap(pages, n);
}

void mem_wipe(void *p, size_t n)
{
	memset(p, 0, n);
	/* the compiler may not know that it is for nothing */
	__asm__ volatile("" : : "r"(p) : "memory");
}

static unsigned class_of(size_t n)
{
	unsigned c = 0;

	while (c < MEM_CLASSES && ((size_t)MEM_BLOCK_MIN << c) < n)
		c++;
	return c;
}

#if !defined(__SANITIZE_ADDRESS__)

static void push(struct mem *m, unsigned c, void *p)
{
	struct link *l = p;

	l->next = m->free[c];
	m->free[c] = l;
	m->free_count[c]++;
}

static bool refill(struct mem *m, unsigned c, size_t size)
{
	size_t run = size < SMALL_MAX ? RUN : size, at;
	char *p = mem_pages(run);

	if (p == NULL)
		return false;
	for (at = run; at > 0; at -= size)
		push(m, c, p + at - size);
	return true;
}

void *mem_take(struct mem *m, size_t n, size_t *got)
{
	unsigned c = class_of(n);
	size_t size;
	struct link *l;

	if (c == MEM_CLASSES)
		return NULL;
	size = (size_t)MEM_BLOCK_MIN << c;
	if (m->free[c] == NULL && !refill(m, c, size))
		return NULL;
	l = m->free[c];
	m->free[c] = l->next;
	m->free_count[c]--;
	m->used += size;
	*got = size;
	return l;
}

void mem_give(struct mem *m, void *block, size_t got)
{
	unsigned c = class_of(got);

	if (block == NULL)
		return;
	m->used -= got;
	if (got >= SMALL_MAX && (size_t)m->free_count[c] * got >= KEEP_BYTES) {
		munmap(block, got);
		return;
	}
	push(m, c, block);
}

#else

/* A sanitizer build gives every taker an address of its own and fences it off for ever afterwards,
 * so that the use of a block that was given back is a crash, with the place named. */
void *mem_take(struct mem *m, size_t n, size_t *got)
{
	unsigned c = class_of(n);
	void *p = c < MEM_CLASSES ? mem_pages((size_t)MEM_BLOCK_MIN << c) : NULL;

	if (p == NULL)
		return NULL;
	*got = (size_t)MEM_BLOCK_MIN << c;
	m->used += *got;
	memset(p, 0xa5, MIN(*got, (size_t)MEM_BLOCK_MIN)); /* nobody may count on zeros */
	return p;
}

void mem_give(struct mem *m, void *block, size_t got)
{
	if (block == NULL)
		return;
	m->used -= got;
	madvise(block, got, MADV_DONTNEED);
	mprotect(block, got, PROT_NONE);
}

#endif
