"""Proposes schedules in which long values are replaced by short ones in all operations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec.structs import replace

from splitbrain.harness.schedule.operation import ScheduledOperation
from splitbrain.harness.schedule.schedule import Schedule, with_operations

SHORT_CHARACTERS = 12
"""Values up to this length, in characters, are not shortened."""
VALUE_FIELDS = frozenset(("value", "operand"))
"""The fields of requests that contain values: `value` of a put, and `operand` of a comparison."""


def shorter_values(schedule: Schedule) -> Iterator[Schedule]:
    """Yield copies of `schedule` with shorter values: first all values shortened, then only one.

    A value is shortened in all operations at once. Equal values stay equal, and different values
    stay different, so that comparisons in transactions have the same results.
    """
    plain = [msgspec.to_builtins(one.operation) for one in schedule.operations]
    shorter = _shortened(sorted(set(_values(plain))))
    if not shorter:
        return
    yield _renamed(schedule, shorter)
    if len(shorter) > 1:
        for value, short in shorter.items():
            yield _renamed(schedule, {value: short})


def _shortened(values: list[str]) -> dict[str, str]:
    """Return a shorter value for each long one of `values`.

    It is the shortest prefix that differs from all other values and has at least `SHORT_CHARACTERS`
    characters.
    """
    taken = {one for one in values if len(one) <= SHORT_CHARACTERS}
    shorter = {}
    for value in values:
        for length in range(SHORT_CHARACTERS, len(value)):
            if value[:length] not in taken:
                taken.add(value[:length])
                shorter[value] = value[:length]
                break
    return shorter


def _renamed(schedule: Schedule, names: dict[str, str]) -> Schedule:
    """Return a copy of `schedule` in which each value that is a key of `names` is replaced."""
    changed = {}
    for number, one in enumerate(schedule.operations, start=1):
        plain = _replaced(msgspec.to_builtins(one.operation), names)
        changed[number] = replace(one, operation=msgspec.convert(plain, ScheduledOperation))
    return with_operations(schedule, changed)


def _values(plain: Any) -> Iterator[str]:
    """Yield the values that requests write or compare. `plain` contains the requests as JSON."""
    match plain:
        case dict():
            for name, one in plain.items():
                if name in VALUE_FIELDS and isinstance(one, str):
                    yield one
                else:
                    yield from _values(one)
        case list() | tuple():
            for one in plain:
                yield from _values(one)


def _replaced(plain: Any, names: dict[str, str]) -> Any:
    match plain:
        case dict():
            return {
                name: names.get(one, one) if name in VALUE_FIELDS and isinstance(one, str)
                else _replaced(one, names)
                for name, one in plain.items()
            }
        case list() | tuple():
            return [_replaced(one, names) for one in plain]
        case _:
            return plain
