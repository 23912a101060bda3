/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a file tells of its names, its libraries, its code and its version: of the shim, and of a small file made here, whole and
 * damaged in every way that its fields allow.
 */
#include "support/testing.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

#include "inspect/elf_links.h"
#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"

#if defined(__aarch64__)
#define MACHINE	      EM_AARCH64
#define OTHER_MACHINE EM_X86_64
#else
#define MACHINE	      EM_X86_64
#define OTHER_MACHINE EM_AARCH64
#endif

enum { HEADERS = 3, SECTIONS = 4, SYMBOLS = 4, ROWS = 6, CODE = 96 };

static const char strings[] = "\0connect\0getaddrinfo\0io_uring_queue_init\0libc.so.6\0liburing.so.2\0/old\0/new";
enum { AT_CONNECT = 1, AT_LOOKUP = 9, AT_URING = 21, AT_LIBC = 41, AT_LIBURING = 51, AT_OLD = 65, AT_NEW = 70 };

struct note {
	Elf64_Nhdr head;
	char owner[12], value[24];
};

/* All that is looked at, one behind the other. */
struct made {
	Elf64_Ehdr file;
	Elf64_Phdr headers[HEADERS];
	Elf64_Shdr sections[SECTIONS];
	Elf64_Sym symbols[SYMBOLS];
	Elf64_Dyn dynamic[ROWS];
	struct note version;
	uint8_t code[CODE];
	char strings[sizeof(strings)];
};

static Elf64_Shdr section(uint32_t type, size_t offset, size_t size, uint32_t link)
{
	return (Elf64_Shdr){ .sh_type = type, .sh_offset = offset, .sh_size = size, .sh_link = link };
}

static Elf64_Phdr segment(uint32_t type, size_t offset, size_t size)
{
	return (Elf64_Phdr){ .p_type = type, .p_flags = PF_R | PF_X, .p_offset = offset, .p_filesz = size };
}

static void make_file(Elf64_Ehdr *file)
{
	memcpy(file->e_ident, ELFMAG, SELFMAG);
	file->e_ident[EI_CLASS] = ELFCLASS64;
	file->e_ident[EI_DATA] = ELFDATA2LSB;
	file->e_type = ET_DYN;
	file->e_machine = MACHINE;
	file->e_phoff = offsetof(struct made, headers);
	file->e_phentsize = sizeof(Elf64_Phdr);
	file->e_phnum = HEADERS;
	file->e_shoff = offsetof(struct made, sections);
	file->e_shentsize = sizeof(Elf64_Shdr);
	file->e_shnum = SECTIONS;
}

/* Numbers and calls of the machine that this runs on; behind other bytes. */
static void put_call(uint8_t *code, unsigned number)
{
#if defined(__aarch64__)
	const uint32_t words[] = { 0x52800008u | number << 5, 0xd4000001u };
#else
	const uint8_t words[] = { 0xb8, (uint8_t)number, (uint8_t)(number >> 8), 0, 0, 0x90, 0x0f, 0x05 };
#endif

	memcpy(code, words, sizeof(words));
}

#if defined(__aarch64__)
enum { CONNECT = 203, URING_ENTER = 426, CALL_ALIGN = 4 };
#else
enum { CONNECT = 42, URING_ENTER = 426, CALL_ALIGN = 1 };
#endif

static struct made *make(void)
{
	struct made *m = calloc(1, sizeof(*m));

	after_test(free, m);
	make_file(&m->file);
	m->headers[0] = segment(PT_LOAD, offsetof(struct made, code), CODE);
	m->headers[1] = segment(PT_NOTE, offsetof(struct made, version), sizeof(m->version));
	m->headers[2] = segment(PT_DYNAMIC, offsetof(struct made, dynamic), sizeof(m->dynamic));
	m->sections[1] = section(SHT_DYNSYM, offsetof(struct made, symbols), sizeof(m->symbols), 3);
	m->sections[2] = section(SHT_DYNAMIC, offsetof(struct made, dynamic), sizeof(m->dynamic), 3);
	m->sections[3] = section(SHT_STRTAB, offsetof(struct made, strings), sizeof(strings), 0);
	m->symbols[1] = (Elf64_Sym){ .st_name = AT_CONNECT };
	m->symbols[2] = (Elf64_Sym){ .st_name = AT_LOOKUP, .st_shndx = 1 };
	m->symbols[3] = (Elf64_Sym){ .st_name = AT_URING };
	m->dynamic[0] = (Elf64_Dyn){ DT_NEEDED, { AT_LIBC } };
	m->dynamic[1] = (Elf64_Dyn){ DT_NEEDED, { AT_LIBURING } };
	m->dynamic[2] = (Elf64_Dyn){ DT_RUNPATH, { AT_NEW } };
	m->dynamic[3] = (Elf64_Dyn){ DT_RPATH, { AT_OLD } };
	m->version = (struct note){ { 9, 6, NT_VERSION }, "fairdial", "0.9.8" };
	memset(m->code, 0x90, CODE);
	memcpy(m->strings, strings, sizeof(strings));
	return m;
}

