/* SPDX-License-Identifier: Apache-2.0 */
#include "balance/rules.h"

__attribute__((noinline)) /* the tally is not for the stack of every dial */
void rules_take_tally(struct pick *pick, const struct table_view *view, uint32_t row, bool v4)
{
	struct table_tally tally = { 0 };

	table_tally(view, row, v4, &tally); /* which leaves it empty where it cannot be read: all rows are looked at then */
	pick_take_tally(pick, &tally, pick->slow_start_ms);
}
