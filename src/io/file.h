/* SPDX-License-Identifier: MIT */
/* file.h: files of a folder, opened so that no path leads out of them; small files read whole. */
#ifndef IO_FILE_H
#define IO_FILE_H

#include "base/base.h"

/* A folder to serve from; -1 with *why. */
int file_open_dir(const char *path, const char **why);

struct file_info {
	uint64_t size;
	int64_t mtime_ns;
	bool regular;
};
enum file_found { FILE_FOUND, FILE_ABSENT, FILE_NO_DESCRIPTOR };
/* Opens a path ("a/b.js", no leading slash) below a folder: no "..", no symbolic link that leads
 * out of it (openat2 RESOLVE_BENEATH). Sets *fd and *info when found. */
enum file_found file_open_beneath(int dir, const char *path, int *fd, struct file_info *info);
/* Up to cap bytes from an offset; -1: error; 0: end. */
long file_read_at(int fd, void *dst, size_t cap, uint64_t offset);
void file_close(int fd);

/* A whole file of at most cap bytes, by any path; *n: how many it has. False with *why: it cannot be
 * read, is larger, or is no regular file. Never waits for a writer. */
bool file_read_whole(const char *path, void *dst, size_t cap, size_t *n, const char **why);

#endif
