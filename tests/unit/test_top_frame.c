/* SPDX-License-Identifier: Apache-2.0 */
/* What a frame of `fairdial top` shows: rates by ledger key, sums, orders, the filter, and any window of its lines. */
#include "support/testing.h"

#include "support/cleanup.h"
#include "support/tops.h"
#include "top/choices.h"
#include "top/frame.h"
#include "top/rates.h"
#include "view/snapshot.h"

enum { SECOND_NS = 1000000000 };

/* ---- rates ---- */

static void rate_is_of_the_time_between_two_readings(void **state)
{
	struct snapshot *s = shop_snapshot();
	struct snapshot_endpoint *e = &s->services[0].ports[0].endpoints[0];
	struct rates rates = { 0 };

	(void)state;
	assert_true(rates_of(&rates, e->key, 7) < 0);
	e->score.dials = 10;
	assert_int_equal(rates_keep(&rates, s, 5ull * SECOND_NS), 0);
	assert_true(rates_of(&rates, e->key, 20) < 0);
	rates_until(&rates, 7ull * SECOND_NS);
	assert_true(rates_of(&rates, e->key, 20) == 5);
	assert_true(rates_of(&rates, e->key, 10) == 0);
	rates_free(&rates);
}

static void slot_that_passes_on_is_no_jump(void **state)
{
	struct snapshot *s = shop_snapshot();
	struct ledger_key key = s->services[0].ports[0].endpoints[0].key;
	struct rates rates = { 0 };

	(void)state;
	assert_int_equal(rates_keep(&rates, s, 0), 0);
	rates_until(&rates, SECOND_NS);
	assert_true(rates_of(&rates, key, 1000) >= 0);
	key.tag++;
	assert_true(rates_of(&rates, key, 1000) < 0);
	key.tag = 0;
	assert_true(rates_of(&rates, key, 1000) < 0);
	rates_free(&rates);
}

static void counter_that_begins_anew_has_no_rate(void **state)
{
	struct snapshot *s = shop_snapshot();
	struct snapshot_endpoint *e = &s->services[0].ports[0].endpoints[0];
	struct rates rates = { 0 };

	(void)state;
	e->score.dials = 1000;
	assert_int_equal(rates_keep(&rates, s, 0), 0);
	rates_until(&rates, SECOND_NS);
	assert_true(rates_of(&rates, e->key, 3) < 0);
	rates_until(&rates, 0);
	assert_true(rates_of(&rates, e->key, 1001) < 0);
	rates_free(&rates);
}

static void every_endpoint_of_many_is_found_again(void **state)
{
	struct snapshot *s = big_snapshot(300, 10);
	struct rates rates = { 0 };

	(void)state;
	for (int round = 0; round < 2; round++) {
		assert_int_equal(rates_keep(&rates, s, 0), 0);
		rates_until(&rates, SECOND_NS);
		for (size_t i = 0; i < s->service_count; i++)
			for (size_t j = 0; j < s->services[i].ports[0].endpoint_count; j++) {
				const struct snapshot_endpoint *e = &s->services[i].ports[0].endpoints[j];

				assert_true(rates_of(&rates, e->key, e->score.dials + 4) == 4);
			}
	}
	rates_free(&rates);
}

/* ---- orders ---- */

static void services_stand_in_the_order_of_their_names(void **state)
{
	(void)state;
	assert_lines(shop_snapshot(), (struct choices){ 0 },
		     "api.shop 1 | 10.0.1.1:80 10.0.1.2:80 | db.back 1 | 10.0.2.1:5432 | idle.shop 1 | (none) | "
		     "web.shop 1 | 10.0.0.1:80 10.0.0.2:80 10.0.0.3:80 10.0.0.4:80");
}

static void each_key_has_its_order_and_the_other_way_round(void **state)
{
	static const struct {
		enum sort_key key;
		const char *services, *endpoints_of_web;
	} orders[] = {
		{ SORT_NAME, "api db idle web", "1 2 3 4" },	 { SORT_OPEN, "web api db idle", "3 1 2 4" },
		{ SORT_RATE, "api web db idle", "2 1 3 4" },	 { SORT_DIALS, "db web api idle", "1 3 2 4" },
		{ SORT_FAILURES, "web api db idle", "4 1 2 3" }, { SORT_STATE, "web api db idle", "4 3 2 1" },
	};
	static const char *const reversed[] = {
		"web idle db api", "idle db api web", "idle db web api", "idle api web db", "db idle api web", "db idle api web",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(orders) / sizeof(*orders); i++) {
		struct choices choices = { .sort = orders[i].key };

		assert_string_equal(sort_key_name(orders[i].key), sort_key_name(sort_key_named(sort_key_name(orders[i].key))));
		assert_orders(shop_snapshot(), choices, orders[i].services, orders[i].endpoints_of_web);
		choices.reverse = true;
		assert_orders(shop_snapshot(), choices, reversed[i], NULL);
	}
	assert_int_equal(sort_key_named("nonsense"), SORT_COUNT);
}

/* ---- the filter ---- */

