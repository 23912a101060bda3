/* SPDX-License-Identifier: Apache-2.0 */
/* Why a process or a connection is not spread: each reason from the facts that make it, and which of two goes first. */
#include "support/testing.h"

#include <elf.h>
#include <unistd.h>

#include "inspect/why.h"
#include "support/cleanup.h"

/* Seconds after the boot. */
enum { EARLY_MS = 100000, INSTALLED_MS = 200000, LATE_MS = 300000 };

static const struct elf_kind dynamic = { .is_64 = true, .machine = EM_X86_64, .linkage = ELF_DYNAMIC };

/* One whose dials are spread. */
static struct process_seen covered(void)
{
	return (struct process_seen){
		.pid = 42,
		.start_ms = LATE_MS,
		.has_kind = true,
		.kind = dynamic,
		.is_loaded = true,
		.environment = { .is_known = true, .names_shim = true },
		.table = TABLE_SAME,
	};
}

/* One that could be, and is not: its LD_PRELOAD leads to a file that is there. */
static struct process_seen not_loaded(void)
{
	struct process_seen p = covered();

	p.is_loaded = false;
	p.table = TABLE_UNTOLD;
	p.shim = (struct shim_file){ .presence = SHIM_THERE, .has_kind = true, .kind = dynamic, .placed_ms = INSTALLED_MS };
	return p;
}

static struct process_seen without_preload(void)
{
	struct process_seen p = not_loaded();

	p.environment.names_shim = false;
	return p;
}

static const struct why_service web = { .name = "web", .namespace = "shop", .has_endpoint = true };

static void assert_process(const struct process_seen *p, const char *name)
{
	assert_string_equal(why_row(why_process(p))->name, name);
	/* And that is also why its connection went another way, if the Service is not to blame. */
	if (strcmp(name, "covered") != 0)
		assert_string_equal(why_row(why_connection(p, &web))->name, name);
}

static void assert_connection(const struct process_seen *p, const struct why_service *s, const char *name)
{
	assert_string_equal(why_row(why_connection(p, s))->name, name);
}

/* ---- the rows ---- */

static void each_reason_has_a_name_of_its_own_a_text_and_a_remedy(void **state)
{
	(void)state;
	for (enum why i = 0; i < WHY_COUNT; i++) {
		const struct why_row *row = why_row(i);

		assert_non_null(row->name);
		assert_true(strspn(row->name, "abcdefghijklmnopqrstuvwxyz-") == strlen(row->name));
		assert_true(strlen(row->text) > 10);
		assert_int_equal(row->remedy == NULL, i == WHY_COVERED);
		assert_null(strchr(row->text, '\n'));
		for (enum why j = 0; j < i; j++)
			assert_string_not_equal(row->name, why_row(j)->name);
	}
}

/* ---- processes ---- */

static void process_with_the_shim_is_covered(void **state)
{
	struct process_seen p = covered();

	(void)state;
	assert_process(&p, "covered");
	p.table = TABLE_UNTOLD;
	assert_process(&p, "covered");
}

/* A program that writes its title over its environment hides LD_PRELOAD; through /etc/ld.so.preload there is none. */
static void mapping_says_more_than_the_environment(void **state)
{
	struct process_seen p = covered();

	(void)state;
	p.environment.names_shim = false;
	assert_process(&p, "covered");
}

static void static_program_is_named(void **state)
{
	struct process_seen p = not_loaded();

	(void)state;
	p.kind.linkage = ELF_STATIC;
	assert_process(&p, "static");
	p.kind.linkage = ELF_STATIC_PIE;
	assert_process(&p, "static");
}

/* A loader that runs a program by itself has no loader either. */
static void loader_that_runs_a_program_is_not_called_static(void **state)
{
	struct process_seen p = not_loaded();

	(void)state;
	p.kind.linkage = ELF_LIBRARY;
	assert_process(&p, "not-loaded");
	p.is_loaded = true;
	assert_process(&p, "covered");
}

static void go_program_is_named_however_it_is_linked(void **state)
{
	struct process_seen p = not_loaded();

	(void)state;
	p.kind.is_go = true;
	assert_process(&p, "go");
	p.kind.linkage = ELF_STATIC;
	assert_process(&p, "go");
	p = covered();
	p.kind.is_go = true;
	assert_process(&p, "go");
}

