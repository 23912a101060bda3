/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table whose bytes are anybody's (tables.h). Whatever is asked of it, what is chosen is among the port's rows, nothing is read
 * beyond its end, nothing hangs.
 */
#include <stdlib.h>
#include <string.h>

#include "balance/balance.h"
#include "base/text.h"
#include "fuzz/fuzz.h"
#include "fuzz/tables.h"
#include "table/table.h"

#define MAX_ASKED 64

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
	struct addr dest = tables_address(200, 80);

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
	struct tables_file file = tables_file(&in, size);
	struct table_view view;
	struct table table;
	struct table_note note;
	char why[128] = "";

	if (table_attach(&table, file.bytes, file.size) == 0) {
		table_note(&table, &note);
		/* What is wrong with it is said in one line. */
		FUZZ_HOLDS(table_check(&table, why, sizeof(why)) == 0 || (why[0] && !strchr(why, '\n')));
		if (table_begin(&table, &view)) {
			ask(&view);
			FUZZ_HOLDS(table_end(&view)); /* nobody writes */
		}
	}
	free(file.bytes);
	return 0;
}
