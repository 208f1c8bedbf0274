"""Decides the outcome of a call to a client from its return value or its exception."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from splitbrain.harness.clients.any_store.store_client import Definite, DefiniteError
from splitbrain.harness.clients.completion import (
    ERROR_CHARACTERS_MAX,
    Completion,
    error_text,
)

DIFFERENT = "the value was different"
"""The recorded error of a compare-and-set that did not take effect."""


def of_answer(f: str, argument: Any, answer: Any) -> Completion:
    """Return the outcome of a call of the function `f` that returned `answer`.

    `argument` is the value of the invocation. A client that decides the outcome itself returns a
    `Completion`, which is returned unchanged. A compare-and-set that returned False is `fail`. If a
    function without an answer, such as write, returned None, the value of the outcome is
    `argument`, as in Jepsen.
    """
    if isinstance(answer, Completion):
        return answer
    if f == "cas":
        return Completion("ok", argument) if answer else Completion("fail", error=DIFFERENT)
    return Completion("ok", argument if answer is None and f not in ANSWERED else answer)


ANSWERED = frozenset(("read", "dequeue", "generate", "drain", "get"))
"""Functions for which None is an answer: the register or the queue is empty."""


def of_error(
    error: BaseException, definite: Sequence[DefiniteError], *, only_reads: bool
) -> Completion:
    """Return the outcome of a call that raised `error`.

    `definite` contains the client's exceptions that prove that an operation had no effect. If
    `only_reads` is True, the operation changes nothing, and every exception gives `fail`.
    """
    text = _text(error)
    if isinstance(error, Definite) or any(_matches(error, one) for one in definite):
        return Completion("fail", error=text)
    return Completion("fail" if only_reads else "info", error=text, connected=False)


def _matches(error: BaseException, definite: DefiniteError) -> bool:
    if isinstance(definite, tuple):
        kind, words = definite
        return isinstance(error, kind) and words in str(error)
    return isinstance(error, definite)


def _text(error: BaseException) -> str:
    """Return the error in one line, with its type unless the type is `Definite`."""
    if isinstance(error, Definite):
        return " ".join(str(error).split())[:ERROR_CHARACTERS_MAX] or "did not happen"
    return error_text(error)
