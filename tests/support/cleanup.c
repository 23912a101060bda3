/* SPDX-License-Identifier: Apache-2.0 */
#include "support/cleanup.h"

#include "support/testing.h"

struct duty {
	void (*undo)(void *);
	void *what;
	struct duty *next;
};

static struct duty *duties;

void after_test(void (*undo)(void *), void *what)
{
	struct duty *duty = malloc(sizeof(*duty));

	if (!duty)
		abort();
	*duty = (struct duty){ undo, what, duties };
	duties = duty;
}

int end_of_test(void **state)
{
	(void)state;
	while (duties) {
		struct duty *duty = duties;

		duties = duty->next;
		duty->undo(duty->what);
		free(duty);
	}
	return 0;
}
