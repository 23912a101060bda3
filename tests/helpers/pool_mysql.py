# SPDX-License-Identifier: Apache-2.0
"""pool_mysql.py KIND HOST PORT CONNECTIONS PAUSE: a constant load on a pool of connections to MySQL, until stdin ends.

All CONNECTIONS are in use at once, again and again with PAUSE seconds between; each use prints who answered, or "failed" and
why. The pool is KIND:

    list              a list of PyMySQL connections: each is pinged before its use, and opened again where that fails
    list-untested     the same without a ping: a connection that failed is replaced
    alchemy           SQLAlchemy's pool with pre-ping
    alchemy-untested  without
"""
import os
import sys
import threading

import pymysql

TIMEOUT_S = 30
WHO = "select concat('backend-', @@server_id)"
kind, host, port, connections, pause_s = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])
over = threading.Event()
all_in_use = threading.Barrier(connections, timeout=2 * TIMEOUT_S)


def say(text):
    os.write(1, (text + "\n").encode())


def dial():
    return pymysql.connect(host=host, port=port, user="root", connect_timeout=TIMEOUT_S, read_timeout=TIMEOUT_S,
                           write_timeout=TIMEOUT_S)


class ListPool:
    """The simplest of pools, as programs write it themselves."""

    def __init__(self, tested):
        self.tested, self.idle = tested, []

    def use(self):
        connection = self.idle.pop() if self.idle else dial()
        all_in_use.wait()
        try:
            if self.tested:
                connection.ping(reconnect=True)
            with connection.cursor() as cursor:
                cursor.execute(WHO)
                answer = cursor.fetchone()[0]
        except Exception:
            connection.close()
            raise
        self.idle.append(connection)
        return answer


class AlchemyPool:
    def __init__(self, tested):
        import sqlalchemy
        self.who = sqlalchemy.text(WHO)
        self.engine = sqlalchemy.create_engine("mysql+pymysql://root@%s:%d/" % (host, port), pool_size=connections,
                                               max_overflow=0, pool_pre_ping=tested)

    def use(self):
        with self.engine.connect() as connection:
            all_in_use.wait()
            return connection.execute(self.who).scalar()


def load(pool):
    while not over.wait(pause_s):
        try:
            say(pool.use())
        except Exception as e:  # whatever it is, the use has failed
            say("failed %s: %s" % (type(e).__name__, " ".join(str(e).split())))


pool = (AlchemyPool if kind.startswith("alchemy") else ListPool)(not kind.endswith("-untested"))
for _ in range(connections):
    threading.Thread(target=load, args=(pool,), daemon=True).start()
while sys.stdin.read(1):
    pass
over.set()
