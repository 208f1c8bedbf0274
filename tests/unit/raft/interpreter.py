"""Executes tests that are written as text: blocks of commands, `----`, and the expected output.

    cluster <n> [setting=value ...]      fresh members 1..n
    start <member> terms=1,1,2 [term=t] [commit=c] [vote=v]
                                         restart it with a log of these terms on its disk
    campaign | handle | crash | restart | log | progress <member>
    elect <member>                       campaign, then deliver until quiet
    take <member>, finish <member>       take a Ready and send its messages; then persist it, send
                                         its messages after the sync, apply it and advance
    tick <member> [ticks]                tick this member; deliver nothing
    pass [ticks]                         tick all members; deliver until quiet after each tick
    propose <member> <data>, read <member> <context>
    deliver until quiet, deliver <a>-><b> [times], duplicate <a>-><b>, drop <a>-><b>
    step <a>-><b> <TYPE> [field=value ...]   deliver a message that the sender did not send
    cut <a>-><b>, isolate <member>, join
    compact <member> [keep=n]            take a snapshot, and compact all but n applied entries
    unreachable <leader> <member>, snapshot <leader> <member> ok|failed
    messages on|off                      print each message when it is delivered

The output of a block ends with a line for each member whose state the block has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from splitbrain.node.raft.errors import ProposalDropped
from splitbrain.node.raft.message import Entry, HardState, MemberId, Message, MessageType
from tests.unit.raft.cluster import Cluster, MemoryMember
from tests.unit.raft.invariants import Invariants

SEPARATOR = "----"


class Interpreter:
    def __init__(self) -> None:
        self._cluster = Cluster(1)
        self._invariants = Invariants(())
        self._printed: dict[MemberId, str] = {}
        self._print_messages = False

    def run(self, commands: list[str]) -> str:
        lines: list[str] = []
        for command in commands:
            name, *words = command.split()
            lines += getattr(self, f"do_{name}")(*words) or []
            self._check()
        for member in self._cluster.members.values():
            lines += [f"{member.id}: read {r.context.decode()} at {r.index}" for r in member.reads]
            member.reads.clear()
            line = describe(member)
            if self._printed.get(member.id) != line:
                self._printed[member.id] = line
                lines.append(f"{member.id}: {line}")
        return "\n".join(lines) or "nothing changed"

    def _check(self) -> None:
        disks = {m.id: m.disk for m in self._cluster.members.values()}
        self._invariants.check([m.up for m in self._cluster.running()], disks)

    def _member(self, word: str) -> MemoryMember:
        return self._cluster[int(word)]

    def do_cluster(self, size: str, *settings: str) -> None:
        options: dict[str, object] = {"pre_vote": False, "check_quorum": False}
        for setting in settings:
            name, value = setting.split("=")
            options[name] = {"on": True, "off": False}.get(value) if value[0] == "o" else int(value)
        self._cluster = Cluster(int(size), **options)  # type: ignore[arg-type]
        self._invariants = Invariants(self._cluster.voters)
        self._printed = {}
        self._print_messages = False

    def do_start(self, word: str, *fields: str) -> None:
        member = self._member(word)
        values = dict(field.split("=") for field in fields)
        terms = [int(term) for term in values.get("terms", "").split(",") if term]
        member.disk.entries = [
            Entry(term, at, data=b"t%d" % term) for at, term in enumerate(terms, start=1)
        ]
        state = HardState(
            int(values.get("term", terms[-1] if terms else 0)),
            int(values.get("vote", 0)),
            int(values.get("commit", 0)),
        )
        member.disk.put_hard_state(state, sync=True)
        member.start()
        self._invariants.forget(member.id)

    def do_campaign(self, member: str) -> None:
        self._member(member).up.campaign()

    def do_elect(self, member: str) -> list[str]:
        self.do_campaign(member)
        return self._deliver_until_quiet()

    def do_handle(self, member: str) -> None:
        while self._member(member).up.has_ready():
            self._member(member).handle_ready()

    def do_take(self, member: str) -> None:
        self._taken = self._member(member).take()

    def do_finish(self, word: str) -> None:
        member = self._member(word)
        member.persist(self._taken)
        member.send_after_sync(self._taken)
        member.apply(self._taken)
        member.up.advance(self._taken)

    def do_tick(self, member: str, ticks: str = "1") -> None:
        for _ in range(int(ticks)):
            self._member(member).up.tick()

    def do_pass(self, ticks: str = "1") -> list[str]:
        lines = []
        for _ in range(int(ticks)):
            for member in self._cluster.running():
                member.up.tick()
            lines += self._deliver_until_quiet()
        return lines

    def do_propose(self, member: str, *data: str) -> list[str]:
        try:
            self._member(member).up.propose(" ".join(data).encode())
        except ProposalDropped as dropped:
            return [f"{member}: {dropped}"]
        return []

    def do_read(self, member: str, context: str) -> None:
        self._member(member).up.read_index(context.encode())

    def do_crash(self, member: str) -> None:
        self._member(member).crash()
        self._invariants.forget(int(member))

    def do_restart(self, member: str) -> None:
        self._member(member).start()

    def do_log(self, member: str) -> list[str]:
        log = self._member(member).up.log
        entries = log.between(log.first_index, log.last_index)
        return [f"{member}: log " + " ".join(f"{e.term}/{e.index}" for e in entries)]

    def do_progress(self, member: str) -> list[str]:
        return [
            f"{member}: {p.id} {p.state.value} match={p.match} next={p.next}"
            + (f" snapshot={p.pending_snapshot}" if p.pending_snapshot else "")
            + (f" inflight={p.inflight_messages}" if p.inflight_messages else "")
            + (" paused" if p.paused else "")
            + ("" if p.recent_active else " inactive")
            for p in self._member(member).up.status().progress
        ]

    def do_deliver(self, *words: str) -> list[str]:
        if words == ("until", "quiet"):
            return self._deliver_until_quiet()
        link = _link(words[0])
        lines = []
        for _ in range(int(words[1]) if len(words) > 1 else 1):
            lines += self._deliver(link)
        return lines

    def do_duplicate(self, link: str) -> None:
        self._cluster.deliver(_link(link), keep=True)

    def do_drop(self, link: str) -> None:
        self._cluster.links[_link(link)].clear()

    def do_cut(self, link: str) -> None:
        self._cluster.cut[_link(link)] = True

    def do_isolate(self, member: str) -> None:
        self._cluster.isolate(int(member))

    def do_join(self) -> None:
        for link in self._cluster.cut:
            self._cluster.cut[link] = False

    def do_step(self, link: str, kind: str, *fields: str) -> None:
        sender, to = _link(link)
        values = {name: int(value) for name, value in (field.split("=") for field in fields)}
        message = Message(MessageType[kind], to, sender)
        self._cluster[to].up.step(msgspec.structs.replace(message, **values))

    def do_compact(self, member: str, keep: str = "keep=0") -> None:
        self._member(member).snapshot_and_compact(int(keep.removeprefix("keep=")))

    def do_unreachable(self, leader: str, member: str) -> None:
        self._member(leader).up.report_unreachable(int(member))

    def do_snapshot(self, leader: str, member: str, outcome: str) -> None:
        self._member(leader).up.report_snapshot(int(member), outcome == "ok")

    def do_messages(self, switch: str) -> None:
        self._print_messages = switch == "on"

    def _deliver_until_quiet(self, rounds_max: int = 200) -> list[str]:
        lines = []
        for _ in range(rounds_max):
            busy = self._cluster.handle_readies()
            in_flight = {link: len(messages) for link, messages in self._cluster.links.items()}
            for link, count in in_flight.items():
                for _ in range(count):
                    lines += self._deliver(link)
            if not busy and not any(in_flight.values()):
                return lines
        raise AssertionError(f"members still send messages after {rounds_max} rounds")

    def _deliver(self, link: tuple[MemberId, MemberId]) -> list[str]:
        message = self._cluster.links[link][0]
        self._cluster.deliver(link)
        return [describe_message(message)] if self._print_messages else []


def _link(word: str) -> tuple[MemberId, MemberId]:
    sender, to = word.split("->")
    return int(sender), int(to)


def describe(member: MemoryMember) -> str:
    if member.raft is None:
        return "down"
    status = member.raft.status()
    compacted = f" from {status.first_index}" if status.first_index > 1 else ""
    return (
        f"{status.role.value} term {status.term} leader {status.leader} commit {status.commit}"
        f" applied {status.applied} last {status.last_term}/{status.last_index}{compacted}"
    )


def describe_message(message: Message) -> str:
    words = [f"  {message.from_}->{message.to} {message.type.name}"]
    if message.term:
        words.append(f"term {message.term}")
    if message.index or message.log_term:
        words.append(f"at {message.log_term}/{message.index}")
    if message.commit:
        words.append(f"commit {message.commit}")
    if message.entries:
        words.append("[" + " ".join(f"{e.term}/{e.index}" for e in message.entries) + "]")
    if message.snapshot is not None:
        words.append(f"snapshot {message.snapshot.metadata.term}/{message.snapshot.metadata.index}")
    if message.reject:
        words.append(f"reject hint {message.reject_hint}")
    if message.context:
        words.append(f"context {message.context.hex().lstrip('0')}")
    return " ".join(words)


def blocks(text: str) -> Iterator[tuple[list[str], list[str], str]]:
    """The blocks of a file: comment lines, commands, and their expected output."""
    for block in text.strip().split("\n\n"):
        above, found, below = (block + "\n").partition(SEPARATOR + "\n")
        lines = above.strip().splitlines()
        comments = [line for line in lines if line.startswith("#")]
        commands = [line for line in lines if not line.startswith("#")]
        assert found or not commands, f"no {SEPARATOR} after {commands}"
        yield comments, commands, below.strip("\n")


def rewritten(path: Path, interpreter: Callable[[], Interpreter] = Interpreter) -> str:
    """The text of the file with the actual output in place of the expected output."""
    machine = interpreter()
    parts = []
    for comments, commands, _ in blocks(path.read_text()):
        lines = list(comments)
        if commands:
            lines += [*commands, SEPARATOR, machine.run(commands)]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"
