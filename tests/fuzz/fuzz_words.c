/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The small forms that people write in files, annotations and the environment: addresses, durations, policies, lists of Services,
 * base64; and how any text is shown. Which one, the first byte says. What is understood is printed so that it is understood again,
 * as the same.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "base/duration.h"
#include "base/service_list.h"
#include "fuzz/fuzz.h"
#include "inspect/processes.h"
#include "kube/base64.h"
#include "model/policy.h"
#include "table/mode.h"
#include "view/paint.h"

static void read_address(const char *text, size_t len)
{
	struct addr addr, again;
	char printed[ADDR_TEXT];

	if (addr_parse(text, len, &addr) == 0) {
		addr_print(&addr, printed);
		FUZZ_HOLDS(addr_parse(printed, strlen(printed), &again) == 0 && addr_equal(&addr, &again));
	}
	if (addr_parse_ip(text, len, &addr) == 0) {
		addr_print_ip(&addr, printed);
		FUZZ_HOLDS(addr_parse_ip(printed, strlen(printed), &again) == 0 && addr_equal(&addr, &again));
		FUZZ_HOLDS(addr_port(&addr) == 0 && addr.is_v4 == again.is_v4);
	}
}

static void read_duration(const char *text, size_t len)
{
	char printed[DURATION_TEXT];
	uint32_t ms, again;

	if (duration_parse(text, len, &ms) < 0)
		return;
	duration_print(ms, printed);
	FUZZ_HOLDS(duration_parse(printed, strlen(printed), &again) == 0 && again == ms);
}

/* What is refused changes nothing; a misread mode is off. */
static void read_policy(const char *text, size_t len, const struct policy_key *key)
{
	struct table_policy policy = policy_defaults(), before = policy, again = policy;
	char printed[POLICY_TEXT];

	if (policy_set(&policy, key, text, len, ORIGIN_ANNOTATION) < 0) {
		FUZZ_HOLDS(memcmp(&policy, &before, sizeof(policy)) == 0);
		policy_misread(&policy, key);
		FUZZ_HOLDS(policy_origin_of(&policy, key) == ORIGIN_MISREAD);
		FUZZ_HOLDS(key->form != FORM_MODE || policy.mode == MODE_OFF);
		return;
	}
	policy_print(&policy, key, printed);
	FUZZ_HOLDS(policy_origin_of(&policy, key) == ORIGIN_ANNOTATION);
	FUZZ_HOLDS(policy_set(&again, key, printed, strlen(printed), ORIGIN_ANNOTATION) == 0);
	FUZZ_HOLDS(memcmp(&policy, &again, sizeof(policy)) == 0);
}

/* "ONLY\0EXCEPT": a Service that both name is not spread, and one that neither names only where the first is empty. */
static void read_lists(const char *text, size_t len)
{
	struct slice rest = { text, len }, only = slice_cut(&rest, '\0'), except = rest;
	bool allowed = service_list_allow(only, except, slice_of("web"), slice_of("shop"));

	FUZZ_HOLDS(!(allowed && service_list_allow(only, only, slice_of("web"), slice_of("shop")) && slice_trim(only).len));
	FUZZ_HOLDS(service_list_allow((struct slice){ NULL, 0 }, (struct slice){ NULL, 0 }, slice_of("web"), slice_of("shop")));
	FUZZ_HOLDS(!allowed || service_list_allow(only, (struct slice){ NULL, 0 }, slice_of("web"), slice_of("shop")));
}

static char digit_of(unsigned bits)
{
	return "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[bits & 63];
}

/* Written again it is the same text, but for the white space. */
static void read_base64(const char *text, size_t len)
{
	const unsigned char *data;
	char group[5] = "";
	void *decoded;
	size_t size;

	if (base64_decode(text, len, &decoded, &size) < 0)
		return;
	data = decoded;
	FUZZ_HOLDS(data[size] == '\0' && size <= len / 4 * 3);
	for (size_t i = 0; i < size; i += 3) {
		unsigned bits = (unsigned)data[i] << 16 | (i + 1 < size ? (unsigned)data[i + 1] << 8 : 0) |
				(i + 2 < size ? data[i + 2] : 0u);

		group[0] = digit_of(bits >> 18);
		group[1] = digit_of(bits >> 12);
		group[2] = i + 1 < size ? digit_of(bits >> 6) : '=';
		group[3] = i + 2 < size ? digit_of(bits) : '=';
		for (size_t j = 0; j < 4; j++, text++, len--) {
			while (len && text_is_space(*text)) {
				text++;
				len--;
			}
			FUZZ_HOLDS(len && *text == group[j]);
		}
	}
	free(decoded);
}

static char *printed_plain(const char *text)
{
	char *shown = NULL;
	size_t size;
	FILE *out = open_memstream(&shown, &size);

	if (!out)
		abort();
	print_plain_to(out, text);
	if (fclose(out) != 0)
		abort();
	return shown;
}

/* Nothing that a terminal obeys, in one byte or in two; shown again it is the same; and JSON takes it. */
static void show(const char *bytes, size_t len)
{
	char *text = fuzz_copy(bytes, len, true), *once = printed_plain(text), *twice = printed_plain(once), first[64], shown[64];
	json_t *value = json_string(once);

	FUZZ_HOLDS(value && strcmp(once, twice) == 0);
	for (const unsigned char *at = (unsigned char *)once; *at; at++)
		FUZZ_HOLDS(*at >= ' ' && *at != 0x7f && !(at[0] == 0xc2 && at[1] < 0xa0));
	json_decref(value);
	text_show(first, sizeof(first), text);
	text_show(shown, sizeof(shown), first);
	FUZZ_HOLDS(strcmp(first, shown) == 0 && strlen(first) < sizeof(first));
	make_utf8(text);
	value = json_string(text);
	FUZZ_HOLDS(value);
	json_decref(value);
	free(text);
	free(once);
	free(twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	uint8_t what = (uint8_t)fuzz_number(&in, 1);
	char *text = fuzz_copy(in.at, in.left, false);
	bool understood;

	switch (what) {
	case 0: read_address(text, in.left); break;
	case 1: read_duration(text, in.left); break;
	case 2: read_lists(text, in.left); break;
	case 3: read_base64(text, in.left); break;
	case 4: FUZZ_HOLDS(mode_of_variable((struct slice){ text, in.left }, &understood) < MODE_COUNT); break;
	case 5: show(text, in.left); break;
	default:
		read_policy(text, in.left, &policy_keys[what % policy_key_count]);
		policy_find(text, in.left);
	}
	free(text);
	return 0;
}
