"""Defines an operation of a simulated client that has not been answered yet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from splitbrain.histories.kv import Request, Result

Fate = Literal["ok", "fail", "info"]


@dataclass(slots=True)
class Call:
    """A pending operation of a simulated client.

    `fate` is its outcome, which is drawn at its invocation. `floor` is the highest revision in any
    answer before the invocation. `compacted` is the highest revision of any compaction that was
    acknowledged before the invocation. `result` and `error` are set when the operation takes
    effect.
    """

    process: int
    client: int
    request: Request
    f: str
    fate: Fate
    floor: int = 0
    compacted: int = 0
    result: Result | None = None
    error: str | None = None
