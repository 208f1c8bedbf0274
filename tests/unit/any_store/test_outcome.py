"""What a client returns or raises decides the outcome of its operation."""

from __future__ import annotations

from typing import Any

import pytest

from splitbrain.harness.clients.any_store.outcome import of_answer, of_error
from splitbrain.harness.clients.any_store.store_client import (
    Definite,
    Invocation,
    StoreClient,
    missing_functions,
)

DEFINITE = (PermissionError, (ValueError, "refused"))


@pytest.mark.parametrize(("error", "only_reads", "outcome", "connected"), [
    (Definite("no"), False, "fail", True),
    (PermissionError("x"), False, "fail", True),
    (ValueError("it was refused"), False, "fail", True),
    (ValueError("odd"), False, "info", False),
    (ValueError("odd"), True, "fail", False),
    (TimeoutError(), False, "info", False),
    (ConnectionResetError(), True, "fail", False),
])
def test_an_exception_decides_the_outcome(
    error: Exception, only_reads: bool, outcome: str, connected: bool
) -> None:
    found = of_error(error, DEFINITE, only_reads=only_reads)
    assert (found.outcome, found.connected) == (outcome, connected)
    assert found.error


@pytest.mark.parametrize(("f", "argument", "answer", "outcome", "value"), [
    ("write", 3, None, "ok", 3),
    ("read", None, 4, "ok", 4),
    ("read", None, None, "ok", None),
    ("dequeue", None, None, "ok", None),
    ("cas", [1, 2], True, "ok", [1, 2]),
    ("cas", [1, 2], False, "fail", None),
    ("txn", [["r", 1, None]], [["r", 1, 5]], "ok", [["r", 1, 5]]),
])
def test_an_answer_becomes_the_value_of_the_completion(
    f: str, argument: Any, answer: Any, outcome: str, value: Any
) -> None:
    found = of_answer(f, argument, answer)
    assert (found.outcome, found.result) == (outcome, value)


class Recorder(StoreClient):
    def write(self, *given: Any) -> tuple[Any, ...]:
        return given

    read = cas = add = write


@pytest.mark.parametrize(("invocation", "given"), [
    (Invocation("read", None, 1), (1,)),
    (Invocation("read"), ()),
    (Invocation("write", 3, 1), (1, 3)),
    (Invocation("cas", [1, 2], 7), (7, 1, 2)),
    (Invocation("add", 0), (0,)),
])
def test_a_function_is_called_with_its_key_and_value(
    invocation: Invocation, given: tuple[Any, ...]
) -> None:
    assert Recorder().invoke(invocation) == given


def test_the_functions_of_a_client_are_its_methods_or_declared() -> None:
    class Declared:
        functions = ("read",)

    assert missing_functions(Recorder, ("read", "write", "enqueue")) == ["enqueue"]
    assert missing_functions(Declared, ("read", "write")) == ["write"]
    assert missing_functions(object, ("read",)) == []
