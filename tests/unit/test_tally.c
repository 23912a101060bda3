/* SPDX-License-Identifier: Apache-2.0 */
/* Counters of Service ports: they only grow, and miss nothing, whatever becomes of the endpoints and their rows. */
#include "support/testing.h"

#include <errno.h>
#include <stdbool.h>

#include "balance/move.h"
#include "ledger/moves.h"
#include "metrics/tally.h"
#include "support/cleanup.h"
#include "support/ledgers.h"
#include "support/process.h"
#include "support/services.h"
#include "support/table_builder.h"

#define NOW 1000000000ull

enum { ROWS = 4096, MANY = TALLY_SERIES + 200 };

static const struct ledger_verdict verdict = { .eject_after = 1, .eject_timeouts_after = 2, .eject_for_ms = 5000,
					       .eject_max_ms = 60000, .handshake_ms = 1500 };

struct bench {
	struct table_writer *writer;
	struct ledger *ledger;
	struct tally *tally;
	uint64_t now_ms;
};

static void free_tally(void *of)
{
	tally_free(((struct bench *)of)->tally);
	free(of);
}

static struct bench *bench_new(void)
{
	struct bench *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	after_test(free_tally, b);
	b->writer = open_writer(scratch_dir());
	b->ledger = new_ledger(ROWS, ROWS);
	b->tally = tally_new();
	assert_non_null(b->tally);
	b->now_ms = NOW;
	return b;
}

static void look(struct bench *b)
{
	assert_int_equal(tally_look(b->tally, writer_table(b->writer), b->ledger, b->now_ms), 0);
	tally_read(b->tally, b->ledger, b->now_ms);
}

static void publish_and_look(struct bench *b, const struct table_builder *t)
{
	publish(b->writer, t);
	look(b);
}

/* One Service `web.shop` at these, and a first look. */
static struct bench *bench_of_web(const char *endpoints)
{
	struct bench *b = bench_new();

	publish_and_look(b, builder_web(endpoints));
	return b;
}

static struct ledger_key key_of(const struct bench *b, const char *dest, const char *endpoint)
{
	struct table_endpoint row = endpoint_at(writer_table(b->writer), dest, endpoint);

	return (struct ledger_key){ row.slot, row.tag };
}

static struct ledger_key web(const struct bench *b, const char *endpoint)
{
	return key_of(b, "10.96.0.1:80", endpoint);
}

static void dial(const struct bench *b, struct ledger_key key, unsigned n)
{
	while (n--) {
		ledger_claim(b->ledger, key);
		ledger_landed(b->ledger, key);
	}
}

static const struct tally_series *find(const struct bench *b, const char *service)
{
	const struct tally_series *s;
	size_t at = 0;

	while ((s = tally_next(b->tally, &at)))
		if (strcmp(s->service, service) == 0)
			return s;
	return NULL;
}

static uint64_t dials_of(const struct bench *b, const char *service)
{
	assert_non_null(find(b, service));
	return find(b, service)->counts.dials;
}

static void expect_dials(struct bench *b, const char *service, uint64_t dials)
{
	look(b);
	assert_int_equal(dials_of(b, service), dials);
}

/* ---- one Service ---- */

static void dials_of_all_endpoints_add_up(void **state)
{
	struct bench *b = bench_of_web("10.0.0.1:80 10.0.0.2:80");

	(void)state;
	assert_int_equal(dials_of(b, "web"), 0);
	dial(b, web(b, "10.0.0.1:80"), 3);
	dial(b, web(b, "10.0.0.2:80"), 4);
	expect_dials(b, "web", 7);
	expect_dials(b, "web", 7);
	assert_string_equal(find(b, "web")->namespace, "shop");
	assert_int_equal(find(b, "web")->port, 80);
	assert_int_equal(find(b, "web")->open, 7);
}

static void endpoint_that_left_since_the_last_look_tells_its_last(void **state)
{
	struct bench *b = bench_of_web("10.0.0.1:80 10.0.0.2:80");
	struct ledger_key gone = web(b, "10.0.0.1:80");

	(void)state;
	dial(b, gone, 3);
	expect_dials(b, "web", 3);
	dial(b, gone, 2);
	publish(b->writer, builder_web("10.0.0.2:80"));
	expect_dials(b, "web", 5);
	dial(b, gone, 9); /* by a process that has not heard of it: nobody's now */
	expect_dials(b, "web", 5);
}

