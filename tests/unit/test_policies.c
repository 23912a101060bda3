/* SPDX-License-Identifier: Apache-2.0 */
/* Each policy against its theory, from 2 to 1,000 endpoints. Nothing here is left to chance: see support/chance.h. */
#include "support/testing.h"

#include <pthread.h>

#include "base/hash.h"
#include "ledger/words.h"

#include "support/chance.h"
#include "support/cleanup.h"
#include "support/picks.h"
#include "support/process.h"
#include "support/table_builder.h"

static const unsigned sizes[] = { 2, 3, 5, 7, 10, 50, 100, 333, 1000 };

#define EACH_SIZE(n)                                                                                                           \
	for (unsigned at_ = 0, n = sizes[0]; at_ < sizeof(sizes) / sizeof(sizes[0]);                                           \
	     n = ++at_ < sizeof(sizes) / sizeof(sizes[0]) ? sizes[at_] : 0, end_of_test(NULL))

static uint16_t one_to_five(unsigned i)
{
	return (uint16_t)(1 + i * 2 % 5); /* without a common divisor: the first of all has 1 */
}

static unsigned weight_at(const struct picks *p, unsigned i)
{
	return table_rows_brief(&p->pick.rows, i).weight;
}

static unsigned round_of(const struct picks *p)
{
	unsigned total = 0;

	for (unsigned i = 0; i < p->pick.rows.count; i++)
		total += weight_at(p, i);
	return total;
}

static const double *shares_of(const struct picks *p)
{
	static double shares[MAX_ENDPOINTS];

	for (unsigned i = 0; i < p->pick.rows.count; i++)
		shares[i] = weight_at(p, i);
	return shares;
}

static void assert_rounds(const struct picks *p, unsigned rounds)
{
	for (unsigned i = 0; i < p->pick.rows.count; i++)
		assert_int_equal(p->counts[i], rounds * weight_at(p, i));
}

/* As a reader of a table that no writer of today made: nothing is known but the rows. */
static void forget_tally(struct picks *p)
{
	pick_take_tally(&p->pick, &(struct table_tally){ 0 }, 0);
}

/* ---- round_robin ---- */

static void round_robin_is_exact_in_every_round(void **state)
{
	(void)state;
	EACH_SIZE(n) {
		struct picks *p = new_picks_of(n);

		for (int round = 0; round < 3; round++) {
			pick_many(p, BALANCE_ROUND_ROBIN, false, n);
			assert_rounds(p, 1);
		}
		pick_many(p, BALANCE_ROUND_ROBIN, false, n * 7);
		assert_rounds(p, 7);
	}
}

static void round_robin_is_exact_by_weight_in_every_round(void **state)
{
	(void)state;
	EACH_SIZE(n) {
		struct picks *p = new_picks_by(n, one_to_five);

		for (int round = 0; round < 3; round++) {
			pick_many(p, BALANCE_ROUND_ROBIN, false, round_of(p));
			assert_rounds(p, 1);
		}
		forget_tally(p);
		pick_many(p, BALANCE_ROUND_ROBIN, false, round_of(p));
		assert_rounds(p, 1);
	}
}

/* ---- least_conn ---- */

/* Nobody has a whole connection for its weight more than another: a.active / a.weight - b.active / b.weight <= 1. */
static void assert_within_one(const struct picks *p, const unsigned *open)
{
	unsigned least = 0, most = 0;

	for (unsigned i = 1; i < p->pick.rows.count; i++) {
		if (open[i] * weight_at(p, least) < open[least] * weight_at(p, i))
			least = i;
		if (open[i] * weight_at(p, most) > open[most] * weight_at(p, i))
			most = i;
	}
	if (open[most] * weight_at(p, least) > (open[least] + weight_at(p, least)) * weight_at(p, most))
		fail_msg("%u connections of weight %u, %u of weight %u", open[most], weight_at(p, most), open[least],
			 weight_at(p, least));
}

