/* SPDX-License-Identifier: Apache-2.0 */
/*
 * many_lookups THREADS COUNT NAME ADDRESSES [NAME ADDRESSES]…: looks up and frees COUNT times in all, the names in turn, and
 * prints how many answers were wrong and by how much memory (after the first tenth) and descriptors have grown. The
 * addresses of an answer are those of ADDRESSES ("10.0.0.1,fd00::1"), in any order.
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "entries.h"

static char **pairs;
static unsigned pair_count, count;
static atomic_uint next, wrong;

static long resident_kib(void)
{
	long size, pages = -1;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f && fscanf(f, "%ld %ld", &size, &pages) != 2)
		pages = -1;
	if (f)
		fclose(f);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static int descriptors(void)
{
	return entries_of("/proc/self/fd");
}

/* Whether the words of `all`, separated by commas, have this one. */
static bool is_among(const char *all, const char *word)
{
	size_t length = strlen(word);

	for (const char *at = strstr(all, word); at; at = strstr(at + 1, word))
		if ((at == all || at[-1] == ',') && (at[length] == ',' || at[length] == '\0'))
			return true;
	return false;
}

static unsigned words_in(const char *all)
{
	unsigned n = 1;

	for (; *all; all++)
		n += *all == ',';
	return n;
}

static bool is_right(const struct addrinfo *list, const char *addresses)
{
	unsigned n = 0;

	for (; list; list = list->ai_next, n++) {
		char text[64];

		if (getnameinfo(list->ai_addr, list->ai_addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST) ||
		    !is_among(addresses, text))
			return false;
	}
	return n == words_in(addresses);
}

static void look_up(unsigned i)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = i % 8 == 7 ? AI_NUMERICSERV : 0 };
	char **pair = pairs + i % pair_count * 2;
	struct addrinfo *list;

	if (getaddrinfo(pair[0], i % 2 ? "80" : NULL, &hints, &list)) {
		atomic_fetch_add(&wrong, 1);
		return;
	}
	if (!is_right(list, pair[1]))
		atomic_fetch_add(&wrong, 1);
	freeaddrinfo(list);
}

/* Until `end` of them are done. */
static void *work(void *end)
{
	unsigned i;

	while ((i = atomic_fetch_add(&next, 1)) < (unsigned)(size_t)end)
		look_up(i);
	return NULL;
}

static void work_in_threads(unsigned threads, unsigned end)
{
	pthread_t thread[64];

	for (unsigned i = 1; i < threads; i++)
		if (pthread_create(&thread[i], NULL, work, (void *)(size_t)end))
			abort();
	work((void *)(size_t)end);
	for (unsigned i = 1; i < threads; i++)
		pthread_join(thread[i], NULL);
}

int main(int argc, char **argv)
{
	unsigned threads;
	long memory;
	int open;

	if (argc < 5 || argc % 2 == 0 || atoi(argv[1]) < 1 || atoi(argv[1]) > 64)
		return 2;
	threads = (unsigned)atoi(argv[1]);
	count = (unsigned)atoi(argv[2]);
	pairs = argv + 3;
	pair_count = (unsigned)(argc - 3) / 2;
	work_in_threads(threads, count / 10);
	atomic_store(&next, count / 10);
	memory = resident_kib();
	open = descriptors();
	work_in_threads(threads, count);
	printf("wrong %u memory %ld descriptors %d\n", atomic_load(&wrong), resident_kib() - memory, descriptors() - open);
	return 0;
}
