/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Real servers to dial: MariaDB, PostgreSQL, Redis, RabbitMQ; each on an address of its own in 127.0.0.0/8, all on one port, with
 * data of their own in a scratch directory. Each knows itself as "backend-1" …:
 *
 *	MariaDB		select concat('backend-', @@server_id)
 *	PostgreSQL	show cluster_name
 *	Redis		get id
 *
 * but for RabbitMQ: that is one, with a listener at each address.
 */
#ifndef FAIRDIAL_TESTS_DATABASES_H
#define FAIRDIAL_TESTS_DATABASES_H

#include <stdbool.h>

#include "support/backends.h"

enum { DATABASES_MAX = 3 };

/* Each starts `count` servers, fills in where they listen, and returns when all answer; they end with the test. */
void start_mariadb(struct place *places, size_t count);
void start_postgres(struct place *places, size_t count);
void start_redis(struct place *places, size_t count);

/* Whoever connects may be guest, and do all. */
void start_rabbitmq(struct place *places, size_t count);

/* Whether anybody listens there now. */
bool place_answers(const struct place *place);

#endif