static void endpoint_that_comes_back_goes_on_where_it_was(void **state)
{
	struct bench *b = bench_of_web("10.0.0.1:80 10.0.0.2:80");

	(void)state;
	dial(b, web(b, "10.0.0.1:80"), 3);
	expect_dials(b, "web", 3);
	publish_and_look(b, builder_web("10.0.0.2:80"));
	publish_and_look(b, builder_web("10.0.0.1:80 10.0.0.2:80"));
	assert_int_equal(dials_of(b, "web"), 3);
	dial(b, web(b, "10.0.0.1:80"), 2);
	expect_dials(b, "web", 5);
}

static void endpoint_that_was_dialed_before_it_was_looked_at_counts(void **state)
{
	struct bench *b = bench_of_web("10.0.0.1:80");

	(void)state;
	publish(b->writer, builder_web("10.0.0.1:80 10.0.0.2:80"));
	dial(b, web(b, "10.0.0.2:80"), 4);
	expect_dials(b, "web", 4);
}

static const char *sixty_four(int net)
{
	const char *text = "";

	for (int i = 1; i <= 64; i++)
		text = format("%s 10.0.%d.%d:80", text, net, i);
	return text;
}

/* The endpoint of the second list that has the slot of this one: the table has room for 64, and none to spare. */
static const char *heir_of(const struct bench *b, struct ledger_key key)
{
	for (int i = 1; i <= 64; i++)
		if (web(b, format("10.0.1.%d:80", i)).slot == key.slot)
			return format("10.0.1.%d:80", i);
	fail_msg("the slot is nobody's");
	return NULL;
}

static void slot_that_passes_to_another_backend_counts_for_each_what_is_its_own(void **state)
{
	struct bench *b = bench_of_web(sixty_four(0));
	struct ledger_key before = web(b, "10.0.0.1:80"), after;

	(void)state;
	dial(b, before, 5);
	publish(b->writer, builder_web(sixty_four(1)));
	after = web(b, heir_of(b, before));
	assert_int_equal(after.slot, before.slot);
	assert_int_not_equal(after.tag, before.tag);
	expect_dials(b, "web", 5); /* nobody has written the row anew */
	dial(b, after, 2);
	expect_dials(b, "web", 7);
	publish(b->writer, builder_web(sixty_four(0)));
	expect_dials(b, "web", 7);
}

static void slot_that_passes_on_and_is_dialed_between_two_looks_counts_from_nothing(void **state)
{
	struct bench *b = bench_of_web(sixty_four(0));
	struct ledger_key before = web(b, "10.0.0.1:80"), after;

	(void)state;
	dial(b, before, 5);
	expect_dials(b, "web", 5);
	publish(b->writer, builder_web(sixty_four(1)));
	after = web(b, heir_of(b, before));
	dial(b, after, 2);
	expect_dials(b, "web", 7);
}

/* ---- words ---- */

static void counters_go_on_where_words_begin_again_after_32_bits(void **state)
{
	struct bench *b = bench_of_web("10.0.0.1:80");
	struct ledger_key key = web(b, "10.0.0.1:80");
	struct ledger_row *row = row_of(b->ledger, key.slot);

	(void)state;
	for (uint64_t word = 0x7fffffff; word <= 0xfffffffe; word += 0x7fffffff) {
		row->claims = (uint64_t)key.tag << 32 | word;
		look(b);
	}
	assert_int_equal(dials_of(b, "web"), 0xfffffffe);
	dial(b, key, 5);
	assert_int_equal((uint32_t)row->claims, 3);
	expect_dials(b, "web", 0x100000003);
}

static void words_that_go_back_add_nothing(void **state)
{
	struct bench *b = bench_of_web("10.0.0.1:80");
	struct ledger_key key = web(b, "10.0.0.1:80");
	struct ledger_row *row = row_of(b->ledger, key.slot);

	(void)state;
	dial(b, key, 9);
	expect_dials(b, "web", 9);
	row->claims = (uint64_t)key.tag << 32 | 4;
	expect_dials(b, "web", 9);
	dial(b, key, 1);
	expect_dials(b, "web", 10);
	row->claims = 0;
	expect_dials(b, "web", 10);
}

