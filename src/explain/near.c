/* SPDX-License-Identifier: Apache-2.0 */
#include "explain/near.h"

#include <string.h>

#define NAME_MOST (2 * TABLE_NAME_SIZE)

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/*
 * Letters to be put in, taken out, exchanged, or swapped with their neighbour, until one text is the other (optimal string
 * alignment); case does not count. `b` is shorter than NAME_MOST.
 */
static unsigned distance(struct slice a, struct slice b)
{
	unsigned rows[3][NAME_MOST], *before = rows[0], *above = rows[1], *row = rows[2];

	for (size_t j = 0; j <= b.len; j++)
		above[j] = (unsigned)j;
	for (size_t i = 1; i <= a.len; i++) {
		unsigned *free = before;

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= b.len; j++) {
			char x = text_lower(a.at[i - 1]), y = text_lower(b.at[j - 1]);

			row[j] = least(least(row[j - 1], above[j]) + 1, above[j - 1] + (x != y));
			if (i > 1 && j > 1 && x == text_lower(b.at[j - 2]) && y == text_lower(a.at[i - 2]))
				row[j] = least(row[j], before[j - 2] + 1);
		}
		before = above;
		above = row;
		row = free;
	}
	return above[b.len];
}

/* As it was asked for: with its namespace, or without. */
static unsigned distance_to(const struct snapshot_service *s, struct slice name, bool dotted)
{
	char buf[NAME_MOST];
	struct text full = text_into(buf, sizeof(buf));

	text_add(&full, s->name);
	if (dotted && s->namespace[0]) {
		text_add(&full, ".");
		text_add(&full, s->namespace);
	}
	return distance(name, (struct slice){ buf, full.len });
}

/* In its place among those that were found; the last one of too many goes. */
static size_t insert(const struct snapshot_service *s, unsigned distance, const struct snapshot_service **at, unsigned *distances,
		     size_t count)
{
	size_t place = count;

	while (place > 0 && distance < distances[place - 1])
		place--;
	if (place == NEAR_MAX)
		return count;
	if (count < NEAR_MAX)
		count++;
	memmove(&at[place + 1], &at[place], (count - place - 1) * sizeof(at[0]));
	memmove(&distances[place + 1], &distances[place], (count - place - 1) * sizeof(distances[0]));
	at[place] = s;
	distances[place] = distance;
	return count;
}

size_t near_find(const struct snapshot *snapshot, struct slice name, const struct snapshot_service *ret_near[NEAR_MAX])
{
	bool dotted = memchr(name.at, '.', name.len);
	unsigned distances[NEAR_MAX], most = least(2, (unsigned)(name.len + 1) / 3);
	size_t count = 0;

	if (name.len >= NAME_MOST)
		return 0;
	for (size_t i = 0; i < snapshot->service_count; i++) {
		unsigned d = distance_to(&snapshot->services[i], name, dotted);

		if (d <= most)
			count = insert(&snapshot->services[i], d, ret_near, distances, count);
	}
	return count;
}
