/* SPDX-License-Identifier: Apache-2.0 */
/* What dials teach of a backend: rows of failures, ejections, their end, and doubt. layout.h tells the protocol. */
#include "base/hash.h"
#include "ledger/ledger.h"
#include "ledger/words.h"

#define SUSPECT_AFTER_MS 10000
#define MAX_EJECTIONS	 20 /* in a row: 100 ms doubled as often is more than a day */
#define TRIAL		 1u /* the flag in a time */
#define LATE_MS		 1000 /* so long ago a dial may have read its clock when it looks at what others have written since */

/* ---- how long ---- */

static uint64_t longest_ms(const struct ledger_verdict *verdict)
{
	uint32_t max_ms = verdict->eject_max_ms;

	return max_ms && max_ms < LEDGER_MAX_EJECTION_MS ? max_ms : LEDGER_MAX_EJECTION_MS;
}

/* Whoever blocks tells of it when the kernel has given up, and the program's processor is free again. */
static uint64_t least_trial_ms(const struct ledger_verdict *verdict)
{
	return 2 * (uint64_t)verdict->handshake_ms;
}

uint32_t ledger_ejection_limit_ms(const struct ledger_verdict *verdict)
{
	uint64_t most = longest_ms(verdict);

	if (most < least_trial_ms(verdict))
		most = least_trial_ms(verdict);
	most += LATE_MS;
	return most < LEDGER_MAX_EJECTION_MS ? (uint32_t)most : LEDGER_MAX_EJECTION_MS;
}

/* The time of an ejection that `before` others go before in a row: so much that a tenth more is still not too long. */
static uint64_t middle_ms(const struct ledger_verdict *verdict, uint32_t before)
{
	uint64_t ms = (uint64_t)verdict->eject_for_ms << before, most = longest_ms(verdict) * 10 / 11;

	return ms < most ? ms : most;
}

/*
 * Within a tenth of it, as the row and the moment have it: what failed together, in this pod and others, does not return
 * together.
 */
static uint32_t ejection_ms(const struct ledger_verdict *verdict, uint32_t before, struct ledger_key key, uint64_t now_ms)
{
	uint64_t middle = middle_ms(verdict, before);
	uint64_t noise = hash_mix((uint64_t)key.slot << 32 | key.tag, now_ms);

	return (uint32_t)(middle - middle / 10) + hash_below(noise, (uint32_t)(middle / 5) + 1);
}

static uint32_t end_word(uint64_t until_ms, uint32_t flag)
{
	uint32_t ticks = ledger_ticks(until_ms) & ~TRIAL;

	return (ticks ? ticks : 2) | flag;
}

bool ledger_is_trial(uint32_t ejection)
{
	return ejection & TRIAL;
}

uint32_t ledger_left_ms(uint32_t ejection, uint64_t now_ms)
{
	return ejection ? time_left_ms(ejection, now_ms) : 0;
}

uint32_t ledger_overdue_ms(uint32_t ejection, uint64_t now_ms)
{
	uint32_t ticks = ledger_ticks(now_ms) - ejection;

	/* One further ahead than any may be is damage, and has been over for long. */
	if (!ejection || ledger_left_ms(ejection, now_ms))
		return 0;
	return ticks < UINT32_MAX >> LEDGER_TICK_SHIFT ? ticks << LEDGER_TICK_SHIFT : UINT32_MAX;
}

/* ---- how often ---- */

static uint32_t count_of(const struct ledger_row *row, uint32_t tag)
{
	uint32_t n = word_read(&row->ejections, tag) & 0xffff;

	return n < MAX_EJECTIONS ? n : MAX_EJECTIONS;
}

/*
 * Ejections in a row, as of a failure now: less what health has taken back since the last one, of which its own time out is
 * none. A failure in between that ejected nobody is taken to have been out too, which only makes it more.
 */
static uint32_t count_left(const struct ledger_row *row, uint32_t tag, const struct ledger_verdict *verdict, uint64_t now_ms)
{
	uint32_t n = count_of(row, tag), failure = word_read(&row->last_failure, tag);
	uint64_t since_ms = (uint64_t)age_of(failure, ledger_ticks(now_ms)) << LEDGER_TICK_SHIFT;

	if (n == 0 || !failure || word_read(&row->ejected_until, tag)) /* not back since */
		return n;
	since_ms -= since_ms < middle_ms(verdict, n - 1) ? since_ms : middle_ms(verdict, n - 1);
	for (; n && since_ms >= middle_ms(verdict, n - 1); n--)
		since_ms -= middle_ms(verdict, n - 1);
	return n;
}

