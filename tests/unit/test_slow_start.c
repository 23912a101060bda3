/* SPDX-License-Identifier: Apache-2.0 */
/* Who is new, and what share the new ones have: by each policy, over time. */
#include "support/testing.h"

#include <errno.h>

#include "base/clock.h"
#include "support/cleanup.h"
#include "support/picks.h"
#include "support/process.h"
#include "support/services.h"
#include "support/table_builder.h"
#include "table/image.h"

enum { OTHERS = 9, NEW = 4, ADDED_MS = 1000000, WINDOW_MS = 60000 };

/* ---- the share ---- */

static const uint32_t ages_ms[] = { 0, 3000, 6000, 9000, 15000, 30000, 42000, 54000, 59999, 60000, 600000 };

#define EACH_AGE(age) for (size_t age = 0; age < sizeof(ages_ms) / sizeof(ages_ms[0]); age++, end_of_test(NULL))

static double curve(uint32_t age_ms)
{
	double share = (double)age_ms / WINDOW_MS;

	return share > 1 ? 1 : share < 0.1 ? 0.1 : share;
}

/* Ten endpoints, of which number NEW came at ADDED_MS; it is so old now. */
static struct picks *with_new_one(uint32_t age_ms, uint16_t weight)
{
	struct table_builder *b = builder_web("");
	struct picks *p;

	for (unsigned i = 0; i < OTHERS + 1; i++) {
		struct addr addr = addr_of(format("10.1.0.%u:80", i));
		struct spec_port *port = &b->spec.services[0].ports[0];

		builder_endpoint(port, &addr, i == NEW ? weight : 1);
		if (i == NEW)
			port->endpoints[i].added_ms = ADDED_MS;
	}
	p = new_picks_from(b);
	p->pick.now_ms = ADDED_MS + age_ms;
	pick_take_tally(&p->pick, &p->tally, WINDOW_MS);
	return p;
}

/* What the new one has been given beside the others, who must have the same. */
static void assert_share(const struct picks *p, double expected, double within)
{
	double others = 0, share;

	for (unsigned i = 0; i < OTHERS + 1; i++)
		others += i == NEW ? 0 : p->counts[i];
	share = p->counts[NEW] / (others / OTHERS);
	if (share > expected + within || share < expected - within)
		fail_msg("a share of %.3f, expected %.3f", share, expected);
}

static void round_robin_gives_up_turns_of_the_new_one_only(void **state)
{
	(void)state;
	EACH_AGE(i) {
		struct picks *p = with_new_one(ages_ms[i], 1);

		memset(p->counts, 0, sizeof(p->counts));
		while (p->counts[0] < 1000)
			next_of(p, BALANCE_ROUND_ROBIN, false);
		assert_share(p, curve(ages_ms[i]), 0.005);
		for (unsigned k = 0; k <= OTHERS; k++)
			if (k != NEW)
				assert_in_range(p->counts[k], 999, 1000);
	}
}

/* The clock goes on meanwhile, a dial each 10 ms, and the share with it: over the window, the area under the curve. */
static void round_robin_follows_the_curve_over_time(void **state)
{
	double area = 0;
	struct picks *p = with_new_one(0, 1);

	(void)state;
	for (uint32_t age_ms = 0; age_ms < WINDOW_MS; age_ms += 10) {
		p->pick.now_ms = ADDED_MS + age_ms;
		pick_take_tally(&p->pick, &p->tally, WINDOW_MS);
		next_of(p, BALANCE_ROUND_ROBIN, false);
		area += curve(age_ms) * 10 / WINDOW_MS;
	}
	assert_share(p, area, 0.02);
}

static void random_and_p2c_follow_the_curve(void **state)
{
	(void)state;
	EACH_AGE(i) {
		struct picks *p = with_new_one(ages_ms[i], 1);

		pick_many(p, BALANCE_RANDOM, false, 200000);
		assert_share(p, curve(ages_ms[i]), 0.02);
		pick_many(p, BALANCE_P2C, false, 200000);
		assert_share(p, curve(ages_ms[i]), 0.02);
		p->pick.weight = 0; /* all are added up instead */
		pick_many(p, BALANCE_RANDOM, false, 200000);
		assert_share(p, curve(ages_ms[i]), 0.02);
	}
}

