"""The outcome of a request with its result or error, decided from the answer or the exception."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec

from splitbrain.harness.clients.kv_codec import decode_error
from splitbrain.harness.clients.outcome import of_exception, of_status
from splitbrain.harness.clients.service_codec import decode_any
from splitbrain.histories.service import AnyRequest, AnyResult


@dataclass(frozen=True, slots=True)
class Completion:
    """The outcome of a request. `result` is set for `ok`, and `error` for `fail` and `info`."""

    outcome: Literal["ok", "fail", "info"]
    result: AnyResult | None = None
    error: str = ""


def completion_of_answer(request: AnyRequest, status: int, body: bytes) -> Completion:
    """Return the outcome of a request that was answered with an HTTP status and a body."""
    if status != 200:
        outcome, text = of_status(request, status, decode_error(body))
        return Completion(outcome, None, text)
    try:
        return Completion("ok", decode_any(request, body))
    except (msgspec.MsgspecError, UnicodeDecodeError) as problem:
        # The store reports success, so the request may have taken effect. But without the result,
        # no checker can judge the request as `ok`.
        return Completion("info", None, f"cannot decode the answer: {problem}: {body[:120]!r}")


def completion_of_exception(request: AnyRequest, error: OSError) -> Completion:
    """Return the outcome of a request that ended with a timeout or an error of the connection."""
    outcome, text = of_exception(request, error)
    return Completion(outcome, None, text)
