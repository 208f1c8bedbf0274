"""One event of a history: a line of `history.jsonl`.

    {"index": 17, "time": 1203344112, "process": 3, "type": "invoke", "f": "put",
     "value": {"op": "put", "key": "r1", "value": "40"}, "node": "n2"}

`type` is `invoke`, `ok`, `fail` (certainly did not happen) or `info` (may or may
not have happened, may still happen later). `time` is nanoseconds since the start
of the run. A process whose operation ended in `info` is retired and a new process
number takes its place. Faults are events of the process "nemesis", of type `info`,
whose `value` is a `FaultEvent`.

Source: the semantics of Jepsen's histories.
"""

from __future__ import annotations

from typing import Literal

import msgspec

EventType = Literal["invoke", "ok", "fail", "info"]
Phase = Literal["begin", "began", "end", "ended", "failed"]
Process = int | Literal["nemesis"]

NEMESIS: Literal["nemesis"] = "nemesis"


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """One event. `value` is JSON that the workload's codec reads (for key-value
    workloads `splitbrain.histories.kv.Request` on `invoke`, `splitbrain.histories.kv.Result` on
    `ok`);
    `error` says why an operation ended in `fail` or `info`.
    """

    index: int
    time: int
    process: Process
    type: EventType
    f: str
    value: msgspec.Raw = msgspec.Raw(b"null")
    node: str | None = None
    error: str | None = None


class FaultEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """The value of a nemesis event.

    A fault number `fault` goes through `begin` (about to be inflicted), `began` (in
    force from here at the latest), `end` (about to be healed) and `ended` (healed
    from here at the latest); `failed` when it could not be inflicted or healed.
    `members` are those that it hit, known once it began; `detail` is the fault
    itself, as its own JSON.
    """

    fault: int
    phase: Phase
    members: tuple[str, ...] = ()
    detail: msgspec.Raw = msgspec.Raw(b"null")
    links: tuple[tuple[str, str], ...] = ()
    """From whom to whom bytes are touched, for faults of links; known once it began."""
    error: str = ""
    """Why it `failed`."""
