/* SPDX-License-Identifier: MIT */
/* test_forwarded.c: addresses in and out, CIDR lists, the client behind proxies. */
#include "check.h"

#include "proto/forwarded.h"

/* The address as canonical text. */
static struct slice text_of(const struct ip_addr *a)
{
	static char mem[64];
	struct buf b;

	buf_init(&b, mem, sizeof(mem));
	CHECK(ip_write(&b, a));
	return buf_view(&b);
}

static const struct {
	const char *in, *out; /* out NULL: no address */
} addresses[] = {
	{ "0.0.0.0", "0.0.0.0" },
	{ "127.0.0.1", "127.0.0.1" },
	{ "255.255.255.255", "255.255.255.255" },
	{ "1.20.200.99", "1.20.200.99" },
	{ "", NULL },
	{ "1", NULL },
	{ "1.2.3", NULL },
	{ "1.2.3.", NULL },
	{ "1.2.3.4.", NULL },
	{ "1.2.3.4.5", NULL },
	{ ".1.2.3.4", NULL },
	{ "1..3.4", NULL },
	{ "1.2.3.256", NULL },
	{ "1.2.3.1000", NULL },
	{ "1.2.3.99999999999", NULL },
	{ "01.2.3.4", NULL },
	{ "1.2.3.04", NULL },
	{ "1.2.3.00", NULL },
	{ "0x1.2.3.4", NULL },
	{ "1.2.3.4 ", NULL },
	{ " 1.2.3.4", NULL },
	{ "1,2.3.4", NULL },
	{ "+1.2.3.4", NULL },
	{ "::", "::" },
	{ "::1", "::1" },
	{ "1::", "1::" },
	{ "1::8", "1::8" },
	{ "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8" },
	{ "0001:0020:0300:4000:5:6:7:8", "1:20:300:4000:5:6:7:8" },
	{ "ABCD:EF01::", "abcd:ef01::" },
	{ "1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0" }, /* one group is not shortened */
	{ "::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8" },
	{ "1:0:3:4:5:6:7:8", "1:0:3:4:5:6:7:8" },
	{ "1:0:0:4:5:6:7:8", "1::4:5:6:7:8" },
	{ "1:0:0:4:0:0:0:8", "1:0:0:4::8" },   /* the longest */
	{ "1:0:0:4:0:0:7:8", "1::4:0:0:7:8" }, /* the first of equals */
	{ "0:0:3:4:5:6:0:0", "::3:4:5:6:0:0" },
	{ "1:2:3:4:5:0:0:0", "1:2:3:4:5::" },
	{ "2001:db8::1.2.3.4", "2001:db8::102:304" },
	{ "1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304" },
	{ "1:2:3:4:5::1.2.3.4", "1:2:3:4:5:0:102:304" },
	{ "::1.2.3.4", "::102:304" },
	{ "::ffff:1.2.3.4", "1.2.3.4" }, /* mapped: the same as the IPv4 address */
	{ "::FFFF:102:304", "1.2.3.4" },
	{ "::fffe:1.2.3.4", "::fffe:102:304" },
	{ ":", NULL },
	{ ":::", NULL },
	{ ":1", NULL },
	{ "1:", NULL },
	{ ":1::", NULL },
	{ "::1:", NULL },
	{ "1:::2", NULL },
	{ "1::2::3", NULL },
	{ "1:2:3:4:5:6:7", NULL },
	{ "1:2:3:4:5:6:7:8:9", NULL },
	{ "1:2:3:4:5:6:7:8:", NULL },
	{ "1:2:3:4:5:6:7:8::", NULL },
	{ "::1:2:3:4:5:6:7:8", NULL },
	{ "1:2:3:4::5:6:7:8", NULL },
	{ "12345::", NULL },
	{ "::g", NULL },
	{ "::-1", NULL },
	{ "::1%eth0", NULL },
	{ "fe80::1%25eth0", NULL },
	{ "[::1]", NULL },
	{ "::1/64", NULL },
	{ "1.2.3.4::", NULL },
	{ "1:2:3:4:5:6:7:1.2.3.4", NULL },
	{ "1:2:3:4:5:1.2.3.4", NULL },
	{ "::1.2.3", NULL },
	{ "::1.2.3.04", NULL },
	{ "::1.2.3.4:5", NULL },
	{ "::1.2.3.4.5", NULL },
	{ "1:2:3:4:5:6::1.2.3.4", NULL },
};

