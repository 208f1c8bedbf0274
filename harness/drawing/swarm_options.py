"""Draws the options of simulated runs by swarm testing: each seed selects a few kinds of faults.

The seed also selects settings of the members and conditions of network and disks. Many runs that
each use a few kinds find more bugs than the same number of runs that use all kinds. The reason is
that one kind of fault can hide the bugs that another kind reveals. Source: Groce et al., "Swarm
Testing", ISSTA 2012.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from splitbrain.harness.schedule.network_and_disk_conditions import (
    IDEAL_DISK,
    IDEAL_NETWORK,
    DiskConditions,
    NetworkConditions,
)
from splitbrain.harness.schedule.options import DEFAULTS
from splitbrain.harness.schedule.schedule import SIMULATED, SIMULATED_SETTINGS
from splitbrain.histories.random_stream import stream
from splitbrain.nemesis.fault_kinds import KINDS

BUGGIFIED_RUNS_PERCENT = 70
KIND_WEIGHTS: Mapping[str, int] = {
    "kill": 4, "pause": 2, "partition": 7, "latency": 1, "power": 4, "clock": 1, "drift": 1,
    "disk": 2, "step": 6,
}
"""The weights with which the kinds of faults are drawn for a run."""
STORAGE_RUNS_PERCENT = 12
"""The percentage of runs that have storage faults in addition. Storage faults have no weight,
because they must be rare: while a member only recovers its data from its peers, other faults find
few bugs in it."""
DISK_CRASH_RUNS_PERCENT = 30
"""The percentage of runs without storage faults in which members also crash at exact operations of
their disks. Many bugs of recovery show only after a crash between two particular operations."""
DISK_CRASH_ALONE_SHARE = 0.4
"""The share of these runs that have no other faults, except changes of the members and of links.
Kills and partitions at other times keep members from the operations at which they would crash."""
DISK_CRASH_ALONE_PACE = 3
"""How much more often faults begin in runs without other faults. A crash hits only one
member at a time, so the cluster still serves."""
LINK_RUNS_PERCENT = 12
"""The percentage of runs that have one of `LINK_FAULTS` in addition, which change single frames and
connections."""
LINK_FAULTS = ("loss", "corruption", "half_open", "half_open", "slow_receiver")
MEMBERS_RUNS_PERCENT = 15
"""The percentage of runs that change the members of the cluster in addition. Such a run has no
storage faults, because a cluster from which a member is removed survives fewer of them."""
MEMBERS_KINDS = (
    ("members",), ("members", "transfer"), ("transfer",), ("members", "joint"),
    ("joint", "transfer"),
)
MEMBER_LISTS_PERCENT = 25
"""Of the runs that change the members, the percentage of runs with the workload that reads the
member list."""
OF_PROCESSES = ("kill", "pause", "partition", "latency", "power", "step")
"""The kinds of faults that real processes support. `power` is among them, because a SIGKILL of a
member that runs with `--hold-unsynced` loses unsynced writes as a power loss does."""
KINDS_AT_ONCE = (1, 2, 2, 3, 3, 4)
"""The number of kinds of faults in a run. With more kinds, the cluster is down most of the time,
and a run without answers finds no bug."""
ELECTIONS = ((10, 100), (10, 100), (20, 200), (30, 300), (100, 1000))
"""Pairs of heartbeat interval and election timeout in ms. With short timeouts, even a short run has
many leaders."""
WORKLOADS = ("kv", "kv", "kv", "kv", "register", "watch", "set", "watch", "watch", "append")
COORDINATION_RUNS_PERCENT = 20
"""The percentage of runs whose drawn workload is replaced by one of leases, locks or elections."""
COORDINATION = ("lease", "lease", "lease", "lock", "election")
SERVICES_RUNS_PERCENT = 20
"""The percentage of runs whose drawn workload is replaced by one of `SERVICES`. Bugs of
authentication and limits show only under these workloads, and most other bugs show under them,
too."""
SERVICES = ("auth", "auth", "limits", "limits", "kubernetes")
CHECKPOINT_INTERVALS_S = (1, 1, 2, 300)
"""The intervals at which leaders record the remaining times of leases, in s."""
LEASE_TIME_LIMITS_S = (12.0, 20.0)
"""The durations of runs with the workload lease, whose leases live for 2 to 9 s."""
LEASE_PACES = (0.5, 0.5, 1.0)
"""How often faults begin in such a run. Between two faults, clients have the time to keep leases
alive, and leaders have the time to record how much time is left."""
TURN_TIMEOUT_MS = 2000
"""The minimal timeout of requests in workloads in which clients wait for their turn."""
KV_OPTIONS: Mapping[str, tuple[int, ...]] = {
    # With many long values, a crash can tear a write to the log within one record, and segments
    # fill up quickly.
    "long_percent": (0, 10, 60, 60),
    "many_percent": (0, 0, 1, 8),
    "large_percent": (0, 0, 0, 3),
    # After a compaction, the store refuses reads of the past, and such reads find other bugs.
    "compactions": (0, 1, 1),
    "keep_after_delete": (0, 1),
}
"""The options of the workload kv that are drawn."""
LIMITS_OPTIONS: Mapping[str, tuple[int, ...]] = {
    "quota_kib": (32, 64, 128, 512),
    "request_kib": (4, 8, 1536),
    "txn_operations": (4, 16, 128),
    "keep_revisions": (0, 20, 20, 60),
    "keep_ms": (0, 0, 0, 0, 1000, 3000),
    "check_ms": (0, 0, 200, 1000),
    "snapshots": (0, 1),
}
"""The options of the workload limits that are drawn."""
AUTH_OPTIONS: Mapping[str, tuple[int, ...]] = {"jwt": (0, 0, 1)}
"""The options of the workload auth that are drawn."""
DRAWN_OPTIONS: Mapping[str, Mapping[str, tuple[int, ...]]] = {
    "kv": KV_OPTIONS, "limits": LIMITS_OPTIONS, "auth": AUTH_OPTIONS,
}
"""For each workload, the options that are drawn."""
BOUND_SHARES = (0.0, 0.0, 0.3, 0.6, 1.0)
"""The share of clients that are bound to one member."""
NODES = (1, 3, 3, 3, 3, 3, 3, 4, 5, 5, 5)
"""The number of members. In a cluster of one member, no other member hides the effects of disk
faults. In a cluster of five, two members can fail. In a cluster of four, half is not a majority."""
HOLDS_IN_ELECTIONS = (1.5, 3.0, 6.0)
"""The minimal duration of a fault, in election timeouts."""
USED_PERCENT: Mapping[str, int] = {"wal_segment_bytes": 65, "check_quorum": 55}
"""For some settings, the percentage of runs that use a drawn value. For each other setting, the
percentage is `USED_PERCENT_DEFAULT`."""
USED_PERCENT_DEFAULT = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The fields of a schedule that describe the members' settings and the simulated machines."""

    settings: Mapping[str, int | bool]
    network: NetworkConditions = IDEAL_NETWORK
    disk: DiskConditions = IDEAL_DISK
    deposed_longer_by: int = 0
    buggify: bool = False


