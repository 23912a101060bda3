/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger's numbers: claims, turns, ejections, and what damage may do to them. Its file: test_ledger_file.c. */
#include "support/testing.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/host.h"
#include "ledger/moves.h"
#include "support/cleanup.h"
#include "support/ledgers.h"
#include "support/table_builder.h"

#define NOW 1000000000ull

static const struct ledger_key a = { 3, 0xaaaa }, b = { 3, 0xbbbb };

static uint32_t active(const struct ledger *ledger, struct ledger_key key)
{
	return ledger_load(ledger, key, NOW).active;
}

/* ---- counting ---- */

static void a_claim_counts_until_it_is_released(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);

	(void)state;
	assert_int_equal(active(ledger, a), 0);
	for (uint32_t i = 1; i <= 100; i++) {
		ledger_claim(ledger, a);
		assert_int_equal(active(ledger, a), i);
	}
	ledger_landed(ledger, a);
	assert_int_equal(active(ledger, a), 100); /* still open, but the kernel knows it now */
	for (uint32_t i = 100; i-- > 0;) {
		ledger_release(ledger, a);
		assert_int_equal(active(ledger, a), i);
	}
	assert_int_equal(ledger_score(ledger, a, NOW).dials, 100);
}

static void rows_and_tags_do_not_mix(void **state)
{
	struct ledger_verdict verdict = { 1, 1, 5000, 0, 0 };
	struct ledger *ledger = new_ledger(8, 8);
	struct ledger_key beside = { 4, 0xaaaa };

	(void)state;
	ledger_claim(ledger, a);
	ledger_claim(ledger, a);
	ledger_report(ledger, a, OUTCOME_REFUSED, &verdict, NOW);
	assert_int_equal(active(ledger, beside), 0);
	assert_int_equal(active(ledger, b), 0); /* the slot has passed to another backend */
	assert_false(ledger_load(ledger, b, NOW).ejected);
	assert_int_equal(ledger_score(ledger, b, NOW).failures, 0);
	assert_int_equal(ledger_failure_age(ledger, b, NOW), UINT32_MAX);
	ledger_claim(ledger, b);
	assert_int_equal(active(ledger, b), 1);
	assert_int_equal(active(ledger, a), 0);
	ledger_release(ledger, b);
	assert_int_equal(active(ledger, b), 0);
	assert_int_equal(ledger_score(ledger, b, NOW).dials, 1);
}

static void a_slot_that_comes_back_counts_from_zero(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);

	(void)state;
	for (int i = 0; i < 5; i++) {
		ledger_claim(ledger, a);
		ledger_release(ledger, a);
	}
	ledger_claim(ledger, b);
	ledger_landed(ledger, b);
	for (uint32_t i = 1; i <= 5; i++) {
		ledger_claim(ledger, a);
		assert_int_equal(active(ledger, a), i);
	}
}

static void a_claim_on_condition_fails_when_somebody_was_faster(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);
	struct ledger_load load = ledger_load(ledger, a, NOW), stale = load;

	(void)state;
	assert_true(ledger_claim_if(ledger, a, &load));
	assert_false(ledger_claim_if(ledger, a, &stale));
	assert_int_equal(active(ledger, a), 1);
	load = ledger_load(ledger, a, NOW);
	assert_true(ledger_claim_if(ledger, a, &load));
	assert_int_equal(active(ledger, a), 2);
	load = ledger_load(ledger, b, NOW); /* takes the row over */
	assert_true(ledger_claim_if(ledger, b, &load));
	assert_int_equal(active(ledger, b), 1);
}

static void counts_go_on_when_their_words_wrap(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);
	struct ledger_row *row = row_of(ledger, a.slot);

	(void)state;
	row->claims = row->gone = row->landed = (uint64_t)a.tag << 32 | 0xfffffffe;
	for (uint32_t i = 1; i <= 4; i++) {
		ledger_claim(ledger, a);
		assert_int_equal(active(ledger, a), i);
	}
	assert_int_equal(row->claims >> 32, a.tag);
	for (int i = 0; i < 4; i++)
		ledger_release(ledger, a);
	assert_int_equal(active(ledger, a), 0);
}

