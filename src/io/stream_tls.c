/* SPDX-License-Identifier: MIT */
/* stream_tls.c: BearSSL's engine between a socket and whoever reads and writes.
 *
 *	socket -> pull -> [ in: one record, decrypted in place ] -> take -> reader
 *	socket <- push <- [ out: one record, encrypted in place ] <- fill <- writer
 *
 * The engine holds at most one record in each direction; it takes no more of the socket's bytes
 * while a record has unread ones, and none of the writer's while a record waits for the socket. */
#include "io/loop.h"
#include "io/proc.h"
#include "io/tls_parts.h"

enum {
	ROUNDS = 256, /* steps in one call, so that a peer that never stops sending is bounded */
	DRAIN_ROUNDS = 8,
	HANDSHAKE_RECORD = 22, /* RFC 5246, 6.2.1 */
};

/* ---- the stream's state ---- */

struct tls {
	struct mem *mem;
	size_t cap;
	br_ssl_engine_context *engine;
	struct tls_creds *creds; /* until the handshake is over */
	struct slice refusal;    /* a server's, in the clear */
	const char *why;
	enum io lost;             /* how the socket's reading side ended; IO_OK: it has not */
	size_t in_used, out_used; /* of the buffers; what is behind them was never touched */
	size_t filling;           /* bytes of ours in a record that is not closed yet */
	bool shaken;              /* the handshake is over */
	bool heard;               /* the peer's first byte was seen */
	bool finished;            /* we send no more: close_notify */
	bool shut;                /* and the socket knows */
	union {
		br_ssl_server_context server;
		struct {
			br_ssl_client_context context;
			struct tls_checker checker;
		} client;
	} u;
	unsigned char in[16384 + 325],
		out[16384 + 85]; /* a record with all it may have around it */
};

_Static_assert(sizeof(struct tls) <= STREAM_TLS_BLOCK, "one block holds all of it");

static struct tls *tls_of(const struct stream *s)
{
	return s->state;
}

static bool is_closed(const struct tls *t)
{
	return (br_ssl_engine_current_state(t->engine) & BR_SSL_CLOSED) != 0;
}

static const char *words_of_alert(int alert)
{
	switch (alert) {
	case 40:
		return "no TLS version and cipher suite in common";
	case 42:
	case 43:
	case 46:
	case 48:
		return "the peer does not accept the certificate";
	case 44:
	case 45:
		return "the peer says that the certificate has expired";
	case 70:
		return "no TLS version in common: 1.2 is spoken here";
	case 80:
		return "the peer failed inside";
	case 112:
		return "the peer does not know that name";
	case 120:
		return "no protocol in common: http/1.1 is spoken here";
	default:
		return "the TLS handshake was refused";
	}
}

static const char *words_of(int err)
{
	if (err >= BR_ERR_RECV_FATAL_ALERT)
		return words_of_alert(err & 0xff);
	switch (err) {
	case BR_ERR_X509_NOT_TRUSTED:
		return "its certificate is not signed by an authority that is trusted here";
	case BR_ERR_X509_BAD_SERVER_NAME:
		return "its certificate is for another name";
	case BR_ERR_X509_EXPIRED:
		return "its certificate has expired, or is not valid yet";
	case TLS_ERR_NO_NAMES:
		return "its certificate names nobody: it has no subjectAltName";
	case TLS_ERR_OTHER_USE:
	case BR_ERR_WRONG_KEY_USAGE:
	case BR_ERR_X509_FORBIDDEN_KEY_USAGE:
		return "its certificate may not be used for that";
	case BR_ERR_X509_WEAK_PUBLIC_KEY:
		return "its certificate has a key that is too weak";
	case BR_ERR_UNSUPPORTED_VERSION:
	case BR_ERR_BAD_VERSION:
		return "the peer does not speak TLS 1.2";
	case BR_ERR_BAD_MAC:
		return "a TLS record was damaged on its way";
	default:
		return err > BR_ERR_X509_OK ? "its certificate cannot be used"
					    : "the peer broke the rules of TLS";
	}
}

/* ---- records out and in ---- */

/* Notes how far a buffer was written to. */
static void note_used(const unsigned char *buffer, size_t *used, const void *p, size_t n)
{
	*used = MAX(*used, (size_t)((const unsigned char *)p - buffer) + n);
}

/* To the socket, as far as it takes them. OK: nothing is left. */
static enum io push(struct stream *s)
{
	struct tls *t = tls_of(s);
	struct slice record;
	size_t sent;

