/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who shows a table and a ledger whose bytes are anybody's: the snapshot behind `status`, `top` and `explain`, what that tells of
 * a dial, and the counters behind /metrics. "LENGTH HOW CHANGES-OF-THE-TABLE CHANGES-OF-THE-LEDGER", of which the last is also
 * what explain is asked for. What is copied ends, what is told is there, and counters only grow.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "explain/explain.h"
#include "explain/target.h"
#include "fuzz/fuzz.h"
#include "fuzz/ledgers.h"
#include "fuzz/tables.h"
#include "metrics/tally.h"
#include "table/map.h"
#include "table/table.h"
#include "view/snapshot.h"

/* ---- in the place of map.c: the table is the input's, and there are no folders ---- */

static const struct tables_file *mapped;

int table_map(const char *dir, const struct trust *trust, struct table *ret_table, struct file_id *ret_id)
{
	(void)dir;
	(void)trust;
	if (ret_id)
		*ret_id = (struct file_id){ 1, 1 };
	return table_attach(ret_table, mapped->bytes, mapped->size);
}

void table_unmap(struct table *table)
{
	memset(table, 0, sizeof(*table));
}

bool trust_file(const struct trust *trust, const struct stat *st)
{
	(void)trust;
	(void)st;
	return false;
}

bool trust_directory(const struct trust *trust, const struct stat *st)
{
	return trust_file(trust, st);
}

int trust_open_directory(const char *dir, const struct trust *trust)
{
	(void)dir;
	(void)trust;
	return -ENOENT;
}

bool file_is_current(const char *path, const struct file_id *id)
{
	(void)path;
	(void)id;
	return true;
}

/* ---- the snapshot ---- */

static bool ends(const char *text, size_t size)
{
	return strnlen(text, size) < size;
}

static void hold_service(const struct snapshot_service *service)
{
	FUZZ_HOLDS(ends(service->name, sizeof(service->name)) && ends(service->namespace, sizeof(service->namespace)));
	FUZZ_HOLDS(ends(service->stand_down, sizeof(service->stand_down)) && service->mode);
	for (size_t i = 0; i < service->port_count; i++) {
		const struct snapshot_port *port = &service->ports[i];

		FUZZ_HOLDS(ends(port->name, sizeof(port->name)) && port->protocol && port->balance);
		FUZZ_HOLDS(port->evenness >= 0 && port->evenness <= 1);
		for (size_t j = 0; j < port->endpoint_count; j++)
			FUZZ_HOLDS(ends(port->endpoints[j].zone, sizeof(port->endpoints[j].zone)) &&
				   port->endpoints[j].shared_count <= SNAPSHOT_SHARED + 1);
	}
}

/* Where a dial would go, by any name: with the answer or a line that says why there is none. */
static void explain(const struct snapshot *snapshot, const char *operand)
{
	const struct explain_place place = { .dir = "/nowhere" };
	const struct environment environment = { .is_known = true };
	const struct explain_dialer dialer = { .environment = &environment };
	struct explain_question question;
	struct explanation explanation;
	char why[512] = "";
	int r = target_find(operand, snapshot, &question, why, sizeof(why));

	FUZZ_HOLDS(r == 0 || ((r == -ENOENT || r == -EINVAL) && why[0] && ends(why, sizeof(why))));
	if (r < 0 || explain_take(&place, snapshot, &question, &dialer, &explanation) < 0)
		return;
	for (size_t i = 0; i < explanation.port_count; i++)
		for (size_t j = 0; j < explanation.ports[i].family_count; j++) {
			const struct explain_family *f = &explanation.ports[i].families[j];

			FUZZ_HOLDS(f->pass < PASS_COUNT && f->sight < SIGHT_COUNT && (!explain_has_next(f) || f->next < f->count));
		}
	explain_free(&explanation);
}

static void take_snapshot(const char *operand)
{
	const struct trust nobody = { .euid = 0 };
	struct report why = { .text = "" };
	struct snapshot snapshot;
	int r = snapshot_take("/nowhere", &nobody, NULL, &snapshot, &why);

	FUZZ_HOLDS(r == 0 || r == -EBADMSG || r == -EPROTO || r == -ESTALE || r == -EAGAIN || r == -ENOENT);
	FUZZ_HOLDS(r != 0 || snapshot.ledger_error <= 0);
	if (r < 0)
		return;
	FUZZ_HOLDS(snapshot.service_count <= snapshot.all_count && ends(snapshot.source, sizeof(snapshot.source)));
	FUZZ_HOLDS(ends(snapshot.trouble, sizeof(snapshot.trouble)));
	for (size_t i = 0; i < snapshot.all_count; i++)
		hold_service(&snapshot.services[i]);
	for (size_t i = 1; i < snapshot.backend_count; i++)
		FUZZ_HOLDS(addr_compare(&snapshot.backends[i - 1]->addr, &snapshot.backends[i]->addr) < 0);
	explain(&snapshot, "web");
	explain(&snapshot, "10.0.0.201:3306");
	explain(&snapshot, operand);
	FUZZ_HOLDS(snapshot_renew("/nowhere", &nobody, NULL, &snapshot, &why) == 0);
	snapshot_free(&snapshot);
}

/* ---- the counters ---- */

static uint64_t sum_of(const struct tally *tally)
{
	const struct tally_series *series;
	uint64_t sum = 0;
	size_t at = 0;

	while ((series = tally_next(tally, &at))) {
		FUZZ_HOLDS(ends(series->service, sizeof(series->service)) && ends(series->namespace, sizeof(series->namespace)));
		FUZZ_HOLDS(series->is_others || !series->is_present || (series->evenness >= 0 && series->evenness <= 1));
		sum += series->counts.dials + series->counts.failures + series->counts.ejections;
	}
	return sum;
}

/* Changes of the ledger between the looks: of words that are the first endpoint's. */
static void count(struct fuzz_input *in)
{
	const struct addr first = tables_address(0, 8080);
	const uint32_t tag = table_tag(TABLES_INSTANCE, &first);
	struct ledgers_file file = ledgers_good_file();
	struct tally *tally = tally_new();
	uint64_t now_ms = 1000000000, sum = 0;
	struct ledger ledger;
	struct table table;

	if (!tally)
		abort();
	if (ledgers_attach(&ledger, &file) == 0 && table_map("", NULL, &table, NULL) == 0)
		for (int i = 0; i < 4; i++, now_ms += 1000) {
			uint64_t before = sum;

			if (tally_look(tally, &table, &ledger, now_ms) < 0)
				break;
			tally_read(tally, &ledger, now_ms);
			sum = sum_of(tally);
			FUZZ_HOLDS(sum >= before);
			ledgers_change(&file, in, 16, tag);
		}
	tally_free(tally);
	free(file.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	uint8_t most = (uint8_t)fuzz_number(&in, 1);
	struct tables_file file = tables_file(&in, most);

	char *operand = fuzz_copy(in.at, in.left < 64 ? in.left : 64, true);

	mapped = &file;
	take_snapshot(operand);
	count(&in);
	free(operand);
	free(file.bytes);
	return 0;
}
