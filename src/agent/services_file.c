/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/services_file.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "agent/log.h"
#include "model/model.h"
#include "model/policy.h"
#include "services/source.h"

struct services_file services_file_of(const char *path, const char *inline_services)
{
	bool may_be_missing = path && path[0] == '-' && path[1];

	return (struct services_file){
		.path = may_be_missing ? path + 1 : path,
		.inline_services = inline_services,
		.may_be_missing = may_be_missing,
	};
}

/* One that cannot be looked at for another reason than that it is not there is a bad one: opening it tells why. */
static struct signature look_at(const char *path)
{
	struct stat st;

	if (stat(path, &st) == 0)
		return (struct signature){ st.st_dev, st.st_ino, st.st_size, st.st_mtim, true };
	return (struct signature){ .there = errno != ENOENT && errno != ENOTDIR };
}

static bool is_same(const struct signature *a, const struct signature *b)
{
	return a->there == b->there && a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	       a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

/* Nobody says anything by hand. */
static int forget(struct model *model, struct report *why)
{
	const struct file_services none = { .defaults = policy_defaults() };

	return model_set_file(model, &none) < 0 ? report(why, -ENOMEM, "out of memory") : 0;
}

static int load_inline(const struct services_file *file, struct model *model, struct report *why)
{
	return file->inline_services ? source_load_inline(model, "FAIRDIAL_SERVICES", file->inline_services, why) : 0;
}

/* In this order: the inline ones come beside those of the file. */
static int load(struct services_file *file, struct model *model, struct report *why)
{
	int r = 0;

	if (file->path) {
		file->seen = look_at(file->path); /* before it is read: a change meanwhile is seen the next time */
		r = file->may_be_missing && !file->seen.there ? forget(model, why) : source_load_file(model, file->path, why);
	}
	return r < 0 ? r : load_inline(file, model, why);
}

int services_file_load(struct services_file *file, struct model *model, struct report *why)
{
	int r = load(file, model, why);

	file->was_good = r == 0;
	if (r == 0 || !file->may_be_missing || r == -ENOMEM)
		return r;
	snprintf(file->trouble, sizeof(file->trouble), "%s: going on without", why->text);
	return load_inline(file, model, why);
}

bool services_file_follow(struct services_file *file, struct model *model, bool asked)
{
	struct signature now;
	struct report why;

	if (!file->path)
		return false;
	now = look_at(file->path);
	if (is_same(&now, &file->seen) && !(asked && (now.there || !file->may_be_missing)))
		return false;
	file->trouble[0] = '\0';
	if (load(file, model, &why) < 0) {
		snprintf(file->trouble, sizeof(file->trouble), "%s: %s", why.text,
			 file->was_good ? "the last good one stays" : "going on without");
		return false;
	}
	file->was_good = true;
	if (file->may_be_missing && !file->seen.there)
		log_line("%s is gone, and what it said with it", file->path);
	else
		log_line("%s was read again", file->path);
	return true;
}
