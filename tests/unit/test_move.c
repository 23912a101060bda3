/* SPDX-License-Identifier: Apache-2.0 */
/* Which live connections leave, why and when: the rules, the shares and the window. */
#include "support/testing.h"

#include "balance/move.h"
#include "base/hash.h"
#include "support/chance.h"
#include "support/cleanup.h"

enum { NOW_MS = 100000000, WINDOW_MS = 60000, DEADLINE_MS = 30000, MAX_AGE_MS = 3600000, LONG_MS = 10 * MAX_AGE_MS };

/* ---- why ---- */

static struct table_policy policy_of(enum drain drain, uint32_t rebalance_ms, uint32_t max_age_ms)
{
	return (struct table_policy){ .drain = (uint8_t)drain, .drain_deadline_ms = drain == DRAIN_DEADLINE ? DEADLINE_MS : 0,
				      .rebalance_ms = rebalance_ms, .max_age_ms = max_age_ms };
}

/* Young, on an endpoint that is in, with others beside it. */
static struct move_facts facts_of(void)
{
	return (struct move_facts){ .now_ms = NOW_MS, .born_ms = NOW_MS - 1000, .cookie = 42, .others = 2 };
}

static struct move_facts leaving_for(enum endpoint_fate fate, uint64_t ms)
{
	struct move_facts facts = facts_of();

	facts.fate = fate;
	facts.leaving_ms = NOW_MS - ms;
	return facts;
}

static struct move_facts aged(uint64_t ms)
{
	struct move_facts facts = facts_of();

	facts.born_ms = NOW_MS - ms;
	return facts;
}

static struct move_facts surplus(void)
{
	struct move_facts facts = facts_of();

	facts.surplus = true;
	return facts;
}

static void assert_why(enum drain drain, uint32_t rebalance_ms, uint32_t max_age_ms, struct move_facts facts, enum move_reason why)
{
	struct table_policy policy = policy_of(drain, rebalance_ms, max_age_ms);

	assert_int_equal(move_why(&policy, &facts), why);
}

static const enum endpoint_fate leaving[] = { FATE_TERMINATING, FATE_GONE };

static void nobody_leaves_where_nothing_is_asked_for(void **state)
{
	struct move_facts all = leaving_for(FATE_GONE, LONG_MS);

	(void)state;
	all.surplus = true;
	all.born_ms = 1;
	assert_why(DRAIN_LEAVE, 0, 0, all, MOVE_NO);
	all.fate = FATE_IN;
	assert_why(DRAIN_LEAVE, 0, 0, all, MOVE_NO);
}

static void nobody_leaves_for_a_fate_that_policy_leaves(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++)
		assert_why(DRAIN_LEAVE, WINDOW_MS, MAX_AGE_MS, leaving_for(leaving[i], LONG_MS), MOVE_NO);
}

static void connections_of_an_endpoint_that_is_in_are_not_drained(void **state)
{
	(void)state;
	assert_why(DRAIN_IDLE, 0, 0, leaving_for(FATE_IN, LONG_MS), MOVE_NO);
	assert_why(DRAIN_DEADLINE, 0, 0, leaving_for(FATE_IN, LONG_MS), MOVE_NO);
}

static void a_fate_is_believed_when_it_has_lasted(void **state)
{
	struct move_facts unseen = leaving_for(FATE_GONE, 0);

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_why(DRAIN_IDLE, 0, 0, leaving_for(leaving[i], 0), MOVE_NO);
		assert_why(DRAIN_IDLE, 0, 0, leaving_for(leaving[i], MOVE_DEBOUNCE_MS - 1), MOVE_NO);
		assert_why(DRAIN_IDLE, 0, 0, leaving_for(leaving[i], MOVE_DEBOUNCE_MS), MOVE_DRAIN);
		assert_why(DRAIN_DEADLINE, 0, 0, leaving_for(leaving[i], MOVE_DEBOUNCE_MS - 1), MOVE_NO);
		assert_why(DRAIN_DEADLINE, 0, 0, leaving_for(leaving[i], MOVE_DEBOUNCE_MS), MOVE_DRAIN);
	}
	unseen.leaving_ms = 0; /* nobody has noted since when */
	assert_why(DRAIN_DEADLINE, 0, 0, unseen, MOVE_NO);
}