static int links_of_bytes(const void *bytes, size_t size, struct elf_links *ret_links)
{
	int fd = memfd_create("made", MFD_CLOEXEC), r;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), (ssize_t)size);
	r = elf_links_fd(fd, ret_links);
	close(fd);
	return r;
}

static struct elf_links links_of(const struct made *m)
{
	struct elf_links links;
	int r = links_of_bytes(m, sizeof(*m), &links);

	if (r < 0)
		fail_msg("%s", strerror(-r));
	return links;
}

static struct elf_links links_of_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), r;
	struct elf_links links;

	r = elf_links_fd(fd, &links);
	close(fd);
	if (r < 0)
		fail_msg("%s: %s", path, strerror(-r));
	return links;
}

/* ---- what is told ---- */

static void names_and_libraries_are_told(void **state)
{
	struct elf_links links = links_of(make());

	(void)state;
	assert_true(links.has_names);
	assert_int_equal(links.imports, NAME_CONNECT | NAME_IO_URING);
	assert_int_equal(links.defines, NAME_GETADDRINFO);
	assert_true(links.needs_uring);
	assert_int_equal(links.needed_len, sizeof("libc.so.6\0liburing.so.2"));
	assert_memory_equal(links.needed, "libc.so.6\0liburing.so.2", links.needed_len);
	assert_string_equal(links.search, "/new");
	assert_false(links.is_cut);
	assert_string_equal(links.version, "0.9.8");
	assert_string_equal(links.build_id, "");
}

static void old_search_path_counts_where_it_is_alone(void **state)
{
	struct made *m = make();

	(void)state;
	m->dynamic[2].d_tag = DT_SYMBOLIC;
	assert_string_equal(links_of(m).search, "/old");
	m->dynamic[2].d_tag = DT_RPATH;
	m->dynamic[3].d_tag = DT_RUNPATH;
	assert_string_equal(links_of(m).search, "/old");
}

static void file_without_sections_tells_its_version_alone(void **state)
{
	struct made *m = make();
	struct elf_links links;

	(void)state;
	m->file.e_shnum = 0;
	links = links_of(m);
	assert_false(links.has_names);
	assert_string_equal(links.version, "0.9.8");
}

static void shim_tells_its_version_also_when_stripped(void **state)
{
	const char *shim = built("libfairdial.so"), *stripped = format("%s/libfairdial.so", scratch_dir());
	struct elf_links whole = links_of_file(shim), bare;

	(void)state;
	assert_string_equal(whole.version, FAIRDIAL_VERSION);
	assert_int_equal(strlen(whole.build_id), 40);
	assert_int_equal(whole.needed_len, 0);
	assert_true(whole.defines & NAME_CONNECT);
	assert_clean(run(NULL, "strip", "-o", stripped, shim, NULL));
	bare = links_of_file(stripped);
	assert_string_equal(bare.version, FAIRDIAL_VERSION);
	assert_string_equal(bare.build_id, whole.build_id);
}

