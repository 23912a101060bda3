/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every test program includes: cmocka with the headers it wants first, and a main that runs one test by name
 * (`make test T=table N='*draining*'`). Names of tests are sentences.
 */
#ifndef FAIRDIAL_TESTS_TESTING_H
#define FAIRDIAL_TESTS_TESTING_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define RUN_TESTS(tests) (cmocka_set_test_filter(getenv("TEST_FILTER")), cmocka_run_group_tests(tests, NULL, NULL))

/* Skips the test that runs; the reason is printed, and shown by `make test`. */
#define skip_because(...)                                                                                            \
	do {                                                                                                         \
		printf("skip: %s: ", __func__);                                                                      \
		printf(__VA_ARGS__);                                                                                 \
		putchar('\n');                                                                                       \
		fflush(stdout);                                                                                      \
		skip();                                                                                              \
	} while (0)

#endif