static void idle_never_cuts(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++)
		assert_why(DRAIN_IDLE, 0, 0, leaving_for(leaving[i], LONG_MS), MOVE_DRAIN);
}

static void the_deadline_cuts_when_it_is_over(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_why(DRAIN_DEADLINE, 0, 0, leaving_for(leaving[i], DEADLINE_MS - 1), MOVE_DRAIN);
		assert_why(DRAIN_DEADLINE, 0, 0, leaving_for(leaving[i], DEADLINE_MS), MOVE_CUT);
		assert_why(DRAIN_DEADLINE, 0, 0, leaving_for(leaving[i], LONG_MS), MOVE_CUT);
	}
}

static void the_longest_deadline_does_not_wrap_around(void **state)
{
	struct table_policy policy = policy_of(DRAIN_DEADLINE, 0, 0);
	struct move_facts facts = leaving_for(FATE_GONE, LONG_MS);

	(void)state;
	policy.drain_deadline_ms = UINT32_MAX;
	assert_int_equal(move_why(&policy, &facts), MOVE_DRAIN);
	facts.leaving_ms = UINT64_MAX - 1;
	facts.now_ms = UINT64_MAX;
	assert_int_equal(move_why(&policy, &facts), MOVE_NO);
}

static void who_is_elsewhere_is_drained_and_not_cut(void **state)
{
	struct move_facts facts = leaving_for(FATE_GONE, LONG_MS);

	(void)state;
	facts.elsewhere = true;
	assert_why(DRAIN_DEADLINE, 0, 0, facts, MOVE_DRAIN);
}

static void nobody_leaves_with_affinity(void **state)
{
	static const enum endpoint_fate fates[] = { FATE_IN, FATE_TERMINATING, FATE_GONE };

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct move_facts facts = leaving_for(fates[i], LONG_MS);

		facts.born_ms = 1;
		facts.surplus = facts.affinity = true;
		assert_why(DRAIN_DEADLINE, WINDOW_MS, MAX_AGE_MS, facts, MOVE_NO);
	}
}

static void nobody_leaves_where_there_is_no_other(void **state)
{
	static const enum endpoint_fate fates[] = { FATE_IN, FATE_TERMINATING, FATE_GONE };

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct move_facts facts = leaving_for(fates[i], LONG_MS);

		facts.born_ms = 1;
		facts.surplus = true;
		facts.others = 0;
		assert_why(DRAIN_DEADLINE, WINDOW_MS, MAX_AGE_MS, facts, MOVE_NO);
	}
}

static void surplus_leaves_where_rebalance_is_on(void **state)
{
	(void)state;
	assert_why(DRAIN_LEAVE, WINDOW_MS, 0, surplus(), MOVE_REBALANCE);
	assert_why(DRAIN_LEAVE, 0, 0, surplus(), MOVE_NO);
	assert_why(DRAIN_LEAVE, WINDOW_MS, 0, facts_of(), MOVE_NO);
}

static void only_endpoints_that_are_in_have_surplus(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		struct move_facts facts = leaving_for(leaving[i], LONG_MS);

		facts.surplus = true;
		assert_why(DRAIN_LEAVE, WINDOW_MS, 0, facts, MOVE_NO);
	}
}

static void who_is_as_old_as_its_max_age_leaves(void **state)
{
	uint32_t own_ms = move_max_age_ms(MAX_AGE_MS, facts_of().cookie);
	struct move_facts gone = leaving_for(FATE_GONE, LONG_MS);

	(void)state;
	gone.born_ms = NOW_MS - own_ms;
	assert_why(DRAIN_LEAVE, 0, MAX_AGE_MS, aged(own_ms - 1), MOVE_NO);
	assert_why(DRAIN_LEAVE, 0, MAX_AGE_MS, aged(own_ms), MOVE_AGE);
	assert_why(DRAIN_LEAVE, 0, MAX_AGE_MS, aged(LONG_MS), MOVE_AGE);
	assert_why(DRAIN_LEAVE, 0, MAX_AGE_MS, gone, MOVE_AGE); /* whatever became of its endpoint */
	assert_why(DRAIN_LEAVE, 0, 0, aged(LONG_MS), MOVE_NO);
}

