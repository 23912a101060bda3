/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tables for tests: a spec put together from short texts, published by the real writer, and what a table answers to
 * every question that its spec allows, as one text. Where something cannot be made, the test fails. The tests are
 * TEST() ones.
 */
#ifndef FAIRDIAL_TESTS_TABLE_BUILDER_H
#define FAIRDIAL_TESTS_TABLE_BUILDER_H

#include <stdint.h>

#include "table/map.h"
#include "table/writer.h"

struct table_builder {
	struct spec spec;
	char **texts; /* everything that the spec points to */
	size_t text_count;
};

/* An empty spec, freed at the end of the test, or before by builder_free where a test makes many. */
struct table_builder *builder_new(void);
struct table_builder *builder_alloc(void);
void builder_free(struct table_builder *b);

/*
 * A Service "NAME" or "NAME.NAMESPACE", with the defaults of every policy key and no flags; `addresses` are separated
 * by spaces, NULL: none. What is returned may be changed, and holds until the next Service is added.
 */
struct spec_service *builder_service(struct table_builder *b, const char *name, const char *addresses);

/*
 * A port of the last Service. Endpoints are separated by spaces: "10.0.0.1:80", of weight 3 "10.0.0.1:80*3", not usable
 * "10.0.0.1:80!". What is returned holds until the next port of that Service.
 */
struct spec_port *builder_port(struct table_builder *b, uint16_t port, uint8_t protocol, const char *endpoints);
void builder_endpoint(struct spec_port *port, const struct addr *addr, uint16_t weight);

/* A copy of a text that lives as long as the spec. */
const char *builder_text(struct table_builder *b, const char *text);

/* The usual one: `web.shop`, TCP port 80 of 10.96.0.1, at these endpoints. */
struct table_builder *builder_web(const char *endpoints);

/* A writer of static tables, closed at the end of the test unless close_writer did. */
struct table_writer *open_writer(const char *dir);
struct table_writer *open_writer_with(const char *dir, const struct writer_options *options);
void close_writer(struct table_writer *writer);
void publish(struct table_writer *writer, const struct table_builder *b);

/* Publishes once, with a writer of its own. */
void publish_alone(const char *dir, const struct table_builder *b);

/* DIR/table, mapped as a shim maps it; unmapped at the end of the test. */
struct table *map_table(const char *dir);

/* Fails, with the checker's reason, where the table is not whole. */
void assert_whole(const struct table *table);

/* A view that is begun; the test fails where that cannot be. */
struct table_view view_of(const struct table *table);
uint64_t generation_of(const struct table *table);

struct addr addr_of(const char *text); /* "10.0.0.1:80" or "10.0.0.1" */

/* table_find_port of "10.96.0.1:80". */
int find_port(const struct table *table, const char *dest, uint8_t protocol);

/* The endpoints of that port, whole: "10.0.0.1:80 10.0.0.2:80*2"; NULL where none is found or its sum fails. To be
 * freed. */
char *endpoints_at(const struct table *table, const char *dest, uint8_t protocol);

/* The endpoints of one family of a port. */
int rows_of(const struct table_view *view, const struct table_port *port, bool v4, struct table_rows *ret_rows);

/* The row of an endpoint of that port; the test fails where it is not there. */
struct table_endpoint endpoint_at(const struct table *table, const char *dest, const char *endpoint);

/*
 * What the table answers: by each name of the spec its Service with its addresses, by each address and port its
 * endpoints with all that a dial needs, a line each. A question that gets no answer is a line "refused", an endpoint
 * that is refused that word. To be freed.
 */
char *port_answers(const struct table *table, const struct spec *spec);
char *name_answers(const struct table *table, const struct spec *spec);

/* port_answers without slots and tags, which differ between two writers, and with the texts: for comparing tables. */
char *plain_answers(const struct table *table, const struct spec *spec);

/* Whether each line of `now` is that of `before`, or it or words of it are "refused". */
bool same_or_refused(const char *before, const char *now);

/* The file's bytes end where touching the next one is fatal; so is the byte before them. Freed at the end of the test.
 */
struct guarded {
	uint8_t *bytes;
	size_t size, map_size;
	void *map;
};
struct guarded *guarded_new(size_t size);

/* Sums made right again after the bytes under them were changed. */
void repair_head(void *head);
void repair_area(void *area);

/* How many names a directory holds, hidden ones too, besides the lock of who publishes there. */
size_t files_in(const char *dir);

/* A reproducible sequence of numbers: xorshift64*. The state is never 0. */
uint64_t next_random(uint64_t *state);

#endif
