/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables in scratch directories as something leaves them that is not well: damaged, foreign, old. All are of `web.shop`, port 80 of
 * 10.96.0.1, at two endpoints. Made by the real writer, and changed afterwards where no writer would make them so.
 */
#ifndef FAIRDIAL_TESTS_TABLES_H
#define FAIRDIAL_TESTS_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table_head;

/* One that no verb can use. */
struct bad_table {
	const char *what;
	const char *(*make)(void); /* returns the directory */
	const char *reason, *remedy; /* what is said of it, and what to do */
	bool is_bad_in_part; /* a dial to something else in it is spread */
};

extern const struct bad_table bad_tables[];
extern const size_t bad_table_count;

/* The directory of a good static table. */
const char *table_dir(void);

/* An agent's, last vouched for so long ago, and believed for `stale_after_ms`. */
const char *aged_table_dir(uint64_t silent_ms, uint32_t stale_after_ms);

/* Changes DIR/table's head, and makes its sum right again. */
void change_head(const char *dir, void (*change)(struct table_head *head));

#endif
