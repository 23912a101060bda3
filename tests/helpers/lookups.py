# SPDX-License-Identifier: Apache-2.0
"""lookups.py NAME…: looks each name up in the ways that Python has, and prints the answers."""
import socket
import sys

ways = [
    ("getaddrinfo", lambda name: socket.getaddrinfo(name, "http")),
    ("of IPv6", lambda name: socket.getaddrinfo(name, 80, socket.AF_INET6)),
    ("of a stream", lambda name: socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)),
    ("of no service", lambda name: socket.getaddrinfo(name, "nosuchservice")),
    ("gethostbyname", socket.gethostbyname),
    ("gethostbyname_ex", socket.gethostbyname_ex),
]
for name in sys.argv[1:]:
    for title, way in ways:
        try:
            print(name[:40], title, way(name))
        except (OSError, UnicodeError) as error:
            print(name[:40], title, type(error).__name__, error)
