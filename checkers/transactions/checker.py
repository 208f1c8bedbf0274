"""`transactions`: transactions show no anomaly that the consistency model forbids.

Cost: linear in the operations of the transactions, unless many of them are on cycles.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from splitbrain.checkers.evidence import Evidence
from splitbrain.checkers.model.request_parts import parts
from splitbrain.checkers.transactions import wording
from splitbrain.checkers.transactions.cycles import Cycle, CyclesFound, find_cycles
from splitbrain.checkers.transactions.dependencies import (
    KINDS,
    PROCESS,
    REALTIME,
    RW,
    WR,
    WW,
    Dependencies,
    Found,
    UnusableHistory,
)
from splitbrain.checkers.transactions.kv_transactions import LISTS, REGISTERS, transactions_of
from splitbrain.checkers.transactions.list_append import infer_list_append
from splitbrain.checkers.transactions.models import (
    CONTRADICTS,
    DEFAULT,
    contradicted,
    forbids,
    implied,
    model_named,
    order_of,
    weakest,
)
from splitbrain.checkers.transactions.rw_register import infer_registers
from splitbrain.checkers.verdict import Anomaly, Verdict, not_applicable, with_evidence
from splitbrain.checkers.wording import seconds
from splitbrain.histories.garbage_collection import collector_paused
from splitbrain.histories.kv import Delete
from splitbrain.histories.transaction import Element, Read, Transaction, Write

NAME = "transactions"


def check_history(evidence: Evidence) -> Verdict:
    """Transactions satisfy the consistency model, by default strict serializability.

    The model is `evidence.consistency`. The checker applies only to histories that contain
    operations `append` or `wr` and no deletes. The verdict is unknown if an element is written
    twice.
    """
    functions = {op.f for op in evidence.history.operations}
    if LISTS not in functions and REGISTERS not in functions:
        return not_applicable(NAME, f"the history has no operation {LISTS} or {REGISTERS}")
    if LISTS in functions and REGISTERS in functions:
        return Verdict(NAME, None, why="the history contains operations on lists and on registers")
    for op in evidence.history.operations:
        if any(isinstance(part, Delete) for part in parts(op.request)):
            return not_applicable(
                NAME, f"event {op.invoked} deletes a key, and a deleted key has no unique value"
            )
    transactions = transactions_of(evidence.history, lists=LISTS in functions)
    return check_transactions(transactions, evidence.consistency)


def check_transactions(
    transactions: Sequence[Transaction],
    model: str = DEFAULT,
    initial: Element | None = None,
) -> Verdict:
    """Judge whether `transactions`, over lists or over registers, show an anomaly.

    `transactions` are in the order of their invocations. Every register starts with the value
    `initial` (None: the register is absent).

    The verdict is invalid if an anomaly contradicts `model`. Anomalies that `model` allows are
    only counted. The verdict is unknown if an element was written twice, or if the search ended
    without a result. Otherwise it is valid. If the transactions are over lists and each element
    was read, a valid verdict proves that the history satisfies `model`. For registers, it does not
    prove this.

    Raises ValueError for an unknown model. Sources: see `splitbrain.checkers.transactions.models`.
    """
    model = model_named(model)
    with collector_paused():
        return _check(transactions, model, initial)


def _check(
    transactions: Sequence[Transaction], model: str, initial: Element | None
) -> Verdict:
    counts: dict[str, Any] = {"transactions": len(transactions), "model": model}
    for outcome in ("ok", "fail", "info"):
        counts[outcome] = sum(one.outcome == outcome for one in transactions)
    try:
        dependencies = infer(transactions, model, initial)
    except UnusableHistory as reason:
        return Verdict(NAME, None, counts=counts, why=f"the history cannot be judged: {reason}")
    for kind, name in ((WW, "ww"), (WR, "wr"), (RW, "rw")):
        counts[name] = int((dependencies.edges.kind == kind).sum())
    cycles = find_cycles(dependencies, order_of(model))
    reads = any(
        one.outcome == "ok" and any(type(made) is Read for made in one.operations)
        for one in transactions
    )
    verdict = _verdict(dependencies, cycles, model, counts)
    return with_evidence(verdict, reads, "no transaction that read a key succeeded")


def infer(
    transactions: Sequence[Transaction],
    model: str = DEFAULT,
    initial: Element | None = None,
) -> Dependencies:
    """Return the dependencies of `transactions`: the order in which they must have happened.

    The transactions must be all over lists, or all over registers. Every register starts with the
    value `initial` (None: the register is absent).
    """
    if of_registers(transactions):
        return infer_registers(
            transactions, order_of(model),
            writes_follow_reads="read-committed" in implied(model), initial=initial,
        )
    return infer_list_append(transactions)


def of_registers(transactions: Sequence[Transaction]) -> bool:
    """Return whether the transactions are over registers, not over lists.

    The first operation that shows this decides: a write, an append, or a read of a value.
    """
    for one in transactions:
        for made in one.operations:
            if type(made) is Write:
                return True
            if type(made) is Read:
                if made.value is None:
                    continue
                return not isinstance(made.value, tuple)
            return False
    return False


def _verdict(
    dependencies: Dependencies, cycles: CyclesFound, model: str, counts: dict[str, Any]
) -> Verdict:
    kinds = dict.fromkeys([*dependencies.found_count, *(one.kind for one in cycles.cycles)])
    for kind, number in {**dependencies.found_count, **cycles.components}.items():
        counts[kind] = number
    impossible = contradicted(kinds)
    if impossible:
        counts["contradicted"] = ", ".join(weakest(impossible))
    anomalies = [
        *(_found(one, dependencies) for one in dependencies.found if forbids(model, one.kind)),
        *(_cycle(one, dependencies) for one in cycles.cycles if forbids(model, one.kind)),
    ]
    if anomalies:
        return Verdict(
            NAME, False, tuple(_worst_first(anomalies)), counts,
            kinds={one.kind: counts[one.kind] for one in anomalies},
        )
    undecided = [kind for kind in cycles.undecided if forbids(model, kind)]
    if undecided:
        why = (
            f"the search for {', '.join(undecided)} reached its limit, because there are too many "
            "cycles of other kinds"
        )
        return Verdict(NAME, None, counts=counts, why=why)
    allowed = f"found {', '.join(kinds)}, which {model} allows" if kinds else ""
    return Verdict(NAME, True, counts=counts, why=allowed)


def _worst_first(anomalies: Sequence[Anomaly]) -> list[Anomaly]:
    """Sort the anomalies so that the first few show all kinds.

    One anomaly of each kind comes first, then a second one of each kind, and so on. Within each
    round, the anomalies that contradict the weakest models come first.
    """
    severity = {kind: place for place, kind in enumerate(CONTRADICTS)}
    seen: dict[str, int] = {}
    ranked = []
    for place, one in enumerate(anomalies):
        seen[one.kind] = seen.get(one.kind, 0) + 1
        strength = len(contradicted([one.kind]))
        ranked.append(((seen[one.kind], -strength, severity[one.kind], place), one))
    return [one for _, one in sorted(ranked, key=lambda pair: pair[0])]


def _found(one: Found, dependencies: Dependencies) -> Anomaly:
    chosen = [dependencies.transactions[node] for node in one.nodes]
    return Anomaly(
        kind=one.kind, because=f"{one.kind}: {one.because}", events=_events(chosen),
        members=_members(chosen), detail={"contradicts": list(CONTRADICTS[one.kind])},
    )


def _cycle(cycle: Cycle, dependencies: Dependencies) -> Anomaly:
    """Describe a cycle of transactions in words, as an anomaly.

    `detail["cycle"]` of the anomaly contains the edges of the cycle, for a picture.
    """
    transactions = dependencies.transactions
    names = {node: f"T{place}" for place, node in enumerate(dict.fromkeys(cycle.nodes), start=1)}
    steps = []
    for edge in cycle.edges:
        reason = _because(dependencies, edge.source, edge.target, edge.kind, names.__getitem__)
        steps.append({
            "from": names[edge.source], "to": names[edge.target],
            "kind": KINDS[edge.kind], "because": reason,
        })
    reasons = "; ".join(
        f"{step['because']}: {step['from']} comes before {step['to']}" for step in steps
    )
    who = "; ".join(
        f"{name} is {wording.who(transactions[node])}: {wording.operations(transactions[node])}"
        for node, name in names.items()
    )
    chosen = [transactions[node] for node in names]
    return Anomaly(
        kind=cycle.kind,
        because=f"{cycle.kind}: {reasons}. So each of them would have to come before itself. {who}",
        events=_events(chosen),
        members=_members(chosen),
        detail={
            "contradicts": list(CONTRADICTS[cycle.kind]),
            "cycle": {
                "transactions": [
                    {
                        "name": name, "process": transactions[node].process,
                        "event": transactions[node].invoked,
                        "operations": [
                            wording.operation(made)
                            for made in transactions[node].operations[: wording.OPERATIONS_MAX]
                        ],
                    }
                    for node, name in names.items()
                ],
                "steps": steps,
            },
        },
    )


def _because(
    dependencies: Dependencies, source: int, target: int, kind: int, name: Callable[[int], str]
) -> str:
    one, other = dependencies.transactions[source], dependencies.transactions[target]
    if kind == PROCESS:
        return f"process {one.process} ran {name(source)} and then {name(target)}"
    if kind == REALTIME:
        ended = "" if one.ended_ns is None or one.ended_ns < 0 else f" at {seconds(one.ended_ns)}"
        began = "" if other.call_ns < 0 else f" at {seconds(other.call_ns)}"
        return f"{name(source)} had ended{ended} when {name(target)} began{began}"
    return dependencies.because(source, target, kind, name)


def _events(chosen: Sequence[Transaction]) -> tuple[int, ...]:
    found = {index for one in chosen for index in (one.invoked, one.returned) if index is not None}
    return tuple(sorted(found))


def _members(chosen: Sequence[Transaction]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one.node for one in chosen if one.node))
