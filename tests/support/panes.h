/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A terminal that tmux draws, of a server of its own: what somebody would see on it. Skips the test where there is no tmux. The
 * tests are TEST() ones.
 */
#ifndef FAIRDIAL_TESTS_PANES_H
#define FAIRDIAL_TESTS_PANES_H

struct pane;

/* Runs a line of sh in it. When that has ended, the pane says "ended: STATUS". The owner is the test. */
struct pane *pane_open(int columns, int rows, const char *command);

/* Keys as tmux names them: "q", "Escape", "C-z", "NPage"; NULL at the end. */
void pane_keys(struct pane *p, ...) __attribute__((sentinel));

void pane_resize(struct pane *p, int columns, int rows);

/* All that stands on it now; valid until the test ends. */
char *pane_text(struct pane *p);

/* Until it shows a text, or does not show it. The test fails where that takes a minute. Returns what is shown then. */
char *pane_expect(struct pane *p, const char *text);
char *pane_expect_no(struct pane *p, const char *text);

#endif
