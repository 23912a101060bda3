/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A row of the ledger that passes from backend A to backend B while dials of A are under way. Models begin_tenancy,
 * ledger_claim_if, ledger_landed and ledger_release of src/ledger/ledger.c with the tagged words of src/ledger/words.h: a word is
 * worth 0 to everybody but the one whose tag it has, and who adds to it replaces tag and value together.
 *
 * Proved: what a word is worth to a backend never exceeds what was added to it for that backend, so that no score goes to a
 * stranger. Not so: that none is lost. A's late words may replace B's, which then count from 0 until a mend; LOSES shows it.
 */
#define LOCATIONS 3
#define MESSAGES 12
#define THREADS 3
#include "memory.pml"

#define CLAIMS 0
#define GONE 1
#define LANDED 2

#define A 1
#define B 2
#define WORD(tag, value) ((tag) * 16 + (value))

#ifndef LOOK
#define LOOK ACQUIRE
#endif
#ifndef SWAP
#define SWAP ACQ_REL
#endif

/* By location and tag: what was added since the backend's claims began anew, which is when the word was a stranger's. */
typedef Added { byte by[3] }
Added added[LOCATIONS];
byte alive; /* of B */
byte ended;

inline value_of(word, tag, ret)
{
#ifdef NO_TAGS
	ret = (word) % 16;
#else
	ret = ((word) / 16 == (tag) -> (word) % 16 : 0);
#endif
}

inline add(location)
{
	atomic {
		chosen = 0;
		d_step {
			newest(location, word);
			value_of(word, tag, n);
			added[location].by[tag]++;
			exchange(me, location, SWAP, WORD(tag, n + 1));
			assert(n + 1 <= added[location].by[tag]);
			word = 0;
			n = 0
		}
	}
}

inline begin_tenancy()
{
	if
	:: claims / 16 != tag ->
		load(me, GONE, LOOK, gone);
		load(me, LANDED, LOOK, landed);
		load(me, CLAIMS, LOOK, word);
		if
		:: word == claims ->
			swap_if(me, GONE, SWAP, gone, WORD(tag, 0), done);
			swap_if(me, LANDED, SWAP, landed, WORD(tag, 0), done)
		:: else
		fi;
		word = 0
	:: else
	fi
}

inline claim_if()
{
	atomic {
		chosen = 0;
		value_of(claims, tag, n);
		swap_if(me, CLAIMS, SWAP, claims, WORD(tag, n + 1), done);
		if
		:: done ->
			d_step {
				added[CLAIMS].by[tag]++;
				assert(n + 1 <= added[CLAIMS].by[tag]);
				alive = alive + (tag == B)
			}
		:: else
		fi;
		n = 0
	}
}

proctype dialer(byte me; byte tag)
{
	byte claims, gone, landed, word, n;
	bool done;

	load(me, CLAIMS, LOOK, claims);
	begin_tenancy();
	claim_if();
	if
	:: !done
	:: done ->
		if
		:: alive = alive - (tag == B); /* failed */
		   add(GONE);
		   add(LANDED)
		:: add(LANDED)
		fi
	fi;
	ended++
}

#ifdef LOSES
/* With no late claim of A: B's own are all there, and no more than a release may be missing. */
proctype last()
{
	byte claims, gone, held, n;

	ended == 3;
	newest(CLAIMS, n);
	value_of(n, B, claims);
	newest(GONE, n);
	value_of(n, B, gone);
	assert(claims - gone == alive)
}
#endif

init {
	begin_memory();
	/* A has claimed twice, and B has had the row before. */
	d_step {
		append(0, CLAIMS, RELEASE, WORD(A, 2));
		append(0, GONE, RELEASE, WORD(B, 1));
		append(0, LANDED, RELEASE, WORD(A, 1));
		added[CLAIMS].by[A] = 2;
		added[LANDED].by[A] = 1;
		added[GONE].by[B] = 1
	}
	atomic {
		see_all(1);
		see_all(2);
		run dialer(0, A);
		run dialer(1, B);
		run dialer(2, B);
#ifdef LOSES
		run last()
#endif
	}
}
