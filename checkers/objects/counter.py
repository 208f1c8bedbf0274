"""`counter`: each acknowledged increment is counted once and is never lost.

A counter is a key whose value is a number. An absent key counts as 0. Operations with the function
`increment` change the counter. Each of them is a compare-and-swap of the number, that is, a
transaction such as "if the value is 4, put 5" or "if the key is absent, put 5". Reads of the
counter are linearizable gets, and failed compare-and-swaps whose answers contain the value. In the
histories of other tools, the number before an increment is unknown. Such an increment is
represented as a put of "+5" or "-5".

    lost        A read shows less than the sum of the increments that were acknowledged before the
                read was invoked.
    unexpected  A read shows more than the sum of the increments that were invoked before the read
                returned.
    stale       A read shows less than another read that returned before this read was invoked.
    duplicated  Two acknowledged increments changed the same number, so one of them is not counted.
    never read  An increment was acknowledged and no later read exists. This is not an anomaly, but
                the verdict is unknown.

An increment without an answer may take effect at any time after its invocation, or never.

A decrease is an increment by a negative amount. In a counter with decreases, a later read may show
a lower number, and numbers may repeat. The checker then judges only the bounds (`lost` and
`unexpected`).

Cost: n log n. Source: Jepsen's checker `counter` has the same bounds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from splitbrain.checkers import wording
from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.findings import Findings
from splitbrain.checkers.model.request_parts import must_be_recent
from splitbrain.checkers.verdict import Verdict, not_applicable, with_evidence
from splitbrain.histories.history import History, Operation
from splitbrain.histories.kv import Compare, Put, Range, RangeResult, Txn, TxnResult

NAME = "counter"
INCREMENT = "increment"


class _NotACounter(Exception):
    """Raised if an increment is not a compare-and-swap of a number, or if a value is no number."""


@dataclass(frozen=True, slots=True)
class _Increment:
    """An operation that adds `amount` to the counter `key`.

    `met` is the number that the counter had just before, or None if it is unknown.
    """

    op: Operation
    key: str
    met: int | None
    amount: int


@dataclass(slots=True)
class _Counter:
    """The increments and reads of one counter, up to the event that the sweep has reached."""

    decreases: bool = False
    """True if the history contains a decrease of this counter."""
    sure_up: int = 0
    """The sum of the positive amounts that were acknowledged."""
    possible_up: int = 0
    """The sum of the positive amounts that were invoked."""
    sure_down: int = 0
    possible_down: int = 0
    highest: tuple[int, Operation] | None = None
    """The greatest number that a read has shown, and the read."""
    last_sure: Operation | None = None
    """The last acknowledged increment."""
    unread: Operation | None = None
    """The first increment that was acknowledged after the last invocation of a read."""
    at_call: dict[int, tuple[int, int, tuple[int, Operation] | None]] = field(default_factory=dict)
    """`sure_up`, `sure_down` and `highest` at the invocation of each pending read, by the index of
    the invocation."""


def check_counter(evidence: Evidence) -> Verdict:
    """Each acknowledged increment counts once: none is lost, stale or duplicated.

    The checker applies only to histories that contain operations `increment`.
    """
    history = evidence.history
    if not any(op.f == INCREMENT for op in history.operations):
        return not_applicable(NAME, "the history has no operation increment")
    findings = Findings()
    try:
        steps = {op.invoked: _increment(op) for op in history.operations if op.f == INCREMENT}
        counts = _Sweep(steps, findings).run(history)
    except _NotACounter as reason:
        return Verdict(NAME, None, why=str(reason))
    counts["anomalies"] = findings.count
    verdict = Verdict(
        NAME, findings.valid, tuple(findings.anomalies), counts,
        why="; ".join(findings.unknown), kinds=findings.by_kind,
    )
    return with_evidence(
        verdict, counts["reads"], "no read of a counter succeeded"
    )


def _increment(op: Operation) -> _Increment:
    match op.request:
        case Txn(compare=(Compare() as compare,), success=(Put(key, value),)):
            if compare.key == key and compare.result == "=" and not compare.range_end:
                if compare.target == "value":
                    met = _number(str(compare.operand), op)
                    return _Increment(op, key, met, _number(value, op) - met)
                if compare.target in ("version", "create", "mod") and compare.operand == 0:
                    return _Increment(op, key, 0, _number(value, op))
        case Put(key, value) if value[:1] in ("+", "-"):
            return _Increment(op, key, None, _number(value, op))
    raise _NotACounter(
        f"event {op.invoked} is an increment of another form; expected a transaction: if the "
        "value of a key is a number, or the key is absent, put another number"
    )


def _number(text: str, op: Operation) -> int:
    try:
        return int(text)
    except ValueError:
        raise _NotACounter(
            f"event {op.invoked} has the value {text!r}, which is not a number"
        ) from None


class _Sweep:
    """Judges all reads of counters in one sweep over the events of a history.

    From the invocation of an increment on, a read may contain its amount. From the acknowledgement
    of the increment on, a read must contain it.
    """

    def __init__(self, steps: dict[int, _Increment], findings: Findings) -> None:
        self._steps = steps
        self._findings = findings
        self._counters: dict[str, _Counter] = {}
        self._met: dict[tuple[str, int | None], _Increment] = {}
        self._reads = self._acknowledged = 0
        for step in steps.values():
            counter = self._counters.setdefault(step.key, _Counter())
            counter.decreases = counter.decreases or step.amount < 0

    def run(self, history: History) -> dict[str, int]:
        """Judge all reads of the history, and return the counts for the verdict, by name."""
        by_event: dict[int, Operation] = {}
        for op in history.operations:
            by_event[op.invoked] = op
            if op.outcome == "ok" and op.returned is not None:
                by_event[op.returned] = op
        for index in sorted(by_event):
            op = by_event[index]
            if index == op.invoked:
                self._invoked(op)
            else:
                self._returned(op)
        never_read = [one for one in self._counters.values() if one.unread is not None]
        for counter in never_read:
            assert counter.unread is not None
            self._findings.unknown.append(
                f"never read: {wording.operation(counter.unread)} was acknowledged at "
                f"{wording.seconds(counter.unread.ret or 0)}, and the counter was not read after it"
            )
        return {
            "counters": len(self._counters),
            "increments": len(self._steps),
            "acknowledged": self._acknowledged,
            "reads": self._reads,
        }

    def _invoked(self, op: Operation) -> None:
        for key, _ in _shown(op, self._counters):
            counter = self._counters[key]
            sure = (counter.sure_up, counter.sure_down)
            counter.at_call[op.invoked] = (*sure, counter.highest)
            counter.unread = None
        step = self._steps.get(op.invoked)
        if step is not None and op.outcome != "fail" and not _refused(op):
            counter = self._counters[step.key]
            counter.possible_up += max(step.amount, 0)
            counter.possible_down += min(step.amount, 0)

    def _returned(self, op: Operation) -> None:
        for key, value in _shown(op, self._counters):
            self._judge(key, value, op)
        step = self._steps.get(op.invoked)
        if step is None or _refused(op):
            return
        counter = self._counters[step.key]
        self._acknowledged += 1
        counter.sure_up += max(step.amount, 0)
        counter.sure_down += min(step.amount, 0)
        counter.last_sure = op
        counter.unread = counter.unread or op
        if not counter.decreases and step.amount and step.met is not None:
            self._check_met_once(step)

    def _check_met_once(self, step: _Increment) -> None:
        """Report `step` if it changed the same number as an earlier acknowledged increment.

        In a counter that never decreases, only one acknowledged increment can change a given
        number.
        """
        first = self._met.setdefault((step.key, step.met), step)
        if first is not step:
            self._findings.add(
                "duplicated",
                f"{wording.operation(first.op)} and {wording.operation(step.op)} both replaced "
                f"{step.key} = {step.met}, and were acknowledged at "
                f"{wording.seconds(first.op.ret or 0)} and {wording.seconds(step.op.ret or 0)}: "
                "one of them is not counted",
                first.op, step.op,
            )

    def _judge(self, key: str, value: int, op: Operation) -> None:
        counter = self._counters[key]
        self._reads += 1
        sure_up, sure_down, highest = counter.at_call.pop(op.invoked)
        least, most = sure_up + counter.possible_down, counter.possible_up + sure_down
        shows = (
            f"{wording.operation(op)}, invoked at {wording.seconds(op.call)}, shows {key} = {value}"
        )
        if value < least:
            last = [counter.last_sure] if counter.last_sure else []
            self._findings.add(
                "lost",
                f"{shows}, but the increments acknowledged before it sum to at least {least}",
                op, *last,
            )
        elif value > most:
            self._findings.add(
                "unexpected",
                f"{shows}, but all increments that were invoked by "
                f"{wording.seconds(op.ret or 0)} sum to at most {most}",
                op,
            )
        elif highest is not None and value < highest[0] and not counter.decreases:
            self._findings.add(
                "stale",
                f"{shows}; {wording.operation(highest[1])} had shown {highest[0]} at "
                f"{wording.seconds(highest[1].ret or 0)}",
                highest[1], op,
            )
        if counter.highest is None or value > counter.highest[0]:
            counter.highest = (value, op)


def _refused(op: Operation) -> bool:
    """Return whether `op` is a compare-and-swap that was answered and did not succeed."""
    return isinstance(op.result, TxnResult) and not op.result.succeeded


def _shown(op: Operation, counters: dict[str, _Counter]) -> Iterator[tuple[str, int]]:
    """Yield (key, number) for each of `counters` that the answer of `op` shows."""
    if op.outcome != "ok":
        return
    request = op.request
    if isinstance(request, Range) and isinstance(op.result, RangeResult):
        yield from _read(request, op.result, op, counters)
    elif isinstance(request, Txn) and isinstance(op.result, TxnResult) and not op.result.succeeded:
        for one, answer in zip(request.failure, op.result.responses, strict=False):
            if isinstance(one, Range) and isinstance(answer, RangeResult):
                yield from _read(one, answer, op, counters)


def _read(
    request: Range, answer: RangeResult, op: Operation, counters: dict[str, _Counter]
) -> Iterator[tuple[str, int]]:
    partial = (
        request.keys_only or request.count_only or request.revision or request.filtered
        or answer.more
    )
    if partial or not must_be_recent(request):
        return
    if not request.range_end:
        if request.key in counters:
            yield request.key, _number(answer.kvs[0].value, op) if answer.kvs else 0
        return
    for kv in answer.kvs:
        if kv.key in counters:
            yield kv.key, _number(kv.value, op)