static void a_time_that_is_yet_to_come_is_now(void **state)
{
	struct move_facts facts = leaving_for(FATE_GONE, 0);

	(void)state;
	facts.leaving_ms = facts.born_ms = NOW_MS + 1;
	assert_why(DRAIN_DEADLINE, WINDOW_MS, MAX_AGE_MS, facts, MOVE_NO);
	facts.leaving_ms = facts.born_ms = UINT64_MAX;
	assert_why(DRAIN_DEADLINE, WINDOW_MS, 1000, facts, MOVE_NO);
}

static void drain_goes_before_rebalance_and_rebalance_before_age(void **state)
{
	struct move_facts facts = leaving_for(FATE_TERMINATING, DEADLINE_MS);

	(void)state;
	facts.born_ms = NOW_MS - LONG_MS;
	facts.surplus = true;
	assert_why(DRAIN_IDLE, WINDOW_MS, MAX_AGE_MS, facts, MOVE_DRAIN);
	assert_why(DRAIN_DEADLINE, WINDOW_MS, MAX_AGE_MS, facts, MOVE_CUT);
	assert_why(DRAIN_LEAVE, WINDOW_MS, MAX_AGE_MS, facts, MOVE_AGE);
	facts.leaving_ms = NOW_MS; /* not believed yet, and old whatever comes of it */
	assert_why(DRAIN_DEADLINE, WINDOW_MS, MAX_AGE_MS, facts, MOVE_AGE);
	facts.fate = FATE_IN;
	facts.leaving_ms = 0;
	assert_why(DRAIN_DEADLINE, WINDOW_MS, MAX_AGE_MS, facts, MOVE_REBALANCE);
}

static void each_of_the_three_keys_asks_for_it(void **state)
{
	struct table_policy none = policy_of(DRAIN_LEAVE, 0, 0), idle = policy_of(DRAIN_IDLE, 0, 0);
	struct table_policy deadline = policy_of(DRAIN_DEADLINE, 0, 0), rebalance = policy_of(DRAIN_LEAVE, 1000, 0);
	struct table_policy age = policy_of(DRAIN_LEAVE, 0, 1000);

	(void)state;
	none.quiet_ms = none.keepalive_ms = 1000; /* these two move nobody */
	assert_false(move_is_asked_for(&none));
	assert_true(move_is_asked_for(&idle));
	assert_true(move_is_asked_for(&deadline));
	assert_true(move_is_asked_for(&rebalance));
	assert_true(move_is_asked_for(&age));
}

static void every_reason_has_its_name(void **state)
{
	(void)state;
	assert_null(move_reason_name(MOVE_NO));
	assert_null(move_reason_name(MOVE_REASONS));
	assert_string_equal(move_reason_name(MOVE_DRAIN), "drain");
	assert_string_equal(move_reason_name(MOVE_CUT), "cut");
	assert_string_equal(move_reason_name(MOVE_REBALANCE), "rebalance");
	assert_string_equal(move_reason_name(MOVE_AGE), "max_age");
}

/* ---- max_age ---- */

static void max_age_differs_by_no_more_than_a_tenth(void **state)
{
	static const uint32_t ages_ms[] = { 1000, 1234, 60000, MAX_AGE_MS, 480u * 3600000 };

	(void)state;
	for (size_t i = 0; i < sizeof(ages_ms) / sizeof(ages_ms[0]); i++) {
		uint32_t tenth = ages_ms[i] / 10;

		for (uint64_t cookie = 0; cookie < 20000; cookie++) {
			uint32_t age_ms = move_max_age_ms(ages_ms[i], cookie);

			assert_in_range(age_ms, ages_ms[i] - tenth, ages_ms[i] + tenth);
			assert_int_equal(age_ms, move_max_age_ms(ages_ms[i], cookie));
		}
	}
	for (uint64_t cookie = 0; cookie < 1000; cookie++) /* a damaged one does not wrap around */
		assert_true(move_max_age_ms(UINT32_MAX, cookie) >= UINT32_MAX - UINT32_MAX / 10);
}

