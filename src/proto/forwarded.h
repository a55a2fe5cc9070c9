/* SPDX-License-Identifier: MIT */
/* forwarded.h: addresses, CIDR lists, and who the client is behind proxies. */
#ifndef PROTO_FORWARDED_H
#define PROTO_FORWARDED_H

#include "base/buf.h"

/* An IPv4 or IPv6 address; IPv4 is kept in mapped form (::ffff:a.b.c.d), so that one compare
 * serves both. */
struct ip_addr {
	uint8_t b[16];
};

struct cidr {
	struct ip_addr addr;
	unsigned bits; /* 0..128 over the mapped form */
};

bool ip_parse(struct slice, struct ip_addr *); /* no brackets, no port, no zone */
/* "ip", "ip:port", "[v6]", "[v6]:port" */
bool ip_parse_with_port(struct slice, struct ip_addr *);
bool ip_is_v4(const struct ip_addr *);
bool ip_is_loopback(const struct ip_addr *);         /* 127/8, ::1 */
bool ip_write(struct buf *, const struct ip_addr *); /* canonical text (RFC 5952) */

bool cidr_parse(struct slice, struct cidr *); /* "10.0.0.0/8", "::1", "fd00::/8" */
bool cidr_has(const struct cidr *list, size_t n, const struct ip_addr *);

/* The ranges trusted by default: loopback, RFC 1918, link-local, unique local. */
extern const struct cidr cidr_private[];
extern const size_t cidr_private_count;

/* Who the client is: if the peer is trusted, the hops-th element from the right of
 * X-Forwarded-For (all its field lines joined by commas, in order); anything unparsable, or too
 * few elements: the peer. */
struct ip_addr forwarded_client(const struct ip_addr *peer, const struct cidr *trusted, size_t n,
				const struct slice *lines, size_t line_count, unsigned hops);

#endif
