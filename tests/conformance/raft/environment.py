"""Runs the commands of etcd-io/raft's interaction tests against this project's Raft.

Each command returns the output that the original suite expects, without log lines. The semantics
of the commands follow etcd-io/raft's package rafttest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

from splitbrain.node.raft.async_storage import AsyncRaft
from splitbrain.node.raft.confchange import (
    ConfChange,
    ConfChangeSingle,
    Transition,
)
from splitbrain.node.raft.errors import ConfigInvalid, ProposalDropped, StateInvalid
from splitbrain.node.raft.message import MemberId, Message, MessageType, Snapshot
from tests.conformance.raft import description as describe
from tests.conformance.raft.datadriven import Command
from tests.conformance.raft.flights import append_flights, apply_flight, flight_of, split
from tests.conformance.raft.node import (
    PROPOSAL_DROPPED,
    CommandFailed,
    Flight,
    Node,
)
from tests.conformance.raft.node_options import node_options

LEVELS = ("DEBUG", "INFO", "WARN", "ERROR", "FATAL", "NONE")
CHANGES = {letter: kind for kind, letter in describe.CHANGES.items()}
TRANSITIONS = {
    "auto": Transition.AUTO,
    "implicit": Transition.JOINT_IMPLICIT,
    "explicit": Transition.JOINT_EXPLICIT,
}


class Environment:
    """The nodes of one file, and the messages in flight between them."""

    def __init__(self) -> None:
        self._nodes: list[Node] = []
        self._flights: list[Flight] = []
        self._lines: list[str] = []
        self._level = LEVELS[0]

    def run(self, command: Command) -> str:
        """Run one command and return its output."""
        self._lines = []
        handler = COMMANDS.get(command.name)
        try:
            if handler is None:
                raise CommandFailed("unknown command")
            handler(self, command)
        except ProposalDropped:
            return self._output(PROPOSAL_DROPPED)
        except (CommandFailed, ConfigInvalid, StateInvalid) as problem:
            return self._output(str(problem))
        return self._output()

    def _output(self, error: str = "") -> str:
        lines = [*self._lines, *([error] if error else [])]
        return "\n".join(lines) or "ok"

    # Output

    def _write(self, lines: Iterable[str]) -> None:
        if self._level != "NONE":
            self._lines += lines

    @contextmanager
    def _section(self, heading: str) -> Iterator[None]:
        """Write a heading, and indent the lines that are written inside the `with` block."""
        self._write([f"> {heading}"])
        outer, self._lines = self._lines, []
        try:
            yield
        finally:
            self._lines = outer + [f"  {line}" for line in self._lines]

    # Nodes

    def _node(self, number: str) -> Node:
        return self._nodes[int(number) - 1]

    def _first(self, command: Command) -> Node:
        return self._node(command.words()[0])

    def _selected(self, command: Command) -> list[Node]:
        return [self._node(word) for word in command.words()]

    def add_nodes(self, command: Command) -> None:
        options = node_options(command)
        for _ in range(int(command.words()[0])):
            config = options.config(len(self._nodes) + 1)
            self._nodes.append(
                Node(config, options.snapshot, asynchronous=options.async_storage_writes)
            )

    # Inputs of Raft

    def campaign(self, command: Command) -> None:
        self._first(command).raft.campaign()

    def propose(self, command: Command) -> None:
        self._first(command).raft.propose(command.words()[1].encode())

    def propose_conf_change(self, command: Command) -> None:
        simple = command.values("v1") == ("true",)
        names = command.values("transition") or ("auto",)
        if names[0] not in TRANSITIONS:
            raise CommandFailed(f"unknown transition {names[0]}")
        change = ConfChange(parse_changes(command.input), TRANSITIONS[names[0]])
        if simple and (len(change.changes) > 1 or change.transition is not Transition.AUTO):
            raise CommandFailed("v1 conf change can only have one operation and no transition")
        self._first(command).raft.propose_conf_change(change, simple=simple)

    def transfer_leadership(self, command: Command) -> None:
        (giver,), (taker,) = command.values("from"), command.values("to")
        self._node(giver).raft.transfer_leadership(self._node(taker).id)

    def forget_leader(self, command: Command) -> None:
        self._first(command).raft.forget_leader()

    def report_unreachable(self, command: Command) -> None:
        if len(command.words()) != 2:
            raise CommandFailed(
                "must specify exactly two node indexes: node on which to report, and reported node"
            )
        reporter, lost = self._selected(command)
        reporter.raft.report_unreachable(lost.id)

    def tick_election(self, command: Command) -> None:
        node = self._first(command)
        for _ in range(node.config.election_ticks):
            node.raft.tick()

    def tick_heartbeat(self, command: Command) -> None:
        node = self._first(command)
        for _ in range(node.config.heartbeat_ticks):
            node.raft.tick()

    def set_election_timeout(self, command: Command) -> None:
        (ticks,) = command.values("timeout")
        self._first(command).raft.election_timeout = int(ticks)

    # Work

    def process_ready(self, command: Command) -> None:
        self._each(self._selected(command), "handling Ready", self._process_ready)

    def process_append_thread(self, command: Command) -> None:
        self._each(self._selected(command), "processing append thread", self._process_append)

    def process_apply_thread(self, command: Command) -> None:
        self._each(self._selected(command), "processing apply thread", self._process_apply)

    def _each(self, nodes: Sequence[Node], what: str, process: Callable[[Node], None]) -> None:
        if len(nodes) == 1:
            process(nodes[0])
            return
        for node in nodes:
            with self._section(f"{node.id} {what}"):
                process(node)

    def _process_ready(self, node: Node) -> None:
        if node.asynchronous:
            self._process_async_ready(node)
            return
        ready = node.raft.ready()
        sent = ready.messages + ready.messages_after_sync
        sync = node.must_sync(ready.hard_state, ready.entries)
        lines = [line for message in sent for line in describe.message(message)]
        self._write(describe.ready(ready, lines, must_sync=sync))
        node.write(ready.entries, ready.snapshot)
        node.apply(ready.committed_entries)
        self._flights += [flight_of(message) for message in sent]
        node.raft.advance(ready)

    def _process_async_ready(self, node: Node) -> None:
        assert isinstance(node.raft, AsyncRaft)
        work = node.raft.async_ready()
        ready = work.ready
        sync = node.must_sync(ready.hard_state, ready.entries)
        lines = [line for message in ready.messages for line in describe.message(message)]
        if work.append is not None:
            lines += describe.storage_append(node.id, work.append, responses=True)
            node.append_work.append(work.append)
        if work.apply is not None:
            lines += describe.storage_apply(node.id, work.apply, responses=True)
            node.apply_work.append(work.apply)
        self._write(describe.ready(ready, lines, must_sync=sync))
        self._flights += [flight_of(message) for message in ready.messages]

    def _process_append(self, node: Node) -> None:
        if not node.append_work:
            self._write(["no append work to perform"])
            return
        work = node.append_work.popleft()
        self._write(["Processing:", *describe.storage_append(node.id, work, responses=False)])
        node.write(work.entries, work.snapshot)
        self._write(["Responses:", *describe.append_responses(node.id, work)])
        self._flights += append_flights(node.id, work)

    def _process_apply(self, node: Node) -> None:
        if not node.apply_work:
            self._write(["no apply work to perform"])
            return
        work = node.apply_work.popleft()
        self._write(["Processing:", *describe.storage_apply(node.id, work, responses=False)])
        node.apply(work.entries)
        self._write(["Responses:", *describe.apply_response(node.id, work)])
        self._flights.append(apply_flight(node.id, work))

    def stabilize(self, command: Command) -> None:
        before = self._level
        for level in command.values("log-level"):
            self._set_level(level)
        try:
            nodes = self._selected(command) or self._nodes
            while self._stabilize_once(nodes):
                pass
        finally:
            self._level = before

    def _stabilize_once(self, nodes: Sequence[Node]) -> bool:
        """Let each node do its next work. Return False if there was nothing to do."""
        busy = False
        for node in nodes:
            if node.raft.has_ready():
                busy = True
                with self._section(f"{node.id} handling Ready"):
                    self._process_ready(node)
        for node in nodes:
            if any(flight.to == node.id for flight in self._flights):
                busy = True
                with self._section(f"{node.id} receiving messages"):
                    self._deliver(node.id)
        for node in nodes:
            if node.append_work:
                busy = True
                with self._section(f"{node.id} processing append thread"):
                    while node.append_work:
                        self._process_append(node)
        for node in nodes:
            if node.apply_work:
                busy = True
                with self._section(f"{node.id} processing apply thread"):
                    while node.apply_work:
                        self._process_apply(node)
        return busy

    # Messages

    def deliver_messages(self, command: Command) -> None:
        kind = "".join(command.values("type"))
        recipients = [(int(word), False) for word in command.words()]
        recipients += [(int(word), True) for word in command.values("drop")]
        count = sum(self._deliver(to, kind, drop=drop) for to, drop in recipients)
        if not count:
            self._write(["no messages"])

    def _deliver(self, to: MemberId, kind: str = "", *, drop: bool = False) -> int:
        taken, self._flights = split(self._flights, to, kind, drop=drop)
        for flight in taken:
            first, *more = flight.lines
            self._write([f"dropped: {first}" if drop else first, *more])
            if drop:
                continue
            error = self._nodes[to - 1].step(flight)
            self._write([error] if error else [])
        return len(taken)

    def send_snapshot(self, command: Command) -> None:
        giver, taker = self._selected(command)
        raft = giver.raft
        message = Message(
            MessageType.SNAP, taker.id, giver.id, raft.term,
            snapshot=Snapshot(raft.log.snapshot),
        )  # fmt: skip
        self._flights.append(flight_of(message))
        self._write(describe.message(message))

    # State

    def compact(self, command: Command) -> None:
        node, index = self._first(command), int(command.words()[1])
        node.storage.compact(index)
        node.raft.compact(index)
        self._write_log(node)

    def raft_log(self, command: Command) -> None:
        self._write_log(self._first(command))

    def _write_log(self, node: Node) -> None:
        storage = node.storage
        if not storage.entries:
            first, last = storage.first_index, storage.last_index
            self._write([f"log is empty: first index={first}, last index={last}"])
        self._write(describe.entries(storage.entries))

    def raft_state(self, _: Command) -> None:
        for node in self._nodes:
            status = node.raft.status()
            votes = status.id in status.conf_state.all_voters
            self._write(
                [
                    f"{status.id}: {describe.ROLES[status.role]}"
                    f" {'(Voter)' if votes else '(Non-Voter)'}"
                    f" Term:{status.term} Lead:{status.leader}"
                ]
            )

    def status(self, command: Command) -> None:
        status = self._first(command).raft.status()
        self._write(describe.progress(one) for one in status.progress)

    def log_level(self, command: Command) -> None:
        self._set_level(command.words()[0])

    def _set_level(self, name: str) -> None:
        if name.upper() not in LEVELS:
            raise CommandFailed(f"log levels must be either of [{' '.join(LEVELS)}]")
        self._level = name.upper()

    def breakpoint(self, _: Command) -> None:
        """Do nothing. The original suite offers this command for debuggers."""


def parse_changes(text: str) -> tuple[ConfChangeSingle, ...]:
    """Parse changes such as "v2 l3 r1"."""
    changes = []
    for word in text.split():
        if len(word) < 2:
            raise CommandFailed(f"unknown token {word}")
        if word[0] not in CHANGES:
            raise CommandFailed(f"unknown input: {word}")
        changes.append(ConfChangeSingle(CHANGES[word[0]], int(word[1:])))
    return tuple(changes)


COMMANDS: dict[str, Callable[[Environment, Command], None]] = {
    "_breakpoint": Environment.breakpoint,
    "add-nodes": Environment.add_nodes,
    "campaign": Environment.campaign,
    "compact": Environment.compact,
    "deliver-msgs": Environment.deliver_messages,
    "forget-leader": Environment.forget_leader,
    "log-level": Environment.log_level,
    "process-append-thread": Environment.process_append_thread,
    "process-apply-thread": Environment.process_apply_thread,
    "process-ready": Environment.process_ready,
    "propose": Environment.propose,
    "propose-conf-change": Environment.propose_conf_change,
    "raft-log": Environment.raft_log,
    "raft-state": Environment.raft_state,
    "report-unreachable": Environment.report_unreachable,
    "send-snapshot": Environment.send_snapshot,
    "set-randomized-election-timeout": Environment.set_election_timeout,
    "stabilize": Environment.stabilize,
    "status": Environment.status,
    "tick-election": Environment.tick_election,
    "tick-heartbeat": Environment.tick_heartbeat,
    "transfer-leadership": Environment.transfer_leadership,
}
