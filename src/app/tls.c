/* SPDX-License-Identifier: MIT */
/* tls.c: certificates from files to workers, and streams that use them. */
#include "app/tls.h"
#include "base/seq.h"
#include "io/cert.h"
#include "io/file.h"
#include "io/proc.h"
#include "io/sock.h"
#include "io/stream_tls.h"

/* A pack with one writer, the keeper; the half that counts is seq & 1, the other one is empty. */
struct tls_pack {
	volatile uint32_t seq; /* 0: no pack yet */
	struct tls_half {
		volatile uint32_t n;
		char bytes[CERT_PACK_MAX];
	} half[2];
};

struct tls_shared {
	struct tls_pack own, anchors;
};

struct tls_source {
	const struct config *config;
	struct tls_shared *shared;
	int fd;          /* of `shared` */
	const char *age; /* what is wrong with the certificate's time; NULL: nothing */
	size_t expired;  /* trust anchors that were left out */
};

/* What lasts as long as reading does: gone before a worker is forked that could look at it. */
struct tls_work {
	char chain[CERT_FILE_MAX], key[CERT_FILE_MAX]; /* files as they are */
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

static bool read_pair(const struct config *cf, struct tls_work *w, struct buf *pack,
		      struct buf *why)
{
	struct cert_fault fault;
	struct slice chain, key;
	bool ok = read_text("--tls-cert", cf->tls_cert, w->chain, &chain, why) &&
		  read_text("--tls-key", cf->tls_key, w->key, &key, why);

	if (ok && !cert_pack_pair(chain, key, pack, &fault))
		ok = fault.file == CERT_CHAIN ? complain(why, "--tls-cert", cf->tls_cert, fault.why)
					      : complain(why, "--tls-key", cf->tls_key, fault.why);
	return ok;
}

static int64_t unix_now(void)
{
	return clock_wall(&clock_system) / 1000;
}

/* What is wrong with the time of a pack's first certificate, the own one. */
static const char *age_of(struct slice pack)
{
	enum cert_part part;
	struct slice der;

	if (!cert_pack_next(&pack, &part, &der))
		return NULL;
	switch (cert_age_of(der, unix_now())) {
	case CERT_EXPIRED:
		return "has expired";
	case CERT_NOT_YET:
		return "is not valid yet";
	default:
		return NULL;
	}
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

	if (cert_pack_self_signed(host_name(mem, sizeof(mem)), unix_now(), pack))
		return true;
	buf_put_str(why, "--tls self-signed: no certificate could be made");
	return false;
}

static bool read_anchors(const struct config *cf, struct tls_work *w, struct buf *pack,
			 size_t *expired, struct buf *why)
{
	const char *path = cf->ollama_ca, *what;
	struct slice pem;

	if (!read_text("--ollama-ca", path, w->chain, &pem, why))
		return false;
	return cert_pack_anchors(pem, unix_now(), pack, expired, &what) ||
	       complain(why, "--ollama-ca", path, what);
}

/* A reader that was in the half that is wiped notices that it has to read the other one. */
static void publish(struct tls_pack *p, struct slice bytes)
{
	struct tls_half *old = &p->half[p->seq & 1], *next = &p->half[(p->seq + 1) & 1];

	next->n = (uint32_t)bytes.n;
	slice_copy_to(next->bytes, bytes);
	seq_step(&p->seq);
	mem_wipe(old->bytes, old->n);
	old->n = 0;
}

static bool load_own(struct tls_source *s, struct tls_work *w, struct buf *why)
{
	const struct config *cf = s->config;
	const char *age;
	struct buf pack;
	bool ok;

	buf_init(&pack, w->pack, sizeof(w->pack));
	ok = cf->tls == TLS_FILES ? read_pair(cf, w, &pack, why) : make_pair(&pack, why);
	age = ok ? age_of(buf_view(&pack)) : NULL;
	if (age != NULL && s->shared->own.seq != 0) /* the one that is shown may be better */
		ok = complain(why, "--tls-cert", cf->tls_cert, age);
	if (!ok)
		return false;
	s->age = age;
	publish(&s->shared->own, buf_view(&pack));
	return true;
}

static bool load_anchors(struct tls_source *s, struct tls_work *w, struct buf *why)
{
	struct buf pack;
	size_t expired;

	buf_init(&pack, w->pack, sizeof(w->pack));
	if (!read_anchors(s->config, w, &pack, &expired, why))
		return false;
	s->expired = expired;
	publish(&s->shared->anchors, buf_view(&pack));
	return true;
}

typedef bool load_fn(struct tls_source *, struct tls_work *, struct buf *why);

static bool load(struct tls_source *s, load_fn *fn, struct buf *why)
{
	struct tls_work *w = mem_pages(sizeof(*w));
	bool ok = w != NULL && fn(s, w, why);

	if (w == NULL)
		buf_put_str(why, "out of memory");
	mem_unmap(w, sizeof(*w));
	return ok;
}

struct tls_source *tls_source_open(const struct config *cf, struct buf *why)
{
	struct tls_source *s = mem_pages(sizeof(*s));

