# SPDX-License-Identifier: Apache-2.0
"""Dials Services that exist nowhere but in a table: run by cluster.py in a network namespace of its own.

    dial.py FILE        FILE is JSON: "backends" (ADDRESS:PORT each), "urls", "runs", "preload" and "environment" for curl

Gives the namespace the backends' addresses, answers each connection with the address it came to, runs curl so many times for
each URL, and prints {"URL": {"ADDRESS:PORT": answers}} as JSON; what curl says where it fails counts as an answer.
"""

import collections
import json
import os
import socket
import subprocess
import sys
import threading


def serve(listener, text):
    answer = 'HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n{}'.format(len(text), text).encode()
    while True:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(answer)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):  # so that the client's close comes first and nothing is reset
                pass


def start(backend):
    address, _, port = backend.rpartition(':')
    listener = socket.create_server((address, int(port)), backlog=64)
    threading.Thread(target=serve, args=(listener, backend), daemon=True).start()


def dial(url, environment):
    done = subprocess.run(['curl', '-sS', '--noproxy', '*', '--max-time', '20', url], env=environment, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, universal_newlines=True)
    return done.stdout.strip()


def main():
    with open(sys.argv[1]) as file:
        spec = json.load(file)
    subprocess.run(['ip', 'link', 'set', 'lo', 'up'], check=True)
    for address in sorted({backend.rpartition(':')[0] for backend in spec['backends']}):
        subprocess.run(['ip', 'address', 'add', address + '/32', 'dev', 'lo'], check=True)
    for backend in spec['backends']:
        start(backend)
    environment = dict(os.environ, LD_PRELOAD=spec['preload'], **spec['environment'])
    print(json.dumps({url: collections.Counter(dial(url, environment) for _ in range(spec['runs'])) for url in spec['urls']}))


if __name__ == '__main__':
    main()
