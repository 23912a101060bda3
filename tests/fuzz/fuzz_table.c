/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table whose bytes are anybody's: the first byte says whether they are the file itself, or changes to a good one, and whether the
 * sums are made right afterwards, as a hostile writer would. Whatever is asked of it, nothing is read beyond its end, nothing hangs.
 */
#include <stdlib.h>
#include <string.h>

#include "balance/balance.h"
#include "base/text.h"
#include "fuzz/fuzz.h"
#include "table/image.h"
#include "table/slots.h"
#include "table/table.h"
#include "table/writer.h"

#define MAX_ASKED 64
#define SLOTS	  64
enum { IS_WHOLE = 1, MEND_AREA = 2, MEND_ROWS = 4 };

struct file {
	uint8_t *bytes;
	size_t size;
};

static struct addr address(uint8_t last, uint16_t port)
{
	return (struct addr){ .is_v4 = 1, .ip = { [10] = 0xff, [11] = 0xff, [12] = 10, [15] = last }, .port_be = (uint16_t)(port << 8 | port >> 8) };
}

/* Of two Services, with five endpoints, of one generation. */
static struct file good_file(void)
{
	struct spec_endpoint at[5] = { 0 };
	struct spec_address own[2] = { { .addr = address(200, 0) }, { .addr = address(201, 0) } };
	struct spec_port ports[2] = { { .name = "http", .port = 80, .protocol = PROTOCOL_TCP, .endpoints = at, .endpoint_count = 3 },
				      { .port = 3306, .protocol = PROTOCOL_TCP, .endpoints = at + 3, .endpoint_count = 2 } };
	struct spec_service services[2] = {
		{ .name = "mysql", .namespace = "shop", .addresses = &own[1], .address_count = 1, .ports = &ports[1], .port_count = 1 },
		{ .name = "web", .flags = SERVICE_BARE_NAME, .addresses = &own[0], .address_count = 1, .ports = &ports[0], .port_count = 1 } };
	struct spec spec = { .source = "fuzz", .services = services, .service_count = 2 };
	struct image_options options = { .instance = 7, .generation = 1, .boot_ms = 1, .wall_ms = 1 };
	const size_t head_size = sizeof(struct table_head);
	struct slots rows, cursors;
	struct table_head *head;
	struct report why;
	struct image image;
	struct file file;

	for (uint8_t i = 0; i < 5; i++)
		at[i] = (struct spec_endpoint){ .addr = address(i, i < 3 ? 8080 : 3306), .weight = i, .flags = ENDPOINT_READY | ENDPOINT_USABLE,
						.zone = i & 1 ? "a" : NULL };
	if (slots_init(&rows, SLOTS) < 0 || slots_init(&cursors, SLOTS) < 0 ||
	    image_build(&spec, &options, &rows, &cursors, &image, &why) < 0)
		abort();
	slots_done(&rows);
	slots_done(&cursors);
	file.size = head_size + image.size;
	file.bytes = malloc(file.size);
	if (!file.bytes)
		abort();
	head = (void *)file.bytes;
	*head = (struct table_head){ .magic = TABLE_MAGIC, .major = TABLE_MAJOR, .minor = TABLE_MINOR, .head_size = (uint32_t)head_size,
				     .file_size = file.size, .instance = 7, .flags = TABLE_STATIC, .area_offset = { head_size, head_size },
				     .area_size = image.size, .rows = SLOTS, .cursors = SLOTS, .current = 2 };
	memcpy(file.bytes + head_size, image.bytes, image.size);
	((struct table_area *)(file.bytes + head_size))->seq = 2;
	free(image.bytes);
	return file;
}

/* Records: where, and eight bytes for there. */
static void change(struct file *file, struct fuzz_input *in)
{
	while (in->left) {
		size_t at = (size_t)fuzz_number(in, 2) * 4, width = 1 + (size_t)fuzz_number(in, 1) % 8;
		uint64_t value = fuzz_number(in, width);

		for (size_t i = 0; i < width && at + i < file->size; i++)
			file->bytes[at + i] = (uint8_t)(value >> 8 * i);
	}
}

