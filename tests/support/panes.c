/* SPDX-License-Identifier: Apache-2.0 */
#include "support/panes.h"

#include "support/testing.h"

#include <poll.h>

#include "support/cleanup.h"
#include "support/process.h"
#include "support/services.h"

enum { ARGUMENTS_MAX = 16, LIMIT_MS = 60000, LOOK_EVERY_MS = 30 };

struct pane {
	const char *socket; /* of its server */
};

static struct process *tmux_list(struct pane *p, const char *const *arguments)
{
	const char *argv[ARGUMENTS_MAX + 8] = { "tmux", "-u", "-S", p->socket, "-f", "/dev/null" };
	struct process *tmux;
	size_t n = 6;

	for (size_t i = 0; arguments[i]; i++) {
		assert_true(i < ARGUMENTS_MAX);
		argv[n++] = arguments[i];
	}
	tmux = process_start(&(struct start){ .argv = argv, .env = ARGV("TMUX", "LC_ALL=C.UTF-8") });
	process_wait(tmux, LIMIT_MS);
	return tmux;
}

#define tmux(p, ...) tmux_list(p, ARGV(__VA_ARGS__))

static void close_pane(void *pane)
{
	tmux(pane, "kill-server");
	free(pane);
}

struct pane *pane_open(int columns, int rows, const char *command)
{
	struct pane *p;
	struct process *started;

	if (!program_exists("tmux"))
		skip_because("no tmux");
	p = calloc(1, sizeof(*p));
	assert_non_null(p);
	p->socket = format("%s/tmux", scratch_dir());
	started = tmux(p, "new-session", "-d", "-x", format("%d", columns), "-y", format("%d", rows), "sh", "-c",
		       format("%s\nprintf 'ended: %%s\\n' $?; exec sleep 600", command));
	after_test(close_pane, p);
	assert_clean(started);
	return p;
}

void pane_keys(struct pane *p, ...)
{
	const char *argv[ARGUMENTS_MAX] = { "send-keys" };
	size_t n = 1;
	va_list keys;

	va_start(keys, p);
	while (n < ARGUMENTS_MAX - 1 && (argv[n] = va_arg(keys, const char *)))
		n++;
	va_end(keys);
	argv[n] = NULL;
	assert_clean(tmux_list(p, argv));
}

void pane_resize(struct pane *p, int columns, int rows)
{
	assert_clean(tmux(p, "resize-window", "-x", format("%d", columns), "-y", format("%d", rows)));
}

char *pane_text(struct pane *p)
{
	struct process *shown = tmux(p, "capture-pane", "-p");

	assert_clean(shown);
	return shown->out_text;
}

static char *look_for(struct pane *p, const char *text, bool is_wanted)
{
	long end = now_ms() + LIMIT_MS;

	for (;;) {
		char *shown = pane_text(p);

		if (!strstr(shown, text) == !is_wanted)
			return shown;
		if (now_ms() > end)
			fail_msg("%s \"%s\" on the terminal:\n%s", is_wanted ? "no" : "still", text, shown);
		poll(NULL, 0, LOOK_EVERY_MS);
	}
}

char *pane_expect(struct pane *p, const char *text)
{
	return look_for(p, text, true);
}

char *pane_expect_no(struct pane *p, const char *text)
{
	return look_for(p, text, false);
}
