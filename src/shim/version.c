/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The version, in the file and in every process that has mapped it, for whoever reads it without running it (inspect/elf_links.h,
 * or `readelf -n`): a note of ours. Its segment is loaded, so strip keeps it; nothing refers to it, so it is not relocated.
 */
#include <stdint.h>

#define OWNER "fairdial"

/* As elf(5) has them: three sizes, then the owner and the value, each filled up to a multiple of four. */
static const struct {
	uint32_t owner_size, value_size, type;
	char owner[(sizeof(OWNER) + 3) / 4 * 4];
	char value[(sizeof(FAIRDIAL_VERSION) + 3) / 4 * 4];
} version_note __attribute__((section(".note.fairdial"), aligned(4), used)) = {
	.owner_size = sizeof(OWNER),
	.value_size = sizeof(FAIRDIAL_VERSION),
	.type = 1,
	.owner = OWNER,
	.value = FAIRDIAL_VERSION,
};