static void open_connections_follow_the_curve(void **state)
{
	(void)state;
	EACH_AGE(i) {
		struct picks *p = with_new_one(ages_ms[i], 1);

		memset(p->counts, 0, sizeof(p->counts));
		while (p->counts[0] < 200)
			next_of(p, BALANCE_LEAST_CONN, true);
		assert_share(p, curve(ages_ms[i]), 0.01);
		p = with_new_one(ages_ms[i], 1);
		pick_many(p, BALANCE_P2C, true, 100000);
		assert_share(p, curve(ages_ms[i]), 0.02);
	}
}

static void short_connections_of_least_conn_follow_the_curve(void **state)
{
	(void)state;
	EACH_AGE(i) {
		struct picks *p = with_new_one(ages_ms[i], 1);

		memset(p->counts, 0, sizeof(p->counts));
		while (p->counts[0] < 1000)
			ledger_release(&p->ledger, key_of(p, (unsigned)next_of(p, BALANCE_LEAST_CONN, true)));
		assert_share(p, curve(ages_ms[i]), 0.01);
	}
}

static void a_weight_grows_as_a_whole(void **state)
{
	(void)state;
	EACH_AGE(i) {
		struct picks *p = with_new_one(ages_ms[i], 3);

		pick_many(p, BALANCE_ROUND_ROBIN, false, 12000);
		assert_share(p, 3 * curve(ages_ms[i]), 0.03);
		pick_many(p, BALANCE_RANDOM, false, 300000);
		assert_share(p, 3 * curve(ages_ms[i]), 0.03);
		pick_many(p, BALANCE_LEAST_CONN, true, 2000);
		assert_share(p, 3 * curve(ages_ms[i]), 0.03);
	}
}

static void hash_takes_no_notice(void **state)
{
	struct picks *p = with_new_one(0, 1);

	(void)state;
	assert_int_equal(p->pick.slow_start_ms, WINDOW_MS);
	for (uint64_t client = 1; client < 2000; client++) {
		int now;

		p->pick.identity = client;
		now = next_of(p, BALANCE_HASH, false);
		p->pick.slow_start_ms = 0;
		assert_int_equal(next_of(p, BALANCE_HASH, false), now);
		p->pick.slow_start_ms = WINDOW_MS;
	}
	assert_in_range(p->counts[NEW], 2 * 150, 2 * 250);
}

static void without_a_ledger_the_share_is_the_same(void **state)
{
	struct picks *p = with_new_one(30000, 1);

	(void)state;
	picks_forget_ledger(p);
	pick_many(p, BALANCE_ROUND_ROBIN, false, 20000);
	assert_share(p, 0.5, 0.03);
	pick_many(p, BALANCE_RANDOM, false, 100000);
	assert_share(p, 0.5, 0.02);
	pick_many(p, BALANCE_LEAST_CONN, false, 20000);
	assert_share(p, 0.5, 0.03);
}

/* ---- relative ---- */

static uint32_t window(uint64_t oldest_ms, uint64_t newest_ms, uint64_t now_ms)
{
	struct table_tally tally = { .usable = 2, .oldest_ms = oldest_ms, .newest_ms = newest_ms };

	struct pick pick = { .now_ms = now_ms };

	pick_take_tally(&pick, &tally, WINDOW_MS);
	return pick.slow_start_ms;
}

static void nobody_is_slowed_where_nobody_is_new(void **state)
{
	struct pick pick = { .now_ms = 5000 };

	(void)state;
	assert_int_equal(window(0, 5000, 5000), WINDOW_MS);
	assert_int_equal(window(0, 5000, 4990), WINDOW_MS); /* a clock that was read before the writer's */
	assert_int_equal(window(0, 5000, 5000 + WINDOW_MS), 0);
	assert_int_equal(window(5000, 5000, 6000), 0); /* all alike */
	assert_int_equal(window(0, 0, 6000), 0);
	assert_int_equal(window(0, 500000, 6000), 0); /* a time that is yet to come is damage */
	pick_take_tally(&pick, &(struct table_tally){ .usable = 2, .newest_ms = 5000 }, 0);
	assert_int_equal(pick.slow_start_ms, 0);
	pick_take_tally(&pick, &(struct table_tally){ 0 }, WINDOW_MS); /* of a table of 1.1 */
	assert_int_equal(pick.slow_start_ms, 0);
}

