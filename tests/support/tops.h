/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots for the tests of `fairdial top`, made by hand, and what a frame of one shows as a text. The tests are TEST() ones. */
#ifndef FAIRDIAL_TESTS_TOPS_H
#define FAIRDIAL_TESTS_TOPS_H

#include <stddef.h>

#include "top/choices.h"

struct snapshot;

/*
 * "db.back" with one endpoint, and of "shop": "api" with two, "idle" with none, "web" with four, of which 10.0.0.2 is terminating
 * and serves, 10.0.0.3 is left out, and 10.0.0.4 ejected. Freed at the end of the test.
 */
struct snapshot *shop_snapshot(void);

/* "svc-00000.ns" and so on, a port with as many endpoints each. */
struct snapshot *big_snapshot(size_t services, size_t endpoints);

/*
 * Fails unless the frame's lines are these: "NAME PORTS | ENDPOINT ENDPOINT | NAME ...", "(none)" of one without. `choices` by
 * value, as they stand.
 */
void assert_lines(const struct snapshot *s, const struct choices choices, const char *lines);

/*
 * Fails unless Services stand in this order, and the endpoints of web (their last bytes) in the other; NULL: any. Rates are those
 * of shop_snapshot: api 9, web's 10.0.0.2 5 and its 10.0.0.1 2 a second, db 1.
 */
void assert_orders(struct snapshot *s, const struct choices choices, const char *services, const char *endpoints_of_web);

#endif
