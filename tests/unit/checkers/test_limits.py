"""The checker `limits` judges the space quota, the sizes of requests and automatic compaction."""

from __future__ import annotations

import pytest

from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.limits.checker import check_limits
from splitbrain.checkers.verdict import Verdict
from splitbrain.histories.kv import (
    Compact,
    CompactResult,
    Delete,
    DeleteResult,
    Header,
    Put,
    PutResult,
    Range,
    RangeResult,
    Txn,
    TxnResult,
)
from splitbrain.histories.maintenance import (
    Alarm,
    AlarmDisarm,
    AlarmDisarmResult,
    AlarmList,
    AlarmListResult,
)
from splitbrain.histories.member_state import MemberState
from tests.unit.checkers.service_history import Told, told

SPACE = {"backend_quota_bytes": 128 * 1024}
SIZES = {"request_bytes_max": 2048, "txn_operations_max": 4}
REVISIONS = {"compaction_revisions": 10, "compaction_interval_ms": 1000}
PERIOD = {"compaction_period_ms": 1000}
FULL = "429 etcdserver: mvcc: database space exceeded"
GONE = "400 etcdserver: mvcc: required revision has been compacted"
LISTED = (0.0, 0.5, AlarmList(), AlarmListResult(alarms=(Alarm(7, "NOSPACE"),)))
LISTED_TWO = (
    0.0, 0.5, AlarmList(), AlarmListResult(alarms=(Alarm(7, "NOSPACE"), Alarm(9, "NOSPACE"))),
)
CLEARED_ONE = (1, 1.1, AlarmDisarm(9), AlarmDisarmResult())
LARGE = Put("k", "x" * 50_000)
WIDE = Txn((), tuple(Put(f"k{number}", "v") for number in range(5)))


SMALL = Put("k", "v")


def put_at(second: float, revision: int, put: Put = SMALL) -> Told:
    return (second, second + 0.1, put, PutResult(Header(revision)))


FILLED = tuple(put_at(number / 10, number + 2, LARGE) for number in range(4))

VALID: dict[str, tuple[dict[str, int], tuple[Told, ...]]] = {
    "refused while the alarm is raised": (SPACE, (*FILLED, LISTED, (1, 2, Put("k", "v"), FULL))),
    "a delete while the alarm is raised": (SPACE, (LISTED, (1, 2, Delete("k"), DeleteResult()))),
    "a put after the alarm was cleared": (
        SPACE,
        (LISTED, (1, 2, AlarmDisarm(7), AlarmDisarmResult()), (3, 4, Put("k", "v"), PutResult())),
    ),
    "a put after the alarms of two members were cleared": (
        SPACE,
        (
            LISTED_TWO, (1, 1.1, AlarmDisarm(7), AlarmDisarmResult()),
            (1.2, 1.3, AlarmDisarm(9), AlarmDisarmResult()), (3, 4, Put("k", "v"), PutResult()),
        ),
    ),
    "small requests": (SIZES, (put_at(1, 2), (2, 3, Txn((), WIDE.success[:4]), TxnResult()))),
    "large requests are refused": (
        SIZES,
        (
            put_at(1, 2), (2, 3, LARGE, "400 etcdserver: request is too large"),
            (2, 3, WIDE, "400 etcdserver: too many operations in txn request"),
        ),
    ),
    "an old revision is compacted": (
        REVISIONS, (put_at(1, 30), (2, 3, Range("k", revision=19), GONE)),
    ),
    "a client compacts": (
        REVISIONS,
        (
            put_at(1, 30), (1, 2, Compact(29), CompactResult()),
            (2, 3, Range("k", revision=28), GONE),
        ),
    ),
    "an old period is compacted": (
        PERIOD, (put_at(1, 30), (3, 3.1, Range("k", revision=29), GONE)),
    ),
}  # fmt: skip

