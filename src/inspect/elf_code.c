/* SPDX-License-Identifier: Apache-2.0 */
#include "inspect/elf_code.h"

#include <string.h>

/* ---- system calls ---- */

/* x86-64: mov $42,%eax … syscall; what programs compiled from C have. Go sets the number elsewhere. */
static bool calls_x86(const uint8_t *code, size_t len, uint32_t call)
{
	static const uint8_t enter[] = { 0x0f, 0x05 };
	const uint8_t number[] = { 0xb8, (uint8_t)call, (uint8_t)(call >> 8), 0, 0 };

	for (const uint8_t *at = code; (at = memmem(at, len - (size_t)(at - code), enter, sizeof(enter))); at++) {
		size_t before = (size_t)(at - code) < CODE_NEAR ? (size_t)(at - code) : CODE_NEAR;

		if (memmem(at - before, before, number, sizeof(number)))
			return true;
	}
	return false;
}

/* aarch64: mov x8 or w8,#203 … svc #0. */
static bool calls_arm(const uint8_t *code, size_t len, uint32_t call)
{
	size_t since = CODE_NEAR + 4;

	for (size_t at = 0; at + 4 <= len; at += 4) {
		uint32_t word;

		memcpy(&word, code + at, sizeof(word));
		since = (word & 0x7fffffffu) == (0x52800008u | call << 5) ? 0 : since + 4;
		if (word == 0xd4000001u && since <= CODE_NEAR)
			return true;
	}
	return false;
}

bool code_makes_call(bool is_x86, const uint8_t *code, size_t len, uint32_t number)
{
	return is_x86 ? calls_x86(code, len, number) : calls_arm(code, len, number);
}

/* ---- calls of an imported function ---- */

/* Where an instruction that ends at `end` leads, by the 32 bits before that. */
static uint64_t target_of(const uint8_t *end, uint64_t address)
{
	int32_t distance;

	memcpy(&distance, end - sizeof(distance), sizeof(distance));
	return address + (uint64_t)(int64_t)distance;
}

static bool is_among(const uint64_t *addresses, size_t count, uint64_t address)
{
	for (size_t i = 0; i < count; i++)
		if (addresses[i] == address)
			return true;
	return false;
}

/* jmp *slot(%rip), which may have a prefix, and before it a landing mark (endbr64): a call leads to the first of these. */
void code_find_stubs(struct code_calls *calls, const uint8_t *code, size_t len, uint64_t address)
{
	static const uint8_t mark[] = { 0xf3, 0x0f, 0x1e, 0xfa };

	for (size_t at = 0; at + 6 <= len && calls->stub_count < CODE_STUBS; at++) {
		size_t begin = at;

		if (code[at] != 0xff || code[at + 1] != 0x25 ||
		    !is_among(calls->slots, calls->slot_count, target_of(code + at + 6, address + at + 6)))
			continue;
		if (begin >= 1 && code[begin - 1] == 0xf2)
			begin--;
		if (begin >= sizeof(mark) && memcmp(code + begin - sizeof(mark), mark, sizeof(mark)) == 0)
			begin -= sizeof(mark);
		if (!is_among(calls->stubs, calls->stub_count, address + begin))
			calls->stubs[calls->stub_count++] = address + begin;
	}
}

/* call or jmp of a stub; call *slot(%rip). */
static bool is_call(const struct code_calls *calls, const uint8_t *at, size_t left, uint64_t address)
{
	if (left >= 5 && (at[0] == 0xe8 || at[0] == 0xe9) &&
	    is_among(calls->stubs, calls->stub_count, target_of(at + 5, address + 5)))
		return true;
	return left >= 6 && at[0] == 0xff && at[1] == 0x15 &&
	       is_among(calls->slots, calls->slot_count, target_of(at + 6, address + 6));
}

/* mov $flags,%esi: the last one before the call. */
static bool sets_bit_before(const uint8_t *code, size_t at, uint32_t bit)
{
	size_t first = at > CODE_NEAR ? at - CODE_NEAR : 0;

	for (size_t i = at; i-- > first;) {
		uint32_t flags;

		if (code[i] != 0xbe || at - i < 5)
			continue;
		memcpy(&flags, code + i + 1, sizeof(flags));
		if (flags < 1u << 16) /* else it is the middle of something */
			return flags & bit;
	}
	return false;
}

bool code_passes_bit(const struct code_calls *calls, const uint8_t *code, size_t len, uint64_t address, uint32_t bit)
{
	for (size_t at = 0; at < len; at++)
		if (is_call(calls, code + at, len - at, address + at) && sets_bit_before(code, at, bit))
			return true;
	return false;
}
