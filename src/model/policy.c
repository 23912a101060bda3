/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy keys of a Service. All that differs between keys is in their rows; all that differs between forms of
 * values is in one parser and one printer a form.
 */
#include "model/policy.h"

#include <errno.h>
#include <string.h>

#include "base/duration.h"
#include "base/text.h"
#include "table/mode.h"

const char *const mode_names[] = { "on", "observe", "off", NULL };
const char *const balance_names[] = { "least_conn", "round_robin", "random", "p2c", "hash", NULL };
static const char *const headless_names[] = { "order", "address", NULL };
static const char *const drain_names[] = { "leave", "idle", "deadline", NULL };

_Static_assert(sizeof(mode_names) / sizeof(mode_names[0]) == MODE_COUNT + 1, "a name for each mode");
_Static_assert(sizeof(balance_names) / sizeof(balance_names[0]) == BALANCE_COUNT + 1, "a name for each balance");
_Static_assert(sizeof(headless_names) / sizeof(headless_names[0]) == HEADLESS_COUNT + 1, "a name for each headless");
_Static_assert(sizeof(drain_names) / sizeof(drain_names[0]) == DRAIN_COUNT + 1, "a name for each drain");

#define MS     1u
#define SECOND 1000u
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)

/* The kernel takes TCP_KEEPIDLE up to 32767 seconds. */
#define KEEPALIVE_MAX (32767 * SECOND)

#define FIELD(name) offsetof(struct table_policy, name), sizeof(((struct table_policy *)0)->name)

/* Origins are kept by position (struct table_policy): a new key goes to the end. */
const struct policy_key policy_keys[] = {
	{ "mode", FORM_MODE, mode_names, FIELD(mode), 0, 0, "on", false, "on, observe or off",
	  "spread dials; only count and explain; or leave them alone" },
	{ "balance", FORM_CHOICE, balance_names, FIELD(balance), 0, 0, "least_conn", false,
	  "least_conn, round_robin, random, p2c or hash", "how the next endpoint is chosen" },
	{ "attempts", FORM_NUMBER, NULL, FIELD(attempts), 1, 100, "3", false, "a number from 1 to 100",
	  "endpoints that may time out in one dial" },
	{ "connect_timeout", FORM_DURATION, NULL, FIELD(connect_timeout_ms), SECOND, 10 * MINUTE, "1500ms", false,
	  "a duration such as \"1500ms\", from 1s to 10m", "time for each attempt, on blocking sockets" },
	{ "eject_after", FORM_NUMBER, NULL, FIELD(eject_after), 1, 1000, "1", false, "a number from 1 to 1000",
	  "refusals in a row after which an endpoint is avoided" },
	{ "eject_timeouts_after", FORM_NUMBER, NULL, FIELD(eject_timeouts_after), 1, 1000, "2", false,
	  "a number from 1 to 1000", "timeouts in a row after which an endpoint is avoided" },
	{ "eject_for", FORM_DURATION, NULL, FIELD(eject_for_ms), 100 * MS, HOUR, "5s", false,
	  "a duration such as \"5s\", from 100ms to 1h", "how long an endpoint is first avoided; doubled each time" },
	{ "eject_max", FORM_DURATION, NULL, FIELD(eject_max_ms), 100 * MS, 24 * HOUR, "5m", false,
	  "a duration such as \"5m\", from 100ms to 24h", "the longest that an endpoint is avoided" },
	{ "eject_percent", FORM_NUMBER, NULL, FIELD(eject_percent), 0, 100, "50", false, "a number from 0 to 100",
	  "at most this share of the endpoints is avoided, else none" },
	{ "slow_start", FORM_DURATION_OR_OFF, NULL, FIELD(slow_start_ms), 1 * MS, 24 * HOUR, "0", false,
	  "a duration such as \"30s\", up to 24h, or \"0\"", "window in which a new endpoint's share grows" },
	{ "drain", FORM_DRAIN, drain_names, FIELD(drain), SECOND, 24 * HOUR, "leave", true,
	  "leave, idle or deadline:DURATION such as \"deadline:30s\", from 1s to 24h",
	  "connections to an endpoint that is terminating or gone" },
	{ "rebalance", FORM_DURATION_OR_OFF, NULL, FIELD(rebalance_ms), SECOND, 24 * HOUR, "off", true,
	  "\"off\", or a duration such as \"60s\", from 1s to 24h",
	  "window over which surplus connections move to endpoints that were added" },
	{ "max_age", FORM_DURATION_OR_OFF, NULL, FIELD(max_age_ms), SECOND, 480 * HOUR, "off", true,
	  "\"off\", or a duration such as \"1h\", from 1s to 480h", "age at which a quiet connection is closed" },
	{ "quiet", FORM_DURATION, NULL, FIELD(quiet_ms), 100 * MS, 24 * HOUR, "10s", false,
	  "a duration such as \"10s\", from 100ms to 24h",
	  "how long nothing must have moved on a connection before it may be closed" },
	{ "keepalive", FORM_DURATION_OR_OFF, NULL, FIELD(keepalive_ms), SECOND, KEEPALIVE_MAX, "off", false,
	  "\"off\", or a duration such as \"30s\", from 1s to 9h",
	  "idle time after which the kernel probes, if the program set none" },
	{ "headless", FORM_CHOICE, headless_names, FIELD(headless), 0, 0, "order", false, "order or address",
	  "names answer pod addresses in the order of the policy, or one address as for any other Service" },
};

