/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What memory.pml lets happen: the classic litmus tests (Alglave, Maranget and Tautschnig, "Herding cats", TOPLAS 2014; for
 * release and acquire Lahav, Giannarakis and Vafeiadis, "Taming release-acquire consistency", POPL 2016). Each asserts that its
 * weak outcome does not happen: the verifier finds it, or proves that it cannot be reached. FIRST is the order of stores, SECOND
 * that of loads.
 */
#define LOCATIONS 2
#define MESSAGES 4
#define THREADS 4
#include "memory.pml"

#define X 0
#define Y 1

byte a, b, c, d, ended;
bool won[2];

#define END d_step { ended++ }

#if defined(MP) || defined(MP_FENCES) || defined(RELEASE_SEQUENCE)
proctype P0()
{
	store(0, X, RELAXED, 1);
#ifdef MP_FENCES
	fence_release(0);
#endif
	store(0, Y, FIRST, 1);
	END
}

#ifdef RELEASE_SEQUENCE
proctype P2()
{
	bool done;

	swap_if(2, Y, RELAXED, 1, 2, done);
	END
}
#endif

proctype P1()
{
	load(1, Y, SECOND, a);
#ifdef MP_FENCES
	fence_acquire(1);
#endif
	load(1, X, RELAXED, b);
	END
}
#ifdef RELEASE_SEQUENCE
#define PROCESSES 3
#define WEAK (a == 2 && b == 0)
#else
#define PROCESSES 2
#define WEAK (a == 1 && b == 0)
#endif
#endif

#ifdef SB
proctype P0() { store(0, X, FIRST, 1); load(0, Y, SECOND, a); END }
proctype P1() { store(1, Y, FIRST, 1); load(1, X, SECOND, b); END }
#define PROCESSES 2
#define WEAK (a == 0 && b == 0)
#endif

#ifdef LB
proctype P0() { load(0, X, SECOND, a); store(0, Y, FIRST, 1); END }
proctype P1() { load(1, Y, SECOND, b); store(1, X, FIRST, 1); END }
#define PROCESSES 2
#define WEAK (a == 1 && b == 1)
#endif

#ifdef CORR
proctype P0() { store(0, X, FIRST, 1); store(0, X, FIRST, 2); END }
proctype P1() { load(1, X, SECOND, a); load(1, X, SECOND, b); END }
#define PROCESSES 2
#define WEAK (a > b)
#endif

/* Two readers agree on the order of one location. */
#ifdef CORR2
proctype P0() { store(0, X, FIRST, 1); END }
proctype P1() { store(1, X, FIRST, 2); END }
proctype P2() { load(2, X, SECOND, a); load(2, X, SECOND, b); END }
proctype P3() { load(3, X, SECOND, c); load(3, X, SECOND, d); END }
#define PROCESSES 4
#define WEAK (a == 1 && b == 2 && c == 2 && d == 1)
#endif

#ifdef IRIW
proctype P0() { store(0, X, FIRST, 1); END }
proctype P1() { store(1, Y, FIRST, 1); END }
proctype P2() { load(2, X, SECOND, a); load(2, Y, SECOND, b); END }
proctype P3() { load(3, Y, SECOND, c); load(3, X, SECOND, d); END }
#define PROCESSES 4
#define WEAK (a == 1 && b == 0 && c == 1 && d == 0)
#endif

#ifdef WRC
proctype P0() { store(0, X, FIRST, 1); END }
proctype P1() { load(1, X, SECOND, a); store(1, Y, FIRST, 1); END }
proctype P2() { load(2, Y, SECOND, b); load(2, X, SECOND, c); END }
#define PROCESSES 3
#define WEAK (a == 1 && b == 1 && c == 0)
#endif

#ifdef W2PLUS2
proctype P0() { store(0, X, FIRST, 1); store(0, Y, FIRST, 2); END }
proctype P1() { store(1, Y, FIRST, 1); store(1, X, FIRST, 2); END }
#define PROCESSES 2
#define WEAK (history[X].message[2].value == 1 && history[Y].message[2].value == 1)
#endif

/* One location, one winner. */
#ifdef SWAP
proctype P0() { swap_if(0, X, FIRST, 0, 1, won[0]); END }
proctype P1() { swap_if(1, X, FIRST, 0, 2, won[1]); END }
#define PROCESSES 2
#define WEAK (won[0] && won[1])
#endif

/* Whoever is told that it lost may have read an older value; never that both lost. */
#ifdef SWAP_LOSES
proctype P0() { swap_if(0, X, FIRST, 0, 1, won[0]); END }
proctype P1() { swap_if(1, X, FIRST, 0, 2, won[1]); END }
#define PROCESSES 2
#define WEAK (!won[0] && !won[1])
#endif

init {
	begin_memory();
	atomic {
		run P0();
		run P1();
#if PROCESSES > 2
		run P2();
#endif
#if PROCESSES > 3
		run P3();
#endif
	}
	ended == PROCESSES;
	assert(!WEAK)
}
