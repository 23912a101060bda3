/* SPDX-License-Identifier: Apache-2.0 */
#include "inspect/elf_links.h"

#include <ctype.h>
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "inspect/elf.h"
#include "inspect/elf_code.h"

#define OWNER "fairdial" /* of the shim's note: src/shim/version.c */

enum {
	MOST_HEADERS = 1024,
	MOST_SECTIONS = 4096,
	MOST_SYMBOLS = 1 << 20,
	MOST_STRINGS = 32 << 20,
	MOST_CODE = 256 << 20,
	MOST_READ = 1 << 30, /* altogether: a file may name the same bytes a thousand times */
	DEEPBIND = 8, /* RTLD_DEEPBIND of glibc; musl has none */
	LEAST_READ = 4096, /* what a small one counts as: each is a system call */
	PIECE = 1 << 16,
};

/* One file while it is looked at. */
struct look {
	int fd;
	Elf64_Ehdr file;
	Elf64_Shdr *sections;
	struct elf_links links;
	bool has_runpath;
	struct code_calls loads; /* of dlopen */
	uint64_t was_read;
	uint8_t piece[PIECE];
};

/* All of it, or -EBADMSG. */
static int read_whole(struct look *look, uint64_t offset, void *buf, size_t size)
{
	size_t len = 0;

	look->was_read += size > LEAST_READ ? size : LEAST_READ;
	if (look->was_read > MOST_READ)
		return -EFBIG;
	while (len < size) {
		ssize_t n = offset > INT64_MAX - size ? 0 : pread(look->fd, (char *)buf + len, size - len, (off_t)(offset + len));

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

static void add_needed(struct elf_links *links, const char *name)
{
	size_t len = strlen(name) + 1;

	links->needs_uring |= strncmp(name, "liburing.so", 11) == 0;
	if (len > sizeof(links->needed) - links->needed_len) {
		links->is_cut = true;
		return;
	}
	memcpy(links->needed + links->needed_len, name, len);
	links->needed_len += len;
}

static void take_search(struct elf_links *links, const char *dirs)
{
	links->is_cut |= (size_t)snprintf(links->search, sizeof(links->search), "%s", dirs) >= sizeof(links->search);
}

/* One row of the dynamic section; false at its end. */
static bool take_dynamic(struct look *look, const Elf64_Dyn *row, const char *strings, size_t size)
{
	const char *text = row->d_un.d_val < size ? strings + row->d_un.d_val : "";

	if (row->d_tag == DT_NEEDED)
		add_needed(&look->links, text);
	else if (row->d_tag == DT_RUNPATH || (row->d_tag == DT_RPATH && !look->has_runpath)) /* ld.so(8) */
		take_search(&look->links, text);
	look->has_runpath |= row->d_tag == DT_RUNPATH;
	return row->d_tag != DT_NULL;
}

static void take_dynamics(struct look *look, size_t bytes, const char *strings, size_t size)
{
	bool more = true;

	for (size_t at = 0; more && at + sizeof(Elf64_Dyn) <= bytes; at += sizeof(Elf64_Dyn)) {
		Elf64_Dyn row;

		memcpy(&row, look->piece + at, sizeof(row));
		more = take_dynamic(look, &row, strings, size);
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
	if (!at || read_whole(look, strings->sh_offset, at, strings->sh_size) < 0) {
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

		r = read_whole(look, section->sh_offset + at, look->piece, some);
		if (r == 0 && section->sh_type == SHT_DYNAMIC)
			take_dynamics(look, some, strings, strings_size);
		else if (r == 0)
			take_symbols(look, some, strings, strings_size);
	}
	free(strings);
	return r;
}

/* ---- relocations ---- */

/* Whether a row of the symbols that `section` is linked to has the name dlopen. */
static bool is_dlopen(struct look *look, const Elf64_Shdr *section, uint64_t row)
{
	const Elf64_Shdr *symbols = section->sh_link < look->file.e_shnum ? &look->sections[section->sh_link] : NULL;
	const Elf64_Shdr *strings = symbols && symbols->sh_link < look->file.e_shnum ? &look->sections[symbols->sh_link] : NULL;
	char name[sizeof("dlopen")] = "";
	Elf64_Sym symbol;

	return strings && read_whole(look, symbols->sh_offset + row * sizeof(symbol), &symbol, sizeof(symbol)) == 0 &&
	       read_whole(look, strings->sh_offset + symbol.st_name, name, sizeof(name)) == 0 &&
	       memcmp(name, "dlopen", sizeof(name)) == 0;
}

static void take_relocations(struct look *look, const Elf64_Shdr *section, size_t bytes)
{
	for (size_t at = 0; at + sizeof(Elf64_Rela) <= bytes && look->loads.slot_count < CODE_SLOTS; at += sizeof(Elf64_Rela)) {
		Elf64_Rela row;
		uint64_t type;

		memcpy(&row, look->piece + at, sizeof(row));
		type = ELF64_R_TYPE(row.r_info);
		if ((type == R_X86_64_JUMP_SLOT || type == R_X86_64_GLOB_DAT) && is_dlopen(look, section, ELF64_R_SYM(row.r_info)))
			look->loads.slots[look->loads.slot_count++] = row.r_offset;
	}
}

/* Where the address of dlopen goes, of a file that calls it. */
static int take_slots(struct look *look)
{
	const size_t step = PIECE / sizeof(Elf64_Rela) * sizeof(Elf64_Rela);
	int r = 0;

	if (look->file.e_machine != EM_X86_64 || !(look->links.imports & NAME_DLOPEN))
		return 0;
	for (size_t i = 0; r == 0 && i < look->file.e_shnum; i++) {
		const Elf64_Shdr *section = &look->sections[i];

		for (uint64_t at = 0; r == 0 && section->sh_type == SHT_RELA && at < section->sh_size; at += step) {
			size_t some = section->sh_size - at < step ? section->sh_size - at : step;

			r = read_whole(look, section->sh_offset + at, look->piece, some);
			if (r == 0)
				take_relocations(look, section, some);
		}
	}
	return r;
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
	r = read_whole(look, look->file.e_shoff, look->sections, count * sizeof(Elf64_Shdr));
	for (size_t i = 0; r == 0 && i < count; i++) {
		const Elf64_Shdr *section = &look->sections[i];

		if (section->sh_type == SHT_DYNSYM || section->sh_type == SHT_DYNAMIC)
			r = take_rows(look, section);
		look->links.has_names |= section->sh_type == SHT_DYNSYM;
	}
	if (r == 0)
		r = take_slots(look);
	free(look->sections);
	return r;
}

/* ---- code ---- */

static void take_calls(struct look *look, const uint8_t *code, size_t len, uint64_t address)
{
	bool is_x86 = look->file.e_machine == EM_X86_64;

	(void)address;
	look->links.has_bare_connect |= code_makes_call(is_x86, code, len, is_x86 ? 42 : 203);
	look->links.has_bare_uring |= code_makes_call(is_x86, code, len, 426); /* io_uring_enter, on every machine */
}

static void take_stubs(struct look *look, const uint8_t *code, size_t len, uint64_t address)
{
	code_find_stubs(&look->loads, code, len, address);
}

static void take_loads(struct look *look, const uint8_t *code, size_t len, uint64_t address)
{
	look->links.loads_deep |= code_passes_bit(&look->loads, code, len, address, DEEPBIND);
}

static int walk_code(struct look *look, const Elf64_Phdr *segment, void (*take)(struct look *, const uint8_t *, size_t, uint64_t))
{
	uint64_t size = segment->p_filesz < MOST_CODE ? segment->p_filesz : MOST_CODE;

	/* Pieces overlap, so that what is cut by one is whole in the next. */
	for (uint64_t at = 0; at < size; at += PIECE - 2 * CODE_NEAR) {
		size_t some = size - at < PIECE ? size - at : PIECE;
		int r = read_whole(look, segment->p_offset + at, look->piece, some);

		if (r < 0)
			return r;
		take(look, look->piece, some, segment->p_vaddr + at);
	}
	return 0;
}

/* ---- notes ---- */

static void take_build_id(struct elf_links *links, const uint8_t *value, size_t size)
{
	for (size_t i = 0; i < size && i < sizeof(links->build_id) / 2; i++) {
		links->build_id[2 * i] = "0123456789abcdef"[value[i] >> 4];
		links->build_id[2 * i + 1] = "0123456789abcdef"[value[i] & 15];
	}
}

/* Nothing but what a version is made of, or none: whoever wrote the file, it goes to terminals. */
static void take_version(struct elf_links *links, const uint8_t *value, size_t size)
{
	size_t len = 0;

	while (len < size && len < sizeof(links->version) - 1 && (isalnum(value[len]) || memchr(".-+~", value[len], 4)))
		len++;
	if (len < size && value[len] == '\0')
		memcpy(links->version, value, len);
}

static void take_note(struct elf_links *links, uint32_t type, const uint8_t *owner, size_t owner_size, const uint8_t *value,
		      size_t size)
{
	if (type == NT_GNU_BUILD_ID && owner_size == 4 && memcmp(owner, "GNU", 4) == 0)
		take_build_id(links, value, size);
	if (type == NT_VERSION && owner_size == sizeof(OWNER) && memcmp(owner, OWNER, sizeof(OWNER)) == 0)
		take_version(links, value, size);
}

static int take_notes(struct look *look, const Elf64_Phdr *segment)
{
	size_t size = segment->p_filesz < PIECE ? segment->p_filesz : PIECE, at = 0;
	int r = read_whole(look, segment->p_offset, look->piece, size);

	while (r == 0 && at + sizeof(Elf64_Nhdr) <= size) {
		Elf64_Nhdr note;
		uint64_t owner, value;

		memcpy(&note, look->piece + at, sizeof(note));
		owner = ((uint64_t)note.n_namesz + 3) & ~3ull;
		value = ((uint64_t)note.n_descsz + 3) & ~3ull;
		at += sizeof(note);
		if (owner > size - at || value > size - at - owner)
			return 0;
		take_note(&look->links, note.n_type, look->piece + at, note.n_namesz, look->piece + at + owner, note.n_descsz);
		at += owner + value;
	}
	return r;
}

/* ---- segments ---- */

static bool is_code(const Elf64_Phdr *segment)
{
	return segment->p_type == PT_LOAD && (segment->p_flags & PF_X);
}

static int take_segment(struct look *look, const Elf64_Phdr *segment)
{
	if (segment->p_type == PT_NOTE)
		return take_notes(look, segment);
	return is_code(segment) ? walk_code(look, segment, take_calls) : 0;
}

/* Stubs may lie behind the code that calls them: they are looked for first, in all of it. */
static int take_stubs_of(struct look *look, const Elf64_Phdr *segment)
{
	return is_code(segment) ? walk_code(look, segment, take_stubs) : 0;
}

static int take_loads_of(struct look *look, const Elf64_Phdr *segment)
{
	return is_code(segment) ? walk_code(look, segment, take_loads) : 0;
}

static int walk_segments(struct look *look, int (*take)(struct look *, const Elf64_Phdr *))
{
	int r = 0;

	if (look->file.e_phnum > MOST_HEADERS || (look->file.e_phnum && look->file.e_phentsize != sizeof(Elf64_Phdr)))
		return -EBADMSG;
	for (size_t i = 0; r == 0 && i < look->file.e_phnum; i++) {
		Elf64_Phdr segment;

		r = read_whole(look, look->file.e_phoff + i * sizeof(segment), &segment, sizeof(segment));
		if (r == 0)
			r = take(look, &segment);
	}
	return r;
}

static int take_segments(struct look *look)
{
	int r = walk_segments(look, take_segment);

	if (r == 0 && look->loads.slot_count) {
		r = walk_segments(look, take_stubs_of);
		if (r == 0)
			r = walk_segments(look, take_loads_of);
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
		r = read_whole(look, 0, &look->file, sizeof(look->file));
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