	if (s == NULL)
		goto no_memory;
	s->config = cf;
	s->shared = mem_shown(sizeof(*s->shared), &s->fd);
	if (s->shared == NULL)
		goto no_memory;
	if (cf->tls != TLS_OFF && !load(s, load_own, why))
		return NULL;
	if (cf->ollama.https && !load(s, load_anchors, why))
		return NULL;
	return s;
no_memory:
	buf_put_str(why, "out of memory");
	return NULL;
}

void tls_source_warn(const struct tls_source *s, struct log *log)
{
	struct log_line l;

	if (s->age != NULL) {
		log_begin(&l, log, LOG_WARN, "the certificate is not good now");
		log_str(&l, "file", s->config->tls_cert);
		log_str(&l, "why", s->age);
		log_end(&l);
	}
	if (s->expired > 0) {
		log_begin(&l, log, LOG_WARN, "trust anchors that have expired are not used");
		log_str(&l, "file", s->config->ollama_ca);
		log_num(&l, "count", (int64_t)s->expired);
		log_end(&l);
	}
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
		log_reload(log, load(s, load_own, &why), "certificate read again",
			   "the certificate stays as it was", &why);
	buf_reset(&why);
	if (s->config->ollama.https)
		log_reload(log, load(s, load_anchors, &why), "trust anchors read again",
			   "the trust anchors stay as they were", &why);
	tls_source_warn(s, log);
	return s->config->tls == TLS_FILES || s->config->ollama.https;
}

bool tls_source_fix(const struct tls_source *s)
{
	return mem_shown_fix(s->shared, sizeof(*s->shared), s->fd);
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

/* A whole copy. Its number of bytes; 0: there is none. */
static size_t pack_copy(const struct tls_pack *p, char *mem, size_t cap, uint32_t *seq)
{
	size_t n;

	do { /* again if the keeper wrote in the meantime */
		const struct tls_half *half;

		*seq = seq_read(&p->seq);
		half = &p->half[*seq & 1];
		n = MIN((size_t)half->n, MIN(cap, sizeof(half->bytes)));
		memcpy(mem, half->bytes, n);
	} while (!seq_same(&p->seq, *seq));
	return n;
}

static void refresh(struct tls_side *t)
{
	struct tls_creds *creds;
	uint32_t seq;
	size_t cap, n;
	char *mem;

	if (seq_read(&t->pack->seq) == t->seq)
		return;
	mem = mem_take(t->mem, CERT_PACK_MAX, &cap);
	if (mem == NULL)
		return;
	n = pack_copy(t->pack, mem, cap, &seq);
	creds = tls_creds_open(t->mem, slice_make(mem, n));
	mem_wipe(mem, n);
	mem_give(t->mem, mem, cap);
	if (creds == NULL) /* no memory: the next stream tries again */
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

struct tls_side *tls_client_open(struct mem *m, const struct tls_shared *shared,
				 const struct url *u, const struct clock *clock)
{
	struct tls_side *t = side_open(m, &shared->anchors);

	if (t == NULL)
		return NULL;
	t->client = true;
	t->clock = clock;
	name_peer(t, u);
	return t;
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
