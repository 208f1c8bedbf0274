"""Simulates clients in virtual time against one sequential store.

Each operation takes effect at one moment between its invocation and its answer. An operation with
the outcome `info` takes effect at a moment after its invocation, or never. Serializable reads
return an earlier revision of the store. The same arguments give the same history.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

import msgspec

from splitbrain.checkers.model.evaluation import answer_range, evaluate, refusal_of
from splitbrain.checkers.model.sequential_store import Made
from splitbrain.harness.synthetic.kv_corruptions import Corruptor
from splitbrain.harness.synthetic.pending_operation import Call, Fate
from splitbrain.harness.synthetic.recorded_store import RecordedStore
from splitbrain.harness.synthetic.workloads import SyntheticWorkload
from splitbrain.histories.event import Event, EventType
from splitbrain.histories.kv import Compact, Header, Range, Request, Result, Txn
from splitbrain.histories.random_stream import stream

COMPACTED = "etcdserver: mvcc: required revision has been compacted"
FUTURE = "etcdserver: mvcc: required revision is a future revision"
REFUSALS = {"": "", "compacted": COMPACTED, "future": FUTURE}
LEASE_NS = 200_000_000
"""The mean lifetime of a lease."""
NULL = msgspec.Raw(b"null")


class Simulation:
    """A queue of steps in virtual time. Each event of the history is passed to `emit`.

    There are four kinds of steps: a client invokes an operation, the operation takes effect, the
    operation returns, or a lease ends.
    """

    def __init__(
        self,
        *,
        workload: SyntheticWorkload,
        clients: int,
        uncertain: float,
        failing: float,
        seed: int,
        emit: Callable[[Event], object],
        corruptor: Corruptor | None = None,
    ) -> None:
        self._random = stream(seed, "synthetic")
        self.store = RecordedStore()
        self._corruptor = corruptor
        self._compactable_max = 0
        """The revision before the corrupted one, or 0 if no revision is corrupted yet. No
        compaction goes beyond it, because the members' logs must contain the corrupted revision."""
        self._compaction_acknowledged = 0
        """The highest revision of any acknowledged compaction so far."""
        self._workload = workload
        self._uncertain, self._failing = uncertain, failing
        self._emit = emit
        self._encode = msgspec.json.Encoder().encode
        self._events = 0
        self._queue: list[tuple[int, int, str, Call]] = []
        self._invoked = 0
        self._processes = clients
        self._scheduled = 0
        self._now = 0
        self._floor = 1
        """The highest revision in any answer so far."""
        for client in range(clients):
            self._schedule(client, "invoke", _idle(client, client))
        if workload.leases:
            self._schedule(LEASE_NS, "lease ends", _idle(-1, -1))

    def _schedule(self, at: int, step: str, call: Call) -> None:
        self._scheduled += 1
        heapq.heappush(self._queue, (at, self._scheduled, step, call))

    def run(self, operations: int) -> None:
        """Invoke and complete `operations` operations, then read all keys three times."""
        queue = self._queue
        while queue:
            now, _, step, call = heapq.heappop(queue)
            if step == "invoke":
                if self._invoked < operations:
                    self._invoke(now, call)
            elif step == "effect":
                self._take_effect(call)
            elif step == "return":
                self._return(now, call)
            elif step == "invoke late":
                self._invoke_late(now, call)
            elif self._invoked < operations:
                self._end_lease(now, call)
            self._now = now
        for client in range(3):
            self._read_all(client)

    def _read_all(self, client: int) -> None:
        """Read all keys at one member, as at the end of a run."""
        call = Call(
            process=self._processes + client, client=client, request=Range("\0", "\0"),
            f="final_read", fate="ok",
        )
        self._record(self._now, call, "invoke", call.request)
        self._take_effect(call)
        self._record(self._now, call, "ok", call.result)

    def _invoke(self, now: int, idle: Call) -> None:
        self._invoked += 1
        random = self._random
        request = self._workload.draw(random, self._invoked, self.store.revision)
        if isinstance(request, Compact) and 0 < self._compactable_max < request.revision:
            request = Compact(self._compactable_max)
        draw = random.random()
        fate: Fate = "ok"
        if draw < self._uncertain:
            fate = "info"
        elif draw < self._uncertain + self._failing:
            fate = "fail"
        call = Call(
            process=idle.process, client=idle.client, request=request, f=self._function(request),
            fate=fate, floor=self._floor, compacted=self._compaction_acknowledged,
        )
        wait = int(random.expovariate(1 / 1_000_000)) + 1
        effect = now + wait
        ended = effect + int(random.expovariate(1 / 500_000)) + 1
        if self._corruptor is not None and self._corruptor.before(self.store, call, self._invoked):
            self._schedule(now + 5_000_000, "invoke late", call)
            return
        self._record(now, call, "invoke", request)
        if fate == "ok":
            self._schedule(effect, "effect", call)
        elif fate == "info" and random.random() < 0.5:
            self._schedule(effect + random.randrange(0, 40_000_000), "effect", call)
        self._schedule(ended, "return", call)

    def _invoke_late(self, now: int, call: Call) -> None:
        """Record the invocation of an operation only after it has taken effect (a corruption).

        The invocation is postponed until a client has seen the effect.
        """
        assert call.result is not None
        assert self._corruptor is not None
        if self._floor < call.result.header.revision:
            if self._queue:
                self._schedule(now + 1_000_000, "invoke late", call)
                return
            self._corruptor.done = False
        self._record(now, call, "invoke", call.request)
        self._schedule(now + 1_000_000, "return", call)

    def _function(self, request: Request) -> str:
        if self._workload.adds and not isinstance(request, Range):
            return "add"
        return type(request).__name__.lower()

    def _take_effect(self, call: Call) -> None:
        request, store = call.request, self.store
        error = self._refusal(request, call)
        if error:
            if self._corruptor is not None and call.fate == "ok":
                changes = self._corruptor.refused(store, call, self._invoked)
                if changes:
                    store.commit(changes)
            call.fate = "fail" if call.fate == "ok" else call.fate
            call.error = error
            return
        result, changes = evaluate(store, request)
        claimed = store.revision + bool(changes)
        if self._corruptor is not None and self._corruptor.corruption.effect is not None:
            changes = self._corrupt_effect(self._corruptor, call, changes)
        if changes:
            self.store.commit(changes)
            claimed = store.revision
        revision = claimed
        if isinstance(request, Range) and request.serializable and not request.revision:
            revision = max(1, revision - self._random.randrange(4))
            kvs = store.past(request.key, request.range_end, revision)
            result = answer_range(request, kvs, len(kvs))
        call.result = with_revision(result, revision, call)
        if self._corruptor is not None and call.fate == "ok":
            call.result = self._corruptor.answer(self.store, call, call.result, self._invoked)

    def _corrupt_effect(self, corruptor: Corruptor, call: Call, changes: Made) -> Made:
        before = self.store.revision
        changes = corruptor.effect(self.store, call, changes, self._invoked)
        if corruptor.done and not self._compactable_max:
            self._compactable_max = before
        return changes

    def _refusal(self, request: Request, call: Call) -> str:
        """Return the error with which the store refuses `request`; "" if it accepts the request."""
        if isinstance(request, Txn):
            return REFUSALS[refusal_of(self.store, request)]
        if not isinstance(request, Range | Compact) or not request.revision:
            return ""
        if request.revision > self.store.revision:
            return FUTURE
        compacted = self.store.compacted
        if isinstance(request, Range):
            if request.revision >= compacted:
                return ""
            corruptor = self._corruptor
            if corruptor is not None and corruptor.ignores_compaction(call, self._invoked):
                return ""
            return COMPACTED
        if request.revision <= compacted:
            return COMPACTED
        self.store.compacted = request.revision
        return ""

    def _end_lease(self, now: int, call: Call) -> None:
        leases = [lease for lease, keys in self.store.leases.items() if keys]
        if leases:
            lease = self._random.choice(sorted(leases))
            self.store.commit(sorted(self.store.leases[lease]))
        self._schedule(now + 1 + self._random.randrange(2 * LEASE_NS), "lease ends", call)

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
                self._compaction_acknowledged = max(
                    self._compaction_acknowledged, call.request.revision
                )
            self._record(now, call, "ok", call.result)
        think = self._random.randrange(1, 2_000_000)
        self._schedule(now + think, "invoke", _idle(process, call.client))

    def _record(
        self, now: int, call: Call, kind: EventType, value: Request | Result | None,
        error: str | None = None,
    ) -> None:
        raw = NULL if value is None else msgspec.Raw(self._encode(value))
        node = f"n{call.client % 3 + 1}"
        self._emit(Event(
            index=self._events, time=now, process=call.process, type=kind, f=call.f, value=raw,
            node=node, error=error,
        ))
        self._events += 1


def _idle(process: int, client: int) -> Call:
    """Return a placeholder for a client that has not drawn its next operation yet."""
    return Call(process=process, client=client, request=Range(""), f="", fate="ok")


def with_revision(result: Result, revision: int, call: Call) -> Result:
    """Return `result` with a header of `revision`, from the member that received `call`."""
    header = Header(revision=revision, member_id=call.client % 3 + 1)
    return msgspec.structs.replace(result, header=header)
