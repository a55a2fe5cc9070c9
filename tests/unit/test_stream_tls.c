/* SPDX-License-Identifier: MIT */
/* test_stream_tls.c: both sides of a TLS stream against each other over a socket pair: what becomes
 * records, what is told when, and that all memory comes back. */
#include "check.h"
#include "io/cert.h"
#include "io/loop.h"
#include "io/stream_tls.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

enum { NOW = 1795474061, CLIENT = 0, SERVER = 1 };

static char pack_mem[CERT_PACK_MAX], anchor_mem[CERT_PACK_MAX];
static struct mem mem;
static struct tls_creds *own, *anchors;
static struct stream side[2];
static int fds[2];

static void make_creds(void)
{
	struct buf pack, trust;
	struct slice der, rest;
	enum cert_part part;

	buf_init(&pack, pack_mem, sizeof(pack_mem));
	CHECK(cert_pack_self_signed(SLICE("unit.example"), NOW, &pack));
	own = tls_creds_open(&mem, buf_view(&pack));
	/* the same certificate as an anchor: its kind is the first byte of a part */
	rest = buf_view(&pack);
	CHECK(cert_pack_next(&rest, &part, &der) && part == CERT_CHAIN);
	buf_init(&trust, anchor_mem, sizeof(anchor_mem));
	buf_put(&trust, slice_make(pack_mem, 4 + der.n));
	anchor_mem[0] = CERT_ANCHOR;
	anchors = tls_creds_open(&mem, buf_view(&trust));
	CHECK(own != NULL && anchors != NULL);
}

static void open_pair(const struct tls_peer *peer)
{
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
	CHECK(stream_init_tls_client(&side[CLIENT], fds[0], &mem, anchors, peer));
	CHECK(stream_init_tls_server(&side[SERVER], fds[1], &mem, own, SLICE("clear\n")));
}

static const struct tls_peer friend = { "unit.example", { "", 0 }, NOW };

/* In turns, until both are done or one fails. */
static enum io shake(void)
{
	enum io a = IO_AGAIN, b = IO_AGAIN;
	unsigned i;

	for (i = 0; i < 100 && (a == IO_AGAIN || b == IO_AGAIN); i++) {
		a = stream_flush(&side[CLIENT]);
		b = stream_flush(&side[SERVER]);
		if ((a != IO_OK && a != IO_AGAIN) || (b != IO_OK && b != IO_AGAIN))
			break;
	}
	return a != IO_OK ? a : b;
}

static void close_pair(void)
{
	stream_close(&side[CLIENT]);
	stream_close(&side[SERVER]);
}

static size_t read_all(struct stream *s, char *dst, size_t cap, enum io *end)
{
	size_t have = 0, n;

	while (have < cap && (*end = stream_read(s, dst + have, cap - have, &n)) == IO_OK)
		have += n;
	return have;
}

static void test_shake(void)
{
	check_case("shake");
	open_pair(&friend);
	CHECK(stream_await(&side[CLIENT], LOOP_WRITE) == (LOOP_READ | LOOP_WRITE)); /* its hello */
	CHECK(stream_await(&side[SERVER], LOOP_READ | LOOP_PEER) == (LOOP_READ | LOOP_PEER));
	CHECK(stream_await(&side[SERVER], LOOP_WRITE) ==
	      LOOP_READ); /* nothing to say before it is asked */
	CHECK(!stream_ready(&side[CLIENT]) && stream_pending(&side[CLIENT]) == 0);
	CHECK(shake() == IO_OK);
	CHECK(stream_await(&side[SERVER], LOOP_WRITE) == LOOP_WRITE);
	CHECK(stream_await(&side[SERVER], 0) == 0);
	CHECK(stream_why(&side[SERVER]) == NULL && stream_why(&side[CLIENT]) == NULL);
	close_pair();
}

