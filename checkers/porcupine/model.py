"""What a linearizability checker is told: a sequential model, and what was observed."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, Literal, TypeVar

from splitbrain.checkers.porcupine.blocks import Decision

S = TypeVar("S")
I = TypeVar("I")  # noqa: E741 - the input of an operation, as in the literature
O = TypeVar("O")  # noqa: E741 - its output


class CheckResult(Enum):
    """What a search found. UNKNOWN: a limit of time or memory came first."""

    OK = "ok"
    ILLEGAL = "illegal"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Operation(Generic[I, O]):
    """One call and its return, in any unit of time (also mere positions in a log).

    An operation with `ret` infinite never returned: it may take effect at any time
    from `call` on, or never. Its `output` is not known (None by convention), and
    `Model.step` must then allow every answer that could have been given.

    At equal times calls come before returns, so that two operations which meet at one
    instant count as concurrent.
    """

    client: Hashable
    input: I
    call: float
    output: O
    ret: float = math.inf

    def __post_init__(self) -> None:
        if not self.call <= self.ret:
            raise ValueError(
                f"an operation returns at {self.ret} before its call at {self.call}: "
                "expected call <= ret"
            )


@dataclass(frozen=True, slots=True)
class Event:
    """Half an operation: its call with the input, or its return with the output.

    `id` ties the two. The order of a list of events is their order in time.
    """

    client: Hashable
    kind: Literal["call", "return"]
    value: Any
    id: int


def _not_known_to_be(given: Any, output: Any) -> bool:
    return False


def _shown(given: Any, output: Any) -> str:
    return f"{given} -> {output}"


@dataclass(frozen=True)
class Model(Generic[S, I, O]):
    """A sequential specification.

    `init()` is the first state. `step(state, input, output)` says whether an object in
    `state` can answer `input` with `output`, and what its state is then; it must not
    change the state that it gets. States should be hashable and equal by value:
    they are then interned, and each transition is computed once. States that cannot
    be hashed are compared with `equal`, one by one, which is slow.

    `partition` splits operations into groups that do not concern one another
    (Horn and Kroening's P-compositionality: the whole is linearizable if and only if
    each part is), by key as a rule; `partition_events` does so for events.

    `read_only(input, output)` is a promise that no state changes by that operation,
    whatever state it meets; such an operation is linearized as soon as its answer fits,
    without a branch. Where the promise is wrong, ValueError is raised.

    `reads_narrow` weakens that promise to "rules states out at most", for states that are
    sets of possible states; such an operation is placed at once where it rules none out.

    `decide(operations)` is a quicker algorithm for some histories of one partition (see
    `splitbrain.checkers.porcupine.blocks`), which must say what the search would: `step` remains
    the specification. Where it answers None the search goes on.
    """

    init: Callable[[], S]
    step: Callable[[S, I, O], tuple[bool, S]]
    equal: Callable[[S, S], bool] = operator.eq
    partition: Callable[[Sequence[Operation[I, O]]], list[list[Operation[I, O]]]] | None = None
    partition_events: Callable[[Sequence[Event]], list[list[Event]]] | None = None
    read_only: Callable[[I, O], bool] = _not_known_to_be
    reads_narrow: bool = False
    decide: Callable[[Sequence[Operation[I, O]]], Decision | None] | None = None
    describe_operation: Callable[[I, O], str] = _shown
    describe_state: Callable[[S], str] = repr


@dataclass(frozen=True)
class NondeterministicModel(Generic[S, I, O]):
    """A specification that allows several next states; `step` returns them all (none:
    the answer is not possible) and `init` all first ones. States must be hashable.
    """

    init: Callable[[], Iterable[S]]
    step: Callable[[S, I, O], Iterable[S]]
    partition: Callable[[Sequence[Operation[I, O]]], list[list[Operation[I, O]]]] | None = None
    partition_events: Callable[[Sequence[Event]], list[list[Event]]] | None = None
    read_only: Callable[[I, O], bool] = _not_known_to_be
    describe_operation: Callable[[I, O], str] = _shown
    describe_state: Callable[[S], str] = repr

    def to_model(self) -> Model[frozenset[S], I, O]:
        """The same as a deterministic model, whose states are sets of possible states."""

        def step(states: frozenset[S], given: I, output: O) -> tuple[bool, frozenset[S]]:
            reached = frozenset(after for s in states for after in self.step(s, given, output))
            return bool(reached), reached

        def describe_state(states: frozenset[S]) -> str:
            return "{" + " | ".join(sorted(self.describe_state(s) for s in states)) + "}"

        return Model(
            init=lambda: frozenset(self.init()),
            step=step,
            partition=self.partition,
            partition_events=self.partition_events,
            read_only=self.read_only,
            reads_narrow=True,
            describe_operation=self.describe_operation,
            describe_state=describe_state,
        )