/* Socket cookies are small numbers, one after the other. */
static void max_ages_are_spread_evenly(void **state)
{
	enum { CELLS = 40 };
	unsigned counts[CELLS] = { 0 };
	double shares[CELLS];
	uint32_t least_ms = MAX_AGE_MS - MAX_AGE_MS / 10, width_ms = MAX_AGE_MS / 5 + 1;

	(void)state;
	for (unsigned i = 0; i < CELLS; i++)
		shares[i] = 1;
	for (uint64_t cookie = 1; cookie <= 40000; cookie++)
		counts[(uint64_t)(move_max_age_ms(MAX_AGE_MS, cookie) - least_ms) * CELLS / width_ms]++;
	assert_by_chance("max_age by cookie", counts, shares, CELLS);
}

/* ---- shares ---- */

enum { ENDPOINTS = 8, ROUNDS = 400 };

struct port {
	unsigned n;
	uint16_t weight[ENDPOINTS];
	uint32_t active[ENDPOINTS];
	uint32_t total;
	uint64_t noise;
};

static uint32_t draw(struct port *p, uint32_t below)
{
	p->noise = hash_mix(p->noise, below);
	return hash_below(p->noise, below);
}

static uint32_t sum_of(const struct port *p)
{
	uint32_t sum = 0;

	for (unsigned i = 0; i < p->n; i++)
		sum += p->active[i];
	return sum;
}

/* `old` of n endpoints have connections: any number each, up to `most`. */
static struct port port_of(unsigned n, unsigned old, uint16_t heaviest, uint32_t most, uint64_t seed)
{
	struct port p = { .n = n, .noise = hash_mix(hash_mix(seed, n), old) };

	for (unsigned i = 0; i < n; i++) {
		p.weight[i] = (uint16_t)(1 + draw(&p, heaviest));
		p.active[i] = i < old ? draw(&p, most + 1) : 0;
	}
	p.total = sum_of(&p);
	return p;
}

static struct move_shares shares_of(const struct port *p)
{
	struct move_shares shares = { 0 };

	for (unsigned i = 0; i < p->n; i++)
		move_weigh(&shares, p->weight[i]);
	shares.total = p->total;
	for (unsigned i = 0; i < p->n; i++)
		move_count(&shares, p->weight[i], p->active[i]);
	return shares;
}

static uint32_t whole_of(const struct port *p, unsigned i)
{
	uint64_t weights = 0;

	for (unsigned k = 0; k < p->n; k++)
		weights += p->weight[k];
	return (uint32_t)(p->total * (uint64_t)p->weight[i] / weights);
}

/* By trying out who gets what is left over. */
static uint32_t fewest_moves(const struct port *p)
{
	uint32_t best = UINT32_MAX, left = p->total;

	for (unsigned i = 0; i < p->n; i++)
		left -= whole_of(p, i);
	for (unsigned lucky = 0; lucky < 1u << p->n; lucky++) {
		uint32_t moves = 0;

		if ((unsigned)__builtin_popcount(lucky) != left)
			continue;
		for (unsigned i = 0; i < p->n; i++) {
			uint32_t target = whole_of(p, i) + (lucky >> i & 1);

			moves += p->active[i] > target ? p->active[i] - target : 0;
		}
		best = moves < best ? moves : best;
	}
	return best;
}

/* Any that may give one, from a place that chance says. -1: nobody. */
static int giver_of(struct port *p)
{
	struct move_shares shares = shares_of(p);
	unsigned first = draw(p, p->n);

	for (unsigned k = 0; k < p->n; k++) {
		unsigned i = (first + k) % p->n;

		if (move_surplus(&shares, p->weight[i], p->active[i]))
			return (int)i;
	}
	return -1;
}

