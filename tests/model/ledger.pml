/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The counts of one backend: src/ledger/layout.h tells the protocol. Models
 *	ledger_load, ledger_claim_if, ledger_landed, ledger_release	of src/ledger/ledger.c, as `dialer`
 *	begin_row, count_found, on_their_way, notes_are, end_row	of src/ledger/mend.c, as `mender`
 * Each dialer dials once: it claims, and then its connect(2) succeeds, fails, or the process is killed at any point. A socket
 * that stands may be closed or not. Menders mend meanwhile. The kernel's list of sockets is behind a lock, and a dump looks at
 * one after the other. The tag is left out: tenancy.pml has it. So are the notes where there is one mender at a time; with two there
 * are those of the claims and of the sockets that were found, which stand for the others, and no quiet at the end. The verdict on claims that do not land for a second is spoken at the end, when it is true.
 *
 * Counters are modulo 16, as the real ones are modulo 2^32; a count above 8 is damage, and taken as 0.
 *
 * Proved: at no time is the count lower than the dials that are alive, so that a mend erases no claim, nor higher than they and those
 * of whose end nobody told; with LIMIT, that no two take the last place; and when all is quiet, three mends make it what the kernel
 * has.
 *
 * That a count is never too low follows from each word being changed by compare-and-swap and from the order, in program text, in
 * which a release and a mend go through them. That it is not too high needs the landing to release the claim before it, and the
 * mend to acquire that.
 */
#ifndef DIALERS
#define DIALERS 2
#endif
#ifndef MENDERS
#define MENDERS 1
#endif

#define THREADS (DIALERS + MENDERS + 1)
#if MENDERS > 1
#define LOCATIONS 5
#define MESSAGES 6
#else
#define LOCATIONS 3
#define MESSAGES 8
#endif
#include "memory.pml"

#define LAST (DIALERS + MENDERS) /* the thread that mends when all is quiet */

#define CLAIMS 0
#define GONE 1
#define LANDED 2
#define NOTE_CLAIMS 3
#define NOTE_FOUND 4

#ifndef CLAIM
#define CLAIM ACQ_REL
#endif
#ifndef ADD
#define ADD ACQ_REL
#endif
#ifndef LOOK
#define LOOK ACQUIRE
#endif
#ifndef LIMIT
#define LIMIT 100
#endif

#ifndef MENDS
#define MENDS 1
#endif

#define DAMAGE 8
#define MINUS(a, b) (((a) + 16 - (b)) % 16)

#define NONE 0
#define OPEN 1
#define CLOSED 2

View kernel; /* of who last had its lock */
byte socket[DIALERS];
byte alive; /* dials that have claimed, and have neither failed, nor closed, nor been killed */
byte untold; /* those that were closed or killed: a mend finds them */
byte ended;
byte k; /* 0 between the steps */

inline held_of(claims, gone, ret)
{
	ret = MINUS(claims, gone);
	if
	:: ret > DAMAGE -> ret = 0
	:: else
	fi
}

/* Within a step, behind whatever changes a count. */
inline check_count()
{
	held_of(history[CLAIMS].message[history[CLAIMS].count - 1].value, history[GONE].message[history[GONE].count - 1].value, k);
	assert(k >= alive);
	assert(k <= alive + untold);
	k = 0
}

/* ---- a dial ---- */

inline claim()
{
	load(me, CLAIMS, LOOK, claims);
	load(me, GONE, RELAXED, gone);
	held_of(claims, gone, held);
	if
	:: held >= LIMIT -> goto over
	:: else
	fi;
	atomic {
#ifdef CLAIM_BY_STORE
		store(me, CLAIMS, CLAIM, (claims + 1) % 16);
		claimed = true;
#else
		swap_if(me, CLAIMS, CLAIM, claims, (claims + 1) % 16, claimed);
#endif
		if
		:: claimed ->
			d_step {
				alive++;
				assert(alive <= LIMIT);
				check_count()
			}
		:: else -> goto over /* counts again; as another dialer */
		fi
	}
}

inline add_landed()
{
	fetch_add(me, LANDED, ADD, 1, 16, claims)
}

inline add_gone()
{
	atomic {
		chosen = 0;
		d_step {
			newest(GONE, claims);
			exchange(me, GONE, ADD, (claims + 1) % 16);
			alive--;
			check_count()
		}
	}
}

inline release()
{
#ifdef LANDED_FIRST
	add_landed();
	add_gone()
#else
	add_gone();
	if
	:: goto over /* killed */
	:: skip; add_landed()
	fi
#endif
}

inline open_socket()
{
	atomic { chosen = 0; d_step { meet(me, kernel); socket[me] = OPEN } }
}

inline close_socket()
{
	atomic { chosen = 0; d_step { meet(me, kernel); socket[me] = CLOSED; alive--; untold++ } }
}

proctype dialer(byte me)
{
	byte claims, gone, held;
	bool claimed;

	claim();
	if
	:: d_step { alive--; untold++ } /* killed before connect(2) */
	:: release()
	:: open_socket();
	   if
	   :: close_socket() /* killed before it landed */
	   :: add_landed();
	      if
	      :: close_socket()
	      :: true
	      fi
	   fi
	fi;
over:
	skip;
	d_step { ended++; claims = 0; gone = 0; held = 0; claimed = false }
}

