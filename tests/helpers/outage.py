# SPDX-License-Identifier: Apache-2.0
"""outage.py FILE SLOT TASKS HOST PORT: as outage.c, by TASKS tasks of an event loop with slots from SLOT on."""
import asyncio
import errno
import mmap
import socket
import struct
import sys
import time

OVER, PATIENCE_S, PAUSE_S = 255, 2.5, 0.001
path, slot, tasks, host, port = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], int(sys.argv[5])
with open(path, "r+b") as file:
    board = mmap.mmap(file.fileno(), 4096)


def phase():
    return struct.unpack_from("=I", board, 0)[0]


def now_ms():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000000


async def dial():
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), PATIENCE_S)
    except (asyncio.TimeoutError, TimeoutError):
        return "ETIME"
    except OSError as e:
        return errno.errorcode.get(e.errno, "OSError")
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()
    return None


async def dial_on(own):
    over = 0
    while (begun := phase()) != OVER:
        begun_ms = now_ms()
        error = await dial()
        if error:
            print("failed", begun_ms, begun, phase(), error)
        over += 1
        struct.pack_into("=Q", board, 8 + 8 * own, over)
        await asyncio.sleep(PAUSE_S)
    print("dials", over)


async def main():
    await asyncio.gather(*(dial_on(slot + i) for i in range(tasks)))

asyncio.run(main())
