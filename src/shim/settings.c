/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/settings.h"

#include "balance/balance.h"
#include "base/bytes.h"
#include "base/duration.h"
#include "base/service_list.h"
#include "base/sys.h"
#include "base/trace.h"
#include "shim/next.h"

/* A value that does not fit is taken as unset: half a path is worse than none. */
static bool copy_value(char *to, size_t size, struct slice value)
{
	struct text text = text_into(to, size);

	text_add_slice(&text, value);
	if (text.full)
		to[0] = '\0';
	return !text.full;
}

/* As long as the program is where it was started; it may change its directory later. */
void settings_make_absolute(char path[SETTINGS_PATH])
{
	char absolute[SETTINGS_PATH];
	struct text text;
	long n;

	if (path[0] == '\0' || path[0] == '/')
		return;
	n = sys_call(SYS_getcwd, (long)absolute, sizeof(absolute), 0, 0, 0, 0);
	if (n <= 1 || absolute[0] != '/') {
		path[0] = '\0';
		return;
	}
	text = (struct text){ absolute, sizeof(absolute), (size_t)n - 1, false };
	text_add_char(&text, '/');
	text_add(&text, path);
	copy_value(path, SETTINGS_PATH, (struct slice){ absolute, text.full ? 0 : text.len });
}

static struct slice variable(const char *name)
{
	return slice_of(next_getenv(name));
}

static uint8_t parse_mode(struct slice value)
{
	if (slice_is(value, "off"))
		return MODE_OFF;
	return slice_is(value, "observe") ? MODE_OBSERVE : MODE_ON;
}

static int8_t parse_balance(struct slice value)
{
	for (int i = 0; i < BALANCE_COUNT; i++)
		if (slice_is(value, balance_policy((uint8_t)i)->name))
			return (int8_t)i;
	return -1;
}

/* What cannot be read is no wait. */
static uint32_t parse_wait(struct slice value)
{
	uint32_t ms = 0;

	if (duration_parse(value.at, value.len, &ms) < 0)
		return 0;
	return ms < SETTINGS_LONGEST_WAIT_MS ? ms : SETTINGS_LONGEST_WAIT_MS;
}

/* Where there is nothing that an agent could follow, none is started. */
static bool wants_autostart(void)
{
	return slice_is(variable("FAIRDIAL_AUTOSTART"), "1") &&
	       (variable("KUBERNETES_SERVICE_HOST").len || variable("FAIRDIAL_SERVICES").len);
}

static bool ends_with(struct slice text, struct slice end)
{
	return text.len >= end.len && slice_equal((struct slice){ text.at + text.len - end.len, end.len }, end);
}

/* Where dladdr(3) is not loaded, LD_PRELOAD names the file, unless it was found on a search path. */
static struct slice path_in_preload(void)
{
	struct slice list = variable("LD_PRELOAD");

	while (list.len) {
		struct slice path = list;
		size_t n = 0;

		while (n < list.len && list.at[n] != ':' && list.at[n] != ' ')
			n++;
		path.len = n;
		n += n < list.len;
		list.at += n;
		list.len -= n;
		if (ends_with(path, slice_of("/libfairdial.so")))
			return path;
	}
	return (struct slice){ NULL, 0 };
}

static void find_shim(struct settings *s)
{
	struct slice path = slice_of(next_shim_path());
	struct text beside = text_into(s->beside, sizeof(s->beside));
	struct stat st;

	if (!path.len)
		path = path_in_preload();
	s->shim_uid = UINT32_MAX;
	text_add_slice(&beside, path);
	if (!path.len || beside.full || sys_stat(s->beside, &st) < 0) {
		s->beside[0] = '\0';
		return;
	}
	s->shim_uid = st.st_uid;
	while (beside.len && s->beside[beside.len - 1] != '/')
		beside.len--;
	text_add(&beside, "run");
	if (beside.full)
		s->beside[0] = '\0';
}

void settings_read(struct settings *s)
{
	struct slice trace_path;
	bool kept;

	memset(s, 0, sizeof(*s));
	/* The shim can only be in such a program through /etc/ld.so.preload; it stays out of it. */
	if (next_is_privileged()) {
		s->mode = MODE_OFF;
		return;
	}
	s->start_euid = next_start_euid();
	s->mode = parse_mode(variable("FAIRDIAL"));
	s->balance = parse_balance(variable("FAIRDIAL_BALANCE"));
	s->autostart = wants_autostart();
	s->wait_ms = parse_wait(variable("FAIRDIAL_WAIT"));
	s->has_dir = variable("FAIRDIAL_DIR").len > 0;
	copy_value(s->dir, sizeof(s->dir), variable("FAIRDIAL_DIR"));
	copy_value(s->ledger, sizeof(s->ledger), variable("FAIRDIAL_LEDGER"));
	s->trace = (uint8_t)trace_parse(variable("FAIRDIAL_TRACE"), &trace_path);
	if (!copy_value(s->trace_path, sizeof(s->trace_path), trace_path))
		s->trace = 0;
	/* A list too long to keep names more Services than are left out: nothing is spread rather than too much. */
	kept = copy_value(s->only, sizeof(s->only), variable("FAIRDIAL_ONLY"));
	kept &= copy_value(s->except, sizeof(s->except), variable("FAIRDIAL_EXCEPT"));
	if (!kept)
		s->mode = MODE_OFF;
	find_shim(s);
	settings_make_absolute(s->dir);
	settings_make_absolute(s->ledger);
	settings_make_absolute(s->beside);
	settings_make_absolute(s->trace_path);
	if (trace_path.len && !s->trace_path[0])
		s->trace = 0; /* never to the program's standard error instead */
}

bool settings_allow(const struct settings *s, struct slice name, struct slice namespace)
{
	return service_list_allow(slice_of(s->only), slice_of(s->except), name, namespace);
}