static void privileged_program_is_named_also_where_the_shim_is_in_it(void **state)
{
	struct process_seen p = not_loaded();

	(void)state;
	p.is_privileged = true;
	assert_process(&p, "privileged");
	p = covered();
	p.is_privileged = true;
	assert_process(&p, "privileged");
}

static void program_of_another_machine_is_named(void **state)
{
	struct process_seen p = not_loaded();

	(void)state;
	p.kind.machine = EM_AARCH64;
	assert_process(&p, "other-machine");
	p = without_preload();
	p.kind.machine = EM_386;
	p.kind.is_64 = false;
	assert_process(&p, "other-machine");
	p.shim.has_kind = false; /* of which there is nothing to compare with */
	assert_process(&p, "preload-never");
}

static void process_that_is_older_than_the_shim_is_named(void **state)
{
	struct process_seen with = not_loaded(), without = without_preload();

	(void)state;
	with.start_ms = without.start_ms = EARLY_MS;
	assert_process(&with, "started-before-install");
	assert_process(&without, "started-before-install");
	with.shim.presence = SHIM_MISSING;
	assert_process(&with, "no-file");
}

/* Both times are of a tick's precision: within two, nothing is said. */
static void process_as_old_as_the_shim_is_not_called_older(void **state)
{
	struct process_seen p = without_preload();
	uint64_t tick_ms = 1000 / (uint64_t)sysconf(_SC_CLK_TCK);

	(void)state;
	p.start_ms = INSTALLED_MS - 2 * tick_ms;
	assert_process(&p, "started-before-install");
	p.start_ms++;
	assert_process(&p, "preload-never");
	p.start_ms = INSTALLED_MS;
	assert_process(&p, "preload-never");
}

static void process_that_lost_its_environment_is_told_from_one_that_never_had_it(void **state)
{
	struct process_seen p = without_preload();

	(void)state;
	assert_process(&p, "preload-never");
	p.inherits = true;
	assert_process(&p, "preload-lost");
}

static void shim_that_is_not_there_is_named(void **state)
{
	struct process_seen p = not_loaded();

	(void)state;
	p.shim = (struct shim_file){ .presence = SHIM_MISSING };
	assert_process(&p, "no-file");
}

static void shim_on_a_mount_without_execution_is_named(void **state)
{
	struct process_seen p = not_loaded();

	(void)state;
	p.shim.is_noexec = true;
	assert_process(&p, "noexec");
}

static void shim_that_the_loader_did_not_take_is_named(void **state)
{
	struct process_seen p = not_loaded();

	(void)state;
	assert_process(&p, "not-loaded");
	p.shim.presence = SHIM_UNTOLD;
	assert_process(&p, "not-loaded");
}

static void process_that_is_switched_off_or_observes_is_named(void **state)
{
	struct process_seen p = covered();

	(void)state;
	p.environment.mode = MODE_OFF;
	assert_process(&p, "off");
	p.environment.mode = MODE_OBSERVE;
	assert_process(&p, "observe");
}

static void process_of_another_table_or_none_is_named(void **state)
{
	struct process_seen p = covered();

	(void)state;
	p.table = TABLE_OTHER;
	assert_process(&p, "other-table");
	p.table = TABLE_NONE;
	assert_process(&p, "no-table");
}

static void process_of_another_user_is_hidden(void **state)
{
	struct process_seen p = { .pid = 42, .is_hidden = true },
			    without_environment = { .pid = 43, .has_kind = true, .kind = dynamic };

	(void)state;
	assert_process(&p, "hidden");
	assert_process(&without_environment, "hidden");
}

/* ---- connections ---- */

static void connection_that_nobody_is_seen_to_hold_is_named(void **state)
{
	(void)state;
	assert_connection(NULL, &web, "not-seen");
}

static void service_that_stands_down_is_named_before_any_process(void **state)
{
	struct process_seen spread = covered(), fixed = not_loaded();
	struct why_service s = web;

	(void)state;
	fixed.kind.linkage = ELF_STATIC;
	s.stands_down = true;
	assert_connection(&spread, &s, "stands-down");
	assert_connection(&fixed, &s, "stands-down");
	assert_connection(NULL, &s, "stands-down");
}

