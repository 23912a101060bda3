/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernels and file systems that have less, or sandboxes: a filter of system calls answers for the kernel (seccomp(2)). For a child
 * that a test has forked, and for all that it starts; what cannot be set up ends it with status 125.
 */
#ifndef FAIRDIAL_TESTS_REFUSALS_H
#define FAIRDIAL_TESTS_REFUSALS_H

/* From now on the call fails with this errno. */
void refuse_call(unsigned number, unsigned error);

/* Only where the low half of that argument, 0 to 5, is `value`. */
void refuse_call_with(unsigned number, unsigned argument, unsigned value, unsigned error);

/* Forks a child for `what(arg)`; returns what that returned, 0 to 124. Skips the test where the child cannot be confined. */
int in_forked_child(int (*what)(void *), void *arg);

#endif
