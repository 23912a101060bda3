/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/models.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/fuzz.h"
#include "table/image.h"
#include "table/slots.h"

#define MAX_SLOTS 65536

struct model *fuzz_model(void)
{
	struct addr own = { .is_v4 = 1, .ip = { [10] = 0xff, [11] = 0xff, [12] = 10, [15] = 9 } };
	struct model_options options = { .node = "n1", .zone = "a", .namespace = "shop", .pod = "web-1", .addresses = &own,
					 .address_count = 1 };
	struct model *model = model_new(&options);

	if (!model)
		abort();
	return model;
}

static bool is_one_line(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

/* A file of that one generation, as the writer lays it out (layout.h). */
static void check(const struct image *image)
{
	const size_t head_size = sizeof(struct table_head), size = head_size + image->size;
	uint8_t *bytes = aligned_alloc(64, (size + 63) / 64 * 64);
	struct table_head *head = (void *)bytes;
	struct table_area *area = (void *)(bytes + head_size);
	struct table table;
	char why[128] = "";

	if (!bytes)
		abort();
	memset(head, 0, head_size);
	memcpy(area, image->bytes, image->size);
	area->seq = 2;
	*head = (struct table_head){ .magic = TABLE_MAGIC, .major = TABLE_MAJOR, .minor = TABLE_MINOR, .head_size = (uint32_t)head_size,
				     .file_size = size, .instance = 1, .flags = TABLE_STATIC, .area_offset = { head_size, head_size },
				     .area_size = image->size, .rows = MAX_SLOTS, .cursors = MAX_SLOTS };
	head->sum = table_sum(0, head, offsetof(struct table_head, sum) / 8);
	head->current = image->generation << 1;
	FUZZ_HOLDS(table_attach(&table, bytes, size) == 0);
	if (table_check(&table, why, sizeof(why)) < 0)
		fuzz_broken(why, __FILE__, __LINE__);
	free(bytes);
}

void fuzz_publish(struct model *model)
{
	struct image_options options = { .instance = 1, .generation = 1, .boot_ms = 1, .wall_ms = 1 };
	struct report why = { .text = "" };
	struct slots rows, cursors;
	struct image image;
	struct spec *spec;
	int r = model_resolve(model, &spec, &why);

	FUZZ_HOLDS(r == 0 || r == -ENOSPC);
	if (r < 0)
		return;
	spec->source = "fuzz";
	if (slots_init(&rows, MAX_SLOTS) < 0 || slots_init(&cursors, MAX_SLOTS) < 0)
		abort();
	r = image_build(spec, &options, &rows, &cursors, &image, &why);
	FUZZ_HOLDS(r == 0 || r == -E2BIG || r == -ENOSPC);
	if (r == 0) {
		check(&image);
		free(image.bytes);
	}
	slots_done(&rows);
	slots_done(&cursors);
	model_release(model);
}

static bool is_empty(struct model *model)
{
	struct report why;
	struct spec *spec;
	bool empty = model_resolve(model, &spec, &why) == 0 && spec->service_count == 0;

	model_release(model);
	return empty;
}

void fuzz_loaded(struct model *model, int r, const struct report *why)
{
	if (r < 0)
		FUZZ_HOLDS(r == -ENOMEM || (why->text[0] && is_one_line(why->text) && is_empty(model)));
	fuzz_publish(model);
}
