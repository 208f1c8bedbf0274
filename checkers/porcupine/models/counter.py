"""Models a counter with the operations add and read."""

from __future__ import annotations

from typing import NamedTuple

from splitbrain.checkers.porcupine.model import Model


class Add(NamedTuple):
    """Add `amount`. The output is the sum after the addition, or None if the sum is unknown."""

    amount: int


class ReadSum(NamedTuple):
    """Read the sum. The output is the sum."""


def _step(state: int, given: Add | ReadSum, output: int | None) -> tuple[bool, int]:
    if isinstance(given, ReadSum):
        return output == state, state
    after = state + given.amount
    return output is None or output == after, after


def counter(initial: int = 0) -> Model[int, Add | ReadSum, int | None]:
    """Return a model of a counter that starts with `initial`.

    Equal adds are interchangeable. If there are few different amounts, the search is therefore
    polynomial.
    """
    return Model(
        init=lambda: initial,
        step=_step,
        read_only=lambda given, output: isinstance(given, ReadSum),
        describe_operation=lambda given, output: (
            f"read -> {output}" if isinstance(given, ReadSum) else f"add {given.amount}"
        ),
    )