static void filter_shows_a_service_whole_or_those_of_its_endpoints_that_match(void **state)
{
	static const struct {
		const char *filter, *lines;
	} cases[] = {
		{ "WEB", "web.shop 1 | 10.0.0.1:80 10.0.0.2:80 10.0.0.3:80 10.0.0.4:80" },
		{ "b.ba", "db.back 1 | 10.0.2.1:5432" },
		{ "10.96.0.2", "api.shop 1 | 10.0.1.1:80 10.0.1.2:80" },
		{ "0.0.2:80", "web.shop 1 | 10.0.0.2:80" },
		{ "Zone-B", "api.shop 1 | 10.0.1.2:80 | web.shop 1 | 10.0.0.4:80" },
		{ "nowhere", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct choices choices = { 0 };

		snprintf(choices.filter, sizeof(choices.filter), "%s", cases[i].filter);
		assert_lines(shop_snapshot(), choices, cases[i].lines);
	}
}

static void folded_services_have_one_line_each(void **state)
{
	(void)state;
	assert_lines(shop_snapshot(), (struct choices){ .collapsed = true }, "api.shop 1 | db.back 1 | idle.shop 1 | web.shop 1");
}

/* ---- windows ---- */

static void any_window_is_that_part_of_all_lines(void **state)
{
	struct snapshot *s = big_snapshot(7, 3);
	struct choices choices = { .sort = SORT_DIALS, .reverse = true };
	struct frame_line all[64], some[64];
	struct rates rates = { 0 };
	struct frame frame;
	int n;

	(void)state;
	assert_int_equal(frame_make(&frame, s, &rates, &choices), 0);
	assert_int_equal(frame.line_count, 28);
	assert_int_equal(frame_lines(&frame, 0, 64, all), 28);
	for (size_t first = 0; first < 30; first++)
		for (size_t count = 0; count < 30; count++) {
			n = frame_lines(&frame, first, count, some);
			assert_int_equal(n, first >= 28 ? 0 : count < 28 - first ? count : 28 - first);
			for (int i = 0; i < n; i++) {
				assert_int_equal(some[i].kind, all[first + (size_t)i].kind);
				assert_ptr_equal(some[i].group, all[first + (size_t)i].group);
				assert_ptr_equal(some[i].endpoint, all[first + (size_t)i].endpoint);
			}
		}
	frame_free(&frame);
}

/* ---- numbers ---- */

static void sums_are_of_all_endpoints_and_evenness_of_those_that_can_be_dialed(void **state)
{
	struct snapshot *s = shop_snapshot();
	struct choices choices = { .sort = SORT_STATE };
	struct rates rates = { 0 };
	struct frame frame;
	const struct frame_group *web;

	(void)state;
	assert_int_equal(frame_make(&frame, s, &rates, &choices), 0);
	web = &frame.groups[0];
	assert_string_equal(web->service->name, "web");
	assert_int_equal(web->sums.open, 10);
	assert_int_equal(web->sums.dials, 100);
	assert_int_equal(web->sums.failures, 3);
	assert_int_equal(web->sums.endpoints, 4);
	assert_int_equal(web->sums.usable, 3);
	assert_int_equal(web->sums.ejected, 1);
	assert_int_equal(web->sums.worst, STATE_EJECTED);
	assert_true(web->sums.rate < 0);
	assert_true(web->evenness > 0.56 && web->evenness < 0.57);   /* 70^2 / (3 * (50^2 + 20^2 + 0^2)) */
	assert_true(web->at_random > 0.97 && web->at_random < 0.98); /* 70 / 72 */
	assert_int_equal(frame.sums.endpoints, 7);
	assert_int_equal(frame.sums.dials, 100 + 30 + 200);
	assert_true(frame.has_zones);
	assert_int_equal(frame.address_width, strlen("10.0.2.1:5432"));
	frame_free(&frame);
}

static void every_state_has_its_name(void **state)
{
	struct snapshot_endpoint e = { .ready = true, .usable = true };

	(void)state;
	assert_string_equal(endpoint_state_name(frame_state(&e)), "ready");
	e.terminating = true;
	assert_string_equal(endpoint_state_name(frame_state(&e)), "terminating, serving");
	e.usable = false;
	assert_string_equal(endpoint_state_name(frame_state(&e)), "terminating");
	e.terminating = false;
	assert_string_equal(endpoint_state_name(frame_state(&e)), "left out");
	e.ready = false;
	assert_string_equal(endpoint_state_name(frame_state(&e)), "not ready");
	e.score.ejected = true;
	assert_string_equal(endpoint_state_name(frame_state(&e)), "ejected");
}

static void service_without_ports_is_shown(void **state)
{
	struct snapshot *s = big_snapshot(2, 1);

	(void)state;
	free(s->services[0].ports[0].endpoints);
	s->services[0].port_count = 0;
	assert_lines(s, (struct choices){ 0 }, "svc-00000.ns 0 | (none) | svc-00001.ns 1 | 10.1.1.1:80");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(rate_is_of_the_time_between_two_readings),
		TEST(slot_that_passes_on_is_no_jump),
		TEST(counter_that_begins_anew_has_no_rate),
		TEST(every_endpoint_of_many_is_found_again),
		TEST(services_stand_in_the_order_of_their_names),
		TEST(each_key_has_its_order_and_the_other_way_round),
		TEST(filter_shows_a_service_whole_or_those_of_its_endpoints_that_match),
		TEST(folded_services_have_one_line_each),
		TEST(any_window_is_that_part_of_all_lines),
		TEST(sums_are_of_all_endpoints_and_evenness_of_those_that_can_be_dialed),
		TEST(every_state_has_its_name),
		TEST(service_without_ports_is_shown),
	};

	return RUN_TESTS(tests);
}
