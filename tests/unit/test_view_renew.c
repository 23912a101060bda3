/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot that is renewed says what one that is taken would say, and costs a look at the table's head where that is the same. */
#include "support/testing.h"

#include <errno.h>
#include <unistd.h>

#include "support/cleanup.h"
#include "support/ledgers.h"
#include "support/process.h"
#include "support/services.h"
#include "support/table_builder.h"
#include "view/snapshot.h"

static const struct trust *own_trust(void)
{
	static struct trust trust;

	trust = (struct trust){ .euid = geteuid(), .shim_uid = geteuid() };
	return &trust;
}

static void drop(void *snapshot)
{
	snapshot_free(snapshot);
}

static struct snapshot *take(const char *dir)
{
	static struct snapshot s;
	struct report why;

	assert_int_equal(snapshot_take(dir, own_trust(), NULL, &s, &why), 0);
	after_test(drop, &s);
	return &s;
}

static int renew(const char *dir, struct snapshot *s)
{
	struct report why = { "" };

	return snapshot_renew(dir, own_trust(), NULL, s, &why);
}

static void numbers_alone_are_read_again_while_the_table_is_the_same(void **state)
{
	const char *dir = scratch_dir();
	struct ledger ledger;
	struct snapshot_endpoint *e;
	struct snapshot *s;

	(void)state;
	publish_alone(dir, builder_web("127.0.0.1:1 127.0.0.2:1"));
	assert_int_equal(open_ledger(format("%s/ledger", dir), 64, LEDGER_MAKE, &ledger), 0);
	s = take(dir);
	e = &s->services[0].ports[0].endpoints[1];
	assert_int_equal(e->score.dials, 0);
	ledger_claim(&ledger, e->key);
	ledger_landed(&ledger, e->key);
	assert_int_equal(renew(dir, s), 0);
	assert_ptr_equal(&s->services[0].ports[0].endpoints[1], e);
	assert_int_equal(e->score.dials, 1);
	assert_int_equal(e->score.active, 0); /* mended: no such connection is open */
	assert_true(s->services[0].ports[0].evenness < 0.6);
	ledger_close(&ledger);
}

static void another_generation_and_another_file_are_taken_anew(void **state)
{
	const char *dir = scratch_dir();
	struct table_writer *writer = open_writer(dir);
	struct snapshot *s;

	(void)state;
	publish(writer, builder_web("10.0.0.1:80"));
	s = take(dir);
	publish(writer, builder_web("10.0.0.1:80 10.0.0.2:80"));
	assert_int_equal(renew(dir, s), 1);
	assert_int_equal(s->generation, 2);
	assert_int_equal(s->services[0].ports[0].endpoint_count, 2);
	assert_int_equal(s->backend_count, 2);
	assert_int_equal(renew(dir, s), 0);
	close_writer(writer);
	assert_int_equal(unlink(format("%s/table", dir)), 0);
	assert_int_equal(renew(dir, s), -ENOENT);
	assert_int_equal(s->services[0].ports[0].endpoint_count, 2);
	publish_alone(dir, builder_web("10.0.0.3:80"));
	assert_int_equal(renew(dir, s), 1);
	assert_int_equal(s->services[0].ports[0].endpoint_count, 1);
}

static void damage_leaves_what_was_known(void **state)
{
	const char *dir = scratch_dir();
	struct snapshot *s;

	(void)state;
	publish_alone(dir, builder_web("10.0.0.1:80"));
	s = take(dir);
	write_file(format("%s/table", dir), "nonsense", 8);
	assert_int_equal(renew(dir, s), -EBADMSG);
	assert_int_equal(s->service_count, 1);
	assert_string_equal(s->services[0].name, "web");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(numbers_alone_are_read_again_while_the_table_is_the_same),
		TEST(another_generation_and_another_file_are_taken_anew),
		TEST(damage_leaves_what_was_known),
	};

	return RUN_TESTS(tests);
}
