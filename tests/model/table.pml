/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table's generations: src/table/layout.h tells the protocol. Models
 *	begin_area, end_area, publish_image, publish_patch, other_area	of src/table/writer.c, as `publish`
 *	table_begin, table_end and the loads between them		of src/table/lookup.c, as `reader`
 * on an area of three words: its own number and two that belong to it. A whole generation stores all; a patch stores what the
 * last one did (that of the current generation, which the other area has not seen), then one word of its own; a writer that does
 * not remember copies the current area first. A writer may die before each of its stores (DEATHS); who has waited for the lock
 * goes on with what is there, and remembers nothing.
 *
 * Readers store nothing, so one stands for all. The number of an attempt is what tells generations apart: one that died when its
 * area was whole, before it was named, has the number of its successor's.
 *
 * Proved: a reader for whom table_end says yes has read words of one generation alone, and none that is older than the one that
 * `current` named to it. It may be a newer one, which is whole and has yet to be named (or whose writer died before that), so of
 * two views the later may be the older one: AHEAD shows it.
 *
 * Each order can be weakened: -DDATA_LOAD=RELAXED and so on. RELEASE_FENCE and ACQUIRE_FENCE are the other way to write a
 * sequence lock, with relaxed words between them.
 */
#ifndef ATTEMPTS
#define ATTEMPTS 4
#endif
#ifndef DEATHS
#define DEATHS 0
#endif

#ifdef AHEAD
#define VIEWS 2
#else
#define VIEWS 1
#endif

#define LOCATIONS 9
#define MESSAGES 10
#define THREADS 2
#include "memory.pml"

#define WRITER 0
#define READER 1

#define CURRENT 0
#define SEQ(area) (1 + (area))
#define NUMBER(area) (3 + (area))
#define WORD(i, area) (5 + 2 * (i) + (area))

#ifndef ODD_STORE
#define ODD_STORE RELEASE
#endif
#ifndef DATA_STORE
#define DATA_STORE RELEASE
#endif
#ifndef EVEN_STORE
#define EVEN_STORE RELEASE
#endif
#ifndef CURRENT_STORE
#define CURRENT_STORE RELEASE
#endif
#ifndef CURRENT_LOAD
#define CURRENT_LOAD ACQUIRE
#endif
#ifndef SEQ_LOAD
#define SEQ_LOAD ACQUIRE
#endif
#ifndef DATA_LOAD
#define DATA_LOAD ACQUIRE
#endif
#ifndef END_LOAD
#define END_LOAD RELAXED
#endif

/* What each attempt wrote, and which one each generation was named after. */
typedef Content { byte word[2] }
Content content[ATTEMPTS + 1];
byte named[ATTEMPTS + 1];
byte deaths;

#if DEATHS
#define MAY_DIE if :: deaths < DEATHS -> deaths++; goto dies :: true fi
#else
#define MAY_DIE skip
#endif

#define PUT(location, order, value) atomic { MAY_DIE; store(WRITER, location, order, value) }

inline copy_current()
{
	load(WRITER, WORD(0, area ^ 1), DATA_LOAD, x);
	PUT(WORD(0, area), DATA_STORE, x);
	load(WRITER, WORD(1, area ^ 1), DATA_LOAD, x);
	PUT(WORD(1, area), DATA_STORE, x);
	load(WRITER, NUMBER(area ^ 1), DATA_LOAD, x);
	PUT(NUMBER(area), DATA_STORE, x);
	x = 0
}

inline repeat_last()
{
#ifndef FORGET_LAST
	PUT(WORD(last, area), DATA_STORE, current);
	PUT(NUMBER(area), DATA_STORE, current)
#else
	skip
#endif
}

inline patch()
{
	if
	:: remembers -> repeat_last()
	:: else -> copy_current()
	fi;
	if
	:: which = 0
	:: which = 1
	fi;
	d_step {
		content[attempt].word[0] = content[current].word[0];
		content[attempt].word[1] = content[current].word[1];
		content[attempt].word[which] = attempt
	}
	PUT(WORD(which, area), DATA_STORE, attempt);
	PUT(NUMBER(area), DATA_STORE, attempt);
	d_step { patched = true }
}

inline whole()
{
	d_step {
		content[attempt].word[0] = attempt;
		content[attempt].word[1] = attempt;
		patched = false
	}
	PUT(WORD(0, area), DATA_STORE, attempt);
	PUT(WORD(1, area), DATA_STORE, attempt);
	PUT(NUMBER(area), DATA_STORE, attempt)
}

proctype writer()
{
	byte attempt, generation, area, seq, x, which;
	byte current; /* the attempt that the current generation was */
	byte last;    /* the word that it changed */
	bool remembers, patched;

begins:
	do
	:: attempt < ATTEMPTS ->
		d_step {
			attempt++;
			newest(CURRENT, x);
			generation = x / 2 + 1;
			area = (x & 1) ^ 1;
			newest(SEQ(area), seq);
			seq = seq | 1;
			x = 0
		}
#ifndef LATE_ODD
		PUT(SEQ(area), ODD_STORE, seq);
#endif
#ifdef RELEASE_FENCE
		fence_release(WRITER);
#endif
		if
		:: whole()
		:: generation > 1 -> patch()
		fi;
#ifdef LATE_ODD
		PUT(SEQ(area), ODD_STORE, seq);
#endif
		PUT(SEQ(area), EVEN_STORE, seq + 1);
		MAY_DIE;
		d_step {
			named[generation] = attempt;
			append(WRITER, CURRENT, CURRENT_STORE, generation * 2 + area);
			current = attempt;
			remembers = patched;
			last = which;
			patched = false;
			which = 0
		}
	:: else -> break
	od;
	goto ended;
dies:
	skip;
	d_step {
		remembers = false;
		patched = false;
		which = 0;
		last = 0;
		x = 0
	}
	goto begins;
ended:
	skip
}

inline read_all(area)
{
	if
	:: load(READER, NUMBER(area), DATA_LOAD, number);
	   load(READER, WORD(0, area), DATA_LOAD, word[0]);
	   load(READER, WORD(1, area), DATA_LOAD, word[1])
	:: load(READER, WORD(1, area), DATA_LOAD, word[1]);
	   load(READER, WORD(0, area), DATA_LOAD, word[0]);
	   load(READER, NUMBER(area), DATA_LOAD, number)
	fi
}

proctype reader()
{
	byte current, seq, end, number, views;
#ifdef AHEAD
	byte before;
#endif
	byte word[2];

	do
	:: views < VIEWS ->
		views++;
		load(READER, CURRENT, CURRENT_LOAD, current);
		if
		:: current == 0 -> goto next
		:: else
		fi;
		load(READER, SEQ(current & 1), SEQ_LOAD, seq);
		if
		:: seq & 1 -> goto next
		:: else
		fi;
		read_all(current & 1);
#ifdef ACQUIRE_FENCE
		fence_acquire(READER);
#endif
#ifdef NO_END
		end = seq;
#else
		load(READER, SEQ(current & 1), END_LOAD, end);
#endif
		d_step {
			if
			:: end == seq ->
				assert(number > 0);
				assert(word[0] == content[number].word[0] && word[1] == content[number].word[1]);
				assert(number >= named[current / 2]);
#ifdef AHEAD
				assert(number >= before);
				before = number
#endif
			:: else
			fi
		}
next:
		skip;
		d_step {
			current = 0;
			seq = 0;
			end = 0;
			number = 0;
			word[0] = 0;
			word[1] = 0
		}
	:: else -> break
	od
}

init {
	begin_memory();
	atomic {
		run writer();
		run reader()
	}
}