/* What several parts, and several calls, become on the wire before a flush: one record. */
static void test_records(void)
{
	static const struct slice parts[] = { SLICE_INIT("5\r\n"), SLICE_INIT("hello"),
					      SLICE_INIT(""), SLICE_INIT("\r\n") };
	char raw[1000];
	ssize_t got;
	size_t n;

	check_case("records");
	open_pair(&friend);
	CHECK(shake() == IO_OK);
	CHECK(stream_write(&side[SERVER], parts, 4, &n) == IO_OK && n == 10);
	CHECK(stream_write(&side[SERVER], parts, 4, &n) == IO_OK && n == 10);
	CHECK_U64(stream_pending(&side[SERVER]), 20);
	CHECK(recv(fds[0], raw, sizeof(raw), MSG_PEEK) < 0 && errno == EAGAIN);
	CHECK(stream_flush(&side[SERVER]) == IO_OK && stream_pending(&side[SERVER]) == 0);
	got = recv(fds[0], raw, sizeof(raw), MSG_PEEK);
	CHECK(got == 5 + 20 + 24 || got == 5 + 20 + 16); /* GCM, ChaCha20 */
	CHECK(raw[0] == 23 && got == 5 + raw[4]);
	CHECK(stream_flush(&side[SERVER]) == IO_OK); /* nothing: no record */
	CHECK(recv(fds[0], raw, sizeof(raw), MSG_PEEK) == got);
	CHECK(stream_read(&side[CLIENT], raw, 4, &n) == IO_OK && n == 4);
	CHECK(stream_ready(&side[CLIENT])); /* the socket is silent, but there is more */
	CHECK(recv(fds[0], raw, sizeof(raw), MSG_PEEK) < 0);
	CHECK(stream_read(&side[CLIENT], raw, sizeof(raw), &n) == IO_OK && n == 16);
	CHECK(!stream_ready(&side[CLIENT]));
	CHECK(stream_read(&side[CLIENT], raw, sizeof(raw), &n) == IO_AGAIN);
	close_pair();
}

/* More than the socket takes: the rest waits, is counted, and comes whole and in order. */
static void test_bulk(void)
{
	static char sent[600000], got[600000];
	size_t i, n, in = 0, out = 0;
	enum io end = IO_AGAIN;
	bool blocked = false;

	check_case("bulk");
	for (i = 0; i < sizeof(sent); i++)
		sent[i] = (char)(i * 7 + i / 1000);
	open_pair(&friend);
	CHECK(shake() == IO_OK);
	while (in < sizeof(sent) || stream_pending(&side[SERVER]) > 0) {
		struct slice rest = slice_make(sent + in, sizeof(sent) - in);
		enum io r = stream_write(&side[SERVER], &rest, 1, &n);

		in += n;
		if (r == IO_OK && rest.n > 0)
			r = stream_flush(&side[SERVER]);
		if (rest.n == 0)
			r = stream_flush(&side[SERVER]);
		if (r == IO_AGAIN) {
			blocked = true;
			CHECK(stream_pending(&side[SERVER]) > 0);
			CHECK(stream_await(&side[SERVER], 0) == LOOP_WRITE);
			out += read_all(&side[CLIENT], got + out,
					MIN(sizeof(got) - out, (size_t)50001), &end);
		} else if (!CHECK(r == IO_OK)) {
			break;
		}
	}
	out += read_all(&side[CLIENT], got + out, sizeof(got) - out, &end);
	CHECK(blocked);
	CHECK_U64(out, sizeof(sent));
	CHECK(memcmp(sent, got, sizeof(sent)) == 0);
	close_pair();
}

