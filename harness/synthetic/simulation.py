"""Clients in virtual time against one sequential store.

Each operation takes effect at an instant between its invocation and its answer; an
uncertain one at an instant after its invocation, or never. Serializable reads see the
store as it was a while ago. The same arguments give the same history.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from splitbrain.checkers.model.evaluation import answer_range, evaluate
from splitbrain.checkers.model.sequential_store import Made, SequentialStore, changes_of
from splitbrain.harness.synthetic.corruptions import Spoil
from splitbrain.harness.synthetic.draws import Drawn
from splitbrain.histories.event import Event, EventType
from splitbrain.histories.kv import Compact, Header, Range, Request, Result
from splitbrain.histories.member_state import Change
from splitbrain.histories.random_stream import stream

COMPACTED = "etcdserver: mvcc: required revision has been compacted"
FUTURE = "etcdserver: mvcc: required revision is a future revision"
LEASE_NS = 200_000_000
"""How long leases last, on average."""
NULL = msgspec.Raw(b"null")


@dataclass(slots=True)
class Call:
    """One operation under way. `floor` is the highest revision that an answer had shown
    when it was invoked, `gone` the highest to which a compaction had been acknowledged."""

    process: int
    client: int
    request: Request
    f: str
    fate: str
    floor: int = 0
    gone: int = 0
    result: Result | None = None
    error: str | None = None


class Simulation:
    """A heap of instants: invoke, take effect, return. Events go to `emit`."""

    def __init__(
        self,
        drawn: Drawn,
        clients: int,
        uncertain: float,
        failing: float,
        seed: int,
        emit: Callable[[Event], object],
        spoil: Spoil | None = None,
    ) -> None:
        self.chance = stream(seed, "synthetic")
        self.store = SequentialStore()
        self.changes: list[Change] = []
        self.compacted = 0
        self.spoil = spoil
        self._kept_from = 0
        """The revision before the spoilt one, beyond which nothing is compacted: it would be
        gone from the members' logs. 0: none is spoilt yet."""
        self._gone = 0
        self._drawn = drawn
        self._uncertain, self._failing = uncertain, failing
        self._emit = emit
        self._encode = msgspec.json.Encoder().encode
        self._events = 0
        self._queue: list[tuple[int, int, str, Call]] = []
        self._numbers = 0
        self._processes = clients
        self._places = 0
        self._now = 0
        self._floor = 1
        for client in range(clients):
            self._later(client, "invoke", Call(client, client, Range(""), "", ""))
        if drawn.leases:
            self._later(LEASE_NS, "lease ends", Call(-1, -1, Range(""), "", ""))

    def _later(self, at: int, what: str, call: Call) -> None:
        self._places += 1
        heapq.heappush(self._queue, (at, self._places, what, call))

    def run(self, operations: int) -> None:
        """Let clients begin so many operations, end them, and read all three times."""
        queue = self._queue
        while queue:
            now, _, what, call = heapq.heappop(queue)
            if what == "invoke":
                if self._numbers < operations:
                    self._invoke(now, call)
            elif what == "effect":
                self._effect(call)
            elif what == "return":
                self._return(now, call)
            elif what == "announce":
                self._announce(now, call)
            elif self._numbers < operations:
                self._end_lease(now, call)
            self._now = now
        for client in range(3):
            self._read_all(client)

    def _read_all(self, client: int) -> None:
        """The reads at the end of a run, of each member."""
        call = Call(self._processes + client, client, Range("\0", "\0"), "final_read", "ok")
        self._record(self._now, call, "invoke", call.request)
        self._effect(call)
        self._record(self._now, call, "ok", call.result)

    def _invoke(self, now: int, idle: Call) -> None:
        self._numbers += 1
        chance = self.chance
        request = self._drawn.draw(chance, self._numbers, self.store.revision)
        if isinstance(request, Compact) and 0 < self._kept_from < request.revision:
            request = Compact(self._kept_from)
        draw = chance.random()
        fate = "ok"
        if draw < self._uncertain:
            fate = "info"
        elif draw < self._uncertain + self._failing:
            fate = "fail"
        call = Call(
            idle.process, idle.client, request, self._function(request), fate, self._floor,
            self._gone,
        )
        wait = int(chance.expovariate(1 / 1_000_000)) + 1
        effect = now + wait
        ended = effect + int(chance.expovariate(1 / 500_000)) + 1
        if self.spoil is not None and self.spoil.before(self, call, self._numbers):
            self._later(now + 5_000_000, "announce", call)
            return
        self._record(now, call, "invoke", request)
        if fate == "ok":
            self._later(effect, "effect", call)
        elif fate == "info" and chance.random() < 0.5:
            self._later(effect + chance.randrange(0, 40_000_000), "effect", call)
        self._later(ended, "return", call)

    def _announce(self, now: int, call: Call) -> None:
        """An operation whose effect was there, and seen, before it was invoked."""
        assert call.result is not None
        assert self.spoil is not None
        if self._floor < call.result.header.revision:
            if self._queue:
                self._later(now + 1_000_000, "announce", call)
                return
            self.spoil.done = False
        self._record(now, call, "invoke", call.request)
        self._later(now + 1_000_000, "return", call)

    def _function(self, request: Request) -> str:
        if self._drawn.adds and not isinstance(request, Range):
            return "add"
        return type(request).__name__.lower()

    def _effect(self, call: Call) -> None:
        request, store = call.request, self.store
        if isinstance(request, Compact) or (isinstance(request, Range) and request.revision):
            error = self._refusal(request, call)
            if error:
                call.fate = "fail" if call.fate == "ok" else call.fate
                call.error = error
                return
        result, made = evaluate(store, request)
        claimed = store.revision + bool(made)
        if self.spoil is not None and self.spoil.kind.effect is not None:
            made = self._spoil_effect(self.spoil, call, made)
        if made:
            self.make(made)
            claimed = store.revision
        revision = claimed
        if isinstance(request, Range) and request.serializable and not request.revision:
            revision = max(1, revision - self.chance.randrange(4))
            held = store.past(request.key, request.range_end, revision)
            result = answer_range(request, held, len(held))
        call.result = with_revision(result, revision, call)
        if self.spoil is not None and call.fate == "ok":
            call.result = self.spoil.answer(self, call, call.result, self._numbers)

    def _spoil_effect(self, spoil: Spoil, call: Call, made: Made) -> Made:
        before = self.store.revision
        made = spoil.effect(self, call, made, self._numbers)
        if spoil.done and not self._kept_from:
            self._kept_from = before
        return made

    def make(self, made: Made) -> None:
        """The store's next revision, and the change log's."""
        revision = self.store.revision + 1
        self.store.write(revision, made)
        self.changes.extend(changes_of(revision, made))

    def _refusal(self, request: Range | Compact, call: Call) -> str:
        if request.revision > self.store.revision:
            return FUTURE
        if isinstance(request, Range):
            if request.revision >= self.compacted:
                return ""
            if self.spoil is not None and self.spoil.ignores_compaction(call, self._numbers):
                return ""
            return COMPACTED
        if request.revision <= self.compacted:
            return COMPACTED
        self.compacted = request.revision
        return ""

    def _end_lease(self, now: int, call: Call) -> None:
        held = [lease for lease, keys in self.store.leases.items() if keys]
        if held:
            lease = self.chance.choice(sorted(held))
            self.make(sorted(self.store.leases[lease]))
        self._later(now + 1 + self.chance.randrange(2 * LEASE_NS), "lease ends", call)

    def _return(self, now: int, call: Call) -> None:
        process = call.process
        if call.fate == "info":
            self._record(now, call, "info", None, "timed out")
            process, self._processes = self._processes, self._processes + 1
        elif call.fate == "fail":
            self._record(now, call, "fail", None, call.error or "etcdserver: too many requests")
        else:
            assert call.result is not None
            self._floor = max(self._floor, call.result.header.revision)
            if isinstance(call.request, Compact):
                self._gone = max(self._gone, call.request.revision)
            self._record(now, call, "ok", call.result)
        think = self.chance.randrange(1, 2_000_000)
        self._later(now + think, "invoke", Call(process, call.client, Range(""), "", ""))

    def _record(
        self, now: int, call: Call, kind: EventType, value: Request | Result | None,
        error: str | None = None,
    ) -> None:
        raw = NULL if value is None else msgspec.Raw(self._encode(value))
        node = f"n{call.client % 3 + 1}"
        self._emit(Event(self._events, now, call.process, kind, call.f, raw, node, error))
        self._events += 1


def with_revision(result: Result, revision: int, call: Call) -> Result:
    header = Header(revision=revision, member_id=call.client % 3 + 1)
    return msgspec.structs.replace(result, header=header)


def remaining(changes: Sequence[Change], compacted: int) -> tuple[Change, ...]:
    """What a member that has compacted up to `compacted` still tells."""
    return tuple(one for one in changes if one.revision > compacted)