static void without_a_ledger_numbers_are_zero_and_nothing_is_kept(void **state)
{
	struct ledger none = { .base = NULL }, *ledger = new_ledger(8, 8);
	struct ledger_key beyond[] = { { 8, 1 }, { UINT32_MAX, 1 } };
	struct ledger_verdict verdict = { 1, 1, 5000, 0, 0 };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		const struct ledger *l = i < 2 ? ledger : &none;
		struct ledger_key key = i < 2 ? beyond[i] : a;
		struct ledger_load load = ledger_load(l, key, NOW);
		uint32_t turn;

		assert_true(ledger_claim_if(l, key, &load));
		ledger_claim(l, key);
		ledger_landed(l, key);
		ledger_release(l, key);
		assert_false(ledger_report(l, key, OUTCOME_REFUSED, &verdict, NOW));
		ledger_set_cursor(l, key, 7);
		load = ledger_load(l, key, NOW);
		assert_true(load.active == 0 && !load.ejected);
		assert_int_equal(ledger_score(l, key, NOW).dials, 0);
		assert_int_equal(ledger_failure_age(l, key, NOW), UINT32_MAX);
		assert_int_equal(ledger_cursor(l, key), 0);
		assert_false(ledger_turn(l, key, &turn));
	}
}

/* ---- cursors ---- */

static void cursors_belong_to_their_tag(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);
	uint32_t turn = 99;

	(void)state;
	for (uint32_t i = 0; i < 10; i++) {
		assert_true(ledger_turn(ledger, a, &turn));
		assert_int_equal(turn, i);
	}
	assert_int_equal(ledger_cursor(ledger, a), 10);
	assert_int_equal(ledger_cursor(ledger, b), 0);
	ledger_set_cursor(ledger, b, 41);
	assert_true(ledger_turn(ledger, b, &turn));
	assert_int_equal(turn, 41);
	assert_int_equal(ledger_cursor(ledger, a), 0);
}

/*
 * Workers that do nothing else may lose every try of a turn to each other (WORD_TRIES), the more so on many processors and
 * emulated. Such a turn is given up, which has to be rare, and never counted.
 */
enum { WORKERS = 8, TURNS = 100000, RARE = WORKERS * TURNS / 1000 };

struct worker {
	pthread_t thread;
	struct ledger *ledger;
	uint8_t *taken; /* by turn */
	uint32_t given_up, beyond, twice;
};

