/* SPDX-License-Identifier: Apache-2.0 */
#include "inspect/elf_links.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "inspect/elf.h"

enum {
	MOST_HEADERS = 1024,
	MOST_SECTIONS = 4096,
	MOST_SYMBOLS = 1 << 20,
	MOST_STRINGS = 32 << 20,
	MOST_NOTES = 1 << 16,
	MOST_CODE = 256 << 20,
	PIECE = 1 << 16,
	NEAR = 32, /* bytes of code between the number of a system call and the call */
};

/* One file while it is looked at. */
struct look {
	int fd;
	Elf64_Ehdr file;
	Elf64_Shdr *sections;
	struct elf_links links;
	uint8_t piece[PIECE];
};

/* All of it, or -EBADMSG. */
static int read_whole(int fd, uint64_t offset, void *buf, size_t size)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n = offset > INT64_MAX - size ? 0 : pread(fd, (char *)buf + len, size - len, (off_t)(offset + len));

		if (n <= 0)
			return n < 0 ? -errno : -EBADMSG;
		len += (size_t)n;
	}
	return 0;
}

/* ---- names ---- */

static unsigned name_bit(const char *name)
{
	static const struct {
		const char *name;
		unsigned bit;
	} known[] = {
		{ "connect", NAME_CONNECT },	       { "getaddrinfo", NAME_GETADDRINFO },
		{ "gethostbyname", NAME_GETADDRINFO }, { "gethostbyname_r", NAME_GETADDRINFO },
		{ "syscall", NAME_SYSCALL },	       { "dlopen", NAME_DLOPEN },
		{ "dlmopen", NAME_DLMOPEN },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (strcmp(name, known[i].name) == 0)
			return known[i].bit;
	return strncmp(name, "io_uring_", 9) == 0 ? NAME_IO_URING : 0;
}

static void take_symbols(struct look *look, size_t bytes, const char *strings, size_t size)
{
	for (size_t at = 0; at + sizeof(Elf64_Sym) <= bytes; at += sizeof(Elf64_Sym)) {
		Elf64_Sym symbol;
		unsigned bit;

		memcpy(&symbol, look->piece + at, sizeof(symbol));
		bit = symbol.st_name < size ? name_bit(strings + symbol.st_name) : 0;
		if (symbol.st_shndx == SHN_UNDEF)
			look->links.imports |= bit;
		else
			look->links.defines |= bit;
	}
}

static void take_needed(struct look *look, size_t bytes, const char *strings, size_t size)
{
	for (size_t at = 0; at + sizeof(Elf64_Dyn) <= bytes; at += sizeof(Elf64_Dyn)) {
		Elf64_Dyn entry;

		memcpy(&entry, look->piece + at, sizeof(entry));
		if (entry.d_tag == DT_NULL)
			return;
		if (entry.d_tag == DT_NEEDED && entry.d_un.d_val < size)
			look->links.needs_uring |= strncmp(strings + entry.d_un.d_val, "liburing.so", 11) == 0;
	}
}

/* The names that a section's rows refer to; NULL: none that can be read. The caller frees them. */
static char *read_strings(struct look *look, const Elf64_Shdr *section, size_t *ret_size)
{
	const Elf64_Shdr *strings = section->sh_link < look->file.e_shnum ? &look->sections[section->sh_link] : NULL;
	char *at;

	if (!strings || strings->sh_size == 0 || strings->sh_size > MOST_STRINGS)
		return NULL;
	at = malloc(strings->sh_size + 1);
	if (!at || read_whole(look->fd, strings->sh_offset, at, strings->sh_size) < 0) {
		free(at);
		return NULL;
	}
	at[strings->sh_size] = '\0';
	*ret_size = strings->sh_size;
	return at;
}

static int take_rows(struct look *look, const Elf64_Shdr *section)
{
	uint64_t size = section->sh_size, most = MOST_SYMBOLS * sizeof(Elf64_Sym);
	size_t strings_size, row = sizeof(Elf64_Sym), step = PIECE / row * row;
	char *strings = read_strings(look, section, &strings_size);
	int r = strings ? 0 : -EBADMSG;

	if (section->sh_type == SHT_DYNAMIC)
		step = PIECE / sizeof(Elf64_Dyn) * sizeof(Elf64_Dyn);
	for (uint64_t at = 0; r == 0 && at < size && at < most; at += step) {
		size_t some = size - at < step ? size - at : step;

		r = read_whole(look->fd, section->sh_offset + at, look->piece, some);
		if (r == 0 && section->sh_type == SHT_DYNAMIC)
			take_needed(look, some, strings, strings_size);
		else if (r == 0)
			take_symbols(look, some, strings, strings_size);
	}
	free(strings);
	return r;
}

/* ---- the build's number ---- */

static void take_notes(struct look *look, const Elf64_Shdr *section)
{
	size_t size = section->sh_size < MOST_NOTES ? section->sh_size : MOST_NOTES, at = 0;
	Elf64_Nhdr note;

	if (read_whole(look->fd, section->sh_offset, look->piece, size) < 0)
		return;
	while (at + sizeof(note) <= size) {
		uint64_t name, value;

		memcpy(&note, look->piece + at, sizeof(note));
		name = ((uint64_t)note.n_namesz + 3) & ~3ull;
		value = ((uint64_t)note.n_descsz + 3) & ~3ull;
		at += sizeof(note);
		if (name > size - at || value > size - at - name)
			return;
		if (note.n_type == NT_GNU_BUILD_ID && name == 4 && memcmp(look->piece + at, "GNU", 4) == 0)
			for (size_t i = 0; i < note.n_descsz && i < sizeof(look->links.build_id) / 2; i++) {
				look->links.build_id[2 * i] = "0123456789abcdef"[look->piece[at + 4 + i] >> 4];
				look->links.build_id[2 * i + 1] = "0123456789abcdef"[look->piece[at + 4 + i] & 15];
			}
		at += name + value;
	}
}

static int take_sections(struct look *look)
{
	size_t count = look->file.e_shnum;
	int r;

	if (look->file.e_shoff == 0 || count == 0)
		return 0;
	if (count > MOST_SECTIONS || look->file.e_shentsize != sizeof(Elf64_Shdr))
		return -EBADMSG;
	look->sections = calloc(count, sizeof(Elf64_Shdr));
	if (!look->sections)
		return -ENOMEM;
	r = read_whole(look->fd, look->file.e_shoff, look->sections, count * sizeof(Elf64_Shdr));
	for (size_t i = 0; r == 0 && i < count; i++) {
		const Elf64_Shdr *section = &look->sections[i];

		if (section->sh_type == SHT_NOTE)
			take_notes(look, section);
		if (section->sh_type == SHT_DYNSYM || section->sh_type == SHT_DYNAMIC)
			r = take_rows(look, section);
		look->links.has_names |= section->sh_type == SHT_DYNSYM;
	}
	free(look->sections);
	return r;
}

/* ---- code ---- */

/* x86-64: mov $42,%eax … syscall. */
static bool dials_x86(const uint8_t *code, size_t len)
{
	static const uint8_t number[] = { 0xb8, 42, 0, 0, 0 }, call[] = { 0x0f, 0x05 };

	for (const uint8_t *at = code; (at = memmem(at, len - (size_t)(at - code), call, sizeof(call))); at++) {
		size_t before = (size_t)(at - code) < NEAR ? (size_t)(at - code) : NEAR;

		if (memmem(at - before, before, number, sizeof(number)))
			return true;
	}
	return false;
}

/* aarch64: mov x8 or w8,#203 … svc #0. */
static bool dials_arm(const uint8_t *code, size_t len)
{
	size_t since = NEAR;

	for (size_t at = 0; at + 4 <= len; at += 4) {
		uint32_t word;

		memcpy(&word, code + at, sizeof(word));
		since = (word & 0x7fffffffu) == 0x52801968u ? 0 : since + 4;
		if (word == 0xd4000001u && since <= NEAR)
			return true;
	}
	return false;
}

static int take_code(struct look *look, const Elf64_Phdr *segment)
{
	uint64_t size = segment->p_filesz < MOST_CODE ? segment->p_filesz : MOST_CODE;

	/* Pieces overlap, so that what is cut by one is whole in the next. */
	for (uint64_t at = 0; at < size && !look->links.has_bare_connect; at += PIECE - 2 * NEAR) {
		size_t some = size - at < PIECE ? size - at : PIECE;
		int r = read_whole(look->fd, segment->p_offset + at, look->piece, some);

		if (r < 0)
			return r;
		look->links.has_bare_connect = look->file.e_machine == EM_X86_64 ? dials_x86(look->piece, some)
										  : dials_arm(look->piece, some);
	}
	return 0;
}

static int take_segments(struct look *look)
{
	int r = 0;

	if (look->file.e_phnum > MOST_HEADERS || (look->file.e_phnum && look->file.e_phentsize != sizeof(Elf64_Phdr)))
		return -EBADMSG;
	for (size_t i = 0; r == 0 && i < look->file.e_phnum; i++) {
		Elf64_Phdr segment;

		r = read_whole(look->fd, look->file.e_phoff + i * sizeof(segment), &segment, sizeof(segment));
		if (r == 0 && segment.p_type == PT_LOAD && (segment.p_flags & PF_X))
			r = take_code(look, &segment);
	}
	return r;
}

/* ---- the whole ---- */

static bool is_of_this_machine(const Elf64_Ehdr *file)
{
#if defined(__x86_64__)
	const uint16_t machine = EM_X86_64;
#else
	const uint16_t machine = EM_AARCH64;
#endif
	return file->e_ident[EI_CLASS] == ELFCLASS64 && file->e_ident[EI_DATA] == ELFDATA2LSB && file->e_machine == machine;
}

int elf_links_fd(int fd, struct elf_links *ret_links)
{
	struct look *look = calloc(1, sizeof(*look));
	struct elf_kind kind;
	int r = look ? elf_identify_fd(fd, &kind) : -ENOMEM;

	if (r == 0) {
		look->fd = fd;
		r = read_whole(fd, 0, &look->file, sizeof(look->file));
	}
	if (r == 0 && !is_of_this_machine(&look->file))
		r = -ENOTSUP;
	if (r == 0)
		r = take_sections(look);
	if (r == 0)
		r = take_segments(look);
	if (r == 0)
		*ret_links = look->links;
	free(look);
	return r;
}
