"""Reads a short notation for transactions.

    ax1      appends 1 to x              ry12    read y = [1 2]      ry   read y = []
    wx1      writes x = 1                r=x1    read x = 1          r=x  read x as absent
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

from splitbrain.histories.transaction import Append, MicroOperation, Read, Transaction, Write

_MICRO = re.compile(r"(a|w|r=|r)([a-z])(\d*)")


def operations(text: str) -> tuple[MicroOperation, ...]:
    made: list[MicroOperation] = []
    for f, key, digits in _MICRO.findall(text):
        if f == "a":
            made.append(Append(key, int(digits)))
        elif f == "w":
            made.append(Write(key, int(digits)))
        elif f == "r=":
            made.append(Read(key, int(digits) if digits else None))
        else:
            made.append(Read(key, tuple(int(digit) for digit in digits)))
    return tuple(made)


def transaction(
    text: str,
    invoked: int,
    returned: int | None,
    process: int = 0,
    outcome: Literal["ok", "fail", "info"] = "ok",
) -> Transaction:
    return Transaction(process, outcome, operations(text), invoked, returned)


def concurrent(*texts: str) -> list[Transaction]:
    """Concurrent transactions, each of its own process. `text!` failed, `text?` is uncertain."""
    outcomes: dict[str, Any] = {"!": "fail", "?": "info"}
    made = []
    for place, text in enumerate(texts):
        outcome = outcomes.get(text[-1], "ok")
        returned = None if outcome == "info" else len(texts) + place
        made.append(transaction(text.rstrip("!?"), place, returned, place, outcome))
    return made


def one_after_another(*texts: str, processes: Sequence[int] = ()) -> list[Transaction]:
    """Transactions that run one after the other, by `processes` (default: one process each)."""
    return [
        transaction(text, 2 * place, 2 * place + 1, processes[place] if processes else place)
        for place, text in enumerate(texts)
    ]