INVALID: dict[str, tuple[str, dict[str, int], tuple[Told, ...]]] = {
    "a put despite the alarm": (
        "written despite the alarm", SPACE, (LISTED, (1, 2, Put("k", "v"), PutResult())),
    ),
    "a put although the alarm of one of two members was not cleared": (
        "written despite the alarm", SPACE, (LISTED_TWO, CLEARED_ONE, put_at(2, 2)),
    ),
    "the alarms of two members are cleared at once": (
        "alarm lost", SPACE,
        (LISTED_TWO, CLEARED_ONE, (2, 3, AlarmList(), AlarmListResult()), put_at(-1, 2)),
    ),
    "a nested put despite the alarm": (
        "written despite the alarm", SPACE,
        (LISTED, (1, 2, Txn((), (Txn((), (Put("k", "v"),)),)), TxnResult())),
    ),
    "a delete is refused": (
        "refused without need", SPACE, (put_at(0, 2), LISTED, (1, 2, Delete("k"), FULL)),
    ),
    "an alarm is forgotten": (
        "alarm lost", SPACE, (LISTED, (1, 2, AlarmList(), AlarmListResult()), put_at(-1, 2)),
    ),
    "refused with room": ("refused with room", SPACE, (put_at(0, 2), (1, 2, Put("k"), FULL))),
    "over the quota": ("written over the quota", SPACE, (*FILLED, put_at(9, 9))),
    "too large": ("too large", SIZES, ((1, 2, LARGE, PutResult()),)),
    "refused as too large": (
        "refused as too large", SIZES,
        (put_at(1, 2), (2, 3, Put("k", "v"), "400 etcdserver: request is too large")),
    ),
    "too many operations": ("too many operations", SIZES, ((1, 2, WIDE, TxnResult()),)),
    "refused for its operations": (
        "refused for its operations", SIZES,
        (
            put_at(1, 2),
            (2, 3, Txn((), WIDE.success[:4]), "400 etcdserver: too many operations in txn request"),
        ),
    ),
    "one revision too many is compacted": (
        "compacted too far", REVISIONS, (put_at(1, 30), (2, 3, Range("k", revision=20), GONE)),
    ),
    "one revision too many is compacted while an outcome is unknown": (
        "compacted too far", REVISIONS,
        (
            (0, 9, Put("k", "v"), None), put_at(1, 30), (2, 3, Range("k", revision=20), GONE),
            (4, 5, Range("k"), RangeResult(Header(30))),
        ),
    ),
    "a period too short is kept": (
        "compacted too far", PERIOD,
        (put_at(1, 30), put_at(2.9, 31), (3, 3.1, Range("k", revision=30), GONE)),
    ),
    "nothing is compacted": (
        "not compacted", REVISIONS,
        (put_at(1, 30), (20, 21, Range("k", revision=9), RangeResult(Header(30)))),
    ),
}  # fmt: skip


def judged(
    settings: dict[str, int], operations: tuple[Told, ...], members: tuple[MemberState, ...] = ()
) -> Verdict:
    return check_limits(Evidence(told(*operations), settings=settings, members=members))


@pytest.mark.parametrize("name", VALID)
def test_a_correct_history_is_valid(name: str) -> None:
    verdict = judged(*VALID[name])
    assert verdict.valid is True, verdict.anomalies


@pytest.mark.parametrize("name", INVALID)
def test_a_wrong_answer_is_reported(name: str) -> None:
    kind, settings, operations = INVALID[name]
    verdict = judged(settings, operations)
    assert {one.kind for one in verdict.anomalies} == {kind}


LAST = (put_at(1, 30), (12, 13, Range("k"), RangeResult(Header(30))))


@pytest.mark.parametrize(
    ("compacted", "operations", "kind"),
    [
        (20, LAST, None),
        (19, LAST, "not compacted"),
        (-1, LAST, "not compacted"),
        (21, LAST, "compacted too far"),
        (21, (*LAST, (2, 3, Compact(21), CompactResult())), None),
        (-1, LAST[:1], None),  # automatic compaction was not due
    ],
)
def test_the_last_revision_to_which_members_are_compacted_is_judged(
    compacted: int, operations: tuple[Told, ...], kind: str | None
) -> None:
    members = (MemberState("n1", revision=30, compact_revision=compacted),)
    found = {one.kind for one in judged(REVISIONS, operations, members).anomalies}
    assert found == ({kind} if kind else set())


def test_without_limits_the_checker_does_not_apply() -> None:
    assert not judged({}, (put_at(1, 2),)).applies
