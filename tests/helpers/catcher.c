/* SPDX-License-Identifier: Apache-2.0 */
/*
 * catcher: prints "ready", then a line for each signal it gets ("SIGTERM", "SIGINT", "SIGCONT"). SIGTERM and SIGINT end
 * it, with exit statuses 43 and 42; so does the end of a bound, with 44. What it reads from stdin it prints again.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { LIMIT_MS = 60000 };

static void say(const char *text)
{
	if (write(1, text, strlen(text)) < 0)
		_exit(1);
}

static void report(int signal)
{
	say(signal == SIGTERM ? "SIGTERM\n" : signal == SIGINT ? "SIGINT\n" : "SIGCONT\n");
	if (signal == SIGINT)
		_exit(42);
	if (signal == SIGTERM)
		_exit(43);
}

int main(void)
{
	struct signalfd_siginfo info;
	struct pollfd fd[2] = { { 0, POLLIN, 0 }, { -1, POLLIN, 0 } };
	sigset_t set;
	char text[256];

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGCONT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd[1].fd = signalfd(-1, &set, 0);
	say("ready\n");
	for (;;) {
		int n = poll(fd, 2, LIMIT_MS);

		if (n == 0)
			return 44;
		if (n > 0 && fd[1].revents && read(fd[1].fd, &info, sizeof(info)) == sizeof(info))
			report((int)info.ssi_signo);
		if (n > 0 && fd[0].revents) {
			ssize_t got = read(0, text, sizeof(text) - 1);

			if (got <= 0) {
				fd[0].fd = -1;
				continue;
			}
			text[got] = '\0';
			say(text);
		}
	}
}
