/* SPDX-License-Identifier: MIT */
/* proc.h: processes and what the kernel keeps about ours. */
#ifndef IO_PROC_H
#define IO_PROC_H

#include "base/base.h"

enum { PROC_SIGHUP = 1, PROC_SIGINT = 2, PROC_SIGUSR2 = 12, PROC_SIGTERM = 15, PROC_SIGCHLD = 17 };

int proc_fork(void);      /* as fork(2) */
void proc_exit(int code); /* at once, without running anything else */
int proc_pid(void);
unsigned proc_cpu_count(void); /* processors this process may run on */
void proc_name(const char *);  /* as ps -o comm shows it, 15 bytes */
void proc_kill(int pid);       /* SIGKILL */
/* How a child ended: by a signal, or (signal 0) with an exit code. */
struct proc_end {
	int code, signal;
};
/* A child that ended, or 0. */
int proc_reap(struct proc_end *);
const char *proc_signal_name(int signal); /* "SIGSEGV"; "a signal" for the rare ones */
void proc_ignore_signals(const int *signals, size_t count);
/* Raises the descriptor limit towards `want`; what it is then. */
uint64_t proc_raise_nofile(uint64_t want);
void proc_forbid_core(void);           /* keys and prompts in memory are not for a file */
void proc_die_with_parent(int parent); /* a worker must not outlive its keeper */
bool proc_random(void *dst, size_t n);
const char *proc_env(const char *name);             /* NULL: not set */
struct slice proc_host_name(char *mem, size_t cap); /* this machine's; n == 0: it has none */
bool proc_write_stdout(struct slice);               /* whole, or false */
bool proc_write_stderr(struct slice);
/* Closes every descriptor from 3 on but these (ascending order not needed; -1 entries are fine). */
void proc_close_others(const int *keep, size_t count);
/* Makes the relocated data of a static position independent program read-only (RELRO), which
 * musl's start code leaves to us. To be called first. */
void proc_seal_relocations(void);
void proc_hide_stdin(void); /* closed standard descriptors are opened on /dev/null */

/* From here on this process may not open sockets, start programs or signal others: whoever takes
 * it over can talk to the peers it has, and nothing else (seccomp: what is not on the list fails with
 * EPERM). NULL, or why not. */
const char *proc_sandbox(bool may_open_files);

#endif
