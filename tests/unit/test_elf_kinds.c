/* SPDX-License-Identifier: Apache-2.0 */
/* What kind of program a file is: of real ones, by several compilers, and of bytes that mean no good. */
#include "support/testing.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "inspect/elf.h"
#include "support/cleanup.h"
#include "support/compile.h"
#include "support/process.h"
#include "support/services.h"

static struct elf_kind kind_of(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), r;
	struct elf_kind kind;

	if (fd < 0)
		fail_msg("%s: %s", path, strerror(errno));
	r = elf_identify_fd(fd, &kind);
	close(fd);
	if (r < 0)
		fail_msg("%s: %s", path, strerror(-r));
	return kind;
}

static struct elf_kind own_kind(void)
{
	return kind_of("/proc/self/exe");
}

static const char *go_program(const char *environment, const char *flags)
{
	char *program = format("%s/hold", scratch_dir());

	if (!program_exists("go"))
		skip_because("there is no go");
	assert_clean(run_shell(NULL, "%s go build %s -o %s %s", environment, flags, program,
			       repository("tests/helpers/go/hold.go")));
	return program;
}

/* ---- real programs ---- */

static void dynamic_program_names_its_loader(void **state)
{
	struct elf_kind kind = kind_of(compiled("gcc", "idle", "")), own = own_kind();

	(void)state;
	assert_int_equal(kind.linkage, ELF_DYNAMIC);
	assert_int_equal(access(kind.interpreter, R_OK), 0);
	assert_true(elf_is_same_machine(&kind, &own));
	assert_true(kind.is_64);
	assert_false(kind.is_go);
	assert_string_not_equal(elf_machine_name(&kind), "another machine");
}

static void dynamic_program_at_a_fixed_address_names_its_loader(void **state)
{
	(void)state;
	assert_int_equal(kind_of(compiled("gcc", "idle", "-no-pie -fno-pie")).linkage, ELF_DYNAMIC);
}

static void static_program_has_no_loader(void **state)
{
	struct elf_kind kind = kind_of(compiled("gcc", "idle", "-static"));

	(void)state;
	assert_int_equal(kind.linkage, ELF_STATIC);
	assert_string_equal(kind.interpreter, "");
	assert_false(kind.is_go);
}

static void static_program_at_any_address_has_no_loader(void **state)
{
	(void)state;
	assert_int_equal(kind_of(compiled("gcc", "idle", "-static-pie")).linkage, ELF_STATIC_PIE);
}

static void stripped_program_is_told_as_before(void **state)
{
	(void)state;
	assert_int_equal(kind_of(compiled("gcc", "idle", "-static -s")).linkage, ELF_STATIC);
	assert_int_equal(kind_of(compiled("gcc", "idle", "-s")).linkage, ELF_DYNAMIC);
}

static void program_of_musl_names_musls_loader(void **state)
{
	struct elf_kind kind = kind_of(compiled_for_musl("idle", ""));

	(void)state;
	assert_int_equal(kind.linkage, ELF_DYNAMIC);
	assert_non_null(strstr(kind.interpreter, "musl"));
	assert_int_equal(kind_of(compiled_for_musl("idle", "-static")).linkage, ELF_STATIC);
}

static void shim_and_loader_are_libraries(void **state)
{
	(void)state;
	assert_int_equal(kind_of(built("libfairdial.so")).linkage, ELF_LIBRARY);
	assert_int_equal(kind_of(own_kind().interpreter).linkage, ELF_LIBRARY);
}

static void object_file_is_no_program(void **state)
{
	(void)state;
	assert_int_equal(kind_of(compiled("gcc", "idle", "-c")).linkage, ELF_NO_PROGRAM);
}

static void another_machine_is_named(void **state)
{
#if defined(__aarch64__)
	struct elf_kind kind = kind_of(compiled("x86_64-linux-gnu-gcc", "idle", "")), own = own_kind();
	const char *name = "x86-64";
#else
	struct elf_kind kind = kind_of(compiled("aarch64-linux-gnu-gcc", "idle", "")), own = own_kind();
	const char *name = "aarch64";
#endif

	(void)state;
	assert_int_equal(kind.linkage, ELF_DYNAMIC);
	assert_false(elf_is_same_machine(&kind, &own));
	assert_string_equal(elf_machine_name(&kind), name);
}

static void program_of_go_is_told(void **state)
{
	struct elf_kind kind = kind_of(go_program("CGO_ENABLED=0", ""));

	(void)state;
	assert_true(kind.is_go);
	assert_int_equal(kind.linkage, ELF_STATIC);
	assert_true(kind_of(go_program("CGO_ENABLED=0", "-ldflags '-s -w'")).is_go);
}

