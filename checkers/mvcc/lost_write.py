"""Decides whether an acknowledged write was lost, from its revision and the change log.

A write that was acknowledged at revision R is lost in two cases: the last revision of the members
is below R, or the change log contains changes of another operation at R. If the change log contains
changes of the write itself at R, but not the expected ones, the write is not lost, but has a wrong
effect.
"""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.checkers import wording
from splitbrain.checkers.model.sequential_store import Made, changes_of
from splitbrain.checkers.mvcc.change_match import is_part, named_by, same_keys_and_values
from splitbrain.histories.history import Operation
from splitbrain.histories.member_state import Change

LOST_WRITE = "lost write"
WRONG_EFFECT = "wrong effect"


def lost_at_the_end(write: Operation, revision: int, last: int) -> str:
    """Explain that `write` was lost, because the members end at a lower revision.

    `write` was acknowledged at `revision`. `last` is the highest revision of the members at the end
    of the run.
    """
    return (
        f"{wording.operation(write)} was acknowledged at revision {revision} at "
        f"{wording.seconds(write.ret or 0)}; the members are at revision {last} at the end"
    )


def lost_or_wrong(
    write: Operation, revision: int, expected: Made, logged: Sequence[Change]
) -> tuple[str, str]:
    """Return the kind of the anomaly and its explanation, if `logged` differs from `expected`.

    `expected` are the changes that `write` should have made at `revision`, where it was
    acknowledged. `logged` are the changes that the change log contains at this revision.
    """
    own = same_keys_and_values(expected, logged) or is_part(expected, logged)
    if own or named_by(write, logged):
        kind, but = WRONG_EFFECT, "the change log contains"
    else:
        kind, but = LOST_WRITE, "at that revision the change log contains"
    should = changes_of(revision, expected)
    because = (
        f"{wording.operation(write)} was acknowledged at revision {revision} and should have "
        f"made {wording.changes(should)}; {but} {wording.changes(logged)}"
        f"{wording.hidden_difference(logged, should)}"
    )
    return kind, because
