/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/pause.h"

#include <stddef.h>

#include "base/signals.h"
#include "base/sys.h"

/* Of signals that are about to be let go. */
static enum pause_end judge(uint64_t set)
{
	enum pause_end end = PAUSE_OVER;

	for (int number = 1; number <= SIGNALS_LAST; number++) {
		struct signal_action action;

		if (!(set & signal_bit(number)))
			continue;
		action = signal_action(number);
		if (action.handler == SIGNAL_DEFAULT || action.handler == SIGNAL_IGNORED)
			continue;
		if (!(action.flags & SIGNAL_RESTARTS))
			return PAUSE_INTERRUPTED;
		if (SIGNALS_LIBC & signal_bit(number)) /* all of them restart what they interrupt */
			end = PAUSE_WANTED;
	}
	return end;
}

enum pause_end pause_ms(unsigned ms)
{
	uint64_t mask = signals_mask(SIGNALS_ALL);
	enum pause_end end;

	sys_poll(NULL, 0, (int)ms);
	end = judge(signals_pending() & ~mask);
	signals_mask(mask);
	return end;
}
