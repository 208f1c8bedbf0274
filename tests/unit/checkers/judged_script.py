"""Judges scripted histories with `mvcc`, and contains the values of two writes of one key."""

from __future__ import annotations

from typing import Any

from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.mvcc.checker import check_mvcc
from splitbrain.checkers.verdict import Verdict
from splitbrain.histories.kv import (
    KeyValue,
    RangeResult,
)
from splitbrain.histories.member_state import Change
from tests.unit.checkers.scripted_history import ScriptedHistory, members

A1 = Change(2, "put", "a", "1", 2, 1)
A2 = Change(3, "put", "a", "2", 2, 2)
KV1 = KeyValue("a", "1", 2, 2, 1)
KV2 = KeyValue("a", "2", 2, 3, 2)


def read(*kvs: KeyValue) -> RangeResult:
    return RangeResult(kvs=kvs, count=len(kvs))


def judge(script: ScriptedHistory, changes: list[Change], **fields: Any) -> Verdict:
    return check_mvcc(Evidence(script.history(), members(changes, **fields)))


def kinds(verdict: Verdict) -> set[str]:
    assert (verdict.valid is False) == bool(verdict.anomalies)
    return {anomaly.kind for anomaly in verdict.anomalies}