/* Sums of single rows, where a section of the right stride lies within the file. */
static void mend_rows(struct table_area *area, size_t room)
{
	const struct table_section *ports = &area->section[SECTION_PORTS], *endpoints = &area->section[SECTION_ENDPOINTS];

	for (uint32_t i = 0; i < ports->count && i < MAX_ASKED; i++) {
		uint64_t at = ports->offset + (uint64_t)i * ports->stride;

		if (ports->stride == sizeof(struct table_port_row) && at % 8 == 0 && at + ports->stride <= room)
			image_seal_port((void *)((uint8_t *)area + at), i);
	}
	for (uint32_t i = 0; i < endpoints->count && i < MAX_ASKED; i++) {
		uint64_t at = endpoints->offset + (uint64_t)i * endpoints->stride;
		struct table_endpoint *row = (void *)((uint8_t *)area + at);

		if (endpoints->stride == sizeof(*row) && at % 8 == 0 && at + sizeof(*row) <= room)
			row->check = table_endpoint_check(row, i);
	}
}

static void mend_sums(struct file *file, uint8_t how)
{
	struct table_head *head = (void *)file->bytes;
	uint64_t at;

	if (file->size < sizeof(*head))
		return;
	head->sum = table_sum(0, head, offsetof(struct table_head, sum) / 8);
	at = head->area_offset[head->current & 1];
	if (!(how & MEND_AREA) || at % 8 || at > file->size || file->size - at < sizeof(struct table_area))
		return;
	if (how & MEND_ROWS)
		mend_rows((void *)(file->bytes + at), file->size - at);
	image_seal_area((void *)(file->bytes + at));
}

static void pick(const struct table_view *view, const struct table_port *port, uint32_t row)
{
	static const struct ledger none;

	for (int v4 = 0; v4 < 2; v4++) {
		struct pick pick = { .ledger = &none, .now_ms = 1000000, .identity = 1, .eject_percent = 50 };
		uint32_t first = port->first_endpoint + (v4 ? 0 : port->v4_count), count = v4 ? port->v4_count : port->v6_count;
		struct table_tally tally;
		struct candidate chosen;
		struct table_endpoint endpoint;

		if (table_endpoint_rows(view, first, count, &pick.rows) < 0 || pick.rows.count > 65536)
			continue;
		if (table_tally(view, row, v4, &tally) == 0)
			pick_take_tally(&pick, &tally, port->policy.slow_start_ms);
		if (!pick_next(&pick, port->policy.balance, &chosen))
			continue;
		FUZZ_HOLDS(chosen.index < pick.rows.count);
		table_endpoint(view, pick.rows.first + chosen.index, &endpoint);
	}
}

static void ask(const struct table_view *view)
{
	static const char *const names[] = { "web", "mysql", "", "x" };
	char text[TABLE_NAME_SIZE];
	struct table_area area;
	struct addr dest = address(200, 80);

	table_area(view, &area);
	table_area_verify(view);
	table_rules(view);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		table_find_bare(view, slice_of(names[i]));
		table_find_service(view, slice_of(names[i]), slice_of("shop"));
	}
	for (uint8_t last = 199; last < 203; last++) {
		dest.ip[15] = last;
		table_find_port(view, &dest, PROTOCOL_TCP);
	}
	for (uint32_t i = 0; i < MAX_ASKED; i++) {
		struct table_service service;
		struct table_endpoint endpoint;
		struct table_address one;
		struct table_port port;

		table_service(view, i, &service);
		table_address(view, i, &one);
		if (table_endpoint(view, i, &endpoint) == 0)
			table_string(view, endpoint.zone, text, sizeof(text));
		if (table_port(view, i, &port) == 0) {
			table_string(view, port.name, text, sizeof(text));
			pick(view, &port, i);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	uint8_t how = (uint8_t)fuzz_number(&in, 1);
	struct file file = how & IS_WHOLE ? (struct file){ fuzz_copy(in.at, in.left, false), in.left } : good_file();
	struct table_view view;
	struct table table;
	struct table_note note;
	char why[128];

	if (!(how & IS_WHOLE))
		change(&file, &in);
	mend_sums(&file, how);
	if (table_attach(&table, file.bytes, file.size) == 0) {
		table_note(&table, &note);
		table_check(&table, why, sizeof(why));
		if (table_begin(&table, &view)) {
			ask(&view);
			table_end(&view);
		}
	}
	free(file.bytes);
	return 0;
}