/* As least_conn; likewise with ties. */
static unsigned receiver_of(struct port *p)
{
	unsigned best = draw(p, p->n);

	for (unsigned k = 1, i = best; k < p->n; k++) {
		i = (i + 1) % p->n;
		if ((uint64_t)p->active[i] * p->weight[best] < (uint64_t)p->active[best] * p->weight[i])
			best = i;
	}
	return best;
}

/* Until nobody has any to give: how often that was. No more than `limit` times, or the test fails. */
static uint32_t settle(struct port *p, uint32_t limit)
{
	uint32_t moves = 0;

	for (int giver = giver_of(p); giver >= 0; giver = giver_of(p)) {
		unsigned receiver;

		p->active[giver]--;
		receiver = receiver_of(p);
		assert_int_not_equal(receiver, giver); /* or it would have been for nothing */
		p->active[receiver]++;
		if (++moves > limit)
			fail_msg("more than %u moves, of %u connections on %u endpoints", limit, p->total, p->n);
	}
	return moves;
}

static void assert_even(const struct port *p)
{
	for (unsigned i = 0; i < p->n; i++)
		assert_in_range(p->active[i], whole_of(p, i), whole_of(p, i) + 1);
	assert_int_equal(sum_of(p), p->total);
}

#define EACH_PORT(p, heaviest, most)                                                                                 \
	for (unsigned n = 1; n <= ENDPOINTS; n++)                                                                    \
		for (unsigned old = 1; old <= n; old++)                                                              \
			for (struct { uint64_t seed; struct port port; } p = { 0, port_of(n, old, heaviest, most, 0) };  \
			     p.seed < ROUNDS; p.seed++, p.port = port_of(n, old, heaviest, most, p.seed))

static void surplus_is_what_the_fewest_moves_are(void **state)
{
	(void)state;
	EACH_PORT(p, 1, 40)
	{
		struct move_shares shares = shares_of(&p.port);

		assert_int_equal(move_surplus_of_all(&shares), fewest_moves(&p.port));
	}
	EACH_PORT(q, 7, 40)
	{
		struct move_shares shares = shares_of(&q.port);

		assert_int_equal(move_surplus_of_all(&shares), fewest_moves(&q.port));
	}
}

static void equal_endpoints_become_even_with_the_fewest_moves(void **state)
{
	static const uint32_t most[] = { 1, 3, 40 };

	(void)state;
	for (int i = 0; i < 3; i++) {
		EACH_PORT(p, 1, most[i])
		{
			uint32_t fewest = fewest_moves(&p.port);

			assert_int_equal(settle(&p.port, fewest), fewest);
			assert_even(&p.port);
		}
	}
}

/* Rounded to a multiple of all weights together, by what the first one gets. */
static void even_out_total(struct port *p)
{
	uint32_t weights = 0;

	for (unsigned i = 0; i < p->n; i++)
		weights += p->weight[i];
	p->active[0] += (weights - p->total % weights) % weights;
	p->total = sum_of(p);
}

static void weights_become_even_with_the_fewest_moves_where_shares_are_whole(void **state)
{
	(void)state;
	EACH_PORT(p, 7, 40)
	{
		uint32_t fewest;

		even_out_total(&p.port);
		fewest = fewest_moves(&p.port);
		assert_int_equal(settle(&p.port, fewest), fewest);
		for (unsigned i = 0; i < p.port.n; i++)
			assert_int_equal(p.port.active[i], whole_of(&p.port, i));
	}
}

/* Where shares have fractions, least_conn gives the light ones theirs first. It ends all the same, and nobody is two above. */
static void weights_become_as_even_as_least_conn_makes_them(void **state)
{
	static const uint32_t most[] = { 1, 5, 40 };

	(void)state;
	for (int i = 0; i < 3; i++) {
		EACH_PORT(p, 7, most[i])
		{
			settle(&p.port, fewest_moves(&p.port) + ENDPOINTS);
			for (unsigned k = 0; k < p.port.n; k++)
				assert_in_range(p.port.active[k], 0, whole_of(&p.port, k) + 1);
			assert_int_equal(sum_of(&p.port), p.port.total);
		}
	}
}

