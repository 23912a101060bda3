/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What would run if a command were given: found in PATH, scripts followed to the program that their first lines name
 * (execve(2)), and what that program's file says. Opens nothing but regular files, and runs nothing.
 */
#ifndef FAIRDIAL_INSPECT_PROGRAM_H
#define FAIRDIAL_INSPECT_PROGRAM_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "inspect/elf.h"
#include "inspect/elf_links.h"

#define PROGRAM_STEPS 5 /* as many as the kernel goes */

/* What a file says of the program in it. */
struct program_file {
	bool has_kind, has_links;
	struct elf_kind kind;
	struct elf_links links;
	bool is_setuid, is_setgid, has_capabilities;
	bool is_nosuid; /* on a mount where those marks do nothing */
	uid_t uid;
	gid_t gid;
};

/* How a program came from another: each text is fit for a terminal, and cut where it is longer. */
struct program_step {
	char from[256], to[256];
	bool by_env;	 /* env(1) looked it up */
	bool by_command; /* likewise, and was given it as an argument: there is no script */
	bool by_default; /* a text without #!, which shells and execvp(3) give to /bin/sh */
};

struct program {
	char path[PATH_MAX]; /* of the file that the kernel runs in the end; not fit for a terminal */
	char shown[256];     /* the same, fit for one */
	struct program_step steps[2 * PROGRAM_STEPS];
	size_t step_count, scripts; /* scripts: of these, since the last program that was given as an argument */
	char *const *arguments;	    /* of the program; the caller's */
	bool drops_preload; /* env -i, -u LD_PRELOAD, or another LD_PRELOAD, on the way */
	struct program_file file;
	bool lacks_loader; /* the one that it names is not there */
};

/* Of an open file. */
void program_file_take(int fd, struct program_file *ret_file);

/*
 * As execvp(3) finds it. 0, -ENOENT, or where there is one that may not be executed: -EACCES, -EROFS for a mount without, -EISDIR,
 * -EINVAL for a device, a pipe or a socket.
 */
int program_find(const char *name, char ret_path[PATH_MAX]);

/*
 * Of a command, NULL at its end; what env(1) is given to run is followed too. 0; what program_find tells; -ENOEXEC where it is
 * neither a program nor a text; -ELOOP for too many scripts. On failure `ret->shown` tells what is missing, and the steps how it
 * came to that.
 */
int program_look(char *const *command, struct program *ret);

/* What is known of programs that run others, by the ends of their paths. */
struct program_wrapper {
	const char *name;
	bool is_elsewhere; /* what it runs is not its child, or has other files: LD_PRELOAD does not get there by itself */
};

/* NULL: none that is known. */
const struct program_wrapper *program_wrapper(const char *path);

#endif
