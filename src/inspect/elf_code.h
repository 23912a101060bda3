/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What instructions tell, of x86-64 and aarch64 code: which system calls it makes by itself, and how it loads objects. Hints:
 * nothing is disassembled, bytes that look like an instruction may be the middle of another or data, and a number or a flag that
 * comes from memory, from another function or from far away is not seen. Pure.
 */
#ifndef FAIRDIAL_INSPECT_ELF_CODE_H
#define FAIRDIAL_INSPECT_ELF_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CODE_NEAR = 32 }; /* bytes between what is set and the instruction that uses it, at most */

/* Whether the number of a system call is set just before the kernel is entered. `is_x86` or else aarch64. */
bool code_makes_call(bool is_x86, const uint8_t *code, size_t len, uint32_t number);

#define CODE_SLOTS 4
#define CODE_STUBS 8

/* Of x86-64 alone: the calls of one imported function. */
struct code_calls {
	uint64_t slots[CODE_SLOTS]; /* where the loader writes its address (DT_JMPREL, DT_RELA) */
	size_t slot_count;
	uint64_t stubs[CODE_STUBS]; /* code that jumps to what is in a slot (the PLT) */
	size_t stub_count;
};

/* Adds the stubs in some code, which lies at `address`. */
void code_find_stubs(struct code_calls *calls, const uint8_t *code, size_t len, uint64_t address);

/* Whether one of its calls has `bit` set in the constant that is its second argument. */
bool code_passes_bit(const struct code_calls *calls, const uint8_t *code, size_t len, uint64_t address, uint32_t bit);

#endif