static void nobody_leaves_to_come_back(void **state)
{
	struct port p = { .n = 3, .weight = { 1, 1, 7 }, .active = { 1, 1, 1 }, .total = 3 };
	struct move_shares shares = shares_of(&p);

	(void)state;
	assert_int_equal(whole_of(&p, 2), 2); /* yet a dial goes to whichever of the others has none */
	assert_int_equal(shares.above, 2);
	assert_int_equal(giver_of(&p), -1);
}

static void nothing_moves_where_all_is_even(void **state)
{
	(void)state;
	EACH_PORT(p, 1, 40)
	{
		struct move_shares shares;

		settle(&p.port, p.port.total);
		shares = shares_of(&p.port);
		assert_int_equal(giver_of(&p.port), -1);
		assert_int_equal(move_surplus_of_all(&shares), 0);
		assert_int_equal(settle(&p.port, 0), 0);
	}
}

static void one_added_to_three_gets_a_quarter(void **state)
{
	struct port p = { .n = 4, .weight = { 1, 1, 1, 1 }, .active = { 4, 4, 4, 0 }, .total = 12 };
	struct move_shares shares = shares_of(&p);

	(void)state;
	assert_int_equal(move_surplus_of_all(&shares), 3);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(move_surplus(&shares, 1, p.active[i]), i < 3 ? 1 : 0);
	assert_int_equal(settle(&p, 3), 3);
	assert_int_equal(p.active[3], 3);
}

/* Those that have left and not dialed again yet belong to somebody: the others are not called to fill in. */
static void who_is_on_its_way_still_counts(void **state)
{
	struct port p = { .n = 4, .weight = { 1, 1, 1, 1 }, .active = { 3, 3, 3, 0 }, .total = 12 };
	struct move_shares shares = shares_of(&p);

	(void)state;
	assert_int_equal(move_surplus_of_all(&shares), 0);
	assert_int_equal(giver_of(&p), -1);
	p.total = 9; /* as it would be without */
	assert_true(giver_of(&p) >= 0);
}

static void nobody_has_any_to_give_where_nobody_is(void **state)
{
	struct move_shares none = { 0 }, empty = { 0 };

	(void)state;
	assert_int_equal(move_surplus(&none, 1, 0), 0);
	assert_int_equal(move_surplus_of_all(&none), 0);
	move_weigh(&empty, 3);
	move_count(&empty, 3, 0);
	assert_int_equal(move_surplus(&empty, 3, 0), 0);
	assert_int_equal(move_surplus_of_all(&empty), 0);
}

static void numbers_of_many_do_not_overflow(void **state)
{
	struct port p = { .n = 2, .weight = { UINT16_MAX, UINT16_MAX }, .active = { UINT32_MAX, 0 }, .total = UINT32_MAX };
	struct move_shares shares = shares_of(&p);

	(void)state;
	assert_int_equal(move_surplus_of_all(&shares), UINT32_MAX / 2);
	assert_int_equal(move_surplus(&shares, UINT16_MAX, UINT32_MAX), UINT32_MAX / 2);
	assert_int_equal(move_surplus(&shares, UINT16_MAX, 0), 0);
}

/* ---- the window ---- */

static void there_is_a_window_after_somebody_was_added(void **state)
{
	uint32_t name = move_window(WINDOW_MS, 0, NOW_MS, NOW_MS + MOVE_DEBOUNCE_MS);

	(void)state;
	assert_int_not_equal(name, 0);
	assert_int_equal(move_window(WINDOW_MS, 0, NOW_MS, NOW_MS + MOVE_DEBOUNCE_MS - 1), 0);
	assert_int_equal(move_window(WINDOW_MS, 0, NOW_MS, NOW_MS), 0);
	assert_int_equal(move_window(WINDOW_MS, 0, NOW_MS, NOW_MS + WINDOW_MS / 2), name);
	assert_int_equal(move_window(WINDOW_MS, 0, NOW_MS, NOW_MS + WINDOW_MS - 1), name);
	assert_int_equal(move_window(WINDOW_MS, 0, NOW_MS, NOW_MS + WINDOW_MS), 0);
	assert_int_equal(move_window(WINDOW_MS, NOW_MS - 1, NOW_MS, NOW_MS + WINDOW_MS / 2), name);
}

