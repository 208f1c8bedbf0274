"""Every limit of a member that is no setting has a rare condition in simulation, or a reason."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from splitbrain.harness.simulation.coverage import BUGGIFIED

NODE = Path(__file__).resolve().parents[3] / "node"
LIMIT = re.compile(
    r"_(MAX|MIN|MAX_S|BYTES|S|MS|NS|AT_ONCE|ENTRIES|TRIES|PERCENT|SWEEP|SAMPLES_PER_INTERVAL)$"
)
"""The names of limits, batch sizes, queues and intervals."""
COVERED = {
    "api/watch.py:PAUSED_BATCHES_MAX": "events wait in a watcher's buffer",
    "api/watch.py:QUEUE_MAX": "a watch stream's queue is short",
    "apply/applier.py:QUEUE_MAX": "a short apply queue",
    "apply/applier.py:TURN_ENTRIES": "other tasks run between two entries",
    "lease/lessor.py:EXPIRIES_AT_ONCE": "few leases end at once",
    "mvcc/store.py:REMOVALS_AT_ONCE": "few compacted changes are removed at once",
    "mvcc/watch.py:BUFFER_BYTES_MAX": "a watcher's buffer is small",
    "mvcc/watch.py:REVISIONS_AT_ONCE": "a watch catches up in small pieces",
    "raft_driver.py:INBOX_MESSAGES_MAX": "the inbox is full",
    "server.py:UNAPPLIED_ENTRIES_MAX": "few entries may wait to be applied",
    "snapshot_stream.py:CHUNK_BYTES": "tiny snapshot chunks",
    "snapshot_stream.py:QUEUE_BYTES_MAX": "a snapshot's queue is short",
    "transport.py:QUEUE_BYTES_MAX": "a frame finds its queue full",
}
"""Constant → the rare condition in which the member behaves as if the constant were small."""
OF_FORMATS = "part of a format or of a number, not a limit"
OF_PROCESSES = "only processes execute this code; simulated members have no sockets or files"
AS_SETTING = "the default of a setting, which seeds draw"
BY_ETCD = "a client can rely on this value of etcd, and the checkers use it"
RETRIED = "the wait before a try is repeated; the simulated network draws how often one is lost"
REFUSES = "what is beyond the limit is refused or lost, as it is for other reasons in most runs"
ROUNDS = "a duration that ends with the member or with a step of its start"
EXCUSED = {
    "__main__.py:DEFAULT_QUOTA_BYTES": AS_SETTING,
    "storage/wal.py:SEGMENT_BYTES": AS_SETTING,
    "jwt_settings.py:TTL_MS": AS_SETTING,
    "api/wait_queue.py:SESSION_TTL_S": BY_ETCD,
    "auth/tokens.py:TTL_S": BY_ETCD,
    "lease/lessor.py:TICK_S": BY_ETCD,
    "messages/lease.py:TTL_S_MAX": BY_ETCD,
    "messages/member_change.py:LEARNERS_MAX": BY_ETCD,
    "api/required_leader.py:LEADERLESS_ELECTIONS_MAX": BY_ETCD,
    "cluster_service.py:READY_PERCENT": BY_ETCD,
    "maintenance/auto_compaction.py:PERIODIC_INTERVAL_MAX_S": BY_ETCD,
    "member_settings.py:FRAGMENT_OVERHEAD_BYTES": BY_ETCD,
    "api/v3_service.py:MESSAGE_OVERHEAD_BYTES": BY_ETCD,
    "messages/space_cost.py:KEY_OVERHEAD_BYTES": BY_ETCD,
    "messages/space_cost.py:LEASE_OVERHEAD_BYTES": BY_ETCD,
    "api/v3_service.py:_SURELY_SMALL_BYTES": "a shortcut that changes no answer",
    "auth/tokens.py:_SWEEP": "ended tokens are refused whether they are removed or not",
    "mvcc/watch.py:EVENT_OVERHEAD_BYTES": OF_FORMATS,
    "mvcc/revision.py:KEY_BYTES": OF_FORMATS,
    "mvcc/hash_kv.py:_PAIRS_AT_ONCE": "a shortcut that changes no hash",
    "auth/password.py:SALT_BYTES": OF_FORMATS,
    "auth/password.py:MEMORY_RESERVE_BYTES": OF_PROCESSES,
    "membership.py:_KEY_BYTES": OF_FORMATS,
    "raft/read_index.py:_CONTEXT_BYTES": OF_FORMATS,
    "raft/message_check.py:TERM_MAX": OF_FORMATS,
    "storage/backup_file.py:_ALIGNED_BYTES": OF_FORMATS,
    "storage/backup_file.py:_HASH_BYTES": OF_FORMATS,
    "storage/backup_file.py:_HEAD_BYTES": OF_FORMATS,
    "messages/protobuf_size.py:_RAFT_HEADER_BYTES": OF_FORMATS,
    "mvcc/revision.py:MAIN_MAX": OF_FORMATS,
    "mvcc/revision.py:SUB_MAX": OF_FORMATS,
    "lease/lessor.py:_S": "a unit",
    "maintenance/auto_compaction.py:SAMPLES_PER_INTERVAL": BY_ETCD,
    "storage/content_checksums.py:CRC_BYTES": OF_FORMATS,
    "storage/durable_end.py:SLOT_BYTES": OF_FORMATS,
    "storage/wal_record.py:SECTOR_BYTES": OF_FORMATS,
    "storage/wal_record.py:ALIGNMENT_BYTES": OF_FORMATS,
    "storage/wal_record.py:BODY_BYTES_MAX": OF_FORMATS,
    "storage/wal_record.py:_LINKED_BYTES": OF_FORMATS,
    "api/fast_json_requests.py:NESTED_MAX": "a shortcut of decoding that changes no request",
    "api/go_json.py:DEPTH_MAX": BY_ETCD,
    "api/exact_json_requests.py:TXN_DEPTH_MAX": BY_ETCD,
    "api/maintenance_service.py:BLOCK_BYTES": "no workload takes backups",
    "messages/internal_request.py:RECENT_MAX": "a cache of decoded requests",
    "snapshot_stream.py:SNAPSHOT_BYTES_MAX": "no run has a snapshot of 4 GiB",
    "snapshot_stream.py:STALL_S": RETRIED,
    "snapshot_stream.py:POLL_S": RETRIED,
    "lease/lessor.py:CHECKPOINTS_AT_ONCE": "the same loop as EXPIRIES_AT_ONCE",
    "lease/lessor.py:EXPIRY_RETRY_NS": RETRIED,
    "lease/keep_alive.py:RETRY_S": RETRIED,
    "lease/keep_alive.py:CALL_TIMEOUT_S": RETRIED,
    "read_barrier.py:RETRY_S": RETRIED,
    "cluster_service.py:POLL_S": RETRIED,
    "cluster_service.py:RETRY_S": RETRIED,
    "cluster_service.py:ASK_TIMEOUT_S": RETRIED,
    "unknown_members.py:ANSWER_TRIES": RETRIED,
    "unknown_members.py:ANSWER_POLL_S": RETRIED,
    "join_cluster.py:ASK_INTERVAL_S": RETRIED,
    "join_cluster.py:TIMEOUT_S": ROUNDS,
    "server.py:REMOVED_STOP_S": ROUNDS,
    "server.py:HAND_OVER_S": ROUNDS,
    "failpoint.py:SLEEP_MS_MAX": "a limit of what a user may ask for",
    "maintenance/space_quota.py:RETRY_S": RETRIED,
    "maintenance/corruption_check.py:ANSWER_TIMEOUT_S": RETRIED,
    "maintenance/corruption_check.py:RETRY_S": RETRIED,
    "assembly.py:PENDING_REQUESTS_MAX": REFUSES,
    "peer_calls.py:QUEUE_BYTES_MAX": REFUSES,
    "peer_calls.py:ANSWERING_MAX": REFUSES,
    "unknown_members.py:QUEUE_BYTES_MAX": REFUSES,
    "api/http_message.py:UNREAD_BYTES_MAX": OF_PROCESSES,
    "api/grpc_server.py:STREAMS_MAX": OF_PROCESSES,
    "api/grpc_server.py:HEADER_BYTES_MAX": OF_PROCESSES,
    "api/grpc_server.py:BYTES_OVER_LIMIT_MAX": OF_PROCESSES,
    "api/grpc_server.py:FOR_EVER_MS": OF_PROCESSES,
    "api/grpc_server.py:CLOSE_S": OF_PROCESSES,
    "storage/lmdb_backend.py:MAP_SIZE_BYTES": OF_PROCESSES,
}
"""Constant → why no rare condition changes it. Those of `node/real` are excused as a whole."""


def limits() -> set[str]:
    """The numeric constants of the member's modules whose names are those of limits."""
    found = set()
    for path in sorted(NODE.rglob("*.py")):
        name = path.relative_to(NODE).as_posix()
        if name.startswith(("real/", "api/proto/")):
            continue
        for one in ast.parse(path.read_text()).body:
            targets = one.targets if isinstance(one, ast.Assign) else []
            if not isinstance(one, ast.Assign) or not _is_number(one.value):
                continue
            for target in targets:
                if isinstance(target, ast.Name) and LIMIT.search(f"_{target.id}"):
                    found.add(f"{name}:{target.id}")
    return found


def _is_number(value: ast.expr) -> bool:
    numbers = [one for one in ast.walk(value) if isinstance(one, ast.Constant)]
    return isinstance(value, ast.Constant | ast.BinOp) and all(
        isinstance(one.value, int | float) for one in numbers
    )


def test_every_limit_has_a_rare_condition_or_a_reason() -> None:
    missing = limits() - set(COVERED) - set(EXCUSED)
    assert not missing, f"add a rare condition (world.buggify), or give a reason: {missing}"


def test_no_reason_is_given_for_a_limit_that_is_covered_or_gone() -> None:
    assert set(EXCUSED) <= limits() - set(COVERED)
    assert set(COVERED) <= limits()


@pytest.mark.parametrize(("limit", "condition"), sorted(COVERED.items()))
def test_the_member_has_the_rare_condition_of_a_limit(limit: str, condition: str) -> None:
    assert f"buggify: {condition}" in BUGGIFIED
    sources = "".join(path.read_text() for path in NODE.rglob("*.py"))
    assert f'buggify("{condition}")' in sources, limit
