/* SPDX-License-Identifier: Apache-2.0 */
#include "install/closure.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "install/self.h"

enum { LATE = 3 }; /* libraries that the C library loads when it needs them */

extern const char *gnu_get_libc_version(void) __attribute__((weak));

/* ---- what is loaded ---- */

/* An object as the dynamic loader lists it; the texts are the process's own. */
struct object {
	const char *path, *soname;
	const char *interpreter; /* the program's alone: PT_INTERP */
	const char *strings;
	const ElfW(Dyn) *dynamic;
};

struct objects {
	size_t count;
	struct object at[CLOSURE_MAX * 2];
};

/* glibc turns the addresses of a dynamic section into absolute ones, musl leaves them as they are in the file. */
static const char *at_address(ElfW(Addr) base, ElfW(Addr) address)
{
	return (const char *)(address < base ? base + address : address);
}

static void read_dynamic(struct object *object, ElfW(Addr) base)
{
	const ElfW(Dyn) *d;

	for (d = object->dynamic; d && d->d_tag != DT_NULL; d++)
		if (d->d_tag == DT_STRTAB)
			object->strings = at_address(base, d->d_un.d_ptr);
	for (d = object->dynamic; d && object->strings && d->d_tag != DT_NULL; d++)
		if (d->d_tag == DT_SONAME)
			object->soname = object->strings + d->d_un.d_val;
}

static int note_object(struct dl_phdr_info *info, size_t size, void *argument)
{
	struct objects *objects = argument;
	struct object *object = &objects->at[objects->count];

	(void)size;
	if (objects->count == sizeof(objects->at) / sizeof(objects->at[0]))
		return -E2BIG;
	*object = (struct object){ .path = info->dlpi_name };
	for (size_t i = 0; i < info->dlpi_phnum; i++) {
		if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
			object->dynamic = (const void *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
		if (info->dlpi_phdr[i].p_type == PT_INTERP)
			object->interpreter = (const char *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
	}
	read_dynamic(object, info->dlpi_addr);
	objects->count++;
	return 0;
}

static const char *name_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static const struct object *find_object(const struct objects *objects, const char *name)
{
	for (size_t i = 1; i < objects->count; i++) {
		const struct object *o = &objects->at[i];

		if ((o->soname && strcmp(o->soname, name) == 0) || strcmp(name_of(o->path), name) == 0)
			return o;
	}
	return NULL;
}

/*
 * What the C library loads when it is asked for something, and does not name as needed: libgcc_s for the end of a thread by
 * pthread_cancel or pthread_exit (a libcurl may do that), and before glibc 2.34 the two parts of getaddrinfo.
 */
static void load_what_is_loaded_late(const char *ret_names[LATE])
{
	static const char *const names[LATE] = { "libgcc_s.so.1", "libnss_files.so.2", "libnss_dns.so.2" };
	const char *version = gnu_get_libc_version ? gnu_get_libc_version() : NULL;
	bool has_parts = version && strncmp(version, "2.", 2) == 0 && strverscmp(version, "2.34") < 0;

	for (size_t i = 0; version && i < (has_parts ? LATE : 1); i++)
		if (dlopen(names[i], RTLD_LAZY | RTLD_LOCAL))
			ret_names[i] = names[i];
}

/* ---- what of it is needed ---- */

static bool is_taken(const struct closure *closure, const char *name)
{
	for (size_t i = 0; i < closure->count; i++)
		if (strcmp(closure->files[i].name, name) == 0)
			return true;
	return false;
}

/*
 * Where the loader has chosen one for this machine's processor (glibc-hwcaps, ld.so(8)), the one for all: the tree may run on
 * an older one.
 */
static const char *baseline_of(const char *path, char room[PATH_MAX])
{
	const char *caps = strstr(path, "/glibc-hwcaps/");

	if (caps && snprintf(room, PATH_MAX, "%.*s/%s", (int)(caps - path), path, name_of(path)) < PATH_MAX &&
	    access(room, R_OK) == 0)
		return room;
	return path;
}

static int take(struct closure *closure, const char *name, const char *path, struct report *why)
{
	struct closure_file *file = &closure->files[closure->count];
	char room[PATH_MAX];

	if (closure->count == CLOSURE_MAX)
		return report(why, -E2BIG, "the tool needs more than %d libraries", CLOSURE_MAX);
	if (!realpath(baseline_of(path, room), file->path))
		return report(why, -errno, "cannot find %s, from which %s was loaded: %s", path, name, strerror(errno));
	file->name = name;
	closure->count++;
	return 0;
}

/* musl is its loader: what needs the C library needs no other file. */
static bool is_loader(const struct closure *closure, const struct object *object, const char *name)
{
	const char *loader = closure->files[0].name;

	if (!object)
		return strncmp(loader, "ld-musl-", 8) == 0 && strncmp(name, "libc.", 5) == 0;
	return strcmp(name, loader) == 0 || strcmp(name_of(object->path), loader) == 0;
}

static int take_library(struct closure *closure, const struct objects *objects, const char *name, struct report *why)
{
	const struct object *object = find_object(objects, name);

	if (is_taken(closure, name) || is_loader(closure, object, name))
		return 0;
	if (!object)
		return report(why, -ENOENT, "the tool needs %s, but its loader does not tell where that is", name);
	return take(closure, name, object->path, why);
}

static int take_needed(struct closure *closure, const struct objects *objects, const struct object *of,
		       struct report *why)
{
	int r = 0;

	for (const ElfW(Dyn) *d = of->dynamic; d && of->strings && d->d_tag != DT_NULL && r == 0; d++)
		if (d->d_tag == DT_NEEDED)
			r = take_library(closure, objects, of->strings + d->d_un.d_val, why);
	return r;
}

/*
 * By the name that the program asks for; in an installed tree it lies beside the program, and what the program's file says
 * of it is not true there.
 */
static int take_loader(struct closure *closure, const char *program, const char *interpreter, struct report *why)
{
	const char *name = name_of(interpreter);
	char beside[PATH_MAX];
	int folder = (int)(name_of(program) - program);

	if (self_is_launched() && snprintf(beside, sizeof(beside), "%.*s%s", folder, program, name) < PATH_MAX &&
	    access(beside, R_OK) == 0)
		interpreter = beside;
	return take(closure, name, interpreter, why);
}

static int take_all(struct closure *closure, const struct objects *objects, const char *const late[LATE], struct report *why)
{
	int r = take_needed(closure, objects, &objects->at[0], why);

	for (size_t i = 0; i < LATE && r == 0; i++)
		if (late[i])
			r = take_library(closure, objects, late[i], why);
	for (size_t i = 2; i < closure->count && r == 0; i++)
		r = take_needed(closure, objects, find_object(objects, closure->files[i].name), why);
	return r;
}

int closure_take(const char *program, const char *program_name, struct closure *ret_closure, struct report *why)
{
	struct objects objects = { 0 };
	const char *late[LATE] = { NULL };
	int r;

	ret_closure->count = 0;
	load_what_is_loaded_late(late);
	r = dl_iterate_phdr(note_object, &objects);
	if (r < 0)
		return report(why, r, "more libraries are loaded than can be told");
	if (!objects.count || !objects.at[0].interpreter)
		return report(why, -ENOTSUP, "%s is linked statically: nothing tells what it would need elsewhere", program);
	r = take_loader(ret_closure, program, objects.at[0].interpreter, why);
	if (r == 0)
		r = take(ret_closure, program_name, program, why);
	return r ? r : take_all(ret_closure, &objects, late, why);
}