static void there_is_no_window_where_nobody_was_added(void **state)
{
	(void)state;
	assert_int_equal(move_window(0, 0, NOW_MS, NOW_MS + 1000), 0);		  /* rebalance is off */
	assert_int_equal(move_window(WINDOW_MS, 0, 0, 1000), 0);			  /* before anybody looked */
	assert_int_equal(move_window(WINDOW_MS, NOW_MS, NOW_MS, NOW_MS + 1000), 0);	  /* all are equally old */
	assert_int_equal(move_window(WINDOW_MS, NOW_MS + 1, NOW_MS, NOW_MS + 1000), 0);	  /* damage */
	assert_int_equal(move_window(WINDOW_MS, 0, NOW_MS + 1, NOW_MS), 0);		  /* a clock that was read before */
	assert_int_equal(move_window(WINDOW_MS, 0, NOW_MS + LONG_MS, NOW_MS), 0);
	assert_int_equal(move_window(UINT32_MAX, 0, UINT64_MAX, NOW_MS), 0);
}

static void windows_have_names_of_their_own(void **state)
{
	(void)state;
	for (uint64_t newest_ms = 1; newest_ms < 20000; newest_ms++) {
		uint32_t name = move_window(WINDOW_MS, 0, newest_ms, newest_ms + 1000);

		assert_int_not_equal(name, 0);
		assert_int_not_equal(name, move_window(WINDOW_MS, 0, newest_ms + 1, newest_ms + 1000));
	}
}

/* Found by running hash_finish backwards. */
static void a_window_whose_name_would_be_nothing_has_one(void **state)
{
	const uint64_t newest_ms = 70429028336920u;

	(void)state;
	assert_int_equal((uint32_t)hash_finish(newest_ms), 0);
	assert_int_equal(move_window(WINDOW_MS, 0, newest_ms, newest_ms + 1000), 1);
}

static const uint32_t windows_ms[] = { 1000, 1001, 7777, WINDOW_MS, 24u * 3600000, UINT32_MAX };
static const uint32_t alls[] = { 0, 1, 2, 3, 10, 999, 1u << 20, UINT32_MAX };

#define EACH_WINDOW(i, k)                                                                                            \
	for (size_t i = 0; i < sizeof(windows_ms) / sizeof(windows_ms[0]); i++)                                       \
		for (size_t k = 0; k < sizeof(alls) / sizeof(alls[0]); k++)

static void moves_become_more_until_all_may(void **state)
{
	enum { STEPS = 1000 };

	(void)state;
	EACH_WINDOW(i, k) {
		uint32_t before = 0;

		for (uint64_t step = 0; step <= STEPS; step++) {
			uint64_t age_ms = (uint64_t)windows_ms[i] * step / STEPS;
			uint32_t now = move_allowed(alls[k], NOW_MS, windows_ms[i], NOW_MS + age_ms);

			assert_true(now >= before && now <= alls[k]);
			if (age_ms >= MOVE_DEBOUNCE_MS && alls[k])
				assert_true(now >= 1);
			if (step * 10 >= STEPS * 9 + 10)
				assert_int_equal(now, alls[k]);
			before = now;
		}
		assert_int_equal(move_allowed(alls[k], NOW_MS, windows_ms[i], UINT64_MAX), alls[k]);
	}
}

static void nobody_may_move_before_the_window_begins(void **state)
{
	(void)state;
	EACH_WINDOW(i, k) {
		assert_int_equal(move_allowed(alls[k], NOW_MS, windows_ms[i], 0), 0);
		assert_int_equal(move_allowed(alls[k], NOW_MS, windows_ms[i], NOW_MS - 1), 0);
		assert_int_equal(move_allowed(alls[k], NOW_MS, windows_ms[i], NOW_MS), 0);
		assert_int_equal(move_allowed(alls[k], NOW_MS, windows_ms[i], NOW_MS + MOVE_DEBOUNCE_MS - 1), 0);
	}
}

