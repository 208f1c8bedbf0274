"""One operation of somebody else's log: what was asked and answered, and between which lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Function = Literal["read", "write", "cas", "get", "put", "append"]
Outcome = Literal["ok", "fail", "info"]


@dataclass(frozen=True, slots=True)
class LoggedOperation:
    """`call` and `ret` are numbers of lines; `ret` is None where it is not known to have ended.

    `argument` is what `f` was given, `answer` what came back. `outcome` is as in a
    history of ours; a compare-and-swap that found something else `fail`ed. `key` is ""
    where the log is of one object.
    """

    process: int
    f: Function
    key: str
    argument: Any
    outcome: Outcome
    answer: Any
    call: int
    ret: int | None
