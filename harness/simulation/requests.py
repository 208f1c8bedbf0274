"""Checks that members answer requests while a majority is connected and healthy.

    pending           a request is answered within the time of `bound_ns`
    silence           a member that gets requests answers one of them within `SILENCE_NS` more
    no leader         healthy and connected members elect a leader within `LEADERLESS_ELECTIONS`
                      election timeouts

Requests are judged that arrive after the last disturbance (`health.py`) of a majority that contains
the member and its leader, and after the election of that leader. The bounds are of virtual time, so
they are exact. Only writes and linearizable reads are judged. A refusal such as "no leader" is no
answer.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from splitbrain.checkers.model.requests import must_be_recent
from splitbrain.harness.schedule.conditions import DiskConditions, NetworkConditions
from splitbrain.harness.simulation.connection import DELAYS_IN_MEANS_MAX
from splitbrain.harness.simulation.elections import ElectionMonitor
from splitbrain.harness.simulation.health import Calm, Health
from splitbrain.harness.simulation.loop import VirtualLoop
from splitbrain.harness.simulation.machine_disk import SYNC_US
from splitbrain.harness.simulation.member import Member
from splitbrain.harness.simulation.network import Network
from splitbrain.histories.kv import Delete, Put, Range, Txn, writes
from splitbrain.histories.service import AnyRequest
from splitbrain.node.messages import errors
from splitbrain.node.messages.errors import RpcError
from splitbrain.node.read_barrier import RETRY_S

HOPS_MAX = 8
"""The most frames, one after the other, that a request waits for: those of a read of a follower
that has to wait for the end of another round of reads."""
SYNCS_MAX = 20
"""The most syncs that a request waits for: at each hop a member may first have to finish two."""
COMMITS_MAX = 2
"""The most commits of the backend that a request waits for, if its member installs a snapshot."""
REST_NS = 100_000_000
SILENCE_NS = 2_000_000_000
"""Added to the bound of a request."""
SILENT_REQUESTS_MIN = 5
"""A silence with fewer unanswered requests is not judged."""
LEADERLESS_ELECTIONS = 25
"""Elections can be lost several times in a row, because the votes split."""

UNSERVED = frozenset(
    str(error()) for error in (
        errors.timed_out, errors.no_leader, errors.leader_changed, errors.too_many_requests,
        errors.no_space,
    )
)
"""The refusals that mean that the member does not serve."""


@dataclass(slots=True)
class Arrived:
    """A request that a member is working on."""

    member: str
    kind: str
    """The kind of the request, such as `put`."""
    writes: bool
    since_ns: int
    life: int


@dataclass(slots=True)
class _Silence:
    """Requests to one member that were not answered, since the last one that was."""

    since_ns: int
    errors: dict[str, int] = field(default_factory=dict)


class RequestMonitor:
    """Receives each request that arrives at a member, and its end."""

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
        """The longest wait that the rule `pending` has judged, as a share of its bound."""

    def began(self, member: Member) -> None:
        """A process of `member` has started to serve."""
        for is_write in (False, True):
            self._silences.pop((member.name, is_write), None)

    @contextlib.contextmanager
    def at_work(self, member: str, request: AnyRequest) -> Iterator[None]:
        """Observe the work of `member` on `request`, which ends with an answer or a cancellation.

        If the member's process ends, the body never ends, and the request is not judged.
        """
        process = self._members[member].process
        if (
            not isinstance(request, Put | Delete | Txn | Range) or not must_be_recent(request)
            or process is None
        ):
            yield
            return
        kind = str(type(request).__name__).lower()
        one = Arrived(
            member=member, kind=kind, writes=writes(request), since_ns=self._loop.now_ns,
            life=process.life,
        )
        try:
            yield
        except RpcError as error:
            self.answered(one, error)
            raise
        except asyncio.CancelledError:
            self.abandoned(one)
            raise
        self.answered(one)

    def answered(self, one: Arrived, error: RpcError | None = None) -> None:
        """The member has answered `one`, with success if `error` is None."""
        if error is None or str(error) not in UNSERVED:
            self._check_pending(one, self._calm(one))
            self._silences.pop((one.member, one.writes), None)
        else:
            self._unserved(one, str(error))

    def abandoned(self, one: Arrived) -> None:
        """The client of `one` has given up, and the member has noticed."""
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
        """Check a request that has ended.

        A request that did not arrive after the last disturbance is not judged: its proposal may be
        lost by it.
        Reads are judged later, because all of them wait for one round to the leader. If the round
        is lost, the member repeats it after `RETRY_S`.
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
        """Return the healthy majority around the member of `one` and its leader, if there is one."""
        found = self._elections.leader()
        process = self._members[one.member].process
        if found is None or process is None or process.life != one.life:
            return None
        leader, led_ns = found
        calm = self._health.calm_around(leader, one.member)
        return None if calm is None else calm._replace(since_ns=max(calm.since_ns, led_ns))

    def _report(self, member: str, kind: object, what: str) -> None:
        """Report the first violation of each kind by each member."""
        if (member, kind) not in self._reported:
            self._reported.add((member, kind))
            self._violated(what)


def bound_ns(network: NetworkConditions, disk: DiskConditions) -> int:
    """Return the longest time in ns that a request takes while nothing disturbs the members.

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
