"""Serves the v3 API (`splitbrain.node.api.v3_service`) as JSON over HTTP.

Paths, methods, statuses and bodies are those of etcd's gateway and of etcd's other handlers
(/health, /version, /metrics). The server is aiohttp's low-level server. aiohttp's application,
router and middlewares are not used, because they would slow down each request.

Source: grpc-gateway 1.16, `runtime/mux.go`, `runtime/handler.go`; etcd 3.5.1,
`server/embed/serve.go`, `etcdhttp`; compared with etcd 3.5.1.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.web_exceptions import HTTPRequestEntityTooLarge
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

from splitbrain.node import metrics
from splitbrain.node.api import json_codec
from splitbrain.node.api.http_log import MALFORMED
from splitbrain.node.api.member_interface import Log
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

JSON_CALLER = Caller("json")

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def _answer(body: bytes, *, status: int = 200, headers: dict[str, str]) -> web.Response:
    return web.Response(body=body, status=status, headers=headers)


def _error(problem: RpcError) -> web.Response:
    return _answer(
        json_codec.encode_error(problem), status=problem.http_status, headers=_ERROR_HEADERS
    )


def _refused(status: int, text: str, headers: dict[str, str] | None = None) -> web.Response:
    """Return an error response with the headers and the body of Go's http.Error."""
    return _answer(
        f"{text}\n".encode(), status=status, headers={**_REFUSED_HEADERS, **(headers or {})}
    )


