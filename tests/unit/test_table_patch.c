/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints replaced in place: the table is then what a whole publish makes of the same, and nothing else has moved. */
#include "support/testing.h"

#include <errno.h>
#include <sys/stat.h>
#include <time.h>

#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"
#include "support/table_builder.h"

static int patch(struct table_writer *writer, const struct spec *spec)
{
	struct report why = { "" };
	int r = writer_patch(writer, spec, &why);

	if (r < 0 && why.text[0] == '\0')
		fail_msg("a failure without a reason");
	return r;
}

static void assert_patched(struct table_writer *writer, const struct table_builder *b)
{
	struct report why = { "" };

	if (writer_patch(writer, &b->spec, &why) < 0)
		fail_msg("writer_patch: %s", why.text);
	assert_whole(writer_table(writer));
}

static void assert_endpoints(const struct table *table, const char *dest, const char *expected)
{
	char *text = endpoints_at(table, dest, PROTOCOL_TCP);

	assert_non_null(text);
	assert_string_equal(text, expected);
	free(text);
}

static uint64_t seq_of(const struct table *table, uint64_t area)
{
	return ((const struct table_area *)(table->base + table->area_offset[area]))->seq;
}

/* ---- one Service ---- */

static void a_patch_replaces_endpoints_and_leaves_the_rest(void **state)
{
	struct table_builder *b = builder_web("10.0.0.1:80 10.0.0.2:80");
	const char *dir = scratch_dir();
	struct table_writer *writer = open_writer(dir);
	struct table *table;
	struct table_area area;
	struct table_view view;

	(void)state;
	builder_service(b, "db.shop", "10.96.0.2");
	builder_port(b, 80, PROTOCOL_TCP, "10.0.0.9:3306");
	b->spec.mode = MODE_OBSERVE;
	b->spec.client_rank = 3;
	b->spec.client_peers = CLIENT_PEERS_UNKNOWN;
	b->spec.mesh_port = 15001;
	publish(writer, b);
	table = map_table(dir);
	assert_patched(writer, builder_web("10.0.0.2:80*3 10.0.0.3:80*6 [2001:db8::1]:80*3"));
	assert_endpoints(table, "10.96.0.1:80", "10.0.0.2:80 10.0.0.3:80*2 [2001:db8::1]:80");
	assert_endpoints(table, "10.96.0.2:80", "10.0.0.9:3306");
	view = view_of(table);
	assert_int_equal(table_area(&view, &area), 0);
	assert_int_equal(area.generation, 2);
	assert_int_equal(area.mode, MODE_OBSERVE);
	assert_int_equal(area.client_rank, 3);
	assert_true(area.client_peers == CLIENT_PEERS_UNKNOWN);
	assert_int_equal(area.mesh_port, 15001);
	assert_string_equal(area.source, "a test");
	assert_patched(writer, builder_web(""));
	assert_endpoints(table, "10.96.0.1:80", "");
	assert_patched(writer, builder_new()); /* of nothing: the same again */
	assert_int_equal(generation_of(table), 4);
	assert_patched(writer, builder_web("10.0.0.7:80"));
	assert_endpoints(table, "10.96.0.1:80", "10.0.0.7:80");
	assert_endpoints(table, "10.96.0.2:80", "10.0.0.9:3306");
	assert_int_equal(table_head(table)->retired, 0);
}

static void a_patch_vouches_for_the_list_as_a_publish_does(void **state)
{
	struct table_writer *writer = open_writer(scratch_dir());
	struct table_head *head;

	(void)state;
	publish(writer, builder_web("10.0.0.1:80"));
	head = (struct table_head *)writer_table(writer)->base;
	head->heartbeat_ms = 0;
	assert_patched(writer, builder_web("10.0.0.2:80"));
	assert_int_equal(head->heartbeat_ms, 0); /* who vouches for the list says so */
}

static void a_reading_across_two_patches_is_told(void **state)
{
	struct table_writer *writer = open_writer(scratch_dir());
	struct table_view view;

	(void)state;
	publish(writer, builder_web("10.0.0.1:80"));
	view = view_of(writer_table(writer));
	assert_patched(writer, builder_web("10.0.0.2:80"));
	assert_true(table_end(&view)); /* the other area was written */
	assert_patched(writer, builder_web("10.0.0.3:80"));
	assert_false(table_end(&view));
}

/* ---- what needs a whole publish ---- */

static void other_flags(struct spec_service *s)
{
	s->flags |= SERVICE_BARE_NAME;
}

