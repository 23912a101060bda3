/* SPDX-License-Identifier: Apache-2.0 */
#include "model/texts.h"

#include <stdlib.h>
#include <string.h>

struct shared {
	size_t holders;
	char text[];
};

static struct shared *shared_of(const char *copy)
{
	return (struct shared *)(copy - offsetof(struct shared, text));
}

const char *texts_get(struct texts *texts, const char *text)
{
	size_t len = strlen(text);
	struct shared *shared = index_get(&texts->index, text, len);

	if (!shared) {
		shared = calloc(1, sizeof(*shared) + len + 1);
		if (!shared)
			return NULL;
		memcpy(shared->text, text, len);
		if (index_put(&texts->index, shared->text, len, shared) < 0) {
			free(shared);
			return NULL;
		}
	}
	shared->holders++;
	return shared->text;
}

const char *texts_hold(const char *copy)
{
	if (copy)
		shared_of(copy)->holders++;
	return copy;
}

void texts_put(struct texts *texts, const char *copy)
{
	struct shared *shared = copy ? shared_of(copy) : NULL;

	if (!shared || --shared->holders > 0)
		return;
	index_remove(&texts->index, shared->text, strlen(shared->text));
	free(shared);
}

void texts_done(struct texts *texts)
{
	index_free(&texts->index);
}
