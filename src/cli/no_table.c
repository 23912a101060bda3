/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/no_table.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/cli.h"
#include "table/layout.h"
#include "table/mark.h"
#include "view/snapshot.h"

#define NAMED_MAX 4
#define POD_DIR   "pod" /* of the pods that `fairdial inject` changes */

const char *no_table_why(int error)
{
	const char *api = getenv("KUBERNETES_SERVICE_HOST");

	switch (error) {
	case -ENOENT:
		if (api && *api)
			return "there is none: the log of the container that is to make it says why (kubectl logs POD -c "
			       "fairdial-agent); or name its directory with --dir";
		return "there is none: make one with `fairdial publish --services FILE --dir DIR`, or name its directory with --dir";
	case -EPERM:
		return "it, or its directory, belongs to another user or may be changed by one, so no program of yours trusts "
		       "it: make both yours, and chmod go-w them";
	case -EACCES:
		return "this user may not read it: ask as its owner, or make its directory and it readable (chmod a+rX)";
	case -ENOTDIR:
		return "there is a file where its directory is to be: name the directory with --dir";
	case -ELOOP:
		return "it is a symbolic link, which no program follows: put the table itself there";
	case -ESTALE:
		return "it is of an earlier boot of this machine, and no program believes it: start its agent again";
	case -EPROTO:
		return "it was made by another version of fairdial: publish it anew, or start the agent of this version";
	case -EBADMSG:
		return "it is damaged: publish it anew, or start its agent again";
	case -EAGAIN:
		return "it is being written all the time: ask again";
	default:
		return strerror(-error);
	}
}

/* ---- the tables of namespaces ---- */

/* Where an agent keeps a table for each namespace: "shop, web, ..." into `buf`; how many there are. */
static size_t find_namespaces(const char *dir, char *buf, size_t size)
{
	struct text names = text_into(buf, size);
	struct dirent **entries;
	size_t found = 0;
	int n = scandir(dir, &entries, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		char path[PATH_MAX];

		if (entries[i]->d_name[0] != '.' &&
		    snprintf(path, sizeof(path), "%s/%s/table", dir, entries[i]->d_name) < (int)sizeof(path) &&
		    access(path, F_OK) == 0 && found++ < NAMED_MAX) {
			text_add(&names, found > 1 ? ", " : "");
			text_add(&names, entries[i]->d_name);
		}
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
	text_add(&names, found > NAMED_MAX ? ", ..." : "");
	return found;
}

static int fail_with_namespaces(const struct verb *verb, const char *dir)
{
	char names[NAMED_MAX * (TABLE_NAME_SIZE + 2) + sizeof(", ...")];
	size_t n = find_namespaces(dir, names, sizeof(names));

	if (n == 0)
		return 0;
	if (strcmp(names, POD_DIR) == 0) /* a sidecar's, beside what belongs to others: no namespace is meant */
		return cli_fail(verb, EXIT_FAILED,
				"%s/table: there is none, but there is one in %s/" POD_DIR ": name it with --dir %s/" POD_DIR, dir,
				dir, dir);
	return cli_fail(verb, EXIT_FAILED, "%s holds the tables of %zu namespace%s (%s): name one with --dir %s/NAMESPACE", dir, n,
			n == 1 ? "" : "s", names, dir);
}

/* ---- an agent that a program started ---- */

/* What DIR/autostart says of an agent that a program started; false where none was. */
static bool read_mark(const char *dir, struct mark *ret_mark, bool *ret_held)
{
	const struct trust trust = cli_trust();
	int dir_fd = trust_open_directory(dir, &trust), fd = dir_fd < 0 ? dir_fd : mark_open(dir_fd, &trust, MARK_READ), r = fd;

	if (fd >= 0) {
		*ret_held = mark_holder(fd) != 0;
		r = mark_read(fd, ret_mark);
		close(fd);
	}
	if (dir_fd >= 0)
		close(dir_fd);
	return r == 0 && ret_mark->state != MARK_NONE;
}

/* Its log goes nowhere: this is where a user learns why there is no table. NULL: no program has started an agent. */
static const char *why_no_agent(const char *dir, char *buf, size_t size)
{
	unsigned long long ago_s, again_s;
	uint64_t now_ms = clock_boot_ms();
	struct mark mark;
	bool held;

	if (!read_mark(dir, &mark, &held))
		return NULL;
	ago_s = now_ms > mark.time_ms ? (now_ms - mark.time_ms) / 1000 : 0;
	again_s = mark_pause_ms(&mark) / 1000;
	if (mark.state == MARK_FAILED)
		snprintf(buf, size, "there is none: the agent that a program started %llu s ago %s: %s", ago_s,
			 held ? "runs, but cannot follow its source" : "failed, and a dial starts another", mark.text);
	else if (held && mark.state == MARK_STARTED)
		snprintf(buf, size, "there is none yet: an agent that a program started %llu s ago is about to make it", ago_s);
	else if (mark.state == MARK_ENDED)
		snprintf(buf, size, "there is none: the agent that a program started has ended, as it does when nobody dials; the "
				    "next dial starts another");
	else if (mark.state == MARK_RUNNING)
		snprintf(buf, size, "there is none, though an agent that a program started had made one: it was removed%s",
			 held ? "; end that agent, and the next dial starts another" : "; the next dial starts another");
	else
		snprintf(buf, size,
			 "there is none: the agent that a program started %llu s ago ended without a word; a dial starts another "
			 "%llu s after the last one: run `fairdial agent --dir %s` in its place to see why",
			 ago_s, again_s, dir);
	return buf;
}

/* ---- */

int no_table_fail(const struct verb *verb, const char *dir, int error, const char *why)
{
	char buf[PATH_MAX + 512];
	const char *text = NULL;

	if (error == -ENOENT) {
		if (fail_with_namespaces(verb, dir))
			return EXIT_FAILED;
		text = why_no_agent(dir, buf, sizeof(buf));
	}
	if (error == -EBADMSG && why[0]) /* what of it */
		return cli_fail(verb, EXIT_FAILED, "%s/table: it is damaged (%s): publish it anew, or start its agent again", dir, why);
	return cli_fail(verb, EXIT_FAILED, "%s/table: %s", dir, text ? text : no_table_why(error));
}

int no_service_fail(const struct verb *verb, const char *dir, const char *name, const struct snapshot *snapshot)
{
	return cli_fail(verb, EXIT_FAILED, "no service '%s' in %s/table, whose source is %s%s%s", name, dir, snapshot->source,
			snapshot->trouble[0] ? "; " : "", snapshot->trouble);
}