static void shares_are_those_beside_the_oldest(void **state)
{
	struct picks *p = with_new_one(12000, 1);

	(void)state;
	p->tally.oldest_ms = ADDED_MS - 12000; /* 24 s old, as all would be but for number NEW */
	pick_take_tally(&p->pick, &p->tally, WINDOW_MS);
	assert_int_equal(slow_start_share(&p->pick, NEW), SHARE_WHOLE / 2);
	assert_int_equal(slow_start_share(&p->pick, NEW - 1), SHARE_WHOLE);
	p->pick.now_ms = ADDED_MS + 48000;
	pick_take_tally(&p->pick, &p->tally, WINDOW_MS);
	assert_int_equal(slow_start_share(&p->pick, NEW), SHARE_WHOLE * 8 / 10);
	p->pick.now_ms = ADDED_MS + WINDOW_MS;
	pick_take_tally(&p->pick, &p->tally, WINDOW_MS);
	assert_int_equal(slow_start_share(&p->pick, NEW), SHARE_WHOLE);
}

/* ---- who is new ---- */

static uint64_t added(const struct table *table, unsigned i)
{
	return endpoint_at(table, "10.96.0.1:80", format("10.0.0.%u:80", i)).added_ms;
}

static void assert_new(const struct table *table, unsigned i)
{
	uint64_t now_ms = clock_boot_ms(), added_ms = added(table, i);

	assert_in_range(added_ms, now_ms > 600000 ? now_ms - 600000 : 1, now_ms);
}

static void patch(struct table_writer *writer, const struct table_builder *b)
{
	struct report why = { "" };

	if (writer_patch(writer, &b->spec, &why) < 0)
		fail_msg("writer_patch: %s", why.text);
}

static struct table *published(struct table_writer **ret_writer, const char **ret_dir, const char *endpoints)
{
	*ret_dir = scratch_dir();
	*ret_writer = open_writer(*ret_dir);
	publish(*ret_writer, builder_web(endpoints));
	return map_table(*ret_dir);
}

static void only_who_comes_beside_others_is_new(void **state)
{
	static void (*const ways[])(struct table_writer *, const struct table_builder *) = { publish, patch };

	(void)state;
	for (int i = 0; i < 2; i++, end_of_test(NULL)) {
		struct table_writer *writer;
		const char *dir;
		struct table *table = published(&writer, &dir, "10.0.0.1:80 10.0.0.2:80");
		uint64_t third;

		assert_int_equal(added(table, 1), 0); /* nobody knows since when */
		ways[i](writer, builder_web("10.0.0.1:80 10.0.0.2:80 10.0.0.3:80"));
		assert_int_equal(added(table, 2), 0);
		assert_new(table, 3);
		third = added(table, 3);
		ways[i](writer, builder_web("10.0.0.2:80 10.0.0.3:80"));
		assert_true(added(table, 3) == third);
		ways[i](writer, builder_web("10.0.0.1:80 10.0.0.2:80 10.0.0.3:80")); /* another pod, or the same one again */
		assert_new(table, 1);
		assert_int_equal(added(table, 2), 0);
		assert_true(added(table, 3) == third);
		ways[i](writer, builder_web("10.0.0.7:80 10.0.0.8:80")); /* all at once: nobody is new beside the other */
		assert_int_equal(added(table, 7), 0);
		ways[i](writer, builder_web(""));
		ways[i](writer, builder_web("10.0.0.7:80 10.0.0.8:80"));
		assert_int_equal(added(table, 7), 0);
		assert_whole(table);
	}
}

