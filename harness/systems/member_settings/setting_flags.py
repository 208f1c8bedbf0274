"""Converts the settings of a schedule to command-line flags of real members."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.schedule.schedule import Schedule
from splitbrain.harness.systems.catalogue import ETCD, PYTHON_NODE
from splitbrain.harness.systems.member_settings.token_secret import jwt_flags

Flags = Callable[[int | bool], tuple[str, ...]]
RETENTION = "--auto-compaction-retention"
MODE = "--auto-compaction-mode"


def _number(flag: str, unit: str = "") -> Flags:
    return lambda value: (flag, f"{value}{unit}")


_OF_BOTH: Mapping[str, Flags] = {
    "backend_quota_bytes": _number("--quota-backend-bytes"),
    "request_bytes_max": _number("--max-request-bytes"),
    "txn_operations_max": _number("--max-txn-ops"),
    "compaction_revisions": lambda value: (MODE, "revision", RETENTION, str(value)),
    "corruption_check_interval_ms": _number("--experimental-corrupt-check-time", "ms"),
    "initial_corruption_check": lambda value: (
        ("--experimental-initial-corrupt-check",) if value else ()
    ),
    "compaction_period_ms": lambda value: (MODE, "periodic", RETENTION, f"{value}ms"),
    # The harness adds the flag to every member if the schedule has watchers (`ClusterSettings`).
    "watch_progress_interval_ms": lambda _: (),
}

SETTING_FLAGS: Mapping[str, Mapping[str, Flags]] = {
    PYTHON_NODE: {
        "snapshot_count": _number("--snapshot-count"),
        "catch_up_entries": _number("--snapshot-catchup-entries"),
        "snapshots_kept": _number("--max-snapshots"),
        "wal_segment_bytes": _number("--wal-segment-bytes"),
        "seal_log": lambda value: ("--seal-log",) if value else (),
        "backend_batch_interval_ms": _number("--backend-batch-interval"),
        "backend_batch_operations_max": _number("--backend-batch-limit"),
        "pre_vote": lambda value: () if value else ("--no-pre-vote",),
        "lease_checkpoint_interval_s": _number("--lease-checkpoint-interval"),
        "password_cost_log2": _number("--password-cost"),
        "jwt_ttl_ms": jwt_flags,
        **_OF_BOTH,
    },
    ETCD: {
        "snapshot_count": _number("--snapshot-count"),
        "snapshots_kept": _number("--max-snapshots"),
        "backend_batch_interval_ms": _number("--backend-batch-interval", "ms"),
        "backend_batch_operations_max": _number("--backend-batch-limit"),
        "password_cost_log2": _number("--bcrypt-cost"),
        "jwt_ttl_ms": jwt_flags,
        **_OF_BOTH,
        "pre_vote": lambda value: (f"--pre-vote={str(value).lower()}",),
    },
}
"""Maps a system and a setting to the command-line flags of a member."""


def setting_flags(schedule: Schedule) -> tuple[str, ...]:
    """Return the members' command-line flags for the schedule's settings.

    Raises BadArguments for a setting that the system's members have no flag for.
    """
    known = SETTING_FLAGS.get(schedule.system, {})
    flags: list[str] = []
    for name, value in schedule.settings.items():
        if name not in known:
            raise BadArguments(
                f"the setting {name} is not a flag of a member of the system {schedule.system}"
                + (f", which has flags for {', '.join(known)}" if known else "")
                + "; remove it from the schedule"
            )
        flags += known[name](value)
    return tuple(flags)
