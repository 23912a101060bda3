/* SPDX-License-Identifier: Apache-2.0 */
/* fairdial __complete: what a shell asks for when somebody presses TAB (src/completion). Not for people. */
#ifndef FAIRDIAL_CLI_COMPLETE_H
#define FAIRDIAL_CLI_COMPLETE_H

/*
 * `words`: what follows `fairdial` on the line, up to the cursor; the last is the one to be completed, and may be empty. Prints a
 * line for each candidate, "WORD<tab>what it is", and at last what else the shell may offer:
 *
 *	:words          nothing
 *	:files N        files, for the word without its first N bytes
 *	:directories N
 *	:command N      a command line of its own, which begins with word N, from 0
 *
 * Silent, and exits with 0, also where there is no table, no such verb or nothing to say: a shell shows what goes wrong here in
 * the middle of somebody's line.
 */
int complete(int count, char **words);

#endif
