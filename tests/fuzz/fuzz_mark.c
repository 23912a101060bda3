/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DIR/autostart, whose bytes are anybody's: the first byte says whether the sum is made right afterwards, as a hostile writer
 * would. Nothing in it keeps an agent from being started for longer than the longest pause.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "fuzz/fuzz.h"
#include "table/mark.h"
#include "table/table.h"

enum { MEND = 1, WHOLE = 2 };

static void hold(struct mark *mark)
{
	uint64_t now_ms = clock_boot_ms(), later_ms = now_ms + MARK_GRACE_MS + MARK_LONGEST_MS;

	FUZZ_HOLDS(mark->state < MARK_STATES && strnlen(mark->text, MARK_TEXT) < MARK_TEXT);
	FUZZ_HOLDS(mark_pause_ms(mark) <= MARK_LONGEST_MS);
	mark_has_failed(mark, false, now_ms);
	FUZZ_HOLDS(mark_is_due(mark, false, now_ms) || mark_is_due(mark, false, later_ms));
	FUZZ_HOLDS(!mark_is_due(mark, true, now_ms) && !mark_is_due(mark, true, later_ms));
}

/* What is written is read again as it was. */
static void write_again(int fd, struct mark *mark)
{
	struct mark again;

	mark_note_start(mark, clock_boot_ms());
	mark_note(mark, MARK_FAILED, "fuzz");
	FUZZ_HOLDS(mark_write(fd, mark) == 0 && mark_read(fd, &again) == 0);
	FUZZ_HOLDS(again.state == MARK_FAILED && again.tries == mark->tries && strcmp(again.text, "fuzz") == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	uint8_t how = (uint8_t)fuzz_number(&in, 1);
	int fd = memfd_create("mark", MFD_CLOEXEC);
	struct mark mark = { .state = MARK_NONE };

	/* One of this boot, and changes to its front. */
	if (fd < 0 || (!(how & WHOLE) && (mark_write(fd, &mark) < 0 || pread(fd, &mark, sizeof(mark), 0) != sizeof(mark))))
		abort();
	if (in.left < sizeof(mark) - offsetof(struct mark, time_ms) && !(how & WHOLE)) {
		memcpy((char *)&mark + offsetof(struct mark, time_ms), in.at, in.left);
		if (how & MEND)
			mark.sum = table_sum(0, &mark, offsetof(struct mark, sum) / 8);
		in = (struct fuzz_input){ (const uint8_t *)&mark, sizeof(mark) };
	}
	if (pwrite(fd, in.at, in.left, 0) != (ssize_t)in.left)
		abort();
	if (mark_read(fd, &mark) == 0) {
		hold(&mark);
		write_again(fd, &mark);
	}
	close(fd);
	return 0;
}
