"""A linearizability checker for any sequential model; a library of its own.

A history is linearizable if each operation can be given one instant between its call
and its return at which it takes effect, so that the answers are those of a sequential
object. The object is a `Model`; what was seen are `Operation`s (or `Event`s):

    from splitbrain.checkers.porcupine import CheckResult, Model, Operation, check_operations

    counter = Model(
        init=lambda: 0,
        step=lambda n, given, answered: (
            (True, n + 1) if given == "add" else (answered == n, n)
        ),
        read_only=lambda given, answered: given == "read",
    )
    check_operations(counter, [
        Operation(client=0, input="add", call=0, output=None, ret=10),
        Operation(client=1, input="read", call=5, output=1, ret=6),
    ])  # CheckResult.OK

How to write a model: make the state a value that can be hashed (a tuple, a frozenset, a
text), never change it in `step`, answer (False, state) where the output is not what the
object would have said. Give `partition` where parts of the object are independent; it
is worth more than anything else. Say which operations are `read_only`. An operation
that never returned has an infinite `ret`: it may have happened or not, and `step` must
accept its unknown output (None). `NondeterministicModel` is for objects of which one
answer leaves several states possible; `.to_model()` makes a `Model` of it.

Answers are OK, ILLEGAL, or UNKNOWN once a limit of time or memory is reached.
`check_operations_verbose` also returns the longest partial linearizations of each
partition. The method is in `splitbrain.checkers.porcupine.search`; ready-made models are in
`splitbrain.checkers.porcupine.models`. The shape of the library follows the Go library of the
same name by Anish Athalye.
"""

from splitbrain.checkers.porcupine.check import (
    CheckInfo,
    PartitionInfo,
    check_events,
    check_events_verbose,
    check_operations,
    check_operations_verbose,
    operations_of,
)
from splitbrain.checkers.porcupine.model import (
    CheckResult,
    Event,
    Model,
    NondeterministicModel,
    Operation,
)

__all__ = [
    "CheckInfo",
    "CheckResult",
    "Event",
    "Model",
    "NondeterministicModel",
    "Operation",
    "PartitionInfo",
    "check_events",
    "check_events_verbose",
    "check_operations",
    "check_operations_verbose",
    "operations_of",
]
