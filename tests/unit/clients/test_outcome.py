"""The outcome of a request that failed: whether it certainly had no effect."""

import aiohttp
import pytest

from splitbrain.harness.clients.http_connection import ConnectionLost, NotConnected
from splitbrain.harness.clients.outcome import (
    EXCEPTIONS,
    STATUSES,
    V3_MESSAGES,
    of_exception,
    of_status,
)
from splitbrain.histories.kv import Compare, Delete, Put, Range, Txn
from splitbrain.histories.service_operation import AnyRequest

WRITE = Put("a", "1")
READ = Range("a")
READ_TXN = Txn((Compare("a", "mod", "=", 1),), success=(Range("a"),))
WRITE_TXN = Txn((), success=(Range("a"),), failure=(Delete("a"),))


@pytest.mark.parametrize(("status", "message", "outcome"), [
    (503, "etcdserver: request timed out", "info"),
    (503, "etcdserver: request timed out, possibly due to connection lost", "info"),
    (503, "etcdserver: leader changed", "info"),
    (503, "etcdserver: server stopped", "info"),
    (503, "transport is closing", "info"),
    (429, "etcdserver: too many requests", "fail"),
    (429, "etcdserver: mvcc: database space exceeded", "info"),
    (400, "etcdserver: mvcc: required revision has been compacted", "fail"),
    (400, "etcdserver: request is too large", "fail"),
    (400, "invalid character 'x'", "fail"),
    (500, "raft proposal dropped", "fail"),
    (500, "raft: stopped", "info"),
    (418, "never seen before", "info"),
])
def test_a_write_fails_only_if_it_certainly_did_not_happen(
    status: int, message: str, outcome: str
) -> None:
    assert of_status(WRITE, status, message) == (outcome, f"{status} {message}")


@pytest.mark.parametrize("request_", [READ, READ_TXN])
def test_every_error_of_a_request_that_cannot_write_is_a_fail(request_: AnyRequest) -> None:
    assert of_status(request_, 503, "etcdserver: request timed out")[0] == "fail"
    assert of_exception(request_, TimeoutError())[0] == "fail"


def test_a_transaction_that_writes_in_either_branch_is_a_write() -> None:
    assert of_status(WRITE_TXN, 503, "etcdserver: request timed out")[0] == "info"


@pytest.mark.parametrize(("error", "outcome"), [
    (NotConnected("Connection refused"), "fail"),
    (ConnectionLost("closed by the member"), "info"),
    (aiohttp.ConnectionTimeoutError("slow"), "fail"),
    (aiohttp.ServerTimeoutError("slow"), "info"),
    (aiohttp.ServerDisconnectedError(), "info"),
    (aiohttp.ClientOSError(104, "reset"), "info"),
    (TimeoutError(), "info"),
    (ConnectionResetError(), "info"),
    (OSError(5, "what"), "info"),
    (RuntimeError("what"), "info"),
])
def test_a_broken_connection_is_a_certain_failure_only_if_nothing_was_sent(
    error: Exception, outcome: str
) -> None:
    assert of_exception(WRITE, error)[0] == outcome


def test_every_row_has_a_reason() -> None:
    for row in (*V3_MESSAGES, *STATUSES, *(row for _, row in EXCEPTIONS)):
        assert row.reason
        assert row.outcome in ("fail", "info")
