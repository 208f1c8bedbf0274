"""Numbers the states of a model, and computes each transition once."""

from __future__ import annotations

import sys
from collections.abc import Collection, Hashable, Sequence
from typing import Any, Generic

from splitbrain.checkers.porcupine.model import I, Model, O, Operation, S

IMPOSSIBLE = -1
EVERYTHING = -1
"""The bitset of all parts of the state."""
_ROW_ENTRY_BYTES = 100
_STATE_BYTES = 150
"""The memory of an interned state in addition to its own size: entries in a dict and a list."""


class Kind(Generic[I, O]):
    """A group of operations with equal input and output. They differ only in their times.

    `row` maps the number of a state to the number of the next state, or to IMPOSSIBLE. `reads` is
    True if the model declares the operations read-only. `touches` is a bitset of the parts of the
    state that the operations touch.
    """

    __slots__ = ("common", "input", "output", "reads", "row", "touches")

    def __init__(self, given: I, output: O, reads: bool) -> None:
        self.input = given
        self.output = output
        self.reads = reads
        self.touches = EVERYTHING
        self.row: dict[int, int] = {}
        self.common = False
        """True if there are several operations of this kind."""


class Transitions(Generic[S, I, O]):
    """The part of the state graph of a model that a search has visited."""

    def __init__(self, model: Model[S, I, O]) -> None:
        self._model = model
        self._step = model.step
        self._numbers: dict[Hashable, int] = {}
        self._kinds: dict[Any, Kind[I, O]] = {}
        self._parts: dict[Hashable, int] = {}
        """The parts of the state that operations touch, each with its bit."""
        self.states: list[S] = []
        self.computed = 0
        """The number of calls of the model's `step`."""
        self._states_bytes = 0
        first = model.init()
        try:
            hash(first)
            self._hashable = True
        except TypeError:
            self._hashable = False
        self.first = self.number(first)

    @property
    def held_bytes(self) -> int:
        """Return an estimate of the memory in bytes, without the objects to which states refer."""
        return self._states_bytes + self.computed * _ROW_ENTRY_BYTES

    def forget(self) -> None:
        """Drop the states. After that, no transition can be computed."""
        self.states.clear()
        self._numbers.clear()
        self._kinds.clear()
        self._states_bytes = self.computed = 0

    def number(self, state: S) -> int:
        """Return the number of `state`. A state that equals no earlier state gets a new number."""
        states = self.states
        if self._hashable:
            known = self._numbers.setdefault(state, len(states))
            if known < len(states):
                return known
        else:
            for number, seen in enumerate(states):
                if self._model.equal(seen, state):
                    return number
        states.append(state)
        self._states_bytes += sys.getsizeof(state) + _STATE_BYTES
        return len(states) - 1

    def kinds(self, operations: Sequence[Operation[I, O]]) -> list[Kind[I, O]]:
        """Return the kind of each operation. Operations with equal input and output have one kind.

        An operation whose input or output is not hashable has a kind of its own.
        """
        known = self._kinds
        kinds: list[Kind[I, O]] = []
        for op in operations:
            given, output = op.input, op.output
            # Named tuples of different classes can be equal, and 1 == True, so the key has the
            # classes.
            key = (given.__class__, given, output.__class__, output)
            try:
                found = known.get(key)
            except TypeError:
                found = self._new_kind(given, output)
            else:
                if found is None:
                    found = known[key] = self._new_kind(given, output)
                else:
                    found.common = True
            kinds.append(found)
        return kinds

    def _new_kind(self, given: I, output: O) -> Kind[I, O]:
        kind = Kind(given, output, self._model.read_only(given, output))
        if self._model.touches is not None:
            kind.touches = self._bits_of(self._model.touches(given))
        return kind

    def _bits_of(self, parts: Collection[Hashable] | None) -> int:
        if not parts:
            return EVERYTHING
        touches = 0
        for part in parts:
            touches |= self._parts.setdefault(part, 1 << len(self._parts))
        return touches

    def step(self, kind: Kind[I, O], number: int) -> int:
        """Compute the state that an operation of `kind` reaches from the state `number`.

        The result is the number of the reached state, or IMPOSSIBLE if the model does not allow the
        operation. The result is also stored in `kind.row`.
        """
        state = self.states[number]
        possible, after = self._step(state, kind.input, kind.output)
        self.computed += 1
        if not possible:
            kind.row[number] = IMPOSSIBLE
            return IMPOSSIBLE
        reached = number if after is state else self.number(after)
        kind.row[number] = reached
        if kind.reads and reached != number and not self._model.reads_narrow:
            raise ValueError(
                "the model declares "
                f"{self._model.describe_operation(kind.input, kind.output)} read-only, "
                f"but it changes {self._model.describe_state(state)} to "
                f"{self._model.describe_state(after)}"
            )
        return reached