static void moves_are_spread_evenly_over_the_window(void **state)
{
	enum { ALL = 1000, MIDDLE_MS = (MOVE_DEBOUNCE_MS + WINDOW_MS / 10 * 9) / 2 };

	(void)state;
	assert_int_equal(move_allowed(ALL, NOW_MS, WINDOW_MS, NOW_MS + MOVE_DEBOUNCE_MS), 1);
	assert_in_range(move_allowed(ALL, NOW_MS, WINDOW_MS, NOW_MS + MIDDLE_MS), ALL / 2, ALL / 2 + 1);
	assert_int_equal(move_allowed(ALL, NOW_MS, WINDOW_MS, NOW_MS + WINDOW_MS / 10 * 9 - 1), ALL - 1);
	assert_int_equal(move_allowed(ALL, NOW_MS, WINDOW_MS, NOW_MS + WINDOW_MS / 10 * 9), ALL);
	for (uint64_t age_ms = MOVE_DEBOUNCE_MS; age_ms < WINDOW_MS; age_ms += 10) /* never two in one step of 10 ms */
		assert_true(move_allowed(ALL, NOW_MS, WINDOW_MS, NOW_MS + age_ms + 10) -
				    move_allowed(ALL, NOW_MS, WINDOW_MS, NOW_MS + age_ms) <= 1);
}

static void a_window_shorter_than_the_debounce_lets_all_move(void **state)
{
	(void)state;
	for (uint32_t window_ms = 0; window_ms < 2 * MOVE_DEBOUNCE_MS; window_ms++) {
		assert_int_equal(move_allowed(10, NOW_MS, window_ms, NOW_MS + MOVE_DEBOUNCE_MS - 1), 0);
		assert_int_equal(move_allowed(10, NOW_MS, window_ms, NOW_MS + 2 * MOVE_DEBOUNCE_MS), 10);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nobody_leaves_where_nothing_is_asked_for),
		TEST(nobody_leaves_for_a_fate_that_policy_leaves),
		TEST(connections_of_an_endpoint_that_is_in_are_not_drained),
		TEST(a_fate_is_believed_when_it_has_lasted),
		TEST(idle_never_cuts),
		TEST(the_deadline_cuts_when_it_is_over),
		TEST(the_longest_deadline_does_not_wrap_around),
		TEST(who_is_elsewhere_is_drained_and_not_cut),
		TEST(nobody_leaves_with_affinity),
		TEST(nobody_leaves_where_there_is_no_other),
		TEST(surplus_leaves_where_rebalance_is_on),
		TEST(only_endpoints_that_are_in_have_surplus),
		TEST(who_is_as_old_as_its_max_age_leaves),
		TEST(a_time_that_is_yet_to_come_is_now),
		TEST(drain_goes_before_rebalance_and_rebalance_before_age),
		TEST(each_of_the_three_keys_asks_for_it),
		TEST(every_reason_has_its_name),
		TEST(max_age_differs_by_no_more_than_a_tenth),
		TEST(max_ages_are_spread_evenly),
		TEST(surplus_is_what_the_fewest_moves_are),
		TEST(equal_endpoints_become_even_with_the_fewest_moves),
		TEST(weights_become_even_with_the_fewest_moves_where_shares_are_whole),
		TEST(weights_become_as_even_as_least_conn_makes_them),
		TEST(nobody_leaves_to_come_back),
		TEST(nothing_moves_where_all_is_even),
		TEST(one_added_to_three_gets_a_quarter),
		TEST(who_is_on_its_way_still_counts),
		TEST(nobody_has_any_to_give_where_nobody_is),
		TEST(numbers_of_many_do_not_overflow),
		TEST(there_is_a_window_after_somebody_was_added),
		TEST(there_is_no_window_where_nobody_was_added),
		TEST(windows_have_names_of_their_own),
		TEST(a_window_whose_name_would_be_nothing_has_one),
		TEST(moves_become_more_until_all_may),
		TEST(nobody_may_move_before_the_window_begins),
		TEST(moves_are_spread_evenly_over_the_window),
		TEST(a_window_shorter_than_the_debounce_lets_all_move),
	};

	return RUN_TESTS(tests);
}
