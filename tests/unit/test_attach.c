/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process's hold on a table, from the first look on and again: the source is included, for a test to begin anew. And what dials
 * and lookups make of a table that cannot be read.
 */
#include "support/testing.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <sys/mman.h>
#include <sys/un.h>
#include <unistd.h>

#include "shim/dial.h"
#include "shim/names.h"
#include "support/cleanup.h"
#include "support/ledgers.h"
#include "support/process.h"
#include "support/refusals.h"
#include "support/services.h"
#include "support/table_builder.h"

#define open_ledger open_its_ledger
#define map_table map_its_table
#include "shim/attach.c"
#undef open_ledger
#undef map_table

enum { STRANGER = 54321, NOT_TOLD = 124 };

/* As if the program had just been started with that FAIRDIAL_DIR. */
static const struct settings *begin_with(const char *dir)
{
	memset(&settings, 0, sizeof(settings));
	memset(attachments, 0, sizeof(attachments));
	settings_state = 0;
	attachments_used = 0;
	mapped_bytes = 0;
	current = NULL;
	last_look_ms = 0;
	unsetenv("FAIRDIAL");
	setenv("FAIRDIAL_DIR", dir, 1);
	setenv("FAIRDIAL_TRACE", format("all:%s/trace", scratch_dir()), 1);
	return attach_settings();
}

static char *published(void)
{
	struct table_builder *b = builder_web("10.0.0.1:80 10.0.0.2:80");
	char *dir = scratch_dir();

	b->spec.services[0].flags = SERVICE_BARE_NAME;
	builder_service(b, "six.shop", "10.96.0.6 fd00::6")->flags = SERVICE_BARE_NAME;
	builder_port(b, 80, PROTOCOL_TCP, "10.0.0.6:80");
	publish_alone(dir, b);
	return dir;
}

static struct sockaddr_in web(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(80) };

	assert_int_equal(inet_pton(AF_INET, "10.96.0.1", &to.sin_addr), 1);
	return to;
}

static bool is_spread(void)
{
	struct sockaddr_in to = web();

	return dial_is_service(ATTACH_NO_SOCKET, (struct sockaddr *)&to, sizeof(to)) == 1;
}

/* ---- looking ---- */

static void who_comes_while_the_settings_are_read_dials_as_it_would(void **state)
{
	struct dial d;

	(void)state;
	begin_with(published());
	look(attach_settings());
	assert_true(dial_init(&d));
	settings_state = 1; /* a handler that interrupted who reads them */
	assert_null(attach_settings());
	assert_false(dial_init(&d));
	current = NULL;
	assert_null(attach_get(ATTACH_NO_SOCKET));
	assert_false(is_spread());
	settings_state = 2;
	assert_true(is_spread());
}

static void directory_that_is_too_long_is_no_other_one(void **state)
{
	(void)state;
	look(begin_with(format("/%0*d", SETTINGS_PATH, 0)));
	assert_true(attach_settings()->has_dir);
	assert_null(attach_current());
	assert_false(is_spread());
}

static size_t mappings_of(const char *dir)
{
	FILE *file = fopen("/proc/self/maps", "re");
	char line[512];
	size_t n = 0;

	while (fgets(line, sizeof(line), file))
		n += strstr(line, dir) != NULL;
	fclose(file);
	return n;
}

static void table_that_it_has_already_is_not_kept_twice(void **state)
{
	const char *dir = published();
	const struct settings *s = begin_with(dir);
	const struct attachment *first;
	size_t mapped;

	(void)state;
	look(s);
	first = attach_current();
	assert_non_null(first);
	mapped = mappings_of(dir);
	for (int i = 0; i < 3 * MAX_ATTACHMENTS; i++)
		look(s);
	assert_ptr_equal(attach_current(), first);
	assert_int_equal(mappings_of(dir), mapped);
}

