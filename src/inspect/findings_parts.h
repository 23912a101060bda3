/* SPDX-License-Identifier: Apache-2.0 */
/* Of findings_make alone: each part adds what it finds. */
#ifndef FAIRDIAL_INSPECT_FINDINGS_PARTS_H
#define FAIRDIAL_INSPECT_FINDINGS_PARTS_H

#include "inspect/findings.h"
#include "inspect/why.h"

/* `remedy` NULL: none is needed. What does not fit is cut, and what is too many is left out. */
void finding_add(struct findings *findings, const char *id, enum severity severity, const char *remedy, const char *what, ...)
	__attribute__((format(printf, 5, 6)));
void finding_add_why(struct findings *findings, enum why why, enum severity severity);

/* Whether one of that name is among them: what one part has told is not told twice. */
bool findings_tell(const struct findings *findings, const char *id);

void findings_of_file(const struct check_facts *facts, struct findings *findings);
void findings_of_shim_file(const struct check_facts *facts, struct findings *findings);
void findings_of_build(const struct check_facts *facts, struct findings *findings);
void findings_of_preloads(const struct check_facts *facts, struct findings *findings);
void findings_of_table(const struct check_facts *facts, struct findings *findings);

#endif
