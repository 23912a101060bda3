/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one thread of a program makes and the others use without a lock. Models, each with two threads that make it and one that
 * looks on:
 *	ATTACHMENT	install and attach_get of src/shim/attach.c: places are given out by a counter, filled once, and named by
 *			`current`
 *	FUNCTIONS	next_functions of src/shim/next.c: both store the same values, then the flag
 *	SETTINGS	attach_settings of src/shim/attach.c: one of them reads the environment, the others do without meanwhile
 * Proved: who finds something finds it whole, and of settings there is one reader of the environment.
 */
#define LOCATIONS 6
#define MESSAGES 5
#define THREADS 3
#include "memory.pml"

#define LOOKER 2

#ifndef PUBLISH
#define PUBLISH RELEASE
#endif
#ifndef FIND
#define FIND ACQUIRE
#endif

#define FLAG 0 /* current, looked_up, settings_state */
#define USED 1 /* attachments_used */
#define FIELD(place, i) (2 + 2 * (place) + (i))

byte readers;

#ifdef ATTACHMENT
proctype maker(byte me)
{
	byte place;

	fetch_add(me, USED, RELAXED, 1, 16, place);
	store(me, FIELD(place, 0), RELAXED, place + 1);
	store(me, FIELD(place, 1), RELAXED, place + 1);
	store(me, FLAG, PUBLISH, place + 1)
}

proctype looker()
{
	byte current, a, b;

	load(LOOKER, FLAG, FIND, current);
	if
	:: current ->
		load(LOOKER, FIELD(current - 1, 0), RELAXED, a);
		load(LOOKER, FIELD(current - 1, 1), RELAXED, b);
		assert(a == current && b == current)
	:: else
	fi
}
#endif

#ifdef FUNCTIONS
proctype maker(byte me)
{
	byte looked_up;

	load(me, FLAG, FIND, looked_up);
	if
	:: !looked_up ->
		store(me, FIELD(0, 0), RELAXED, 1);
		store(me, FIELD(0, 1), RELAXED, 1);
		store(me, FLAG, PUBLISH, 1)
	:: else
	fi
}

proctype looker()
{
	byte looked_up, a, b;

	load(LOOKER, FLAG, FIND, looked_up);
	if
	:: looked_up ->
		load(LOOKER, FIELD(0, 0), RELAXED, a);
		load(LOOKER, FIELD(0, 1), RELAXED, b);
		assert(a && b)
	:: else
	fi
}
#endif

#ifdef SETTINGS
proctype maker(byte me)
{
	byte state;
	bool mine;

	load(me, FLAG, FIND, state);
	if
	:: state == 0 ->
#ifdef NO_SWAP
		store(me, FLAG, RELAXED, 1);
		mine = true
#else
		swap_if(me, FLAG, ACQ_REL, 0, 1, mine)
#endif
	:: else
	fi;
	if
	:: mine ->
		readers++;
		assert(readers == 1);
		store(me, FIELD(0, 0), RELAXED, 1);
		store(me, FIELD(0, 1), RELAXED, 1);
		store(me, FLAG, PUBLISH, 2)
	:: else
	fi
}

proctype looker()
{
	byte state, a, b;

	load(LOOKER, FLAG, FIND, state);
	if
	:: state == 2 ->
		load(LOOKER, FIELD(0, 0), RELAXED, a);
		load(LOOKER, FIELD(0, 1), RELAXED, b);
		assert(a && b)
	:: else
	fi
}
#endif

init {
	begin_memory();
	atomic {
		run maker(0);
		run maker(1);
		run looker()
	}
}
