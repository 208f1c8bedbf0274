"""Compares the changes that a request makes with the entries of a change log."""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.checkers.model.request_parts import parts
from splitbrain.checkers.model.sequential_store import Made
from splitbrain.histories.history import Operation
from splitbrain.histories.kv import Put
from splitbrain.histories.member_state import Change


def makes(made: Made, logged: Sequence[Change]) -> bool:
    """Return whether the changes `made` of a request equal the change log entries `logged`.

    A delete is compared by its key only.
    """
    if len(made) != len(logged):
        return False
    for one, entry in zip(made, logged, strict=True):
        if isinstance(one, str):
            if entry.kind != "delete" or entry.key != one:
                return False
        elif (
            entry.kind != "put"
            or one.key != entry.key
            or one.value != entry.value
            or one.version != entry.version
            or one.create_revision != entry.create_revision
            or one.lease != entry.lease
        ):
            return False
    return True


def same_changes(expected: Sequence[Change], logged: Sequence[Change]) -> bool:
    """Return whether two lists of change log entries are equal.

    A delete is compared by its key only.
    """
    return len(expected) == len(logged) and all(
        one.kind == other.kind
        and one.key == other.key
        and (
            one.kind == "delete"
            or (
                one.value == other.value
                and one.version == other.version
                and one.create_revision == other.create_revision
                and one.lease == other.lease
            )
        )
        for one, other in zip(expected, logged, strict=True)
    )


def same_keys_and_values(made: Made, logged: Sequence[Change]) -> bool:
    """Return whether `made` and `logged` put and delete the same keys with the same values.

    Versions, create revisions and leases may differ.
    """
    return _of_made(made) == _of_logged(logged)


def is_part(made: Made, logged: Sequence[Change]) -> bool:
    """Return whether the change log contains a non-empty part of the changes that a request makes.

    `made` are the changes of the request, and `logged` those in the log. Only keys and values are
    compared.
    """
    return bool(logged) and set(_of_logged(logged)).issubset(_of_made(made))


def _of_made(made: Made) -> list[tuple[str, str, str]]:
    return [("delete", m, "") if isinstance(m, str) else ("put", m.key, m.value) for m in made]


def _of_logged(logged: Sequence[Change]) -> list[tuple[str, str, str]]:
    return [(c.kind, c.key, c.value if c.kind == "put" else "") for c in logged]


def named_by(op: Operation, logged: Sequence[Change]) -> bool:
    """Return whether `logged` contains a put, and `op` contains all puts in `logged`.

    The puts of `op` may be in either branch of a transaction.
    """
    puts = [part for part in parts(op.request) if isinstance(part, Put)]
    written = {(part.key, part.value) for part in puts if not part.ignore_value}
    kept = {part.key for part in puts if part.ignore_value}
    made = [(change.key, change.value) for change in logged if change.kind == "put"]
    return bool(made) and all(one in written or one[0] in kept for one in made)
