"""A run and its repetition leave nothing behind in the calling process."""

from __future__ import annotations

from pathlib import Path

import pytest

from splitbrain.harness.drawing.schedule_drawing import draw_schedule
from splitbrain.harness.runs.execute_twice import execute_twice
from splitbrain.harness.schedule.options import read_options
from splitbrain.harness.schedule.schedule import Schedule


def drawn(folder: Path, mutant: str) -> Schedule:
    return draw_schedule(read_options({
        "system": "simulated", "seed": 4, "nodes": (1,), "workload": "kv", "nemesis": (),
        "time_limit_s": 2.0, "clients": 4, "rate": 100.0, "store": str(folder), "mutant": mutant,
    }))


@pytest.mark.parametrize("mutant", ["version_kept_over_delete", "one_sub_revision_for_all"])
def test_a_planted_bug_is_found_and_the_correct_member_runs_after_it(
    mutant: str, tmp_path: Path
) -> None:
    faulty, difference = execute_twice(drawn(tmp_path, mutant))
    assert faulty.valid is False
    assert difference is None
    correct, difference = execute_twice(drawn(tmp_path, ""))
    assert correct.valid is True
    assert difference is None
