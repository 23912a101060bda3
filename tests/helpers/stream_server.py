# SPDX-License-Identifier: Apache-2.0
"""stream_server.py KIND PORT ADDRESS...: serves them, the first as "backend-1"; says "ready" when all listen."""
import asyncio
import sys
import threading
from concurrent import futures


def name(i):
    return b"backend-%d" % (i + 1)


def serve_grpc(addresses, port):
    import grpc

    class Handler(grpc.GenericRpcHandler):
        def __init__(self, answer):
            self.handler = grpc.unary_unary_rpc_method_handler(lambda request, context: answer)

        def service(self, details):
            return self.handler

    servers = []
    for i, address in enumerate(addresses):
        server = grpc.server(futures.ThreadPoolExecutor(2))
        server.add_generic_rpc_handlers((Handler(name(i)),))
        if not server.add_insecure_port("%s:%d" % (address, port)):
            sys.exit("cannot listen at %s:%d" % (address, port))
        server.start()
        servers.append(server)
    print("ready", flush=True)
    threading.Event().wait()


async def serve_websocket(addresses, port):
    import websockets

    def answers(answer):
        async def handle(websocket):
            async for _ in websocket:
                await websocket.send(answer)
        return handle

    for i, address in enumerate(addresses):
        await websockets.serve(answers(name(i).decode()), address, port)
    print("ready", flush=True)
    await asyncio.Future()


kind, port, addresses = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
if kind == "grpc":
    serve_grpc(addresses, port)
else:
    asyncio.run(serve_websocket(addresses, port))
