/* SPDX-License-Identifier: MIT */
/* roles.c: which workers a role needs and where each connects to. */
#include "app/roles.h"
#include "app/backend.h"
#include "app/frontend.h"
#include "app/keeper.h"
#include "app/sim.h"
#include "app/tls.h"
#include "base/fmt.h"
#include "io/file.h"
#include "io/proc.h"
#include "io/sock.h"

enum {
	HELP_MAX = 64 * 1024,
	LOOK_MS = 500, /* how long demo looks for an Ollama */
};

static const char real_note[] = "answers come from the Ollama at 127.0.0.1:11434\n"
				"open the page in a browser; Ctrl-C ends it\n";
static const char given_note[] = "answers come from the Ollama given by --ollama\n"
				 "open the page in a browser; Ctrl-C ends it\n";
static const char sim_note[] =
	"no Ollama is used: answers come from the built-in stand-in, ollachat-sim (no model)\n"
	"open the page in a browser; Ctrl-C ends it\n";

static struct keeper_group *add_group(struct keeper_plan *p, const struct role_kind *kind,
				      const struct config *cf)
{
	struct keeper_group *g = &p->groups[p->count++];

	g->kind = kind;
	g->config = *cf;
	g->workers = 1;
	return g;
}

static void connect_group(struct keeper_group *g, const struct url *upstream, const char *name)
{
	g->upstream = upstream;
	g->upstream_name = slice_str(name);
}

static unsigned frontend_workers(const struct config *cf)
{
	unsigned n = cf->workers > 0 ? cf->workers : proc_cpu_count();

	return MIN(n, (unsigned)SHARED_WORKERS_MAX);
}

/* A group only this program's other groups talk to: loopback, any free port. */
static void hide(struct keeper_group *g)
{
	memset(&g->config.listen, 0, sizeof(g->config.listen));
	g->config.listen.ip[10] = g->config.listen.ip[11] = 0xff;
	g->config.listen.ip[12] = 127;
	g->config.listen.ip[15] = 1;
	g->config.listen_text = SLICE("127.0.0.1:0");
	g->config.tls = TLS_OFF;
	g->hidden = true;
}

static void point_at(struct url *u, unsigned port)
{
	memset(u, 0, sizeof(*u));
	u->host = SLICE("127.0.0.1");
	u->port = port;
	u->ip = true;
}

static bool is_loopback(const struct sock_addr *a)
{
	struct ip_addr ip;

	memcpy(ip.b, a->ip, sizeof(ip.b));
	return ip_is_loopback(&ip);
}

/* One line on stderr: "ollachat: cannot WHAT NAME: why". */
static void complain(const char *what, const char *name, struct slice why)
{
	char mem[1024];
	struct buf b;

	buf_init(&b, mem, sizeof(mem));
	buf_put_str(&b, "ollachat: cannot ");
	buf_put_str(&b, what);
	buf_put(&b, slice_make(name, MIN(strlen(name), (size_t)300)));
	buf_put_str(&b, ": ");
	buf_put(&b, why);
	buf_put_byte(&b, '\n');
	proc_write_stderr(buf_view(&b));
}

/* The keys are read before anybody can be asked for one. */
static bool keys_load(struct keeper_group *g)
{
	char mem[128];
	struct buf why;

	if (g->config.api_keys == NULL)
		return true;
	buf_init(&why, mem, sizeof(mem));
	g->keys = keys_open();
	if (g->keys != NULL && keys_read(g->keys, g->config.api_keys, &why) > 0)
		return true;
	complain("read --api-keys ", g->config.api_keys,
		 g->keys != NULL ? buf_view(&why) : SLICE("out of memory"));
	return false;
}

/* Whoever reaches the listener could fill the disk, or empty it. */
static bool admin_is_guarded(const struct keeper_group *outer)
{
	const struct config *cf = &outer->config;

	if (!cf->allow_admin || cf->api_keys != NULL || is_loopback(&cf->listen))
		return true;
	complain("allow ", "--allow-admin",
		 SLICE("it needs --api-keys unless --listen is a loopback address"));
	return false;
}

static bool plan_backend(struct keeper_plan *p, const struct config *cf)
{
	struct keeper_group *g = add_group(p, &backend_kind, cf);

	connect_group(g, &g->config.ollama, "Ollama");
	g->probes = true;
	return keys_load(g) && keeper_listen(g) && admin_is_guarded(g);
}

static bool root_is_there(const struct config *cf)
{
	const char *why;
	int fd;

	if (cf->root == NULL)
		return true;
	fd = file_open_dir(cf->root, &why);
	file_close(fd);
	if (fd < 0)
		complain("serve --root ", cf->root, slice_str(why));
	return fd >= 0;
}

