"""Every planted bug has a list of the rare conditions that its code depends on."""

from __future__ import annotations

import pytest

from splitbrain.harness.mutants.catalogue import names_in_simulation, room_of
from splitbrain.harness.seeds.near_conditions import GROUPS, near_conditions, near_lines
from splitbrain.harness.simulation.coverage import CONDITIONS

NEAR = near_conditions("vote_not_persisted")


@pytest.mark.parametrize("name", names_in_simulation())
def test_every_planted_bug_has_conditions_near_it(name: str) -> None:
    near = near_conditions(name)
    assert room_of(name) in GROUPS
    assert 3 <= len(near) < len(CONDITIONS)
    assert set(near) <= set(CONDITIONS)


def test_reached_conditions_come_first_and_the_others_are_listed_as_never_reached() -> None:
    lines = list(near_lines("vote_not_persisted", {NEAR[1]: 1_200}))
    first, second, *others = lines
    assert first.startswith("conditions near vote_not_persisted that the runs reached: 1 of ")
    assert second == f"      1,200  {NEAR[1]}"
    assert others
    assert all(line.startswith("      never  ") for line in others)
