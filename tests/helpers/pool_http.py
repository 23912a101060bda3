# SPDX-License-Identifier: Apache-2.0
"""pool_http.py KIND URL THREADS PAUSE: a constant load on connections that are kept, until stdin ends.

Every thread asks for URL, with PAUSE seconds between an answer and the next question, and prints who answered, or "failed" and
why. How connections are kept is KIND:

    requests         a requests.Session for each thread, as it comes: it asks nobody twice
    requests-shared  one for all of them, which asks once more where a connection fails
    urllib3          one urllib3.PoolManager for all of them, as it comes: it asks again
    plain            an http.client.HTTPConnection for each thread, which does not look at it before it asks

Those that share have as many connections as threads if all ask at once, so URL is then one that answers all at once
(tests/support/backends.h); others ask one after another.
"""
import http.client
import os
import sys
import threading
import urllib.parse

TIMEOUT_S = 30
kind, url, threads, pause_s = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
over = threading.Event()


def say(text):
    os.write(1, (text + "\n").encode())


def checked(status, text):
    if status != 200:
        raise ValueError("status %d" % status)
    return text.strip()


def by_requests(session):
    response = session.get(url, timeout=TIMEOUT_S)
    return checked(response.status_code, response.text)


def by_urllib3(manager):
    response = manager.request("GET", url, timeout=TIMEOUT_S)
    return checked(response.status, response.data.decode())


def plain():
    to = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(to.hostname, to.port or 80, timeout=TIMEOUT_S)

    def ask():
        try:
            connection.request("GET", to.path or "/")
            response = connection.getresponse()
            return checked(response.status, response.read().decode())
        except (http.client.HTTPException, OSError):
            connection.close()
            raise

    return ask


def session_for(connections, retries):
    import requests
    session = requests.Session()
    session.trust_env = False
    session.mount("http://", requests.adapters.HTTPAdapter(pool_connections=1, pool_maxsize=connections, pool_block=True,
                                                           max_retries=retries))
    return session


def manager_of():
    import urllib3
    return urllib3.PoolManager(num_pools=1, maxsize=threads, block=True)


def askers():
    """What each thread calls to ask once."""
    if kind == "requests":
        return [lambda own=session_for(1, 0): by_requests(own) for _ in range(threads)]
    if kind == "requests-shared":
        shared = session_for(threads, 1)
        return [lambda: by_requests(shared)] * threads
    if kind == "urllib3":
        manager = manager_of()
        return [lambda: by_urllib3(manager)] * threads
    return [plain() for _ in range(threads)]


def load(ask, first_s):
    pause = first_s
    while not over.wait(pause):
        try:
            say(ask())
        except Exception as e:  # whatever it is, the request has failed
            say("failed %s: %s" % (type(e).__name__, e))
        pause = pause_s


apart_s = pause_s / threads if kind in ("requests", "plain") else 0
for i, ask in enumerate(askers()):
    threading.Thread(target=load, args=(ask, i * apart_s), daemon=True).start()
while sys.stdin.read(1):
    pass
over.set()