#define KEYS (sizeof(policy_keys) / sizeof(policy_keys[0]))

const size_t policy_key_count = KEYS;

_Static_assert(KEYS * 4 <= 64, "struct table_policy keeps four bits of origin a key");

/* ---- the field of a key ---- */

static uint32_t value_of(const struct table_policy *policy, const struct policy_key *key)
{
	const char *at = (const char *)policy + key->offset;
	uint32_t u32;
	uint16_t u16;

	if (key->size == sizeof(u32)) {
		memcpy(&u32, at, sizeof(u32));
		return u32;
	}
	if (key->size == sizeof(u16)) {
		memcpy(&u16, at, sizeof(u16));
		return u16;
	}
	return *(const uint8_t *)at;
}

static void store(struct table_policy *policy, const struct policy_key *key, uint32_t value)
{
	char *at = (char *)policy + key->offset;
	uint16_t u16 = (uint16_t)value;
	uint8_t u8 = (uint8_t)value;

	if (key->size == sizeof(value))
		memcpy(at, &value, sizeof(value));
	else if (key->size == sizeof(u16))
		memcpy(at, &u16, sizeof(u16));
	else
		memcpy(at, &u8, sizeof(u8));
}

static unsigned origin_shift(const struct policy_key *key)
{
	return (unsigned)(key - policy_keys) * 4;
}

static void set_origin(struct table_policy *policy, const struct policy_key *key, enum policy_origin origin)
{
	policy->origin &= ~((uint64_t)15 << origin_shift(key));
	policy->origin |= (uint64_t)origin << origin_shift(key);
}

enum policy_origin policy_origin_of(const struct table_policy *policy, const struct policy_key *key)
{
	return (enum policy_origin)(policy->origin >> origin_shift(key) & 15);
}

/* ---- forms ---- */

static int in_range(const struct policy_key *key, uint32_t value)
{
	return value < key->min || value > key->max ? -ERANGE : 0;
}

static int parse_choice(const struct policy_key *key, struct slice text, struct table_policy *policy)
{
	for (uint32_t i = 0; key->choices[i]; i++) {
		if (slice_is(text, key->choices[i])) {
			store(policy, key, i);
			return 0;
		}
	}
	return -EINVAL;
}

/* A switch that turns more on than was meant, for a blank, is the worse mistake. */
static int parse_mode(const struct policy_key *key, struct slice text, struct table_policy *policy)
{
	for (uint32_t i = 0; key->choices[i]; i++) {
		if (mode_word_is(text, key->choices[i])) {
			store(policy, key, i);
			return 0;
		}
	}
	return -EINVAL;
}

static int parse_number(const struct policy_key *key, struct slice text, struct table_policy *policy)
{
	uint32_t value = 0;
	int err;

	if (text.len == 0)
		return -EINVAL;
	for (size_t i = 0; i < text.len; i++) {
		if (!text_is_digit(text.at[i]))
			return -EINVAL;
		if (value <= key->max) /* beyond it, more digits change nothing */
			value = value * 10 + (uint32_t)(text.at[i] - '0');
	}
	err = in_range(key, value);
	if (err == 0)
		store(policy, key, value);
	return err;
}

static int parse_duration(const struct policy_key *key, struct slice text, struct table_policy *policy)
{
	uint32_t ms;
	int err = duration_parse(text.at, text.len, &ms);

	if (err == 0)
		err = in_range(key, ms);
	if (err == 0)
		store(policy, key, ms);
	return err;
}

static int parse_duration_or_off(const struct policy_key *key, struct slice text, struct table_policy *policy)
{
	uint32_t ms;

	if (!slice_is(text, "off") && (duration_parse(text.at, text.len, &ms) < 0 || ms > 0))
		return parse_duration(key, text, policy);
	store(policy, key, 0);
	return 0;
}

