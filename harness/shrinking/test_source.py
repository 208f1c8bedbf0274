"""Writes a failing schedule as the source of a pytest test."""

from __future__ import annotations

from collections.abc import Iterator

from splitbrain.harness.schedule.schedule import Schedule, describe
from splitbrain.harness.schedule.text import as_text


def as_test(schedule: Schedule) -> str:
    """Return the source of a pytest test that runs the schedule and fails if the run is not valid.

    The test needs only the fixture `splitbrain_schedule` of the pytest plugin.
    """
    return "\n".join(_lines(schedule)) + "\n"


def _lines(schedule: Schedule) -> Iterator[str]:
    yield f"def test_{_name(schedule)}(splitbrain_schedule):"
    yield f"    # {describe(schedule)}"
    yield '    splitbrain_schedule(r"""'
    for line in as_text(schedule).splitlines():
        yield f"        {line}"
    yield '    """)'


def _name(schedule: Schedule) -> str:
    subject = schedule.options.mutant or schedule.options.workload
    word = "".join(c if c.isalnum() else "_" for c in subject).strip("_").lower()
    return f"shrunk_{word}_{schedule.fails_by or 'run'}_is_valid"
