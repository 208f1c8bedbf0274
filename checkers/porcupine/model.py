"""Defines the input of the checker: a sequential model, and the observed operations."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, Literal, TypeVar

from splitbrain.checkers.porcupine.blocks import Decision

S = TypeVar("S")
I = TypeVar("I")  # noqa: E741 - the input of an operation, as in the literature
O = TypeVar("O")  # noqa: E741 - its output


class CheckResult(Enum):
    """The result of a check. UNKNOWN means that a limit of time or memory was reached first."""

    OK = "ok"
    ILLEGAL = "illegal"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Operation(Generic[I, O]):
    """A call and its return. Times may have any unit, and may be positions in a log.

    An operation with an infinite `ret` never returned. It may take effect at any time from `call`
    on, or never. Its `output` is unknown and by convention None. `Model.step` must accept this
    output in each state in which the object could have given some answer.

    At equal times calls come before returns. If one operation is called at the time at which
    another returns, the two are therefore concurrent.
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
    """The call of an operation with its input, or the return of an operation with its output.

    The call and the return of one operation have the same `id`. The order of a list of events is
    their order in time.
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

    `init()` returns the initial state. `step(state, input, output)` returns whether an object in
    `state` can answer `input` with `output`, and its next state. `step` must not change the state
    that it gets. States should be hashable and equal by value, so that each transition is computed
    only once. States that are not hashable are compared with `equal` one by one, which is slow.

    `partition` splits operations into independent groups, usually by key. The history is
    linearizable if and only if each group is linearizable (P-compositionality, Horn and Kroening).
    `partition_events` does the same for events.

    `read_only(input, output)` returns True if the operation leaves every state unchanged. As soon
    as the output of such an operation fits, the search linearizes it, and tries no other order. The
    search raises ValueError if `step` returns another state for such an operation.

    `reads_narrow` is True if each state is a set of possible states. A read-only operation may then
    remove some of the possible states. If it removes no state, the search linearizes it at once.

    `touches(input)` returns the parts of the state that an operation reads or changes. It returns
    None if the operation may touch all parts. Operations that touch different parts must commute:
    in both orders, the same outputs are possible, and the state after both is the same. The search
    then tries one order.

    `decide(operations)` is a faster algorithm for some histories of one partition (see
    `splitbrain.checkers.porcupine.blocks`). If it returns None, the partition is searched.
    Otherwise its result must equal that of a search with `step`.
    """

    init: Callable[[], S]
    step: Callable[[S, I, O], tuple[bool, S]]
    equal: Callable[[S, S], bool] = operator.eq
    partition: Callable[[Sequence[Operation[I, O]]], list[list[Operation[I, O]]]] | None = None
    partition_events: Callable[[Sequence[Event]], list[list[Event]]] | None = None
    read_only: Callable[[I, O], bool] = _not_known_to_be
    reads_narrow: bool = False
    touches: Callable[[I], Collection[Hashable] | None] | None = None
    decide: Callable[[Sequence[Operation[I, O]]], Decision | None] | None = None
    describe_operation: Callable[[I, O], str] = _shown
    describe_state: Callable[[S], str] = repr


@dataclass(frozen=True)
class NondeterministicModel(Generic[S, I, O]):
    """A sequential specification in which an answer may allow several next states.

    `init` returns all initial states. `step` returns all next states, or no state if the answer is
    impossible. States must be hashable.
    """

    init: Callable[[], Iterable[S]]
    step: Callable[[S, I, O], Iterable[S]]
    partition: Callable[[Sequence[Operation[I, O]]], list[list[Operation[I, O]]]] | None = None
    partition_events: Callable[[Sequence[Event]], list[list[Event]]] | None = None
    read_only: Callable[[I, O], bool] = _not_known_to_be
    describe_operation: Callable[[I, O], str] = _shown
    describe_state: Callable[[S], str] = repr

    def to_model(self) -> Model[frozenset[S], I, O]:
        """Return a deterministic model whose states are the sets of possible states."""

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
