"""The scenarios of the space quota and of compaction find planted bugs.

Each bug replaces a part of the member. The scenario that the correct member passes must then fail.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from splitbrain.harness.simulation.simulated_backend import SimulatedBackend
from splitbrain.node.alarms import Alarms
from splitbrain.node.maintenance.auto_compaction import ByAge, ByRevision
from splitbrain.node.maintenance.space_quota import SpaceQuota
from splitbrain.node.messages import space_cost
from splitbrain.node.messages.errors import RpcError
from splitbrain.node.messages.rpc import DeleteRangeRequest, PutRequest
from tests.simulation import test_limits

Plant = Callable[[pytest.MonkeyPatch], None]
Scenario = Callable[[Path], None]


def nothing(*_: object, **__: object) -> None:
    """Replaces a function that must have an effect."""


def replaced(owner: Any, name: str, by: Any) -> Plant:
    return lambda patch: patch.setattr(owner, name, by)


def nested_puts_are_free(patch: pytest.MonkeyPatch) -> None:
    def cost(operations: tuple[object, ...]) -> int:
        return sum(space_cost.space_cost(one) for one in operations if isinstance(one, PutRequest))

    patch.setattr(space_cost, "_branch_cost", cost)


def deletions_need_space(patch: pytest.MonkeyPatch) -> None:
    from splitbrain.node.apply import alarm_refusal

    def cost(request: object) -> int:
        return 1 if isinstance(request, DeleteRangeRequest) else space_cost.space_cost(request)

    patch.setattr(alarm_refusal, "space_cost", cost)


FULL = test_limits.test_a_full_member_raises_an_alarm_that_stops_writes_at_every_member
KEPT = test_limits.test_alarms_survive_restarts_and_end_when_they_are_cleared
ROOM = test_limits.test_a_defragmented_cluster_has_room_again
REVISIONS = test_limits.test_the_leader_keeps_the_given_number_of_revisions
PERIOD = test_limits.test_the_leader_keeps_the_revisions_of_the_given_period
BUGS: dict[str, tuple[Scenario, Plant]] = {
    "the quota raises no alarm": (FULL, replaced(SpaceQuota, "_has_room", lambda *_: True)),
    "puts of nested transactions need no space": (FULL, nested_puts_are_free),
    "deletions are refused without space": (FULL, deletions_need_space),
    "alarms are forgotten at a restart": (KEPT, replaced(Alarms, "restore", nothing)),
    "defragmentation frees nothing": (ROOM, replaced(SimulatedBackend, "_defragment", nothing)),
    "one revision too many is compacted": (
        REVISIONS, replaced(ByRevision, "target", lambda self, now: now - self._retention + 1),
    ),
    "the newest revision is compacted": (
        PERIOD, replaced(ByAge, "target", lambda _self, now: now),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_fails_its_scenario(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario, plant = BUGS[name]
    plant(monkeypatch)
    with pytest.raises((AssertionError, RpcError)):
        scenario(tmp_path)