static void open_and_close(struct picks *p, unsigned n)
{
	unsigned open[MAX_ENDPOINTS] = { 0 };
	uint64_t random = n;

	for (unsigned i = 0; i < round_of(p) * 2 + 50; i++) {
		open[next_of(p, BALANCE_LEAST_CONN, true)]++;
		assert_within_one(p, open);
	}
	for (unsigned i = 0; i < 300; i++) {
		unsigned k = (unsigned)(next_random(&random) % n);

		if (!open[k])
			continue;
		ledger_release(&p->ledger, key_of(p, k)); /* now it is the emptiest, if another is not as empty */
		open[k]--;
		open[next_of(p, BALANCE_LEAST_CONN, true)]++;
		assert_within_one(p, open);
	}
}

static void least_conn_keeps_all_within_one_connection(void **state)
{
	(void)state;
	EACH_SIZE(n)
		open_and_close(new_picks_of(n), n);
}

static void least_conn_keeps_all_within_one_connection_of_their_weight(void **state)
{
	(void)state;
	EACH_SIZE(n)
		open_and_close(new_picks_by(n, one_to_five), n);
}

static void least_conn_without_a_tally_does_the_same(void **state)
{
	struct picks *p;

	(void)state;
	p = new_picks_by(100, one_to_five);
	forget_tally(p);
	open_and_close(p, 100);
	p = new_picks_of(100);
	forget_tally(p);
	open_and_close(p, 100);
}

static struct ledger_row *row_of(const struct picks *p, unsigned i)
{
	return ledger_row(&p->ledger, key_of(p, i));
}

/* All that two words can say: of nobody, of a stranger, of a mend that found what no shim claimed, wrapped, damaged. */
static void least_conn_counts_as_the_ledger_does(void **state)
{
	static const uint32_t values[] = { 0, 1, 2, 7, LEDGER_MAX_ACTIVE, LEDGER_MAX_ACTIVE + 2, UINT32_MAX - 2, UINT32_MAX };
	enum { VALUES = sizeof(values) / sizeof(values[0]) };
	struct picks *p = new_picks("10.0.0.1:80 10.0.0.2:80");

	(void)state;
	for (unsigned i = 0; i < VALUES * VALUES * 4; i++) {
		struct ledger_key key = key_of(p, 0);
		uint32_t active;

		row_of(p, 0)->claims = word_make(key.tag + (i & 1) * 12345, values[i / 4 % VALUES]);
		row_of(p, 0)->gone = word_make(key.tag + (i >> 1 & 1) * 12345, values[i / 4 / VALUES]);
		active = ledger_load(&p->ledger, key, p->pick.now_ms).active;
		assert_in_range(active, 0, LEDGER_MAX_ACTIVE);
		for (uint32_t other = active ? active - 1 : 0; other <= active + 1 && other <= LEDGER_MAX_ACTIVE; other++) {
			int chosen;

			row_of(p, 1)->claims = word_make(key_of(p, 1).tag, other);
			chosen = next_of(p, BALANCE_LEAST_CONN, false);
			if (active != other)
				assert_int_equal(chosen, active > other);
		}
	}
}

struct filler {
	struct picks *picks;
	unsigned claims, wrong;
};

/* Nobody closes any: who was emptier than the chosen one when it was claimed would be so now, or as empty as it was. */
static unsigned emptier_than(const struct picks *p, uint32_t active)
{
	unsigned n = 0;

	for (unsigned i = 0; i < p->pick.rows.count; i++)
		n += ledger_load(&p->ledger, key_of(p, i), p->pick.now_ms).active < active;
	return n;
}

/* As dial_choose does. */
static void *fill(void *what)
{
	struct filler *f = what;
	struct pick pick = f->picks->pick;

	for (unsigned i = 0; i < f->claims; i++) {
		struct candidate chosen;

		do
			pick_next(&pick, BALANCE_LEAST_CONN, &chosen);
		while (!ledger_claim_if(pick.ledger, chosen.key, &chosen.load));
		f->wrong += emptier_than(f->picks, word_value(chosen.load.claims_word, chosen.key.tag)) != 0;
	}
	return NULL;
}