static void other_stand_down(struct spec_service *s)
{
	s->stand_down = STAND_DOWN_MESH;
}

static void other_affinity(struct spec_service *s)
{
	s->affinity_s = 60;
}

static void other_policy(struct spec_service *s)
{
	s->policy.attempts++;
}

static void other_name(struct spec_service *s)
{
	s->name = "Web";
}

static void other_namespace(struct spec_service *s)
{
	s->namespace = "";
}

static void other_address(struct spec_service *s)
{
	((struct spec_address *)s->addresses)[0].addr = addr_of("10.96.0.9");
}

static void other_kind_of_address(struct spec_service *s)
{
	((struct spec_address *)s->addresses)[0].kind = ADDRESS_ALLOCATED;
}

static void no_address(struct spec_service *s)
{
	s->address_count = 0;
}

static void other_port(struct spec_service *s)
{
	s->ports[0].port = 81;
}

static void other_protocol(struct spec_service *s)
{
	s->ports[0].protocol = PROTOCOL_UDP;
}

static void named_port(struct spec_service *s)
{
	s->ports[0].name = "http";
}

static void other_app_protocol(struct spec_service *s)
{
	s->ports[0].app_protocol = "h2c";
}

static void what_differs_in_more_than_endpoints_needs_a_whole_publish(void **state)
{
	static void (*const changes[])(struct spec_service *) = {
		other_flags,	other_stand_down, other_affinity,	 other_policy, other_name, other_namespace,
		other_address,	no_address,	  other_kind_of_address, other_port,   other_protocol,
		named_port,	other_app_protocol,
	};
	struct table_writer *writer = open_writer(scratch_dir());
	struct table_builder *more = builder_web("10.0.0.2:80"), *absent = builder_web("10.0.0.2:80");

	(void)state;
	assert_int_equal(patch(writer, &more->spec), -ESTALE); /* before anything is published */
	publish(writer, builder_web("10.0.0.1:80"));
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		struct table_builder *b = builder_web("10.0.0.2:80");

		changes[i](&b->spec.services[0]);
		assert_int_equal(patch(writer, &b->spec), -ESTALE);
	}
	builder_port(more, 81, PROTOCOL_TCP, "10.0.0.2:80");
	assert_int_equal(patch(writer, &more->spec), -ESTALE);
	builder_service(absent, "zebra.shop", "10.96.0.3"); /* after one that could be patched */
	assert_int_equal(patch(writer, &absent->spec), -ESTALE);
	assert_endpoints(writer_table(writer), "10.96.0.1:80", "10.0.0.1:80");
	assert_int_equal(generation_of(writer_table(writer)), 1);
	assert_patched(writer, builder_web("10.0.0.2:80"));
	assert_endpoints(writer_table(writer), "10.96.0.1:80", "10.0.0.2:80");
}

static void what_breaks_the_rules_is_refused_and_changes_nothing(void **state)
{
	struct table_builder *twice = builder_web("10.0.0.2:80 10.0.0.2:80"), *doubled = builder_web("10.0.0.2:80");
	struct table_writer *writer = open_writer(scratch_dir());

	(void)state;
	publish(writer, builder_web("10.0.0.1:80"));
	assert_patched(writer, builder_web("10.0.0.1:80 10.0.0.3:80"));
	builder_service(doubled, "web.shop", "10.96.0.1");
	builder_port(doubled, 80, PROTOCOL_TCP, "10.0.0.3:80");
	assert_int_equal(patch(writer, &twice->spec), -EINVAL);
	assert_int_equal(patch(writer, &doubled->spec), -EINVAL);
	assert_endpoints(writer_table(writer), "10.96.0.1:80", "10.0.0.1:80 10.0.0.3:80");
	assert_patched(writer, builder_web("10.0.0.2:80"));
	assert_endpoints(writer_table(writer), "10.96.0.1:80", "10.0.0.2:80");
}

static struct table_builder *web_of(unsigned first, unsigned count)
{
	struct table_builder *b = builder_web("");

	for (unsigned i = first; i < first + count; i++) {
		struct addr addr = addr_of(format("10.1.%u.%u:80", i >> 8, i & 255));

		builder_endpoint(&b->spec.services[0].ports[0], &addr, 1);
	}
	return b;
}

static void endpoints_beyond_the_room_that_was_left_need_a_whole_publish(void **state)
{
	struct table_writer *writer = open_writer(scratch_dir());

	(void)state;
	publish(writer, web_of(0, 10));
	assert_int_equal(patch(writer, &web_of(0, 60)->spec), -ESTALE);
	publish(writer, web_of(0, 60));
	assert_patched(writer, web_of(0, 62));
}

