"""A failing schedule as a test that one can paste."""

from __future__ import annotations

from collections.abc import Iterator

from splitbrain.harness.schedule.schedule import Schedule, describe
from splitbrain.harness.schedule.text import as_text


def as_test(schedule: Schedule) -> str:
    """Source of a pytest test that fails for as long as the schedule does.

    It needs the fixture `splitbrain_schedule` of the plugin, and nothing else.
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
    whose = schedule.options.mutant or schedule.options.workload
    plain = "".join(c if c.isalnum() else "_" for c in whose).strip("_").lower()
    return f"shrunk_{plain}_{schedule.fails_by or 'run'}_is_valid"