/* Who counts while another one claims must not take the same last place. */
static void threads_that_count_at_the_same_time_stay_within_one(void **state)
{
	enum { N = 200, THREADS = 4 };
	struct picks *p = new_picks_of(N);
	struct filler fillers[THREADS];
	unsigned open[MAX_ENDPOINTS] = { 0 }, all = 0;
	pthread_t threads[THREADS];

	(void)state;
	for (int i = 0; i < THREADS; i++) {
		fillers[i] = (struct filler){ p, N * 20 + 25, 0 };
		assert_int_equal(pthread_create(&threads[i], NULL, fill, &fillers[i]), 0);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(fillers[i].wrong, 0);
	}
	for (unsigned i = 0; i < N; i++)
		all += open[i] = ledger_load(&p->ledger, key_of(p, i), p->pick.now_ms).active;
	assert_int_equal(all, THREADS * fillers[0].claims);
	assert_within_one(p, open);
}

/* One after the other: nobody has a connection when the next is opened. */
static void short_connections(struct picks *p, unsigned n)
{
	memset(p->counts, 0, sizeof(p->counts));
	while (n--)
		ledger_release(&p->ledger, key_of(p, (unsigned)next_of(p, BALANCE_LEAST_CONN, true)));
}

static void short_connections_of_least_conn_go_by_weight_in_every_round(void **state)
{
	(void)state;
	EACH_SIZE(n) {
		struct picks *p = new_picks_by(n, one_to_five);

		for (int round = 0; round < 3; round++) {
			short_connections(p, round_of(p));
			assert_rounds(p, 1);
		}
		p = new_picks_of(n);
		short_connections(p, n * 5);
		assert_rounds(p, 5);
	}
}

/* ---- random ---- */

static unsigned enough(const struct picks *p)
{
	unsigned n = round_of(p) * 20;

	return n > 10000 ? n : 10000;
}

static void goes_by_chance(struct picks *p, uint8_t balance, const char *what)
{
	const char *named = format("%s of %u", what, p->pick.rows.count);

	pick_many(p, balance, false, enough(p));
	assert_by_chance(named, p->counts, shares_of(p), p->pick.rows.count);
}

static void random_is_random(void **state)
{
	(void)state;
	EACH_SIZE(n) {
		goes_by_chance(new_picks_of(n), BALANCE_RANDOM, "random");
		goes_by_chance(new_picks_by(n, one_to_five), BALANCE_RANDOM, "random by weight");
	}
}

/* So that rows are added up instead of drawn. */
static void random_without_a_tally_is_random(void **state)
{
	struct picks *p;

	(void)state;
	for (unsigned n = 2; n <= 200; n = n * 3 + 1, end_of_test(NULL)) {
		p = new_picks_by(n, one_to_five);
		forget_tally(p);
		goes_by_chance(p, BALANCE_RANDOM, "random without a tally");
	}
}

static uint16_t one_is_heavy(unsigned i)
{
	return i == 3 ? 5000 : 1;
}

static void random_is_random_where_one_outweighs_all(void **state)
{
	(void)state;
	goes_by_chance(new_picks_by(300, one_is_heavy), BALANCE_RANDOM, "random with a heavy one");
	goes_by_chance(new_picks_by(5, one_is_heavy), BALANCE_RANDOM, "random with a heavy one");
}

/* Also where many draws hit one that is out. */
static void random_is_random_among_those_that_are_left(void **state)
{
	double shares[MAX_ENDPOINTS] = { 0 };

	(void)state;
	EACH_SIZE(n) {
		struct picks *p = new_picks_by(n, one_to_five);

		for (unsigned i = 0; i < n; i++) {
			shares[i] = i % 10 ? 0 : weight_at(p, i);
			if (i % 10)
				eject(p, i, p->pick.now_ms);
		}
		pick_many(p, BALANCE_RANDOM, false, n < 11 ? 10 : 5000);
		if (n >= 11)
			assert_by_chance("random with nine of ten out", p->counts, shares, n);
	}
}

/* ---- p2c ---- */

static void p2c_without_connections_goes_by_weight(void **state)
{
	(void)state;
	EACH_SIZE(n) {
		goes_by_chance(new_picks_of(n), BALANCE_P2C, "p2c");
		goes_by_chance(new_picks_by(n, one_to_five), BALANCE_P2C, "p2c by weight");
	}
}

