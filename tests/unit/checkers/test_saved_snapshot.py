"""The rules of the checker `snapshot`, each broken once and kept once."""

from __future__ import annotations

import asyncio
import hashlib

import msgspec
import pytest

from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.mvcc.saved_snapshot import check_snapshots
from splitbrain.checkers.verdict import Verdict
from splitbrain.harness.clients.json_messages import SnapshotAnswer
from splitbrain.harness.clients.snapshot_content import BBOLT_MAGIC, snapshot_result
from splitbrain.histories.kv import Header, KeyValue, Put, PutResult
from splitbrain.histories.maintenance import Snapshot, SnapshotResult
from splitbrain.histories.member_state import Change, MemberState
from splitbrain.node.mvcc.store import Store
from splitbrain.node.storage.backup_file import blocks, encode_backup
from splitbrain.node.storage.memory_backend import MemoryBackend
from tests.unit.checkers.service_history import Told, told

LOG = MemberState("n1", revision=4, first_revision=2, changes=(
    Change(2, "put", "a", "1", 2, 1), Change(3, "put", "b", "2", 3, 1), Change(4, "delete", "a"),
))
A, B = KeyValue("a", "1", 2, 2, 1), KeyValue("b", "2", 3, 3, 1)
WHOLE = SnapshotResult(blocks=((512, 88), (88, 0), (32, 0)), revision=3, kvs=(A, B))


def judge(result: SnapshotResult, *before: Told, members: tuple[MemberState, ...] = (LOG,)) -> (
    Verdict
):
    history = told(*before, (1, 2, Snapshot(), result))
    return check_snapshots(Evidence(history, members))


def changed(**fields: object) -> SnapshotResult:
    return msgspec.structs.replace(WHOLE, **fields)


@pytest.mark.parametrize(("kinds", "result"), [
    ([], WHOLE),
    ([], changed(revision=4, kvs=(B,))),
    ([], changed(revision=2, kvs=(A,))),
    ([], changed(kvs=(A, B, KeyValue("before the log", "", 1, 1, 1)))),
    ([], SnapshotResult(blocks=WHOLE.blocks)),
    (["wrong size"], changed(blocks=((512, 120), (88, 32), (32, 0)))),
    (["wrong size"], changed(blocks=((512, 88), (32, 0)))),
    (["wrong hash"], changed(hash_matches=False)),
    (["unreadable"], changed(revision=0, kvs=(), unread="incomplete")),
    (["wrong content"], changed(kvs=(B,))),
    (["wrong content"], changed(revision=4)),
    (["wrong content"], changed(kvs=(A, KeyValue("b", "1", 3, 3, 1)))),
    (["wrong content"], changed(kvs=(A, B, KeyValue("c", "1", 3, 3, 1)))),
])
def test_a_snapshot_is_whole_and_of_one_revision(
    kinds: list[str], result: SnapshotResult
) -> None:
    assert [one.kind for one in judge(result).anomalies] == kinds


def test_a_snapshot_contains_what_its_member_has_answered() -> None:
    before: Told = (0, 0.5, Put("a", "1"), PutResult(Header(3)))
    assert judge(WHOLE, before).valid is True
    old = judge(changed(revision=2, kvs=(A,)), before)
    assert [one.kind for one in old.anomalies] == ["old snapshot"]


def test_without_a_change_log_the_content_is_not_judged() -> None:
    assert judge(WHOLE, members=()).valid is None


def test_the_content_of_a_members_snapshot_is_read() -> None:
    backend = MemoryBackend()
    store = Store(backend)
    for key in (b"a", b"b"):
        write = store.write()
        write.put(key, b"1")
        write.end()
    write = store.write()
    write.delete_range(b"a")
    write.end()
    copied = asyncio.run(backend.snapshot())
    messages = [SnapshotAnswer(left, blob) for blob, left in blocks(encode_backup(copied), 100)]
    found = snapshot_result(messages)
    assert (found.revision, found.hash_matches, found.unread) == (4, True, "")
    assert found.kvs == (KeyValue("b", "1", 3, 3, 1),)
    assert not snapshot_result(messages[:-1]).hash_matches


def test_a_bbolt_file_is_not_read() -> None:
    content = bytes(16) + BBOLT_MAGIC + bytes(492)
    answers = [SnapshotAnswer(0, content), SnapshotAnswer(0, hashlib.sha256(content).digest())]
    assert snapshot_result(answers) == SnapshotResult(blocks=((512, 0), (32, 0)))
