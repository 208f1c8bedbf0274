"""Serves the v3 API (`splitbrain.node.api.v3_service`) as JSON over HTTP.

Paths, methods, statuses and bodies are those of etcd's gateway and of etcd's other handlers
(/health, /version, /metrics). `splitbrain.node.real.http_connection` parses the requests and sends
the answers.

Source: grpc-gateway 1.16, `runtime/mux.go`, `runtime/handler.go`; etcd 3.5.1,
`server/embed/serve.go`, `etcdhttp`; compared with etcd 3.5.1.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote

import msgspec
from prometheus_client import CollectorRegistry, Gauge, ProcessCollector, generate_latest

from splitbrain.node import metrics
from splitbrain.node.api import json_codec
from splitbrain.node.api.http_message import (
    AnswerStream,
    BodyTooLarge,
    HttpAnswer,
    HttpRequest,
    head_of,
)
from splitbrain.node.api.methods import METHODS, Kind, Method
from splitbrain.node.api.request_metrics import observer
from splitbrain.node.api.required_leader import StreamHandler
from splitbrain.node.api.v3_service import MESSAGE_OVERHEAD_BYTES, Api
from splitbrain.node.messages.current_client import CALLER, Caller
from splitbrain.node.messages.errors import Code, RpcError

SERVER_VERSION = "3.5.1"
"""The etcd release whose API the member implements."""
CLUSTER_VERSION = "3.5.0"

_JSON = "application/json"
_TEXT = "text/plain; charset=utf-8"
_CORS = {
    "Access-Control-Allow-Headers": "accept, content-type, authorization",
    "Access-Control-Allow-Methods": "POST, GET, OPTIONS, PUT, DELETE",
    "Access-Control-Allow-Origin": "*",
}
_OK_HEADERS = {**_CORS, "Content-Type": _JSON, "Grpc-Metadata-Content-Type": "application/grpc"}
_ERROR_HEADERS = {**_CORS, "Content-Type": _JSON}
_REFUSED_HEADERS = {**_CORS, "Content-Type": _TEXT, "X-Content-Type-Options": "nosniff"}

_PROCESS = CollectorRegistry()
"""The metrics of the process: memory, CPU time, open files.

They are not among the member's metrics, because a simulated member has no process of its own.
"""
ProcessCollector(registry=_PROCESS)
OPEN_FILES = Path("/proc/self/fd")
_open_files = Gauge("os_fd_used", "Open file descriptors.", registry=_PROCESS)
_open_files.set_function(lambda: sum(1 for _ in OPEN_FILES.iterdir()))
_open_files_max = Gauge("os_fd_limit", "The limit of open file descriptors.", registry=_PROCESS)
_open_files_max.set_function(lambda: resource.getrlimit(resource.RLIMIT_NOFILE)[0])

JSON_CALLER = Caller("json")

OK_HEAD = head_of(200, _OK_HEADERS)

Handler = Callable[[HttpRequest], Coroutine[Any, Any, HttpAnswer]]
Streamer = Callable[[HttpRequest, AnswerStream], Coroutine[Any, Any, HttpAnswer | None]]


def _answer(body: bytes, *, status: int = 200, headers: dict[str, str]) -> HttpAnswer:
    return HttpAnswer(head_of(status, headers), body)


def _error(problem: RpcError) -> HttpAnswer:
    return _answer(
        json_codec.encode_error(problem), status=problem.http_status, headers=_ERROR_HEADERS
    )


def _refused(status: int, text: str, headers: dict[str, str] | None = None) -> HttpAnswer:
    """Return an error response with the headers and the body of Go's http.Error."""
    return _answer(
        f"{text}\n".encode(), status=status, headers={**_REFUSED_HEADERS, **(headers or {})}
    )


