"""Infers the dependencies between transactions that write and read registers.

Each value is written to a key once, so a read shows which transaction wrote the value. The order
of the versions is known in part (`transactions/version_order.py`). Every key starts absent, or with
the initial value that the caller names. A read of a value is an anomaly if no transaction wrote the
value and it is not the initial value.

Source: Kingsbury and Alvaro 2020, section 5; Adya 1999 for G1a and G1b.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from splitbrain.checkers.transactions import wording
from splitbrain.checkers.transactions.dependencies import (
    KINDS,
    RW,
    RW_ASSUMED,
    WR,
    WW,
    WW_ASSUMED,
    Dependencies,
    Edges,
    Finds,
    UnusableHistory,
)
from splitbrain.checkers.transactions.lost_updates import report_lost_updates
from splitbrain.checkers.transactions.version_order import (
    Use,
    Version,
    VersionOrder,
    by_process,
    by_realtime,
    cyclic,
)
from splitbrain.histories.transaction import Append, Element, Key, Transaction, Write

PAIRS_MAX = 10_000
"""The maximal number of edges from readers of a version to the writers of later versions. Further
edges are left out."""


def infer_registers(
    transactions: Sequence[Transaction],
    order: str = "",
    writes_follow_reads: bool = True,
    initial: Element | None = None,
) -> Dependencies:
    """Return the dependencies of `transactions` over registers.

    `order` is the order that the model respects: "process", "realtime" or "". If `order` is not
    empty, it also orders versions. If `writes_follow_reads` is true, a transaction that reads and
    then writes a key shows the order of two versions: the version that it read is before the
    version that it wrote. Every key starts with the value `initial` (None: the key is absent).

    Raises UnusableHistory if a value was written to a key twice, or if a transaction is over
    lists.
    """
    inference = _Inference(transactions, order, writes_follow_reads, initial)
    inference.gather()
    inference.examine()
    edges, assumed = inference.edges()
    return Dependencies(
        transactions=transactions, committed=inference.committed, edges=edges,
        because=inference.because, found=tuple(inference.finds.kept),
        found_count=inference.finds.count, assumed=assumed,
    )


class _Inference:
    def __init__(
        self,
        transactions: Sequence[Transaction],
        order: str,
        writes_follow_reads: bool,
        initial: Element | None,
    ) -> None:
        self._transactions = transactions
        self._order = order
        self._writes_follow_reads = writes_follow_reads
        self.finds = Finds()
        self.committed = np.array([one.outcome == "ok" for one in transactions], np.bool_)
        self._writers: dict[Version, int] = {}
        self._readers: dict[Version, list[int]] = {}
        """The transactions that read a version before they wrote the key."""
        self._intermediate: dict[Version, None] = {}
        """The versions that were replaced by the transaction that wrote them."""
        self._reads: list[dict[Key, Element | None]] = []
        """For each transaction, the value of its first read of each key, if the read was before
        its writes of the key."""
        self._writes: list[dict[Key, Element]] = []
        """For each transaction, its last write of each key."""
        self._initial = initial
        self._why: dict[tuple[Version, Version], str] = {}

    def gather(self) -> None:
        """Collect the reads and writes of all transactions.

        Raises UnusableHistory if a value was written to a key twice, or if a transaction is over
        lists.
        """
        for place, one in enumerate(self._transactions):
            writes: dict[Key, Element] = {}
            for made in one.operations:
                if type(made) is Append or isinstance(getattr(made, "value", None), tuple):
                    raise UnusableHistory(
                        f"event {one.invoked}: {wording.operation(made)} is of a list; registers "
                        "and lists are judged separately"
                    )
                if type(made) is Write:
                    if made.value == self._initial:
                        raise UnusableHistory(
                            f"event {one.invoked} wrote {made.value} to {made.key}, which is the "
                            "initial value; each value must be written to a key once"
                        )
                    version = (made.key, made.value)
                    if version in self._writers:
                        first = self._transactions[self._writers[version]].invoked
                        raise UnusableHistory(
                            f"{made.value} was written to {made.key} by event {first} and by "
                            f"event {one.invoked}; each value must be written to a key once"
                        )
                    self._writers[version] = place
                    if made.key in writes:
                        self._intermediate[(made.key, writes[made.key])] = None
                    writes[made.key] = made.value
            self._writes.append(writes)

    # --- anomalies that are not cycles

    def examine(self) -> None:
        """Report the anomalies that a single transaction or a single key shows, without a cycle."""
        unwritten: dict[Key, dict[Element | None, int]] = {}
        updates: dict[Version, list[int]] = {}
        for place, one in enumerate(self._transactions):
            reads: dict[Key, Element | None] = {}
            self._reads.append(reads)
            if one.outcome != "ok":
                continue
            state: dict[Key, Element | None] = {}
            for made in one.operations:
                held: Element | None = made.value  # type: ignore[union-attr,assignment]
                if type(made) is Write:
                    state[made.key] = held
                    continue
                if made.key in state:
                    if state[made.key] != held:
                        self._internal(place, made.key, held, state[made.key])
                else:
                    reads[made.key] = held
                    self._first_read(place, (made.key, held), unwritten)
                state[made.key] = held
            for key, held in reads.items():
                if key in self._writes[place]:
                    updates.setdefault((key, held), []).append(place)
        self._lost_updates(updates)
        self._first_states(unwritten)

    def _first_read(
        self, place: int, version: Version, unwritten: dict[Key, dict[Element | None, int]]
    ) -> None:
        key, held = version
        self._readers.setdefault(version, []).append(place)
        writer = self._writers.get(version)
        if writer is None:
            unwritten.setdefault(key, {}).setdefault(held, place)
            return
        if writer == place:
            self._report_read("future-read", place, version, "it wrote only later")
        elif self._transactions[writer].outcome == "fail":
            other = wording.transaction(self._transactions[writer])
            why = f"was written by {other}, and that failed"
            self._report_read("G1a", place, version, why, writer)
        else:
            self.committed[writer] = True
            if version in self._intermediate:
                other = wording.transaction(self._transactions[writer])
                last = self._writes[writer][key]
                why = f"was written by {other} before it wrote {last}"
                self._report_read("G1b", place, version, why, writer)

    def _report_read(
        self, kind: str, place: int, version: Version, why: str, *others: int
    ) -> None:
        self.finds.add(
            kind,
            f"{wording.transaction(self._transactions[place])} read {version[0]} = {version[1]}, "
            f"which {why}",
            place, *others,
        )

    def _internal(
        self, place: int, key: Key, held: Element | None, expected: Element | None
    ) -> None:
        self.finds.add(
            "internal",
            f"{wording.transaction(self._transactions[place])} read {key} = "
            f"{wording.value(held)}, but its own earlier reads and writes require "
            f"{wording.value(expected)}",
            place,
        )

    def _lost_updates(self, updates: dict[Version, list[int]]) -> None:
        report_lost_updates(updates, self._transactions, self.finds, "wrote to it")

    def _first_states(self, unwritten: dict[Key, dict[Element | None, int]]) -> None:
        for key, values in unwritten.items():
            for held, place in values.items():
                if held != self._initial:
                    self.finds.add(
                        "garbage-read",
                        f"{wording.transaction(self._transactions[place])} read {key} = "
                        f"{wording.value(held)}, which no transaction wrote; {key} starts as "
                        f"{wording.value(self._initial)}",
                        place,
                    )

    # --- versions

    def edges(self) -> tuple[Edges, Edges]:
        """Return two sets of edges between the transactions.

        The first set follows from the values alone. The second set follows from the order of
        sessions or from real time, and applies only to models that respect this order.
        """
        order = VersionOrder()
        if self._writes_follow_reads:
            for place in np.flatnonzero(self.committed).tolist():
                for key, held in self._reads[place].items():
                    if key in self._writes[place] and self._writers.get((key, held)) != place:
                        order.add((key, held), (key, self._writes[place][key]), "reads")
        following = {later for _, later in order.pairs}
        for place in np.flatnonzero(self.committed).tolist():
            for key, written in self._writes[place].items():
                if (key, written) not in following:
                    order.add((key, self._initial), (key, written), "first")
        known = self._without_cycles(order.pairs, {}, "cyclic-versions")
        assumed: dict[tuple[Version, Version], str] = {}
        if self._order:
            more = self._by_order()
            more = {pair: why for pair, why in more.items() if pair not in known}
            assumed = self._without_cycles(more, known, f"cyclic-versions-{self._order}")
        self._why = {**known, **assumed}
        wr = [
            (self._writers[version], reader)
            for version, readers in self._readers.items()
            if version in self._writers and self.committed[self._writers[version]]
            for reader in readers
        ]
        plain = Edges.joined([
            Edges.of(WR, [one for one, _ in wr], [other for _, other in wr]),
            *self._between(known, WW, RW),
        ])
        return plain, Edges.joined(self._between(assumed, WW_ASSUMED, RW_ASSUMED))

    def _by_order(self) -> dict[tuple[Version, Version], str]:
        uses: dict[Key, list[Use]] = {}
        for place in np.flatnonzero(self.committed).tolist():
            one, reads, writes = (
                self._transactions[place], self._reads[place], self._writes[place]
            )
            for key in {**reads, **writes}:
                first = (key, reads[key] if key in reads else writes[key])
                last = (key, writes[key] if key in writes else reads[key])
                uses.setdefault(key, []).append(
                    Use(
                        node=place, process=one.process, invoked=one.invoked, returned=one.returned,
                        first=first, last=last,
                    )
                )
        found: dict[tuple[Version, Version], str] = {}
        for of_key in uses.values():
            ordered = by_realtime(of_key) if self._order == "realtime" else by_process(of_key)
            found.update(ordered.pairs)
        return found

    def _without_cycles(
        self, pairs: dict[tuple[Version, Version], str],
        known: dict[tuple[Version, Version], str], kind: str,
    ) -> dict[tuple[Version, Version], str]:
        """Report each key whose versions are ordered in a cycle, and leave out its pairs.

        `pairs` are the pairs to check, and `known` are pairs that were checked before. A pair is
        (earlier version, later version), with the reason for the order. The result contains the
        `pairs` of all other keys. `kind` is the kind of the anomaly.
        """
        contradictory: dict[Key, None] = {}
        for group in cyclic({**known, **pairs}):
            contradictory[group[0][0]] = None
            nodes = [self._writers[one] for one in group if one in self._writers]
            nodes += [self._readers[one][0] for one in group if one in self._readers]
            if len(group) > 1:
                self.finds.add(
                    kind,
                    f"these values of {group[0][0]} would each have to be older than the others: "
                    + ", ".join(wording.value(held) for _, held in group[:6])
                    + f" ({_SOURCES[kind]})",
                    *nodes[:6],
                )
        return {pair: why for pair, why in pairs.items() if pair[0][0] not in contradictory}

    def _between(
        self, pairs: dict[tuple[Version, Version], str], ww: int, rw: int
    ) -> list[Edges]:
        source: dict[int, list[int]] = {ww: [], rw: []}
        target: dict[int, list[int]] = {ww: [], rw: []}
        linked: dict[Version, int] = {}
        for earlier, later in pairs:
            writer = self._writers.get(later, -1)
            if writer < 0 or not self.committed[writer]:
                continue
            maker = self._writers.get(earlier, -1)
            if maker >= 0 and self.committed[maker]:
                source[ww].append(maker)
                target[ww].append(writer)
            readers = self._readers.get(earlier, [])
            room = PAIRS_MAX - linked.get(earlier, 0)
            readers = readers[: max(room, 1)]
            linked[earlier] = linked.get(earlier, 0) + len(readers)
            source[rw] += readers
            target[rw] += [writer] * len(readers)
        return [Edges.of(kind, source[kind], target[kind]) for kind in (ww, rw)]

    # --- words

    def because(self, source: int, target: int, kind: int, name: Callable[[int], str]) -> str:
        """Return the reason why the transaction `source` is before the transaction `target`.

        `kind` is the kind of the dependency. `name` returns the name of a transaction in the
        sentence.
        """
        one, other = name(source), name(target)
        what = KINDS[kind]
        if what == "wr":
            for key, held in self._reads[target].items():
                if self._writers.get((key, held)) == source:
                    return f"{other} read {key} = {held}, which {one} had written"
        for key, written in self._writes[target].items():
            mine = self._writes[source] if what == "ww" else self._reads[source]
            if key not in mine:
                continue
            why = self._why.get(((key, mine[key]), (key, written)))
            if why is None:
                continue
            verb = "wrote" if what == "ww" else "read"
            return (
                f"{one} {verb} {key} = {wording.value(mine[key])}, and {other} wrote {written}, "
                f"which is the later version ({_REASONS[why]})"
            )
        return f"{one} precedes {other} ({what})"


_REASONS = {
    "reads": "a transaction read the first and wrote the second",
    "first": "the first is the initial value of the key",
    "process": "a process used the first and then the second",
    "realtime": "a transaction that used the first ended before one that used the second began",
}
_SOURCES = {
    "cyclic-versions": "because transactions read one and wrote the other",
    "cyclic-versions-process": "because processes saw them one after the other",
    "cyclic-versions-realtime": "because transactions that ran one after the other saw them",
}