def draw_environment(seed: int) -> Environment:
    """Draw the settings of the members, and the conditions of network and disks."""
    random = stream(seed, "swarm", "surroundings")
    settings = _settings(random)
    network, disk, deposed_longer_by = _conditions(random)
    return Environment(
        settings=settings,
        network=network,
        disk=disk,
        deposed_longer_by=deposed_longer_by,
        buggify=random.random() * 100 < BUGGIFIED_RUNS_PERCENT,
    )


def _settings(random: Random) -> dict[str, int | bool]:
    drawn: dict[str, int | bool] = dict(SIMULATED_SETTINGS)
    # In a short run a follower needs a snapshot only if `snapshot_count` and `catch_up_entries` are
    # both small.
    short_log, count, kept = (
        random.random() < 0.7, random.choice((3, 3, 5, 10, 30)), random.choice((1, 1, 3, 10))
    )
    if short_log:
        drawn |= {"snapshot_count": count, "catch_up_entries": kept}
    choices: dict[str, tuple[int | bool, ...]] = {
        "wal_segment_bytes": (4096, 4096, 16 * 1024),
        "snapshots_kept": (1, 1, 2),
        "backend_batch_interval_ms": (1, 10, 1000),
        "backend_batch_operations_max": (1, 5),
        "pre_vote": (False,),
        "check_quorum": (False,),
        "request_timeout_ms": (300, 1000),
    }
    for name, values in choices.items():
        # Both values are drawn in any case, so that later random values do not depend on `used`.
        used = random.random() * 100 < USED_PERCENT.get(name, USED_PERCENT_DEFAULT)
        value = random.choice(values)
        if used:
            drawn[name] = value
    return drawn


