/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a text whole, and tells a services file from objects of Kubernetes. */
#include "services/source.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "kube/json.h"
#include "services/json.h"
#include "services/json_lines.h"

/* A List of the largest clusters is a tenth of it. */
#define TEXT_MAX ((size_t)64 << 20)

static int refuse_size(const char *origin, struct report *report_)
{
	return report(report_, -EFBIG, "%s: larger than %zu MiB", origin, TEXT_MAX >> 20);
}

static int load_kube(struct model *model, const struct json_source *source, const json_t *root, struct report *report_)
{
	const struct json_path kind_at = { NULL, "kind", 0 }, items_at = { NULL, "items", 0 };
	const char *kind = json_string_value(json_object_get(root, "kind"));
	int err = kube_json_load(model, root);

	if (err == -EINVAL)
		return json_refuse(source, &items_at, report_, "expected a list of objects, each with its kind");
	if (err == -ENOENT)
		return json_refuse(source, &kind_at, report_,
				   "expected List, ServiceList, EndpointSliceList, Service or EndpointSlice, got %s",
				   kind ? kind : "no text");
	if (err == -ENOMEM)
		return report(report_, err, "out of memory");
	return err;
}

#define BYTE_ORDER_MARK "\xef\xbb\xbf"
#define EXPECTED	"expected a services file, or a Kubernetes List, as JSON"

static bool is_blank(const char *text, size_t len)
{
	return slice_trim((struct slice){ text, len }).len == 0;
}

/* What is no JSON from its first sign on: another kind of file, whose first word tells nobody why. NULL where it is JSON. */
static const char *why_no_json(const struct json_source *source)
{
	struct slice text = slice_trim((struct slice){ source->text, source->len });

	if (text.len == 0)
		return "it is empty: " EXPECTED;
	if (text.len >= 3 && memcmp(text.at, BYTE_ORDER_MARK, 3) == 0)
		return "it begins with a byte order mark, which JSON does not have: save it as UTF-8 without one";
	return *text.at == '{' || *text.at == '[' || *text.at == '/' ? NULL : "it is no JSON: " EXPECTED;
}

static int refuse_syntax(const struct json_source *source, const json_error_t *error, struct report *report_)
{
	const char *reason = why_no_json(source);

	if (json_error_code(error) == json_error_null_character)
		reason = "a text must not hold \\u0000";
	return report(report_, -EINVAL, "%s:%d:%d: %s", source->origin, error->line > 0 ? error->line : 1,
		      error->column > 0 ? error->column : 1, reason ? reason : error->text);
}

int source_load_text(struct model *model, const char *origin, const char *text, size_t len, struct report *report_)
{
	const struct json_source source = { origin, text, len };
	json_error_t error;
	json_t *root;
	int err;

	if (len > TEXT_MAX)
		return refuse_size(origin, report_);
	root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (!root)
		return refuse_syntax(&source, &error, report_);
	if (json_object_get(root, "kind"))
		err = load_kube(model, &source, root, report_);
	else
		err = services_json_load(model, &source, root, report_);
	json_decref(root);
	return err;
}

/* ---- files ---- */

/* The caller frees `*ret_text`. */
static int read_all(int fd, char **ret_text, size_t *ret_len)
{
	size_t len = 0, room = 0;
	char *text = NULL;

	for (;;) {
		ssize_t n;

		if (len == room) {
			char *larger;

			room = room ? room * 2 : 65536;
			larger = len > TEXT_MAX ? NULL : realloc(text, room);
			if (!larger) {
				free(text);
				return len > TEXT_MAX ? -EFBIG : -ENOMEM;
			}
			text = larger;
		}
		n = read(fd, text + len, room - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int err = -errno;

			free(text);
			return err;
		}
		if (n == 0)
			break;
		len += (size_t)n;
	}
	*ret_text = text;
	*ret_len = len;
	return 0;
}

/* What ran before the pipe failed, and its own line says why. */
static int refuse_nothing(struct report *report_)
{
	return report(report_, -EINVAL, "standard input is empty: " EXPECTED);
}

int source_load_file(struct model *model, const char *path, struct report *report_)
{
	bool is_stdin = strcmp(path, "-") == 0;
	const char *origin = is_stdin ? "standard input" : path;
	int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC), err;
	char *text = NULL;
	size_t len = 0;

	if (fd < 0) {
		err = -errno;
		return report(report_, err, "cannot open %s: %s", path, strerror(-err));
	}
	err = read_all(fd, &text, &len);
	if (!is_stdin)
		close(fd);
	if (err == -EFBIG)
		return refuse_size(origin, report_);
	if (err < 0)
		return report(report_, err, "cannot read %s: %s", origin, strerror(-err));
	err = is_stdin && is_blank(text, len) ? refuse_nothing(report_) : source_load_text(model, origin, text, len, report_);
	free(text);
	return err;
}

static bool is_path(const char *text)
{
	struct stat st;

	return strchr(text, '/') || stat(text, &st) == 0;
}

int source_load_any(struct model *model, const char *origin, const char *text, struct report *report_)
{
	return is_path(text) ? source_load_file(model, text, report_)
			     : source_load_inline(model, origin, text, report_);
}