class HttpGateway:
    """Handles the HTTP requests to one `Api`, by their paths."""

    def __init__(self, api: Api) -> None:
        self._api = api
        # base64 turns three bytes into four. The rest of the factor 2 is for the JSON syntax.
        largest = api.member.request_bytes_max + MESSAGE_OVERHEAD_BYTES
        self.body_bytes_max = 2 * largest
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._streams: dict[str, Streamer] = {}
        self._routes: dict[str, Handler] = {}
        for method in METHODS:
            for route in filter(None, (method.route, method.old_route)):
                if method.kind is Kind.UNARY:
                    self._routes[route] = self._unary(method)
                else:
                    self._streams[route] = self._stream(method)
        self._routes["/health"] = self._health
        self._routes["/version"] = self._version
        self._routes["/metrics"] = self._metrics

    def handle(self, request: HttpRequest) -> Coroutine[Any, Any, HttpAnswer]:
        """Answer a request whose answer is not a stream."""
        if request.method == "OPTIONS":
            return _allowed_methods()
        route = self._routes.get(request.path)
        return (route or self._other_route(request.path))(request)

    def streamer(self, request: HttpRequest) -> Streamer | None:
        """Return the function that answers `request` with a stream, or None if `handle` answers it.

        The caller need not wait for the end of the request's body before it calls the function. The
        function normally sends the answer in pieces, and returns None. If it fails before the first
        piece, it returns a complete answer, which the caller sends.
        """
        if request.method != "POST":
            return None
        path = request.path
        return self._streams.get(path) or self._streams.get(_without_beta(path))

    def _other_route(self, path: str) -> Handler:
        # etcd still accepts the old prefix of the gateway.
        route = self._routes.get(_without_beta(path))
        if route is not None:
            return route
        if path in self._streams or _without_beta(path) in self._streams:
            return _not_allowed
        if self._api.admin is not None and (path + "/").startswith("/admin/failpoints/"):
            return self._failpoints
        return self._not_found

    async def _not_found(self, request: HttpRequest) -> HttpAnswer:
        # Go's mux redirects to the clean form of a path, and from "/v3" to "/v3/".
        clean = "/v3/" if request.path == "/v3" else _clean(request.path)
        if clean != request.path:
            linked = request.method in ("GET", "HEAD")
            clean = quote(clean)
            body = f'<a href="{clean}">Moved Permanently</a>.\n\n' if linked else ""
            return _answer(body.encode(), status=301, headers={**_CORS, "Location": clean})
        in_gateway = request.path.startswith(("/v3/", "/v3beta/"))
        return _refused(404, "Not Found" if in_gateway else "404 page not found")

    # --- the gateway --------------------------------------------------------------

    def _unary(self, method: Method) -> Handler:
        decode, encode = json_codec.decode_request, json_codec.encode_response
        name, handle = method.route, self._api.methods[method.route]
        began, observe = observer(self._api.metrics, method)
        clock = asyncio.get_running_loop().time

        async def answer(request: HttpRequest) -> HttpAnswer:
            if request.method != "POST":
                return await _not_allowed(request)
            begin = clock()
            began()
            CALLER.set(_caller(request))
            try:
                message = decode(name, await self._body(request))
                body = encode(await handle(message))
            except RpcError as problem:
                observe(problem.code, clock() - begin)
                return _error(problem)
            observe(Code.OK, clock() - begin)
            return HttpAnswer(OK_HEAD, body)

        return answer

    async def _body(self, request: HttpRequest) -> bytes:
        try:
            return await request.body.read()
        except BodyTooLarge:
            raise RpcError(
                Code.RESOURCE_EXHAUSTED,
                f"http: request body larger than max ({self.body_bytes_max} bytes)",
            ) from None

    def _stream(self, method: Method) -> Streamer:
        handle = self._api.streams[method.route]
        began, observe = observer(self._api.metrics, method)
        clock = asyncio.get_running_loop().time

        async def answer(request: HttpRequest, output: AnswerStream) -> HttpAnswer | None:
            begin = clock()
            began()
            CALLER.set(_caller(request))
            try:
                answers = await self._opened(request, method, handle)
                await self._send_stream(output, answers)
            except RpcError as problem:
                observe(problem.code, clock() - begin)
                return _error(problem)
            observe(Code.OK, clock() - begin)
            return None if output.started else HttpAnswer(OK_HEAD, b"")

        return answer

    async def _opened(
        self, request: HttpRequest, method: Method, handle: StreamHandler
    ) -> AsyncGenerator[Any, None]:
        """Return an iterator over the responses of a stream.

        The requests of the stream are read from the HTTP body.
        """
        if method.kind is Kind.SERVER_STREAM:
            return handle(json_codec.decode_request(method.route, await self._body(request)))
        requests = json_codec.StreamRequests(method.route, self.body_bytes_max)
        first = await _first_requests(request, requests)
        return handle(_all_requests(request, requests, first))

    async def _send_stream(
        self, output: AnswerStream, answers: AsyncGenerator[Any, None]
    ) -> None:
        """Send the responses of a stream to the client, one line for each.

        As in the gateway, the headers are sent with the first line. A client that has opened a
        watch stream therefore receives no bytes before it creates a watch. Raises RpcError if the
        stream fails before its first line.
        """
        task = asyncio.current_task()
        assert task is not None
        self._tasks[task] = None
        try:
            async for answer in answers:
                await output.write(json_codec.encode_stream_line(answer))
        except RpcError as problem:
            if not output.started:
                raise
            await output.write(json_codec.encode_stream_error(problem))
        finally:
            del self._tasks[task]
            await answers.aclose()

    # --- handlers outside the gateway ---------------------------------------------

    async def _health(self, request: HttpRequest) -> HttpAnswer:
        if request.method != "GET":
            return _refused(405, "Method Not Allowed", {"Allow": "GET"})
        ignored = parse_qs(request.query).get("exclude", [])
        healthy, reason = self._api.member.health(ignored)
        if self._api.metrics is not None:
            counted = self._api.metrics.health_success if healthy else None
            (counted or self._api.metrics.health_failures).inc()
        body = msgspec.json.encode({"health": str(healthy).lower(), "reason": reason})
        if not healthy:
            return _refused(503, body.decode())
        return _answer(body, headers={**_CORS, "Content-Type": _TEXT})

    async def _version(self, request: HttpRequest) -> HttpAnswer:
        if request.method != "GET":
            return _refused(405, "Method Not Allowed", {"Allow": "GET"})
        body = msgspec.json.encode({"etcdserver": SERVER_VERSION, "etcdcluster": CLUSTER_VERSION})
        return _answer(body, headers={**_CORS, "Content-Type": _JSON})

    async def _metrics(self, _request: HttpRequest) -> HttpAnswer:
        body = generate_latest(_PROCESS)
        if self._api.metrics is not None:
            body = self._api.metrics.render() + body
        return _answer(body, headers={**_CORS, "Content-Type": metrics.CONTENT_TYPE})

    async def _failpoints(self, request: HttpRequest) -> HttpAnswer:
        """List, set or clear failpoints.

        GET lists them, PUT sets a failpoint to the term in the body, and DELETE clears a failpoint.
        """
        admin = self._api.admin
        assert admin is not None, "only routed here if the member has failpoints"
        name = request.path.removeprefix("/admin/failpoints").strip("/")
        try:
            if request.method == "PUT" and name:
                admin.set(name, (await self._body(request)).decode("utf-8", "replace").strip())
            elif request.method == "DELETE" and name:
                admin.clear(name)
            elif request.method != "GET":
                return _refused(405, "Method Not Allowed", {"Allow": "GET, PUT, DELETE"})
        except ValueError as problem:
            return _refused(400, str(problem))
        listed = admin.list()
        if name and request.method == "GET":
            listed = {name: listed.get(name, "off")}
        return _answer(msgspec.json.encode(listed), headers={"Content-Type": _JSON})

    def end_streams(self) -> None:
        """End the open streams when the member stops. A watch stream does not end by itself."""
        for task in list(self._tasks):
            task.cancel()