/* Nobody is waited for any longer. Of two at once one counts: the next ejection is shorter than it might be. */
static void set_count(struct ledger_row *row, uint32_t tag, uint32_t n)
{
	if (word_read(&row->ejections, tag) != n)
		word_write(&row->ejections, tag, n);
}

/* ---- verdicts ---- */

static bool is_enough(uint32_t streak, const struct ledger_verdict *verdict)
{
	uint32_t refusals = streak >> 16, timeouts = streak & 0xffff;

	return (verdict->eject_after && refusals >= verdict->eject_after) ||
	       (verdict->eject_timeouts_after && timeouts >= verdict->eject_timeouts_after);
}

static uint32_t longer_streak(uint32_t streak, enum ledger_outcome outcome)
{
	uint32_t refusals = streak >> 16, timeouts = streak & 0xffff;

	if (outcome == OUTCOME_REFUSED && refusals < 0xffff)
		refusals++;
	if (outcome == OUTCOME_TIMED_OUT && timeouts < 0xffff)
		timeouts++;
	return refusals << 16 | timeouts;
}

static void note_ejection(const struct ledger *ledger, uint64_t until_ms)
{
	uint64_t *word = &((struct ledger_head *)ledger->base)->ejecting_until_ms;

	for (int i = 0; i < WORD_TRIES; i++) {
		uint64_t before = load_relaxed(word);

		if ((before >= until_ms && before - until_ms <= LEDGER_MAX_EJECTION_MS) || swap_if(word, before, until_ms))
			return;
	}
}

bool ledger_any_ejected(const struct ledger *ledger, uint64_t now_ms)
{
	uint64_t until_ms;

	if (!ledger->base)
		return false;
	until_ms = load_relaxed(&((const struct ledger_head *)ledger->base)->ejecting_until_ms);
	return until_ms >= now_ms && until_ms - now_ms <= LEDGER_MAX_EJECTION_MS + LATE_MS;
}

/*
 * Swaps `before` for a time to come. Released behind the note in the head, so that whoever sees the one sees the other. False
 * where somebody was faster: a verdict or a trial of the same moment.
 */
static bool put_out(const struct ledger *ledger, struct ledger_key key, uint64_t before, uint64_t until_ms, uint32_t flag)
{
	note_ejection(ledger, until_ms);
	return swap_if(&ledger_row(ledger, key)->ejected_until, before, word_make(key.tag, end_word(until_ms, flag)));
}

/* Whether a failure of a dial that knew `ejection` may be a verdict where the row has `now`: no later one has been spoken. */
static bool may_judge(uint32_t ejection, uint32_t now, const struct ledger_verdict *verdict, uint64_t now_ms)
{
	uint32_t left_ms = ledger_left_ms(now, now_ms);

	return !now || (now == ejection && (ledger_is_trial(now) || !left_ms || left_ms > ledger_ejection_limit_ms(verdict)));
}

static bool note_failure(const struct ledger *ledger, struct ledger_key key, uint32_t ejection, enum ledger_outcome outcome,
			 const struct ledger_verdict *verdict, uint64_t now_ms)
{
	struct ledger_row *row = ledger_row(ledger, key);
	uint64_t word = load_acquire(&row->ejected_until);
	uint32_t streak = longer_streak(word_read(&row->streak, key.tag), outcome);
	uint32_t n = count_left(row, key.tag, verdict, now_ms);

	word_count(&row->failures, key.tag, 1);
	word_write(&row->last_failure, key.tag, time_word(now_ms));
	/* Two at once may count as one: the next failure makes up for it. */
	word_write(&row->streak, key.tag, streak);
	if (!may_judge(ejection, word_value(word, key.tag), verdict, now_ms))
		return false;
	if (!is_enough(streak, verdict)) {
		set_count(row, key.tag, n);
		return false;
	}
	if (!put_out(ledger, key, word, now_ms + ejection_ms(verdict, n, key, now_ms), 0))
		return false;
	set_count(row, key.tag, n + 1);
	return true;
}

