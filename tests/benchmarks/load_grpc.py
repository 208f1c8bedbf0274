"""A small gRPC load generator: each of the clients sends one put at a time.

Every `CLIENTS_A_CHANNEL` clients share a connection, as the clients of one program do.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from urllib.parse import urlsplit

import grpc

from splitbrain.node.api.methods import BY_KEY
from splitbrain.node.api.proto.messages import message_class
from tests.benchmarks.load import Tally

CLIENTS_A_CHANNEL = 8
VALUE = b"v" * 64
_REQUEST = message_class("etcdserverpb.PutRequest")


def put_request(number: int) -> bytes:
    message = _REQUEST(key=b"bench/%08d" % number, value=VALUE)
    data: bytes = message.SerializeToString()
    return data


async def drive(urls: list[str], clients: int, seconds: float) -> dict[str, float]:
    """Send puts until `seconds` have passed. Returns the summary of the answers."""
    channels = [
        grpc.aio.insecure_channel(
            urlsplit(urls[number % len(urls)]).netloc, (("grpc.use_local_subchannel_pool", 1),)
        )
        for number in range(max(1, min(clients, -(-clients // CLIENTS_A_CHANNEL))))
    ]
    tally = Tally()
    began = time.perf_counter()
    sent = 0

    async def client(call: grpc.aio.UnaryUnaryMultiCallable) -> None:
        nonlocal sent
        while time.perf_counter() - began < seconds:
            sent += 1
            at = time.perf_counter()
            try:
                await call(put_request(sent))
                tally.add(True, time.perf_counter() - at)
            except grpc.RpcError:
                tally.add(False, time.perf_counter() - at)

    calls = [channel.unary_unary(BY_KEY["/v3/kv/put"].path) for channel in channels]
    await asyncio.gather(*(client(calls[number % len(calls)]) for number in range(clients)))
    summary = tally.summary(time.perf_counter() - began)
    await asyncio.gather(*(channel.close() for channel in channels))
    return summary


def main() -> None:
    """`python -m tests.benchmarks.load_grpc put CLIENTS SECONDS URL…`.

    Prints the summary as one line of JSON.
    """
    _, clients, seconds, *urls = sys.argv[1:]
    print(json.dumps(asyncio.run(drive(urls, int(clients), float(seconds)))))


if __name__ == "__main__":
    main()
