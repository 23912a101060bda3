/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What only a writer with a defect makes: each row holds by its sum, and says what does not go together. The checker names it, each
 * thing by its own words. Damage that sums find is in test_table_damage.c.
 */
#include "support/testing.h"

#include <errno.h>
#include <stdbool.h>

#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"
#include "support/table_builder.h"
#include "table/image.h"

/* Writable, and as it was published: `web.shop` of two ports, then `zoo.shop`. */
struct forged {
	struct guarded *file;
	struct table table;
	struct table_area *area;
};

static struct forged forged(void)
{
	struct table_builder *b = builder_new();
	const char *dir = scratch_dir();
	struct forged f;
	size_t size;
	char *bytes;

	builder_service(b, "web.shop", "10.96.0.1");
	builder_port(b, 80, PROTOCOL_TCP, "10.0.0.1:80 10.0.0.2:80*2 [2001:db8::1]:80");
	builder_port(b, 81, PROTOCOL_TCP, "10.0.0.1:81");
	builder_service(b, "zoo.shop", "10.96.0.2");
	builder_port(b, 3306, PROTOCOL_TCP, "10.0.0.4:3306");
	publish_alone(dir, b);
	bytes = read_file(format("%s/table", dir), &size);
	f.file = guarded_new(size);
	memcpy(f.file->bytes, bytes, size);
	assert_int_equal(table_attach(&f.table, f.file->bytes, size), 0);
	assert_whole(&f.table);
	f.area = (void *)(f.file->bytes + f.table.area_offset[table_head(&f.table)->current & 1]);
	return f;
}

static void *row_at(const struct forged *f, int section, uint32_t i)
{
	const struct table_section *s = &f->area->section[section];

	assert_true(i < s->count);
	return (uint8_t *)f->area + s->offset + (size_t)i * s->stride;
}

/* ---- what is changed, and made to hold again ---- */

static struct table_endpoint *endpoint(const struct forged *f, uint32_t i)
{
	return row_at(f, SECTION_ENDPOINTS, i);
}

static void seal_endpoint(const struct forged *f, uint32_t i)
{
	endpoint(f, i)->check = table_endpoint_check(endpoint(f, i), i);
}

static struct table_port_row *port(const struct forged *f, uint32_t i)
{
	return row_at(f, SECTION_PORTS, i);
}

static struct table_service *service(const struct forged *f, uint32_t i)
{
	return row_at(f, SECTION_SERVICES, i);
}

static void seal_service(const struct forged *f, uint32_t i)
{
	struct table_service *row = service(f, i);

	row->sum = table_sum(i, (uint64_t *)row + 1, sizeof(*row) / 8 - 1);
	row->sum = table_sum(row->sum, row_at(f, SECTION_ADDRESSES, row->first_address),
			     row->address_count * sizeof(struct table_address) / 8);
}

/* ---- a defect each: of the second endpoint, the first port, the first Service ---- */

static void source_without_end(const struct forged *f)
{
	memset(f->area->source, 'x', sizeof(f->area->source));
}

static void unknown_mode_of_all(const struct forged *f)
{
	f->area->mode = MODE_COUNT;
}

static void rank_beyond_the_peers(const struct forged *f)
{
	f->area->client_peers = 2;
	f->area->client_rank = 2;
}

static void sections_that_overlap(const struct forged *f)
{
	f->area->section[SECTION_NAMES].offset = f->area->section[SECTION_KEYS].offset;
}

static void set_policy(const struct forged *f, void (*change)(struct table_policy *policy))
{
	change(&service(f, 0)->policy);
	seal_service(f, 0);
}

static void make_unknown(struct table_policy *policy)
{
	policy->balance = BALANCE_COUNT;
}

static void policy_of_another_version(const struct forged *f)
{
	set_policy(f, make_unknown);
}

static void make_too_much(struct table_policy *policy)
{
	policy->eject_percent = 101;
}

static void more_than_all_are_ejected(const struct forged *f)
{
	set_policy(f, make_too_much);
}

static void service_without_a_name(const struct forged *f)
{
	service(f, 0)->name[0] = '\0';
	seal_service(f, 0);
}

static void ports_of_another_service(const struct forged *f)
{
	service(f, 1)->first_port = 0;
	seal_service(f, 1);
}

static void service_that_is_not_found(const struct forged *f)
{
	service(f, 0)->name[0] = 'v';
	seal_service(f, 0);
}

static void bare_name_that_is_not_found(const struct forged *f)
{
	service(f, 0)->flags = SERVICE_BARE_NAME;
	seal_service(f, 0);
}

static void port_without_a_service(const struct forged *f)
{
	service(f, 1)->port_count = 0;
	seal_service(f, 1);
}

static void port_with_a_mind_of_its_own(const struct forged *f)
{
	port(f, 0)->port.affinity_s = 7;
	image_seal_port(port(f, 0), 0);
}

