"""Serves a v3 JSON gateway that stores nothing and answers at once.

With this server, the cost of the clients alone is measured.

    python -m tests.benchmarks.null_store

It listens on a free port of 127.0.0.1 and prints the port.
"""

from __future__ import annotations

import asyncio
from itertools import count
from typing import cast

import httptools
import uvloop

_HEADER = '"header":{"cluster_id":"1","member_id":"2","revision":"%d","raft_term":"2"}'
_KV = '{"key":"cg==","create_revision":"2","mod_revision":"2","version":"1","value":"MQ=="}'
ANSWERS = {
    b"/v3/kv/put": f"{{{_HEADER}}}",
    b"/v3/kv/range": f'{{{_HEADER},"kvs":[{_KV}],"count":"1"}}',
    b"/v3/kv/txn": f'{{{_HEADER},"succeeded":true,"responses":[{{"response_put":{{}}}}]}}',
}
_revisions = count(2)


class Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._path = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, path: bytes) -> None:
        self._path = path

    def on_message_complete(self) -> None:
        body = (ANSWERS[self._path] % next(_revisions)).encode()
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        self._transport.write(head % len(body) + body)


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve())
