/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dialer, but it dials before others have begun; its arguments are the dialer's.
 *
 *	-DBEFORE_CONSTRUCTORS	a program whose .preinit_array dials: no object's constructor has run
 *	-DIN_CONSTRUCTOR	an object to preload, whose constructor dials; the arguments are the program's
 *	-DWITHOUT_LIBC_START	a program, compiled with -nostartfiles, that never calls __libc_start_main
 */
#define main dial_as_told
#include "../dialer.c"
#undef main

#ifdef WITHOUT_LIBC_START

#include "start.h"

static void start_at(long *stack)
{
	exit(dial_as_told((int)stack[0], (char **)(stack + 1)));
}

#else

enum { ARGUMENTS_MAX = 16 };

/* Not every libc gives a constructor its arguments. */
static int read_arguments(char *text, size_t size, char **argv)
{
	FILE *file = fopen("/proc/self/cmdline", "re");
	size_t length = file ? fread(text, 1, size - 1, file) : 0;
	int argc = 0;

	for (size_t at = 0; at < length && argc < ARGUMENTS_MAX; at += strlen(text + at) + 1)
		argv[argc++] = text + at;
	argv[argc] = NULL;
	if (file)
		fclose(file);
	return argc;
}

static void dial_early(void)
{
	static char text[4096], *argv[ARGUMENTS_MAX + 1];

	dial_as_told(read_arguments(text, sizeof(text), argv), argv);
	fflush(stdout);
}

#ifdef BEFORE_CONSTRUCTORS

__attribute__((section(".preinit_array"), used)) static void (*before_constructors)(void) = dial_early;

int main(void)
{
	return 0;
}

#else

__attribute__((constructor)) static void in_constructor(void)
{
	dial_early();
}

#endif
#endif