	while ((record.p = (char *)br_ssl_engine_sendrec_buf(t->engine, &record.n)) != NULL) {
		enum io r = stream_sock.write(s, &record, 1, &sent);

		note_used(t->out, &t->out_used, record.p, record.n);
		if (r != IO_OK)
			return r;
		t->filling = 0;
		br_ssl_engine_sendrec_ack(t->engine, sent);
	}
	return IO_OK;
}

/* A peer that does not speak TLS is told so in its own words, once; what it sent is read, or the
 * close would destroy the reply on its way. */
static enum io refuse(struct stream *s)
{
	struct tls *t = tls_of(s);
	size_t n;
	unsigned i;

	t->why = "the client does not speak TLS";
	t->lost = IO_CUT;
	stream_sock.write(s, &t->refusal, 1, &n);
	stream_sock.finish(s);
	for (i = 0; i < DRAIN_ROUNDS; i++)
		if (stream_sock.read(s, t->out, sizeof(t->out), &n) != IO_OK)
			break;
	return t->lost;
}

/* From the socket, once. AGAIN: nothing there, or no room before bytes are taken. */
static enum io pull(struct stream *s)
{
	struct tls *t = tls_of(s);
	size_t room, n;
	unsigned char *p = br_ssl_engine_recvrec_buf(t->engine, &room);
	enum io r;

	if (p == NULL)
		return IO_AGAIN;
	r = stream_sock.read(s, p, room, &n);
	if (r == IO_OK) {
		note_used(t->in, &t->in_used, p, n);
		if (!t->heard && t->refusal.n > 0 && p[0] != HANDSHAKE_RECORD)
			return refuse(s);
		t->heard = true;
		br_ssl_engine_recvrec_ack(t->engine, n);
		return IO_OK;
	}
	if (r != IO_AGAIN) { /* the engine cannot know; EOF without close_notify is no end */
		t->lost = r == IO_EOF ? IO_CUT : r;
		t->why = t->shaken ? "the peer closed without close_notify"
				   : "the peer gave up the TLS handshake";
	}
	return r == IO_EOF ? IO_CUT : r;
}

static bool note_shaken(struct tls *t)
{
	unsigned state = br_ssl_engine_current_state(t->engine);

	if (!t->shaken && !(state & BR_SSL_CLOSED) && state & (BR_SSL_SENDAPP | BR_SSL_RECVAPP)) {
		t->shaken = true;
		tls_creds_leave(&t->creds);
	}
	return t->shaken;
}

/* How a closed engine was closed. */
static enum io verdict(struct tls *t)
{
	int err = br_ssl_engine_last_error(t->engine);

	if (err == BR_ERR_OK)
		return IO_EOF;
	if (t->why == NULL)
		t->why = words_of(err);
	return IO_CUT;
}

/* One step on: what has to leave leaves, then one read from the socket. */
static enum io step(struct stream *s)
{
	struct tls *t = tls_of(s);

	enum io r = push(s); /* when that fails, the reading side may tell why */

	if (is_closed(t))
		return verdict(t);
	if (t->lost == IO_OK && t->engine->shutdown_recv && r != IO_OK && r != IO_AGAIN)
		t->lost = IO_EOF; /* its close_notify came, and ours cannot go */
	return t->lost != IO_OK ? t->lost : pull(s);
}

static enum io shake(struct stream *s)
{
	struct tls *t = tls_of(s);
	unsigned i;

	for (i = 0; i < ROUNDS; i++) {
		enum io r = step(s);

		if (note_shaken(t))
			return IO_OK;
		if (r != IO_OK)
			return r;
	}
	return IO_AGAIN;
}

/* ---- the kind ---- */

static size_t take(struct tls *t, char *dst, size_t cap)
{
	size_t n;
	const unsigned char *p = br_ssl_engine_recvapp_buf(t->engine, &n);

	if (p == NULL)
		return 0;
	n = MIN(n, cap);
	memcpy(dst, p, n);
	br_ssl_engine_recvapp_ack(t->engine, n);
	return n;
}

/* A short read means that the socket has no more, as with a plain one. */
static enum io tls_read(struct stream *s, void *dst, size_t cap, size_t *n)
{
	struct tls *t = tls_of(s);
	unsigned i;

	*n = 0;
	for (i = 0; i < ROUNDS && *n < cap; i++) {
		size_t got = take(t, (char *)dst + *n, cap - *n);
		enum io r = got > 0 ? IO_OK : step(s);

		*n += got;
		note_shaken(t);
		if (r != IO_OK)
			return *n > 0 ? IO_OK : r; /* the next call hears it again */
	}
	return *n > 0 ? IO_OK : IO_AGAIN;
}

