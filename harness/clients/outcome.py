"""Decides the outcome of a request that was not answered with success: `fail` or `info`.

- A read has no effect on the store. Therefore every error of a read is `fail`.
- An error of another request is `fail` if the tables below show that the request certainly had no
  effect and never will have one.
- A code of gRPC is judged by the status that the JSON gateway has for it.
- Every other error, including one that is not in the tables, is `info`. A wrong `fail` would make
  the checkers reject a correct store, while a needless `info` only slows them down.

Source: etcd 3.5, server/etcdserver (v3_server.go, server.go, apply.go) and api/v3rpc (quota.go,
key.go, interceptor.go), which show where in the path of a write each error arises; grpc-gateway's
runtime/errors.go for the status codes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import aiohttp

from splitbrain.harness.clients.http_connection import ConnectionLost, NotConnected
from splitbrain.histories.service_operation import AnyRequest, changes_store
from splitbrain.node.messages.errors import RpcError

Certainty = Literal["fail", "info"]


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of error, and the outcome of a request that ends with it.

    `reason` explains why this is the outcome. The meaning of `sign` depends on the table:

    - V3_MESSAGES: the beginning of the error's message;
    - STATUSES: the status code of the answer;
    - EXCEPTIONS: the text that the history records for an exception of that type.
    """

    sign: str
    outcome: Certainty
    reason: str


V3_MESSAGES: tuple[Row, ...] = (
    Row("etcdserver: too many requests", "fail",
        "refused before the proposal, when commit is too far ahead of apply"),
    Row("etcdserver: request is too large", "fail", "the size is checked before the proposal"),
    Row("etcdserver: key is not provided", "fail", "checked on arrival"),
    Row("etcdserver: value is provided", "fail", "checked on arrival"),
    Row("etcdserver: lease is provided", "fail", "checked on arrival"),
    Row("etcdserver: key not found", "fail",
        "a put with ignore_value on an absent key is refused before anything is written"),
    Row("etcdserver: too many operations in txn request", "fail", "checked on arrival"),
    Row("etcdserver: duplicate key given in txn request", "fail", "checked on arrival"),
    Row("etcdserver: invalid", "fail", "the arguments are checked on arrival"),
    Row("etcdserver: mvcc: required revision has been compacted", "fail",
        "a txn checks its ranges, and a compaction its revision, before anything is written"),
    Row("etcdserver: mvcc: required revision is a future revision", "fail",
        "a txn checks its ranges, and a compaction its revision, before anything is written"),
    Row("etcdserver: lease already exists", "fail",
        "the id of a lease is looked up before the lease is made"),
    Row("etcdserver: requested lease not found", "fail",
        "the lease of a put is looked up before anything is written"),
    Row("etcdserver: mvcc: database space exceeded", "info",
        "the first apply that exceeds the quota writes, and then returns this error"),
    Row("etcdserver: no leader", "fail",
        "checked before the request is read, for clients that require a leader"),
    Row("etcdserver: permission denied", "fail",
        "permissions are checked before anything is written"),
    Row("etcdserver: user name", "fail", "users are checked before anything is written"),
    Row("etcdserver: role", "fail", "roles are checked before anything is written"),
    Row("etcdserver: root user", "fail", "checked before authentication is enabled"),
    Row("etcdserver: permission is not granted", "fail",
        "permissions are checked before anything is written"),
    Row("etcdserver: authentication", "fail", "a login changes nothing"),
    Row("etcdserver: revision of auth store is old", "fail",
        "the revision is checked before anything is written"),
    Row("auth: revision in header is old", "fail",
        "the same error, as etcd 3.5.1 sends it"),
    Row("etcdserver: not capable", "fail", "checked on arrival"),
    Row("etcdserver: rpc not supported for learner", "fail", "checked on arrival"),
    Row("raft proposal dropped", "fail",
        "the raft of this member refused it, because it knows no leader or its log is full; "
        "a forwarded proposal never returns this error"),
    Row("etcdserver: leader changed", "info",
        "etcd returns it for reads; a write that got it might be in a log"),
    Row("etcdserver: request timed out", "info", "proposed, and not applied in time"),
    Row("etcdserver: server stopped", "info", "proposed, and then the member stopped"),
    Row("etcdserver: request canceled", "info", "proposed, and then the client disconnected"),
    Row("raft: stopped", "info", "the proposal may have been sent before raft stopped"),
    Row("etcdserver: corrupt cluster", "info",
        "the apply failed on this member, and may have succeeded on others"),
)
"""Errors by the beginning of their message. The first row that matches decides."""