static void test_addresses(void)
{
	FOR_ROWS(i, addresses)
	{
		struct ip_addr a, again;

		check_case("address %s", addresses[i].in);
		if (!CHECK(ip_parse(check_guard_str(addresses[i].in), &a) ==
			   (addresses[i].out != NULL)) ||
		    addresses[i].out == NULL)
			continue;
		CHECK_STR(text_of(&a), addresses[i].out);
		CHECK(ip_parse(slice_str(addresses[i].out), &again));
		CHECK(memcmp(&a, &again, sizeof(a)) == 0);
	}
}

static void test_ports(void)
{
	static const struct {
		const char *in, *out;
	} rows[] = {
		{ "1.2.3.4", "1.2.3.4" },
		{ "1.2.3.4:80", "1.2.3.4" },
		{ "1.2.3.4:65535", "1.2.3.4" },
		{ "::1", "::1" },
		{ "[::1]", "::1" },
		{ "[::1]:80", "::1" },
		{ "[2001:db8::1]:0", "2001:db8::1" },
		{ "", NULL },
		{ ":80", NULL },
		{ "1.2.3.4:", NULL },
		{ "1.2.3.4:x", NULL },
		{ "1.2.3.4:65536", NULL },
		{ "1.2.3.4:000080", NULL },
		{ "1.2.3.4:80:80", NULL },
		{ "[1.2.3.4]:80", NULL },
		{ "[::1", NULL },
		{ "[]", NULL },
		{ "[", NULL },
		{ "[::1]80", NULL },
		{ "[::1]:", NULL },
		{ "[::1] ", NULL },
		{ "unknown", NULL },
		{ "_hidden", NULL },
	};

	FOR_ROWS(i, rows)
	{
		struct ip_addr a;

		check_case("with port %s", rows[i].in);
		if (CHECK(ip_parse_with_port(check_guard_str(rows[i].in), &a) ==
			  (rows[i].out != NULL)) &&
		    rows[i].out != NULL)
			CHECK_STR(text_of(&a), rows[i].out);
	}
}

static void test_kinds(void)
{
	static const struct {
		const char *in;
		bool v4, loopback, private;
	} rows[] = {
		{ "127.0.0.1", true, true, true },        { "127.255.255.254", true, true, true },
		{ "128.0.0.1", true, false, false },      { "::1", false, true, true },
		{ "::2", false, false, false },           { "::", false, false, false },
		{ "::ffff:127.0.0.1", true, true, true }, { "::127.0.0.1", false, false, false },
		{ "10.0.0.1", true, false, true },        { "10.255.255.255", true, false, true },
		{ "11.0.0.0", true, false, false },       { "9.255.255.255", true, false, false },
		{ "172.15.255.255", true, false, false }, { "172.16.0.0", true, false, true },
		{ "172.31.255.255", true, false, true },  { "172.32.0.0", true, false, false },
		{ "192.168.0.1", true, false, true },     { "192.169.0.1", true, false, false },
		{ "169.254.169.254", true, false, true }, { "8.8.8.8", true, false, false },
		{ "fe80::1", false, false, true },        { "febf::1", false, false, true },
		{ "fec0::1", false, false, false },       { "fc00::1", false, false, true },
		{ "fdff::1", false, false, true },        { "fe00::1", false, false, false },
		{ "2001:db8::1", false, false, false },
	};

	FOR_ROWS(i, rows)
	{
		struct ip_addr a;

		check_case("kind of %s", rows[i].in);
		CHECK(ip_parse(slice_str(rows[i].in), &a));
		CHECK(ip_is_v4(&a) == rows[i].v4);
		CHECK(ip_is_loopback(&a) == rows[i].loopback);
		CHECK(cidr_has(cidr_private, cidr_private_count, &a) == rows[i].private);
	}
}