/*
 * Number i has i connections for its weight. Two are drawn, the second among the others, each by weight; of the two the one
 * with the lower number is taken.
 */
static void expect_emptier(const struct picks *p, double *shares)
{
	double total = round_of(p);

	for (unsigned i = 0; i < p->pick.rows.count; i++) {
		double a = weight_at(p, i);

		shares[i] = 0;
		for (unsigned k = i + 1; k < p->pick.rows.count; k++) {
			double b = weight_at(p, k);

			shares[i] += a * b / (total - a) + b * a / (total - b);
		}
	}
}

static void takes_the_emptier(struct picks *p, const char *what)
{
	static double shares[MAX_ENDPOINTS];

	for (unsigned i = 0; i < p->pick.rows.count; i++)
		for (unsigned k = 0; k < i * weight_at(p, i); k++)
			ledger_claim(&p->ledger, key_of(p, i));
	expect_emptier(p, shares);
	pick_many(p, BALANCE_P2C, false, enough(p) * 2);
	if (p->pick.rows.count == 2)
		assert_int_equal(p->counts[1], 0);
	else
		assert_by_chance(format("%s of %u", what, p->pick.rows.count), p->counts, shares, p->pick.rows.count);
}

static void p2c_takes_the_emptier_of_two(void **state)
{
	(void)state;
	EACH_SIZE(n) {
		takes_the_emptier(new_picks_of(n), "the emptier");
		takes_the_emptier(new_picks_by(n, one_to_five), "the emptier by weight");
	}
}

static void p2c_without_a_tally_takes_the_emptier_of_two(void **state)
{
	struct picks *p = new_picks_by(50, one_to_five);

	(void)state;
	forget_tally(p);
	takes_the_emptier(p, "the emptier without a tally");
}

static unsigned most_of(const struct picks *p)
{
	unsigned most = 0;

	for (unsigned i = 0; i < p->pick.rows.count; i++)
		most = p->counts[i] > most ? p->counts[i] : most;
	return most;
}

/* n connections to n endpoints: log log n / log 2 + O(1) for two choices, log n / log log n for one (Mitzenmacher). */
static void p2c_fills_evenly(void **state)
{
	(void)state;
	EACH_SIZE(n) {
		struct picks *p = new_picks_of(n);
		unsigned one, two;

		pick_many(p, BALANCE_RANDOM, false, n);
		one = most_of(p);
		pick_many(p, BALANCE_P2C, true, n);
		two = most_of(p);
		print_message("  %4u connections to as many endpoints: at most %u by p2c, %u by random\n", n, two, one);
		assert_in_range(two, 1, n <= 10 ? 3 : 4);
	}
}

/* ---- weights ---- */

static const char weighted[] = "10.0.0.1:80*5 10.0.0.2:80*3 10.0.0.3:80*1 10.0.0.4:80*2";

static void hash_many(struct picks *p, unsigned clients)
{
	uint64_t random = 17;

	memset(p->counts, 0, sizeof(p->counts));
	while (clients--) {
		p->pick.identity = next_random(&random);
		next_of(p, BALANCE_HASH, false);
	}
}

static void weights_are_kept_within_one_percent(void **state)
{
	struct picks *p = new_picks(weighted);
	enum { N = 1100000 };

	(void)state;
	pick_many(p, BALANCE_ROUND_ROBIN, false, N / 100);
	assert_near("round_robin", p->counts, shares_of(p), 4, 0);
	short_connections(p, N / 100);
	assert_near("least_conn", p->counts, shares_of(p), 4, 0);
	pick_many(p, BALANCE_RANDOM, false, N);
	assert_near("random", p->counts, shares_of(p), 4, 1);
	pick_many(p, BALANCE_P2C, false, N);
	assert_near("p2c", p->counts, shares_of(p), 4, 1);
	hash_many(p, N);
	assert_near("hash", p->counts, shares_of(p), 4, 1);
	p = new_picks(weighted);
	pick_many(p, BALANCE_LEAST_CONN, true, N / 100);
	assert_near("open connections of least_conn", p->counts, shares_of(p), 4, 0);
	p = new_picks(weighted);
	pick_many(p, BALANCE_P2C, true, N);
	assert_near("open connections of p2c", p->counts, shares_of(p), 4, 1);
}

