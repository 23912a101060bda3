/* SPDX-License-Identifier: Apache-2.0 */
#include "support/cleanup.h"

#include <unistd.h>

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

static void close_fd(void *fd)
{
	close((int)(intptr_t)fd);
}

int close_after_test(int fd)
{
	assert_true(fd >= 0);
	after_test(close_fd, (void *)(intptr_t)fd);
	return fd;
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
