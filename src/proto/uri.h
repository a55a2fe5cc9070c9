/* SPDX-License-Identifier: MIT */
/* uri.h: request targets (RFC 9112, 3.2; RFC 3986) and the URLs of our upstreams. */
#ifndef PROTO_URI_H
#define PROTO_URI_H

#include "base/base.h"

struct uri {
	struct slice path; /* decoded, dot segments removed, begins with '/'; in the memory given */
	struct slice raw_path;  /* as sent */
	struct slice query;     /* as sent, without '?'; empty if absent */
	struct slice authority; /* absolute-form only: wins over Host (RFC 9112, 3.2.2) */
	bool asterisk;          /* "*" (OPTIONS only) */
};

/* Reads a target in origin-form, absolute-form (http and https) or asterisk-form. `mem` must hold
 * raw.n bytes. False: no such form, bad escape, %00, a control byte, a fragment, a path that
 * climbs out of the root, a bad authority: answer 400. An encoded slash (%2F) or backslash in the
 * path is refused too: no file or route of ours has one. */
bool uri_parse(struct slice target, char *mem, struct uri *);

/* Whether a Host value is one (RFC 9112, 3.2: uri-host [":" port]; no userinfo; empty allowed). */
bool uri_host_valid(struct slice host);
/* Splits "name:port", "[v6]:port", "name" into name (without brackets) and port text (may be
 * empty). False when it is not valid. */
bool uri_host_split(struct slice host, struct slice *name, struct slice *port);
/* Whether a name (no port) is "localhost", "*.localhost", or an IP literal; without case. */
bool uri_name_is_local_or_ip(struct slice name);
bool uri_name_is_ip(struct slice name); /* IPv4 dotted quad or IPv6 text without brackets */

/* "k" in "a=1&k=v" -> "v" raw; p == NULL when there is none. */
struct slice uri_query_find(struct slice query, struct slice key);

struct url {
	bool https;
	struct slice host; /* without brackets */
	unsigned port;     /* 80 or 443 when not given */
	struct slice path; /* "" or "/..." without a trailing slash */
	bool ip;           /* host is an IP literal */
};

/* An upstream's URL: http or https, no userinfo, no query, no fragment. NULL: fine; else what is
 * wrong, in a few words. */
const char *url_parse(struct slice, struct url *);

#endif