static void another_ledger_counts_from_nothing(void **state)
{
	struct bench *b = bench_of_web("10.0.0.1:80");

	(void)state;
	dial(b, web(b, "10.0.0.1:80"), 9);
	expect_dials(b, "web", 9);
	b->ledger = new_ledger(ROWS, ROWS);
	dial(b, web(b, "10.0.0.1:80"), 2);
	expect_dials(b, "web", 11);
}

static void an_agent_that_begins_counts_none_of_what_was_before(void **state)
{
	struct bench *b = bench_of_web("10.0.0.1:80");
	struct ledger_key key = web(b, "10.0.0.1:80");

	(void)state;
	dial(b, key, 9);
	ledger_report(b->ledger, key, OUTCOME_REFUSED, &verdict, NOW);
	look(b);
	assert_int_equal(find(b, "web")->counts.ejections, 1);
	tally_free(b->tally);
	b->tally = tally_new();
	expect_dials(b, "web", 0);
	assert_int_equal(find(b, "web")->counts.failures, 0);
	assert_int_equal(find(b, "web")->counts.ejections, 0);
	dial(b, key, 2);
	expect_dials(b, "web", 2);
}

static void a_ledger_that_is_made_after_the_beginning_counts_whole(void **state)
{
	struct bench *b = bench_new();
	struct ledger none = { 0 };

	(void)state;
	assert_int_equal(tally_look(b->tally, writer_table(b->writer), &none, NOW), -EAGAIN);
	publish(b->writer, builder_web("10.0.0.1:80"));
	dial(b, web(b, "10.0.0.1:80"), 3);
	expect_dials(b, "web", 3);
}

static void an_older_ledger_has_no_moves_and_counts_the_rest(void **state)
{
	struct bench *b = bench_new();

	(void)state;
	b->ledger = older_ledger(ROWS, ROWS);
	publish_and_look(b, builder_web("10.0.0.1:80"));
	dial(b, web(b, "10.0.0.1:80"), 3);
	expect_dials(b, "web", 3);
	assert_int_equal(find(b, "web")->counts.moved[0], 0);
}

static void rows_beyond_the_end_of_a_ledger_are_not_touched(void **state)
{
	struct bench *b = bench_new();

	(void)state;
	b->ledger = guarded_ledger(1, 1);
	publish_and_look(b, builder_web(sixty_four(0)));
	assert_int_equal(dials_of(b, "web"), 0);
	assert_int_equal(find(b, "web")->usable, 64);
}

/* ---- failures, ejections, moves ---- */

static void ejections_are_counted_once_each(void **state)
{
	struct bench *b = bench_of_web("10.0.0.1:80 10.0.0.2:80");
	struct ledger_key key = web(b, "10.0.0.1:80");
	uint32_t ejection;

	(void)state;
	assert_false(tally_is_due(b->tally, writer_table(b->writer), b->ledger, b->now_ms));
	assert_true(ledger_report(b->ledger, key, OUTCOME_REFUSED, &verdict, b->now_ms));
	assert_true(tally_is_due(b->tally, writer_table(b->writer), b->ledger, b->now_ms));
	look(b);
	look(b);
	assert_int_equal(find(b, "web")->counts.ejections, 1);
	assert_int_equal(find(b, "web")->counts.failures, 1);
	assert_int_equal(find(b, "web")->ejected, 1);
	assert_int_equal(find(b, "web")->usable, 1);
	b->now_ms += 10000;
	ejection = ledger_load(b->ledger, key, b->now_ms).ejection;
	assert_true(ledger_try(b->ledger, key, &ejection, &verdict, b->now_ms));
	look(b);
	assert_int_equal(find(b, "web")->counts.ejections, 1); /* a trial is none */
	assert_true(ledger_report_of(b->ledger, key, ejection, OUTCOME_REFUSED, &verdict, b->now_ms));
	look(b);
	assert_int_equal(find(b, "web")->counts.ejections, 2);
	assert_int_equal(find(b, "web")->counts.failures, 2);
}