static bool plan_frontend(struct keeper_plan *p, const struct config *cf)
{
	struct keeper_group *g = add_group(p, &frontend_kind, cf);

	g->workers = frontend_workers(cf);
	if (cf->api_proxy_text.n > 0)
		connect_group(g, &g->config.api_proxy, "the backend");
	return root_is_there(cf) && keeper_listen(g);
}

static bool plan_sim(struct keeper_plan *p, const struct config *cf)
{
	p->quick_stop = true;
	return keeper_listen(add_group(p, &sim_kind, cf));
}

/* Whether anything accepts at the default Ollama's address. Before any loop runs, so it may wait. */
static bool ollama_is_there(void)
{
	struct sock_addr a = { .port = 11434 };
	const char *why;
	int fd;
	bool there;

	a.ip[10] = a.ip[11] = 0xff;
	a.ip[12] = 127;
	a.ip[15] = 1;
	fd = sock_connect(&a, &why);
	there = fd >= 0 && sock_wait_connected(fd, LOOK_MS);
	sock_close(fd);
	return there;
}

/* Frontend on the port asked for, its --api-proxy to a backend, that one to an Ollama: the path
 * routing of the load balancer, in one program. */
static bool plan_demo(struct keeper_plan *p, const struct config *cf)
{
	bool sim = cf->ollama_sim || (!cf->ollama_given && !ollama_is_there());
	struct config inner = *cf;
	struct keeper_group *g;

	p->quick_stop = true;
	p->note = sim ? sim_note : cf->ollama_given ? given_note : real_note;
	if (sim) {
		g = add_group(p, &sim_kind, cf);
		g->config.access_log = false; /* the gateway tells of the same requests */
		hide(g);
		if (!keeper_listen(g))
			return false;
		point_at(&inner.ollama, g->config.listen.port);
	}
	g = add_group(p, &backend_kind, &inner);
	if (!is_loopback(&cf->listen) &&
	    cf->allowed_hosts_count == 0) { /* the frontend has judged the Host */
		g->config.allowed_hosts[0] = SLICE("*");
		g->config.allowed_hosts_count = 1;
	}
	hide(g);
	connect_group(g, &g->config.ollama, "Ollama");
	g->probes = true;
	if (!keys_load(g) || !keeper_listen(g))
		return false;
	inner = *cf;
	inner.api_proxy_text = SLICE("demo");
	point_at(&inner.api_proxy, g->config.listen.port);
	g = add_group(p, &frontend_kind, &inner);
	g->workers = frontend_workers(cf);
	connect_group(g, &g->config.api_proxy, "the backend");
	return keeper_listen(g) && admin_is_guarded(g);
}

static bool read_certificates(struct keeper_plan *p, const struct config *cf)
{
	char mem[700];
	struct buf why;

	buf_init(&why, mem, sizeof(mem));
	buf_put_str(&why, "ollachat: ");
	p->tls = tls_source_open(cf, &why);
	if (p->tls != NULL)
		return true;
	buf_put_byte(&why, '\n');
	proc_write_stderr(buf_view(&why));
	return false;
}

static bool make_plan(struct keeper_plan *p, const struct config *cf)
{
	if (!read_certificates(p, cf))
		return false;
	switch (cf->role) {
	case ROLE_BACKEND:
		return plan_backend(p, cf);
	case ROLE_FRONTEND:
		return plan_frontend(p, cf);
	case ROLE_SIM:
		return plan_sim(p, cf);
	case ROLE_DEMO:
		return plan_demo(p, cf);
	default:
		return false;
	}
}

int roles_main(int argc, char **argv)
{
	struct config *cf = mem_pages(sizeof(*cf));
	struct keeper_plan *plan = mem_pages(sizeof(*plan));
	char *text = mem_pages(HELP_MAX);
	struct buf out;

	if (cf == NULL || plan == NULL || text == NULL)
		return 1;
	proc_seal_relocations();
	proc_hide_stdin();
	proc_ignore_signals(NULL, 0);
	proc_forbid_core();
	buf_init(&out, text, HELP_MAX);
	switch (config_read(argc, argv, proc_env, cf, &out)) {
	case CONFIG_SHOWN:
		return proc_write_stdout(buf_view(&out)) ? 0 : 1;
	case CONFIG_WRONG:
		proc_write_stderr(buf_view(&out));
		return 2;
	default:
		break;
	}
	if (!make_plan(plan, cf))
		return 1;
	plan->argv = argv;
	return keeper_run(plan);
}