class HttpGateway:
    """Handles the HTTP requests to one `Api`, by their paths."""

    def __init__(self, api: Api, log: Log) -> None:
        self._api = api
        self._log = log
        # base64 turns three bytes into four. The rest of the factor 2 is for the JSON syntax.
        largest = api.member.request_bytes_max + MESSAGE_OVERHEAD_BYTES
        self.body_bytes_max = 2 * largest
        self._streams: dict[asyncio.Task[Any], None] = {}
        self._routes: dict[str, Handler] = {}
        for method in METHODS:
            if not method.route:
                continue
            unary = method.kind is Kind.UNARY
            route = self._unary(method) if unary else self._stream(method)
            self._routes[method.route] = route
            if method.old_route:
                self._routes[method.old_route] = route
        self._routes["/health"] = self._health
        self._routes["/version"] = self._version
        self._routes["/metrics"] = self._metrics

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one HTTP request."""
        path = request.path
        route = self._routes.get(path)
        if route is None:
            route = self._other_route(path)
        if request.method == "OPTIONS":
            return _answer(b"", headers=_CORS)
        try:
            return await route(request)
        except RpcError as problem:
            return _error(problem)
        except web.RequestPayloadError:
            client = request.remote or "unknown"
            self._log(
                "warn", MALFORMED, client=client, why="the body does not match its encoding"
            )
            return _refused(400, "Bad Request", {"Connection": "close"})

    def _other_route(self, path: str) -> Handler:
        # etcd still accepts the old prefix of the gateway.
        if path.startswith("/v3beta/"):
            route = self._routes.get("/v3/" + path.removeprefix("/v3beta/"))
            if route is not None:
                return route
        if self._api.admin is not None and (path + "/").startswith("/admin/failpoints/"):
            return self._failpoints
        return self._not_found

    async def _not_found(self, request: web.BaseRequest) -> web.Response:
        # Go's mux redirects to the clean form of a path, and from "/v3" to "/v3/".
        clean = "/v3/" if request.path == "/v3" else _clean(request.path)
        if clean != request.path:
            linked = request.method in ("GET", "HEAD")
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

        async def answer(request: web.BaseRequest) -> web.Response:
            if request.method != "POST":
                return _refused(405, "Method Not Allowed")
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
            return web.Response(body=body, headers=_OK_HEADERS)

        return answer

    async def _body(self, request: web.BaseRequest) -> bytes:
        try:
            return await request.read()
        except HTTPRequestEntityTooLarge:
            raise RpcError(
                Code.RESOURCE_EXHAUSTED,
                f"http: request body larger than max ({self.body_bytes_max} bytes)",
            ) from None

    def _stream(self, method: Method) -> Handler:
        handle = self._api.streams[method.route]
        began, observe = observer(self._api.metrics, method)
        clock = asyncio.get_running_loop().time

        async def answer(request: web.BaseRequest) -> web.StreamResponse:
            if request.method != "POST":
                return _refused(405, "Method Not Allowed")
            begin = clock()
            began()
            CALLER.set(_caller(request))
            try:
                answers = await self._opened(request, method, handle)
                response = await self._answer_stream(request, answers)
            except RpcError as problem:
                observe(problem.code, clock() - begin)
                raise
            observe(Code.OK, clock() - begin)
            return response

        return answer

    async def _opened(
        self, request: web.BaseRequest, method: Method, handle: StreamHandler
    ) -> AsyncGenerator[Any, None]:
        """Return an iterator over the responses of a stream.

        The requests of the stream are read from the HTTP body.
        """
        if method.kind is Kind.SERVER_STREAM:
            return handle(json_codec.decode_request(method.route, await self._body(request)))
        requests = json_codec.StreamRequests(method.route, self.body_bytes_max)
        first = await _first_requests(request, requests)
        return handle(_all_requests(request, requests, first))

    async def _answer_stream(
        self, request: web.BaseRequest, answers: AsyncGenerator[Any, None]
    ) -> web.StreamResponse:
        """Send the responses of a stream to the client, one line for each.

        As in the gateway, the headers are sent with the first line. A client that has opened a
        watch stream therefore receives no bytes before it creates a watch.
        """
        response = web.StreamResponse(headers=_OK_HEADERS)
        task = asyncio.current_task()
        assert task is not None
        self._streams[task] = None
        try:
            async for answer in answers:
                if not response.prepared:
                    await response.prepare(request)
                await response.write(json_codec.encode_stream_line(answer))
        except RpcError as problem:
            if not response.prepared:
                raise
            await response.write(json_codec.encode_stream_error(problem))
        except ConnectionError:
            pass  # the client has disconnected
        finally:
            del self._streams[task]
            await answers.aclose()
        return response

    # --- handlers outside the gateway ---------------------------------------------

    async def _health(self, request: web.BaseRequest) -> web.Response:
        if request.method != "GET":
            return _refused(405, "Method Not Allowed", {"Allow": "GET"})
        ignored = request.query.getall("exclude", [])
        healthy, reason = self._api.member.health(ignored)
        if self._api.metrics is not None:
            counted = self._api.metrics.health_success if healthy else None
            (counted or self._api.metrics.health_failures).inc()
        body = msgspec.json.encode({"health": str(healthy).lower(), "reason": reason})
        if not healthy:
            return _refused(503, body.decode())
        return _answer(body, headers={**_CORS, "Content-Type": _TEXT})

    async def _version(self, request: web.BaseRequest) -> web.Response:
        if request.method != "GET":
            return _refused(405, "Method Not Allowed", {"Allow": "GET"})
        body = msgspec.json.encode({"etcdserver": SERVER_VERSION, "etcdcluster": CLUSTER_VERSION})
        return _answer(body, headers={**_CORS, "Content-Type": _JSON})

    async def _metrics(self, _request: web.BaseRequest) -> web.Response:
        body = generate_latest(_PROCESS)
        if self._api.metrics is not None:
            body = self._api.metrics.render() + body
        return _answer(body, headers={**_CORS, "Content-Type": metrics.CONTENT_TYPE})

    async def _failpoints(self, request: web.BaseRequest) -> web.Response:
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
        for task in list(self._streams):
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


def _caller(request: web.BaseRequest) -> Caller:
    headers = request.headers
    token = headers.get("Authorization", "")
    leader = headers.get("Grpc-Metadata-Hasleader", "")
    return Caller("json", token, leader == "true") if token or leader else JSON_CALLER


async def _first_requests(
    request: web.BaseRequest, requests: json_codec.StreamRequests
) -> list[Any]:
    """Read the body until at least one request is complete, and return the complete requests.

    The list is empty if the body contains no request. Raises RpcError if the first request is
    invalid. If a later request is invalid, only the requests before it are returned.
    """
    found: list[Any] = []
    while not found:
        data = await request.content.readany()
        if not data:
            break
        found = requests.feed(data)
    return found


async def _all_requests(
    request: web.BaseRequest, requests: json_codec.StreamRequests, first: list[Any]
) -> AsyncIterator[Any]:
    for one in first:
        yield one
    while data := await request.content.readany():
        try:
            found = requests.feed(data)
        except RpcError:
            return
        for one in found:
            yield one