/* ---- hash ---- */

static int hash_of(struct picks *p, uint64_t identity)
{
	p->pick.identity = identity;
	return next_of(p, BALANCE_HASH, false);
}

static void hash_spreads_clients(void **state)
{
	(void)state;
	EACH_SIZE(n) {
		struct picks *p = new_picks_of(n);

		hash_many(p, 10000);
		assert_by_chance(format("hash over %u", n), p->counts, shares_of(p), n);
		p = new_picks_by(n, one_to_five);
		hash_many(p, 10000);
		assert_by_chance(format("hash over %u by weight", n), p->counts, shares_of(p), n);
	}
}

static const char *name_of(const struct picks *p, int i)
{
	static char text[ADDR_TEXT];
	struct table_view view = view_of(p->table);
	struct table_endpoint row;
	struct addr addr;

	assert_int_equal(table_endpoint(&view, p->pick.rows.first + (uint32_t)i, &row), 0);
	addr = table_endpoint_addr(&row);
	return addr_print(&addr, text);
}

/* A table and a ledger of its own, without what another one remembers. */
static void hash_is_the_same_in_every_process_of_a_client(void **state)
{
	(void)state;
	EACH_SIZE(n) {
		struct picks *one = new_picks_by(n, one_to_five), *other = new_picks_by(n, one_to_five);
		uint64_t random = n;

		other->pick.mark = 0;
		for (int i = 0; i < 200; i++) {
			uint64_t client = next_random(&random);
			int first = hash_of(one, client);

			assert_int_equal(hash_of(one, client), first); /* by heart */
			assert_int_equal(hash_of(other, client), first);
		}
	}
}

static struct picks *without(unsigned n, unsigned lost, uint16_t (*weight_of)(unsigned i))
{
	struct table_builder *b = builder_web("");

	for (unsigned i = 0; i < n; i++) {
		struct addr addr = addr_of(format("10.1.%u.%u:80", i >> 8, i & 255));

		if (i != lost)
			builder_endpoint(&b->spec.services[0].ports[0], &addr, weight_of(i));
	}
	return new_picks_from(b);
}

/* By name: places in the list move. Exactly those that were on it, which are at most its share but for chance. */
static void hash_moves_the_clients_of_the_one_that_went_and_no_others(void **state)
{
	enum { CLIENTS = 2000 };

	(void)state;
	EACH_SIZE(n) {
		unsigned lost = n / 2, moved = 0;
		struct picks *all = new_picks_by(n, one_to_five), *rest = without(n, lost, one_to_five);
		uint64_t random = n;

		for (int i = 0; i < CLIENTS; i++) {
			uint64_t client = next_random(&random);
			int before = hash_of(all, client), now = hash_of(rest, client);
			char name[ADDR_TEXT];

			strcpy(name, name_of(all, before));
			if (strcmp(name, name_of(rest, now)) != 0) {
				assert_int_equal(before, (int)lost);
				moved++;
			}
		}
		assert_int_equal(moved, all->counts[lost]);
		assert_by_chance("clients that moved, and others", (unsigned[]){ moved, CLIENTS - moved },
				 (double[]){ weight_at(all, lost), round_of(all) - weight_at(all, lost) }, 2);
	}
}

/* Whatever is tried or ejected: what is remembered is an order of all that are usable. */
static void hash_by_heart_is_hash(void **state)
{
	(void)state;
	EACH_SIZE(n) {
		struct picks *p = new_picks_by(n, one_to_five);
		uint64_t random = n;

		for (int i = 0; i < 40; i++) {
			uint64_t client = next_random(&random);

			for (unsigned tries = 0; tries < 8 && tries < n; tries++) {
				int expected, k;

				p->pick.mark = 0;
				expected = hash_of(p, client);
				p->pick.mark = p->mark;
				k = hash_of(p, client);
				assert_int_equal(k, expected);
				if (tries % 2)
					pick_mark_tried(&p->pick, (uint32_t)k);
				else
					eject(p, (unsigned)k, p->pick.now_ms);
			}
			memset(p->pick.tried, 0, sizeof(p->pick.tried));
			p->pick.now_ms += 10000; /* all are back */
		}
	}
}

