/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy keys of a Service: one row each, from which services files, annotations (`fairdial.dev/KEY`), errors and
 * manual pages are made.
 */
#ifndef FAIRDIAL_MODEL_POLICY_H
#define FAIRDIAL_MODEL_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "table/layout.h"

/* Their numbers are in tables: a new one goes to the end. ORIGIN_OPTION, the agent's own, goes before the default alone. */
enum policy_origin {
	ORIGIN_DEFAULT,
	ORIGIN_ANNOTATION,
	ORIGIN_FILE,
	ORIGIN_ENVIRONMENT,
	ORIGIN_OPTION,
	ORIGIN_MISREAD, /* there is an annotation, and it makes no sense: the default stays, and of a mode it is off */
	ORIGIN_UNACCEPTED, /* there is an annotation that would close connections, without the leave of the file: the default stays */
	ORIGIN_COUNT
};

enum policy_form { FORM_CHOICE, FORM_MODE, FORM_NUMBER, FORM_DURATION, FORM_DURATION_OR_OFF, FORM_DRAIN };

struct policy_key {
	const char *name;
	enum policy_form form;
	const char *const *choices; /* FORM_CHOICE, FORM_MODE: NULL-terminated, in the order of the enum */
	size_t offset, size;	    /* the field of struct table_policy */
	uint32_t min, max;	    /* numbers; milliseconds for durations; "off" is always within */
	const char *preset;	    /* the default, as a user would write it */
	bool moves;		    /* closes connections: from annotations only where the file has accept_moves */
	const char *expects;	    /* "a duration such as 1500ms, at least 1s" */
	const char *help;
};

extern const struct policy_key policy_keys[];
extern const size_t policy_key_count;

extern const char *const mode_names[];	  /* by enum fairdial_mode, NULL-terminated; so are the others */
extern const char *const balance_names[]; /* by enum balance */

/* The defaults of every key. */
struct table_policy policy_defaults(void);

/* NULL where no key has that name. */
const struct policy_key *policy_find(const char *name, size_t len);

/*
 * Sets one key from its text ("1500ms", "least_conn", "3") and notes where it came from. 0; -EINVAL or
 * -ERANGE, the policy unchanged: the caller says what key->expects.
 */
int policy_set(struct table_policy *policy, const struct policy_key *key, const char *text, size_t len,
	       enum policy_origin origin);

/* An annotation of this key is there and makes no sense: the value stays, but that of a mode becomes off. */
void policy_misread(struct table_policy *policy, const struct policy_key *key);

/* An annotation of this key is there, and nobody has said that it may be: the value stays. */
void policy_refuse(struct table_policy *policy, const struct policy_key *key);

/* Takes from `from` each key that is not at its default there and of a higher origin than here. */
void policy_merge(struct table_policy *policy, const struct table_policy *from);

/* Takes one key from `from`, value and origin, whatever it was here. */
void policy_take(struct table_policy *policy, const struct table_policy *from, const struct policy_key *key);

enum policy_origin policy_origin_of(const struct table_policy *policy, const struct policy_key *key);

/* "annotation"; for scripts too: never changes. */
const char *policy_origin_name(enum policy_origin origin);

/* The value as a user would write it. Returns `buf`. */
#define POLICY_TEXT 32
char *policy_print(const struct table_policy *policy, const struct policy_key *key, char buf[POLICY_TEXT]);

#endif