STATUSES: tuple[Row, ...] = (
    Row("400", "fail", "malformed or refused arguments (gRPC InvalidArgument, OutOfRange)"),
    Row("404", "fail", "no such path"),
    Row("405", "fail", "no such method"),
    Row("413", "fail", "too large to read"),
    Row("415", "fail", "the content type is not accepted, so the body is not read"),
    Row("501", "fail", "gRPC Unimplemented: no such method"),
    Row("408", "info", "gRPC Canceled: the member stopped waiting"),
    Row("500", "info", "an error that is in no table"),
    Row("503", "info", "gRPC Unavailable: the gateway may have forwarded the request before"),
    Row("504", "info", "gRPC DeadlineExceeded"),
)
"""Errors by status code. They are used if no row of `V3_MESSAGES` matches."""

EXCEPTIONS: tuple[tuple[type[BaseException], Row], ...] = (
    (NotConnected, Row("connect failed", "fail", "no connection, so nothing was sent")),
    (aiohttp.ConnectionTimeoutError, Row("connect timed out", "fail", "nothing was sent")),
    (aiohttp.ClientConnectorError, Row("connect failed", "fail", "nothing was sent")),
    (ConnectionLost, Row("disconnected", "info",
                         "sent at least in part before the connection broke")),
    (aiohttp.ServerDisconnectedError, Row("disconnected", "info",
                                          "sent at least in part before the connection broke")),
    (TimeoutError, Row("timed out", "info", "sent, and not answered in time")),
    (aiohttp.ClientError, Row("connection broke", "info",
                              "sent at least in part before the connection broke")),
    (OSError, Row("connection broke", "info", "sent at least in part before the connection broke")),
)
"""Errors by the type of the exception, which comes from `clients/http_connection.py` or aiohttp.
The first row that matches decides."""

UNKNOWN = Row("", "info", "in no table, so it may have taken effect")


def of_status(request: AnyRequest, status: int, message: str) -> tuple[Certainty, str]:
    """Decide the outcome of `request`, whose answer has a status that is not 200.

    Returns the outcome, and the text that the history records.
    """
    text = f"{status} {message}".rstrip()
    return _unless_read(request, _row(status, message).outcome), text


def of_code(request: AnyRequest, error: RpcError) -> tuple[Certainty, str]:
    """Decide the outcome of `request`, which gRPC answered with `error`.

    Returns the outcome, and the text that the history records.
    """
    text = f"{error.code.name} {error.message}".rstrip()
    return _unless_read(request, _row(error.http_status, error.message).outcome), text


def of_exception(request: AnyRequest, error: BaseException) -> tuple[Certainty, str]:
    """Decide the outcome of `request`, whose client raised `error`.

    Returns the outcome, and the text that the history records.
    """
    for kind, row in EXCEPTIONS:
        if isinstance(error, kind):
            details = str(error)
            text = f"{row.sign}: {details}" if details else row.sign
            return _unless_read(request, row.outcome), text
    return _unless_read(request, UNKNOWN.outcome), f"{type(error).__name__}: {error}"


def _row(status: int, message: str) -> Row:
    for row in V3_MESSAGES:
        if message.startswith(row.sign):
            return row
    for row in STATUSES:
        if row.sign == str(status):
            return row
    return UNKNOWN


def _unless_read(request: AnyRequest, outcome: Certainty) -> Certainty:
    if outcome == "info" and not changes_store(request):
        return "fail"
    return outcome
