/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /etc/resolv.conf and /etc/hosts in pieces of any size, and a host name: "PIECE NAME\0FILE". The parts that are found lie within
 * what was read, and do not depend on how it was cut.
 */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "fuzz/fuzz.h"
#include "shim/names.h"

struct hosts {
	struct slice host;
	unsigned named;
};

static void take_hosts_line(void *to, struct slice line)
{
	struct hosts *hosts = to;

	hosts->named += hosts_line_names(line, hosts->host);
}

static void feed(struct line_reader *reader, const struct fuzz_input *file, size_t piece)
{
	for (size_t at = 0, n; at < file->left; at += n) {
		char *copy;

		n = piece < file->left - at ? piece : file->left - at;
		copy = fuzz_copy(file->at + at, n, false);
		lines_feed(reader, copy, n);
		free(copy);
	}
	lines_end(reader);
}

static bool lies_in(struct slice part, const struct resolv *resolv)
{
	return part.len == 0 || (part.at >= resolv->text && part.at + part.len <= resolv->text + sizeof(resolv->text));
}

static void read_resolv(struct resolv *resolv, const struct fuzz_input *file, size_t piece)
{
	struct line_reader *reader = calloc(1, sizeof(*reader));

	if (!reader)
		abort();
	reader->take = resolv_take_line;
	reader->to = resolv;
	resolv_init(resolv);
	feed(reader, file, piece);
	resolv_done(resolv);
	free(reader);
}

static bool same(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static unsigned read_hosts(struct slice host, const struct fuzz_input *file, size_t piece)
{
	struct line_reader *reader = calloc(1, sizeof(*reader));
	struct hosts hosts = { host, 0 };

	if (!reader)
		abort();
	reader->take = take_hosts_line;
	reader->to = &hosts;
	feed(reader, file, piece);
	free(reader);
	return hosts.named;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct resolv *one = malloc(sizeof(*one)), *other = malloc(sizeof(*other));
	struct fuzz_input in = { data, size };
	size_t piece = 1 + (size_t)fuzz_number(&in, 1), name = 0;
	struct slice host;

	if (!one || !other)
		abort();
	while (name < in.left && in.at[name])
		name++;
	host = (struct slice){ fuzz_copy(in.at, name, false), name };
	in.at += name + (name < in.left);
	in.left -= name + (name < in.left);
	read_resolv(one, &in, piece);
	read_resolv(other, &in, in.left + 1);
	FUZZ_HOLDS(lies_in(one->search, one) && lies_in(one->namespace, one) && lies_in(one->domain, one));
	FUZZ_HOLDS(same(one->search, other->search) && same(one->namespace, other->namespace) && same(one->domain, other->domain));
	FUZZ_HOLDS(one->ndots == other->ndots && one->ndots <= 15);
	FUZZ_HOLDS(read_hosts(host, &in, piece) == read_hosts(host, &in, in.left + 1));
	free((void *)host.at);
	free(one);
	free(other);
	return 0;
}
