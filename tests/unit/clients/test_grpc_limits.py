"""Every send of the gRPC client has a time limit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import grpc
import pytest

from splitbrain.harness.clients import grpc_connection
from splitbrain.harness.clients.grpc_connection import GrpcConnection
from splitbrain.harness.clients.http_connection import ConnectionLost


async def deaf(_: AsyncIterator[bytes], __: object) -> AsyncIterator[bytes]:
    """A stream that reads no message."""
    await asyncio.sleep(60)
    yield b""


def test_a_send_to_a_member_that_reads_nothing_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grpc_connection, "SEND_TIMEOUT_S", 1.0)

    async def main() -> None:
        server = grpc.aio.server()
        handler = grpc.stream_stream_rpc_method_handler(deaf)
        server.add_generic_rpc_handlers((
            grpc.method_handlers_generic_handler("a", {"b": handler}),
        ))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        connection = GrpcConnection(f"127.0.0.1:{port}", 20.0)
        began = time.monotonic()
        try:
            with pytest.raises(ConnectionLost, match="did not accept the requests within 1 s"):
                async for _ in connection.stream("/a/b", [b"x" * 1_000_000] * 100):
                    pass
            assert time.monotonic() - began < 15
        finally:
            await connection.close()
            await server.stop(0)

    asyncio.run(main())
