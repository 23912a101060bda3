/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/book.h"

#include <stddef.h>

#include "base/sys.h"
#include "table/atomics.h"

#define WIPE_ON_FORK 18 /* MADV_WIPEONFORK, Linux 4.14 */
#define TRIES	     8	/* at an entry that is being written: whoever writes needs nanoseconds, or does not run */
#define WORDS	     (sizeof(struct booked) / sizeof(uint64_t))

/*
 * Each place is a sequence lock. Whoever writes takes it by swapping its sequence from even to odd, stores the words, and stores
 * the next even sequence. Whoever reads loads the sequence, the words, and the sequence again; a copy is whole where both are the
 * same and even. The first load acquires what the last store of the writer before released: the words are that one's, or later
 * ones. A word that is a later writer's was loaded with acquire from a store with release, behind which that writer's swap to odd
 * is seen: the second load of the sequence, which no acquire before it lets go first, then finds another number (atomics.h).
 */
struct book {
	uint64_t owner; /* the process's number; 0: a child of fork has found it wiped, or nobody has looked since */
	uint64_t life;
	uint64_t zero[6];
	uint64_t sequence[BOOK_PLACES]; /* odd: is being written */
	struct booked entry[BOOK_PLACES]; /* cookie 0: there is none */
};

_Static_assert(sizeof(struct booked) == 64, "whole words, and one line of the cache");
_Static_assert(offsetof(struct booked, cookie) == 0, "the first word tells whether there is an entry");
_Static_assert(offsetof(struct book, entry) % 64 == 0, "a look at a place touches one line of the cache");

/* The address of the book. 0: nobody has needed one; 1: there is none to be had, which nobody asks again. */
#define NO_BOOK 1
static uint64_t address;

static struct book *map_book(void)
{
	struct book *book = sys_mmap(sizeof(*book), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	if (sys_mmap_failed(book))
		return NULL;
	if (sys_call(SYS_madvise, (long)book, sizeof(*book), WIPE_ON_FORK, 0, 0, 0) < 0) {
		sys_munmap(book, sizeof(*book));
		return NULL;
	}
	book->owner = (uint64_t)sys_getpid();
	return book;
}

/* Of two threads that make one, or of a thread and the signal handler that it runs meanwhile, one swaps its own in. */
static void make_book(void)
{
	struct book *book = map_book();

	if (!swap_if(&address, 0, book ? (uintptr_t)book : NO_BOOK) && book)
		sys_munmap(book, sizeof(*book));
}

/* Acquires what the swap in make_book released: the owner is written. */
static struct book *find_book(void)
{
	uint64_t at = load_acquire(&address);

	return at == NO_BOOK ? NULL : (struct book *)(uintptr_t)at;
}

/* A child of vfork has its parent's memory, and a number of its own. */
static bool is_own(struct book *book)
{
	uint64_t pid = (uint64_t)sys_getpid();

	return load_relaxed(&book->owner) == pid || swap_if(&book->owner, 0, pid) || load_relaxed(&book->owner) == pid;
}

static struct book *own_book(void)
{
	struct book *book = find_book();

	return book && is_own(book) ? book : NULL;
}

uint64_t *book_life(void)
{
	struct book *book = own_book();

	return book ? &book->life : NULL;
}

/* ---- places ---- */

/* The even sequence that it had is in `ret`. It does not wait: whoever writes may be the frame below a signal handler's. */
static bool take(uint64_t *sequence, uint64_t *ret)
{
	*ret = load_relaxed(sequence);
	return !(*ret & 1) && swap_if(sequence, *ret, *ret + 1);
}

/* Releases the words: pairs with the first load in read_entry, and with the swap of the next one that writes. */
static void give_back(uint64_t *sequence, uint64_t was)
{
	store_release(sequence, was + 2);
}

bool book_add(const struct booked *entry)
{
	uint32_t place = (uint32_t)entry->fd % BOOK_PLACES;
	struct book *book;
	uint64_t was;

	if (load_relaxed(&address) == 0)
		make_book();
	book = own_book();
	if (!book || !take(&book->sequence[place], &was))
		return false;
	store_words(&book->entry[place], entry, WORDS);
	give_back(&book->sequence[place], was);
	return true;
}

enum reading { READING_TORN, READING_EMPTY, READING_WHOLE };

static enum reading read_entry(const struct book *book, int place, struct booked *ret_entry)
{
	const uint64_t *sequence = &book->sequence[place];
	uint64_t before = load_acquire(sequence); /* pairs with give_back */

	if (before & 1)
		return READING_TORN;
	load_words(ret_entry, &book->entry[place], WORDS); /* pairs with store_words in book_add */
	if (load_relaxed(sequence) != before) /* behind the acquire of the words */
		return READING_TORN;
	return ret_entry->cookie ? READING_WHOLE : READING_EMPTY;
}

/* One that stays torn is passed over: whoever writes it was interrupted for long, or for good, and the next look comes. */
static bool has_entry(const struct book *book, int place, struct booked *ret_entry)
{
	enum reading reading = READING_TORN;

	for (int i = 0; i < TRIES && reading == READING_TORN; i++)
		reading = read_entry(book, place, ret_entry);
	return reading == READING_WHOLE;
}

int book_next(int from, struct booked *ret_entry)
{
	const struct book *book = own_book();

	if (!book || from < 0)
		return -1;
	for (int place = from; place < BOOK_PLACES; place++) {
		struct booked entry;

		/* Most places are empty, and one word says so; one that is being filled is found at the next look. */
		if (!load_relaxed(&book->entry[place].cookie) || !has_entry(book, place, &entry))
			continue;
		*ret_entry = entry;
		return place;
	}
	return -1;
}

void book_drop(int place, uint64_t cookie)
{
	struct book *book = own_book();
	uint64_t was;

	if (!book || place < 0 || place >= BOOK_PLACES || !take(&book->sequence[place], &was))
		return;
	if (load_relaxed(&book->entry[place].cookie) == cookie)
		store_release(&book->entry[place].cookie, 0);
	give_back(&book->sequence[place], was);
}