/* Before the mode is changed it can be seen who would be missed. */
static void what_a_process_lacks_is_named_before_a_mode(void **state)
{
	static const struct {
		uint8_t mode;
		const char *name;
	} modes[] = { { MODE_OBSERVE, "service-observe" }, { MODE_OFF, "service-off" } };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct process_seen spread = covered(), fixed = not_loaded(), without = without_preload();
		struct process_seen elsewhere = covered(), choosy = covered(), observing = covered(), off = covered();
		struct why_service s = web, empty = web;

		s.mode = empty.mode = modes[i].mode;
		empty.has_endpoint = false;
		fixed.kind.linkage = ELF_STATIC;
		elsewhere.table = TABLE_OTHER;
		elsewhere.environment.mode = MODE_OBSERVE;
		choosy.environment.except = "web";
		observing.environment.mode = MODE_OBSERVE;
		off.environment.mode = MODE_OFF;
		assert_connection(NULL, &s, "not-seen");
		assert_connection(&fixed, &s, "static");
		assert_connection(&without, &s, "preload-never");
		assert_connection(&elsewhere, &s, "other-table");
		assert_connection(&off, &s, "off");
		assert_connection(&choosy, &s, "left-out");
		assert_connection(&spread, &empty, "no-endpoint");
		assert_connection(&spread, &s, modes[i].name);
		assert_connection(&observing, &s, modes[i].name);
		assert_connection(&observing, &web, "observe");
	}
}

static void mode_alone_is_told_from_other_reasons(void **state)
{
	size_t n = 0;

	(void)state;
	for (enum why i = 0; i < WHY_COUNT; i++)
		n += why_is_mode(i);
	assert_int_equal(n, 3);
	assert_true(why_is_mode(WHY_SERVICE_OFF) && why_is_mode(WHY_SERVICE_OBSERVED) && why_is_mode(WHY_OBSERVES));
}

static void process_that_leaves_all_out_is_not_covered(void **state)
{
	struct process_seen p = covered(), lost = without_preload();

	(void)state;
	p.leaves_all_out = lost.leaves_all_out = true;
	assert_process(&p, "left-out");
	p.environment.mode = MODE_OBSERVE;
	assert_process(&p, "left-out");
	assert_process(&lost, "preload-never");
}

static void service_that_the_process_leaves_out_is_named(void **state)
{
	struct process_seen p = covered();
	struct why_service other = web;

	(void)state;
	other.name = "mysql";
	p.environment.except = "web.shop, redis";
	assert_connection(&p, &web, "left-out");
	assert_connection(&p, &other, "past-shim");
	p.environment.except = NULL;
	p.environment.only = "mysql";
	assert_connection(&p, &web, "left-out");
	assert_connection(&p, &other, "past-shim");
}

static void table_that_is_stale_or_has_nobody_is_named(void **state)
{
	struct process_seen p = covered();
	struct why_service s = web;

	(void)state;
	s.has_endpoint = false;
	assert_connection(&p, &s, "no-endpoint");
	s.is_stale = true;
	assert_connection(&p, &s, "stale");
}

static void connection_that_nothing_explains_went_past_the_shim(void **state)
{
	struct process_seen p = covered();

	(void)state;
	assert_connection(&p, &web, "past-shim");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_reason_has_a_name_of_its_own_a_text_and_a_remedy),
		TEST(process_with_the_shim_is_covered),
		TEST(mapping_says_more_than_the_environment),
		TEST(static_program_is_named),
		TEST(loader_that_runs_a_program_is_not_called_static),
		TEST(go_program_is_named_however_it_is_linked),
		TEST(privileged_program_is_named_also_where_the_shim_is_in_it),
		TEST(program_of_another_machine_is_named),
		TEST(process_that_is_older_than_the_shim_is_named),
		TEST(process_as_old_as_the_shim_is_not_called_older),
		TEST(process_that_lost_its_environment_is_told_from_one_that_never_had_it),
		TEST(shim_that_is_not_there_is_named),
		TEST(shim_on_a_mount_without_execution_is_named),
		TEST(shim_that_the_loader_did_not_take_is_named),
		TEST(process_that_is_switched_off_or_observes_is_named),
		TEST(process_of_another_table_or_none_is_named),
		TEST(process_of_another_user_is_hidden),
		TEST(connection_that_nobody_is_seen_to_hold_is_named),
		TEST(service_that_stands_down_is_named_before_any_process),
		TEST(what_a_process_lacks_is_named_before_a_mode),
		TEST(mode_alone_is_told_from_other_reasons),
		TEST(process_that_leaves_all_out_is_not_covered),
		TEST(service_that_the_process_leaves_out_is_named),
		TEST(table_that_is_stale_or_has_nobody_is_named),
		TEST(connection_that_nothing_explains_went_past_the_shim),
	};

	return RUN_TESTS(tests);
}