/* Another file, of the same list. */
static const struct attachment *look_at_another(const char *dir)
{
	assert_int_equal(unlink(format("%s/table", dir)), 0);
	publish_alone(dir, builder_web("10.0.0.1:80"));
	look(attach_settings());
	return attach_current();
}

static void process_that_has_had_too_many_tables_keeps_the_last_one(void **state)
{
	const char *dir = published();
	const struct attachment *last = NULL;

	(void)state;
	begin_with(dir);
	for (size_t i = 0; i < MAX_ATTACHMENTS + 3; i++) {
		const struct attachment *now = look_at_another(dir);

		assert_true((now != last) == (i < MAX_ATTACHMENTS));
		last = now;
		/* Table and ledger of each, deleted or not; what is too many is given back. */
		assert_int_equal(mappings_of(dir), 2 * (i < KEPT ? i + 1 : KEPT));
	}
	assert_true(is_spread());
}

static void process_that_has_mapped_too_much_keeps_the_last_one(void **state)
{
	const char *dir = published();
	const struct attachment *last;
	uint64_t each;
	size_t mapped;

	(void)state;
	begin_with(dir);
	last = look_at_another(dir);
	each = mapped_bytes;
	assert_int_equal(each, last->table.size + last->ledger.size);
	mapped_bytes = MAX_MAPPED - each + 1;
	for (int i = 1; i < ALWAYS; i++) { /* one alone may take more */
		assert_ptr_not_equal(look_at_another(dir), last);
		last = attach_current();
	}
	mapped = mappings_of(dir);
	mapped_bytes = MAX_MAPPED - each + 1;
	assert_ptr_equal(look_at_another(dir), last);
	assert_int_equal(mapped_bytes, MAX_MAPPED - each + 1);
	assert_int_equal(mappings_of(dir), mapped);
	assert_true(is_spread());
	mapped_bytes = MAX_MAPPED - each;
	assert_ptr_not_equal(look_at_another(dir), last);
}

/* A dial that has been under way through all of the later ones. */
static void who_reads_on_in_a_table_of_long_ago_finds_no_generation(void **state)
{
	const char *dir = published();
	const struct attachment *first;
	struct sockaddr_in to = web();
	struct dial_choice choice;
	struct table_view view;
	struct dial d;

	(void)state;
	begin_with(dir);
	first = look_at_another(dir);
	assert_int_equal(dial_prepare(&d, (struct sockaddr *)&to, sizeof(to)), DIAL_OURS);
	assert_true(dial_choose(&d, &choice));
	for (int i = 0; i < KEPT - 1; i++)
		look_at_another(dir);
	assert_true(table_begin(&first->table, &view));
	look_at_another(dir);
	assert_false(table_end(&view));
	assert_false(table_begin(&first->table, &view));
	dial_landed(&d, &choice, true);
	assert_false(dial_choose(&d, &choice));
	assert_true(is_spread());
}

/* A thread that was late with it by as many others: who finds nothing to read looks for another, as who finds no Service does. */
static void process_that_is_left_with_a_blank_table_looks_for_another(void **state)
{
	const char *dir = published();
	const struct attachment *first;
	bool found = false;

	(void)state;
	begin_with(dir);
	first = look_at_another(dir);
	close_after_test(open(format("%s/table", dir), O_RDONLY | O_CLOEXEC)); /* whose number is nobody else's so long */
	table_blank(&first->table);
	ledger_blank(&first->ledger);
	unlink(format("%s/table", dir));
	publish_alone(dir, builder_web("10.0.0.1:80"));
	for (int i = 0; i < 32 && !found; i++) {
		last_look_ms = 0;
		found = is_spread();
	}
	assert_true(found);
	assert_ptr_not_equal(attach_current(), first);
}

static void without_a_directory_the_table_is_the_one_beside_the_shim(void **state)
{
	(void)state;
	begin_with("");
	assert_false(settings.has_dir);
	snprintf(settings.beside, SETTINGS_PATH, "%s", published());
	look(&settings);
	assert_non_null(attach_current());
	assert_string_equal(attach_current()->dir, settings.beside);
}

