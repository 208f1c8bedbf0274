"""Explains why operations on an object have no linearization.

The explanation has three parts:

- The *needed* operations have no linearization, whether or not each other operation took effect.
- One of the needed operations is *blamed*. Without it, the rest has a linearization.
- Further operations *support* the needed ones. They are in the linearization of the rest, or they
  wrote the values that the blamed operation claims to have seen.

If several needed operations could be blamed, the one that returned last is blamed. Usually all
answers before it fit together, so it is the first answer that no order explains.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from splitbrain.checkers import wording
from splitbrain.checkers.minimise.delta_debugging import minimise
from splitbrain.checkers.minimise.weakening import Weakening
from splitbrain.checkers.porcupine import (
    CheckResult,
    Model,
    Operation,
    check_operations,
    check_operations_verbose,
)

QUESTION_S_MAX = 2.0
"""The time limit in seconds for refuting one part of a history. If the limit is reached, the part
is not used as an explanation."""
QUESTION_S_MIN = 0.01
"""The smallest time limit in seconds for one part of a history. It is also used after the
deadline."""
SHOWN_IN_TEXT_MAX = 8
ORDER_IN_TEXT_MAX = 4

Op = Operation[Any, Any]
Useful = Callable[[Sequence[Op], Sequence[Op]], Sequence[Op]]
"""A function that selects the weakened operations that can matter. Its arguments are the certain
and the weakened operations of a history. If the history has a linearization, then it also has one
that contains no other weakened operations than the selected ones."""


@dataclass(frozen=True, slots=True)
class NoOrder:
    """An explanation why operations are not linearizable."""

    shown: tuple[Op, ...]
    """The needed operations and their supporting operations, in the order of their calls."""
    needed: tuple[Op, ...]
    """These operations have no linearization, whether or not each other operation took effect."""
    order: tuple[Op, ...]
    """A linearization of `shown` without `blamed`. It contains all needed operations that
    returned, except `blamed`. Empty if `blamed` is None."""
    blamed: Op | None
    """The needed operation whose answer does not fit the others. None if it was not found in
    time."""
    is_first: bool
    """True if all operations that returned before `blamed` are linearizable together."""
    state: str
    """The state after `order`, as text."""


def _all(certain: Sequence[Op], weakened: Sequence[Op]) -> Sequence[Op]:
    return weakened


def no_order(
    model: Model[Any, Any, Any],
    operations: Sequence[Op],
    deadline: float,
    useful: Useful = _all,
) -> NoOrder:
    """Explain why `operations`, all of one partition of `model`, are not linearizable.

    The explanation is made smaller until `deadline`, a time of `time.monotonic`. `useful` gets two
    lists: the operations with an answer, and the operations without one. It returns the part of the
    second list that the explanation can need.
    """
    return _Explanation(model, operations, deadline, useful).explain()


class _Explanation:
    def __init__(
        self, model: Model[Any, Any, Any], operations: Sequence[Op], deadline: float,
        useful: Useful,
    ) -> None:
        self._model = dataclasses.replace(model, partition=None)
        self._deadline = deadline
        self._useful = useful
        self._history = Weakening(
            sorted(operations, key=lambda op: (op.call, op.ret)),
            ended=lambda op: op.ret, weaken=self._weaken, begun=lambda op: op.call,
        )

    def explain(self) -> NoOrder:
        """Return the smallest explanation that was found until the deadline."""
        history = self._history
        prefix = history.shortest_prefix(self._is_illegal, self._deadline)
        needed = history.needed(prefix, self._is_illegal, self._deadline)
        blamed, order, is_first = self._blame(prefix, needed)
        support: list[Op] = []
        if blamed is not None:
            support = self._support(blamed)
            required = {id(op) for op in (*needed, *support)}
            order = self._pruned(order, required)
        state = self._model.init()
        for op in order:
            state = self._model.step(state, op.input, op.output)[1]
        originals = [history.original(op) for op in order]
        shown = {id(op): op for op in (*needed, *support, *originals)}
        return NoOrder(
            shown=tuple(sorted(shown.values(), key=lambda op: (op.call, op.ret))),
            needed=tuple(needed),
            order=tuple(originals),
            blamed=blamed,
            is_first=is_first,
            state=self._model.describe_state(state),
        )

    def _weaken(self, op: Op) -> Op | None:
        if self._model.read_only(op.input, op.output):
            return None
        return Operation(op.client, op.input, op.call, None)

    # --- who is blamed

    def _blame(
        self, prefix: Sequence[Op], needed: Sequence[Op]
    ) -> tuple[Op | None, list[Op], bool]:
        """Find the operation whose answer does not fit the answers of the others.

        `needed` are the operations that together have no linearization, and `prefix` is the
        shortest prefix of the history that has none. Returns the operation that is blamed, a
        linearization of the rest, and whether all operations that returned before the blamed one
        are linearizable together. The linearization contains the other needed operations, and may
        contain weakened operations, which may or may not have happened. If no operation can be
        blamed, the result is (None, [], False).
        """
        for op, rest, is_first in self._choices(prefix, needed):
            order = self._linearization(rest)
            if order is not None:
                return op, order, is_first
        return None, [], False

    def _choices(
        self, prefix: Sequence[Op], needed: Sequence[Op]
    ) -> Iterator[tuple[Op, list[Op], bool]]:
        """Yield the operations that may be blamed, the best choice first.

        Each choice is a triple: the operation, the rest of the history, and whether all operations
        that returned before the operation are linearizable together. The choices come in this
        order:

        - The last operation of `prefix`. The rest does not contain it.
        - Each operation of `needed`, beginning with the last. The rest does not contain it.
        - The last operation of `prefix` again. The rest contains it without its answer.

        The last choice is used if another operation saw the effect of the blamed operation.
        """
        last = prefix[-1]
        before = self._history.keeping(prefix[:-1])
        yield last, [op for op in before if self._history.original(op) is not last], True
        for op in sorted(needed, key=lambda one: one.ret, reverse=True):
            rest = self._history.keeping([one for one in needed if one is not op])
            rest = [one for one in rest if self._history.original(one) is not op]
            yield op, self._cut(rest), False
        yield last, before, True

    def _support(self, blamed: Op) -> list[Op]:
        """Return a minimal set of operations with which the answer of `blamed` is possible.

        An example is the write of the value that `blamed` read.
        """
        order = self._linearization(self._cut(self._history.keeping([blamed])))
        pruned = self._pruned(order or [], {id(blamed)})
        return [self._history.original(op) for op in pruned if op is not blamed]

    def _pruned(self, order: list[Op], required: set[int]) -> list[Op]:
        """Return the linearization `order` without its unnecessary operations.

        Operations whose `id()` is in `required` are kept.
        """
        def with_only(spare: Sequence[Op]) -> list[Op]:
            own = {id(op) for op in spare}
            return [op for op in order if id(op) in own or is_required(op)]

        def is_required(op: Op) -> bool:
            return id(self._history.original(op)) in required

        spare = minimise(
            [op for op in order if not is_required(op)],
            lambda some: time.monotonic() < self._deadline and self._is_legal(with_only(some)),
        )
        return with_only(spare)

    # --- questions to the checker

    def _cut(self, operations: Sequence[Op]) -> list[Op]:
        certain = [op for op in operations if op.ret != math.inf]
        weakened = [op for op in operations if op.ret == math.inf]
        return [*certain, *self._useful(certain, weakened)]

    def _limit_s(self) -> float:
        left = self._deadline - time.monotonic()
        return max(QUESTION_S_MIN, min(QUESTION_S_MAX, left / 4))

    def _is_illegal(self, operations: list[Op]) -> bool:
        result = check_operations(self._model, self._cut(operations), self._limit_s())
        return result is CheckResult.ILLEGAL

    def _linearization(self, operations: list[Op]) -> list[Op] | None:
        result, info = check_operations_verbose(self._model, operations, self._limit_s())
        if result is not CheckResult.OK:
            return None
        (part,) = info.partitions
        return [part.operations[n] for n in part.partials[0]] if part.partials else []

    def _is_legal(self, order: Sequence[Op]) -> bool:
        state = self._model.init()
        for op in order:
            possible, state = self._model.step(state, op.input, op.output)
            if not possible:
                return False
        return True


def sentence(
    found: NoOrder, text: Callable[[Op], str], who: Callable[[Op], str], state: str
) -> str:
    """Explain `found` in words.

    `text` describes an operation with its answer. `who` says who gave the answer of the blamed
    operation, to which client and when, as in "n1 to process 3 at 0.004 s". `state` describes
    `found.state`.
    """
    shown = "; ".join(text(op) for op in found.shown[:SHOWN_IN_TEXT_MAX])
    more = "; …" * (len(found.shown) > SHOWN_IN_TEXT_MAX)
    because = (
        f"no order explains {wording.together(len(found.shown))} ({shown}{more}), whether or not "
        "each of the other operations took effect"
    )
    if found.blamed is None:
        return because
    named = f"{who(found.blamed)}, {text(found.blamed)}"
    if not found.order:
        return f"{because}. The answer of {named}, does not fit: at the start {state}"
    order = "; ".join(text(op) for op in found.order[-ORDER_IN_TEXT_MAX:])
    if len(found.order) > ORDER_IN_TEXT_MAX:
        order = f"…; {order}"
    first = "The first" if found.is_first else "An"
    return (
        f"{because}. {first} answer that does not fit is that of {named}: without it, the others "
        f"fit in the order {order}, and then {state}"
    )
