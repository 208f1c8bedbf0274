"""Draws the options of runs of real etcd, for a hunt.

Some known bugs can be avoided, because there are options with which a run never triggers them. Each
run has options that avoid all of these bugs, or all except one. Therefore the cause of an anomaly
is known, and a frequent bug does not hide the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from splitbrain.harness.known_bugs.known_bug import Avoidance, KnownBug, Version
from splitbrain.histories.random_stream import stream

WORKLOADS = (
    "watch", "watch", "watch", "kv", "kv", "kv", "lease", "lease", "election", "lock", "append",
    "register",
)
KINDS = (
    "kill", "kill", "kill", "pause", "pause", "partition", "partition", "latency", "operator",
    "cpu", "power", "syscall", "clock",
)
NO_TRIGGER_SHARE = 0.3
"""The share of runs that trigger none of the known bugs that can be avoided."""
WORKLOAD_OPTIONS: Mapping[str, Mapping[str, Sequence[int]]] = {
    "watch": {
        "slow_percent": (0, 20, 80), "watches": (8, 64), "watchers": (8, 24, 60),
        "compact_percent": (4, 12), "compact_back": (1, 60), "clear_percent": (0, 0, 40),
        "hold_ms": (1_500, 5_000), "long_percent": (5, 60),
        "progress_requests": (0, 1), "compactions": (0, 1, 1),
    },
    "kv": {"many_percent": (1, 30), "large_percent": (1, 5)},
    "lease": {"ttl": (1, 2, 4)},
    "election": {"ttl": (1, 2, 4)},
    "lock": {"ttl": (1, 2, 4)},
}
FLAGS = (
    (), (), ("--snapshot-count=10",), ("--snapshot-count=1000",),
    ("--experimental-compaction-batch-limit=1",),
    ("--experimental-compaction-batch-limit=1", "--backend-batch-interval=2s"),
)
CATCH_UP = "--experimental-snapshot-catchup-entries=10"
CATCH_UP_SINCE: Version = (3, 5, 16)
"""The first release that is known to have the flag `CATCH_UP`."""


def draw_process_options(
    seed: int, given: Mapping[str, Any], bugs: Sequence[KnownBug], version: Version,
    kinds: Sequence[str],
) -> tuple[dict[str, Any], str]:
    """Draw the options of the run with `seed`, and the known bug that this run may trigger.

    Returns the options and the id of the bug. The id is "" if the run triggers no known bug that
    can be avoided.

    The options in `given` are not drawn. `bugs` are the known bugs of the tested `version`. `kinds`
    are the kinds of faults that this machine can inject.
    """
    random = stream(seed, "hunt", "options")
    possible = [
        bug for bug in bugs
        if any(_fits(one, given.get("workload", "")) for one in bug.avoid)
    ]
    bug = random.choice(possible) if possible and random.random() >= NO_TRIGGER_SHARE else None
    drawn = _general(random, kinds, version)
    if bug is not None:
        drawn |= _with_trigger(random, bug, str(given.get("workload", "")), drawn)
    drawn |= given
    others = [one for one in bugs if bug is None or one.id != bug.id]
    drawn["known"] = [one.id for one in others]
    if "workload_options" not in given:
        names = WORKLOAD_OPTIONS.get(drawn["workload"], {})
        chosen = {name: random.choice(values) for name, values in names.items()}
        for one in others:
            for avoidance in one.avoid:
                for name in avoidance.options:
                    chosen.pop(name, None)
        drawn["workload_options"] = chosen
    return {**drawn, "seed": seed}, bug.id if bug is not None else ""


def _general(random: Random, kinds: Sequence[str], version: Version) -> dict[str, Any]:
    """Draw the options that do not depend on a known bug."""
    count = random.choice((0, 1, 1, 2, 3))
    nemesis = list(dict.fromkeys(random.choice(KINDS) for _ in range(count)))
    flags = list(random.choice(FLAGS))
    if version >= CATCH_UP_SINCE and random.random() < 0.3:
        flags.append(CATCH_UP)
    return {
        "workload": random.choice(WORKLOADS),
        "nemesis": [kind for kind in nemesis if kind in kinds],
        "aim": random.choice(([], [], [], ["fault"], ["election", "snapshot", "compaction"])),
        "nodes": [random.choice((1, 3, 3))],
        "fault_pace": random.choice((0.5, 1.5, 3.0)),
        "time_limit_s": random.choice((10.0, 15.0, 20.0)),
        "clients": random.choice((5, 20, 50)),
        "rate": random.choice((100.0, 400.0, 1500.0)),
        "bound_share": random.choice((0.25, 1.0)),
        "request_timeout_ms": random.choice((30, 500, 2_000)),
        "client": random.choice(("json", "grpc")),
        "member_flags": flags,
        "search_limit_s": 10.0,
        "quiet_timeout_ms": 15_000,
    }


def _fits(avoidance: Avoidance, workload: str) -> bool:
    return not (workload and avoidance.workloads) or workload in avoidance.workloads


def _with_trigger(
    random: Random, bug: KnownBug, workload: str, drawn: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the options that must change so that the run can trigger `bug`.

    `drawn` are the options that were drawn so far. `workload` is the workload that the user gives;
    "" if none.
    """
    one = random.choice([one for one in bug.avoid if _fits(one, workload)])
    changed: dict[str, Any] = {}
    if one.workloads and not workload:
        changed["workload"] = random.choice(one.workloads)
    if one.members_max:
        changed["nodes"] = [one.members_max]
    faults = one.faults or one.with_faults
    if faults and not set(faults).intersection(drawn["nemesis"]):
        changed["nemesis"] = [*drawn["nemesis"], faults[0]]
    return changed
