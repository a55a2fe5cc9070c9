/* SPDX-License-Identifier: MIT */
/* tls.c: certificates from files to workers, and streams that use them. */
#include "app/tls.h"
#include "io/cert.h"
#include "io/file.h"
#include "io/proc.h"
#include "io/sock.h"
#include "io/stream_tls.h"

/* A text with one writer, the keeper; `seq` is odd while it writes, and 0 before it ever did. */
struct tls_pack {
	uint32_t seq;
	uint32_t n;
	char bytes[CERT_PACK_MAX];
};

struct tls_shared {
	struct tls_pack own, anchors;
};

struct tls_source {
	const struct config *config;
	struct tls_shared *shared;
	struct tls_shared *mine; /* what is to be there; no worker can write here */
	char *chain, *key;       /* files as they are read, CERT_FILE_MAX each */
	char pack[CERT_PACK_MAX];
};

/* ---- reading ---- */

static bool complain(struct buf *why, const char *option, const char *path, const char *what)
{
	buf_put_str(why, option);
	buf_put_byte(why, ' ');
	buf_put(why, slice_make(path, MIN(strlen(path), (size_t)300)));
	buf_put_byte(why, ' ');
	buf_put_str(why, what);
	return false;
}

static bool read_text(const char *option, const char *path, char *mem, struct slice *text,
		      struct buf *why)
{
	const char *what;
	size_t n;

	if (!file_read_whole(path, mem, CERT_FILE_MAX, &n, &what)) {
		complain(why, option, path, "cannot be read: ");
		buf_put_str(why, what);
		return false;
	}
	*text = slice_make(mem, n);
	return true;
}

static bool read_pair(struct tls_source *s, struct buf *pack, struct buf *why)
{
	const struct config *cf = s->config;
	struct cert_fault fault;
	struct slice chain, key;
	bool ok = read_text("--tls-cert", cf->tls_cert, s->chain, &chain, why) &&
		  read_text("--tls-key", cf->tls_key, s->key, &key, why);

	if (ok && !cert_pack_pair(chain, key, pack, &fault))
		ok = fault.file == CERT_CHAIN ? complain(why, "--tls-cert", cf->tls_cert, fault.why)
					      : complain(why, "--tls-key", cf->tls_key, fault.why);
	mem_wipe(s->key, CERT_FILE_MAX);
	return ok;
}

/* The machine's name, where it is one that a certificate can have. */
static struct slice host_name(char *mem, size_t cap)
{
	struct slice name = proc_host_name(mem, cap);
	size_t i;

	for (i = 0; i < name.n; i++) {
		char c = ascii_lower(name.p[i]);

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.'))
			return slice_make("", 0);
	}
	return name;
}

static bool make_pair(struct buf *pack, struct buf *why)
{
	char mem[256];

	if (cert_pack_self_signed(host_name(mem, sizeof(mem)), clock_wall(&clock_system) / 1000,
				  pack))
		return true;
	buf_put_str(why, "--tls self-signed: no certificate could be made");
	return false;
}

static bool read_anchors(struct tls_source *s, struct buf *pack, struct buf *why)
{
	const char *path = s->config->ollama_ca, *what;
	struct slice pem;

	if (!read_text("--ollama-ca", path, s->chain, &pem, why))
		return false;
	return cert_pack_anchors(pem, pack, &what) || complain(why, "--ollama-ca", path, what);
}

