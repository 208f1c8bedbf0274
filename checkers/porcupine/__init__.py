"""Checks linearizability for any sequential model; imports nothing else of the project.

A history is linearizable if each operation can take effect at one instant between its call and its
return, and the answers are then those of a sequential object. A `Model` describes the object. The
history is a list of `Operation`s (or `Event`s):

    from splitbrain.checkers.porcupine import CheckResult, Model, Operation, check_operations

    def step(count, given, answered):
        if given == "add":
            return True, count + 1
        return answered == count, count

    counter = Model(init=lambda: 0, step=step)
    check_operations(counter, [
        Operation(client=0, input="add", call=0, output=None, ret=10),
        Operation(client=1, input="read", call=5, output=1, ret=6),
    ])  # CheckResult.OK

How to write a model:

- The state is a hashable value (a tuple, a frozenset, a string). `step` never changes it.
- `step` returns (False, state) if the object cannot give this output in this state.
- `partition` splits the history if parts of the object are independent. This reduces the cost more
  than anything else.
- `read_only` returns whether an operation changes no state. The search is then faster.
- An operation that never returned has an infinite `ret`. It may or may not have happened. `step`
  must accept its unknown output (None).
- If one answer allows several next states, use a `NondeterministicModel`. Its method `to_model`
  converts it to a `Model`.

The result is OK, ILLEGAL, or UNKNOWN if a limit of time or memory was reached.
`check_operations_verbose` also returns the longest partial linearizations of each partition. The
module `search` describes the method, and `models` contains ready-made models. The functions and
types follow those of the Go library of the same name by Anish Athalye.
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
