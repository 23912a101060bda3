/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The word of a verdict: src/ledger/layout.h tells the protocol. Models, of src/ledger/health.c,
 *	note_failure, may_judge and put_out	as `judge`: a dial that found the backend in, and fails
 *	ledger_try, and what its dial tells	as `trier`: one that finds a time that is over, and may be killed
 *	note_success				as `elder`: a dial that found the backend in, and succeeds later
 * and ledger_load with ledger_any_ejected as `follower`: a dial that begins when the judge's has returned, as the program tells
 * it by any means that orders the two. The tag is left out: tenancy.pml has it. Whether a time is over is anybody's guess, but
 * nobody's that follows: it is too early then.
 *
 * Proved: of all that find the same word, one dial at most tries the backend; a success ends no verdict that its dial did not
 * know; a follower never finds the backend in, unless a trial has succeeded since; and who sees the word sees the note in the
 * head, by which a pick knows that there is something to count.
 */
#ifndef TRIERS
#define TRIERS 2
#endif

#define LOCATIONS 3
#define MESSAGES 8
#define THREADS (TRIERS + 3)
#include "memory.pml"

#define JUDGE TRIERS
#define ELDER (TRIERS + 1)
#define FOLLOWER (TRIERS + 2)

#define WORD 0
#define HEAD 1
#define TOLD 2 /* the program's own */

#ifndef LOOK
#define LOOK ACQUIRE
#endif
#ifndef SWAP
#define SWAP ACQ_REL
#endif

#define IN 0
#define IS_TRIAL(word) ((word) % 2)

byte times = 1; /* no two are the same: the clock goes on */
byte tried[2 * MESSAGES + 4]; /* dials that a word has let through */
bool returned; /* a trial has succeeded */

/* Swaps `before` for a new time, behind the note in the head. */
inline put_out(before, flag)
{
#ifndef NOTE_LAST
	store(me, HEAD, RELAXED, 1);
#endif
	d_step { times++; until = 2 * times + flag }
#ifdef BY_STORE
	load(me, WORD, LOOK, seen);
	done = seen == before;
	seen = 0;
	if
	:: done -> store(me, WORD, RELEASE, until)
	:: else
	fi;
#else
	swap_if(me, WORD, SWAP, before, until, done);
#endif
#ifdef NOTE_LAST
	store(me, HEAD, RELAXED, 1);
#endif
	skip
}

inline succeed(knew)
{
	load(me, WORD, LOOK, now);
	if
#ifdef BLINDLY
	:: now == IN
#else
	:: now == IN || (now != knew && !(knew && IS_TRIAL(now)))
#endif
	:: else ->
		atomic {
			swap_if(me, WORD, SWAP, now, IN, done);
			if
			:: done -> d_step { assert(knew != IN); returned = true }
			:: else
			fi
		}
	fi
}

proctype judge(byte me)
{
	byte now, until, seen;
	bool done;

#ifdef TELL_FIRST
	store(me, TOLD, RELEASE, 1);
#endif
	load(me, WORD, LOOK, now);
	if
	:: now == IN -> put_out(IN, 0)
	:: else
	fi;
#ifndef TELL_FIRST
	store(me, TOLD, RELEASE, 1)
#endif
}

proctype trier(byte me)
{
	byte found, now, until, seen, mine;
	bool done;

	load(me, WORD, LOOK, found);
	if
	:: found == IN
	:: else ->
		/* Its time is over. */
		put_out(found, 1);
		if
		:: !done
		:: done ->
			d_step { mine = until; tried[found]++; assert(tried[found] <= 1) };
			if
			:: true /* killed, or never tells */
			:: succeed(mine)
			:: load(me, WORD, LOOK, now);
			   if
			   :: now == mine -> put_out(mine, 0)
			   :: else
			   fi
			fi
		fi
	fi
}

proctype elder(byte me)
{
	byte now;
	bool done;

	succeed(IN)
}

proctype follower(byte me)
{
	byte told, word, note;

	load(me, TOLD, ACQUIRE, told);
	load(me, WORD, LOOK, word);
	assert(!told || word != IN || returned);
	load(me, HEAD, RELAXED, note);
	assert(word == IN || note)
}

init {
	byte n;

	begin_memory();
	atomic {
		do
		:: n < TRIERS -> run trier(n); n++
		:: else -> break
		od;
		n = 0;
		run judge(JUDGE);
		run elder(ELDER);
		run follower(FOLLOWER)
	}
}