static void show(struct tls_pack *mine, struct tls_pack *shared)
{
	mine->seq += 2;
	__atomic_store_n(&shared->seq, mine->seq - 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	shared->n = mine->n;
	memcpy(shared->bytes, mine->bytes, mine->n);
	__atomic_store_n(&shared->seq, mine->seq, __ATOMIC_RELEASE);
}

static void publish(struct tls_pack *mine, struct tls_pack *shared, struct slice bytes)
{
	mine->n = (uint32_t)bytes.n;
	slice_copy_to(mine->bytes, bytes);
	show(mine, shared);
}

static void show_again(struct tls_pack *mine, struct tls_pack *shared)
{
	if (memcmp(mine, shared, offsetof(struct tls_pack, bytes) + mine->n) != 0)
		show(mine, shared);
}

void tls_source_show_again(struct tls_source *s)
{
	show_again(&s->mine->own, &s->shared->own);
	show_again(&s->mine->anchors, &s->shared->anchors);
}

static bool load_own(struct tls_source *s, struct buf *why)
{
	struct buf pack;
	bool ok;

	buf_init(&pack, s->pack, sizeof(s->pack));
	ok = s->config->tls == TLS_FILES ? read_pair(s, &pack, why) : make_pair(&pack, why);
	if (ok)
		publish(&s->mine->own, &s->shared->own, buf_view(&pack));
	mem_wipe(s->pack, sizeof(s->pack));
	return ok;
}

static bool load_anchors(struct tls_source *s, struct buf *why)
{
	struct buf pack;

	buf_init(&pack, s->pack, sizeof(s->pack));
	if (!read_anchors(s, &pack, why))
		return false;
	publish(&s->mine->anchors, &s->shared->anchors, buf_view(&pack));
	return true;
}

struct tls_source *tls_source_open(const struct config *cf, struct buf *why)
{
	struct tls_source *s = mem_pages(sizeof(*s));

	if (s == NULL)
		goto no_memory;
	s->config = cf;
	s->shared = mem_shared(sizeof(*s->shared));
	s->mine = mem_pages(sizeof(*s->mine));
	s->chain = mem_pages(CERT_FILE_MAX);
	s->key = mem_pages(CERT_FILE_MAX);
	if (s->shared == NULL || s->mine == NULL || s->chain == NULL || s->key == NULL)
		goto no_memory;
	if (cf->tls != TLS_OFF && !load_own(s, why))
		return NULL;
	if (cf->ollama.https && !load_anchors(s, why))
		return NULL;
	return s;
no_memory:
	buf_put_str(why, "out of memory");
	return NULL;
}

static void log_reload(struct log *log, bool ok, const char *done, const char *failed,
		       struct buf *why)
{
	struct log_line l;

	log_begin(&l, log, ok ? LOG_INFO : LOG_ERROR, ok ? done : failed);
	if (!ok)
		log_text(&l, "why", buf_view(why));
	log_end(&l);
}

bool tls_source_reload(struct tls_source *s, struct log *log)
{
	char mem[600];
	struct buf why;

	buf_init(&why, mem, sizeof(mem));
	if (s->config->tls == TLS_FILES)
		log_reload(log, load_own(s, &why), "certificate read again",
			   "the certificate stays as it was", &why);
	buf_reset(&why);
	if (s->config->ollama.https)
		log_reload(log, load_anchors(s, &why), "trust anchors read again",
			   "the trust anchors stay as they were", &why);
	return s->config->tls == TLS_FILES || s->config->ollama.https;
}

const struct tls_shared *tls_source_shared(const struct tls_source *s)
{
	return s->shared;
}

/* ---- streams ---- */

struct tls_side {
	struct mem *mem;
	const struct tls_pack *pack;
	uint32_t seq; /* of what `creds` were made of */
	struct tls_creds *creds;
	bool client;
	const struct clock *clock; /* client: from here on */
	struct tls_peer peer;
	char name[256];
	struct ip_addr ip;
};

/* What an HTTP client hears that talks in the clear. */
static const struct slice refusal =
	SLICE_INIT("HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n"
		   "Content-Length: 34\r\nConnection: close\r\n\r\n"
		   "{\"error\":\"this port speaks HTTPS\"}");

/* A whole copy, or false: the keeper was at it, or there is no memory. */
static bool pack_copy(const struct tls_pack *p, char *mem, size_t cap, uint32_t seq, size_t *n)
{
	*n = __atomic_load_n(&p->n, __ATOMIC_RELAXED);
	if (seq & 1 || *n > MIN(cap, sizeof(p->bytes)))
		return false;
	memcpy(mem, p->bytes, *n);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&p->seq, __ATOMIC_RELAXED) == seq;
}

static void refresh(struct tls_side *t)
{
	uint32_t seq = __atomic_load_n(&t->pack->seq, __ATOMIC_ACQUIRE);
	struct tls_creds *creds = NULL;
	size_t cap, n;
	char *mem;

	if (seq == t->seq)
		return;
	mem = mem_take(t->mem, CERT_PACK_MAX, &cap);
	if (mem == NULL)
		return;
	if (pack_copy(t->pack, mem, cap, seq, &n)) {
		creds = tls_creds_open(t->mem, slice_make(mem, n));
		mem_wipe(mem, n);
	}
	mem_give(t->mem, mem, cap);
	if (creds == NULL) /* the next stream tries again */
		return;
	tls_creds_close(t->creds);
	t->creds = creds;
	t->seq = seq;
}

static struct tls_side *side_open(struct mem *m, const struct tls_pack *pack)
{
	size_t cap;
	struct tls_side *t = mem_take(m, sizeof(*t), &cap);

	if (t == NULL)
		return NULL;
	memset(t, 0, sizeof(*t));
	t->mem = m;
	t->pack = pack;
	refresh(t);
	return t->creds != NULL ? t : NULL;
}

struct tls_side *tls_server_open(struct mem *m, const struct tls_shared *shared)
{
	return side_open(m, &shared->own);
}

static void name_peer(struct tls_side *t, const struct url *u)
{
	struct slice host = u->host;

	if (u->ip && ip_parse(host, &t->ip)) {
		t->peer.ip = slice_make((char *)t->ip.b, sizeof(t->ip.b));
		if (ip_is_v4(&t->ip))
			t->peer.ip = slice_from(t->peer.ip, 12);
		return;
	}
	if (host.n > 0 && host.p[host.n - 1] == '.')
		host.n--; /* the root's dot is never in a certificate */
	host.n = MIN(host.n, sizeof(t->name) - 1);
	*slice_copy_to(t->name, host) = '\0';
	t->peer.name = t->name;
}

static struct tls_side *client_open(struct mem *m, const struct tls_pack *anchors,
				    const struct url *u, const struct clock *clock)
{
	struct tls_side *t = side_open(m, anchors);

	if (t == NULL)
		return NULL;
	t->client = true;
	t->clock = clock;
	name_peer(t, u);
	return t;
}

struct tls_side *tls_client_open(struct mem *m, const struct tls_shared *shared,
				 const struct url *u, const struct clock *clock)
{
	return client_open(m, &shared->anchors, u, clock);
}

struct tls_side *tls_source_client(struct tls_source *s, struct mem *m, const struct url *u,
				   const struct clock *clock)
{
	return client_open(m, &s->mine->anchors, u, clock);
}

bool tls_stream_open(struct tls_side *t, struct stream *s, int fd)
{
	bool ok;

	if (t == NULL) {
		stream_init_sock(s, fd);
		return true;
	}
	refresh(t);
	if (t->client) {
		t->peer.unix_seconds = clock_wall(t->clock) / 1000;
		ok = stream_init_tls_client(s, fd, t->mem, t->creds, &t->peer);
	} else {
		ok = stream_init_tls_server(s, fd, t->mem, t->creds, refusal);
	}
	if (!ok) {
		sock_close(fd);
		s->fd = -1;
	}
	return ok;
}
