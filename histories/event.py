"""Defines one event of a history: one line of `history.jsonl`.

    {"index": 17, "time": 1203344112, "process": 3, "type": "invoke", "f": "put",
     "value": {"op": "put", "key": "r1", "value": "40"}, "node": "n2"}

`type` is `invoke`, `ok` (the operation happened), `fail` (it certainly did not happen) or `info`
(it may or may not have happened, and may still happen later). `time` is in ns since the start of
the run. A process whose operation ended in `info` is retired, and a new process number takes its
place. Faults are events of the process "nemesis" and the type `info`; their `value` is a
`FaultEvent`.

Source: the semantics of Jepsen's histories.
"""

from __future__ import annotations

from typing import Literal

import msgspec

EventType = Literal["invoke", "ok", "fail", "info"]
Phase = Literal["begin", "began", "end", "ended", "failed"]
Process = int | Literal["nemesis"]

NEMESIS: Literal["nemesis"] = "nemesis"


class Event(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One event of a history.

    `value` is JSON: the request for `invoke` and the answer for `ok`. For key-value
    operations these are `splitbrain.histories.kv.Request` and `splitbrain.histories.kv.Result`.
    `error` is the reason why an operation ended in `fail` or `info`.
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
    """The value of an event of the nemesis: one phase of the fault with the number `fault`.

    The phases are:

    - `begin`: the injection starts.
    - `began`: the injection is complete, so the fault is in force.
    - `end`: the healing starts.
    - `ended`: the healing is complete.
    - `failed`: the fault could not be injected or healed.

    `members` are the members that the fault hit; they are known from `began` on. `detail` is the
    fault itself, as JSON.
    """

    fault: int
    phase: Phase
    members: tuple[str, ...] = ()
    detail: msgspec.Raw = msgspec.Raw(b"null")
    links: tuple[tuple[str, str], ...] = ()
    """The links that the fault changed, each (source, target), from `began` on."""
    error: str = ""
    """The reason why the fault could not be injected or healed; "" in other phases."""
    effect: str | None = None
    """In the phase `end`, a description of what the fault has changed. It is "" if the fault has
    changed nothing. It is None if the change is unknown, and in all other phases."""
