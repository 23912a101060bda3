/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/check.h"

/* ---- the shim ---- */

static void take_own_build(const struct inquiry *q, struct elf_links *own)
{
	int here = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), fd = here >= 0 ? file_open_in(here, q->own_shim) : -1;

	if (fd < 0 || elf_links_fd(fd, own) < 0)
		own->build_id[0] = '\0';
	if (fd >= 0)
		close(fd);
	if (here >= 0)
		close(here);
}

void check_take_build(struct inquiry *q, int fd)
{
	struct elf_links *links = &q->shim_links, own = { .has_names = false };

	if (fd < 0 || elf_links_fd(fd, links) < 0)
		return;
	if (q->own_shim[0])
		take_own_build(q, &own);
	if (links->build_id[0] && own.build_id[0])
		q->facts.shim_is_same_build = strcmp(links->build_id, own.build_id) == 0;
}

const char *check_preloaded_shim(const struct inquiry *q)
{
	for (size_t i = 0; i < q->preloads.count; i++)
		if (q->preloads.at[i].is_shim)
			return q->preloads.at[i].path;
	return NULL;
}

/* ---- the table ---- */

void check_take_table(struct inquiry *q, const char *path, const char *dir)
{
	struct trust trust = cli_trust();

	text_show(q->dir_shown, sizeof(q->dir_shown), dir);
	table_facts_take(path, &trust, &q->facts.table);
}