/* ---- a mend ---- */

#if MENDERS > 1
/* Tagged by the mend's number, as the real ones are. */
#define NUMBER (me - DIALERS + 1)
#define NOTE(value) (NUMBER * 16 + (value))

inline note(location, n)
{
	store(me, location, RELAXED, NOTE(n))
}

inline read_note(location, order, ret)
{
	load(me, location, order, ret);
	if
	:: ret / 16 != NUMBER -> ret = 0; foreign = true
	:: else -> ret = ret % 16
	fi
}

inline end_notes()
{
	read_note(NOTE_CLAIMS, RELAXED, claims);
	read_note(NOTE_FOUND, RELAXED, found);
	foreign = false;
	read_note(NOTE_CLAIMS, ACQUIRE, now);
	read_note(NOTE_FOUND, ACQUIRE, now);
#ifdef BELIEVE_NOTES
	foreign = false;
#endif
	now = 0
}

inline count_found()
{
	do
	:: done -> break
	:: else ->
		load(me, NOTE_FOUND, RELAXED, now);
		if
		:: now / 16 != NUMBER -> break
		:: else -> swap_if(me, NOTE_FOUND, ACQ_REL, now, now + 1, done)
		fi
	od;
	done = false;
	now = 0
}
#else
#define note(location, n) skip
#define end_notes() skip
inline count_found()
{
	found++
}
#endif

inline begin_row()
{
#ifdef CLAIMS_FIRST
	load(me, CLAIMS, LOOK, claims);
	load(me, LANDED, LOOK, landed);
#else
	load(me, LANDED, LOOK, landed);
	load(me, CLAIMS, LOOK, claims);
#endif
	load(me, GONE, LOOK, gone);
	note(NOTE_CLAIMS, claims);
	note(NOTE_FOUND, 0)
}

inline dump()
{
	do
	:: i < DIALERS ->
		atomic {
			chosen = 0;
			d_step { meet(me, kernel); open = socket[i] == OPEN; i++ }
		}
		if
		:: open -> open = false; count_found()
		:: else
		fi
	:: else -> break
	od;
	i = 0
}

/* More landings than claims are taken back, whatever they are by now. */
inline on_their_way()
{
	waiting = MINUS(claims, landed);
#ifdef NO_WAITING
	waiting = 0;
#endif
	if
	:: waiting > DAMAGE -> waiting = 0; store(me, LANDED, RELAXED, claims)
	:: else
	fi;
	if
	:: verdict && waiting -> fetch_add(me, LANDED, ACQ_REL, waiting, 16, now); waiting = 0; now = 0
	:: else
	fi
}

inline end_row()
{
	end_notes();
	if
	:: foreign -> skip
	:: else ->
		on_their_way();
		load(me, CLAIMS, LOOK, made);
		made = MINUS(made, claims);
#ifdef NO_MADE
		made = 0;
#endif
		held = MINUS(claims + made, gone);
		if
		:: held >= found && held - found <= waiting + made -> skip
		:: else ->
			load(me, GONE, RELAXED, now);
			if
			:: now == gone ->
				atomic {
#ifdef MEND_BY_STORE
					store(me, GONE, ADD, MINUS(claims + 16, found + waiting));
#else
					swap_if(me, GONE, ADD, gone, MINUS(claims + 16, found + waiting), done);
#endif
					skip;
					d_step { check_count() }
				}
			:: else
			fi
		fi
	fi;
	d_step {
		claims = 0;
		landed = 0;
		gone = 0;
		found = 0;
		waiting = 0;
		made = 0;
		held = 0;
		now = 0;
		foreign = false;
		done = false
	}
}

proctype mender(byte me)
{
	byte claims, landed, gone, found, waiting, made, held, now, i, turns;
	bool foreign, done, open, verdict;

	do
	:: turns < MENDS ->
		turns++;
		begin_row();
		dump();
		end_row()
	:: else -> break
	od;
	ended++
}

/* When all is quiet: the first one's count may stand within what was on its way, the second one gives the verdict. */
proctype last()
{
	byte claims, landed, gone, found, waiting, made, held, now, i, turns;
	bool foreign, done, open, verdict;
	byte me = LAST;

	ended == DIALERS + MENDERS;
	see_all(me);
	do
	:: turns < 3 ->
		begin_row();
		dump();
		end_row();
		turns++;
		verdict = turns == 1
	:: else -> break
	od;
	skip;
	d_step {
		newest(CLAIMS, claims);
		newest(GONE, gone);
		held_of(claims, gone, held);
		do
		:: i < DIALERS -> found = found + (socket[i] == OPEN); i++
		:: else -> break
		od;
		assert(held == found)
	}
}

init {
	byte n;

	begin_memory();
	atomic {
		do
		:: n < DIALERS -> run dialer(n); n++
		:: else -> break
		od;
		do
		:: n < DIALERS + MENDERS -> run mender(n); n++
		:: else -> break
		od;
		n = 0;
#if MENDERS < 2
		run last()
#endif
	}
}
