"""Decides the outcome of a call to a client from the value that it returned or the exception."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from splitbrain.harness.clients.any_store.store_client import Definite, DefiniteError

DIFFERENT = "the value was different"
"""The error of a compare-and-set that did not take effect."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a call. `value` is set for `ok`, `error` for `fail` and `info`."""

    outcome: Literal["ok", "fail", "info"]
    value: Any = None
    error: str = ""
    connected: bool = True
    """Whether the connection can be used for the next operation."""


def of_answer(f: str, argument: Any, answer: Any) -> Outcome:
    """Return the outcome of a call that returned `answer`. `argument` is the value of the invocation.

    A compare-and-set that returned False is `fail`. If a function without an answer, such as write,
    returned None, the value of the outcome is `argument`, as in Jepsen.
    """
    if f == "cas":
        return Outcome("ok", argument) if answer else Outcome("fail", error=DIFFERENT)
    return Outcome("ok", argument if answer is None and f not in ANSWERED else answer)


ANSWERED = frozenset(("read", "dequeue", "generate", "drain", "get"))
"""Functions whose answer may be None, because a register or a queue has no value."""


def of_error(
    error: BaseException, definite: Sequence[DefiniteError], *, only_reads: bool
) -> Outcome:
    """Return the outcome of a call that raised `error`. `definite` are the client's definite exceptions.

    `only_reads` is True if the operation changes nothing. It is then `fail` after every exception.
    """
    text = _text(error)
    if isinstance(error, Definite) or any(_matches(error, one) for one in definite):
        return Outcome("fail", error=text)
    return Outcome("fail" if only_reads else "info", error=text, connected=False)


def _matches(error: BaseException, definite: DefiniteError) -> bool:
    if isinstance(definite, tuple):
        kind, words = definite
        return isinstance(error, kind) and words in str(error)
    return isinstance(error, definite)


def _text(error: BaseException) -> str:
    """Return the error in one line, with its type unless it is `Definite`."""
    details = " ".join(str(error).split())[:500]
    if isinstance(error, Definite):
        return details or "did not happen"
    name = type(error).__name__
    return f"{name}: {details}" if details else name
