"""Strategies of hypothesis that draw schedules.

    from hypothesis import given
    from splitbrain import check_schedule, schedules

    @given(schedules(nodes=(3,), operations_max=20))
    def test_no_schedule_breaks_it(schedule):
        check_schedule(schedule)

Hypothesis shrinks a failing schedule, and keeps it in its database. It shrinks towards fewer
members, faults and operations, earlier times, shorter faults, one client, default settings and
network conditions, and the seed 0. When the test fails, the smallest schedule is also printed as a
pytest test. `splitbrain.harness.shrinking` shrinks schedules that hypothesis did not draw.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from hypothesis import note
from hypothesis import strategies as st

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.schedule.network_and_disk_conditions import IDEAL_NETWORK, NetworkConditions
from splitbrain.harness.schedule.operation import ScheduledOperation
from splitbrain.harness.schedule.options import Options, check
from splitbrain.harness.schedule.schedule import (
    SIMULATED_SETTINGS,
    Schedule,
    TimedOperation,
    clients_of,
    fixed,
    member_seeds,
)
from splitbrain.harness.shrinking.failing_run import failing_checkers, temporary_run
from splitbrain.harness.shrinking.test_source import as_test
from splitbrain.histories.kv import Compare, Delete, Put, Range, Txn
from splitbrain.nemesis.disk_fault import DISK_CALLS, DiskCrash, DiskFault
from splitbrain.nemesis.fault import (
    AtStep,
    ClockDrift,
    ClockJump,
    Corruption,
    Fault,
    HalfOpen,
    Kill,
    Latency,
    PacketLoss,
    Partition,
    Pause,
    PowerLoss,
    ScheduledFault,
    SlowReceiver,
)
from splitbrain.node.failpoint import FAILPOINTS

KEYS = {"kv": "k{:03d}", "register": "r0.{}"}
"""The format of the keys of each workload whose operations `requests` can draw."""
FAULTS = ("kill", "pause", "partition", "latency", "power", "clock", "drift", "disk", "step")
ACCEPTED_FAULTS = (*FAULTS, "loss", "corruption", "half_open", "slow_receiver")
"""The kinds of faults that can be drawn. Kinds that are not in `FAULTS` are drawn only if the
caller names them."""
HOLD_MS = (1, 2_000)
"""The shortest and the longest duration of a fault, in ms."""
PERCENTS = (1.0, 20.0, 100.0)
"""The percentages of syncs that fail on a faulty disk."""


def check_schedule(schedule: Schedule) -> None:
    """Simulate `schedule`, and fail unless the run is valid.

    Raises AssertionError with the anomalies. Inside a hypothesis test, the schedule is also printed
    as a pytest test.
    """
    with temporary_run(schedule) as run:
        if run.valid is True:
            return
        names = failing_checkers(run)
        not_valid = [one for one in run.results.verdicts if one.valid is not True]
    text = "; ".join(
        f"{one.checker}: {one.anomalies[0].because if one.anomalies else one.why}"
        for one in not_valid
    )
    failing = msgspec.structs.replace(schedule, fails_by=names[0] if names else "")
    note(as_test(failing))
    word = "invalid" if names else "unknown"
    raise AssertionError(f"the run is {word}: {text or run.error}")


@st.composite
def schedules(
    draw: st.DrawFn,
    /,
    *,
    nodes: Sequence[int] = (1, 3),
    workload: str = "kv",
    keys: int = 3,
    clients: int = 3,
    operations_max: int = 20,
    faults: Sequence[str] = FAULTS,
    faults_max: int = 6,
    time_limit_ms: int = 3_000,
    rough: bool = True,
    **options: Any,
) -> Schedule:
    """Draw a schedule of the workload `workload`. The function is a strategy of hypothesis.

    - The number of members is one of `nodes`.
    - There are at most `operations_max` operations, by `clients` clients, on `keys` keys.
    - There are at most `faults_max` faults, of the kinds `faults`.
    - All operations and faults begin within `time_limit_ms`.
    - With `rough`, the schedule also has random settings of the members and random network
      conditions. In some schedules, the members' code also takes rare branches more often.
    - `options` are further options of the run.

    Raises BadArguments for an unknown kind of fault, and for a workload other than kv and register.
    """
    if workload not in KEYS:
        raise BadArguments(f"workload={workload!r}: expected one of {', '.join(KEYS)}")
    unknown = [name for name in faults if name not in ACCEPTED_FAULTS]
    if unknown:
        raise BadArguments(f"faults: {unknown[0]!r} is not one of {', '.join(ACCEPTED_FAULTS)}")
    count = draw(st.sampled_from(sorted(nodes)))
    members = tuple(f"n{number}" for number in range(1, count + 1))
    names = [KEYS[workload].format(number) for number in range(keys)]
    drawn = draw(st.lists(
        st.tuples(
            st.integers(0, time_limit_ms), st.integers(0, clients - 1),
            st.integers(0, count - 1), requests(names),
        ),
        max_size=operations_max,
    ))
    operations = [
        TimedOperation(
            at_ms * 1000, client, ScheduledOperation(0, f, _with_value(request, number), to)
        )
        for number, (at_ms, client, to, (f, request)) in enumerate(drawn, start=1)
    ]
    scheduled = st.lists(_scheduled(members, faults, len(operations), time_limit_ms),
                       max_size=faults_max)
    seed = draw(st.integers(0, 2**16))
    chosen = msgspec.convert({
        "heartbeat_ms": 20, "election_ms": 200, "request_timeout_ms": 500, **options,
        "system": "simulated", "workload": workload, "clients": clients,
    }, Options)
    check(chosen)
    environment = draw(environments()) if rough else {"settings": dict(SIMULATED_SETTINGS)}
    return fixed(Schedule(
        options=chosen,
        seed=seed,
        members=members,
        member_seeds=member_seeds(seed, members),
        clients=clients_of(operations),
        faults=tuple(sorted(draw(scheduled), key=lambda one: one.begin_ms)),
        time_limit_ms=time_limit_ms,
        **environment,
    ))


def requests(keys: Sequence[str]) -> st.SearchStrategy[tuple[str, Any]]:
    """Return a strategy that draws pairs: the function (`f`) of an operation, and its request.

    The requests write empty values, which `_with_value` replaces.
    """
    key = st.sampled_from(list(keys))
    get = key.map(lambda one: ("get", Range(one)))
    put = key.map(lambda one: ("put", Put(one)))
    everything = st.just(("range", Range(keys[0][0], chr(ord(keys[0][0]) + 1))))
    delete = key.map(lambda one: ("delete", Delete(one)))
    swap = st.builds(_swap, key, st.sampled_from(("version", "create", "mod")), st.booleans())
    return st.one_of(get, put, swap, delete, everything)


def _swap(key: str, target: Any, absent: bool) -> tuple[str, Txn]:
    compare = Compare(key, target, "=" if absent else ">", 0)
    return "txn", Txn((compare,), success=(Put(key),), failure=(Range(key),))


def _with_value(request: Any, number: int) -> Any:
    """Return a copy of `request` in which a put writes the value `v<number>`.

    Each operation has a different number, so no two operations write the same value.
    """
    match request:
        case Put(key=key):
            return Put(key, f"v{number}")
        case Txn(compare=compare, success=(Put(key=key),), failure=failure):
            return Txn(compare, (Put(key, f"v{number}"),), failure)
        case _:
            return request


@st.composite
def _scheduled(
    draw: st.DrawFn, /, members: Sequence[str], kinds: Sequence[str], operations: int, limit_ms: int
) -> ScheduledFault:
    begin_ms = draw(st.integers(0, limit_ms))
    hold_ms = draw(st.integers(*HOLD_MS))
    fault = draw(st.sampled_from(list(kinds)).flatmap(
        lambda kind: _fault_of(kind, members, operations)
    ))
    if isinstance(fault, AtStep) and fault.operation:
        begin_ms = 0  # The fault begins at the time of its operation.
    return ScheduledFault(begin_ms, begin_ms + hold_ms, fault, 0)


def _fault_of(kind: str, members: Sequence[str], operations: int) -> st.SearchStrategy[Fault]:
    on = st.lists(st.sampled_from(list(members)), min_size=1, unique=True).map(
        lambda names: tuple(sorted(names))
    )
    one = st.sampled_from(list(members)).map(lambda name: (name,))
    match kind:
        case "kill":
            return st.builds(Kill, on=on)
        case "pause":
            return st.builds(Pause, on=on)
        case "partition":
            return st.builds(Partition, st.sampled_from(("isolate", "one_way")),
                             how=st.sampled_from(("cut", "black_hole")), on=one)
        case "latency":
            return st.builds(Latency, delay_ms=st.integers(1, 200), jitter_ms=st.just(0), on=on)
        case "loss":
            return st.builds(PacketLoss, percent=st.sampled_from(PERCENTS), on=on)
        case "corruption":
            return st.builds(Corruption, percent=st.sampled_from(PERCENTS), on=on)
        case "half_open":
            return st.builds(HalfOpen, on=on)
        case "slow_receiver":
            rates = st.sampled_from((4_096, 65_536))
            return st.builds(SlowReceiver, rate_bytes_per_s=rates, on=on)
        case "power":
            return st.builds(PowerLoss, on=on)
        case "clock":
            return st.builds(ClockJump, ahead_ms=st.sampled_from((500, -500, 3_600_000)), on=on)
        case "drift":
            return st.builds(ClockDrift, ppm=st.sampled_from((5_000, -5_000, 300_000)), on=on)
        case "disk_crash":
            return st.builds(
                DiskCrash, call=st.sampled_from(("", *DISK_CALLS)),
                edge=st.sampled_from(("before", "after")), nth=st.integers(1, 20),
                do=st.sampled_from(("crash", "power")),
                again=st.lists(st.integers(1, 20), max_size=2).map(tuple), on=one,
            )
        case "disk":
            return st.one_of(
                st.builds(DiskFault, slow_ms=st.integers(1, 300), on=on),
                st.builds(DiskFault, full=st.just(True), on=on),
                st.builds(DiskFault, sync_error_percent=st.sampled_from(PERCENTS), on=on),
            )
        case _:
            return st.builds(
                AtStep, st.sampled_from(FAILPOINTS),
                st.sampled_from(("crash", "power", "pause", "isolate")),
                operation=st.integers(0, operations), on=one,
            )


def environments() -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy that draws the members' settings and the network conditions of a schedule.

    It draws them as the fields of a `Schedule`. The default values come first, so that hypothesis
    shrinks towards them.
    """
    settings = st.fixed_dictionaries({}, optional={
        "snapshot_count": st.sampled_from((3, 10, 50)),
        "catch_up_entries": st.sampled_from((1, 5)),
        "backend_batch_interval_ms": st.sampled_from((1, 10)),
    }).map(lambda drawn: {**SIMULATED_SETTINGS, **drawn})
    network = st.builds(
        NetworkConditions,
        delay_us=st.sampled_from(((80, 120), (500, 1500))),
        loose=st.booleans(),
        loss_percent=st.sampled_from((0.0, 5.0)),
        reorder_percent=st.sampled_from((0.0, 30.0)),
    )
    return st.fixed_dictionaries({
        "settings": settings, "network": st.just(IDEAL_NETWORK) | network,
        "buggify": st.booleans(),
    })
