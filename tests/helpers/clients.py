# SPDX-License-Identifier: Apache-2.0
"""clients.py KIND HOST PORT COUNT: dials COUNT times the way KIND does, and prints each answer."""
import asyncio
import http.client
import socket
import sys


def by_socket(host, port):
    with socket.create_connection((host, port), timeout=10) as s:
        s.sendall(b"who\n")
        return s.makefile().readline()


def by_http(host, port):
    connection = http.client.HTTPConnection(host, port, timeout=10)
    connection.request("GET", "/")
    answer = connection.getresponse().read().decode()
    connection.close()
    return answer


def by_host(host, port):
    return by_socket(socket.gethostbyname_ex(host)[2][0], port)


async def dial(host, port):
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(b"who\n")
    answer = (await reader.readline()).decode()
    writer.close()
    await writer.wait_closed()
    return answer


async def all_at_once(host, port, count):
    return await asyncio.wait_for(asyncio.gather(*(dial(host, port) for _ in range(count))), 30)


kind, host, port, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
if kind == "asyncio":
    answers = asyncio.run(all_at_once(host, port, count))
else:
    answers = [{"socket": by_socket, "http": by_http, "host": by_host}[kind](host, port) for _ in range(count)]
sys.stdout.write("".join(answers))