static void test_ends(void)
{
	struct slice word = SLICE("last");
	char got[100];
	enum io end;
	size_t n;

	check_case("finish");
	open_pair(&friend);
	CHECK(shake() == IO_OK);
	CHECK(stream_write(&side[SERVER], &word, 1, &n) == IO_OK);
	CHECK(stream_finish(&side[SERVER]) == IO_OK);
	CHECK(stream_write(&side[SERVER], &word, 1, &n) == IO_CUT);
	CHECK(read_all(&side[CLIENT], got, sizeof(got), &end) == 4 && end == IO_EOF);
	CHECK(stream_write(&side[CLIENT], &word, 1, &n) == IO_CUT);
	CHECK(read_all(&side[SERVER], got, sizeof(got), &end) == 0 && end == IO_EOF);
	close_pair();

	check_case("close");
	open_pair(&friend);
	CHECK(shake() == IO_OK);
	CHECK(stream_write(&side[SERVER], &word, 1, &n) == IO_OK); /* and no flush */
	stream_close(&side[SERVER]);
	CHECK(read_all(&side[CLIENT], got, sizeof(got), &end) == 4 && end == IO_EOF);
	CHECK(stream_read(&side[SERVER], got, 1, &n) == IO_FAIL &&
	      stream_pending(&side[SERVER]) == 0);
	close_pair();

	check_case("cut");
	open_pair(&friend);
	CHECK(shake() == IO_OK);
	CHECK(stream_write(&side[SERVER], &word, 1, &n) == IO_OK);
	CHECK(stream_flush(&side[SERVER]) == IO_OK);
	shutdown(fds[SERVER], SHUT_WR);
	CHECK(stream_read(&side[CLIENT], got, sizeof(got), &n) == IO_OK && n == 4);
	CHECK(stream_ready(&side[CLIENT]));
	CHECK(stream_read(&side[CLIENT], got, sizeof(got), &n) == IO_CUT);
	CHECK(strstr(stream_why(&side[CLIENT]), "close_notify") != NULL);
	close_pair();

	check_case("reset");
	open_pair(&friend);
	CHECK(shake() == IO_OK);
	stream_reset(&side[SERVER]);
	CHECK(stream_read(&side[CLIENT], got, sizeof(got), &n) == IO_CUT);
	close_pair();
}

static void check_refused(const struct tls_peer *peer, const char *words)
{
	check_case("%s", words);
	open_pair(peer);
	CHECK(shake() == IO_CUT);
	CHECK(stream_ready(&side[CLIENT]));
	if (CHECK(stream_why(&side[CLIENT]) != NULL))
		CHECK(strstr(stream_why(&side[CLIENT]), words) != NULL);
	close_pair();
}

static void test_strangers(void)
{
	static const struct tls_peer name = { "other.example", { "", 0 }, NOW };
	static const struct tls_peer ip = { NULL, SLICE_INIT("\x7f\0\0\x02"), NOW };
	static const struct tls_peer late = { "unit.example", { "", 0 }, NOW + 4000LL * 86400 };
	static const struct tls_peer early = { "unit.example", { "", 0 }, NOW - 4000LL * 86400 };
	static const struct tls_peer near = { NULL, SLICE_INIT("\x7f\0\0\x01"), NOW };
	char got[100];
	size_t n;

	check_refused(&name, "another name");
	check_refused(&ip, "another name");
	check_refused(&late, "expired");
	check_refused(&early, "expired");
	check_case("by address");
	open_pair(&near);
	CHECK(shake() == IO_OK);
	close_pair();

	check_case("in the clear");
	open_pair(&friend);
	CHECK(send(fds[CLIENT], "GET / HTTP/1.1\r\n\r\n", 18, 0) == 18);
	CHECK(stream_read(&side[SERVER], got, sizeof(got), &n) == IO_CUT);
	CHECK(recv(fds[CLIENT], got, sizeof(got), 0) == 6 && memcmp(got, "clear\n", 6) == 0);
	CHECK(recv(fds[CLIENT], got, sizeof(got), 0) == 0);
	close_pair();
}

/* New ones while a handshake with the old ones is under way. */
static void test_exchange(void)
{
	struct tls_creds *old = own;

	check_case("exchange");
	open_pair(&friend);
	stream_flush(&side[CLIENT]);
	tls_creds_close(old);
	CHECK(shake() == IO_OK);
	close_pair();
	own = NULL;
}

int main(void)
{
	mem_init(&mem);
	make_creds();
	test_shake();
	test_records();
	test_bulk();
	test_ends();
	test_strangers();
	test_exchange();
	tls_creds_close(anchors);
	check_case("memory");
	CHECK_U64(mem.used, 0);
	return check_done();
}