static void who_could_not_be_dialed_for_a_while_is_new_again(void **state)
{
	static void (*const ways[])(struct table_writer *, const struct table_builder *) = { publish, patch };

	(void)state;
	for (int i = 0; i < 2; i++, end_of_test(NULL)) {
		struct table_writer *writer;
		const char *dir;
		struct table *table = published(&writer, &dir, "10.0.0.1:80 10.0.0.2:80!");

		assert_int_equal(added(table, 2), 0);
		ways[i](writer, builder_web("10.0.0.1:80 10.0.0.2:80"));
		assert_new(table, 2);
		ways[i](writer, builder_web("10.0.0.1:80! 10.0.0.2:80"));
		ways[i](writer, builder_web("10.0.0.1:80 10.0.0.2:80"));
		assert_new(table, 1);
		assert_whole(table);
	}
}

static void the_next_writer_knows_who_is_new(void **state)
{
	struct table_writer *writer;
	const char *dir;
	struct table *table = published(&writer, &dir, "10.0.0.1:80");
	uint64_t second;

	(void)state;
	publish(writer, builder_web("10.0.0.1:80 10.0.0.2:80"));
	second = added(table, 2);
	close_writer(writer);
	writer = open_writer(dir);
	publish(writer, builder_web("10.0.0.1:80 10.0.0.2:80 10.0.0.3:80"));
	assert_int_equal(added(table, 1), 0);
	assert_true(added(table, 2) == second);
	assert_new(table, 3);
}

static void times_of_another_boot_make_nobody_new(void **state)
{
	struct table_writer *writer;
	const char *dir;
	struct table *table = published(&writer, &dir, "10.0.0.1:80");
	struct table_head *head;

	(void)state;
	publish(writer, builder_web("10.0.0.1:80 10.0.0.2:80"));
	assert_new(table, 2);
	head = (struct table_head *)writer_table(writer)->base;
	head->boot_id[0] ^= 1;
	repair_head(head);
	close_writer(writer);
	writer = open_writer(dir);
	publish(writer, builder_web("10.0.0.1:80 10.0.0.2:80"));
	assert_int_equal(endpoint_at(writer_table(writer), "10.96.0.1:80", "10.0.0.2:80").added_ms, 0);
}

static void a_backend_that_another_service_has_is_not_new(void **state)
{
	struct table_writer *writer;
	const char *dir;
	struct table *table = published(&writer, &dir, "10.0.0.1:80 10.0.0.2:80");
	struct table_builder *b = builder_web("10.0.0.1:80 10.0.0.2:80");

	(void)state;
	builder_service(b, "other.shop", "10.96.0.2");
	builder_port(b, 80, PROTOCOL_TCP, "10.0.0.2:80 10.0.0.3:80");
	publish(writer, b);
	assert_int_equal(endpoint_at(table, "10.96.0.2:80", "10.0.0.2:80").added_ms, 0);
	assert_true(endpoint_at(table, "10.96.0.2:80", "10.0.0.3:80").added_ms > 0);
	assert_whole(table);
}

static void a_backend_that_comes_from_another_service_is_not_new(void **state)
{
	struct table_builder *b = builder_web("10.0.0.1:80 10.0.0.2:80"), *other = builder_new();
	const char *dir = scratch_dir();
	struct table_writer *writer = open_writer(dir);

	(void)state;
	builder_service(b, "other.shop", "10.96.0.2");
	builder_port(b, 80, PROTOCOL_TCP, "");
	publish(writer, b);
	builder_service(other, "other.shop", "10.96.0.2");
	builder_port(other, 80, PROTOCOL_TCP, "10.0.0.2:80 10.0.0.3:80");
	patch(writer, other);
	assert_int_equal(endpoint_at(writer_table(writer), "10.96.0.2:80", "10.0.0.2:80").added_ms, 0);
	assert_true(endpoint_at(writer_table(writer), "10.96.0.2:80", "10.0.0.3:80").added_ms > 0);
}

/* Slices come one after the other: who is in a later one is no newer. */
static void nobody_is_new_while_a_list_is_not_whole(void **state)
{
	struct table_builder *b = builder_web("10.0.0.1:80");
	const char *dir = scratch_dir();
	struct table_writer *writer = open_writer(dir);

	(void)state;
	b->spec.services[0].stand_down = STAND_DOWN_UNSYNCED;
	publish(writer, b);
	publish(writer, builder_web("10.0.0.1:80 10.0.0.2:80"));
	assert_int_equal(added(writer_table(writer), 2), 0);
	publish(writer, builder_web("10.0.0.1:80 10.0.0.2:80 10.0.0.3:80"));
	assert_new(writer_table(writer), 3);
}

