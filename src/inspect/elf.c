/* SPDX-License-Identifier: Apache-2.0 */
#include "inspect/elf.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

enum {
	MOST_HEADERS = 1024, /* of the program: real ones have a dozen */
	MOST_SECTIONS = 4096,
	MOST_DYNAMIC = 1024,
	PIECE = 1 << 16,
	GO_NOTE = 4, /* its build id: cmd/internal/buildid of Go */
};

/* One file while it is looked at. */
struct look {
	const struct elf_source *source;
	bool is_64, swap;
	uint8_t piece[PIECE]; /* what was read last */
	size_t len;
};

/* Where fields lie in the two classes. */
struct place {
	uint8_t at_32, size_32, at_64, size_64;
};

#define PLACE(header, field)                                                                                                   \
	{                                                                                                                      \
		offsetof(Elf32_##header, field), sizeof(((Elf32_##header *)0)->field), offsetof(Elf64_##header, field),        \
			sizeof(((Elf64_##header *)0)->field)                                                                   \
	}

static const struct place e_type = PLACE(Ehdr, e_type), e_machine = PLACE(Ehdr, e_machine), e_phoff = PLACE(Ehdr, e_phoff),
			  e_phentsize = PLACE(Ehdr, e_phentsize), e_phnum = PLACE(Ehdr, e_phnum),
			  e_shoff = PLACE(Ehdr, e_shoff), e_shentsize = PLACE(Ehdr, e_shentsize),
			  e_shnum = PLACE(Ehdr, e_shnum), e_shstrndx = PLACE(Ehdr, e_shstrndx), p_type = PLACE(Phdr, p_type),
			  p_offset = PLACE(Phdr, p_offset), p_filesz = PLACE(Phdr, p_filesz), sh_name = PLACE(Shdr, sh_name),
			  sh_offset = PLACE(Shdr, sh_offset), sh_size = PLACE(Shdr, sh_size), d_tag = PLACE(Dyn, d_tag);

/* ---- reading ---- */

/* A number of `size` bytes, in the file's order. */
static uint64_t number(const struct look *look, const uint8_t *at, size_t size)
{
	uint64_t value = 0;
	bool big = (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__) != look->swap;

	for (size_t i = 0; i < size; i++)
		value |= (uint64_t)at[i] << 8 * (big ? size - 1 - i : i);
	return value;
}

static uint64_t field(const struct look *look, const uint8_t *header, struct place place)
{
	return look->is_64 ? number(look, header + place.at_64, place.size_64)
			   : number(look, header + place.at_32, place.size_32);
}

static size_t size_of(const struct look *look, size_t size_32, size_t size_64)
{
	return look->is_64 ? size_64 : size_32;
}

/* As much of `size` bytes as there are, and as fit into a piece. 0, or what the source says. */
static int read_piece(struct look *look, uint64_t offset, uint64_t size)
{
	look->len = 0;
	if (size > sizeof(look->piece))
		size = sizeof(look->piece);
	while (look->len < size) {
		long n = look->source->read(look->source->of, offset + look->len, look->piece + look->len, size - look->len);

		if (n < 0)
			return (int)n;
		if (n == 0 || offset + look->len + (uint64_t)n < offset)
			return 0;
		look->len += (size_t)n;
	}
	return 0;
}

/* ---- what the program's headers name ---- */

static void take_interpreter(struct look *look, struct elf_kind *kind)
{
	size_t len = look->len < sizeof(kind->interpreter) - 1 ? look->len : sizeof(kind->interpreter) - 1;

	memcpy(kind->interpreter, look->piece, len);
	kind->interpreter[len] = '\0';
}

static bool has_soname(const struct look *look)
{
	size_t size = size_of(look, sizeof(Elf32_Dyn), sizeof(Elf64_Dyn));

	for (size_t i = 0; i < MOST_DYNAMIC && (i + 1) * size <= look->len; i++) {
		uint64_t tag = field(look, look->piece + i * size, d_tag);

		if (tag == DT_SONAME || tag == DT_NULL)
			return tag == DT_SONAME;
	}
	return false;
}

/* The layout of a note is the same in both classes. */
static bool has_go_note(const struct look *look)
{
	const uint64_t head = sizeof(Elf64_Nhdr);
	uint64_t at = 0;

	while (at + head <= look->len) {
		const uint8_t *note = look->piece + at;
		uint64_t name = (number(look, note, 4) + 3) & ~3ull, value = (number(look, note + 4, 4) + 3) & ~3ull;

		if (number(look, note + 8, 4) == GO_NOTE && name == 4 && at + head + name <= look->len &&
		    memcmp(note + head, "Go\0", 4) == 0)
			return true;
		at += head + name + value;
	}
	return false;
}

/* What the headers tell together. */
struct found {
	bool interpreter, dynamic, soname;
};

static int take_header(struct look *look, const uint8_t *header, struct elf_kind *kind, struct found *found)
{
	uint64_t type = field(look, header, p_type), size = field(look, header, p_filesz);
	int r;

	if (type != PT_INTERP && type != PT_DYNAMIC && type != PT_NOTE)
		return 0;
	r = read_piece(look, field(look, header, p_offset), size);
	if (r < 0)
		return r;
	if (type == PT_NOTE) {
		kind->is_go |= has_go_note(look);
		return 0;
	}
	if (look->len == 0 && size > 0)
		return -EBADMSG; /* what the kernel or the loader needs is not there */
	if (type == PT_INTERP)
		take_interpreter(look, kind);
	found->interpreter |= type == PT_INTERP;
	found->dynamic |= type == PT_DYNAMIC;
	found->soname |= type == PT_DYNAMIC && has_soname(look);
	return 0;
}

static enum elf_linkage linkage_of(uint64_t type, const struct found *found)
{
	if (type != ET_EXEC && type != ET_DYN)
		return ELF_NO_PROGRAM;
	if (found->interpreter)
		return ELF_DYNAMIC;
	if (type == ET_EXEC || !found->dynamic)
		return ELF_STATIC;
	return found->soname ? ELF_LIBRARY : ELF_STATIC_PIE;
}

static int take_headers(struct look *look, const uint8_t *file, struct elf_kind *kind)
{
	uint64_t at = field(look, file, e_phoff), count = field(look, file, e_phnum), stride = field(look, file, e_phentsize);
	size_t size = size_of(look, sizeof(Elf32_Phdr), sizeof(Elf64_Phdr));
	uint8_t headers[MOST_HEADERS / 16 * sizeof(Elf64_Phdr)]; /* the piece is needed for what they name */
	struct found found = { 0 };
	int r = 0;

	if (count && stride != size)
		return -EBADMSG;
	for (uint64_t i = 0; r == 0 && i < count; i += sizeof(headers) / size) {
		uint64_t some = count - i < sizeof(headers) / size ? count - i : sizeof(headers) / size;

		if (i >= MOST_HEADERS)
			return -EBADMSG;
		r = read_piece(look, at + i * size, some * size);
		if (r < 0 || look->len < some * size)
			return r < 0 ? r : -EBADMSG;
		memcpy(headers, look->piece, some * size);
		for (uint64_t j = 0; r == 0 && j < some; j++)
			r = take_header(look, headers + j * size, kind, &found);
	}
	kind->linkage = linkage_of(field(look, file, e_type), &found);
	return r;
}

/* ---- the names of the sections, which a program can do without ---- */

static bool is_go_section(const struct look *look, uint64_t name)
{
	static const char *const names[] = { ".go.buildinfo", ".note.go.buildid" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		size_t len = strlen(names[i]) + 1;

		if (name < look->len && look->len - name >= len && memcmp(look->piece + name, names[i], len) == 0)
			return true;
	}
	return false;
}

/* Finds the number among the names in the piece. A file that has none, or damaged ones, has no such section. */
static bool has_go_section(struct look *look, const uint8_t *file)
{
	uint64_t at = field(look, file, e_shoff), count = field(look, file, e_shnum), names = field(look, file, e_shstrndx);
	size_t size = size_of(look, sizeof(Elf32_Shdr), sizeof(Elf64_Shdr));
	uint8_t header[sizeof(Elf64_Shdr)];

	if (at == 0 || field(look, file, e_shentsize) != size || names >= count || count > MOST_SECTIONS)
		return false;
	if (read_piece(look, at + names * size, size) < 0 || look->len < size ||
	    read_piece(look, field(look, look->piece, sh_offset), field(look, look->piece, sh_size)) < 0)
		return false;
	for (uint64_t i = 0; i < count; i++) {
		long n = look->source->read(look->source->of, at + i * size, header, size);

		if (n != (long)size)
			return false;
		if (is_go_section(look, field(look, header, sh_name)))
			return true;
	}
	return false;
}

/* ---- the whole ---- */

static int take_ident(struct look *look, const uint8_t *ident, struct elf_kind *kind)
{
	bool big = ident[EI_DATA] == ELFDATA2MSB;

	if (look->len < EI_NIDENT || memcmp(ident, ELFMAG, SELFMAG) != 0)
		return -ENOEXEC;
	if ((ident[EI_CLASS] != ELFCLASS32 && ident[EI_CLASS] != ELFCLASS64) || (!big && ident[EI_DATA] != ELFDATA2LSB))
		return -EBADMSG;
	look->is_64 = ident[EI_CLASS] == ELFCLASS64;
	look->swap = big != (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
	kind->is_64 = look->is_64;
	kind->is_big_endian = big;
	return look->len < size_of(look, sizeof(Elf32_Ehdr), sizeof(Elf64_Ehdr)) ? -EBADMSG : 0;
}

int elf_identify(const struct elf_source *source, struct elf_kind *ret_kind)
{
	uint8_t file[sizeof(Elf64_Ehdr)];
	struct look look = { .source = source };
	struct elf_kind kind = { 0 };
	int r = read_piece(&look, 0, sizeof(file));

	if (r < 0)
		return r;
	memcpy(file, look.piece, sizeof(file));
	r = take_ident(&look, file, &kind);
	if (r < 0)
		return r;
	kind.machine = (uint16_t)field(&look, file, e_machine);
	r = take_headers(&look, file, &kind);
	if (r < 0)
		return r;
	kind.is_go = kind.is_go || has_go_section(&look, file);
	*ret_kind = kind;
	return 0;
}

static long read_fd(const void *of, uint64_t offset, void *buf, size_t size)
{
	ssize_t n = offset > INT64_MAX - size ? 0 : pread(*(const int *)of, buf, size, (off_t)offset);

	return n < 0 ? -errno : n;
}

int elf_identify_fd(int fd, struct elf_kind *ret_kind)
{
	return elf_identify(&(struct elf_source){ read_fd, &fd }, ret_kind);
}

struct memory {
	const uint8_t *at;
	size_t size;
};

static long read_memory(const void *of, uint64_t offset, void *buf, size_t size)
{
	const struct memory *memory = of;

	if (offset >= memory->size)
		return 0;
	if (size > memory->size - offset)
		size = memory->size - offset;
	memcpy(buf, memory->at + offset, size);
	return (long)size;
}

int elf_identify_bytes(const void *bytes, size_t size, struct elf_kind *ret_kind)
{
	return elf_identify(&(struct elf_source){ read_memory, &(struct memory){ bytes, size } }, ret_kind);
}

bool elf_is_same_machine(const struct elf_kind *a, const struct elf_kind *b)
{
	return a->is_64 == b->is_64 && a->is_big_endian == b->is_big_endian && a->machine == b->machine;
}

const char *elf_machine_name(const struct elf_kind *kind)
{
	static const struct {
		uint16_t machine;
		bool is_64;
		const char *name;
	} names[] = {
		{ EM_X86_64, true, "x86-64" },
		{ EM_X86_64, false, "x32" },
		{ EM_386, false, "x86 (32 bits)" },
		{ EM_AARCH64, true, "aarch64" },
		{ EM_AARCH64, false, "aarch64 (32 bits)" },
		{ EM_ARM, false, "arm (32 bits)" },
		{ EM_PPC64, true, "ppc64" },
		{ EM_S390, true, "s390x" },
		{ EM_RISCV, true, "riscv64" },
		{ EM_MIPS, true, "mips64" },
		{ EM_MIPS, false, "mips" },
		{ EM_PPC, false, "ppc" },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (names[i].machine == kind->machine && names[i].is_64 == kind->is_64)
			return names[i].name;
	return "another machine";
}
