# SPDX-License-Identifier: Apache-2.0
"""
stream_client.py KIND HOST PORT COUNT: COUNT connections at constant load, each with a request, a pause and so on, and each kept
up by what its library's documentation says:

    grpc            a channel, with a retry policy in its service config
    grpc-plain      a channel, as it is by default
    websocket       async for websocket in connect(...), which goes on with another one after ConnectionClosed
    amqp            pika's BlockingConnection, made anew after an AMQPConnectionError, which it awaits in sleep()
    amqp-heartbeat  the same with heartbeats, more often than it asks

Says "ready" when all have been answered, and for each line of stdin "round" when each has been four times more. At the end of stdin
it ends, and says what came of the requests: answers; failed, with an error that the program sees; again, sent once more because the
connection had ended, as the library tells in its own way; ends, of connections, that it told while nothing was asked.
"""
import asyncio
import collections
import itertools
import json
import sys
import threading

PAUSE = 0.7  # longer than "quiet"
LIMIT = 30  # of a request
ROUND = 4

kind, host, port, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])


class Score:
    """What the connections count, each for itself."""

    def __init__(self):
        self.ending = threading.Event()
        self.lock = threading.Condition()
        self.answers = [0] * count
        self.counts = collections.Counter()
        self.said = collections.Counter()

    def answered(self, i):
        with self.lock:
            self.answers[i] += 1
            self.lock.notify_all()

    def tell(self, what, error):
        with self.lock:
            self.counts[what] += 1
            self.said["%s: %s" % (what, error)] += 1

    def wait_all(self, more):
        with self.lock:
            wanted = [n + more for n in self.answers]
            self.lock.wait_for(lambda: all(n >= w for n, w in zip(self.answers, wanted)))

    def report(self):
        print("answers %d" % sum(self.answers))
        for what in ("failed", "again", "ends"):
            print("%s %d" % (what, self.counts[what]))
        for text, times in self.said.items():
            print("%d times %s" % (times, " ".join(text.split())))
        sys.stdout.flush()


score = Score()


def pause_of(i):
    return PAUSE + 0.02 * i  # not all at once


# ---- gRPC ----

RETRY = {"maxAttempts": 3, "initialBackoff": "0.05s", "maxBackoff": "1s", "backoffMultiplier": 2,
         "retryableStatusCodes": ["UNAVAILABLE"]}


def by_grpc(i):
    import grpc

    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]  # else channels share a connection
    if kind == "grpc":
        options.append(("grpc.service_config", json.dumps({"methodConfig": [{"name": [{}], "retryPolicy": RETRY}]})))
    with grpc.insecure_channel("%s:%d" % (host, port), options) as channel:
        ask = channel.unary_unary("/fairdial.Test/Ask")
        while not score.ending.is_set():
            try:
                if ask(b"who", timeout=LIMIT).startswith(b"backend-"):
                    score.answered(i)
            except grpc.RpcError as e:
                score.tell("failed", "%s: %s" % (e.code(), e.details()))
            score.ending.wait(pause_of(i))


# ---- AMQP ----


class Asker:
    """A connection of pika's, and a queue that nobody else has."""

    def __init__(self):
        import pika

        heartbeat = 2 if kind == "amqp-heartbeat" else 0
        self.connection = pika.BlockingConnection(
            pika.ConnectionParameters(host, port, heartbeat=heartbeat, socket_timeout=LIMIT, blocked_connection_timeout=LIMIT))
        self.channel = self.connection.channel()
        self.channel.confirm_delivery()
        self.queue = self.channel.queue_declare("", exclusive=True).method.queue

    def ask(self, text):
        self.channel.basic_publish("", self.queue, text)
        return self.channel.basic_get(self.queue, auto_ack=True)[2]


def by_amqp(i):
    import pika

    asker, asked = None, None
    for n in itertools.count():
        asked, answer = b"%d-%d" % (i, n), None
        while answer is None:
            try:
                asker = asker or Asker()
                answer = asker.ask(asked)
            except pika.exceptions.AMQPConnectionError as e:
                score.tell("again" if asker else "failed", repr(e))
                asker = None
        if answer == asked:
            score.answered(i)
        else:
            score.tell("failed", "%r answers %r" % (answer, asked))
        try:
            asker.connection.sleep(pause_of(i))
        except pika.exceptions.AMQPConnectionError as e:
            score.tell("ends", repr(e))
            asker = None
        if score.ending.is_set():
            return


# ---- WebSocket ----


async def closes_within(websocket, seconds):
    try:
        await asyncio.wait_for(websocket.wait_closed(), seconds)
    except asyncio.TimeoutError:
        return False
    return True


async def by_websocket(i):
    import websockets

    async for websocket in websockets.connect("ws://%s:%d" % (host, port), open_timeout=LIMIT):
        try:
            while not score.ending.is_set():
                await websocket.send("who")
                if not (await asyncio.wait_for(websocket.recv(), LIMIT)).startswith("backend-"):
                    score.tell("failed", "no backend")
                score.answered(i)
                if await closes_within(websocket, pause_of(i)):
                    score.tell("ends", "closed with %s" % websocket.close_code)
                    break
            else:
                return
        except websockets.ConnectionClosed as e:
            score.tell("again", repr(e))


async def all_websockets():
    await asyncio.gather(*(by_websocket(i) for i in range(count)))


# ---- all of them ----


def guarded(function, *args):
    try:
        function(*args)
    except Exception as e:  # of any kind: what the library's documentation does not speak of
        score.tell("failed", repr(e))
        print(repr(e), file=sys.stderr, flush=True)


if kind == "websocket":
    threads = [threading.Thread(target=guarded, args=(lambda: asyncio.run(all_websockets()),), daemon=True)]
else:
    ask = by_grpc if kind.startswith("grpc") else by_amqp
    threads = [threading.Thread(target=guarded, args=(ask, i), daemon=True) for i in range(count)]
for thread in threads:
    thread.start()
score.wait_all(1)
print("ready", flush=True)
for _ in sys.stdin:
    score.wait_all(ROUND)
    print("round", flush=True)
score.ending.set()
for thread in threads:
    thread.join(LIMIT)
score.report()