def draw_lease_settings(seed: int) -> dict[str, int | bool]:
    """Draw the settings of the members that concern leases."""
    interval_s = stream(seed, "swarm", "lease checkpoints").choice(CHECKPOINT_INTERVALS_S)
    return {"lease_checkpoint_interval_s": interval_s}


def draw_limits_settings(seed: int) -> dict[str, int | bool]:
    """Draw settings that make the leader send snapshots to other members often.

    A snapshot contains the alarms, and in a run with the workload limits the alarms change often.
    """
    random = stream(seed, "swarm", "limits snapshots")
    return {
        "snapshot_count": random.choice((3, 3, 5, 10)), "catch_up_entries": random.choice((1, 1, 3))
    }


def draw_watch_settings(seed: int) -> dict[str, int | bool]:
    """Draw the interval of progress notifications.

    With a short interval, a notification is often sent while events are still on their way.
    """
    random = stream(seed, "swarm", "watch settings")
    return {"watch_progress_interval_ms": random.choice((250, 250, 100, 40))}


def draw_disk_crash_settings(seed: int) -> dict[str, int | bool]:
    """Draw settings that make members create and remove log segments and snapshots often."""
    random = stream(seed, "swarm", "disk crash settings")
    return {
        "snapshot_count": random.choice((3, 3, 5, 10)),
        "catch_up_entries": random.choice((1, 1, 3, 10)),
        "wal_segment_bytes": random.choice((4096, 4096, 16 * 1024)),
        "snapshots_kept": random.choice((1, 1, 2)),
        "seal_log": random.choice((False, False, True)),
    }


def _conditions(random: Random) -> tuple[NetworkConditions, DiskConditions, int]:
    """Draw the conditions of the network and of the disks.

    The third value is `Schedule.deposed_longer_by`, the number of entries that are added to the
    logs of deposed leaders.
    """
    delay_us = random.choice(((80, 120), (80, 120), (500, 1500), (5_000, 10_000)))
    slow_percent = random.choice((0.0, 0.02, 0.02, 1.0))
    loose = random.random() < 0.4
    network = NetworkConditions(
        delay_us=delay_us,
        slow_percent=slow_percent,
        loose=loose,
        # No duplicates: a forwarded proposal that arrived twice would be proposed twice, in
        # etcd as here. A member may rely on receiving each frame at most once
        # (`node.world.PeerLink`), as TCP guarantees.
        loss_percent=random.choice((0.0, 1.0, 5.0)),
        reorder_percent=random.choice((0.0, 5.0, 30.0)),
    )
    disk = DiskConditions(
        # With a slow disk, a crash more often interrupts a write.
        sync_ms=random.choice((0.0, 0.0, 0.0, 2.0, 15.0)),
        commit_ms=random.choice((0.0, 5.0, 40.0, 200.0)),
    )
    return network, disk, random.choice((0, 0, 20, 50, 100))