static void test_cidrs(void)
{
	static const struct {
		const char *cidr, *in, *out; /* in NULL: no range */
	} rows[] = {
		{ "10.0.0.0/8", "10.9.9.9", "11.0.0.0" },
		{ "10.1.2.3/8", "10.9.9.9", "11.0.0.0" }, /* bits behind the prefix do not count */
		{ "1.2.3.4", "1.2.3.4", "1.2.3.5" },
		{ "1.2.3.4/32", "1.2.3.4", "1.2.3.5" },
		{ "1.2.3.4/31", "1.2.3.5", "1.2.3.6" },
		{ "0.0.0.0/0", "255.0.0.1", "::1" },
		{ "::/0", "1.2.3.4", NULL },
		{ "::1", "::1", "::2" },
		{ "2001:db8::/33", "2001:db8:7fff::", "2001:db8:8000::" },
		{ "fd00::/8", "fdff::1", "fc00::1" },
		{ "::1/128", "::1", "::" },
		{ "", NULL, NULL },
		{ "/8", NULL, NULL },
		{ "10.0.0.0/", NULL, NULL },
		{ "10.0.0.0/33", NULL, NULL },
		{ "10.0.0.0/x", NULL, NULL },
		{ "10.0.0.0/-1", NULL, NULL },
		{ "10.0.0.0/0008", NULL, NULL },
		{ "10.0.0.0/8/8", NULL, NULL },
		{ "10.0.0/8", NULL, NULL },
		{ "::/129", NULL, NULL },
		{ "[::]/8", NULL, NULL },
		{ "10.0.0.0 /8", NULL, NULL },
	};

	FOR_ROWS(i, rows)
	{
		struct ip_addr a;
		struct cidr c;

		check_case("range %s", rows[i].cidr);
		if (!CHECK(cidr_parse(check_guard_str(rows[i].cidr), &c) == (rows[i].in != NULL)) ||
		    rows[i].in == NULL)
			continue;
		CHECK(ip_parse(slice_str(rows[i].in), &a) && cidr_has(&c, 1, &a));
		CHECK(!cidr_has(&c, 0, &a));
		if (rows[i].out != NULL)
			CHECK(ip_parse(slice_str(rows[i].out), &a) && !cidr_has(&c, 1, &a));
	}
}

static void test_clients(void)
{
	static const struct {
		const char *peer, *lines[3];
		unsigned hops;
		const char *client;
	} rows[] = {
		{ "10.0.0.1", { NULL }, 1, "10.0.0.1" },
		{ "10.0.0.1", { "1.2.3.4" }, 1, "1.2.3.4" },
		{ "10.0.0.1", { "1.2.3.4" }, 0, "10.0.0.1" },
		{ "10.0.0.1", { "1.2.3.4" }, 2, "10.0.0.1" },
		{ "10.0.0.1", { "6.6.6.6, 1.2.3.4" }, 1, "1.2.3.4" },
		{ "10.0.0.1", { "6.6.6.6,\t1.2.3.4 ,5.5.5.5" }, 2, "1.2.3.4" },
		{ "10.0.0.1", { "6.6.6.6", "1.2.3.4" }, 1, "1.2.3.4" },
		{ "10.0.0.1", { "6.6.6.6", "7.7.7.7, 8.8.8.8" }, 3, "6.6.6.6" },
		{ "10.0.0.1", { "1.2.3.4:5678" }, 1, "1.2.3.4" },
		{ "10.0.0.1", { "[2001:db8::1]:5678" }, 1, "2001:db8::1" },
		{ "10.0.0.1", { "2001:db8::1" }, 1, "2001:db8::1" },
		{ "10.0.0.1", { "6.6.6.6, unknown" }, 1, "10.0.0.1" },
		{ "10.0.0.1", { "6.6.6.6," }, 1, "10.0.0.1" },
		{ "10.0.0.1", { "6.6.6.6," }, 2, "6.6.6.6" },
		{ "10.0.0.1", { "" }, 1, "10.0.0.1" },
		{ "10.0.0.1", { "6.6.6.6", "" }, 2, "6.6.6.6" },
		{ "8.8.8.8", { "1.2.3.4" }, 1, "8.8.8.8" }, /* a stranger says what he likes */
	};

	FOR_ROWS(i, rows)
	{
		struct slice lines[3];
		struct ip_addr peer, client;
		size_t n = 0;

		check_case("client %zu", i);
		while (n < 3 && rows[i].lines[n] != NULL) {
			lines[n] = check_guard_str(rows[i].lines[n]);
			n++;
		}
		CHECK(ip_parse(slice_str(rows[i].peer), &peer));
		client = forwarded_client(&peer, cidr_private, cidr_private_count, lines, n,
					  rows[i].hops);
		CHECK_STR(text_of(&client), rows[i].client);
	}
}

static void test_no_room(void)
{
	struct ip_addr a;
	struct buf b;
	char mem[8];

	check_case("no room");
	CHECK(ip_parse(SLICE("127.0.0.1"), &a));
	buf_init(&b, mem, sizeof(mem));
	CHECK(!ip_write(&b, &a) && buf_len(&b) == 0);
}

int main(void)
{
	test_addresses();
	test_ports();
	test_kinds();
	test_cidrs();
	test_clients();
	test_no_room();
	return check_done();
}
