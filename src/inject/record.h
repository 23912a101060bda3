/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The annotation fairdial.dev/injected of a pod: what has to be put back when fairdial is taken out, as JSON.
 *
 *   { "version": "0.1.0",                which fairdial wrote it
 *     "absent": ["volumes"],             what was not there at all; "null": what was null
 *     "containers": {                    each that was given something
 *       "web": { "absent": ["env"],
 *                "preload": {"value": "/a.so"},  its LD_PRELOAD as it was; {}: an entry without a value; "valueFrom": it is
 *                                        under another name now (preload.h); "kept": it named us already; absent: it had none
 *                "existing": "/b.so",    what was put before ours on behalf of its image
 *                "dir": "kept" } } }     it has a FAIRDIAL_DIR of its own
 *
 * What the record does not know, because somebody edited it or the pod, is put back as well as can be seen: nothing of
 * ours stays, and nothing of theirs goes.
 */
#ifndef FAIRDIAL_INJECT_RECORD_H
#define FAIRDIAL_INJECT_RECORD_H

#include <jansson.h>
#include <stdbool.h>

#define RECORD_ANNOTATION "fairdial.dev/injected"

/* Whether the pod says that it was injected. */
bool record_is_there(const json_t *pod);

/* The record of a pod; null, which knows nothing, for one that cannot be read. The caller's to free. */
json_t *record_read(const json_t *pod);

/* Writes it into the pod, which notes what is made for it. */
void record_write(json_t *record, json_t *pod);

/* Takes it out again. */
void record_erase(const json_t *record, json_t *pod);

/* What `key` of `owner` holds, to add to; made, of the type of `empty`, where there is none, and noted. Takes `empty`. */
json_t *record_open(json_t *record, json_t *owner, const char *key, json_t *empty);

/* The reverse, once what is ours is out of it: an empty one goes that was not there, or of which the record knows nothing. */
void record_close(const json_t *record, json_t *owner, const char *key);

/* The part about a container; NULL where there is none, which knows nothing. */
json_t *record_of_container(const json_t *record, const char *name);

#endif
