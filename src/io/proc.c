/* SPDX-License-Identifier: MIT */
/* proc.c: processes, limits, environment. */
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/proc.h"

_Static_assert(PROC_SIGHUP == SIGHUP && PROC_SIGINT == SIGINT && PROC_SIGUSR2 == SIGUSR2 &&
		       PROC_SIGTERM == SIGTERM && PROC_SIGCHLD == SIGCHLD,
	       "signal numbers");

int proc_fork(void)
{
	return fork();
}

void proc_exit(int code)
{
	_exit(code);
}

int proc_pid(void)
{
	return getpid();
}

unsigned proc_cpu_count(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return 1;
	return MAX(1u, (unsigned)CPU_COUNT(&set));
}

void proc_name(const char *name)
{
	prctl(PR_SET_NAME, name, 0, 0, 0);
}

void proc_kill(int pid)
{
	kill(pid, SIGKILL);
}

int proc_reap(struct proc_end *end)
{
	int status, pid = waitpid(-1, &status, WNOHANG);

	if (pid <= 0)
		return 0;
	end->code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
	end->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	return pid;
}

const char *proc_signal_name(int signal)
{
	static const struct {
		int number;
		const char *name;
	} names[] = { { SIGKILL, "SIGKILL" }, { SIGSEGV, "SIGSEGV" }, { SIGABRT, "SIGABRT" },
		      { SIGBUS, "SIGBUS" },   { SIGILL, "SIGILL" },   { SIGFPE, "SIGFPE" },
		      { SIGTRAP, "SIGTRAP" }, { SIGSYS, "SIGSYS" },   { SIGTERM, "SIGTERM" },
		      { SIGINT, "SIGINT" },   { SIGQUIT, "SIGQUIT" }, { SIGPIPE, "SIGPIPE" },
		      { SIGXCPU, "SIGXCPU" }, { SIGXFSZ, "SIGXFSZ" } };
	size_t i;

	for (i = 0; i < ARRAY_LEN(names); i++)
		if (names[i].number == signal)
			return names[i].name;
	return "a signal";
}

void proc_ignore_signals(const int *signals, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		signal(signals[i], SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a log file at its limit is an error of write() and no more */
}

uint64_t proc_raise_nofile(uint64_t want)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) != 0)
		return 1024;
	if (r.rlim_cur >= want)
		return r.rlim_cur;
	if (r.rlim_max < want) {
		struct rlimit more = { want, want };

		if (setrlimit(RLIMIT_NOFILE, &more) == 0) /* with CAP_SYS_RESOURCE */
			return want;
	}
	r.rlim_cur = MIN((rlim_t)want, r.rlim_max);
	setrlimit(RLIMIT_NOFILE, &r);
	getrlimit(RLIMIT_NOFILE, &r);
	return r.rlim_cur;
}

void proc_forbid_core(void)
{
	struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
}

void proc_die_with_parent(int parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent) /* it died before we asked */
		_exit(1);
}

bool proc_random(void *dst, size_t n)
{
	return getrandom(dst, n, 0) == (ssize_t)n;
}

const char *proc_env(const char *name)
{
	return getenv(name);
}

struct slice proc_host_name(char *mem, size_t cap)
{
	if (cap == 0 || gethostname(mem, cap - 1) != 0)
		return slice_make("", 0);
	mem[cap - 1] = '\0';
	return slice_str(mem);
}

static bool write_all(int fd, struct slice s)
{
	while (s.n > 0) {
		ssize_t n = write(fd, s.p, s.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		s = slice_from(s, (size_t)n);
	}
	return true;
}

bool proc_write_stdout(struct slice s)
{
	return write_all(1, s);
}

bool proc_write_stderr(struct slice s)
{
	return write_all(2, s);
}

static void close_span(unsigned first, unsigned last)
{
	unsigned fd;

	if (first > last || syscall(436 /* close_range */, first, last, 0) == 0)
		return;
	for (fd = first; fd <= MIN(last, 65535u); fd++)
		close((int)fd);
}

void proc_close_others(const int *keep, size_t count)
{
	unsigned from = 3;

	for (;;) { /* the lowest one to keep that is not below `from` */
		unsigned next = ~0u;
		size_t i;

		for (i = 0; i < count; i++)
			if (keep[i] >= (int)from && (unsigned)keep[i] < next)
				next = (unsigned)keep[i];
		if (next == ~0u)
			break;
		if (next > from)
			close_span(from, next - 1);
		from = next + 1;
	}
	close_span(from, ~0u);
}

static int seal(struct dl_phdr_info *info, size_t size, void *ctx)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	size_t i;

	(void)size;
	(void)ctx;
	for (i = 0; i < info->dlpi_phnum; i++) {
		uintptr_t from = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
		uintptr_t to = (from + info->dlpi_phdr[i].p_memsz) & -page;

		from &= -page;
		if (info->dlpi_phdr[i].p_type == PT_GNU_RELRO && to > from)
			mprotect((void *)from, to - from, PROT_READ);
	}
	return 1; /* the program itself comes first, and is all that is asked for */
}

void proc_seal_relocations(void)
{
	dl_iterate_phdr(seal, NULL);
}

void proc_hide_stdin(void)
{
	int fd = open("/dev/null", O_RDWR);

	/* The lowest free numbers are filled, so that no socket of ours ever becomes 0, 1 or 2. */
	while (fd >= 0 && fd < 3)
		fd = open("/dev/null", O_RDWR);
	if (fd >= 3)
		close(fd);
}
