/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What kind of program an ELF file is, as far as that decides whether a preloaded object gets into it (elf(5), ld.so(8)): for
 * which machine, whether a loader runs first, and whether Go made it.
 *
 * The file may be anybody's. It is read piece by piece through a function of the caller, each piece bounded, both byte orders
 * and both classes; nothing is mapped (a file that shrinks meanwhile would kill), and nothing in it can make more than a few
 * thousand reads of at most 64 KiB. Allocates nothing; thread-safe.
 */
#ifndef FAIRDIAL_INSPECT_ELF_H
#define FAIRDIAL_INSPECT_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ELF_INTERPRETER_SIZE 256

enum elf_linkage {
	ELF_STATIC,     /* no loader: LD_PRELOAD is not read */
	ELF_STATIC_PIE, /* likewise; it relocates itself */
	ELF_DYNAMIC,    /* names a loader (PT_INTERP) */
	ELF_LIBRARY,    /* a shared object, such as a loader, which is run by itself to run another program */
	ELF_NO_PROGRAM, /* a relocatable file, a core */
	ELF_LINKAGES
};

struct elf_kind {
	bool is_64, is_big_endian;
	uint16_t machine; /* EM_X86_64 … */
	enum elf_linkage linkage;
	bool is_go; /* made by the Go linker: most likely it dials by system calls of its own, however it is linked */
	char interpreter[ELF_INTERPRETER_SIZE]; /* of ELF_DYNAMIC; cut where it is longer; not fit for a terminal */
};

/* Where the bytes come from. */
struct elf_source {
	/* As pread(2): at most `size` bytes at `offset`; how many there were, 0 at the end, or a negative errno. */
	long (*read)(const void *of, uint64_t offset, void *buf, size_t size);
	const void *of;
};

/*
 * 0; -ENOEXEC where it is no ELF file (a script, an empty file); -EBADMSG where its headers lie outside of it or contradict
 * themselves; or what the source's read returned.
 */
int elf_identify(const struct elf_source *source, struct elf_kind *ret_kind);

/* The same of a file that is open for reading, which stays open and where it is; and of bytes in memory. */
int elf_identify_fd(int fd, struct elf_kind *ret_kind);
int elf_identify_bytes(const void *bytes, size_t size, struct elf_kind *ret_kind);

/* Whether one can be loaded into the other: class, byte order and machine are the same. */
bool elf_is_same_machine(const struct elf_kind *a, const struct elf_kind *b);

/* "x86-64", "x86 (32 bits)", "aarch64"; "another machine" where it has no name here. For people. */
const char *elf_machine_name(const struct elf_kind *kind);

#endif
