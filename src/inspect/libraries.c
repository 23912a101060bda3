/* SPDX-License-Identifier: Apache-2.0 */
#include "inspect/libraries.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "inspect/preloads.h"
#include "inspect/processes.h"
#include "inspect/program.h"

#if defined(__aarch64__)
#define TRIPLET "aarch64-linux-gnu"
#define MUSL	"aarch64"
#else
#define TRIPLET "x86_64-linux-gnu"
#define MUSL	"x86_64"
#endif

enum {
	MOST_CACHE = 64 << 20,
	MOST_PATHS = 4096,
	MOST_LOOKS = 1 << 15, /* into folders, each a dozen system calls: a file may name thousands of libraries, hundreds of folders */
};

/* One program's question. */
struct search {
	const char *loader; /* its path, and its last part */
	const char *loader_name;
	bool is_musl;
	char origin[PATH_MAX]; /* the program's folder: $ORIGIN */
	const char *own, *given; /* of the program, and LD_LIBRARY_PATH; NULL: none */
	char defaults[MOST_PATHS];
	char *cache;
	size_t cache_size;
	unsigned looks;
	bool is_uncertain; /* a folder has a name that only the loader can make out, or there was too much to look at */
};

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* ---- folders ---- */

static bool is_there(const char *dir, const char *below, const char *name)
{
	char path[PATH_MAX];
	struct stat st;

	return snprintf(path, sizeof(path), "%s%s%s/%s", dir, *below ? "/" : "", below, name) < (int)sizeof(path) &&
	       stat(path, &st) == 0;
}

/* Folders that glibc looks into before one, each for some processors: now, and before 2.37. */
static bool is_in_capability(const char *dir, const char *name)
{
	static const char *const old[] = { "tls", "tls/x86_64", "x86_64", "haswell", "haswell/x86_64", "avx512_1", "tls/haswell",
					   "atomics", "tls/atomics" };
	char path[PATH_MAX];
	struct dirent *entry;
	bool found = false;
	DIR *caps;

	for (size_t i = 0; i < sizeof(old) / sizeof(*old); i++)
		if (is_there(dir, old[i], name))
			return true;
	if (snprintf(path, sizeof(path), "%s/glibc-hwcaps", dir) >= (int)sizeof(path))
		return false;
	caps = opendir(path);
	while (caps && !found && (entry = readdir(caps)))
		found = is_there(path, entry->d_name, name);
	if (caps)
		closedir(caps);
	return found;
}

static bool is_in_folder(struct search *s, const char *dir, const char *name)
{
	if (s->looks == MOST_LOOKS) {
		s->is_uncertain = true;
		return true;
	}
	s->looks++;
	return is_there(dir, "", name) || (!s->is_musl && is_in_capability(dir, name));
}

/* "$ORIGIN/x", "${LIB}"; `lib` stands in for the latter. False where there are others, or no room. */
static bool expand(const struct search *s, struct slice dir, const char *lib, char ret[PATH_MAX])
{
	struct text t = text_into(ret, PATH_MAX);

	while (dir.len) {
		size_t brace = dir.len > 1 && dir.at[0] == '$' && dir.at[1] == '{', skip = 1;
		struct slice token = { dir.at + 1 + brace, dir.len - 1 - (dir.len > 1 ? brace : 0) };

		if (dir.at[0] != '$') {
			text_add_char(&t, dir.at[0]);
		} else if (token.len >= 6 && memcmp(token.at, "ORIGIN", 6) == 0) {
			text_add(&t, s->origin);
			skip = 7 + 2 * brace;
		} else if (!s->is_musl && token.len >= 3 && memcmp(token.at, "LIB", 3) == 0) {
			text_add(&t, lib);
			skip = 4 + 2 * brace;
		} else {
			return false;
		}
		skip = skip < dir.len ? skip : dir.len;
		dir.at += skip;
		dir.len -= skip;
	}
	return !t.full;
}

/* Of a list; an empty one is the folder where it is started. */
static struct slice cut_folder(struct slice *rest)
{
	struct slice dir = { rest->at, 0 };

	while (dir.len < rest->len && !memchr(":;\n", dir.at[dir.len], 3))
		dir.len++;
	*rest = dir.len < rest->len ? (struct slice){ dir.at + dir.len + 1, rest->len - dir.len - 1 } : (struct slice){ NULL, 0 };
	return dir;
}

static bool is_in_list(struct search *s, const char *list, const char *name)
{
	static const char *const libs[] = { "lib", "lib64", ("lib/" TRIPLET) };
	struct slice rest = slice_of(list);

	while (rest.at) {
		struct slice dir = cut_folder(&rest);
		char path[PATH_MAX];

		for (size_t i = 0; i < sizeof(libs) / sizeof(*libs); i++) {
			if (!expand(s, dir, libs[i], path))
				s->is_uncertain = true;
			else if (is_in_folder(s, *path ? path : ".", name))
				return true;
		}
	}
	return false;
}

/* ---- one library ---- */