static void version_is_fit_for_a_terminal_or_none(void **state)
{
	static const struct {
		const char *bytes;
		uint32_t size;
		const char *version;
	} rows[] = {
		{ "1.2.3-next+4~5", 15, "1.2.3-next+4~5" },
		{ "1\033[31m", 7, "" },
		{ "1 2", 4, "" },
		{ "", 1, "" },
		{ "123456", 6, "" }, /* not ended */
		{ "1.0", 0, "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct made *m = make();

		memset(m->version.value, 0, sizeof(m->version.value));
		strcpy(m->version.value, rows[i].bytes);
		m->version.head.n_descsz = rows[i].size;
		assert_string_equal(links_of(m).version, rows[i].version);
	}
}

static void note_of_another_is_no_version(void **state)
{
	struct made *m = make();

	(void)state;
	m->version.owner[0] = 'F';
	assert_string_equal(links_of(m).version, "");
	m = make();
	m->version.head.n_type = NT_GNU_BUILD_ID;
	assert_string_equal(links_of(m).version, "");
	memcpy(m->version.owner, "GNU", 4);
	m->version.head.n_namesz = 4;
	m->version.head.n_descsz = 4;
	memcpy(m->version.owner + 4, "\x01\xab\xcd\xef", 4);
	assert_string_equal(links_of(m).build_id, "01abcdef");
}

static void more_libraries_than_there_is_room_are_cut(void **state)
{
	struct elf_links links;
	struct made *m = make();
	size_t rows = 1000, size = sizeof(*m) + rows * sizeof(Elf64_Dyn);
	uint8_t *bytes = calloc(1, size);

	(void)state;
	m->sections[2].sh_offset = sizeof(*m);
	m->sections[2].sh_size = rows * sizeof(Elf64_Dyn);
	memcpy(bytes, m, sizeof(*m));
	for (size_t i = 0; i < rows; i++)
		memcpy(bytes + sizeof(*m) + i * sizeof(Elf64_Dyn), &(Elf64_Dyn){ DT_NEEDED, { AT_LIBC } }, sizeof(Elf64_Dyn));
	assert_int_equal(links_of_bytes(bytes, size, &links), 0);
	free(bytes);
	assert_true(links.is_cut);
	assert_true(links.needed_len <= sizeof(links.needed));
	assert_int_equal(links.needed_len % sizeof("libc.so.6"), 0);
}

/* ---- code ---- */

static void bare_calls_are_found_in_code_alone(void **state)
{
	struct made *m = make();

	(void)state;
	assert_false(links_of(m).has_bare_connect);
	put_call(m->code + 8, CONNECT);
	assert_true(links_of(m).has_bare_connect);
	assert_false(links_of(m).has_bare_uring);
	put_call(m->code + 8, URING_ENTER);
	assert_false(links_of(m).has_bare_connect);
	assert_true(links_of(m).has_bare_uring);
	m->headers[0].p_flags = PF_R;
	assert_false(links_of(m).has_bare_uring);
}

static void number_far_from_the_call_is_none(void **state)
{
	struct made *m = make();

	(void)state;
	put_call(m->code, CONNECT);
	memmove(m->code + 64, m->code + 4, 4); /* the call, or its end */
	memset(m->code + (sizeof(void *) == 8 && MACHINE == EM_X86_64 ? 5 : 4), 0x90, 40);
	assert_false(links_of(m).has_bare_connect);
}

/* It is read in pieces of 64 KiB. */
static void call_is_found_wherever_it_lies(void **state)
{
	const size_t piece = 1 << 16, size = sizeof(struct made) + 2 * piece;
	struct made *m = make();
	uint8_t *bytes = malloc(size);
	struct elf_links links;

	(void)state;
	after_test(free, bytes);
	m->headers[0].p_offset = sizeof(*m);
	m->headers[0].p_filesz = 2 * piece;
	for (size_t at = piece - 160; at < piece + 96; at += CALL_ALIGN) {
		memset(bytes, 0x90, size);
		memcpy(bytes, m, sizeof(*m));
		put_call(bytes + sizeof(*m) + at, CONNECT);
		assert_int_equal(links_of_bytes(bytes, size, &links), 0);
		if (!links.has_bare_connect)
			fail_msg("not found at %zu", at);
	}
	memset(bytes + sizeof(*m), 0x90, 2 * piece);
	put_call(bytes + size - 8, CONNECT);
	assert_int_equal(links_of_bytes(bytes, size, &links), 0);
	assert_true(links.has_bare_connect);
}

/* ---- damage ---- */

static void other_machines_are_not_supported(void **state)
{
	struct elf_links links;
	struct made *m = make();

	(void)state;
	m->file.e_machine = OTHER_MACHINE;
	assert_int_equal(links_of_bytes(m, sizeof(*m), &links), -ENOTSUP);
}

/* Whatever their fields say in that order and width, they are refused. */
static void other_classes_and_orders_are_refused(void **state)
{
	struct elf_links links;
	struct made *m = make();

	(void)state;
	m->file.e_ident[EI_DATA] = ELFDATA2MSB;
	assert_true(links_of_bytes(m, sizeof(*m), &links) < 0);
	m->file.e_phnum = 0;
	assert_int_equal(links_of_bytes(m, sizeof(*m), &links), -ENOTSUP);
	m = make();
	m->file.e_ident[EI_CLASS] = ELFCLASS32;
	assert_true(links_of_bytes(m, sizeof(*m), &links) < 0);
	((Elf32_Ehdr *)&m->file)->e_phnum = 0;
	assert_int_equal(links_of_bytes(m, sizeof(*m), &links), -ENOTSUP);
	m->file.e_ident[EI_CLASS] = 9;
	assert_int_equal(links_of_bytes(m, sizeof(*m), &links), -EBADMSG);
}

static void file_that_ends_anywhere_is_refused(void **state)
{
	const size_t end = offsetof(struct made, strings) + sizeof(strings);
	struct made *m = make();
	struct elf_links links;

	(void)state;
	for (size_t size = 0; size < end; size++) {
		uint8_t *bytes = malloc(size + !size); /* no more: a reader beyond its end is caught */
		int r;

		memcpy(bytes, m, size);
		memset(&links, 0x5a, sizeof(links));
		r = links_of_bytes(bytes, size, &links);
		free(bytes);
		if (r >= 0)
			fail_msg("%zu of %zu bytes: taken", size, end);
		assert_int_equal(links.needed[0], 0x5a); /* what failed told nothing */
	}
}

/* Every field of every header, at every width that a field may have. */
static void every_field_may_say_anything(void **state)
{
	static const uint64_t values[] = { 0, 1, 2, 7, 0x7f, 0xff, 0xffff, 0x7fffffff, 0xffffffff, 1 << 20, sizeof(struct made) - 1,
					   sizeof(struct made), sizeof(struct made) + 1, INT64_MAX, UINT64_MAX, UINT64_MAX - 63,
					   (uint64_t)1 << 63, INT64_MAX - 8 };
	const size_t end = offsetof(struct made, code);
	size_t taken = 0, refused = 0;

	(void)state;
	for (size_t width = 1; width <= 8; width *= 2)
		for (size_t at = EI_NIDENT; at + width <= end; at += width)
			for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
				struct made m = *make();
				struct elf_links links;
				int r;

				memcpy((uint8_t *)&m + at, &values[i], width);
				r = links_of_bytes(&m, sizeof(m), &links);
				taken += r == 0;
				refused += r < 0;
				if (r < 0 && r != -EBADMSG && r != -ENOTSUP && r != -ENOEXEC && r != -EFBIG)
					fail_msg("byte %zu: %s", at, strerror(-r));
				if (r == 0 && (links.needed_len > sizeof(links.needed) ||
					       !memchr(links.search, 0, sizeof(links.search)) ||
					       !memchr(links.version, 0, sizeof(links.version))))
					fail_msg("byte %zu: beyond its room", at);
			}
	assert_true(taken > 1000 && refused > 1000);
}

