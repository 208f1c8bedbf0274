"""Decides the outcome of a request from its answer, or from the exception that ended it."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from splitbrain.harness.clients.http_connection import ConnectionLost
from splitbrain.harness.clients.kv_codec import decode_error
from splitbrain.harness.clients.outcome import of_exception, of_status
from splitbrain.harness.clients.service_codec import decode_any
from splitbrain.histories.service_operation import AnyRequest, AnyResult

ERROR_CHARACTERS_MAX = 500


class Completion(msgspec.Struct, frozen=True, gc=False):
    """The outcome of an operation: `result` is set for `ok`, `error` for `fail` and `info`.

    The result of an operation of a user's client is a plain value.
    """

    outcome: Literal["ok", "fail", "info"]
    result: AnyResult | Any = None
    error: str = ""
    connected: bool = True
    """Whether the connection can be used for the next operation."""

    @property
    def ends_process(self) -> bool:
        """Return whether the process of the history must not invoke another operation."""
        return self.outcome == "info" or not self.connected


def completion_of_answer(request: AnyRequest, status: int, body: bytes) -> Completion:
    """Return the outcome of a request that was answered with an HTTP status and a body."""
    if status != 200:
        outcome, text = of_status(request, status, decode_error(body))
        return Completion(outcome, None, text)
    try:
        return Completion("ok", decode_any(request, body))
    except ConnectionLost as error:
        return completion_of_exception(request, error)
    except (msgspec.MsgspecError, UnicodeDecodeError) as problem:
        # The store reports success, so the request may have taken effect. But without the result,
        # no checker can judge the request as `ok`.
        return Completion("info", None, f"cannot decode the answer: {problem}: {body[:120]!r}")


def completion_of_exception(request: AnyRequest, error: OSError) -> Completion:
    """Return the outcome of a request that ended with a timeout or an error of the connection."""
    outcome, text = of_exception(request, error)
    return Completion(outcome, None, text)


def error_text(error: BaseException) -> str:
    """Return the error in one line, with its type."""
    details = " ".join(str(error).split())[:ERROR_CHARACTERS_MAX]
    name = type(error).__name__
    return f"{name}: {details}" if details else name
