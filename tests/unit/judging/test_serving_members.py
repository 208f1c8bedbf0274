"""The members that must serve at the end of a run are derived from its schedule and events."""

from __future__ import annotations

import msgspec
import pytest

from splitbrain.harness.judging.serving_members import excused_members, serving_members
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.store.records import MemberRecord, RunRecord
from splitbrain.histories.history import FaultWindow
from splitbrain.nemesis.disk_fault import BitRot, DiskFault, LostSectors
from splitbrain.nemesis.fault import Fault, Kill
from splitbrain.nemesis.fault_events import name_of

NAMES = ("n1", "n2", "n3")
RECORD = RunRecord(
    "t", 1, Options(), "", serving=NAMES,
    members=tuple(MemberRecord(name, "", "", "") for name in NAMES),
)


def window(fault: Fault, *members: str) -> FaultWindow:
    detail = msgspec.Raw(msgspec.json.encode(fault))
    return FaultWindow(0, name_of(fault), members, 1, 2, detail)


@pytest.mark.parametrize(("faults", "serving"), [
    ((), NAMES),
    ((window(Kill(), *NAMES), window(DiskFault(full=True), *NAMES)), NAMES),
    ((window(BitRot(), "n2"),), ("n1", "n3")),
    ((window(DiskFault(lying=True), "n2"),), ("n1", "n3")),
    ((window(DiskFault(misdirect_percent=1.0), "n1"), window(BitRot(), "n1")), ("n2", "n3")),
    ((window(BitRot(), "n1", "n2"),), ()),
    ((FaultWindow(0, "mine", ("n2",), 1, 2, msgspec.Raw(b'{"fault":"mine"}')),), NAMES),
])
def test_damage_to_a_disk_excuses_its_member_and_on_a_majority_all_members(
    faults: tuple[FaultWindow, ...], serving: tuple[str, ...]
) -> None:
    assert serving_members(RECORD, faults) == serving


def test_only_declared_members_that_ran_at_the_end_must_serve() -> None:
    record = msgspec.structs.replace(RECORD, serving=("n1", "n2"), ended_members=("n2",))
    assert serving_members(record, ()) == ("n1",)


def test_members_with_a_damaged_disk_may_be_silent_and_if_they_are_no_minority_all_may() -> None:
    assert excused_members(RECORD, ()) == ()
    assert excused_members(RECORD, (window(LostSectors(), "n2"),)) == ("n2",)
    assert excused_members(RECORD, (window(LostSectors(), "n2", "n3"),)) == NAMES