/* Into the record under way, as much as there is room for; 0: a full one waits for the socket. */
static size_t fill(struct tls *t, struct slice s)
{
	size_t room;
	unsigned char *p = br_ssl_engine_sendapp_buf(t->engine, &room);

	if (p == NULL || s.n == 0)
		return 0;
	room = MIN(room, s.n);
	memcpy(p, s.p, room);
	note_used(t->out, &t->out_used, p, room);
	t->filling += room; /* push() will find a full record and forget this */
	br_ssl_engine_sendapp_ack(t->engine, room);
	return room;
}

static enum io tls_write(struct stream *s, const struct slice *parts, size_t count, size_t *n)
{
	struct tls *t = tls_of(s);
	enum io r;
	size_t i;

	*n = 0;
	if (t->finished) /* the engine would wait for more room for ever */
		return IO_CUT;
	r = t->shaken ? IO_OK : shake(s);
	for (i = 0; i < count && r == IO_OK; i++) {
		struct slice left = parts[i];

		while (left.n > 0 && r == IO_OK) {
			size_t took = fill(t, left);

			left = slice_from(left, took);
			*n += took;
			if (took == 0 && is_closed(t))
				r = IO_CUT;
			else if (took == 0)
				r = push(s);
		}
	}
	return *n > 0 ? IO_OK : r;
}

static enum io tls_flush(struct stream *s)
{
	struct tls *t = tls_of(s);
	enum io r = t->shaken || t->finished ? IO_OK : shake(s);

	if (r != IO_OK)
		return r;
	br_ssl_engine_flush(t->engine, 0);
	r = push(s);
	if (r == IO_OK && is_closed(t) && verdict(t) != IO_EOF)
		return IO_CUT;
	if (r == IO_OK && t->finished && !t->shut) {
		t->shut = true;
		return stream_sock.finish(s);
	}
	return r;
}

/* Says close_notify, once what was written before is out. What is unread is nobody's any more: the
 * engine would wait for it to be taken. */
static void say_bye(struct tls *t)
{
	size_t n;

	t->finished = true;
	if (!t->shaken)
		return;
	while (br_ssl_engine_recvapp_buf(t->engine, &n) != NULL)
		br_ssl_engine_recvapp_ack(t->engine, n);
	br_ssl_engine_close(t->engine);
}

static enum io tls_finish(struct stream *s)
{
	struct tls *t = tls_of(s);

	if (!t->finished)
		say_bye(t);
	return tls_flush(s);
}

static void tls_close(struct stream *s)
{
	struct tls *t = tls_of(s);
	struct mem *mem = t->mem;
	size_t cap = t->cap;

	if (!s->cut && t->lost == IO_OK && !is_closed(t)) {
		if (!t->finished)
			say_bye(t);
		push(s);
	}
	stream_sock.close(s);
	tls_creds_leave(&t->creds);
	mem_wipe(t->in, t->in_used);
	mem_wipe(t->out, t->out_used);
	mem_wipe(t, offsetof(struct tls, in));
	mem_give(mem, t, cap);
	s->state = NULL;
	s->kind = &stream_sock; /* whoever still asks is told by one without a descriptor */
}

static unsigned tls_await(const struct stream *s, unsigned wish)
{
	const struct tls *t = tls_of(s);
	unsigned state = br_ssl_engine_current_state(t->engine), wait = wish;

	if (state & BR_SSL_CLOSED)
		return wish & ~(unsigned)LOOP_WRITE;
	if (!t->shaken) /* neither bytes in nor out before that is over */
		wait = (wish & ~(unsigned)LOOP_WRITE) | LOOP_READ;
	if (!(state & (BR_SSL_RECVREC | BR_SSL_RECVAPP)))
		wait &= ~(unsigned)LOOP_READ; /* the engine has to say something first */
	if (state & BR_SSL_SENDREC)
		wait |= LOOP_WRITE;
	return wait;
}

static bool tls_ready(const struct stream *s)
{
	const struct tls *t = tls_of(s);
	size_t n;

	return t->lost != IO_OK || is_closed(t) || br_ssl_engine_recvapp_buf(t->engine, &n) != NULL;
}

static size_t tls_pending(const struct stream *s)
{
	const struct tls *t = tls_of(s);
	size_t n = 0;

	if (!t->shaken || t->finished)
		return 0;
	br_ssl_engine_sendrec_buf(t->engine, &n);
	return n > 0 ? n : t->filling;
}

static const char *tls_why(const struct stream *s)
{
	return tls_of(s)->why;
}

static const struct stream_kind stream_tls = {
	tls_read,  tls_write, tls_flush,   tls_finish, tls_close,
	tls_await, tls_ready, tls_pending, tls_why,
};

/* ---- birth ---- */

static struct tls *tls_make(struct mem *m, struct tls_creds *creds)
{
	size_t cap;
	struct tls *t = mem_take(m, STREAM_TLS_BLOCK, &cap);

