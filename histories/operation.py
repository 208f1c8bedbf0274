"""Defines operations of the key-value service."""

from __future__ import annotations

from typing import Literal

import msgspec

from splitbrain.histories.kv import Request, Result

Outcome = Literal["ok", "fail", "info"]


class Operation(msgspec.Struct, frozen=True, gc=False):
    """One operation of one client, from its invocation to its completion.

    `invoked` and `returned` are indexes of events. `call` and `ret` are the times of these events
    in ns since the start of the run. If an operation ended in `info`, its `ret` is None, because it
    may take effect at any later time. If an operation has no completion because the harness died,
    its outcome is `info`, and both `returned` and `ret` are None.
    """

    process: int
    f: str
    node: str | None
    outcome: Outcome
    request: Request
    result: Result | None
    error: str | None
    invoked: int
    returned: int | None
    call: int
    ret: int | None
    """The time at which the operation has certainly ended; None for an `info`."""
    ended: int | None = None
    """When the client stopped waiting, also for an `info`. Used only for pictures and latencies."""