static void endpoints_beyond_the_rows_of_the_ledger_need_a_whole_publish(void **state)
{
	struct table_writer *writer = open_writer(scratch_dir());
	uint32_t rows;

	(void)state;
	publish(writer, web_of(0, 10));
	rows = table_head(writer_table(writer))->rows;
	publish(writer, web_of(0, rows - 2));
	assert_int_equal(table_head(writer_table(writer))->rows, rows);
	assert_patched(writer, web_of(2, rows - 2)); /* two more, and two that went keep their rows */
	assert_int_equal(patch(writer, &web_of(3, rows - 2)->spec), -ESTALE);
	publish(writer, web_of(3, rows - 2));
	assert_whole(writer_table(writer));
}

static void texts_beyond_the_room_that_was_left_need_a_whole_publish(void **state)
{
	struct table_writer *writer = open_writer(scratch_dir());
	unsigned patched = 0;

	(void)state;
	publish(writer, builder_web("10.0.0.1:80"));
	for (;; patched++) {
		struct table_builder *b = builder_web("10.0.0.1:80");
		int r;

		b->spec.services[0].ports[0].endpoints[0].node = builder_text(b, format("a-node-of-some-name-%u", patched));
		r = patch(writer, &b->spec);
		if (r < 0) {
			assert_int_equal(r, -ESTALE);
			publish(writer, b);
			assert_patched(writer, b);
			break;
		}
		assert_whole(writer_table(writer));
	}
	assert_in_range(patched, 10, 10000);
}

static void the_same_text_is_stored_once(void **state)
{
	struct table_writer *writer = open_writer(scratch_dir());
	struct table_builder *b = web_of(0, 60);
	struct table_view view;

	(void)state;
	for (size_t i = 0; i < 60; i++) {
		struct spec_endpoint *endpoint = &b->spec.services[0].ports[0].endpoints[i];

		endpoint->zone = i % 2 ? "zone-b" : "zone-a";
		endpoint->node = i % 3 ? "node-of-two-thirds" : "node-of-one-third";
	}
	publish(writer, b);
	view = view_of(writer_table(writer));
	assert_in_range(table_count(&view, SECTION_STRINGS) * 8, 1, 64);
	assert_patched(writer, b);
	view = view_of(writer_table(writer));
	assert_in_range(table_count(&view, SECTION_STRINGS) * 8, 1, 64);
}

/* ---- the ledger's rows ---- */

static bool find(const struct table_writer *writer, const char *endpoint, uint32_t *slot, uint32_t *tag)
{
	struct addr addr = addr_of(endpoint);

	return writer_find_row(writer, &addr, slot, tag);
}

static void the_row_of_an_endpoint_is_found_while_a_service_has_it(void **state)
{
	struct table_builder *b = builder_web("10.0.0.1:80 10.0.0.2:80");
	const char *dir = scratch_dir();
	struct table_writer *writer = open_writer(dir);
	struct table_endpoint row;
	uint32_t slot, tag, again;

	(void)state;
	assert_false(find(writer, "10.0.0.1:80", &slot, &tag));
	builder_service(b, "also.shop", "10.96.0.2");
	builder_port(b, 80, PROTOCOL_TCP, "10.0.0.1:80");
	publish(writer, b);
	assert_true(find(writer, "10.0.0.1:80", &slot, &tag));
	row = endpoint_at(writer_table(writer), "10.96.0.2:80", "10.0.0.1:80");
	assert_int_equal(slot, row.slot);
	assert_int_equal(tag, row.tag);
	assert_false(find(writer, "10.0.0.1:81", &again, &tag));
	assert_patched(writer, builder_web("10.0.0.2:80"));
	assert_true(find(writer, "10.0.0.1:80", &again, &tag)); /* the other Service has it still */
	assert_int_equal(again, slot);
	publish(writer, builder_web("10.0.0.2:80"));
	assert_false(find(writer, "10.0.0.1:80", &again, &tag));
	assert_patched(writer, builder_web("10.0.0.1:80"));
	assert_true(find(writer, "10.0.0.1:80", &again, &tag)); /* back again, and with its row */
	assert_int_equal(again, slot);
	assert_false(find(writer, "10.0.0.2:80", &again, &tag));
	close_writer(writer);
	writer = open_writer(dir);
	assert_true(find(writer, "10.0.0.1:80", &again, &tag));
	assert_int_equal(again, slot);
	assert_false(find(writer, "10.0.0.2:80", &again, &tag));
}