	if (t == NULL)
		return NULL;
	memset(t, 0, offsetof(struct tls, u));
	t->mem = m;
	t->cap = cap;
	t->creds = creds;
	creds->users++;
	return t;
}

/* What both sides have in common. */
static bool engine_init(struct tls *t, br_ssl_engine_context *e)
{
	static const char *const protocols[] = { "http/1.1" };
	unsigned char seed[48];

	t->engine = e;
	br_ssl_engine_set_versions(e, BR_TLS12, BR_TLS12);
	br_ssl_engine_set_hash(e, br_sha256_ID, &br_sha256_vtable);
	br_ssl_engine_set_hash(e, br_sha384_ID, &br_sha384_vtable);
	br_ssl_engine_set_hash(e, br_sha512_ID, &br_sha512_vtable);
	br_ssl_engine_set_prf_sha256(e, &br_tls12_sha256_prf);
	br_ssl_engine_set_prf_sha384(e, &br_tls12_sha384_prf);
	br_ssl_engine_set_default_aes_gcm(e);
	br_ssl_engine_set_default_chapol(e);
	br_ssl_engine_set_protocol_names(e, (const char **)(uintptr_t)protocols,
					 ARRAY_LEN(protocols));
	br_ssl_engine_add_flags(e, BR_OPT_NO_RENEGOTIATION);
	br_ssl_engine_set_buffers_bidi(e, t->in, sizeof(t->in), t->out, sizeof(t->out));
	if (!proc_random(seed, sizeof(seed)))
		return false;
	br_ssl_engine_inject_entropy(e, seed, sizeof(seed));
	mem_wipe(seed, sizeof(seed));
	return true;
}

static bool tls_start(struct stream *s, int fd, struct tls *t, bool started)
{
	if (!started) {
		tls_creds_leave(&t->creds);
		mem_give(t->mem, t, t->cap);
		return false;
	}
	stream_init_sock(s, fd);
	s->kind = &stream_tls;
	s->state = t;
	return true;
}

bool stream_init_tls_server(struct stream *s, int fd, struct mem *m, struct tls_creds *creds,
			    struct slice refusal)
{
	static const uint16_t for_ec[] = { BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
					   BR_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
					   BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 };
	static const uint16_t for_rsa[] = { BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
					    BR_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
					    BR_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 };
	const br_ec_private_key *ec = br_skey_decoder_get_ec(&creds->key);
	struct tls *t = tls_make(m, creds);
	br_ssl_server_context *c;
	bool ok;

	if (t == NULL)
		return false;
	t->refusal = refusal;
	c = &t->u.server;
	br_ssl_server_zero(c);
	ok = engine_init(t, &c->eng);
	br_ssl_engine_set_default_ec(&c->eng);
	br_ssl_engine_add_flags(&c->eng, BR_OPT_FAIL_ON_ALPN_MISMATCH);
	br_ssl_engine_set_suites(&c->eng, ec != NULL ? for_ec : for_rsa, ARRAY_LEN(for_ec));
	if (ec != NULL)
		br_ssl_server_set_single_ec(c, creds->chain, creds->chain_count, ec,
					    BR_KEYTYPE_SIGN, 0, br_ssl_engine_get_ec(&c->eng),
					    br_ecdsa_sign_asn1_get_default());
	else
		br_ssl_server_set_single_rsa(c, creds->chain, creds->chain_count,
					     br_skey_decoder_get_rsa(&creds->key), BR_KEYTYPE_SIGN,
					     NULL, br_rsa_pkcs1_sign_get_default());
	return tls_start(s, fd, t, ok && br_ssl_server_reset(c));
}

bool stream_init_tls_client(struct stream *s, int fd, struct mem *m, struct tls_creds *creds,
			    const struct tls_peer *peer)
{
	static const uint16_t suites[] = { BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
					   BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
					   BR_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
					   BR_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
					   BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
					   BR_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 };
	struct tls *t = tls_make(m, creds);
	br_ssl_client_context *c;
	bool ok;

	if (t == NULL)
		return false;
	c = &t->u.client.context;
	br_ssl_client_zero(c);
	ok = engine_init(t, &c->eng);
	br_ssl_engine_set_default_rsavrfy(&c->eng);
	br_ssl_engine_set_default_ecdsa(&c->eng);
	br_ssl_engine_set_suites(&c->eng, suites, ARRAY_LEN(suites));
	tls_checker_init(&t->u.client.checker, creds, peer);
	br_ssl_engine_set_x509(&c->eng, &t->u.client.checker.vtable);
	return tls_start(s, fd, t, ok && br_ssl_client_reset(c, peer->name, 0));
}
