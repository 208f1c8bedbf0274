"""Checks that members answer requests while a majority is connected and healthy.

    pending           a request is answered within `bound_ns`
    silence           a member that gets requests answers at least one of them within `bound_ns`
                      plus `SILENCE_NS`
    no leader         healthy and connected members elect a leader within `LEADERLESS_ELECTIONS`
                      election timeouts

A request is judged only if it arrives after the last disturbance (`health.py`) of a majority that
contains the member and its leader, and after the election of that leader. The bounds are in virtual
time, so they are exact. Only writes and linearizable reads are judged. A refusal such as "no
leader" does not count as an answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from splitbrain.checkers.model.request_parts import must_be_recent
from splitbrain.harness.schedule.network_and_disk_conditions import (
    DiskConditions,
    NetworkConditions,
)
from splitbrain.harness.simulation.health import Calm, Health
from splitbrain.harness.simulation.link_delay import DELAYS_IN_MEANS_MAX
from splitbrain.harness.simulation.machine_disk import SYNC_US
from splitbrain.harness.simulation.member import Member
from splitbrain.harness.simulation.network import Network
from splitbrain.harness.simulation.raft_invariants.election_causes import ElectionMonitor
from splitbrain.harness.simulation.virtual_loop import VirtualLoop
from splitbrain.histories.kv import Delete, Put, Range, Txn, writes
from splitbrain.histories.service_operation import AnyRequest
from splitbrain.node.messages import errors
from splitbrain.node.messages.errors import RpcError
from splitbrain.node.read_barrier import RETRY_S

HOPS_MAX = 8
"""The largest number of frames, one after the other, that a request waits for. A read at a follower
waits for so many if it first has to wait for the end of an earlier round of reads."""
SYNCS_MAX = 20
"""The largest number of syncs that a request waits for. Each member on its way may first have to
finish two syncs."""
COMMITS_MAX = 2
"""The largest number of backend commits that a request waits for. A request waits for so many if
its member installs a snapshot."""
REST_NS = 100_000_000
SILENCE_NS = 2_000_000_000
"""A member may be silent for this time in addition to the bound of a request."""
SILENT_REQUESTS_MIN = 5
"""The rule `silence` applies only if at least this number of requests was not answered."""
LEADERLESS_ELECTIONS = 25
"""The number of election timeouts within which a leader must be elected. It is this high because
several elections in a row can fail when the votes split."""

UNSERVED = frozenset(
    str(error()) for error in (
        errors.timed_out, errors.no_leader, errors.leader_changed, errors.too_many_requests,
        errors.no_space,
    )
)
"""The messages of the errors by which a member says that it cannot serve requests at present."""


@dataclass(slots=True)
class Arrived:
    """A write or a linearizable read that a member is working on."""

    member: str
    kind: str
    """The kind of the request, such as `put`."""
    writes: bool
    since_ns: int
    life: int


class AtWork:
    """A context in which a member works on the request `one`. None: the request is not judged."""

    __slots__ = ("_monitor", "_one")

    def __init__(self, monitor: RequestMonitor, one: Arrived | None) -> None:
        self._monitor = monitor
        self._one = one

    def __enter__(self) -> None:
        """Begin the work."""

    def __exit__(
        self, _kind: object, error: BaseException | None, _traceback: object
    ) -> None:
        """Notify the monitor of the answer, the refusal or the cancellation."""
        if self._one is None:
            return
        if error is None or isinstance(error, RpcError):
            self._monitor.answered(self._one, error)
        elif isinstance(error, asyncio.CancelledError):
            self._monitor.abandoned(self._one)


@dataclass(slots=True)
class _Silence:
    """The requests to one member that failed since the last request that it answered."""

    since_ns: int
    errors: dict[str, int] = field(default_factory=dict)


class RequestMonitor:
    """Checks that members answer their requests in time, by the rules of this module.

    It is notified of the arrival and the end of each request.
    """

    def __init__(
        self,
        *,
        loop: VirtualLoop,
        members: Mapping[str, Member],
        health: Health,
        elections: ElectionMonitor,
        network: Network,
        violated: Callable[[str], None],
        election_ms: int,
    ) -> None:
        self._loop = loop
        self._members = members
        self._health = health
        self._elections = elections
        self._violated = violated
        self._network = network
        self._leaderless_ns = SILENCE_NS + LEADERLESS_ELECTIONS * election_ms * 1_000_000
        self._silences: dict[tuple[str, bool], _Silence] = {}
        self._reported: set[tuple[str, object]] = set()
        self.judged = 0
        """The number of requests that the rule `pending` has judged."""
        self.longest = 0.0
        """The longest wait that the rule `pending` has judged, divided by the bound for it."""

    def began(self, member: Member) -> None:
        """Forget which requests to `member` failed, because a new process of it serves now."""
        for is_write in (False, True):
            self._silences.pop((member.name, is_write), None)

    def at_work(self, member: str, request: AnyRequest) -> AtWork:
        """Observe the work of `member` on `request`, until its answer or cancellation.

        Use the method as a context manager around that work. If the member's process ends, the code
        inside never continues, and the request is not judged.
        """
        process = self._members[member].process
        if (
            not isinstance(request, Put | Delete | Txn | Range) or not must_be_recent(request)
            or process is None
        ):
            return AtWork(self, None)
        kind = str(type(request).__name__).lower()
        return AtWork(self, Arrived(
            member=member, kind=kind, writes=writes(request), since_ns=self._loop.now_ns,
            life=process.life,
        ))

    def answered(self, one: Arrived, error: RpcError | None = None) -> None:
        """Record that the member has answered the request `one`.

        `error` is the refusal that the member returned; None if the request succeeded.
        """
        if error is None or str(error) not in UNSERVED:
            self._check_pending(one, self._calm(one))
            self._silences.pop((one.member, one.writes), None)
        else:
            self._unserved(one, str(error))

    def abandoned(self, one: Arrived) -> None:
        """Record that the client of `one` has given up and that the member has noticed that."""
        self._unserved(one, "no answer until the client gave up")

    # --- rules ----------------------------------------------------------------------------------

    def _unserved(self, one: Arrived, error: str) -> None:
        calm = self._calm(one)
        self._check_pending(one, calm)
        if calm is None:
            self._check_leaderless()
        elif one.since_ns > calm.since_ns:
            found = self._silences.get((one.member, one.writes))
            if found is None or found.since_ns < calm.since_ns:
                found = self._silences[one.member, one.writes] = _Silence(one.since_ns)
            found.errors[error] = found.errors.get(error, 0) + 1
            self._check_silence(one, found, calm)

    def _check_pending(self, one: Arrived, calm: Calm | None) -> None:
        """Check how long the request `one`, which has ended, has waited.

        `calm` is the healthy majority around its member; None if there is none. A write that
        arrived before the last disturbance is not judged, because the disturbance may have lost its
        proposal.

        A read is judged only if it arrived more than `RETRY_S` after the last disturbance. The
        reads of a member wait together for one round of messages to the leader. If the disturbance
        loses these messages, the member repeats the round after `RETRY_S`.
        """
        if calm is None:
            return
        judged_ns = calm.since_ns if one.writes else calm.since_ns + round(RETRY_S * 1e9)
        if one.since_ns <= judged_ns:
            return
        waited_ns = self._loop.now_ns - one.since_ns
        self.judged += 1
        bound_ns = self._bound_ns(one.member)
        self.longest = max(self.longest, waited_ns / bound_ns)
        if waited_ns > bound_ns:
            self._report(
                one.member, one.kind,
                f"{one.member} did not answer a {one.kind} that arrived at "
                f"{one.since_ns / 1e9:.3f} s for {_s(waited_ns)}, while {_healthy(calm)}; the "
                f"bound is {_s(bound_ns)}",
            )

    def _bound_ns(self, member: str) -> int:
        disk = self._members[member].disk.conditions
        return bound_ns(self._network.conditions, disk)

    def _check_silence(self, one: Arrived, silence: _Silence, calm: Calm) -> None:
        silent_ns = self._loop.now_ns - silence.since_ns
        count = sum(silence.errors.values())
        if silent_ns > self._bound_ns(one.member) + SILENCE_NS and count >= SILENT_REQUESTS_MIN:
            error, times = max(silence.errors.items(), key=lambda item: item[1])
            what = "write" if one.writes else "linearizable read"
            self._report(
                one.member, one.writes,
                f"{one.member} has answered no {what} for {_s(silent_ns)}, while {_healthy(calm)}; "
                f"{count} were not served, {times} of them with: {error}",
            )

    def _check_leaderless(self) -> None:
        running = tuple(name for name, member in self._members.items() if member.runs)
        if self._elections.leader() is not None or 2 * len(running) <= len(self._members):
            return
        healthy_ns = self._health.all_since(running)
        if healthy_ns is None:
            return
        without_ns = self._loop.now_ns - max(healthy_ns, self._elections.led_until_ns)
        if without_ns > self._leaderless_ns:
            self._report(
                "", "leader",
                f"{', '.join(running)} have been connected and healthy without a leader for "
                f"{_s(without_ns)}; the bound is {_s(self._leaderless_ns)}",
            )

    def _calm(self, one: Arrived) -> Calm | None:
        """Return the healthy majority around the leader and the member of the request `one`.

        Returns None if there is none, or if the member has restarted since the request arrived.
        """
        found = self._elections.leader()
        process = self._members[one.member].process
        if found is None or process is None or process.life != one.life:
            return None
        leader, led_ns = found
        calm = self._health.calm_around(leader, one.member)
        return None if calm is None else calm._replace(since_ns=max(calm.since_ns, led_ns))

    def _report(self, member: str, kind: object, what: str) -> None:
        """Report the violation `what`, but only the first of its kind for each member."""
        if (member, kind) not in self._reported:
            self._reported.add((member, kind))
            self._violated(what)


def bound_ns(network: NetworkConditions, disk: DiskConditions) -> int:
    """Return the longest time in ns that a request may take while nothing disturbs the members.

    It is the sum of the longest delays of frames and disks under these conditions.
    """
    least_us, mean_us = network.delay_us
    hop_us = least_us + DELAYS_IN_MEANS_MAX * mean_us
    sync_us = SYNC_US[1] + 2_000 * disk.sync_ms
    commit_us = 2_000 * disk.commit_ms
    whole_us = HOPS_MAX * hop_us + SYNCS_MAX * sync_us + COMMITS_MAX * commit_us
    return round(whole_us * 1_000) + REST_NS


def _healthy(calm: Calm) -> str:
    return (
        f"{', '.join(calm.members)} have been connected and healthy under the leader "
        f"{calm.leader} since {calm.since_ns / 1e9:.3f} s"
    )


def _s(ns: int) -> str:
    return f"{ns / 1e9:.3f} s"
