"""The client of simulated members, which encodes requests and answers but uses no sockets.

A request is encoded as JSON as for a real member, and decoded by the member's codec. The handler of
the request runs in the member's process. A failed request raises the same errors as on a real
connection (`HttpConnection`), and `splitbrain.harness.clients.outcome` converts these errors to the
outcome of the request.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence

from splitbrain.harness.clients.completion import (
    Completion,
    completion_of_answer,
    completion_of_exception,
)
from splitbrain.harness.clients.json_messages import STATUS_PATH, ServiceAnswer, Status
from splitbrain.harness.clients.member_state import STATUS_TIMEOUT_S, decode_status
from splitbrain.harness.clients.observation import observe
from splitbrain.harness.clients.service_codec import decode_line, encode_any
from splitbrain.harness.clients.session import EtcdClient
from splitbrain.harness.clients.watch_codec import WatchAnswer
from splitbrain.harness.simulation.client_coverage import (
    conditions_of_answer,
    conditions_of_error,
)
from splitbrain.harness.simulation.client_network import ClientNetwork
from splitbrain.harness.simulation.raft_invariants.request_liveness import RequestMonitor
from splitbrain.harness.simulation.watch_stream import BODY_BYTES_MAX, stream_lines, watch
from splitbrain.histories.lock_and_election import Observe
from splitbrain.histories.service_operation import AnyRequest, token_of
from splitbrain.histories.watch import WatchRequest
from splitbrain.node.api import json_codec
from splitbrain.node.api.methods import BY_KEY, Kind
from splitbrain.node.api.v3_service import Api
from splitbrain.node.messages.current_client import CALLER, Caller
from splitbrain.node.messages.errors import RpcError
from splitbrain.node.messages.rpc import StatusRequest


async def _exchange(api: Api, path: str, body: bytes) -> tuple[object, list[object]]:
    """Send the requests in `body` to the stream at `path`.

    Returns the first request and all answers.
    """
    if BY_KEY[path].kind is Kind.SERVER_STREAM:
        message = json_codec.decode_request(path, body)
        return message, [answer async for answer in api.streams[path](message)]
    messages = json_codec.StreamRequests(path, BODY_BYTES_MAX).feed(body)

    async def requests() -> AsyncIterator[object]:
        for message in messages:
            yield message

    return messages[0], [answer async for answer in api.streams[path](requests())]


class SimulatedClient(EtcdClient):
    """A client of an etcd v3 store over the simulated network.

    `call` does not raise the errors of the store. Its result contains them as the outcome.
    """

    def __init__(self, clients: ClientNetwork, requests: RequestMonitor, timeout_ms: int) -> None:
        self._clients = clients
        self._requests = requests
        self._timeout_s = timeout_ms / 1000

    async def status(self, url: str, token: str = "") -> Status | None:

        async def serve(api: Api) -> bytes:
            return json_codec.encode_response(await api.methods[STATUS_PATH](StatusRequest()))

        try:
            return decode_status(await self._clients.ask(url, serve, STATUS_TIMEOUT_S))
        except (RpcError, OSError):
            return None

    def watch(
        self, url: str, requests: Sequence[WatchRequest], *, small_buffers: bool = False
    ) -> AsyncGenerator[WatchAnswer, None]:
        return watch(self._clients, url, requests, small_buffers=small_buffers)

    async def _leaders(
        self, url: str, path: str, body: bytes
    ) -> AsyncGenerator[ServiceAnswer, None]:
        """Yield the answers of an election's leaders. Raises OSError or msgspec.MsgspecError."""
        async for line in stream_lines(self._clients, url, path, body):
            yield decode_line(line)

    async def call(self, url: str, request: AnyRequest) -> Completion:
        path, body = encode_any(request)
        if isinstance(request, Observe):
            return await observe(request, self._leaders(url, path, body))
        reached = self._clients.network.reached

        member = self._clients.machine(url).name

        async def serve(api: Api) -> bytes:
            if token := token_of(request):
                CALLER.set(Caller(token=token))
            if path in api.streams:
                asked, responses = await _exchange(api, path, body)
                for response in responses:
                    for condition in conditions_of_answer(asked, response):
                        reached(condition)
                return b"".join(map(json_codec.encode_stream_line, responses))
            message = json_codec.decode_request(path, body)
            with self._requests.at_work(member, request):
                response = await api.methods[path](message)
            answer = json_codec.encode_response(response)
            for condition in conditions_of_answer(message, response):
                reached(condition)
            return answer

        try:
            answer = await self._clients.ask(url, serve, self._timeout_s)
        except RpcError as error:
            for condition in conditions_of_error(error):
                reached(condition)
            body = json_codec.encode_error(error)
            return completion_of_answer(request, error.http_status, body)
        except OSError as error:
            return completion_of_exception(request, error)
        return completion_of_answer(request, 200, answer)
