"""States as small integers, and each transition computed once."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Generic

from checkers.porcupine.model import I, Model, O, S

IMPOSSIBLE = -1


class Transitions(Generic[S, I, O]):
    """The part of a model's state graph that a search has seen.

    Operations of equal input and output share one row: a dict from a state's number to
    the number of the next, or IMPOSSIBLE.
    """

    def __init__(self, model: Model[S, I, O]) -> None:
        self._model = model
        self._numbers: dict[Hashable, int] = {}
        self._rows: dict[Hashable, tuple[int, dict[int, int]]] = {}
        self._kinds = 0
        self.states: list[S] = []
        first = model.init()
        try:
            hash(first)
            self._hashable = True
        except TypeError:
            self._hashable = False
        self.first = self.number(first)

    def number(self, state: S) -> int:
        """The number of `state`, a new one if no equal state was seen before."""
        if self._hashable:
            known = self._numbers.setdefault(state, len(self.states))
            if known == len(self.states):
                self.states.append(state)
            return known
        for number, seen in enumerate(self.states):
            if self._model.equal(seen, state):
                return number
        self.states.append(state)
        return len(self.states) - 1

    def row(self, given: I, output: O) -> tuple[int, dict[int, int]]:
        """The kind of an operation, and the row that all operations of that kind share."""
        # Named tuples of two classes are equal if their fields are: the class decides.
        key: Any = (given.__class__, given, output.__class__, output)
        try:
            found = self._rows.get(key)
        except TypeError:  # not hashable: a kind of its own
            self._kinds += 1
            return self._kinds, {}
        if found is None:
            self._kinds += 1
            found = self._rows[key] = (self._kinds, {})
        return found

    def step(self, row: dict[int, int], number: int, given: I, output: O) -> int:
        """Fill the place of state `number` in `row`."""
        state = self.states[number]
        possible, after = self._model.step(state, given, output)
        row[number] = reached = self.number(after) if possible else IMPOSSIBLE
        if possible and reached != number and self._model.read_only(given, output):
            raise ValueError(
                f"the model calls {self._model.describe_operation(given, output)} read-only, "
                f"but it turns {self._model.describe_state(state)} into "
                f"{self._model.describe_state(after)}"
            )
        return reached
