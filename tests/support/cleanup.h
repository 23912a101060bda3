/* SPDX-License-Identifier: Apache-2.0 */
/* What a test starts or makes is taken down at its end, also when an assertion cut it short: last made, first undone.
 */
#ifndef FAIRDIAL_TESTS_CLEANUP_H
#define FAIRDIAL_TESTS_CLEANUP_H

/* Calls `undo(what)` at the end of the test that runs. */
void after_test(void (*undo)(void *), void *what);

/* Closes it then. Fails the test where it is none; returns it. */
int close_after_test(int fd);

/* The teardown of every test that uses this folder. */
int end_of_test(void **state);

#define TEST(name) cmocka_unit_test_teardown(name, end_of_test)

#endif
