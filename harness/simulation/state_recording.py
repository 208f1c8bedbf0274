"""Records the states of simulated members, and the messages between them, over virtual time.

The recording only observes: it draws no random values and schedules no callbacks. So the run and
its digest are the same as without a recording.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from splitbrain.harness.simulation.simulated_process import Process
from splitbrain.node.raft.message import Message, MessageType

if TYPE_CHECKING:
    from splitbrain.harness.simulation.cluster import SimulatedCluster

STATES_MAX = 30_000
MESSAGES_MAX = 60_000
DOWN = "down"


class MemberMoment(msgspec.Struct, frozen=True, array_like=True):
    """The state of a member from the time `us` until the next record of the same member."""

    us: int
    """Microseconds of virtual time since the run began."""
    member: str
    role: str
    """The member's role in Raft, or `DOWN` if no process of it serves."""
    term: int = 0
    leader: str = ""
    compacted: int = 0
    last: int = 0
    """The index of the last entry in the member's log."""
    last_term: int = 0
    durable: int = 0
    committed: int = 0
    applied: int = 0
    revision: int = 0


class SentMessage(msgspec.Struct, array_like=True):
    """A frame with Raft messages from one member to another."""

    sent_us: int
    source: str
    target: str
    text: str
    arrived_us: int | None = None
    """When the frame arrived, in us of virtual time. None: it was lost, or the run ended first."""


class Recording(msgspec.Struct, frozen=True):
    """The states and messages of a run, each in the order of time."""

    members: tuple[str, ...]
    moments: tuple[MemberMoment, ...]
    messages: tuple[SentMessage, ...]
    complete: bool
    """Whether everything was recorded. False: the run had more states or messages than the
    limits."""


class StateRecorder:
    """Records the states and messages of one run. Call `attach` before the run begins."""

    def __init__(self) -> None:
        self._moments: list[MemberMoment] = []
        self._messages: list[SentMessage] = []
        self._in_flight: dict[tuple[str, str, bytes], list[SentMessage]] = {}
        self._last: dict[str, MemberMoment] = {}
        self._complete = True
        self._decoder = msgspec.msgpack.Decoder(list[Message])

    def attach(self, cluster: SimulatedCluster) -> None:
        self._cluster = cluster
        loop, before = cluster.loop, cluster.loop.observe
        assert before is not None

        def observe(process: Process) -> None:
            before(process)
            self._record(process.name)

        loop.observe = observe
        cluster.network.observe_frames(self._sent, self._arrived)
        for name in cluster.members:
            self._record(name)

    def recording(self) -> Recording:
        return Recording(
            tuple(self._cluster.members), tuple(self._moments), tuple(self._messages),
            self._complete,
        )

    def _record(self, name: str) -> None:
        # A member that was killed has no further callback, so the states of all members are
        # compared.
        for other in self._cluster.members:
            if other == name or (other in self._last and self._ended(other)):
                self._add(self._moment(other))

    def _ended(self, name: str) -> bool:
        return self._last[name].role != DOWN and not self._runs(name)

    def _runs(self, name: str) -> bool:
        process = self._cluster.members[name].process
        return process is not None and not process.ended

    def _moment(self, name: str) -> MemberMoment:
        us = self._cluster.loop.now_ns // 1000
        server = self._cluster.members[name].server
        if server is None or not self._runs(name):
            return MemberMoment(us, name, DOWN)
        raft, log = server.raft, server.raft.log
        names = {
            one.server.raft.id: other for other, one in self._cluster.members.items() if one.server
        }
        return MemberMoment(
            us=us, member=name, role=str(raft.role), term=raft.term,
            leader=names.get(raft.leader, ""), compacted=log.compacted_index,
            last=log.last_index, last_term=log.last_term, durable=log.durable,
            committed=log.committed, applied=server.store.consistent_index,
            revision=server.store.revision,
        )

    def _add(self, moment: MemberMoment) -> None:
        last = self._last.get(moment.member)
        if last is not None and msgspec.structs.replace(moment, us=last.us) == last:
            return
        if len(self._moments) >= STATES_MAX:
            self._complete = False
            return
        self._last[moment.member] = moment
        self._moments.append(moment)

    def _sent(self, source: str, target: str, frame: bytes) -> None:
        if len(self._messages) >= MESSAGES_MAX:
            self._complete = False
            return
        text = self._text(frame)
        if text:
            sent = SentMessage(self._cluster.loop.now_ns // 1000, source, target, text)
            self._messages.append(sent)
            self._in_flight.setdefault((source, target, frame), []).append(sent)

    def _arrived(self, source: str, target: str, frame: bytes) -> None:
        waiting = self._in_flight.get((source, target, frame))
        if waiting:
            waiting.pop(0).arrived_us = self._cluster.loop.now_ns // 1000

    def _text(self, frame: bytes) -> str:
        """Return the messages in `frame` as text.

        Returns "" if the frame contains no messages, as the first frame of a connection.
        """
        try:
            messages = self._decoder.decode(frame)
        except msgspec.MsgspecError:
            return ""
        return "; ".join(map(message_text, messages))


def message_text(one: Message) -> str:
    """Return one Raft message as short text, such as `append 7 to 9, term 2, commit 6`."""
    words = [one.type.name.lower().replace("_", " ")]
    if one.type is MessageType.APP:
        entries = one.entries
        what = f"{entries[0].index} to {entries[-1].index}" if entries else "nothing"
        words = [f"append {what}"]
        words.append(f"after {one.index}/{one.log_term}")
        words.append(f"commit {one.commit}")
    elif one.index:
        words.append(f"index {one.index}")
    if one.reject:
        words.append("rejected")
    return ", ".join([*words, f"term {one.term}"] if one.term else words)