/* ---- at random ---- */

enum { SERVICES = 12, PORTS = 2, MOST = 40, POOL = 300, STEPS = 400 };

/* What the table is to say, and what it said. */
struct world {
	uint64_t random;
	struct world_service {
		bool there;
		uint32_t affinity_s;
		unsigned count[PORTS];
		struct spec_endpoint endpoints[PORTS][MOST];
	} services[SERVICES];
	struct {
		bool there;
		uint32_t slot;
	} pool[POOL];
	unsigned patches, refused;
};

static const char *const texts[] = { NULL, "", "a", "node-1", "node-2", "ip-10-0-0-1.eu-central-1.compute.internal" };

static unsigned below(struct world *w, unsigned n)
{
	return (unsigned)(next_random(&w->random) >> 33) % n;
}

static struct addr pool_addr(unsigned at)
{
	struct addr addr = addr_of(at % 5 ? "10.1.0.0:80" : "[2001:db8::]:80");

	addr.ip[14] = (uint8_t)(at >> 8);
	addr.ip[15] = (uint8_t)at;
	return addr;
}

/* Of the pool, each once: a start and a stride that has no divisor with the pool's size. */
static void choose_endpoints(struct world *w, struct world_service *s, unsigned port)
{
	unsigned at = below(w, POOL), most = below(w, 4) ? 8 : MOST;

	s->count[port] = below(w, most + 1);
	for (unsigned i = 0; i < s->count[port]; i++, at = (at + 7) % POOL) {
		struct spec_endpoint *e = &s->endpoints[port][i];

		*e = (struct spec_endpoint){ .flags = ENDPOINT_READY | ENDPOINT_USABLE, .weight = (uint16_t)below(w, 5) };
		e->addr = pool_addr(at);
		e->zone = texts[below(w, sizeof(texts) / sizeof(texts[0]))];
		e->node = below(w, 3) ? texts[below(w, sizeof(texts) / sizeof(texts[0]))] : format("node-%u", below(w, 1000));
	}
}

static void change_endpoints(struct world *w, struct world_service *s)
{
	for (unsigned port = 0; port < PORTS; port++)
		if (below(w, 4))
			choose_endpoints(w, s, port);
}

/* The Services whose bit is set, as they are now. */
static struct table_builder *spec_of(const struct world *w, unsigned which)
{
	struct table_builder *b = builder_alloc();

	for (unsigned i = 0; i < SERVICES; i++) {
		const struct world_service *s = &w->services[i];

		if (!s->there || !(which & 1u << i))
			continue;
		builder_service(b, format("s%u.shop", i), format("10.96.0.%u fd00::%u", i, i))->affinity_s = s->affinity_s;
		for (unsigned port = 0; port < PORTS; port++) {
			struct spec_port *p = builder_port(b, (uint16_t)(80 + port), PROTOCOL_TCP, "");

			p->name = port ? "admin" : "http";
			for (unsigned k = 0; k < s->count[port]; k++) {
				builder_endpoint(p, &s->endpoints[port][k].addr, 1);
				p->endpoints[k] = s->endpoints[port][k];
			}
		}
	}
	return b;
}

static void assert_same_tables(const struct table *table, const struct table *reference, const struct spec *spec)
{
	char *is = plain_answers(table, spec), *wanted = plain_answers(reference, spec);
	char *names = name_answers(table, spec), *wanted_names = name_answers(reference, spec);

	assert_null(strstr(is, "refused"));
	assert_string_equal(is, wanted);
	assert_string_equal(names, wanted_names);
	free(is);
	free(wanted);
	free(names);
	free(wanted_names);
}

/* Rows are found, and stay with those who stay. */
static void assert_rows(struct world *w, const struct table_writer *writer)
{
	bool there[POOL] = { false };

	for (unsigned i = 0; i < SERVICES; i++)
		for (unsigned port = 0; w->services[i].there && port < PORTS; port++)
			for (unsigned k = 0; k < w->services[i].count[port]; k++) {
				const uint8_t *ip = w->services[i].endpoints[port][k].addr.ip;

				there[ip[14] * 256 + ip[15]] = true;
			}
	for (unsigned at = 0; at < POOL; at++) {
		struct addr addr = pool_addr(at);
		uint32_t slot, tag;

		assert_int_equal(writer_find_row(writer, &addr, &slot, &tag), there[at]);
		if (there[at] && w->pool[at].there)
			assert_int_equal(slot, w->pool[at].slot);
		w->pool[at].there = there[at];
		w->pool[at].slot = there[at] ? slot : 0;
	}
}