static void dynamic_program_of_go_is_told(void **state)
{
	struct elf_kind kind = kind_of(go_program("", "-buildmode=pie"));

	(void)state;
	assert_true(kind.is_go);
	assert_int_equal(kind.linkage, ELF_DYNAMIC);
}

/* Its build id is in a note, the rest in a section: each alone is enough. */
static void program_of_go_is_told_by_either_mark(void **state)
{
	const char *whole = go_program("CGO_ENABLED=0", ""), *without_id = go_program("CGO_ENABLED=0", "-ldflags=-buildid=");
	struct elf_kind kind;
	size_t size;
	char *bytes = read_file(whole, &size);

	(void)state;
	((Elf64_Ehdr *)(void *)bytes)->e_shoff = 0;
	assert_int_equal(elf_identify_bytes(bytes, size, &kind), 0);
	assert_true(kind.is_go);
	assert_true(kind_of(without_id).is_go);
}

/* ---- made by hand ---- */

static void put(uint8_t *at, uint32_t value, size_t size)
{
	while (size--) {
		at[size] = (uint8_t)value;
		value >>= 8;
	}
}

static void program_of_32_bits_and_the_other_byte_order_is_read(void **state)
{
	uint8_t bytes[128] = { 0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2MSB, EV_CURRENT };
	struct elf_kind kind, own = own_kind();

	(void)state;
	put(bytes + offsetof(Elf32_Ehdr, e_type), ET_EXEC, 2);
	put(bytes + offsetof(Elf32_Ehdr, e_machine), EM_PPC, 2);
	put(bytes + offsetof(Elf32_Ehdr, e_phoff), sizeof(Elf32_Ehdr), 4);
	put(bytes + offsetof(Elf32_Ehdr, e_phentsize), sizeof(Elf32_Phdr), 2);
	put(bytes + offsetof(Elf32_Ehdr, e_phnum), 1, 2);
	put(bytes + sizeof(Elf32_Ehdr) + offsetof(Elf32_Phdr, p_type), PT_INTERP, 4);
	put(bytes + sizeof(Elf32_Ehdr) + offsetof(Elf32_Phdr, p_offset), 100, 4);
	put(bytes + sizeof(Elf32_Ehdr) + offsetof(Elf32_Phdr, p_filesz), 7, 4);
	memcpy(bytes + 100, "/ld.so", 7);
	assert_int_equal(elf_identify_bytes(bytes, sizeof(bytes), &kind), 0);
	assert_false(kind.is_64);
	assert_true(kind.is_big_endian);
	assert_int_equal(kind.linkage, ELF_DYNAMIC);
	assert_string_equal(kind.interpreter, "/ld.so");
	assert_string_equal(elf_machine_name(&kind), "ppc");
	assert_false(elf_is_same_machine(&kind, &own));
}

static void loader_with_a_long_name_is_cut(void **state)
{
	static uint8_t bytes[8192] = { 0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2MSB, EV_CURRENT };
	struct elf_kind kind;

	(void)state;
	put(bytes + offsetof(Elf32_Ehdr, e_type), ET_DYN, 2);
	put(bytes + offsetof(Elf32_Ehdr, e_phoff), sizeof(Elf32_Ehdr), 4);
	put(bytes + offsetof(Elf32_Ehdr, e_phentsize), sizeof(Elf32_Phdr), 2);
	put(bytes + offsetof(Elf32_Ehdr, e_phnum), 1, 2);
	put(bytes + sizeof(Elf32_Ehdr) + offsetof(Elf32_Phdr, p_type), PT_INTERP, 4);
	put(bytes + sizeof(Elf32_Ehdr) + offsetof(Elf32_Phdr, p_offset), 100, 4);
	put(bytes + sizeof(Elf32_Ehdr) + offsetof(Elf32_Phdr, p_filesz), 5000, 4);
	memset(bytes + 100, 'x', 5000);
	assert_int_equal(elf_identify_bytes(bytes, sizeof(bytes), &kind), 0);
	assert_int_equal(strlen(kind.interpreter), ELF_INTERPRETER_SIZE - 1);
}

static void what_is_no_elf_file_is_refused(void **state)
{
	static const char *const texts[] = { "", "\177", "\177EL", "#!/bin/sh\nexec something else\n" };
	struct elf_kind kind;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		assert_int_equal(elf_identify_bytes(texts[i], strlen(texts[i]), &kind), -ENOEXEC);
}

/* ---- bytes that mean no good ---- */

