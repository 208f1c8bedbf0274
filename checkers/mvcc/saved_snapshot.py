"""`snapshot`: a snapshot that a client downloads is whole, and shows the store at one revision.

    whole      Each message contains the number of bytes that remain. This number is the total size
               of the messages after it, without the SHA-256 at the end. The SHA-256 is that of all
               bytes before it. The content is a complete backup.
    content    The keys of the snapshot, with all their fields, are those of the members' change
               log at the revision of the snapshot. Only changes that the log contains are judged.
    recent     The revision is not lower than that of any answer of the same member that was
               received before the request was sent. A fault meanwhile is an excuse.

The content is judged only for this project's own member. The snapshot of etcd is a bbolt file,
which the harness does not read.

Cost: linear in the sizes of the log and of the snapshots. Source: etcd's Maintenance service
(server/etcdserver/api/v3rpc/maintenance.go).
"""

from __future__ import annotations

from collections.abc import Iterator

from splitbrain.checkers import wording
from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.findings import Findings
from splitbrain.checkers.model.answer_facts import revision_of
from splitbrain.checkers.reference_member import reference
from splitbrain.checkers.verdict import Verdict, not_applicable
from splitbrain.histories.fault_window import disturbed
from splitbrain.histories.history import History
from splitbrain.histories.kv import KeyValue
from splitbrain.histories.maintenance import HASH_BYTES, Snapshot, SnapshotResult
from splitbrain.histories.member_state import Change, MemberState
from splitbrain.histories.service_operation import ServiceOperation

NAME = "snapshot"


def check_snapshots(evidence: Evidence) -> Verdict:
    """Each downloaded snapshot is whole, recent, and contains the keys at its revision.

    The checker applies only to histories that contain such a download. The verdict is unknown if
    the content of a snapshot was read, but no member's change log is known.
    """
    history = evidence.history
    asked = [op for op in history.services if isinstance(op.request, Snapshot)]
    if not any(isinstance(op.result, SnapshotResult) for op in asked):
        return not_applicable(NAME, "no snapshot was downloaded")
    known, found, judged = reference(evidence.members), Findings(), 0
    for op in asked:
        if not isinstance(op.result, SnapshotResult):
            continue
        _check_whole(op, op.result, found)
        if op.result.unread and op.result.hash_matches:
            found.add("unreadable", f"{_of(op)}, is not complete: {op.result.unread}", op)
        if not op.result.revision:
            continue
        judged += 1
        _check_recent(op, op.result, history, found)
        if known is not None:
            _check_content(op, op.result, known, found)
    if judged and known is None:
        found.unknown.append("no member's change log is known")
    counts = {"downloaded": len(asked), "content judged": judged, "anomalies": found.count}
    return Verdict(
        checker=NAME, valid=found.valid, anomalies=tuple(found.anomalies), counts=counts,
        why="; ".join(found.unknown), kinds=found.by_kind,
    )


def _of(op: ServiceOperation) -> str:
    return f"the snapshot of {op.node} for process {op.process}, at {wording.seconds(op.ret or 0)}"


def _check_whole(op: ServiceOperation, result: SnapshotResult, found: Findings) -> None:
    left = sum(size for size, _ in result.blocks) - HASH_BYTES
    for number, (size, remaining) in enumerate(result.blocks, start=1):
        left = max(0, left - size)
        if remaining != left:
            found.add(
                "wrong size",
                f"{_of(op)}: message {number} of {len(result.blocks)} contains {size} bytes and "
                f"says that {remaining} remain; {left} followed, without the SHA-256", op,
            )
            return
    if not result.hash_matches:
        found.add(
            "wrong hash",
            f"{_of(op)}: its last {HASH_BYTES} bytes are not the SHA-256 of the bytes before them",
            op,
        )


def _check_recent(
    op: ServiceOperation, result: SnapshotResult, history: History, found: Findings
) -> None:
    for earlier in reversed(history.operations):
        if (
            earlier.node != op.node or earlier.returned is None
            or earlier.returned > op.invoked or earlier.result is None
        ):
            continue
        if revision_of(earlier) > result.revision and not disturbed(
            history.faults, earlier.call, op.ret or op.call
        ):
            found.add(
                "old snapshot",
                f"{_of(op)}, is of revision {result.revision}, although {op.node} had answered "
                f"with revision {revision_of(earlier)} at {wording.seconds(earlier.ret or 0)}, "
                f"before the request at {wording.seconds(op.call)}",
                op, earlier, revision=result.revision,
            )
            return


def _check_content(
    op: ServiceOperation, result: SnapshotResult, known: MemberState, found: Findings
) -> None:
    if not known.first_revision <= result.revision <= known.revision:
        return
    last = {
        change.key: change for change in known.changes if change.revision <= result.revision
    }
    for because in _differences(result, known, last):
        found.add("wrong content", f"{_of(op)}, of revision {result.revision}: {because}", op,
                  revision=result.revision)
        return


def _differences(
    result: SnapshotResult, known: MemberState, last: dict[str, Change]
) -> Iterator[str]:
    present = {kv.key: kv for kv in result.kvs}
    for key, change in last.items():
        kv = present.get(key)
        if change.kind == "delete":
            if kv is not None:
                yield f"it contains {_text(kv)}, which was deleted at revision {change.revision}"
        elif kv is None:
            yield f"it lacks {key}, which was put at revision {change.revision}"
        elif kv != _expected(change):
            yield f"it contains {_text(kv)}; expected {_text(_expected(change))}"
    for kv in result.kvs:
        if kv.key not in last and kv.mod_revision >= known.first_revision:
            yield f"it contains {_text(kv)}, which no change put"


def _expected(change: Change) -> KeyValue:
    return KeyValue(
        key=change.key, value=change.value, create_revision=change.create_revision,
        mod_revision=change.revision, version=change.version, lease=change.lease,
    )


def _text(kv: KeyValue) -> str:
    return wording.key_value(kv)
