/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A scratch directory with a table that `fairdial publish` wrote, the environment in which a program sees it, and what
 * `fairdial status --json` says of it.
 */
#ifndef FAIRDIAL_TESTS_SERVICES_H
#define FAIRDIAL_TESTS_SERVICES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct backends;
struct place;
struct process;

/* An address of loopback where nobody listens: a dial that passes through is refused, and goes nowhere. */
#define SERVICE_ADDRESS "127.96.0.20"

struct services {
	char root[64]; /* holds all of it; removed when the test ends */
	char dir[96];  /* FAIRDIAL_DIR: table and ledger */
	char file[96]; /* services.json, as last published */
	char table[112], ledger[112];
	const char *env[3]; /* LD_PRELOAD and FAIRDIAL_DIR */
};

/* Makes the scratch directory; nothing is published yet. */
struct services *services_open(void);

/*
 * A services file's entry for `name`, with these endpoints; `address` NULL: none of its own; `more` is appended
 * ("\"balance\": \"p2c\"") unless NULL.
 */
char *service_entry(const char *name, const char *address, int port, const struct place *places, size_t count,
		    const char *more);

/* Publishes a services file of these entries; the test fails where the tool refuses. */
void services_publish(struct services *s, const char *entries);

/* The usual one: `web`, port 80 of SERVICE_ADDRESS, over the backends. `more` as above, or NULL. */
void services_publish_web(struct services *s, const struct backends *b, const char *more);
struct services *services_of_web(const struct backends *b, const char *more);

/* `web` at the address of the first backend, over the others: who answers tells whether a dial was passed through. */
void services_publish_at_first(struct services *s, const struct backends *b, const char *more);
struct services *services_at_first(const struct backends *b, const char *more);

/* Publishes a text as it stands, and tells how that went. */
struct process *services_try(struct services *s, const char *text);

struct endpoint_status {
	char address[48];
	int port;
	bool ready, terminating, ejected;
	long weight, active, dials, failures;
};

/* What status says of one endpoint of Service `name`; the test fails where it is not there. */
struct endpoint_status services_endpoint(struct services *s, const char *name, const char *address, int port);
struct endpoint_status services_backend(struct services *s, const char *name, const struct backends *b, size_t i);

/* The generation that is published; -1: none. */
long services_generation(struct services *s);

/* The whole of `status --json`; the test fails where that is no JSON. Freed at its end. */
struct json_t *services_status(struct services *s);

/* Fails unless status counts for each backend as many dials as it took connections. */
void assert_status_matches(struct services *s, const char *name, const struct backends *b);

/* A scratch directory of any kind: removed, with what is in it, when the test ends. All of them lie in one folder. */
char *scratch_dir(void);

/* A copy of a file under another name, in a folder of its own, which every user can reach. */
const char *copy_of(const char *file, const char *name, mode_t mode);
const char *scratch_base(void);
void write_file(const char *path, const void *bytes, size_t size);
char *read_file(const char *path, size_t *size);

#endif
