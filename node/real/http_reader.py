"""Reads HTTP/1 requests from the bytes of a connection, with httptools, the parser of Node.js.

Source: RFC 9112.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from urllib.parse import unquote

import httptools

from splitbrain.node.api.http_message import Body, HttpRequest

HEADER_BYTES_MAX = 8190
"""The maximal size of a header, and of the path in a request."""
HEAD_BYTES_MAX = 64 * 1024
"""The maximal size of all headers together."""

_READ_HEADERS = {
    len(name): name
    for name in (
        b"authorization", b"connection", b"content-encoding", b"content-length", b"expect",
        b"grpc-metadata-hasleader", b"transfer-encoding",
    )
}  # fmt: skip
"""The headers that are read, by the length of their names. No two have the same length."""


class Malformed(Exception):
    """A request is malformed. The message says why."""


class RequestReader:
    """Reads the requests of one connection.

    `arrived` is called with each request when its head is complete, and `completed` when its body
    is complete. `new_body` creates an empty body.
    """

    def __init__(
        self,
        new_body: Callable[[], Body],
        arrived: Callable[[HttpRequest], None],
        completed: Callable[[], None],
    ) -> None:
        self._new_body = new_body
        self._arrived = arrived
        self._completed = completed
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._request: HttpRequest | None = None
        self._upgrades = False
        """Whether the client wants to change the protocol. The member ignores this."""
        self._advanced = False
        """Whether the last bytes contained a part of a body or the end of a request."""
        self._head_bytes = 0
        self._ended = False
        """Whether the client has announced that no further request follows."""

    def feed(self, data: bytes) -> None:
        """Read bytes of the connection. Raises Malformed."""
        if self._ended:
            return
        self._advanced = False
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._read_without_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError as problem:
            raise problem.__context__ or problem from None
        except httptools.HttpParserError as problem:
            if not self._ended:
                raise Malformed(str(problem) or type(problem).__name__) from None
        self._head_bytes = 0 if self._advanced else self._head_bytes + len(data)
        if self._head_bytes > HEAD_BYTES_MAX:
            raise Malformed(f"the headers have more than {HEAD_BYTES_MAX} bytes")

    def _read_without_upgrade(self, rest: bytes) -> None:
        """Read a request again, without the header that asks for another protocol.

        With this header, httptools expects that the connection changes its protocol after the head.
        `rest` are the bytes after the head.
        """
        method = self._parser.get_method()
        if method == b"CONNECT":
            raise Malformed("CONNECT is not supported")
        lines = [b"%b: %b\r\n" % one for one in self._headers.items() if one[0] != b"connection"]
        head = b"%b %b HTTP/1.1\r\n%b\r\n" % (method, self._url, b"".join(lines))
        self._parser = httptools.HttpRequestParser(self)
        self.feed(head + rest)

    # --- called by the parser ------------------------------------------------------

    def on_message_begin(self) -> None:
        self._url = b""
        self._headers.clear()
        self._request = None

    def on_url(self, part: bytes) -> None:
        self._url += part
        if len(self._url) > HEADER_BYTES_MAX:
            raise Malformed(f"the path has more than {HEADER_BYTES_MAX} bytes")

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(name) + len(value) > HEADER_BYTES_MAX:
            raise Malformed(f"a header has more than {HEADER_BYTES_MAX} bytes")
        known = _READ_HEADERS.get(len(name))
        if known is not None and self._request is None and name.lower() == known:
            self._headers[known] = value

    def on_headers_complete(self) -> None:
        self._upgrades = self._parser.should_upgrade()
        if self._upgrades:
            return
        headers, method = self._headers, self._parser.get_method()
        path, query = _path_and_query(self._url)
        request = HttpRequest(
            "POST" if method == b"POST" else method.decode(), path, query, self._new_body()
        )
        if b"authorization" in headers:
            request.authorization = headers[b"authorization"].decode("utf-8", "replace")
        if b"grpc-metadata-hasleader" in headers:
            request.has_leader = headers[b"grpc-metadata-hasleader"].decode("utf-8", "replace")
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise Malformed("compressed bodies are not supported")
        request.keep_alive = self._parser.should_keep_alive()
        if b"connection" in headers or not request.keep_alive:
            request.old = self._parser.get_http_version() == "1.0"
        request.expects_continue = headers.get(b"expect", b"").lower() == b"100-continue"
        self._request = request
        self._arrived(request)

    def on_body(self, part: bytes) -> None:
        self._advanced = True
        if self._request is not None:
            body = self._request.body
            body.add(part)
            if body.too_large:
                self._completed()

    def on_message_complete(self) -> None:
        self._advanced = True
        request = self._request
        if self._upgrades or request is None:
            return
        self._ended = not request.keep_alive
        request.body.end()
        self._completed()


@lru_cache(maxsize=256)
def _path_and_query(url: bytes) -> tuple[str, str]:
    """Return the decoded path and the query of a request's target."""
    if not url.startswith(b"/"):
        try:
            parsed = httptools.parse_url(url)
        except httptools.HttpParserInvalidURLError:
            return url.decode("utf-8", "replace"), ""
        path, query = parsed.path or b"/", parsed.query or b""
    else:
        path, _, query = url.partition(b"#")[0].partition(b"?")
    return unquote(path.decode("utf-8", "replace")), query.decode("utf-8", "replace")
