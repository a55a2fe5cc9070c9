/* SPDX-License-Identifier: MIT */
/* file.c: opening below a folder, reading. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "io/file.h"

/* From linux/openat2.h, which musl's include path does not reach. */
struct open_how_args {
	uint64_t flags, mode, resolve;
};
enum { RESOLVE_NO_MAGICLINKS_ = 0x02, RESOLVE_BENEATH_ = 0x08 };
#ifndef SYS_openat2
#define SYS_openat2 437
#endif

int file_open_dir(const char *path, const char **why)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		*why = strerror(errno);
	return fd;
}

enum file_found file_open_beneath(int dir, const char *path, int *fd, struct file_info *info)
{
	struct open_how_args how = { O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0,
				     RESOLVE_BENEATH_ | RESOLVE_NO_MAGICLINKS_ };
	struct stat st;
	long r;

	do
		r = syscall(SYS_openat2, dir, path, &how, sizeof(how));
	while (r < 0 && (errno == EINTR || errno == EAGAIN));
	if (r < 0)
		return errno == EMFILE || errno == ENFILE ? FILE_NO_DESCRIPTOR : FILE_ABSENT;
	if (fstat((int)r, &st) != 0) {
		close((int)r);
		return FILE_ABSENT;
	}
	*fd = (int)r;
	info->size = (uint64_t)st.st_size;
	info->mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
	info->regular = S_ISREG(st.st_mode);
	return FILE_FOUND;
}

long file_read_at(int fd, void *dst, size_t cap, uint64_t offset)
{
	ssize_t n;

	do
		n = pread(fd, dst, cap, (off_t)offset);
	while (n < 0 && errno == EINTR);
	return n;
}

void file_close(int fd)
{
	if (fd >= 0)
		close(fd);
}

static bool read_all(int fd, char *dst, size_t cap, size_t *n, const char **why)
{
	struct stat st;
	long got;

	*n = 0;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		*why = "it is no regular file";
		return false;
	}
	do {
		char more;

		got = *n < cap ? file_read_at(fd, dst + *n, cap - *n, *n)
			       : file_read_at(fd, &more, 1, *n);
		if (got > 0 && *n == cap) {
			*why = "it is too large";
			return false;
		}
		*n += got > 0 ? (size_t)got : 0;
	} while (got > 0);
	if (got < 0)
		*why = strerror(errno);
	return got == 0;
}

bool file_read_whole(const char *path, void *dst, size_t cap, size_t *n, const char **why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	bool ok;

	if (fd < 0) {
		*why = strerror(errno);
		return false;
	}
	ok = read_all(fd, dst, cap, n, why);
	close(fd);
	return ok;
}