static void shim_of_unknown_owner_is_ours(void **state)
{
	(void)state;
	begin_with(published());
	settings.shim_uid = UINT32_MAX;
	look(&settings);
	assert_non_null(attach_current());
	assert_non_null(attach_current()->ledger.base);
}

/* ---- another user than at the start ---- */

static int attach_as_stranger(void *dir)
{
	const struct settings *s = begin_with(dir);

	if (setresgid(STRANGER, STRANGER, STRANGER) || setresuid(STRANGER, STRANGER, STRANGER))
		return NOT_TOLD;
	look(s);
	return attach_current() ? 1 + (attach_current()->ledger.base != NULL) : 0;
}

/* For a moment only, as a server is on behalf of one: he is not believed. */
static int attach_as_stranger_for_a_while(void *dir)
{
	const struct settings *s = begin_with(dir);

	if (seteuid(STRANGER))
		return NOT_TOLD;
	look(s);
	return attach_current() != NULL;
}

static void process_that_has_become_another_user_believes_that_one(void **state)
{
	char *dir = published();
	struct ledger ledger;

	(void)state;
	if (geteuid())
		skip_because("only root can become another user");
	assert_int_equal(chmod(dir, 0755), 0);
	assert_int_equal(open_ledger(format("%s/ledger", dir), 64, LEDGER_MAKE, &ledger), 0);
	ledger_close(&ledger);
	assert_int_equal(chown(format("%s/ledger", dir), STRANGER, STRANGER), 0); /* the table is root's still */
	assert_int_equal(in_forked_child(attach_as_stranger, dir), 2);
	assert_int_equal(chown(format("%s/table", dir), STRANGER, STRANGER), 0);
	assert_int_equal(in_forked_child(attach_as_stranger, dir), 2);
	assert_int_equal(in_forked_child(attach_as_stranger_for_a_while, dir), 0);
}

/* ---- a table whose writer was killed in the middle, and has no successor ---- */

static void write_into(const char *dir, void (*change)(struct table_area *area))
{
	const struct table *table = map_table(dir);
	size_t size = (size_t)table_head(table)->file_size;
	FILE *file = fopen(format("%s/table", dir), "r+e");
	uint8_t *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);

	fclose(file);
	assert_ptr_not_equal(bytes, MAP_FAILED);
	change((struct table_area *)(bytes + table->area_offset[table_head(table)->current & 1]));
	munmap(bytes, size);
}

static void make_odd(struct table_area *area)
{
	area->seq |= 1;
}

static void leave_half_written(const char *dir)
{
	write_into(dir, make_odd);
}

static void half_written_table_spreads_nothing(void **state)
{
	const char *dir = published();
	struct sockaddr_in to = web();
	struct dial_choice choice;
	struct answer answer;
	struct dial d;

	(void)state;
	begin_with(dir);
	assert_true(is_spread());
	assert_int_equal(names_answer("web", &answer), NAMES_ADDRESSES);
	assert_true(answer.has_v4);
	assert_int_equal(dial_prepare(&d, (struct sockaddr *)&to, sizeof(to)), DIAL_OURS);
	leave_half_written(dir);
	assert_false(dial_choose(&d, &choice)); /* one that had begun before */
	assert_false(is_spread());
	assert_int_equal(dial_prepare(&d, (struct sockaddr *)&to, sizeof(to)), DIAL_NO_TABLE);
	assert_int_equal(names_answer("web", &answer), NAMES_LIBC);
	assert_string_equal(answer.why, "no table");
}