/* The areas of one file: the other one became current, and what was current is untouched. */
static void assert_turned(const struct table *table, uint64_t current, const uint64_t *seqs)
{
	uint64_t was = current & 1, is = table_head(table)->current & 1;

	assert_int_equal(is, !was);
	assert_int_equal(table_head(table)->current >> 1, (current >> 1) + 1);
	assert_true(seq_of(table, was) == seqs[was]);
	assert_true(seq_of(table, is) == seqs[is] + 2);
}

/* Changes some Services and patches; where that is refused, nothing has changed, and a whole publish follows. */
static void patch_some(struct world *w, struct table_writer *writer)
{
	uint64_t current = table_head(writer_table(writer))->current;
	uint64_t seqs[2] = { seq_of(writer_table(writer), 0), seq_of(writer_table(writer), 1) };
	unsigned which = 0;
	struct table_builder *b;
	int r;

	for (unsigned n = 1 + below(w, 4); n; n--)
		which |= 1u << below(w, SERVICES);
	for (unsigned i = 0; i < SERVICES; i++)
		if (which & 1u << i)
			change_endpoints(w, &w->services[i]);
	b = spec_of(w, which);
	r = patch(writer, &b->spec);
	builder_free(b);
	if (r == 0) {
		w->patches++;
		assert_turned(writer_table(writer), current, seqs);
		return;
	}
	assert_int_equal(r, -ESTALE);
	assert_true(table_head(writer_table(writer))->current == current);
	assert_true(seq_of(writer_table(writer), 0) == seqs[0] && seq_of(writer_table(writer), 1) == seqs[1]);
	w->refused++;
	b = spec_of(w, ~0u);
	publish(writer, b);
	builder_free(b);
}

static void publish_changed(struct world *w, struct table_writer *writer)
{
	struct world_service *s = &w->services[below(w, SERVICES)];
	struct table_builder *b;

	s->there = below(w, 3);
	s->affinity_s = below(w, 3);
	change_endpoints(w, s);
	b = spec_of(w, ~0u);
	publish(writer, b);
	builder_free(b);
}

static void patched_tables_equal_whole_ones(void **state)
{
	const char *dir = scratch_dir(), *seed = getenv("SEED");
	struct table_writer *writer = open_writer(dir), *reference = open_writer(scratch_dir());
	struct world *w = test_calloc(1, sizeof(*w));
	struct table_builder *b;

	(void)state;
	w->random = seed ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL);
	printf("SEED=%llu\n", (unsigned long long)w->random);
	w->random = w->random * 2 + 1;
	for (unsigned i = 0; i < SERVICES; i++) {
		w->services[i].there = true;
		change_endpoints(w, &w->services[i]);
	}
	publish_changed(w, writer);
	for (unsigned step = 0; step < STEPS; step++) {
		unsigned what = below(w, 20);

		if (what == 0)
			publish_changed(w, writer);
		else
			patch_some(w, writer);
		if (what == 1) { /* another writer goes on */
			close_writer(writer);
			writer = open_writer(dir);
		}
		assert_whole(writer_table(writer));
		b = spec_of(w, ~0u);
		publish(reference, b);
		assert_same_tables(writer_table(writer), writer_table(reference), &b->spec);
		builder_free(b);
		assert_rows(w, writer);
	}
	assert_true(w->patches > STEPS / 4);
	assert_true(w->refused > 0);
	test_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_patch_replaces_endpoints_and_leaves_the_rest),
		TEST(a_patch_vouches_for_the_list_as_a_publish_does),
		TEST(a_reading_across_two_patches_is_told),
		TEST(what_differs_in_more_than_endpoints_needs_a_whole_publish),
		TEST(what_breaks_the_rules_is_refused_and_changes_nothing),
		TEST(endpoints_beyond_the_room_that_was_left_need_a_whole_publish),
		TEST(endpoints_beyond_the_rows_of_the_ledger_need_a_whole_publish),
		TEST(texts_beyond_the_room_that_was_left_need_a_whole_publish),
		TEST(the_same_text_is_stored_once),
		TEST(the_row_of_an_endpoint_is_found_while_a_service_has_it),
		TEST(patched_tables_equal_whole_ones),
	};

	return RUN_TESTS(tests);
}