def draw_options(seed: int, given: Mapping[str, Any]) -> dict[str, Any]:
    """Draw the options of the run with `seed` in a campaign of simulated runs.

    The options in `given` are not drawn. If `given["swarm"]` is False, only kinds of faults that
    real processes support are drawn.
    """
    random = stream(seed, "swarm", "options")
    heartbeat_ms, election_ms = random.choice(ELECTIONS)
    hold_ms = election_ms * random.choice(HOLDS_IN_ELECTIONS)
    drawn: dict[str, Any] = {
        "system": SIMULATED,
        "swarm": True,
        "seed": seed,
        "nemesis": _kinds(random, OF_PROCESSES if given.get("swarm") is False else KIND_WEIGHTS),
        "fault_pace": round(max(1000 / hold_ms, 0.5), 2),
        "workload": random.choice(WORKLOADS),
        "clients": random.choice((3, 5, 8, 15)),
        "rate": random.choice((50.0, 100.0, 200.0)),
        "time_limit_s": random.choice((5.0, 8.0, 12.0)),
        "follower_share": random.choice((0.3, 0.7, 0.95)),
        "bound_share": stream(seed, "swarm", "bound clients").choice(BOUND_SHARES),
        "request_timeout_ms": random.choice((200, 500, 2000)),
        "heartbeat_ms": heartbeat_ms,
        "election_ms": election_ms,
        "nodes": (random.choice(NODES),),
        "quiet_timeout_ms": DEFAULTS.quiet_timeout_ms,
    }
    storage = stream(seed, "swarm", "storage").random() * 100 < STORAGE_RUNS_PERCENT
    if storage and given.get("swarm") is not False:
        drawn["nemesis"] += ("storage",)
    crashes = stream(seed, "swarm", "disk crashes")
    has_crashes = crashes.random() * 100 < DISK_CRASH_RUNS_PERCENT
    if has_crashes and not storage and given.get("swarm") is not False:
        alone = crashes.random() < DISK_CRASH_ALONE_SHARE
        drawn["nemesis"] = (*(() if alone else drawn["nemesis"]), "disk_crash")
        if alone:
            drawn["fault_pace"] = round(DISK_CRASH_ALONE_PACE * drawn["fault_pace"], 2)
    links = stream(seed, "swarm", "links")
    if links.random() * 100 < LINK_RUNS_PERCENT and given.get("swarm") is not False:
        drawn["nemesis"] += (links.choice(LINK_FAULTS),)
    if not storage and given.get("swarm") is not False:
        drawn["nemesis"] += _changes_of_members(stream(seed, "swarm", "members"))
    coordination = stream(seed, "swarm", "coordination")
    if coordination.random() * 100 < COORDINATION_RUNS_PERCENT:
        drawn["workload"] = coordination.choice(COORDINATION)
    services = stream(seed, "swarm", "services")
    if services.random() * 100 < SERVICES_RUNS_PERCENT:
        drawn["workload"] = services.choice(SERVICES)
    lists = stream(seed, "swarm", "member lists").random() * 100 < MEMBER_LISTS_PERCENT
    if lists and "members" in given.get("nemesis", drawn["nemesis"]):
        drawn["workload"] = "members"
    chosen = {**drawn, **given}
    if chosen["workload"] in ("lock", "election") and "request_timeout_ms" not in given:
        chosen["request_timeout_ms"] = max(chosen["request_timeout_ms"], TURN_TIMEOUT_MS)
    if chosen["workload"] == "lease":
        chosen |= {name: value for name, value in _of_leases(seed).items() if name not in given}
    workload = str(chosen["workload"])
    if workload in DRAWN_OPTIONS and "workload_options" not in given:
        chosen["workload_options"] = {
            name: stream(seed, "swarm", workload, name).choice(values)
            for name, values in DRAWN_OPTIONS[workload].items()
        }
    return chosen


def _of_leases(seed: int) -> dict[str, float]:
    """Draw the options of a run with the workload lease."""
    random = stream(seed, "swarm", "lease runs")
    return {
        "time_limit_s": random.choice(LEASE_TIME_LIMITS_S),
        "fault_pace": random.choice(LEASE_PACES),
    }


def _changes_of_members(random: Random) -> tuple[str, ...]:
    kinds = random.choice(MEMBERS_KINDS)
    return kinds if random.random() * 100 < MEMBERS_RUNS_PERCENT else ()


def _kinds(random: Random, among: Collection[str]) -> tuple[str, ...]:
    """Draw the kinds of faults of a run, and return them in the order of the catalogue."""
    left = [kind for kind in KIND_WEIGHTS if kind in among]
    drawn: list[str] = []
    for _ in range(random.choice(KINDS_AT_ONCE)):
        (kind,) = random.choices(left, [KIND_WEIGHTS[one] for one in left])
        left.remove(kind)
        drawn.append(kind)
    return tuple(kind for kind in KINDS if kind in drawn)