/* What the head of tally.h says that is missed. */
static void verdicts_that_follow_each_other_between_two_looks_count_one(void **state)
{
	struct bench *b = bench_of_web("10.0.0.1:80");
	struct ledger_key key = web(b, "10.0.0.1:80");

	(void)state;
	for (int i = 0; i < 2; i++) {
		b->now_ms += 1000;
		assert_true(ledger_report(b->ledger, key, OUTCOME_REFUSED, &verdict, b->now_ms));
		if (i == 0)
			ledger_report(b->ledger, key, OUTCOME_SUCCESS, &verdict, b->now_ms);
	}
	look(b);
	assert_int_equal(find(b, "web")->counts.ejections, 1);
	assert_int_equal(find(b, "web")->counts.failures, 2);
}

static void moves_are_counted_by_reason_and_stay_with_their_port(void **state)
{
	struct bench *b = bench_of_web("10.0.0.1:80");
	const struct table *table = writer_table(b->writer);
	struct table_view view = view_of(table);
	struct ledger_key cursor;
	struct table_port port;

	(void)state;
	assert_int_equal(table_port(&view, 0, &port), 0);
	cursor = (struct ledger_key){ port.cursor, port.cursor_tag };
	ledger_count_move(b->ledger, cursor, MOVE_DRAIN, false);
	ledger_count_move(b->ledger, cursor, MOVE_AGE, false);
	ledger_count_move(b->ledger, cursor, MOVE_AGE, true);
	look(b);
	look(b);
	assert_int_equal(find(b, "web")->counts.moved[MOVE_DRAIN - 1], 1);
	assert_int_equal(find(b, "web")->counts.moved[MOVE_AGE - 1], 1);
	assert_int_equal(find(b, "web")->counts.moved[MOVE_CUT - 1], 0);
	assert_int_equal(find(b, "web")->counts.would_have[MOVE_AGE - 1], 1);
	assert_int_equal(find(b, "web")->counts.dials, 0);
}

static void gauges_tell_what_each_endpoint_is_and_how_even_the_usable_are(void **state)
{
	struct bench *b = bench_of_web("10.0.0.1:80 10.0.0.2:80 10.0.0.3:80!");

	(void)state;
	dial(b, web(b, "10.0.0.1:80"), 3);
	dial(b, web(b, "10.0.0.2:80"), 1);
	dial(b, web(b, "10.0.0.3:80"), 5);
	ledger_release(b->ledger, web(b, "10.0.0.1:80"));
	look(b);
	assert_int_equal(find(b, "web")->usable, 2);
	assert_int_equal(find(b, "web")->ejected, 0);
	assert_int_equal(find(b, "web")->excluded, 1);
	assert_int_equal(find(b, "web")->open, 8);
	assert_true(find(b, "web")->evenness == 16.0 / 20.0);
	assert_true(find(b, "web")->random == 4.0 / 5.0);
	assert_int_equal(find(b, "web")->mode, MODE_ON);
}

/* ---- several Services ---- */

static void backend_of_several_services_counts_for_each(void **state)
{
	struct bench *b = bench_new();
	struct table_builder *t = builder_web("10.0.0.1:80 10.0.0.2:80");

	(void)state;
	builder_service(t, "all.shop", "10.96.0.2");
	builder_port(t, 80, PROTOCOL_TCP, "10.0.0.1:80 10.0.0.9:80");
	builder_service(t, "udp.shop", "10.96.0.3");
	builder_port(t, 80, PROTOCOL_UDP, "10.0.0.1:80");
	publish_and_look(b, t);
	dial(b, web(b, "10.0.0.1:80"), 3);
	dial(b, key_of(b, "10.96.0.2:80", "10.0.0.9:80"), 2);
	expect_dials(b, "web", 3);
	assert_int_equal(dials_of(b, "all"), 5);
	assert_null(find(b, "udp")); /* nobody dials it here */
	assert_int_equal(tally_folded(b->tally), 0);
}