/* ---- the tally ---- */

static void assert_tally(const struct table *table, bool v4, unsigned usable, unsigned weight, unsigned heaviest)
{
	struct table_view view = view_of(table);
	struct table_tally tally;

	assert_int_equal(table_tally(&view, 0, v4, &tally), 0);
	assert_int_equal(tally.usable, usable);
	assert_int_equal(tally.weight, weight);
	assert_int_equal(tally.heaviest, heaviest);
}

static void the_tally_counts_those_of_a_family_that_can_be_dialed(void **state)
{
	struct table_writer *writer;
	const char *dir;
	struct table *table = published(&writer, &dir, "10.0.0.1:80*2 10.0.0.2:80*3 10.0.0.3:80*7! [2001:db8::1]:80*5");
	struct table_view view;
	struct table_tally tally;

	(void)state;
	assert_tally(table, true, 2, 5, 3);
	assert_tally(table, false, 1, 5, 5);
	patch(writer, builder_web("10.0.0.1:80*2 10.0.0.2:80*3 10.0.0.4:80*4"));
	assert_tally(table, true, 3, 9, 4);
	assert_tally(table, false, 0, 0, 0);
	view = view_of(table);
	assert_int_equal(table_tally(&view, 0, true, &tally), 0);
	assert_int_equal(tally.oldest_ms, 0);
	assert_true(tally.newest_ms == added(table, 4));
	assert_int_equal(table_tally(&view, 1, true, &tally), -ERANGE);
	patch(writer, builder_web("10.0.0.1:80!"));
	assert_tally(table, true, 0, 0, 0);
}

static void a_tally_that_does_not_add_up_is_found(void **state)
{
	struct table_writer *writer;
	const char *dir;
	struct table *table = published(&writer, &dir, "10.0.0.1:80*2 10.0.0.2:80*3");
	struct table_view view = view_of(table);
	struct table_area *area = (struct table_area *)view.area;
	struct guarded *g = guarded_new(table->size);
	struct table_port_row *port;
	struct table copy;
	char why[128];

	(void)state;
	memcpy(g->bytes, table->base, table->size);
	assert_int_equal(table_attach(&copy, g->bytes, table->size), 0);
	port = (struct table_port_row *)(g->bytes + ((const uint8_t *)area - table->base) + area->section[SECTION_PORTS].offset);
	assert_whole(&copy);
	port->v4.heaviest++;
	image_seal_port(port, 0);
	assert_int_equal(table_check(&copy, why, sizeof(why)), -EBADMSG);
	assert_non_null(strstr(why, "add up"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(round_robin_gives_up_turns_of_the_new_one_only),
		TEST(round_robin_follows_the_curve_over_time),
		TEST(random_and_p2c_follow_the_curve),
		TEST(open_connections_follow_the_curve),
		TEST(short_connections_of_least_conn_follow_the_curve),
		TEST(a_weight_grows_as_a_whole),
		TEST(hash_takes_no_notice),
		TEST(without_a_ledger_the_share_is_the_same),
		TEST(nobody_is_slowed_where_nobody_is_new),
		TEST(shares_are_those_beside_the_oldest),
		TEST(only_who_comes_beside_others_is_new),
		TEST(who_could_not_be_dialed_for_a_while_is_new_again),
		TEST(the_next_writer_knows_who_is_new),
		TEST(times_of_another_boot_make_nobody_new),
		TEST(a_backend_that_another_service_has_is_not_new),
		TEST(a_backend_that_comes_from_another_service_is_not_new),
		TEST(nobody_is_new_while_a_list_is_not_whole),
		TEST(the_tally_counts_those_of_a_family_that_can_be_dialed),
		TEST(a_tally_that_does_not_add_up_is_found),
	};

	return RUN_TESTS(tests);
}
