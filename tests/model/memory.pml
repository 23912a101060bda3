/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A memory that is weaker than sequential consistency, for models of what the table, the ledger and the shim do: release,
 * acquire and relaxed accesses, fences and compare-and-swap, as C11 has them, in the operational form of Kang, Hur, Lahav,
 * Garg and Dreyer, "A promising semantics for relaxed-memory concurrency" (POPL 2017), without its promises.
 *
 * Each location has a history of messages. A thread has a view, which tells of each location the oldest message that it may
 * still read: a load may take any message from there on. A release store puts the thread's view into its message; an acquire
 * load joins that with its own. What a relaxed load was given waits for an acquire fence; what a release fence has seen goes
 * with the relaxed stores after it. A compare-and-swap that succeeds has read the newest message and follows it at once, and
 * hands on the view of what it read (release sequences). One that fails is a relaxed load.
 *
 * What it cannot show, and so what a model has to be argued for otherwise:
 *	- a store always becomes the newest of its location (strong release-acquire): the outcome of 2+2W is unreachable. The table
 *	  has one writer, and the words of the ledger that count are changed by compare-and-swap alone, so that each history there
 *	  is the order in which it happened.
 *	- a store is never seen before its thread has come to it (no promises): the outcome of LB, and a relaxed store that overtakes
 *	  what stands before it. A mutant that would need this is written with the two exchanged.
 * litmus.pml shows what is reachable here and what is not.
 *
 * Before including: LOCATIONS, MESSAGES (a history's length) and THREADS.
 */
#define RELAXED 0
#define ACQUIRE 1
#define RELEASE 2
#define ACQ_REL 3

typedef View { byte at[LOCATIONS] }
typedef Message { byte value; View seen }
typedef History { byte count; Message message[MESSAGES] }
typedef Thread {
	View now;
	View pending;  /* for an acquire fence */
	View released; /* by the last release fence */
}

History history[LOCATIONS];
Thread thread[THREADS];
byte chosen, j; /* 0 between the steps */

inline join(to, from)
{
	j = 0;
	do
	:: j < LOCATIONS ->
		if
		:: from.at[j] > to.at[j] -> to.at[j] = from.at[j]
		:: else
		fi;
		j++
	:: else -> break
	od;
	j = 0
}

inline copy(to, from)
{
	j = 0;
	do
	:: j < LOCATIONS -> to.at[j] = from.at[j]; j++
	:: else -> break
	od;
	j = 0
}

/* All locations hold 0, and everybody knows it. */
inline begin_memory()
{
	d_step {
		chosen = 0;
		do
		:: chosen < LOCATIONS -> history[chosen].count = 1; chosen++
		:: else -> break
		od;
		chosen = 0
	}
}

inline newest(location, ret)
{
	ret = history[location].message[history[location].count - 1].value
}

/* The thread has read the chosen message. */
inline take(me, location, order)
{
	thread[me].now.at[location] = chosen;
	if
	:: (order) & ACQUIRE -> join(thread[me].now, history[location].message[chosen].seen)
	:: else -> join(thread[me].pending, history[location].message[chosen].seen)
	fi
}

inline load(me, location, order, ret)
{
	atomic {
		chosen = thread[me].now.at[location];
		do
		:: chosen + 1 < history[location].count -> chosen++
		:: break
		od;
		d_step {
			take(me, location, order);
			ret = history[location].message[chosen].value;
			chosen = 0
		}
	}
}

/* Behind the newest message, with the view that goes with it. */
inline append(me, location, order, new_value)
{
	assert(history[location].count < MESSAGES);
	chosen = history[location].count;
	history[location].count++;
	thread[me].now.at[location] = chosen;
	history[location].message[chosen].value = new_value;
	if
	:: (order) & RELEASE -> join(history[location].message[chosen].seen, thread[me].now)
	:: else -> join(history[location].message[chosen].seen, thread[me].released)
	fi;
	history[location].message[chosen].seen.at[location] = chosen;
	chosen = 0
}

inline store(me, location, order, new_value)
{
	atomic { chosen = 0; d_step { append(me, location, order, new_value) } }
}

/* Reads the newest and follows it. Not a step of its own. */
inline exchange(me, location, order, new_value)
{
	chosen = history[location].count - 1;
	take(me, location, order);
	if
	:: chosen + 1 < MESSAGES -> copy(history[location].message[chosen + 1].seen, history[location].message[chosen].seen)
	:: else
	fi;
	append(me, location, order, new_value)
}

/* What a loop of load and compare-and-swap does in the end; its failures change nothing. */
inline fetch_add(me, location, order, n, modulus, ret)
{
	atomic {
		chosen = 0;
		d_step {
			newest(location, ret);
			exchange(me, location, order, (ret + (n)) % (modulus))
		}
	}
}

inline swap_if(me, location, order, expected, desired, ret_done)
{
	atomic {
		chosen = thread[me].now.at[location];
		do
		:: chosen + 1 < history[location].count -> chosen++
		:: chosen + 1 == history[location].count || history[location].message[chosen].value != (expected) -> break
		od;
		ret_done = false; /* nothing may jump into a d_step */
		d_step {
			if
			:: history[location].message[chosen].value == (expected) ->
				exchange(me, location, order, desired);
				ret_done = true
			:: else ->
				take(me, location, RELAXED)
			fi;
			chosen = 0
		}
	}
}

inline fence_acquire(me)
{
	d_step { join(thread[me].now, thread[me].pending) }
}

inline fence_release(me)
{
	d_step { join(thread[me].released, thread[me].now) }
}

/* Joins: a lock of the kernel that both have had, one after the other; the end of a process and the start of who waited. */
inline meet(me, place)
{
	join(thread[me].now, place);
	copy(place, thread[me].now)
}

/* Time has passed: everything is visible. */
inline see_all(me)
{
	d_step {
		chosen = 0;
		do
		:: chosen < LOCATIONS -> thread[me].now.at[chosen] = history[chosen].count - 1; chosen++
		:: else -> break
		od;
		chosen = 0
	}
}
