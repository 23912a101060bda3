/* SPDX-License-Identifier: Apache-2.0 */
/* The entry of a program that calls no C library's: start_at(stack) finds there argc, argv and the environment. */
#ifndef START_H
#define START_H

__attribute__((used, noreturn)) static void start_at(long *stack);

#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall start_at\n");
#elif defined(__aarch64__)
__asm__(".globl _start\n_start:\n\tmov x29, 0\n\tmov x0, sp\n\tbl start_at\n");
#endif

#endif