static void service_that_leaves_is_told_for_a_while_and_goes_on_when_it_comes_back(void **state)
{
	struct bench *b = bench_of_web("10.0.0.1:80");

	(void)state;
	dial(b, web(b, "10.0.0.1:80"), 3);
	publish(b->writer, builder_new());
	expect_dials(b, "web", 3);
	assert_false(find(b, "web")->is_present);
	b->now_ms += TALLY_GONE_MS - 1;
	publish_and_look(b, builder_web("10.0.0.1:80"));
	assert_true(find(b, "web")->is_present);
	dial(b, web(b, "10.0.0.1:80"), 2);
	expect_dials(b, "web", 5);
	publish_and_look(b, builder_new());
	b->now_ms += TALLY_GONE_MS;
	look(b);
	assert_null(find(b, "web"));
}

static void service_that_leaves_undialed_is_forgotten_at_once(void **state)
{
	struct bench *b = bench_of_web("10.0.0.1:80");

	(void)state;
	publish_and_look(b, builder_new());
	assert_null(find(b, "web"));
}

/* ---- more than have series ---- */

static struct table_builder *many(unsigned from, unsigned to)
{
	struct table_builder *t = builder_new();

	for (unsigned i = from; i < to; i++) {
		builder_service(t, format("s%04u.shop", i), format("10.96.%u.%u", i / 250, i % 250));
		builder_port(t, 80, PROTOCOL_TCP, format("10.0.%u.%u:80", i / 250, i % 250));
	}
	return t;
}

static struct ledger_key of_many(const struct bench *b, unsigned i)
{
	return key_of(b, format("10.96.%u.%u:80", i / 250, i % 250), format("10.0.%u.%u:80", i / 250, i % 250));
}

static const char *name_of(unsigned i)
{
	return format("s%04u", i);
}

static size_t count_series(const struct bench *b)
{
	size_t at = 0, n = 0;

	while (tally_next(b->tally, &at))
		n++;
	return n;
}

static void ports_beyond_the_limit_are_folded_into_one(void **state)
{
	struct bench *b = bench_new();

	(void)state;
	publish_and_look(b, many(0, MANY));
	assert_int_equal(count_series(b), TALLY_SERIES + 1);
	assert_int_equal(tally_folded(b->tally), MANY - TALLY_SERIES);
	assert_string_equal(find(b, "_other")->namespace, "");
	assert_true(find(b, "_other")->is_others);
	assert_int_equal(find(b, "_other")->usable, MANY - TALLY_SERIES);
	publish_and_look(b, many(0, 10));
	assert_int_equal(tally_folded(b->tally), 0);
	assert_false(find(b, "_other")->is_present);
}

static void port_that_is_dialed_takes_the_place_of_one_that_was_not_and_keeps_it(void **state)
{
	struct bench *b = bench_new();

	(void)state;
	publish_and_look(b, many(0, MANY));
	assert_null(find(b, name_of(MANY - 1)));
	dial(b, of_many(b, MANY - 1), 2);
	expect_dials(b, name_of(MANY - 1), 2);
	assert_int_equal(dials_of(b, "_other"), 0);
	assert_int_equal(tally_folded(b->tally), MANY - TALLY_SERIES);
	for (unsigned i = 0; i < MANY; i++)
		dial(b, of_many(b, i), 1);
	expect_dials(b, name_of(MANY - 1), 3);
	assert_int_equal(dials_of(b, "_other"), MANY - TALLY_SERIES);
	assert_int_equal(count_series(b), TALLY_SERIES + 1);
	dial(b, of_many(b, MANY - 2), 7); /* dialed all the time, but they are all taken */
	expect_dials(b, "_other", MANY - TALLY_SERIES + 7);
}

static void places_of_those_that_left_are_given_to_others_in_time(void **state)
{
	struct bench *b = bench_new();

	(void)state;
	publish_and_look(b, many(0, TALLY_SERIES));
	for (unsigned i = 0; i < TALLY_SERIES; i++)
		dial(b, of_many(b, i), 1);
	look(b);
	publish_and_look(b, many(TALLY_SERIES, MANY));
	dial(b, of_many(b, MANY - 1), 1);
	expect_dials(b, "_other", 1);
	b->now_ms += TALLY_GONE_MS;
	dial(b, of_many(b, MANY - 1), 1);
	look(b);
	dial(b, of_many(b, MANY - 1), 4);
	look(b);
	assert_int_equal(dials_of(b, name_of(MANY - 1)) + dials_of(b, "_other"), 6);
	assert_true(dials_of(b, name_of(MANY - 1)) >= 4);
	assert_int_equal(find(b, "_other")->is_present, tally_folded(b->tally) > 0);
}