static void a_ranking_of_another_generation_is_not_believed(void **state)
{
	struct picks *p = without(51, 50, one_to_five), *other = without(51, 0, one_to_five);
	unsigned differ = 0;

	(void)state;
	assert_int_equal(other->pick.rows.count, p->pick.rows.count);
	assert_int_equal(other->pick.rows.first, p->pick.rows.first);
	for (uint64_t client = 1; client < 100; client++) {
		int here = hash_of(p, client), there = hash_of(other, client);

		other->pick.mark = 0;
		assert_int_equal(hash_of(other, client), there);
		other->pick.mark = other->mark;
		assert_int_equal(hash_of(p, client), here);
		differ += here != there;
	}
	assert_true(differ > 50); /* the same endpoint has another place */
}

/* As two that write at once would leave them: the rows of one client under the check of another. */
static void a_ranking_with_the_rows_of_another_is_not_believed(void **state)
{
	struct picks *p = new_picks_of(50);

	(void)state;
	for (uint64_t client = 1; client < 100; client++)
		hash_of(p, client);
	for (uint64_t client = 1; client < 100; client++) {
		int known, right;

		hash_of(p, client);
		for (unsigned i = 0; i < HASH_MEMORY; i++)
			hash_memory[i].rows[0] = 7 + i; /* rows that there are */
		known = hash_of(p, client);
		p->pick.mark = 0;
		right = hash_of(p, client);
		p->pick.mark = p->mark;
		assert_int_equal(known, right);
	}
}

/* Threads whose clients share the places of a memory: a mixture of two rankings is never believed. */
struct thinker {
	struct picks *picks;
	uint64_t seed;
	unsigned wrong;
};

static void *think(void *what)
{
	struct thinker *t = what;
	struct pick pick = t->picks->pick;

	for (int i = 0; i < 20000; i++) {
		struct candidate known, right;

		pick.identity = (t->seed + (uint64_t)i * 2) % 97;
		pick.mark = t->picks->mark;
		t->wrong += !pick_next(&pick, BALANCE_HASH, &known);
		pick.mark = 0;
		t->wrong += !pick_next(&pick, BALANCE_HASH, &right) || right.index != known.index;
	}
	return NULL;
}

static void threads_share_what_hash_remembers(void **state)
{
	struct picks *p = new_picks_of(10);
	struct thinker thinkers[4];
	pthread_t threads[4];

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		thinkers[i] = (struct thinker){ p, i, 0 };
		assert_int_equal(pthread_create(&threads[i], NULL, think, &thinkers[i]), 0);
	}
	for (unsigned i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(thinkers[i].wrong, 0);
	}
}

/* ---- many clients of one connection each ---- */

enum { CLIENTS = 200, PODS = 50 };

/* Each is a pod with a ledger of its own: a cursor that no other has. */
static void first_dials(struct picks *p, uint8_t balance, uint32_t peers)
{
	memset(p->counts, 0, sizeof(p->counts));
	for (uint32_t i = 0; i < CLIENTS; i++) {
		p->pick.rank = i;
		p->pick.peers = peers;
		p->pick.identity = hash_text("client-", 7, i);
		p->pick.cursor.tag = 1000 + i;
		next_of(p, balance, false);
	}
}

static void print_spread(const struct picks *p, const char *how)
{
	unsigned pods[CLIENTS + 1] = { 0 };

	for (unsigned i = 0; i < PODS; i++)
		pods[p->counts[i]]++;
	print_message("  %-28s", how);
	for (unsigned k = 0; k <= CLIENTS; k++)
		if (pods[k])
			print_message(" %u x %u", pods[k], k);
	print_message("\n");
}

/* What chance alone would do: the number of pods with k of CLIENTS connections, binomial. */
static void print_expected(void)
{
	double p = 1.0 / PODS, pods = PODS;

	for (int i = 0; i < CLIENTS; i++)
		pods *= 1 - p;
	print_message("  %-28s", "by chance, expected");
	for (int k = 0; k < 14; k++) {
		if (pods >= 0.05)
			print_message(" %.1f x %d", pods, k);
		pods *= (CLIENTS - k) * p / ((k + 1) * (1 - p));
	}
	print_message("\n");
}

