/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handlers LIFE ADDRESS PORT REPORT (see life.h): programs that dial in a signal handler, whatever it interrupts, and on small
 * stacks.
 */
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "life.h"

enum { DIALS_OF_HANDLER = 150, DIALS_MEANWHILE = 300, SMALL_STACK = 16384 };

/* ---- a timer's handler ---- */

static volatile sig_atomic_t dialed, answered;

static void dial_in_handler(int signal)
{
	int saved = errno;

	(void)signal;
	if (dialed < DIALS_OF_HANDLER) {
		dialed++;
		answered += dial(dialed % 2);
	}
	errno = saved;
}

static void set_timer(long us)
{
	struct sigaction action = { .sa_handler = dial_in_handler, .sa_flags = SA_RESTART };
	struct itimerval timer = { { 0, us }, { 0, us } };

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
}

static void interrupt_malloc(void)
{
	void *kept[64] = { NULL };

	set_timer(300);
	for (unsigned i = 0; dialed < DIALS_OF_HANDLER; i++) {
		free(kept[i % 64]);
		kept[i % 64] = malloc(i * 37 % 5000);
	}
	set_timer(0);
	report("answered: %d\n", (int)answered);
}

static void interrupt_dials(void)
{
	int good = 0;

	set_timer(300);
	for (int i = 0; i < DIALS_MEANWHILE; i++)
		good += dial(i / 2 % 2);
	while (dialed < DIALS_OF_HANDLER)
		pause(); /* the next signal is a moment away */
	set_timer(0);
	report("answered: %d %d\n", good, (int)answered);
}

/* ---- small stacks ---- */

static void *dial_in_thread(void *unused)
{
	(void)unused;
	for (int i = 0; i < 6; i++)
		answered += dial(i % 2);
	return NULL;
}

/* Its lowest page is one that nobody may touch. */
static char *small_stack(size_t size)
{
	char *stack = mmap(NULL, size + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (stack == MAP_FAILED || mprotect(stack, 4096, PROT_NONE))
		_exit(9);
	return stack + 4096;
}

static void dial_on_small_stack(void)
{
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	if (pthread_attr_setstack(&attr, small_stack(SMALL_STACK), SMALL_STACK) ||
	    pthread_create(&thread, &attr, dial_in_thread, NULL))
		_exit(9);
	pthread_join(thread, NULL);
	report("answered: %d\n", (int)answered);
}

static void dial_on_signal_stack(void)
{
	stack_t stack = { .ss_sp = small_stack(SMALL_STACK), .ss_size = SMALL_STACK };
	struct sigaction action = { .sa_handler = dial_in_handler, .sa_flags = SA_ONSTACK };

	sigaltstack(&stack, NULL);
	sigaction(SIGUSR1, &action, NULL);
	for (int i = 0; i < 6; i++)
		raise(SIGUSR1);
	report("answered: %d\n", (int)answered);
}

/* ---- names: the address is a name, and stays one ---- */

static void *look_up(void *unused)
{
	static const struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM };
	struct addrinfo *list;

	(void)unused;
	for (int i = 0; i < 2; i++) {
		if (getaddrinfo(life.address, life.port, &hints, &list))
			_exit(8);
		freeaddrinfo(list);
	}
	return NULL;
}

static bool looks_up_on(size_t size)
{
	pthread_attr_t attr;
	pthread_t thread;
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		pthread_attr_init(&attr);
		if (pthread_attr_setstack(&attr, small_stack(size), size) || pthread_create(&thread, &attr, look_up, NULL))
			_exit(7); /* smaller than the C library permits */
		pthread_join(thread, NULL);
		_exit(0);
	}
	return waitpid(pid, &status, 0) == pid && status == 0;
}

/* In whole pages, as stacks are made. */
static void find_smallest_stack(void)
{
	size_t size = 4096;

	while (!looks_up_on(size) && size < 1 << 20)
		size += 4096;
	report("%zu\n", size);
}

int main(int argc, char **argv)
{
	static const struct life lives[] = {
		{ "interrupt-malloc", interrupt_malloc },
		{ "interrupt-dials", interrupt_dials },
		{ "small-stack", dial_on_small_stack },
		{ "signal-stack", dial_on_signal_stack },
		{ "smallest-stack", find_smallest_stack },
		{ NULL, NULL },
	};

	return live(lives, argc, argv);
}
