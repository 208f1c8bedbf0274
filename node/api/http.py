"""Serves the v3 API (`splitbrain.node.api.v3_service`) as JSON over HTTP.

Paths, methods, statuses and bodies are those of etcd's gateway and of etcd's other handlers
(/health, /version, /metrics). The server is aiohttp's low-level server. aiohttp's application,
router and middlewares are not used, because they would slow down each request.

Source: grpc-gateway 1.16, `runtime/mux.go`, `runtime/handler.go`; etcd 3.5.1,
`server/embed/serve.go`, `etcdhttp`; compared with etcd 3.5.1.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import msgspec
from aiohttp import web
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_exceptions import HTTPRequestEntityTooLarge
from aiohttp.web_protocol import RequestHandler
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

from splitbrain.node import metrics
from splitbrain.node.api import json_codec
from splitbrain.node.api.http_log import MALFORMED, http_logger
from splitbrain.node.api.ports import Log
from splitbrain.node.api.v3_service import MESSAGE_OVERHEAD_BYTES, Api
from splitbrain.node.messages.errors import Code, RpcError
from splitbrain.node.messages.rpc import WatchRequest
from splitbrain.node.world import AddressInUse, Closable

SERVER_VERSION = "3.5.1"
"""The etcd release whose API the member implements."""
CLUSTER_VERSION = "3.5.0"

KEEPALIVE_S = 75.0
SHUTDOWN_S = 1.0
"""How long a stopping server waits for requests in progress."""

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
"""Metrics of the process: memory, time, open files. They are not among the member's metrics,
because a simulated member is not a process."""
ProcessCollector(registry=_PROCESS)

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def _answer(body: bytes, *, status: int = 200, headers: dict[str, str]) -> web.Response:
    return web.Response(body=body, status=status, headers=headers)


def _error(problem: RpcError) -> web.Response:
    return _answer(
        json_codec.encode_error(problem), status=problem.http_status, headers=_ERROR_HEADERS
    )


def _refused(status: int, text: str, headers: dict[str, str] | None = None) -> web.Response:
    """Return a response like that of Go's http.Error."""
    return _answer(
        f"{text}\n".encode(), status=status, headers={**_REFUSED_HEADERS, **(headers or {})}
    )