/* Behind a slash, where names share the ends of paths. */
static bool is_in_cache(const struct search *s, const char *name)
{
	size_t len = strlen(name) + 1, left;

	for (const char *at = s->cache; at && *name; at++) {
		left = s->cache_size - (size_t)(at - s->cache);
		at = memmem(at, left, name, len);
		if (!at || (at > s->cache && (at[-1] == '\0' || at[-1] == '/')))
			return at;
	}
	return false;
}

/* musl is its loader: these names never lead to a file. */
static bool is_part_of_musl(const char *name)
{
	static const char *const parts[] = { "libc.", "libpthread.", "librt.", "libm.", "libdl.", "libutil.", "libxnet." };

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		if (strncmp(name, parts[i], strlen(parts[i])) == 0)
			return true;
	return false;
}

static bool is_found(struct search *s, const char *name)
{
	if (strchr(name, '/'))
		return name[0] != '/' || access(name, F_OK) == 0; /* else from where it is started */
	if (strcmp(name, s->loader_name) == 0 || (s->is_musl && is_part_of_musl(name)))
		return true;
	return (s->own && is_in_list(s, s->own, name)) || (s->given && is_in_list(s, s->given, name)) ||
	       is_in_list(s, s->defaults, name) || is_in_cache(s, name);
}

/* ---- where to look ---- */

static char *read_file(const char *path, size_t *ret_size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *bytes = NULL;
	struct stat st;
	ssize_t n = -1;

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 && st.st_size <= MOST_CACHE)
		bytes = malloc((size_t)st.st_size + 1);
	if (bytes)
		n = pread(fd, bytes, (size_t)st.st_size, 0);
	if (fd >= 0)
		close(fd);
	if (n < 0) {
		free(bytes);
		return NULL;
	}
	bytes[n] = '\0';
	*ret_size = (size_t)n;
	return bytes;
}

static void take_defaults(struct search *s)
{
	int folder = (int)(s->loader_name - s->loader);
	char *listed = NULL;
	size_t size;

	if (s->is_musl)
		listed = read_file("/etc/ld-musl-" MUSL ".path", &size);
	else
		s->cache = read_file("/etc/ld.so.cache", &s->cache_size);
	if (listed && size < sizeof(s->defaults))
		strcpy(s->defaults, listed);
	else if (listed)
		s->is_uncertain = true;
	else if (s->is_musl)
		strcpy(s->defaults, "/lib:/usr/local/lib:/usr/lib");
	else
		snprintf(s->defaults, sizeof(s->defaults),
			 "%.*s:/lib:/usr/lib:/lib64:/usr/lib64:/lib/" TRIPLET ":/usr/lib/" TRIPLET, folder, s->loader);
	free(listed);
}

static bool is_of_system(const char *loader)
{
	static const char *const places[] = { "/lib/", "/lib64/", "/usr/lib/", "/usr/lib64/", "/lib/" TRIPLET "/",
					      "/usr/lib/" TRIPLET "/" };
	const char *name = last_part(loader);

	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
		if (strlen(places[i]) == (size_t)(name - loader) && strncmp(loader, places[i], (size_t)(name - loader)) == 0)
			return strncmp(name, "ld-linux", 8) == 0 || strncmp(name, "ld-musl-", 8) == 0;
	return false;
}

/* Whether all that its loader goes by is known. */
static bool begin(struct search *s, const char *path, const struct program_file *file, const struct preloads *preloads)
{
	char *slash;

	if (!file->has_links || file->links.is_cut || getenv("LD_AUDIT") || !is_of_system(file->kind.interpreter) ||
	    !realpath(path, s->origin))
		return false;
	for (size_t i = 0; i < preloads->count; i++)
		if (!preloads->at[i].is_shim && !preloads->at[i].is_missing)
			return false;
	slash = strrchr(s->origin, '/');
	*(slash == s->origin ? slash + 1 : slash) = '\0';
	s->loader = file->kind.interpreter;
	s->loader_name = last_part(s->loader);
	s->is_musl = strncmp(s->loader_name, "ld-musl-", 8) == 0;
	s->own = file->links.search[0] ? file->links.search : NULL;
	s->given = getenv("LD_LIBRARY_PATH");
	take_defaults(s);
	return true;
}

static void add_missing(struct libraries *all, const char *name)
{
	size_t len = strlen(all->names);
	char shown[256];

	text_show(shown, sizeof(shown), name);
	snprintf(all->names + len, sizeof(all->names) - len, "%s%s", len ? ", " : "", shown);
	all->missing++;
}

void libraries_find_missing(const char *path, const struct program_file *file, const struct preloads *preloads,
			    struct libraries *ret)
{
	const struct elf_links *links = &file->links;
	struct search *s = calloc(1, sizeof(*s));

	memset(ret, 0, sizeof(*ret));
	if (s && begin(s, path, file, preloads))
		for (const char *name = links->needed; name < links->needed + links->needed_len; name += strlen(name) + 1)
			if (!is_found(s, name))
				add_missing(ret, name);
	if (s && s->is_uncertain)
		memset(ret, 0, sizeof(*ret));
	if (s)
		free(s->cache);
	free(s);
}