static void two_hundred_clients_of_one_connection_over_fifty_endpoints(void **state)
{
	static const uint8_t turns[] = { BALANCE_LEAST_CONN, BALANCE_ROUND_ROBIN };
	struct picks *p = new_picks_of(PODS);

	(void)state;
	print_message("  %u clients, one connection each, over %u pods: pods x connections\n", CLIENTS, PODS);
	for (int i = 0; i < 2; i++) {
		const char *name = balance_policy(turns[i])->name;

		first_dials(p, turns[i], CLIENTS);
		print_spread(p, format("%s, rank known", name));
		assert_rounds(p, CLIENTS / PODS);
		first_dials(p, turns[i], CLIENT_PEERS_UNKNOWN);
		print_spread(p, format("%s, ordinal known", name));
		assert_rounds(p, CLIENTS / PODS);
		first_dials(p, turns[i], 0);
		print_spread(p, format("%s, nothing known", name));
		assert_by_chance("clients without a rank", p->counts, shares_of(p), PODS);
	}
	first_dials(p, BALANCE_RANDOM, CLIENTS);
	print_spread(p, "random");
	assert_by_chance("random clients", p->counts, shares_of(p), PODS);
	first_dials(p, BALANCE_HASH, CLIENTS);
	print_spread(p, "hash");
	assert_by_chance("hashed clients", p->counts, shares_of(p), PODS);
	print_expected();
}

/* Ranks are laid over usable endpoints only, which the tally counts. */
static void ranks_do_not_meet_behind_those_that_are_not_usable(void **state)
{
	struct table_builder *b = builder_web("");
	struct picks *p;

	(void)state;
	for (unsigned i = 0; i < PODS * 2; i++) {
		struct addr addr = addr_of(format("10.1.0.%u:80", i));
		struct spec_port *port = &b->spec.services[0].ports[0];

		builder_endpoint(port, &addr, 1);
		if (i % 3 == 0 || i < 24)
			port->endpoints[i].flags = ENDPOINT_READY;
	}
	p = new_picks_from(b);
	assert_int_equal(p->pick.usable, PODS);
	first_dials(p, BALANCE_LEAST_CONN, CLIENTS);
	for (unsigned i = 0; i < PODS * 2; i++)
		assert_int_equal(p->counts[i], i % 3 == 0 || i < 24 ? 0 : CLIENTS / PODS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(round_robin_is_exact_in_every_round),
		TEST(round_robin_is_exact_by_weight_in_every_round),
		TEST(least_conn_keeps_all_within_one_connection),
		TEST(least_conn_keeps_all_within_one_connection_of_their_weight),
		TEST(least_conn_without_a_tally_does_the_same),
		TEST(least_conn_counts_as_the_ledger_does),
		TEST(threads_that_count_at_the_same_time_stay_within_one),
		TEST(short_connections_of_least_conn_go_by_weight_in_every_round),
		TEST(random_is_random),
		TEST(random_without_a_tally_is_random),
		TEST(random_is_random_where_one_outweighs_all),
		TEST(random_is_random_among_those_that_are_left),
		TEST(p2c_without_connections_goes_by_weight),
		TEST(p2c_takes_the_emptier_of_two),
		TEST(p2c_without_a_tally_takes_the_emptier_of_two),
		TEST(p2c_fills_evenly),
		TEST(weights_are_kept_within_one_percent),
		TEST(hash_spreads_clients),
		TEST(hash_is_the_same_in_every_process_of_a_client),
		TEST(hash_moves_the_clients_of_the_one_that_went_and_no_others),
		TEST(hash_by_heart_is_hash),
		TEST(a_ranking_of_another_generation_is_not_believed),
		TEST(a_ranking_with_the_rows_of_another_is_not_believed),
		TEST(threads_share_what_hash_remembers),
		TEST(two_hundred_clients_of_one_connection_over_fifty_endpoints),
		TEST(ranks_do_not_meet_behind_those_that_are_not_usable),
	};

	return RUN_TESTS(tests);
}
