/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an ELF file has to do with other objects, as far as that tells how it dials: the names that it takes from them and gives
 * to them, and whether its code dials past them. Of files for this machine alone.
 *
 * As elf.h: the file may be anybody's, and is read in pieces, each bounded. A file without section headers tells nothing of its
 * names. Thread-safe.
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
	bool has_bare_connect;     /* an instruction that enters the kernel, with connect's number set just before */
	char build_id[2 * 32 + 1]; /* hexadecimal; "": it has none */
};

/* 0; -ENOTSUP for a file of another machine; -EBADMSG; or an error of pread(2). The file stays open and where it is. */
int elf_links_fd(int fd, struct elf_links *ret_links);

#endif
