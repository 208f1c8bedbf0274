"""A client of an etcd v3 store over gRPC, for the load of a run.

All clients of a run share one connection to each member, as in a program that uses one etcd client.
Each call of `watch` opens another connection.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from splitbrain.harness.clients import grpc_codec
from splitbrain.harness.clients.completion import Completion, completion_of_exception
from splitbrain.harness.clients.grpc_codec import UndecodableAnswer
from splitbrain.harness.clients.grpc_connection import GrpcConnection
from splitbrain.harness.clients.http_connection import ConnectionLost
from splitbrain.harness.clients.json_messages import ServiceAnswer, Status
from splitbrain.harness.clients.member_state import CONNECT_TIMEOUT_S, STATUS_TIMEOUT_S
from splitbrain.harness.clients.observation import observe
from splitbrain.harness.clients.outcome import of_code
from splitbrain.harness.clients.service_codec import is_streamed, stream_result
from splitbrain.harness.clients.session import EtcdClient, StatusRefused
from splitbrain.harness.clients.snapshot_content import snapshot_result
from splitbrain.harness.clients.tls import ClientTls
from splitbrain.harness.clients.watch_client import RECEIVE_BUFFER_BYTES_SMALL
from splitbrain.harness.clients.watch_codec import WatchAnswer
from splitbrain.harness.errors import SystemFailed
from splitbrain.histories.lock_and_election import Observe
from splitbrain.histories.maintenance import Snapshot
from splitbrain.histories.service_operation import AnyRequest, token_of
from splitbrain.histories.watch import WatchRequest
from splitbrain.node.messages.errors import RpcError


class GrpcClient(EtcdClient):
    """Sends requests over gRPC and returns their outcomes. `open_grpc_clients` creates one.

    An error of the member or of the connection is returned as an outcome, not raised. A request is
    never sent twice, because a retried write could take effect twice although the history records
    it once.
    """

    def __init__(self, timeout_ms: int, tls: ClientTls | None = None) -> None:
        self._timeout_s = timeout_ms / 1000
        self._tls = tls
        self._connections: dict[str, GrpcConnection] = {}

    async def call(self, url: str, request: AnyRequest) -> Completion:
        """Send `request` to the member whose client URL is `url`, such as http://HOST:PORT."""
        if isinstance(request, Observe):
            return await observe(request, self._leaders(url, request))
        if is_streamed(request):
            return await self._exchange(url, request)
        path, message = grpc_codec.encode(request)
        try:
            answer = await self._connection(url).unary(
                path, message, self._timeout_s, token_of(request)
            )
        except RpcError as error:
            outcome, text = of_code(request, error)
            return Completion(outcome, None, text)
        except OSError as error:  # TimeoutError is a subclass of OSError
            return completion_of_exception(request, error)
        try:
            return Completion("ok", grpc_codec.decode(request, answer))
        except UndecodableAnswer as problem:
            # The store reports success, so the request may have taken effect. But without the
            # result, no checker can judge the request as `ok`.
            return Completion("info", None, f"cannot decode the answer: {problem}")

    async def _exchange(self, url: str, request: AnyRequest) -> Completion:
        """Send the messages of `request` on one stream, and return the outcome with all answers.

        If the stream fails after the first message, the other messages may have taken effect.
        """
        path, messages = grpc_codec.encode_stream(request)
        try:
            answers = await self._connection(url).exchange(
                path, messages, self._timeout_s, token_of(request)
            )
            if isinstance(request, Snapshot):
                return Completion("ok", snapshot_result(grpc_codec.decode_snapshot(answers)))
            wires = [grpc_codec.decode_of_stream(request, one) for one in answers]
        except (RpcError, UndecodableAnswer) as problem:
            lost = ConnectionLost(f"the stream failed: {problem}")
            return completion_of_exception(request, lost)
        except OSError as error:  # TimeoutError is a subclass of OSError
            return completion_of_exception(request, error)
        service: Any = request
        return Completion("ok", stream_result(service, wires))

    async def _leaders(
        self, url: str, request: Observe
    ) -> AsyncGenerator[ServiceAnswer, None]:
        """Yield the answers of an election's leaders. Raises OSError or UndecodableAnswer."""
        path, messages = grpc_codec.encode_stream(request)
        try:
            async for answer in self._connection(url).stream(path, messages, closing=True):
                yield grpc_codec.decode_of_stream(request, answer)
        except RpcError as problem:
            raise ConnectionLost(f"the stream failed: {problem}") from problem

    async def watch(
        self, url: str, requests: Sequence[WatchRequest], *, small_buffers: bool = False
    ) -> AsyncGenerator[WatchAnswer, None]:
        """Yield the answers of the watches `requests` until their stream ends.

        Close the generator to cancel the watches. With `small_buffers`, few answers wait between
        the member and this client. Raises NotConnected or ConnectionLost.
        """
        connection = GrpcConnection(
            target_of(url, self._tls), CONNECT_TIMEOUT_S, tls=self._tls,
            window_bytes=RECEIVE_BUFFER_BYTES_SMALL if small_buffers else 0,
        )
        try:
            messages = grpc_codec.encode_watches(requests)
            async for answer in connection.stream(grpc_codec.WATCH_PATH, messages):
                yield grpc_codec.decode_watch(answer)
        except (RpcError, UndecodableAnswer) as problem:
            raise ConnectionLost(f"the stream failed: {problem}") from problem
        finally:
            await connection.close()

    async def status(self, url: str, token: str = "") -> Status | None:
        try:
            connection = self._connection(url)
            answer = await connection.unary(grpc_codec.STATUS_PATH, b"", STATUS_TIMEOUT_S, token)
            return grpc_codec.decode_status(answer)
        except RpcError as error:
            raise StatusRefused(error.message) from None
        except (OSError, UndecodableAnswer):
            return None

    async def close(self) -> None:
        """Close the connections. A second call has no effect."""
        for connection in self._connections.values():
            await connection.close()

    def _connection(self, url: str) -> GrpcConnection:
        connection = self._connections.get(url)
        if connection is None:
            connection = GrpcConnection(target_of(url, self._tls), self._timeout_s, tls=self._tls)
            self._connections[url] = connection
        return connection


def target_of(url: str, tls: ClientTls | None) -> str:
    """Return HOST:PORT of a member's client URL.

    Raises SystemFailed if `url` does not have the form `http://HOST:PORT` (`https` with TLS).
    """
    parts = urlsplit(url)
    scheme = "http" if tls is None else "https"
    if parts.scheme != scheme or parts.hostname is None or parts.port is None:
        raise SystemFailed(
            f"the system gives {url!r} as the client URL of a member; expected "
            f"{scheme}://HOST:PORT"
        )
    return parts.netloc


@contextlib.asynccontextmanager
async def open_grpc_clients(
    timeout_ms: int, tls: ClientTls | None = None
) -> AsyncIterator[GrpcClient]:
    """Open a client, and close it at the end of the context.

    Each of its requests times out after `timeout_ms`.
    """
    client = GrpcClient(timeout_ms, tls)
    try:
        yield client
    finally:
        await client.close()