/* Headers that all name the same bytes of a large file: that takes no longer than one would. */
static void same_bytes_a_thousand_times_are_too_much(void **state)
{
	enum { MANY = 1000 };
	const off_t size = 64 << 20;
	struct made *m = make();
	Elf64_Phdr code = m->headers[0];
	int fd = memfd_create("made", MFD_CLOEXEC);
	struct elf_links links;

	(void)state;
	assert_int_equal(ftruncate(fd, size), 0);
	m->file.e_phnum = MANY;
	m->file.e_phoff = sizeof(*m);
	code.p_filesz = (uint64_t)size;
	code.p_offset = 0;
	assert_int_equal(pwrite(fd, m, sizeof(*m), 0), sizeof(*m));
	for (int i = 0; i < MANY; i++)
		assert_int_equal(pwrite(fd, &code, sizeof(code), (off_t)sizeof(*m) + i * (off_t)sizeof(code)), sizeof(code));
	assert_int_equal(elf_links_fd(fd, &links), -EFBIG);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(names_and_libraries_are_told),
		TEST(old_search_path_counts_where_it_is_alone),
		TEST(file_without_sections_tells_its_version_alone),
		TEST(shim_tells_its_version_also_when_stripped),
		TEST(version_is_fit_for_a_terminal_or_none),
		TEST(note_of_another_is_no_version),
		TEST(more_libraries_than_there_is_room_are_cut),
		TEST(bare_calls_are_found_in_code_alone),
		TEST(number_far_from_the_call_is_none),
		TEST(call_is_found_wherever_it_lies),
		TEST(other_machines_are_not_supported),
		TEST(other_classes_and_orders_are_refused),
		TEST(file_that_ends_anywhere_is_refused),
		TEST(every_field_may_say_anything),
		TEST(same_bytes_a_thousand_times_are_too_much),
	};

	return RUN_TESTS(tests);
}