static void *take_turns(void *what)
{
	struct worker *w = what;

	for (int i = 0; i < TURNS; i++) {
		uint32_t turn;

		if (!ledger_turn(w->ledger, a, &turn))
			w->given_up++;
		else if (turn >= WORKERS * TURNS)
			w->beyond++;
		else
			w->twice += __atomic_exchange_n(&w->taken[turn], 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void each_turn_is_taken_once_by_threads(void **state)
{
	struct worker workers[WORKERS] = { 0 };
	struct ledger *ledger = new_ledger(8, 8);
	uint8_t *taken = calloc(WORKERS, TURNS);
	uint32_t given_up = 0;

	(void)state;
	assert_non_null(taken);
	for (int i = 0; i < WORKERS; i++) {
		workers[i] = (struct worker){ .ledger = ledger, .taken = taken };
		assert_int_equal(pthread_create(&workers[i].thread, NULL, take_turns, &workers[i]), 0);
	}
	for (int i = 0; i < WORKERS; i++) {
		assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
		assert_int_equal(workers[i].beyond, 0);
		assert_int_equal(workers[i].twice, 0);
		given_up += workers[i].given_up;
	}
	assert_in_range(given_up, 0, RARE);
	assert_int_equal(ledger_cursor(ledger, a), WORKERS * TURNS - given_up);
	free(taken);
}

static void each_turn_is_taken_once_by_processes(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);
	uint32_t *given_up = mmap(NULL, sizeof(*given_up), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pids[WORKERS];

	(void)state;
	assert_ptr_not_equal(given_up, MAP_FAILED);
	for (int i = 0; i < WORKERS; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			uint32_t turn;

			for (int k = 0; k < TURNS; k++)
				if (!ledger_turn(ledger, a, &turn))
					__atomic_fetch_add(given_up, 1, __ATOMIC_RELAXED);
			_exit(0);
		}
	}
	for (int i = 0; i < WORKERS; i++) {
		int status;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	assert_in_range(*given_up, 0, RARE);
	assert_int_equal(ledger_cursor(ledger, a), WORKERS * TURNS - *given_up);
	munmap(given_up, sizeof(*given_up));
}

/* ---- places ---- */

enum { PLACES = 5, CLAIMS = 4000 };

struct claimer {
	pthread_t thread;
	struct ledger *ledger;
	uint32_t claimed, worst;
};

/* The emptiest row, and how far the fullest is from it. */
static uint32_t emptiest(const struct ledger *ledger, struct ledger_load *ret_load, uint32_t *ret_apart)
{
	uint32_t best = 0, most = 0;

	for (uint32_t i = 0; i < PLACES; i++) {
		struct ledger_load load = ledger_load(ledger, (struct ledger_key){ i, 7 }, NOW);

		if (i == 0 || load.active < ret_load->active) {
			best = i;
			*ret_load = load;
		}
		if (load.active > most)
			most = load.active;
	}
	*ret_apart = most - ret_load->active;
	return best;
}

static void *claim_places(void *what)
{
	struct claimer *c = what;

	while (c->claimed < CLAIMS) {
		struct ledger_load load = { 0 };
		uint32_t apart, i = emptiest(c->ledger, &load, &apart);

		c->claimed += ledger_claim_if(c->ledger, (struct ledger_key){ i, 7 }, &load);
	}
	return NULL;
}

static void threads_that_race_for_places_stay_within_one(void **state)
{
	struct claimer claimers[WORKERS] = { 0 };
	struct ledger *ledger = new_ledger(8, 8);
	struct ledger_load load = { 0 };
	uint32_t apart, total = 0;

	(void)state;
	for (int i = 0; i < WORKERS; i++) {
		claimers[i].ledger = ledger;
		assert_int_equal(pthread_create(&claimers[i].thread, NULL, claim_places, &claimers[i]), 0);
	}
	for (int i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_join(claimers[i].thread, NULL), 0);
	emptiest(ledger, &load, &apart);
	assert_in_range(apart, 0, 1);
	for (uint32_t i = 0; i < PLACES; i++)
		total += active(ledger, (struct ledger_key){ i, 7 });
	assert_int_equal(total, WORKERS * CLAIMS);
}

static void processes_killed_while_they_claim_leave_sane_numbers(void **state)
{
	struct ledger *ledger = new_ledger(8, 8);
	uint64_t random = 8;

	(void)state;
	for (int round = 0; round < 200; round++) {
		struct ledger_key key = { 0, (uint32_t)round / 10 + 1 };
		uint32_t before = ledger_cursor(ledger, key);
		pid_t pid = fork();

		if (pid == 0) {
			struct ledger_verdict verdict = { 1, 1, 5000, 0, 0 };
			uint32_t turn;

			for (;;) {
				ledger_turn(ledger, key, &turn);
				ledger_claim(ledger, key);
				ledger_report(ledger, key, OUTCOME_REFUSED, &verdict, NOW);
				ledger_report(ledger, key, OUTCOME_SUCCESS, &verdict, NOW);
				ledger_release(ledger, key);
			}
		}
		while (ledger_cursor(ledger, key) < before + 50)
			sched_yield();
		for (volatile uint64_t i = next_random(&random) % 5000; i > 0; i--)
			;
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		assert_in_range(active(ledger, key), 0, round % 10 + 1); /* one place for each of the killed */
	}
}

/* ---- damage ---- */

static void use_moves(const struct ledger *ledger, struct ledger_key key)
{
	struct ledger_load load = ledger_load(ledger, key, NOW);
	struct ledger_window window = { key, 1, key.slot % 2 };

	if (ledger_give_up_if(ledger, key, &load))
		ledger_take_back(ledger, key);
	ledger_give_up(ledger, key);
	assert_in_range(ledger_window_total(ledger, &window, 5), 0, LEDGER_MAX_SHARED);
	ledger_window_take_if(ledger, &window, ledger_window_moved(ledger, &window));
	assert_in_range(ledger_window_moved(ledger, &window), 0, LEDGER_MAX_SHARED);
	ledger_window_give_back(ledger, &window);
	ledger_rate_take(ledger, key, NOW);
	ledger_rate_give_back(ledger, key, NOW);
	for (unsigned reason = 0; reason <= LEDGER_MOVE_REASONS + 1; reason++)
		ledger_count_move(ledger, key, reason, reason % 2);
	ledger_count_without_thread(ledger, key);
	ledger_moves(ledger, key);
}

static void use_everything(const struct ledger *ledger, uint64_t *random)
{
	struct ledger_verdict verdict = { 1, 2, 5000, 0, 0 };

	for (int i = 0; i < 6; i++) {
		struct ledger_key key = { (uint32_t)next_random(random) % 12,
					  i % 2 ? 7 : (uint32_t)next_random(random) };
		struct ledger_load load = ledger_load(ledger, key, NOW);
		struct ledger_score score = ledger_score(ledger, key, NOW);
		uint32_t turn;

		assert_in_range(load.active, 0, LEDGER_MAX_ACTIVE);
		assert_in_range(score.active, 0, LEDGER_MAX_ACTIVE);
		assert_in_range(score.ejected_ms, 0, 24u * 3600 * 1000);
		ledger_claim_if(ledger, key, &load);
		ledger_claim(ledger, key);
		ledger_landed(ledger, key);
		ledger_release(ledger, key);
		ledger_report(ledger, key, (enum ledger_outcome)(i % 3), &verdict, NOW);
		ledger_suspect(ledger, key, NOW);
		ledger_failure_age(ledger, key, NOW);
		ledger_turn(ledger, key, &turn);
		ledger_set_cursor(ledger, key, ledger_cursor(ledger, key));
		use_moves(ledger, key);
	}
}

static void randomize(uint8_t *bytes, size_t size, uint64_t *random)
{
	for (size_t i = 0; i + 8 <= size; i += 8) {
		uint64_t word = next_random(random);

		if (word % 4 == 0)
			word = 7ull << 32 | (uint32_t)word; /* a tag that is asked for */
		memcpy(bytes + i, &word, 8);
	}
}

static void random_rows_do_no_harm(void **state)
{
	struct ledger *ledger = guarded_ledger(8, 8);
	uint64_t random = 9;

	(void)state;
	for (int i = 0; i < 5000; i++) {
		randomize(ledger->base + ledger->cursors_offset, ledger->size - ledger->cursors_offset, &random);
		use_everything(ledger, &random);
	}
}

static void random_heads_are_refused_or_harmless(void **state)
{
	struct ledger *ledger = guarded_ledger(8, 8), other;
	struct ledger_head *head = (void *)ledger->base, good = *head;
	size_t taken = 0, refused = 0;
	uint64_t random = 10;
	uint8_t boot_id[16];

	(void)state;
	host_boot_id(boot_id);
	for (int i = 0; i < 5000; i++) {
		uint64_t r = next_random(&random);

		*head = good;
		if (i % 4 == 0)
			randomize((uint8_t *)head, sizeof(*head), &random);
		else /* one field, and the sum right again */
			memset((uint8_t *)head + 8 + r % 8 * 8, (int)(r >> 32), 1 + (r >> 16) % 8);
		if (i % 4)
			head->sum = table_sum(0, head, offsetof(struct ledger_head, sum) / 8);
		if (ledger_attach(&other, head, ledger->size, boot_id) < 0) {
			refused++;
			continue;
		}
		taken++;
		use_everything(&other, &random);
	}
	assert_true(refused > 1000 && taken > 0);
}

static void what_is_too_short_or_of_another_boot_is_refused(void **state)
{
	struct ledger *ledger = guarded_ledger(8, 8), other;
	struct ledger_head *head = (void *)ledger->base;
	uint8_t boot_id[16];

	(void)state;
	host_boot_id(boot_id);
	assert_int_equal(ledger_attach(&other, ledger->base, ledger->size, boot_id), 0);
	for (size_t size = 0; size < ledger->size; size += 8) {
		struct guarded *g = guarded_new((size + 63) / 64 * 64);

		memcpy(g->bytes, ledger->base, size);
		assert_int_equal(ledger_attach(&other, g->bytes, size, boot_id), -EBADMSG);
	}
	boot_id[3] ^= 1;
	assert_int_equal(ledger_attach(&other, ledger->base, ledger->size, boot_id), -EBADMSG);
	memset(boot_id, 0, sizeof(boot_id)); /* no /proc */
	assert_int_equal(ledger_attach(&other, ledger->base, ledger->size, boot_id), 0);
	head->major++;
	assert_int_equal(ledger_attach(&other, ledger->base, ledger->size, boot_id), -EBADMSG);
	head->sum = table_sum(0, head, offsetof(struct ledger_head, sum) / 8);
	assert_int_equal(ledger_attach(&other, ledger->base, ledger->size, boot_id), -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_claim_counts_until_it_is_released),
		TEST(rows_and_tags_do_not_mix),
		TEST(a_slot_that_comes_back_counts_from_zero),
		TEST(a_claim_on_condition_fails_when_somebody_was_faster),
		TEST(counts_go_on_when_their_words_wrap),
		TEST(without_a_ledger_numbers_are_zero_and_nothing_is_kept),
		TEST(cursors_belong_to_their_tag),
		TEST(each_turn_is_taken_once_by_threads),
		TEST(each_turn_is_taken_once_by_processes),
		TEST(threads_that_race_for_places_stay_within_one),
		TEST(processes_killed_while_they_claim_leave_sane_numbers),
		TEST(random_rows_do_no_harm),
		TEST(random_heads_are_refused_or_harmless),
		TEST(what_is_too_short_or_of_another_boot_is_refused),
	};

	return RUN_TESTS(tests);
}