static void cursor_that_no_ledger_has(const struct forged *f)
{
	port(f, 0)->port.cursor = table_head(&f->table)->cursors;
	image_seal_port(port(f, 0), 0);
}

static void name_outside_the_texts(const struct forged *f)
{
	port(f, 0)->port.name = UINT32_MAX;
	image_seal_port(port(f, 0), 0);
}

static void endpoint_of_two_ports(const struct forged *f)
{
	port(f, 1)->port.first_endpoint = port(f, 0)->port.first_endpoint;
	image_seal_port(port(f, 1), 1);
}

static void family_out_of_place(const struct forged *f)
{
	port(f, 0)->port.v4_count = 1;
	port(f, 0)->port.v6_count = 2;
	image_seal_port(port(f, 0), 0);
}

static void tally_of_others(const struct forged *f)
{
	port(f, 0)->v4.usable++;
	image_seal_port(port(f, 0), 0);
}

static void endpoints_out_of_order(const struct forged *f)
{
	struct table_endpoint first = *endpoint(f, 0);

	*endpoint(f, 0) = *endpoint(f, 1);
	*endpoint(f, 1) = first;
	seal_endpoint(f, 0);
	seal_endpoint(f, 1);
}

static void slot_that_no_ledger_has(const struct forged *f)
{
	endpoint(f, 1)->slot = table_head(&f->table)->rows;
	seal_endpoint(f, 1);
}

static void tag_of_another_address(const struct forged *f)
{
	endpoint(f, 1)->tag = endpoint(f, 0)->tag;
	seal_endpoint(f, 1);
}

static void slot_of_another_address(const struct forged *f)
{
	endpoint(f, 1)->slot = endpoint(f, 0)->slot;
	seal_endpoint(f, 1);
}

static void endpoint_without_weight(const struct forged *f)
{
	endpoint(f, 1)->weight = 0;
	seal_endpoint(f, 1);
}

static void zone_outside_the_texts(const struct forged *f)
{
	endpoint(f, 1)->zone = UINT32_MAX;
	seal_endpoint(f, 1);
}

static const struct defect {
	void (*make)(const struct forged *f);
	const char *why;
} defects[] = {
	{ source_without_end, "the source is not terminated" },
	{ unknown_mode_of_all, "mode 3" },
	{ rank_beyond_the_peers, "client rank 2 of 2" },
	{ sections_that_overlap, "names: beyond the area, or inside another section" },
	{ policy_of_another_version, "a policy that is not known" },
	{ more_than_all_are_ejected, "eject_percent 101" },
	{ service_without_a_name, "service 0: name or state" },
	{ ports_of_another_service, "the ports of service zoo are not its own" },
	{ service_that_is_not_found, "service veb is not found by its name" },
	{ bare_name_that_is_not_found, "service web is not found by its bare name" },
	{ port_without_a_service, "ports without a service" },
	{ port_with_a_mind_of_its_own, "port 80 says other things than its service web" },
	{ cursor_that_no_ledger_has, "port 80 of service web: number, protocol or cursor" },
	{ name_outside_the_texts, "a text outside the strings" },
	{ endpoint_of_two_ports, "belongs to another port too" },
	{ family_out_of_place, "endpoints of service web are not in the order of families" },
	{ tally_of_others, "port 80 of service web does not add up to its endpoints" },
	{ endpoints_out_of_order, "endpoint 10.0.0.1:80 is out of order" },
	{ slot_that_no_ledger_has, "endpoint 10.0.0.2:80: slot" },
	{ tag_of_another_address, "endpoint 10.0.0.2:80: a tag of another" },
	{ slot_of_another_address, "endpoint 10.0.0.2:80 shares slot" },
	{ endpoint_without_weight, "endpoint 10.0.0.2:80: weight, port or family" },
	{ zone_outside_the_texts, "a text outside the strings" },
};

static void each_thing_that_does_not_go_together_is_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(defects) / sizeof(defects[0]); i++) {
		struct forged f = forged();
		char why[128] = "nothing";

		defects[i].make(&f);
		repair_area(f.area);
		assert_int_equal(table_check(&f.table, why, sizeof(why)), -EBADMSG);
		if (!strstr(why, defects[i].why))
			fail_msg("defect %zu: \"%s\" was expected, \"%s\" is said", i, defects[i].why, why);
	}
}

static void table_before_its_first_generation_says_so(void **state)
{
	struct forged f = forged();
	char why[128];

	(void)state;
	((struct table_head *)f.file->bytes)->current = 0;
	assert_int_equal(table_check(&f.table, why, sizeof(why)), -EBADMSG);
	assert_string_equal(why, "nothing is published yet");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_thing_that_does_not_go_together_is_named),
		TEST(table_before_its_first_generation_says_so),
	};

	return RUN_TESTS(tests);
}
