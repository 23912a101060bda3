/* SPDX-License-Identifier: Apache-2.0 */
#include "support/picks.h"

#include "support/testing.h"

#include "support/cleanup.h"
#include "support/ledgers.h"
#include "support/process.h"
#include "support/services.h"
#include "support/table_builder.h"

static void free_picks(void *what)
{
	struct picks *p = what;

	ledger_close(&p->ledger);
	free(p);
}

struct picks *new_picks_from(const struct table_builder *b)
{
	struct picks *p = calloc(1, sizeof(*p));
	const char *dir = scratch_dir();
	struct table_view view;
	struct table_port port;

	if (!p)
		abort();
	after_test(free_picks, p);
	publish_alone(dir, b);
	p->table = map_table(dir);
	assert_int_equal(open_ledger(format("%s/ledger", dir), table_head(p->table)->rows, LEDGER_MAKE, &p->ledger), 0);
	view = view_of(p->table);
	assert_int_equal(table_port(&view, 0, &port), 0);
	assert_int_equal(rows_of(&view, &port, true, &p->pick.rows), 0);
	assert_in_range(p->pick.rows.count, 0, MAX_ENDPOINTS);
	assert_int_equal(table_tally(&view, 0, true, &p->tally), 0);
	p->mark = p->pick.mark = table_mark(&view);
	p->pick.ledger = &p->ledger;
	p->pick.cursor = (struct ledger_key){ port.cursor, 1 }; /* not the port's own, which is by chance */
	p->pick.now_ms = 1000000;
	pick_take_tally(&p->pick, &p->tally, 0);
	p->pick.identity = 1;
	p->pick.eject_percent = 100;
	return p;
}

struct picks *new_picks(const char *endpoints)
{
	return new_picks_from(builder_web(endpoints));
}

static uint16_t one(unsigned i)
{
	(void)i;
	return 1;
}

struct picks *new_picks_of(unsigned count)
{
	return new_picks_by(count, one);
}

struct picks *new_picks_by(unsigned count, uint16_t (*weight_of)(unsigned i))
{
	struct table_builder *b = builder_web("");

	for (unsigned i = 0; i < count; i++) {
		struct addr addr = addr_of(format("10.1.%u.%u:80", i >> 8, i & 255));

		builder_endpoint(&b->spec.services[0].ports[0], &addr, weight_of(i));
	}
	return new_picks_from(b);
}

void picks_forget_ledger(struct picks *p)
{
	ledger_close(&p->ledger);
}

int next_of(struct picks *p, uint8_t balance, bool claim)
{
	struct candidate chosen;

	if (!p->ledger.base)
		p->pick.noise++;
	if (!pick_next(&p->pick, balance, &chosen))
		return -1;
	assert_true(chosen.index < p->pick.rows.count);
	if (claim) {
		assert_true(ledger_claim_if(&p->ledger, chosen.key, &chosen.load));
		ledger_landed(&p->ledger, chosen.key);
	}
	p->counts[chosen.index]++;
	return (int)chosen.index;
}

void pick_many(struct picks *p, uint8_t balance, bool claim, unsigned n)
{
	memset(p->counts, 0, sizeof(p->counts));
	while (n--)
		assert_true(next_of(p, balance, claim) >= 0);
}

struct ledger_key key_of(const struct picks *p, unsigned i)
{
	struct table_endpoint_brief brief = table_rows_brief(&p->pick.rows, i);

	return (struct ledger_key){ brief.slot, brief.tag };
}

void eject(struct picks *p, unsigned i, uint64_t now_ms)
{
	struct ledger_verdict verdict = { 1, 1, 5000, 0, 0 };

	ledger_report(&p->ledger, key_of(p, i), OUTCOME_REFUSED, &verdict, now_ms);
}