static void trace_of_a_half_written_table_names_no_service(void **state)
{
	const char *dir = published(), *text;
	struct sockaddr_in to = web();
	struct dial d;

	(void)state;
	begin_with(dir);
	look(&settings);
	assert_int_equal(dial_prepare(&d, (struct sockaddr *)&to, sizeof(to)), DIAL_OURS);
	dial_trace(&d, NULL, DIAL_OFF, 0);
	text = read_file(settings.trace_path, NULL);
	assert_non_null(strstr(text, "web.shop 10.96.0.1:80 passed: "));
	unlink(settings.trace_path);
	leave_half_written(dir);
	dial_trace(&d, NULL, DIAL_OFF, 0);
	text = read_file(settings.trace_path, NULL);
	assert_null(strstr(text, "web.shop"));
	assert_non_null(strstr(text, "10.96.0.1:80 passed: "));
}

static void trace_of_a_name_has_the_address_of_each_family(void **state)
{
	struct answer answer;
	const char *text;

	(void)state;
	begin_with(published());
	look(&settings);
	assert_int_equal(names_answer("six", &answer), NAMES_ADDRESSES);
	assert_true(answer.has_v4 && answer.has_v6);
	text = read_file(settings.trace_path, NULL);
	assert_non_null(strstr(text, "six -> 10.96.0.6 fd00::6\n"));
}

/* Of a headless Service at 10.0.0.1 alone, which the DNS has behind: the last byte of the address in front afterwards. */
static int in_front_after(void (*change)(struct table_area *area))
{
	static const struct answer of_db = { .canonical = "db.shop.svc.cluster.local" };
	char first[4] = { 10, 0, 0, 2 }, second[4] = { 10, 0, 0, 1 };
	char *list[] = { first, second, NULL };
	struct hostent host = { .h_addrtype = AF_INET, .h_length = 4, .h_addr_list = list };
	struct table_builder *b = builder_new();
	const char *dir = scratch_dir();

	builder_service(b, "db.shop", NULL)->flags = SERVICE_HEADLESS;
	builder_port(b, 5432, PROTOCOL_TCP, "10.0.0.1:5432");
	publish_alone(dir, b);
	begin_with(dir);
	look(&settings);
	write_into(dir, change);
	names_order_host(&of_db, &host);
	return first[3];
}

static void change_nothing(struct table_area *area)
{
	(void)area;
}

static void damage_ports(struct table_area *area)
{
	((uint8_t *)area)[area->section[SECTION_PORTS].offset] ^= 1;
}

static void list_stays_as_it_is_where_the_table_is_half_written_or_damaged(void **state)
{
	(void)state;
	assert_int_equal(in_front_after(change_nothing), 1);
	assert_int_equal(in_front_after(make_odd), 2);
	assert_int_equal(in_front_after(damage_ports), 2);
}

/* ---- no address of IP ---- */

static void address_of_another_kind_is_no_dial_of_ours(void **state)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	struct dial d;

	(void)state;
	begin_with(published());
	look(&settings);
	assert_int_equal(dial_prepare(&d, (struct sockaddr *)&to, sizeof(to)), DIAL_NO_TABLE);
	assert_int_equal(dial_is_service(ATTACH_NO_SOCKET, (struct sockaddr *)&to, sizeof(to)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(who_comes_while_the_settings_are_read_dials_as_it_would),
		TEST(directory_that_is_too_long_is_no_other_one),
		TEST(table_that_it_has_already_is_not_kept_twice),
		TEST(process_that_has_had_too_many_tables_keeps_the_last_one),
		TEST(process_that_has_mapped_too_much_keeps_the_last_one),
		TEST(who_reads_on_in_a_table_of_long_ago_finds_no_generation),
		TEST(process_that_is_left_with_a_blank_table_looks_for_another),
		TEST(without_a_directory_the_table_is_the_one_beside_the_shim),
		TEST(shim_of_unknown_owner_is_ours),
		TEST(process_that_has_become_another_user_believes_that_one),
		TEST(half_written_table_spreads_nothing),
		TEST(trace_of_a_half_written_table_names_no_service),
		TEST(trace_of_a_name_has_the_address_of_each_family),
		TEST(list_stays_as_it_is_where_the_table_is_half_written_or_damaged),
		TEST(address_of_another_kind_is_no_dial_of_ours),
	};

	return RUN_TESTS(tests);
}