def _clean(path: str) -> str:
    """Return `path` without empty, "." and ".." elements. Source: Go's net/http, `cleanPath`."""
    steps: list[str] = []
    for step in path.split("/"):
        if step == "..":
            steps = steps[:-1]
        elif step not in ("", "."):
            steps.append(step)
    slash = "/" if steps and path.endswith("/") else ""
    return "/" + "/".join(steps) + slash


def _without_beta(path: str) -> str:
    """Return `path` with the prefix "/v3/" in place of the old prefix "/v3beta/".

    Other paths are returned unchanged.
    """
    return "/v3/" + path.removeprefix("/v3beta/") if path.startswith("/v3beta/") else path


async def _allowed_methods() -> HttpAnswer:
    return _answer(b"", headers=_CORS)


async def _not_allowed(_request: HttpRequest) -> HttpAnswer:
    return _refused(405, "Method Not Allowed")


def _caller(request: HttpRequest) -> Caller:
    token, leader = request.authorization, request.has_leader
    return Caller("json", token, leader == "true") if token or leader else JSON_CALLER


async def _first_requests(
    request: HttpRequest, requests: json_codec.StreamRequests
) -> list[Any]:
    """Read the body until at least one request is complete, and return the complete requests.

    The list is empty if the body contains no request. Raises RpcError if the first request is
    invalid. If a later request is invalid, only the requests before it are returned.
    """
    found: list[Any] = []
    while not found:
        data = await request.body.next_pieces()
        if not data:
            break
        found = requests.feed(data)
    return found


async def _all_requests(
    request: HttpRequest, requests: json_codec.StreamRequests, first: list[Any]
) -> AsyncIterator[Any]:
    for one in first:
        yield one
    while data := await request.body.next_pieces():
        try:
            found = requests.feed(data)
        except RpcError:
            return
        for one in found:
            yield one
