"""What became of a request that did not get an answer of success.

`fail` says that it certainly did not happen and never will; everything else is
`info`. A wrong `fail` makes a correct store look broken, a needless `info` only makes
judging slower: what is not in a table is `info`.

A request that cannot change the store has no effect to be unsure of, so that every
error of a read is `fail`.

Source: etcd 3.5, server/etcdserver (v3_server.go, server.go, apply.go) and
api/v3rpc (quota.go, key.go, interceptor.go): where in the path of a write each error
arises. Status codes of the gateway as in grpc-gateway's runtime/errors.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import aiohttp

from splitbrain.harness.clients.http_connection import ConnectionLost, NotConnected
from splitbrain.histories.service import AnyRequest, changes_store

Certainty = Literal["fail", "info"]


@dataclass(frozen=True, slots=True)
class Row:
    """`sign` begins the error's message (or names a status, or is an exception's type)."""

    sign: str
    outcome: Certainty
    reason: str


V3_MESSAGES: tuple[Row, ...] = (
    Row("etcdserver: too many requests", "fail",
        "refused before it is proposed, when commit runs too far ahead of apply"),
    Row("etcdserver: request is too large", "fail", "measured before it is proposed"),
    Row("etcdserver: key is not provided", "fail", "checked on arrival"),
    Row("etcdserver: value is provided", "fail", "checked on arrival"),
    Row("etcdserver: lease is provided", "fail", "checked on arrival"),
    Row("etcdserver: key not found", "fail",
        "a put that keeps the value of an absent key: found out before anything is written"),
    Row("etcdserver: too many operations in txn request", "fail", "checked on arrival"),
    Row("etcdserver: duplicate key given in txn request", "fail", "checked on arrival"),
    Row("etcdserver: invalid", "fail", "arguments are checked on arrival"),
    Row("etcdserver: mvcc: required revision has been compacted", "fail",
        "a txn checks its ranges, a compaction its revision, before anything is written"),
    Row("etcdserver: mvcc: required revision is a future revision", "fail",
        "a txn checks its ranges, a compaction its revision, before anything is written"),
    Row("etcdserver: requested lease not found", "fail",
        "a put's lease is looked up before anything is written"),
    Row("etcdserver: mvcc: database space exceeded", "info",
        "the apply that first exceeds the quota writes and then answers so"),
    Row("etcdserver: no leader", "fail",
        "the gate of clients that ask for a leader; a write is not read yet"),
    Row("etcdserver: not capable", "fail", "checked on arrival"),
    Row("etcdserver: rpc not supported for learner", "fail", "checked on arrival"),
    Row("raft proposal dropped", "fail",
        "the member's own raft refused it: no leader known, or its log is full. "
        "A proposal that was forwarded never answers so"),
    Row("etcdserver: leader changed", "info",
        "said of reads; if it is ever said of a write, the write may be in a log"),
    Row("etcdserver: request timed out", "info", "proposed, and not seen to be applied in time"),
    Row("etcdserver: server stopped", "info", "proposed, and the member went down"),
    Row("etcdserver: request canceled", "info", "proposed, and the client went away"),
    Row("raft: stopped", "info", "the proposal may have left before raft stopped"),
    Row("etcdserver: corrupt cluster", "info",
        "said by the apply, which other members may not share"),
)
"""By the beginning of the error's message; the first row that fits decides."""

STATUSES: tuple[Row, ...] = (
    Row("400", "fail", "malformed or refused arguments (gRPC InvalidArgument, OutOfRange)"),
    Row("404", "fail", "no such path"),
    Row("405", "fail", "no such method"),
    Row("413", "fail", "too large to be read"),
    Row("415", "fail", "not read"),
    Row("408", "info", "gRPC Canceled: the member stopped waiting"),
    Row("500", "info", "an error without a place in the tables"),
    Row("503", "info", "gRPC Unavailable: behind the gateway the request may have arrived"),
    Row("504", "info", "gRPC DeadlineExceeded"),
)
"""By the status of the answer, where its message is in no row above."""

EXCEPTIONS: tuple[tuple[type[BaseException], Row], ...] = (
    (NotConnected, Row("connect failed", "fail", "no connection, so nothing was sent")),
    (aiohttp.ConnectionTimeoutError, Row("connect timed out", "fail", "nothing was sent")),
    (aiohttp.ClientConnectorError, Row("connect failed", "fail", "nothing was sent")),
    (ConnectionLost, Row("disconnected", "info",
                         "sent at least in part before the connection broke")),
    (aiohttp.ServerDisconnectedError, Row("disconnected", "info",
                                          "sent at least in part before the connection broke")),
    (TimeoutError, Row("timed out", "info", "sent, and no answer in time")),
    (aiohttp.ClientError, Row("connection broke", "info",
                              "sent at least in part before the connection broke")),
    (OSError, Row("connection broke", "info", "sent at least in part before the connection broke")),
)
"""By the type of what the HTTP client raised, ours or aiohttp; the first row that fits
decides."""

UNKNOWN = Row("", "info", "in no table: it may have happened")


def of_status(request: AnyRequest, status: int, message: str) -> tuple[Certainty, str]:
    """The outcome of an answer that is an error, and the text to record."""
    text = f"{status} {message}".rstrip()
    return _unless_read(request, _row(status, message).outcome), text


def of_exception(request: AnyRequest, error: BaseException) -> tuple[Certainty, str]:
    """The outcome of a request whose client raised `error`, and the text to record."""
    for kind, row in EXCEPTIONS:
        if isinstance(error, kind):
            said = str(error)
            text = f"{row.sign}: {said}" if said else row.sign
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
