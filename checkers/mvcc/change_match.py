"""Whether what a step makes is what a change log holds."""

from __future__ import annotations

from collections.abc import Sequence

from splitbrain.checkers.model.requests import parts
from splitbrain.checkers.model.sequential_store import Made
from splitbrain.histories.history import Operation
from splitbrain.histories.kv import Put
from splitbrain.histories.member_state import Change


def makes(made: Made, logged: Sequence[Change]) -> bool:
    """Equal in all that a watch tells: of a deleted key only that it was deleted."""
    if len(made) != len(logged):
        return False
    for one, held in zip(made, logged, strict=True):
        if isinstance(one, str):
            if held.kind != "delete" or held.key != one:
                return False
        elif (
            held.kind != "put"
            or one.key != held.key
            or one.value != held.value
            or one.version != held.version
            or one.create_revision != held.create_revision
            or one.lease != held.lease
        ):
            return False
    return True


def same_changes(expected: Sequence[Change], logged: Sequence[Change]) -> bool:
    """The same of two change logs."""
    return len(expected) == len(logged) and all(
        wanted.kind == held.kind
        and wanted.key == held.key
        and (
            wanted.kind == "delete"
            or (
                wanted.value == held.value
                and wanted.version == held.version
                and wanted.create_revision == held.create_revision
                and wanted.lease == held.lease
            )
        )
        for wanted, held in zip(expected, logged, strict=True)
    )


def same_keys_and_values(made: Made, logged: Sequence[Change]) -> bool:
    """Equal but for versions, creations and leases."""
    return _of_made(made) == _of_logged(logged)


def is_part(made: Made, logged: Sequence[Change]) -> bool:
    """Whether `logged` is some of what was made, and nothing else."""
    return bool(logged) and set(_of_logged(logged)).issubset(_of_made(made))


def _of_made(made: Made) -> list[tuple[str, str, str]]:
    return [("delete", m, "") if isinstance(m, str) else ("put", m.key, m.value) for m in made]


def _of_logged(logged: Sequence[Change]) -> list[tuple[str, str, str]]:
    return [(c.kind, c.key, c.value if c.kind == "put" else "") for c in logged]


def named_by(op: Operation, logged: Sequence[Change]) -> bool:
    """Whether `op` names all puts of `logged`, in whichever branch: then they are its own."""
    puts = {(part.key, part.value) for part in parts(op.request) if isinstance(part, Put)}
    made = [(change.key, change.value) for change in logged if change.kind == "put"]
    return bool(made) and all(one in puts for one in made)
