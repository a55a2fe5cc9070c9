/* SPDX-License-Identifier: MIT */
/* fuzz_cert.c: any bytes as a PEM file of certificates or keys, as a certificate whose addresses are looked
 * at (an upstream sends it), as a pack, as DER. */
#include "base/der.h"
#include "io/cert.h"

#include "fuzz.h"

static char mem[CERT_PACK_MAX];

static void check_der(struct slice in, unsigned depth)
{
	struct slice content;
	unsigned tag;

	while (in.n > 0) {
		const char *end = in.p + in.n;

		if (!der_next(&in, &tag, &content))
			return;
		MUST(in.p + in.n == end && content.p + content.n == in.p);
		if (tag & DER_CONSTRUCTED && depth < 20)
			check_der(content, depth + 1);
	}
}

static void check_pack(struct slice pack, bool whole)
{
	enum cert_part part;
	struct slice der;

	while (cert_pack_next(&pack, &part, &der))
		MUST(!whole || part <= CERT_ANCHOR);
	MUST(!whole || pack.n == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_make((const char *)data, MIN(size, (size_t)CERT_FILE_MAX));
	struct cert_fault fault;
	const char *why;
	struct buf pack;
	size_t expired;

	buf_init(&pack, mem, sizeof(mem));
	if (cert_pack_anchors(in, 0, &pack, &expired, &why))
		check_pack(buf_view(&pack), true);
	else
		MUST(why != NULL && buf_len(&pack) == 0);
	buf_reset(&pack);
	if (cert_pack_pair(in, in, &pack, &fault))
		check_pack(buf_view(&pack), true);
	else
		MUST(fault.why != NULL && buf_len(&pack) == 0);
	check_pack(in, false);
	check_der(in, 0);
	cert_names_ip(in, SLICE("\x7f\0\0\x01"));
	cert_has_names(in);
	cert_is_for_servers(in);
	cert_age_of(in, 0);
	return 0;
}