/* In memory of just that size, where a sanitizer sees a byte too many. */
static int identify_exactly(const void *bytes, size_t size)
{
	void *copy = malloc(size ? size : 1);
	struct elf_kind kind;
	int r;

	memcpy(copy, bytes, size);
	r = elf_identify_bytes(copy, size, &kind);
	free(copy);
	if (r != 0 && r != -ENOEXEC && r != -EBADMSG)
		fail_msg("of %zu bytes: %s", size, strerror(-r));
	return r;
}

static void file_that_is_cut_anywhere_is_survived(void **state)
{
	size_t size;
	const char *bytes = read_file(compiled("gcc", "idle", ""), &size);

	(void)state;
	for (size_t n = 0; n < size; n += n < 2048 ? 1 : 37)
		identify_exactly(bytes, n);
	assert_int_equal(identify_exactly(bytes, sizeof(Elf64_Ehdr) - 1), -EBADMSG);
	assert_int_equal(identify_exactly(bytes, sizeof(Elf64_Ehdr)), -EBADMSG);
	assert_int_equal(identify_exactly(bytes, size), 0);
}

/* Any byte of the headers, and of what they lead to, at its extremes. */
static void file_with_any_byte_changed_is_survived(void **state)
{
	static const unsigned char values[] = { 0, 1, 0x7f, 0x80, 0xff };
	size_t size, refused = 0;
	char *bytes = read_file(compiled("gcc", "idle", "-s"), &size);

	(void)state;
	for (size_t at = 0; at < 1024; at++) {
		char before = bytes[at];

		for (size_t i = 0; i < sizeof(values); i++) {
			bytes[at] = (char)values[i];
			refused += identify_exactly(bytes, size) != 0;
		}
		bytes[at] = before;
	}
	assert_true(refused > 0);
}

/* As many headers as a file can name, each of as much as it can name. */
static void headers_beyond_number_are_refused(void **state)
{
	Elf64_Ehdr file = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64,
					 own_kind().is_big_endian ? ELFDATA2MSB : ELFDATA2LSB },
			    .e_type = ET_EXEC,
			    .e_phoff = sizeof(file),
			    .e_phentsize = sizeof(Elf64_Phdr),
			    .e_phnum = 0xffff };
	size_t size = sizeof(file) + 0xffff * sizeof(Elf64_Phdr);
	char *bytes = calloc(1, size);

	(void)state;
	memcpy(bytes, &file, sizeof(file));
	assert_int_equal(identify_exactly(bytes, size), -EBADMSG);
	file.e_phoff = UINT64_MAX - 8;
	memcpy(bytes, &file, sizeof(file));
	assert_int_equal(identify_exactly(bytes, size), -EBADMSG);
	file.e_phnum = 0;
	file.e_shoff = UINT64_MAX - 8;
	file.e_shnum = 0xffff;
	file.e_shstrndx = 0xfffe;
	file.e_shentsize = sizeof(Elf64_Shdr);
	memcpy(bytes, &file, sizeof(file));
	assert_int_equal(identify_exactly(bytes, size), 0);
	free(bytes);
}

static long fail_to_read(const void *of, uint64_t offset, void *buf, size_t size)
{
	(void)offset, (void)buf, (void)size;
	return *(const int *)of;
}

static void error_of_the_file_is_passed_on(void **state)
{
	int error = -EIO;
	struct elf_source source = { fail_to_read, &error };
	struct elf_kind kind;

	(void)state;
	assert_int_equal(elf_identify(&source, &kind), -EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(dynamic_program_names_its_loader),
		TEST(dynamic_program_at_a_fixed_address_names_its_loader),
		TEST(static_program_has_no_loader),
		TEST(static_program_at_any_address_has_no_loader),
		TEST(stripped_program_is_told_as_before),
		TEST(program_of_musl_names_musls_loader),
		TEST(shim_and_loader_are_libraries),
		TEST(object_file_is_no_program),
		TEST(another_machine_is_named),
		TEST(program_of_go_is_told),
		TEST(dynamic_program_of_go_is_told),
		TEST(program_of_go_is_told_by_either_mark),
		TEST(program_of_32_bits_and_the_other_byte_order_is_read),
		TEST(loader_with_a_long_name_is_cut),
		TEST(what_is_no_elf_file_is_refused),
		TEST(file_that_is_cut_anywhere_is_survived),
		TEST(file_with_any_byte_changed_is_survived),
		TEST(headers_beyond_number_are_refused),
		TEST(error_of_the_file_is_passed_on),
	};

	return RUN_TESTS(tests);
}
