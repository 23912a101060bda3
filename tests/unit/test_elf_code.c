/* SPDX-License-Identifier: Apache-2.0 */
/* What instructions tell: real ones, at each place, and bytes that only look alike; none is read beyond the end. */
#include "support/testing.h"

#include <stdbool.h>

#include "inspect/elf_code.h"
#include "support/cleanup.h"

enum { CONNECT = 42, DEEP = 8, AT = 0x1000, SLOT = 0x3000 };

/* A copy with nothing behind it: a reader beyond its end is caught where that is looked for (SAN=address). */
static uint8_t *copy_of(const void *bytes, size_t size)
{
	uint8_t *copy = malloc(size + !size);

	memcpy(copy, bytes, size);
	after_test(free, copy);
	return copy;
}

static void put_distance(uint8_t *end, uint64_t at, uint64_t target)
{
	int32_t distance = (int32_t)(target - at);

	memcpy(end - 4, &distance, 4);
}

/* At AT: a stub with a landing mark and a prefix; behind it mov $flags,%esi; lea …; call of the stub. */
struct code {
	uint8_t stub[11], pad[5], flags[5], lea[7], call[5], end[7];
};

static struct code code_with(uint32_t flags)
{
	struct code code = { .stub = { 0xf3, 0x0f, 0x1e, 0xfa, 0xf2, 0xff, 0x25 },
			     .flags = { 0xbe, (uint8_t)flags, (uint8_t)(flags >> 8) },
			     .lea = { 0x48, 0x8d, 0x3d },
			     .call = { 0xe8 } };

	put_distance(code.stub + 11, AT + 11, SLOT);
	put_distance(code.call + 5, AT + offsetof(struct code, end), AT);
	return code;
}

static bool is_deep(const uint8_t *bytes, size_t size)
{
	struct code_calls calls = { .slots = { SLOT }, .slot_count = 1 };

	code_find_stubs(&calls, bytes, size, AT);
	return code_passes_bit(&calls, bytes, size, AT, DEEP);
}

static void flag_of_a_call_is_found(void **state)
{
	struct code deep = code_with(0x9), also = code_with(0x10a), plain = code_with(0x102);

	(void)state;
	assert_true(is_deep((void *)&deep, sizeof(deep)));
	assert_true(is_deep((void *)&also, sizeof(also)));
	assert_false(is_deep((void *)&plain, sizeof(plain)));
}

static void call_of_another_is_not_taken(void **state)
{
	struct code code = code_with(0x9);

	(void)state;
	put_distance(code.stub + 11, AT + 11, SLOT + 8);
	assert_false(is_deep((void *)&code, sizeof(code)));
	code = code_with(0x9);
	put_distance(code.call + 5, AT + offsetof(struct code, end), AT + 16);
	assert_false(is_deep((void *)&code, sizeof(code)));
}

/* call *slot(%rip), as -fno-plt has it. */
static void call_through_the_slot_is_found(void **state)
{
	struct code code = code_with(0x9);

	(void)state;
	memset(code.stub, 0x90, sizeof(code.stub));
	memcpy(code.call, (uint8_t[]){ 0xff, 0x15 }, 2);
	put_distance((uint8_t *)&code + offsetof(struct code, call) + 6, AT + offsetof(struct code, call) + 6, SLOT);
	assert_true(is_deep((void *)&code, sizeof(code)));
}

static void last_flags_before_a_call_count(void **state)
{
	struct code code = code_with(0x9);

	(void)state;
	memcpy(code.lea, (uint8_t[]){ 0xbe, 0x02, 0, 0, 0, 0x90, 0x90 }, 7);
	assert_false(is_deep((void *)&code, sizeof(code)));
}

static void code_that_ends_anywhere_is_not_read_beyond(void **state)
{
	struct code code = code_with(0x9);
	const size_t needed = offsetof(struct code, end);

	(void)state;
	for (size_t size = 0; size <= sizeof(code); size++) {
		uint8_t *copy = copy_of(&code, size);

		assert_int_equal(is_deep(copy, size), size >= needed);
		code_makes_call(true, copy, size, CONNECT);
		code_makes_call(false, copy, size, CONNECT);
	}
}

static void number_of_a_system_call_is_found_near_it(void **state)
{
	static const uint8_t number[] = { 0xb8, CONNECT, 0, 0, 0 }, enter[] = { 0x0f, 0x05 };

	(void)state;
	for (size_t between = 0; between < 2 * CODE_NEAR; between++) {
		uint8_t code[5 + 2 * CODE_NEAR + 2];

		memset(code, 0x90, sizeof(code));
		memcpy(code, number, 5);
		memcpy(code + 5 + between, enter, 2);
		assert_int_equal(code_makes_call(true, copy_of(code, 5 + between + 2), 5 + between + 2, CONNECT),
				 5 + between <= CODE_NEAR);
		assert_false(code_makes_call(true, code, sizeof(code), CONNECT + 1));
	}
}

/* mov x8,#203 and mov w8,#203; svc #0. */
static void number_of_a_system_call_of_aarch64_is_found(void **state)
{
	static const uint32_t wide[] = { 0xd2801968, 0xd503201f, 0xd4000001 }, narrow[] = { 0x52801968, 0xd4000001 };
	uint32_t far[2 + CODE_NEAR] = { 0x52801968 };

	(void)state;
	assert_true(code_makes_call(false, (const uint8_t *)wide, sizeof(wide), 203));
	assert_true(code_makes_call(false, (const uint8_t *)narrow, sizeof(narrow), 203));
	assert_false(code_makes_call(false, (const uint8_t *)narrow, sizeof(narrow), 204));
	assert_false(code_makes_call(false, (const uint8_t *)(narrow + 1), 4, 203));
	far[1 + CODE_NEAR] = 0xd4000001;
	assert_false(code_makes_call(false, (const uint8_t *)far, sizeof(far), 203));
}

static void more_stubs_than_there_is_room_are_left_out(void **state)
{
	struct code_calls calls = { .slots = { SLOT }, .slot_count = 1 };
	uint8_t code[64 * 6];

	(void)state;
	for (size_t i = 0; i < 64; i++) {
		memcpy(code + 6 * i, (uint8_t[]){ 0xff, 0x25 }, 2);
		put_distance(code + 6 * i + 6, AT + 6 * i + 6, SLOT);
	}
	code_find_stubs(&calls, copy_of(code, sizeof(code)), sizeof(code), AT);
	assert_int_equal(calls.stub_count, CODE_STUBS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(flag_of_a_call_is_found),
		TEST(call_of_another_is_not_taken),
		TEST(call_through_the_slot_is_found),
		TEST(last_flags_before_a_call_count),
		TEST(code_that_ends_anywhere_is_not_read_beyond),
		TEST(number_of_a_system_call_is_found_near_it),
		TEST(number_of_a_system_call_of_aarch64_is_found),
		TEST(more_stubs_than_there_is_room_are_left_out),
	};

	return RUN_TESTS(tests);
}
