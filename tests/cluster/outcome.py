# SPDX-License-Identifier: Apache-2.0
"""How a step ends that does not pass, and waiting."""

import os
import time

TIMEOUT_S = float(os.environ.get('FAIRDIAL_CLUSTER_TIMEOUT') or 60)


class Failed(Exception):
    pass


class Skipped(Exception):
    pass


def wait_until(what, attempt, timeout_s=None):
    """Until `attempt` returns something true, which is returned. It may return None, or raise Failed to say what is not right
    yet. `what` is a clause: "the table is there"."""
    deadline = time.monotonic() + (timeout_s or TIMEOUT_S)
    while True:
        reason = ''
        try:
            result = attempt()
            if result:
                return result
        except Failed as failed:
            reason = '\n' + str(failed)
        if time.monotonic() > deadline:
            raise Failed('{:.0f} s passed and never was it so that {}{}'.format(timeout_s or TIMEOUT_S, what, reason))
        time.sleep(0.05)
