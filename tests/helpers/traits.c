/* SPDX-License-Identifier: Apache-2.0 */
/*
 * traits HOST PORT NAME: dials HOST and looks NAME up, as an ordinary program does, and then tells all that it can see of
 * itself, a line for each trait. The lines are the same under the shim as without it.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

extern char **environ;

static void dial(const char *host, const char *port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	inet_pton(AF_INET, host, &to.sin_addr);
	printf("a dial: %d\n", connect(fd, (const struct sockaddr *)&to, sizeof(to)));
	close(fd);
}

static void look_up(const char *name)
{
	struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *list = NULL;
	int error = getaddrinfo(name, NULL, &hints, &list);

	printf("a name: %d\n", error);
	if (!error)
		freeaddrinfo(list);
}

/* "socket:[4711]" is another number each time. */
static void print_without_digits(const char *text)
{
	for (; *text; text++)
		putchar(isdigit((unsigned char)*text) ? '#' : *text);
}

static void descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		char path[300], to[300];
		ssize_t length;

		if (entry->d_name[0] == '.' || atoi(entry->d_name) == dirfd(dir))
			continue;
		snprintf(path, sizeof(path), "/proc/self/fd/%s", entry->d_name);
		length = readlink(path, to, sizeof(to) - 1);
		to[length < 0 ? 0 : length] = '\0';
		printf("descriptor %s: ", entry->d_name);
		print_without_digits(to);
		putchar('\n');
	}
	if (dir)
		closedir(dir);
}

static void lines_that_begin(const char *path, const char *const *heads)
{
	FILE *file = fopen(path, "r");
	char line[512];

	while (file && fgets(line, sizeof(line), file))
		for (const char *const *head = heads; *head; head++)
			if (strncmp(line, *head, strlen(*head)) == 0)
				fputs(line, stdout);
	if (file)
		fclose(file);
}

/* Signals, rights and threads, as the kernel sees them. */
static void status(void)
{
	static const char *const heads[] = { "Umask:",	"Uid:",	   "Gid:",    "FDSize:", "Threads:",	"SigPnd:",
					     "ShdPnd:", "SigBlk:", "SigIgn:", "SigCgt:", "CapEff:",	"CapPrm:", "CapInh:",
					     "CapAmb:", "CapBnd:", "NoNewPrivs:", "Seccomp:", "CoreDumping:", NULL };

	lines_that_begin("/proc/self/status", heads);
}

static void children(void)
{
	char path[64], line[512] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	file = fopen(path, "r");
	if (file && !fgets(line, sizeof(line), file))
		line[0] = '\0';
	if (file)
		fclose(file);
	printf("children: %s\n", line);
}

/* Memory that is both written and run. */
static void loose_memory(void)
{
	FILE *file = fopen("/proc/self/maps", "r");
	char line[512];
	int count = 0;

	while (file && fgets(line, sizeof(line), file))
		count += strstr(line, " rwx") != NULL;
	if (file)
		fclose(file);
	printf("memory to write and run: %d\n", count);
}

static void limits(void)
{
	static const int which[] = { RLIMIT_NOFILE, RLIMIT_STACK, RLIMIT_CORE, RLIMIT_AS, RLIMIT_DATA, RLIMIT_MEMLOCK };

	for (size_t i = 0; i < sizeof(which) / sizeof(*which); i++) {
		struct rlimit limit = { 0 };

		getrlimit(which[i], &limit);
		printf("limit %d: %llu %llu\n", which[i], (unsigned long long)limit.rlim_cur,
		       (unsigned long long)limit.rlim_max);
	}
}

static void timers(void)
{
	struct itimerval timer = { 0 };
	stack_t stack = { 0 };

	for (int i = ITIMER_REAL; i <= ITIMER_PROF; i++) {
		getitimer(i, &timer);
		printf("timer %d: %ld\n", i, (long)(timer.it_value.tv_sec + timer.it_value.tv_usec));
	}
	sigaltstack(NULL, &stack);
	printf("stack for signals: %d\n", stack.ss_flags);
}

/* What was set for the shim's sake is no trait. */
static bool is_for_the_shim(const char *variable)
{
	return strncmp(variable, "LD_PRELOAD=", 11) == 0 || strncmp(variable, "FAIRDIAL", 8) == 0;
}

static void environment(void)
{
	for (char **variable = environ; *variable; variable++)
		if (!is_for_the_shim(*variable))
			printf("variable %s\n", *variable);
}

static void place(void)
{
	char directory[512], name[17] = "";

	printf("directory: %s\n", getcwd(directory, sizeof(directory)) ? directory : "none");
	prctl(PR_GET_NAME, name);
	printf("name: %s, dumpable: %d, priority: %d\n", name, prctl(PR_GET_DUMPABLE), getpriority(PRIO_PROCESS, 0));
}

int main(int argc, char **argv)
{
	printf("errno at the beginning: %d\n", errno);
	if (argc != 4)
		return 2;
	printf("h_errno at the beginning: %d\n", h_errno);
	descriptors();
	dial(argv[1], argv[2]);
	look_up(argv[3]);
	descriptors();
	status();
	children();
	loose_memory();
	limits();
	timers();
	environment();
	place();
	return 0;
}
