/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scenes for mending: listeners on loopback as backends, real sockets that dial them, and a list of backends that lets
 * a test do something at any moment of a mend. The tests are TEST() ones.
 */
#ifndef FAIRDIAL_TESTS_SCENES_H
#define FAIRDIAL_TESTS_SCENES_H

#include "ledger/mend.h"

enum { MAX_BACKENDS = 4, MAX_SOCKETS = 1500 };

struct backend {
	struct addr addr;
	struct ledger_key key;
	int listener;
};

/* The scene of a test; what happens at the `moment`th call of the list's callback is up to it. */
struct scene {
	struct ledger *ledger;
	struct backend backends[MAX_BACKENDS];
	uint32_t count;
	int sockets[MAX_SOCKETS];
	size_t socket_count;
	uint64_t now_ms;
	int calls, moment; /* moment -1: nothing happens */
	void (*happens)(struct scene *);
	bool silent; /* the list no longer answers */
};

/* With a ledger of its own; all of it is closed at the end of the test. */
struct scene *new_scene(void);

/* Listens; port 0: any. Skips the test where loopback has no IPv6. */
void add_backend(struct scene *s, const char *ip, uint16_t port, int backlog);

/* Dials without a word to the ledger. The socket's place in the scene. */
size_t dial_as(struct scene *s, uint32_t i, int family, int flags);

/* As the shim dials: claims, connects, lands. */
void dial(struct scene *s, uint32_t i, size_t n);

/* As programs close: nobody is told. */
void close_last(struct scene *s, size_t n);

/* A second later than the last one. */
int try_mend(struct scene *s);
void mend_once(struct scene *s);

uint32_t active_at(const struct scene *s, uint32_t i);

#endif
