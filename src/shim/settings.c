/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/settings.h"

#include "balance/balance.h"
#include "base/bytes.h"
#include "base/duration.h"
#include "base/service_list.h"
#include "base/sys.h"
#include "base/trace.h"
#include "shim/next.h"
#include "table/mode.h"

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

static int8_t parse_balance(struct slice value)
{
	for (int i = 0; i < BALANCE_COUNT; i++)
		if (slice_is(value, balance_policy((uint8_t)i)->name))
			return (int8_t)i;
	return -1;
}

/* What cannot be read is no wait. */
static uint32_t parse_wait(struct slice value, bool *ret_understood)
{
	uint32_t ms = 0;

	*ret_understood = value.len == 0 || duration_parse(value.at, value.len, &ms) == 0;
	return ms < SETTINGS_LONGEST_WAIT_MS ? ms : SETTINGS_LONGEST_WAIT_MS;
}

static bool has_source(void)
{
	return variable("KUBERNETES_SERVICE_HOST").len || variable("FAIRDIAL_SERVICES").len;
}

/* ---- what is told of them ---- */

/* Of whatever part the trace is: who reads one looks for why something is not so. */
__attribute__((noinline)) /* the line is not for the stack of those who read */
static void trace_variable(const struct settings *s, const char *name, struct slice value, const char *what)
{
	char buf[256];
	struct text line;

	if (!s->trace)
		return;
	line = trace_begin(buf, sizeof(buf), "settings");
	text_add(&line, name);
	text_add_char(&line, '=');
	for (size_t i = 0; i < value.len && i < 64; i++)
		text_add_char(&line, value.at[i] >= ' ' && value.at[i] <= '~' ? value.at[i] : '?');
	text_add(&line, what);
	trace_end(&line, s->trace_path);
}

/* ---- switches ---- */

static void read_mode(struct settings *s)
{
	struct slice value = variable("FAIRDIAL");
	bool understood;

	s->mode = mode_of_variable(value, &understood);
	if (!understood)
		trace_variable(s, "FAIRDIAL", value, " is not understood, and taken as off: expected on, observe or off");
}

static void read_balance(struct settings *s)
{
	struct slice value = variable("FAIRDIAL_BALANCE");

	s->balance = parse_balance(value);
	if (s->balance < 0 && value.len)
		trace_variable(s, "FAIRDIAL_BALANCE", value,
			       " is not understood, and passed over: expected least_conn, round_robin, random, p2c or hash");
}

/* Where there is nothing that an agent could follow, none is started: then there is nobody to wait for either. */
static void read_autostart(struct settings *s)
{
	struct slice value = variable("FAIRDIAL_AUTOSTART"), wait = variable("FAIRDIAL_WAIT");
	bool asked = mode_word_is_yes(value), understood;

	s->wait_ms = parse_wait(wait, &understood);
	s->autostart = asked && has_source();
	if (!understood)
		trace_variable(s, "FAIRDIAL_WAIT", wait,
			       " is not understood, and nobody waits: expected a duration such as 2s or 500ms");
	if (!asked && !mode_word_is(value, "") && !mode_word_is_no(value))
		trace_variable(s, "FAIRDIAL_AUTOSTART", value, " is not understood, and no agent is started: expected 1 or 0");
	if (!asked || s->autostart)
		return;
	s->wait_ms = 0;
	trace_variable(s, "FAIRDIAL_AUTOSTART", value,
		       ": no agent is started, as neither KUBERNETES_SERVICE_HOST nor FAIRDIAL_SERVICES is set");
}

/* ---- the shim's own file ---- */

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
	s->has_dir = variable("FAIRDIAL_DIR").len > 0;
	copy_value(s->dir, sizeof(s->dir), variable("FAIRDIAL_DIR"));
	copy_value(s->ledger, sizeof(s->ledger), variable("FAIRDIAL_LEDGER"));
	s->trace = (uint8_t)trace_parse(variable("FAIRDIAL_TRACE"), &trace_path);
	if (!copy_value(s->trace_path, sizeof(s->trace_path), trace_path))
		s->trace = 0;
	settings_make_absolute(s->trace_path);
	if (trace_path.len && !s->trace_path[0])
		s->trace = 0; /* never to the program's standard error instead */
	read_mode(s);
	read_balance(s);
	read_autostart(s);
	/* A list too long to keep names more Services than are left out: nothing is spread rather than too much. */
	kept = copy_value(s->only, sizeof(s->only), variable("FAIRDIAL_ONLY"));
	kept &= copy_value(s->except, sizeof(s->except), variable("FAIRDIAL_EXCEPT"));
	if (!kept)
		s->mode = MODE_OFF;
	find_shim(s);
	settings_make_absolute(s->dir);
	settings_make_absolute(s->ledger);
	settings_make_absolute(s->beside);
}

bool settings_allow(const struct settings *s, struct slice name, struct slice namespace)
{
	return service_list_allow(slice_of(s->only), slice_of(s->except), name, namespace);
}