static int parse_drain(const struct policy_key *key, struct slice text, struct table_policy *policy)
{
	struct slice rest = text, word = slice_cut(&rest, ':');
	uint32_t ms = 0;
	int err;

	if (slice_is(word, drain_names[DRAIN_DEADLINE]) != (rest.at != NULL))
		return -EINVAL;
	if (rest.at) {
		err = duration_parse(rest.at, rest.len, &ms);
		if (err == 0)
			err = in_range(key, ms);
		if (err < 0)
			return err;
	}
	err = parse_choice(key, word, policy);
	if (err == 0)
		policy->drain_deadline_ms = ms;
	return err;
}

static void print_choice(const struct policy_key *key, const struct table_policy *policy, struct text *out)
{
	uint32_t value = value_of(policy, key), i = 0;

	while (key->choices[i] && i < value)
		i++;
	text_add(out, key->choices[i] ? key->choices[i] : "?");
}

static void print_number(const struct policy_key *key, const struct table_policy *policy, struct text *out)
{
	text_add_number(out, value_of(policy, key), 10);
}

static void print_duration(const struct policy_key *key, const struct table_policy *policy, struct text *out)
{
	char buf[DURATION_TEXT];

	text_add(out, duration_print(value_of(policy, key), buf));
}

/* None is written as the key's default is, "off" or "0": of each of these keys that is none. */
static void print_duration_or_off(const struct policy_key *key, const struct table_policy *policy, struct text *out)
{
	if (value_of(policy, key))
		print_duration(key, policy, out);
	else
		text_add(out, key->preset);
}

static void print_drain(const struct policy_key *key, const struct table_policy *policy, struct text *out)
{
	char buf[DURATION_TEXT];

	print_choice(key, policy, out);
	if (policy->drain == DRAIN_DEADLINE) {
		text_add_char(out, ':');
		text_add(out, duration_print(policy->drain_deadline_ms, buf));
	}
}

static const struct form {
	int (*parse)(const struct policy_key *key, struct slice text, struct table_policy *policy);
	void (*print)(const struct policy_key *key, const struct table_policy *policy, struct text *out);
} forms[] = {
	[FORM_CHOICE] = { parse_choice, print_choice },
	[FORM_MODE] = { parse_mode, print_choice },
	[FORM_NUMBER] = { parse_number, print_number },
	[FORM_DURATION] = { parse_duration, print_duration },
	[FORM_DURATION_OR_OFF] = { parse_duration_or_off, print_duration_or_off },
	[FORM_DRAIN] = { parse_drain, print_drain },
};

/* ---- what callers see ---- */

const struct policy_key *policy_find(const char *name, size_t len)
{
	for (size_t i = 0; i < KEYS; i++)
		if (slice_is((struct slice){ name, len }, policy_keys[i].name))
			return &policy_keys[i];
	return NULL;
}

int policy_set(struct table_policy *policy, const struct policy_key *key, const char *text, size_t len,
	       enum policy_origin origin)
{
	int err = forms[key->form].parse(key, (struct slice){ text, len }, policy);

	if (err == 0)
		set_origin(policy, key, origin);
	return err;
}

void policy_misread(struct table_policy *policy, const struct policy_key *key)
{
	if (key->form == FORM_MODE)
		store(policy, key, MODE_OFF);
	set_origin(policy, key, ORIGIN_MISREAD);
}

struct table_policy policy_defaults(void)
{
	struct table_policy policy;

	memset(&policy, 0, sizeof(policy));
	for (size_t i = 0; i < KEYS; i++)
		policy_set(&policy, &policy_keys[i], policy_keys[i].preset, text_len(policy_keys[i].preset),
			   ORIGIN_DEFAULT);
	return policy;
}

void policy_take(struct table_policy *policy, const struct table_policy *from, const struct policy_key *key)
{
	store(policy, key, value_of(from, key));
	if (key->form == FORM_DRAIN)
		policy->drain_deadline_ms = from->drain_deadline_ms;
	set_origin(policy, key, policy_origin_of(from, key));
}

void policy_merge(struct table_policy *policy, const struct table_policy *from)
{
	for (size_t i = 0; i < KEYS; i++)
		if (policy_origin_of(from, &policy_keys[i]) > policy_origin_of(policy, &policy_keys[i]))
			policy_take(policy, from, &policy_keys[i]);
}

const char *policy_origin_name(enum policy_origin origin)
{
	static const char *const names[ORIGIN_COUNT] = {
		[ORIGIN_DEFAULT] = "default",
		[ORIGIN_ANNOTATION] = "annotation",
		[ORIGIN_FILE] = "file",
		[ORIGIN_ENVIRONMENT] = "environment",
		[ORIGIN_OPTION] = "option",
		[ORIGIN_MISREAD] = "annotation not understood",
	};

	return origin < ORIGIN_COUNT ? names[origin] : "?";
}

char *policy_print(const struct table_policy *policy, const struct policy_key *key, char buf[POLICY_TEXT])
{
	struct text out = text_into(buf, POLICY_TEXT);

	forms[key->form].print(key, policy, &out);
	return buf;
}
