/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an ELF file has to do with other objects, as far as that tells how it dials: the names that it takes from them and gives
 * to them, and whether its code dials past them. Of files for this machine alone.
 *
 * As elf.h: the file may be anybody's, and is read in pieces, each bounded. A file without section headers tells nothing of its
 * names. Damage in one place is damage of all: nothing is told then. Thread-safe.
 *
 * What cannot be seen: a number that comes from memory or from far away (Go's, and that of most assemblers' tables), code that
 * is made while the program runs (a JIT), and what libraries do that it loads.
 */
#ifndef FAIRDIAL_INSPECT_ELF_LINKS_H
#define FAIRDIAL_INSPECT_ELF_LINKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum elf_name {
	NAME_CONNECT = 1 << 0,
	NAME_GETADDRINFO = 1 << 1, /* and its elders */
	NAME_SYSCALL = 1 << 2,
	NAME_IO_URING = 1 << 3,    /* any io_uring_… */
	NAME_DLOPEN = 1 << 4,
	NAME_DLMOPEN = 1 << 5,
};

struct elf_links {
	bool has_names;            /* the next two are known */
	unsigned imports, defines; /* of enum elf_name */
	bool needs_uring;          /* liburing.so among the libraries that it names */
	char needed[4096];         /* these libraries: each with its NUL */
	size_t needed_len;
	char search[1024]; /* where it wants them looked for: DT_RUNPATH, else DT_RPATH */
	bool is_cut;       /* one of these two was longer */
	/* Instructions that enter the kernel, with the call's number set just before: hints, as elf_code.h says. */
	bool has_bare_connect, has_bare_uring;
	bool loads_deep; /* dlopen is called with RTLD_DEEPBIND, as a constant; told of x86-64 code alone */
	char build_id[2 * 32 + 1]; /* hexadecimal; "": it has none */
	char version[32];          /* of libfairdial.so, by its own note; fit for a terminal; "": it has none */
};

/*
 * 0; -ENOTSUP for a file of another machine; -EBADMSG; -EFBIG where there is too much to read; or an error of pread(2). The file
 * stays open and where it is.
 */
int elf_links_fd(int fd, struct elf_links *ret_links);

#endif