class HttpServer:
    """Routes requests to one `Api` by their path."""

    def __init__(self, api: Api, log: Log) -> None:
        self._api = api
        self._log = log
        # base64 turns three bytes into four; the rest is for the JSON syntax.
        largest = api.member.request_bytes_max + MESSAGE_OVERHEAD_BYTES
        self.body_bytes_max = 2 * largest
        self._watches: dict[asyncio.Task[Any], None] = {}
        self._routes: dict[str, Handler] = {
            method: self._unary(method, handle) for method, handle in api.methods.items()
        }
        self._routes["/v3/watch"] = self._watch
        self._routes["/health"] = self._health
        self._routes["/version"] = self._version
        self._routes["/metrics"] = self._metrics

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
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

    def _unary(self, method: str, handle: Callable[[Any], Awaitable[Any]]) -> Handler:
        decode, encode = json_codec.decode_request, json_codec.encode_response
        began, observe = _observer(self._api.metrics, method)
        clock = asyncio.get_running_loop().time

        async def answer(request: web.BaseRequest) -> web.Response:
            if request.method != "POST":
                return _refused(405, "Method Not Allowed")
            begin = clock()
            began()
            try:
                message = decode(method, await self._body(request))
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

    async def _watch(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer with one line per watch response.

        As in the gateway, the headers are sent with the first line. A stream without a watch
        therefore sends no bytes until the client disconnects.
        """
        if request.method != "POST":
            return _refused(405, "Method Not Allowed")
        requests = json_codec.WatchRequests(self.body_bytes_max)
        first = await self._first_watch_requests(request, requests)
        response = web.StreamResponse(headers=_OK_HEADERS)
        task = asyncio.current_task()
        assert task is not None
        self._watches[task] = None
        answers = self._api.watch(_later_watch_requests(request, requests, first))
        try:
            async for answer in answers:
                if not response.prepared:
                    await response.prepare(request)
                await response.write(json_codec.encode_watch_line(answer))
        except RpcError as problem:
            if not response.prepared:
                raise
            await response.write(json_codec.encode_stream_error(problem))
        except ConnectionError:
            pass  # the client has disconnected
        finally:
            del self._watches[task]
            await answers.aclose()
        return response

    async def _first_watch_requests(
        self, request: web.BaseRequest, requests: json_codec.WatchRequests
    ) -> list[WatchRequest]:
        """Read the body until at least one request is complete, and return the complete requests.

        The list is empty if the body contains no request. Raises RpcError if the body begins with
        an invalid request. An invalid request later in the body only ends the reading.
        """
        found: list[WatchRequest] = []
        while not found:
            data = await request.content.readany()
            if not data:
                break
            found = requests.feed(data)
        return found

    # --- handlers outside the gateway ---------------------------------------------

    async def _health(self, request: web.BaseRequest) -> web.Response:
        if request.method != "GET":
            return _refused(405, "Method Not Allowed", {"Allow": "GET"})
        healthy, reason = self._api.member.health()
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
        """GET lists the failpoints, PUT sets one to the term in the body, DELETE clears one."""
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

    def end_watches(self) -> None:
        """End the watch streams, which do not end by themselves."""
        for task in list(self._watches):
            task.cancel()


def _clean(path: str) -> str:
    """Remove empty, "." and ".." elements from a path. Source: Go's net/http, `cleanPath`."""
    steps: list[str] = []
    for step in path.split("/"):
        if step == "..":
            steps = steps[:-1]
        elif step not in ("", "."):
            steps.append(step)
    slash = "/" if steps and path.endswith("/") else ""
    return "/" + "/".join(steps) + slash


async def _later_watch_requests(
    request: web.BaseRequest, requests: json_codec.WatchRequests, first: list[WatchRequest]
) -> AsyncIterator[WatchRequest]:
    for one in first:
        yield one
    while data := await request.content.readany():
        try:
            found = requests.feed(data)
        except RpcError:
            return
        for one in found:
            yield one


GRPC_METHODS = {
    "/v3/kv/put": ("Put", "etcdserverpb.KV"),
    "/v3/kv/range": ("Range", "etcdserverpb.KV"),
    "/v3/kv/deleterange": ("DeleteRange", "etcdserverpb.KV"),
    "/v3/kv/txn": ("Txn", "etcdserverpb.KV"),
    "/v3/kv/compaction": ("Compact", "etcdserverpb.KV"),
    "/v3/maintenance/status": ("Status", "etcdserverpb.Maintenance"),
    "/v3/maintenance/hash": ("Hash", "etcdserverpb.Maintenance"),
    "/v3/maintenance/hashkv": ("HashKV", "etcdserverpb.Maintenance"),
    "/v3/maintenance/alarm": ("Alarm", "etcdserverpb.Maintenance"),
    "/v3/cluster/member/list": ("MemberList", "etcdserverpb.Cluster"),
}


def _observer(
    registry: metrics.Metrics | None, method: str
) -> tuple[Callable[[], None], Callable[[Code, float], None]]:
    """Return two functions: one to call when a request arrives, and one to call when it ends."""
    if registry is None:
        return lambda: None, lambda _code, _seconds: None
    name, service = GRPC_METHODS[method]
    started = registry.requests_started.labels(name, service, "unary")
    seconds = registry.request_seconds.labels(name, service, "unary")
    handled = {
        code: registry.requests_handled.labels(name, service, "unary", _camel(code))
        for code in Code
    }

    def observe(code: Code, elapsed_s: float) -> None:
        handled[code].inc()
        seconds.observe(elapsed_s)

    return started.inc, observe


def _camel(code: Code) -> str:
    """Return the code's name as Go prints it, such as InvalidArgument."""
    return "OK" if code is Code.OK else code.name.title().replace("_", "")


def _server(http: HttpServer, log: Log) -> web.Server:
    """Return aiohttp's low-level server, with a limit on the size of bodies.

    When a client disconnects, the handler of its request is cancelled. Otherwise the handler of a
    watch without events would not notice that the client has disconnected.
    """
    loop = asyncio.get_running_loop()

    def make(
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: RequestHandler,
        writer: Any,
        task: asyncio.Task[None],
    ) -> web.BaseRequest:
        return web.BaseRequest(
            message, payload, protocol, writer, task, loop, client_max_size=http.body_bytes_max
        )

    return web.Server(
        http.handle,
        request_factory=make,
        handler_cancellation=True,
        logger=http_logger(log),
        access_log=None,
        keepalive_timeout=KEEPALIVE_S,
    )


class _Listening:
    def __init__(
        self, http: HttpServer, server: web.Server, listener: asyncio.Server
    ) -> None:
        self._http = http
        self._server = server
        self._listener = listener

    async def close(self) -> None:
        self._listener.close()
        self._http.end_watches()
        await self._server.shutdown(SHUTDOWN_S)


async def serve(url: str, api: Api, log: Log) -> Closable:
    """Serve `api` at `url` ("http://127.0.0.1:2379").

    `log` gets one line for each malformed request. Raises AddressInUse.
    """
    parts = urlsplit(url)
    if parts.hostname is None or parts.port is None:
        raise ValueError(f"{url!r} is not a usable address; expected http://HOST:PORT")
    http = HttpServer(api, log)
    server = _server(http, log)
    try:
        listener = await asyncio.get_running_loop().create_server(
            server, parts.hostname, parts.port, backlog=1024
        )
    except OSError as problem:
        if problem.errno == errno.EADDRINUSE:
            raise AddressInUse(
                f"something else listens on {url}; give the member another address"
            ) from problem
        raise AddressInUse(f"cannot listen on {url}: {problem.strerror or problem}") from problem
    return _Listening(http, server, listener)
