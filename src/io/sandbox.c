/* SPDX-License-Identifier: MIT */
/* sandbox.c: the seccomp filter of a worker: the system calls it needs, and no other. */
#include <errno.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "io/proc.h"

/* The kernel's ABI (linux/filter.h, seccomp.h, audit.h), which musl's include path does not reach. */
struct insn {
	uint16_t code;
	uint8_t jt, jf;
	uint32_t k;
};
struct program {
	uint16_t count;
	const struct insn *insns;
};

#define LOAD_WORD 0x20u /* BPF_LD | BPF_W | BPF_ABS */
#define JUMP_EQ   0x15u /* BPF_JMP | BPF_JEQ | BPF_K */
#define RETURN    0x06u /* BPF_RET | BPF_K */
#define RET_ALLOW 0x7fff0000u
#define RET_ERRNO 0x00050000u
#define AT_NR     0u /* offsetof(struct seccomp_data, nr) */
#define AT_ARCH   4u /* offsetof(struct seccomp_data, arch) */

#if defined(__x86_64__)
#define ARCH 0xc000003eu
#elif defined(__aarch64__)
#define ARCH 0xc00000b7u
#endif

#if defined(ARCH) && !defined(__SANITIZE_ADDRESS__)

static const uint32_t allowed[] = {
	SYS_read,
	SYS_write,
	SYS_recvfrom,
	SYS_recvmsg,
	SYS_sendto,
	SYS_sendmsg,
	SYS_writev,
	SYS_accept4,
	SYS_close,
	SYS_shutdown,
	SYS_getsockopt,
	SYS_setsockopt,
	SYS_getsockname,
	SYS_epoll_pwait,
	SYS_epoll_ctl,
	SYS_clock_gettime,
	SYS_mmap,
	SYS_munmap,
	SYS_madvise,
	SYS_mprotect,
	SYS_brk,
	SYS_exit,
	SYS_exit_group,
	SYS_getrandom,
	SYS_getpid,
	SYS_ppoll,
	SYS_rt_sigreturn,
	SYS_rt_sigprocmask,
	SYS_fstat,
	SYS_pread64,
	SYS_restart_syscall,
	SYS_gettid,
	SYS_futex,
	SYS_statx,
#if defined(SYS_epoll_wait)
	SYS_epoll_wait,
#endif
#if defined(SYS_poll)
	SYS_poll,
#endif
#if defined(SYS_accept)
	SYS_accept,
#endif
#if defined(SYS_newfstatat)
	SYS_newfstatat,
#endif
	437, /* openat2, the last one: only for a worker that serves a folder */
};

const char *proc_sandbox(bool may_open_files)
{
	struct insn f[ARRAY_LEN(allowed) + 6];
	struct program prog = { 0, f };
	size_t i, count = ARRAY_LEN(allowed) - (may_open_files ? 0 : 1), at = 0;

	f[at++] = (struct insn){ LOAD_WORD, 0, 0, AT_ARCH };
	f[at++] = (struct insn){ JUMP_EQ, 1, 0, ARCH };
	f[at++] = (struct insn){ RETURN, 0, 0, RET_ERRNO | EPERM };
	f[at++] = (struct insn){ LOAD_WORD, 0, 0, AT_NR };
	for (i = 0; i < count; i++) /* on a match jump over the rest and the refusal */
		f[at++] = (struct insn){ JUMP_EQ, (uint8_t)(count - i), 0, allowed[i] };
	f[at++] = (struct insn){ RETURN, 0, 0, RET_ERRNO | EPERM };
	f[at++] = (struct insn){ RETURN, 0, 0, RET_ALLOW };
	prog.count = (uint16_t)at;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return strerror(errno);
	if (prctl(PR_SET_SECCOMP, 2 /* SECCOMP_MODE_FILTER */, &prog, 0, 0) != 0)
		return strerror(errno);
	return NULL;
}

#else

const char *proc_sandbox(bool may_open_files)
{
	(void)may_open_files;
	return "not available in this build";
}

#endif