static void note_success(struct ledger_row *row, uint32_t tag, uint32_t ejection, uint64_t now_ms)
{
	uint64_t word = load_acquire(&row->ejected_until);
	uint32_t now = time_word(now_ms), until = word_value(word, tag), failure;

	/* A verdict came after that dial had begun. A trial came behind the verdict that the dial knew: no matter whose it is. */
	if (until && until != ejection && !(ejection && ledger_is_trial(until)))
		return;
	/* Written only where it changes something: the line stays shared while all is well. */
	if (until && !swap_if(&row->ejected_until, word, word_make(tag, 0)))
		return;
	if (word_read(&row->streak, tag)) {
		word_write(&row->streak, tag, 0);
		word_write(&row->seen, tag, 0); /* each of them has lengthened a streak */
	}
	if (word_read(&row->last_success, tag) != now)
		word_write(&row->last_success, tag, now);
	/* A failure that is yet to come, and by more than clocks are read late, is damage: it would be in doubt until then. */
	failure = word_read(&row->last_failure, tag);
	if (failure && (int32_t)(failure - now) > LATE_MS >> LEDGER_TICK_SHIFT)
		word_write(&row->last_failure, tag, now);
}

bool ledger_report_of(const struct ledger *ledger, struct ledger_key key, uint32_t ejection, enum ledger_outcome outcome,
		      const struct ledger_verdict *verdict, uint64_t now_ms)
{
	struct ledger_row *row = ledger_row(ledger, key);

	if (!row)
		return false;
	if (outcome != OUTCOME_SUCCESS)
		return note_failure(ledger, key, ejection, outcome, verdict, now_ms);
	note_success(row, key.tag, ejection, now_ms);
	return false;
}

bool ledger_report(const struct ledger *ledger, struct ledger_key key, enum ledger_outcome outcome,
		   const struct ledger_verdict *verdict, uint64_t now_ms)
{
	const struct ledger_row *row = ledger_row(ledger, key);

	return row && ledger_report_of(ledger, key, word_read(&row->ejected_until, key.tag), outcome, verdict, now_ms);
}

/* ---- trials ---- */

bool ledger_try(const struct ledger *ledger, struct ledger_key key, uint32_t *ejection, const struct ledger_verdict *verdict,
		uint64_t now_ms)
{
	const struct ledger_row *row = ledger_row(ledger, key);
	uint64_t ms;
	uint32_t n;

	if (!row || !*ejection)
		return true;
	n = count_of(row, key.tag);
	ms = ejection_ms(verdict, n ? n - 1 : 0, key, now_ms);
	if (ms < least_trial_ms(verdict))
		ms = least_trial_ms(verdict);
	if (!put_out(ledger, key, word_make(key.tag, *ejection), now_ms + ms, TRIAL))
		return false;
	*ejection = end_word(now_ms + ms, TRIAL);
	return true;
}

void ledger_await(const struct ledger *ledger, struct ledger_key key, uint16_t port_be)
{
	struct ledger_row *row = ledger_row(ledger, key);
	uint64_t before;

	if (!row || !port_be)
		return;
	before = load_relaxed(&row->ejections);
	/* If somebody was faster, that one's is as good. */
	swap_if(&row->ejections, before, word_make(key.tag, (uint32_t)port_be << 16 | (word_value(before, key.tag) & 0xffff)));
}

bool ledger_awaits(const struct ledger *ledger, struct ledger_key key, uint16_t port_be)
{
	const struct ledger_row *row = ledger_row(ledger, key);

	return row && port_be && word_read(&row->ejections, key.tag) >> 16 == port_be;
}

/* ---- doubt ---- */

bool ledger_suspect(const struct ledger *ledger, struct ledger_key key, uint64_t now_ms)
{
	const struct ledger_row *row = ledger_row(ledger, key);
	uint32_t now = ledger_ticks(now_ms), success;

	if (!row)
		return true;
	success = word_read(&row->last_success, key.tag);
	return !success || age_of(success, now) > SUSPECT_AFTER_MS >> LEDGER_TICK_SHIFT || ledger_doubted(ledger, key);
}

bool ledger_doubted(const struct ledger *ledger, struct ledger_key key)
{
	const struct ledger_row *row = ledger_row(ledger, key);
	uint32_t success, failure;

	if (!row)
		return false;
	success = word_read(&row->last_success, key.tag);
	failure = word_read(&row->last_failure, key.tag);
	/* Within one tick the streak tells, which a success ends. */
	return failure && (!success || (int32_t)(failure - success) > 0 || word_read(&row->streak, key.tag));
}

bool ledger_timed_out(const struct ledger *ledger, struct ledger_key key)
{
	const struct ledger_row *row = ledger_row(ledger, key);

	return row && (word_read(&row->streak, key.tag) & 0xffff);
}

uint32_t ledger_failure_age(const struct ledger *ledger, struct ledger_key key, uint64_t now_ms)
{
	const struct ledger_row *row = ledger_row(ledger, key);
	uint32_t failure = row ? word_read(&row->last_failure, key.tag) : 0;

	return failure ? age_of(failure, ledger_ticks(now_ms)) : UINT32_MAX;
}
