/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/tables.h"

#include <stdlib.h>
#include <string.h>

#include "table/image.h"
#include "table/slots.h"
#include "table/table.h"
#include "table/writer.h"

#define MAX_SEALED 64

enum { IS_WHOLE = 1, MEND_AREA = 2, MEND_ROWS = 4 };

struct addr tables_address(uint8_t last, uint16_t port)
{
	return (struct addr){ .is_v4 = 1, .ip = { [10] = 0xff, [11] = 0xff, [12] = 10, [15] = last },
			      .port_be = (uint16_t)(port << 8 | port >> 8) };
}

/* Of two Services, with five endpoints, of one generation. */
static struct tables_file good_file(void)
{
	struct spec_endpoint at[5] = { 0 };
	struct spec_address own[2] = { { .addr = tables_address(200, 0) }, { .addr = tables_address(201, 0) } };
	struct spec_port ports[2] = { { .name = "http", .port = 80, .protocol = PROTOCOL_TCP, .endpoints = at, .endpoint_count = 3 },
				      { .port = 3306, .protocol = PROTOCOL_TCP, .endpoints = at + 3, .endpoint_count = 2 } };
	struct spec_service services[2] = {
		{ .name = "mysql", .namespace = "shop", .addresses = &own[1], .address_count = 1, .ports = &ports[1], .port_count = 1 },
		{ .name = "web", .flags = SERVICE_BARE_NAME, .addresses = &own[0], .address_count = 1, .ports = &ports[0], .port_count = 1 } };
	struct spec spec = { .source = "fuzz", .services = services, .service_count = 2 };
	struct image_options options = { .instance = TABLES_INSTANCE, .generation = 1, .boot_ms = 1, .wall_ms = 1 };
	const size_t head_size = sizeof(struct table_head);
	struct slots rows, cursors;
	struct table_head *head;
	struct report why;
	struct image image;
	struct tables_file file;

	for (uint8_t i = 0; i < 5; i++)
		at[i] = (struct spec_endpoint){ .addr = tables_address(i, i < 3 ? 8080 : 3306), .weight = i,
						.flags = ENDPOINT_READY | ENDPOINT_USABLE, .zone = i & 1 ? "a" : NULL };
	if (slots_init(&rows, TABLES_SLOTS) < 0 || slots_init(&cursors, TABLES_SLOTS) < 0 ||
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
				     .file_size = file.size, .instance = TABLES_INSTANCE, .flags = TABLE_STATIC, .area_offset = { head_size, head_size },
				     .area_size = image.size, .rows = TABLES_SLOTS, .cursors = TABLES_SLOTS, .current = 2 };
	memcpy(file.bytes + head_size, image.bytes, image.size);
	((struct table_area *)(file.bytes + head_size))->seq = 2;
	free(image.bytes);
	return file;
}

/* Records: where, and eight bytes for there. */
static void change(struct tables_file *file, struct fuzz_input *in)
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

	for (uint32_t i = 0; i < ports->count && i < MAX_SEALED; i++) {
		uint64_t at = ports->offset + (uint64_t)i * ports->stride;

		if (ports->stride == sizeof(struct table_port_row) && at % 8 == 0 && at + ports->stride <= room)
			image_seal_port((void *)((uint8_t *)area + at), i);
	}
	for (uint32_t i = 0; i < endpoints->count && i < MAX_SEALED; i++) {
		uint64_t at = endpoints->offset + (uint64_t)i * endpoints->stride;
		struct table_endpoint *row = (void *)((uint8_t *)area + at);

		if (endpoints->stride == sizeof(*row) && at % 8 == 0 && at + sizeof(*row) <= room)
			row->check = table_endpoint_check(row, i);
	}
}

static void mend_sums(struct tables_file *file, uint8_t how)
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

struct tables_file tables_file(struct fuzz_input *in, size_t most)
{
	uint8_t how = (uint8_t)fuzz_number(in, 1);
	struct fuzz_input mine = { in->at, most < in->left ? most : in->left };
	struct tables_file file = how & IS_WHOLE ? (struct tables_file){ fuzz_copy(mine.at, mine.left, false), mine.left } : good_file();

	in->at += mine.left;
	in->left -= mine.left;
	if (!(how & IS_WHOLE))
		change(&file, &mine);
	mend_sums(&file, how);
	return file;
}
