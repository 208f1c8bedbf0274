"""Generates load over HTTP: each connection sends one request at a time.

The load is the same for every system that is measured. The generator runs in its own process and
does little work per answer, so that most CPU time is left to the servers.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import cast
from urllib.parse import urlsplit

import httptools
import uvloop


def post(url: str, path: str, body: dict[str, object]) -> bytes:
    data = json.dumps(body).encode()
    host = urlsplit(url).netloc
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(data)}\r\n\r\n"
    return head.encode() + data


def put_request(url: str, number: int, value: bytes = b"v" * 64) -> bytes:
    key = base64.b64encode(b"bench/%08d" % number).decode()
    return post(url, "/v3/kv/put", {"key": key, "value": base64.b64encode(value).decode()})


def get_request(url: str, number: int) -> bytes:
    key = base64.b64encode(b"bench/%08d" % number).decode()
    return post(url, "/v3/kv/range", {"key": key})


class AnsweredConnection(asyncio.Protocol):
    """Sends one request at a time. `answered` is called after each answer."""

    def __init__(self, answered: Callable[[], None], tally: Tally) -> None:
        self._answered = answered
        self._tally = tally
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def send(self, request: bytes) -> None:
        """Send `request`, a complete HTTP request."""
        self._began = time.perf_counter()
        self._transport.write(request)

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        ok = self._parser.get_status_code() == 200
        self._tally.add(ok, time.perf_counter() - self._began)
        self._answered()


class Connection(AnsweredConnection):
    """Sends the next request when the previous one is answered; closes if there is no next."""

    def __init__(self, next_request: Callable[[], bytes | None], tally: Tally) -> None:
        super().__init__(self._send_next, tally)
        self._next = next_request
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._send_next()

    def _send_next(self) -> None:
        request = self._next()
        if request is None:
            self.close()
        else:
            self.send(request)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


class Tally:
    """Latencies of the answers with status 200, and the number of other answers."""

    def __init__(self) -> None:
        self.latencies_s: list[float] = []
        self.failed = 0

    def add(self, ok: bool, seconds: float) -> None:
        if ok:
            self.latencies_s.append(seconds)
        else:
            self.failed += 1

    def summary(self, seconds: float) -> dict[str, float]:
        ordered = sorted(self.latencies_s) or [float("nan")]
        return {
            "per_second": len(self.latencies_s) / seconds,
            "p50_ms": ordered[len(ordered) // 2] * 1e3,
            "p99_ms": ordered[int(len(ordered) * 0.99)] * 1e3,
            "ok": len(self.latencies_s),
            "failed": self.failed,
        }


async def drive(
    urls: list[str],
    connections: int,
    request: Callable[[str, int], bytes],
    *,
    seconds: float | None = None,
    count: int | None = None,
) -> dict[str, float]:
    """Send requests until `seconds` have passed or `count` requests were sent.

    The connections are distributed over `urls` round-robin. Returns the summary of the answers.
    """
    loop = asyncio.get_running_loop()
    tally = Tally()
    began = time.perf_counter()
    sent = 0

    def source(url: str) -> Callable[[], bytes | None]:
        def next_request() -> bytes | None:
            nonlocal sent
            over = seconds is not None and time.perf_counter() - began >= seconds
            if over or (count is not None and sent >= count):
                return None
            sent += 1
            return request(url, sent)

        return next_request

    opened = []
    for number in range(connections):
        url = urls[number % len(urls)]
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        _, protocol = await loop.create_connection(
            partial(Connection, source(url), tally), parts.hostname, parts.port
        )
        opened.append(protocol)
    await asyncio.gather(*(protocol.done for protocol in opened))
    return tally.summary(time.perf_counter() - began)


def main() -> None:
    """`python -m tests.benchmarks.load put|get CONNECTIONS SECONDS|COUNTx URL…`.

    Prints the summary as one line of JSON.
    """
    kind, connections, amount, *urls = sys.argv[1:]
    request = {"put": put_request, "get": get_request}[kind]
    if amount.endswith("x"):
        work = drive(urls, int(connections), request, count=int(amount[:-1]))
    else:
        work = drive(urls, int(connections), request, seconds=float(amount))
    print(json.dumps(uvloop.run(work)))


if __name__ == "__main__":
    main()