/* ---- whatever happens ---- */

static uint64_t sum_of(const struct bench *b)
{
	const struct tally_series *s;
	uint64_t sum = 0;
	size_t at = 0;

	while ((s = tally_next(b->tally, &at)))
		sum += s->counts.dials;
	return sum;
}

/* Any of 96 endpoints, in a table of three Services that have none in common. */
static struct table_builder *any_of_three(uint64_t *random, char here[96])
{
	struct table_builder *t = builder_new();
	const char *at[3] = { "", "", "" };

	for (int i = 0; i < 96; i++) {
		here[i] = next_random(random) % 2;
		if (here[i])
			at[i % 3] = format("%s 10.0.0.%d:80", at[i % 3], i);
	}
	for (int i = 0; i < 3; i++) {
		builder_service(t, format("s%d.shop", i), format("10.96.0.%d", i));
		builder_port(t, 80, PROTOCOL_TCP, at[i]);
	}
	return t;
}

static void nothing_is_lost_or_told_twice_however_endpoints_come_and_go(void **state)
{
	struct bench *b = bench_new();
	uint64_t random = 88172645463325252ull, made = 0, before[3] = { 0 };
	char here[96];

	(void)state;
	publish_and_look(b, any_of_three(&random, here));
	for (int round = 0; round < 60; round++) {
		for (int i = 0; i < 96; i++) {
			unsigned n = (unsigned)(next_random(&random) % 3);

			if (!here[i] || !n)
				continue;
			dial(b, key_of(b, format("10.96.0.%d:80", i % 3), format("10.0.0.%d:80", i)), n);
			made += n;
		}
		publish_and_look(b, any_of_three(&random, here));
		assert_int_equal(sum_of(b), made);
		for (int i = 0; i < 3; i++) {
			assert_true(dials_of(b, format("s%d", i)) >= before[i]);
			before[i] = dials_of(b, format("s%d", i));
		}
	}
	assert_true(made > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(dials_of_all_endpoints_add_up),
		TEST(endpoint_that_left_since_the_last_look_tells_its_last),
		TEST(endpoint_that_comes_back_goes_on_where_it_was),
		TEST(endpoint_that_was_dialed_before_it_was_looked_at_counts),
		TEST(slot_that_passes_to_another_backend_counts_for_each_what_is_its_own),
		TEST(slot_that_passes_on_and_is_dialed_between_two_looks_counts_from_nothing),
		TEST(counters_go_on_where_words_begin_again_after_32_bits),
		TEST(words_that_go_back_add_nothing),
		TEST(another_ledger_counts_from_nothing),
		TEST(an_agent_that_begins_counts_none_of_what_was_before),
		TEST(a_ledger_that_is_made_after_the_beginning_counts_whole),
		TEST(an_older_ledger_has_no_moves_and_counts_the_rest),
		TEST(rows_beyond_the_end_of_a_ledger_are_not_touched),
		TEST(ejections_are_counted_once_each),
		TEST(verdicts_that_follow_each_other_between_two_looks_count_one),
		TEST(moves_are_counted_by_reason_and_stay_with_their_port),
		TEST(gauges_tell_what_each_endpoint_is_and_how_even_the_usable_are),
		TEST(backend_of_several_services_counts_for_each),
		TEST(service_that_leaves_is_told_for_a_while_and_goes_on_when_it_comes_back),
		TEST(service_that_leaves_undialed_is_forgotten_at_once),
		TEST(ports_beyond_the_limit_are_folded_into_one),
		TEST(port_that_is_dialed_takes_the_place_of_one_that_was_not_and_keeps_it),
		TEST(places_of_those_that_left_are_given_to_others_in_time),
		TEST(nothing_is_lost_or_told_twice_however_endpoints_come_and_go),
	};

	return RUN_TESTS(tests);
}
