/* SPDX-License-Identifier: MIT */
/* usage.c: /proc/PID read and counted. */
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fmt.h"
#include "io/usage.h"

enum { PATH = 64, TEXT = 1024 };

static void proc_path(char mem[PATH], int pid, const char *name)
{
	struct buf b;

	buf_init(&b, mem, PATH - 1);
	buf_put_str(&b, "/proc/");
	fmt_u64(&b, (uint64_t)pid);
	buf_put_str(&b, name);
	mem[buf_len(&b)] = '\0';
}

static struct slice read_text(int pid, const char *name, char mem[TEXT])
{
	char path[PATH];
	ssize_t n;
	int fd;

	proc_path(path, pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return slice_make(mem, 0);
	n = read(fd, mem, TEXT);
	close(fd);
	return slice_make(mem, n > 0 ? (size_t)n : 0);
}

/* The number in the k-th word, from 0; 0 if there is none. */
static uint64_t word(struct slice s, unsigned k)
{
	uint64_t v = 0;
	size_t n;

	for (;; s = slice_from(s, MIN(n + 1, s.n))) {
		for (n = 0; n < s.n && s.p[n] != ' ' && s.p[n] != '\n'; n++)
			;
		if (k-- == 0)
			return fmt_parse_u64(slice_make(s.p, n), &v) ? v : 0;
		if (n == s.n)
			return 0;
	}
}

/* proc(5): the name in parentheses may hold anything, so the words count from the last ')'. */
static bool read_stat(int pid, struct usage *u)
{
	enum { UTIME = 14 - 3, STIME, CUTIME, CSTIME };
	char mem[TEXT];
	struct slice s = read_text(pid, "/stat", mem);
	const char *end = s.n > 0 ? memrchr(s.p, ')', s.n) : NULL;
	uint64_t hz = (uint64_t)sysconf(_SC_CLK_TCK);

	if (end == NULL || end + 2 > s.p + s.n || hz == 0)
		return false;
	s = slice_from(s, (size_t)(end + 2 - s.p));
	u->cpu_ms = (word(s, UTIME) + word(s, STIME)) * 1000 / hz;
	u->children_cpu_ms = (word(s, CUTIME) + word(s, CSTIME)) * 1000 / hz;
	return true;
}

static void read_memory(int pid, struct usage *u)
{
	char mem[TEXT];
	struct slice s = read_text(pid, "/statm", mem);
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	u->virtual = word(s, 0) * page;
	u->resident = word(s, 1) * page;
	u->shared = MIN(word(s, 2) * page, u->resident);
}

/* Entries of a folder, "." and ".." among them. */
static uint64_t count_entries(int dir)
{
	_Alignas(8) char mem[8192];
	uint64_t count = 0;
	long n, at;

	while ((n = syscall(SYS_getdents64, dir, mem, sizeof(mem))) > 0)
		for (at = 0; at < n; count++) {
			uint16_t size; /* struct linux_dirent64: d_ino, d_off, d_reclen, ... */

			memcpy(&size, mem + at + 16, sizeof(size));
			at += size;
		}
	return count;
}

/* Newer kernels tell the number as the folder's size; with others the entries are counted. */
static uint64_t count_fds(int pid)
{
	char path[PATH];
	struct stat st;
	uint64_t n;
	int dir;

	proc_path(path, pid, "/fd");
	if (stat(path, &st) == 0 && st.st_size > 0)
		return (uint64_t)st.st_size;
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return 0;
	n = count_entries(dir);
	close(dir);
	return n - MIN(n, pid == getpid() ? UINT64_C(3) : UINT64_C(2)); /* one is `dir` itself */
}

bool usage_of(int pid, struct usage *u)
{
	struct rlimit limit;

	memset(u, 0, sizeof(*u));
	if (!read_stat(pid, u))
		return false;
	read_memory(pid, u);
	u->open_fds = count_fds(pid);
	if (prlimit(pid, RLIMIT_NOFILE, NULL, &limit) == 0)
		u->max_fds = limit.rlim_cur;
	return true;
}
