"""Infers the dependencies between transactions that append to lists and read them.

Each element is appended to a key once. A read therefore shows which transactions wrote the list,
and in which order. The longest read of a key gives the order of its versions, and every other read
must be a prefix of the longest read. A key whose reads contradict each other gives no edges.

If no read shows an element, the element was appended after all elements of the longest read,
because lists only grow. If the transaction that appended the element has an unknown outcome, this
conclusion requires that a read shows another element of the transaction. Otherwise the transaction
may not have taken effect.

Source: Kingsbury and Alvaro 2020, sections 4 and 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from splitbrain.checkers.transactions import wording
from splitbrain.checkers.transactions.dependencies import (
    RW,
    WR,
    WW,
    Dependencies,
    Edges,
    Finds,
    UnusableHistory,
)
from splitbrain.checkers.transactions.list_append_reasons import Reasons
from splitbrain.checkers.transactions.lost_updates import report_lost_updates
from splitbrain.histories.transaction import Append, Element, Key, Read, Transaction

PAIRS_MAX = 10_000
"""The maximal number of edges from readers of a key's last version to unread appends. Further
edges are left out. This may hide a cycle of lost elements, but never adds one."""


def infer_list_append(transactions: Sequence[Transaction]) -> Dependencies:
    """Return the dependencies of `transactions` over lists.

    Raises UnusableHistory if an element was appended to a key twice, or if a transaction reads or
    writes a value that is not a list. The cost is linear in the number of elements that were read.
    """
    inference = _Inference(transactions)
    inference.gather()
    inference.examine()
    inference.commit_read_transactions()
    edges = inference.edges()
    return Dependencies(
        transactions=transactions, committed=inference.committed, edges=edges,
        because=inference.reasons().because, found=tuple(inference.finds.kept),
        found_count=inference.finds.count,
    )


class _Inference:
    def __init__(self, transactions: Sequence[Transaction]) -> None:
        self._transactions = transactions
        self.finds = Finds()
        self.committed = np.array([one.outcome == "ok" for one in transactions], np.bool_)
        self._writers: dict[Key, dict[Element, int]] = {}
        """The transaction that appended each element, whatever its outcome."""
        self._intermediate: dict[Key, set[Element]] = {}
        """The elements after which the same transaction appended another element to the key."""
        self._runs: list[tuple[int, Key, tuple[Element, ...]]] = []
        """(transaction, key, elements) for transactions that appended several elements to a key."""
        self._longest: dict[Key, tuple[Element, ...]] = {}
        self._contradictory: dict[Key, None] = {}
        """Keys without an order: their reads contradict each other, or contain an element twice."""
        self._numbers: dict[Key, int] = {}
        self._read_by: list[int] = []
        self._read_key: list[int] = []
        self._read_length: list[int] = []
        self._updates: list[int] = []
        """The reads whose transaction then appended to the key, as indexes in the three lists
        above."""
        self._readers: dict[Key, list[tuple[int, tuple[Element, ...]]]] | None = None

    # --- appends and reads

    def gather(self) -> None:
        """Collect all reads and appends. Raises UnusableHistory if the history cannot be judged."""
        writers, longest = self._writers, self._longest
        for place, one in enumerate(self._transactions):
            ok = one.outcome == "ok"
            for made in one.operations:
                key = made.key
                if type(made) is Append:
                    of_key = writers.get(key)
                    if of_key is None:
                        of_key = writers[key] = {}
                    if made.element in of_key:
                        raise UnusableHistory(self._twice(of_key[made.element], place, made))
                    of_key[made.element] = place
                elif type(made) is Read:
                    if not ok or not made.value:
                        continue
                    held = made.value
                    if type(held) is not tuple:
                        raise UnusableHistory(self._no_list(place, made))
                    if len(held) > len(longest.get(key, ())):
                        longest[key] = held
                else:
                    raise UnusableHistory(self._no_list(place, made))
        for key in {**writers, **longest}:
            longest.setdefault(key, ())
            writers.setdefault(key, {})
        for place, one in enumerate(self._transactions):
            if len(one.operations) > 1:
                self._gather_runs(place, one)

    def _gather_runs(self, place: int, one: Transaction) -> None:
        runs: dict[Key, tuple[Element, ...]] = {}
        for made in one.operations:
            if type(made) is Append:
                runs[made.key] = (*runs.get(made.key, ()), made.element)
        for key, run in runs.items():
            if len(run) > 1:
                self._runs.append((place, key, run))
                self._intermediate.setdefault(key, set()).update(run[:-1])

    def _twice(self, first: int, second: int, made: Append) -> str:
        both = self._transactions[first], self._transactions[second]
        return (
            f"{made.element} was appended to {made.key} by event {both[0].invoked} and by event "
            f"{both[1].invoked}; each element must be appended to a key once"
        )

    def _no_list(self, place: int, made: Any) -> str:
        return (
            f"event {self._transactions[place].invoked}: {wording.operation(made)} is not an "
            "append to a list or a read of one; registers and lists are judged separately"
        )

    # --- anomalies that are not cycles

    def examine(self) -> None:
        """Report the anomalies that a single transaction or a single key shows, without a cycle."""
        longest = self._longest
        numbers = self._numbers = {key: number for number, key in enumerate(longest)}
        by, keys, lengths = self._read_by, self._read_key, self._read_length
        for place, one in enumerate(self._transactions):
            if one.outcome != "ok":
                continue
            state: dict[Key, Any] = {}
            for made in one.operations:
                key = made.key
                if type(made) is Read:
                    held: Any = made.value or ()
                    whole = longest.get(key)
                    if whole is None:
                        whole = longest[key] = ()
                        numbers[key] = len(numbers)
                        self._writers[key] = {}
                    if whole[: len(held)] != held:
                        self._incompatible(place, key, held)
                    if key in state:
                        self._check_internal(place, made, held, state[key][0])
                        state[key] = (held, -1)
                    else:
                        state[key] = (held, len(by))
                        by.append(place)
                        keys.append(numbers[key])
                        lengths.append(len(held))
                else:
                    assert type(made) is Append
                    self._append_in(place, made, state)
        for key, whole in longest.items():
            if key in self._contradictory or len(set(whole)) != len(whole):
                self._duplicates(key)
        self._check_writers()
        for place, key, run in self._runs:
            if key not in self._contradictory:
                self._check_run(place, key, run)

    def _check_run(self, place: int, key: Key, run: tuple[Element, ...]) -> None:
        """Check that the longest read of `key` shows the elements `run` in this order.

        `run` contains the elements that the transaction `place` appended to `key`. Elements of
        other transactions between them are not reported here, because they lead to a cycle, which
        `find_cycles` reports.
        """
        whole = self._longest[key]
        if run[0] in whole:
            begin = whole.index(run[0])
            if whole[begin : begin + len(run)] == run:
                return
        own = set(run)
        seen = tuple(element for element in whole if element in own)
        if seen != run[: len(seen)]:
            reader = next(who for who, held in self._reads_of(key) if held == whole)
            self.finds.add(
                "incompatible-order",
                f"{wording.transaction(self._transactions[place])} appended "
                f"{wording.value(run)} to {key}, but of these {wording.value(seen)} was read, in "
                f"this order (event {self._transactions[reader].invoked})",
                place, reader,
            )

    def _append_in(self, place: int, made: Append, state: dict[Key, Any]) -> None:
        """Add the append `made` to `state`: what the transaction has read and appended so far.

        `place` is the index of the transaction. `state` maps each key to a pair: the elements that
        the transaction knows, and the index of the read that showed them (-1: no read). The
        elements are a tuple if they are the whole value of the key, and a list if they are only the
        end of the value.
        """
        known, read = state.get(made.key, (None, -1))
        if known is None:
            state[made.key] = ([made.element], -1)
        elif type(known) is list:
            known.append(made.element)
        else:
            if made.element in known:
                self.finds.add(
                    "future-read",
                    f"{wording.transaction(self._transactions[place])} read {made.element} in "
                    f"{made.key} before it appended it",
                    place,
                )
            if read >= 0:
                self._updates.append(read)
            state[made.key] = ((*known, made.element), -1)

    def _check_internal(self, place: int, made: Read, held: Any, expected: Any) -> None:
        if type(expected) is list:
            if list(held[-len(expected):]) == expected:
                return
            expected_text = f"a list that ends in {wording.value(tuple(expected))}"
        elif held == expected:
            return
        else:
            expected_text = wording.value(expected)
        self.finds.add(
            "internal",
            f"{wording.transaction(self._transactions[place])} read {made.key} = "
            f"{wording.value(held)}, but its own earlier reads and appends require "
            f"{expected_text}",
            place,
        )

    def _incompatible(self, place: int, key: Key, held: tuple[Element, ...]) -> None:
        self._contradictory[key] = None
        if self.finds.full("incompatible-order"):
            self.finds.count["incompatible-order"] += 1
            return
        whole = self._longest[key]
        other = next(who for who, seen in self._reads_of(key) if seen == whole)
        self.finds.add(
            "incompatible-order",
            f"{key} was read as {wording.around_difference(held, whole)} (event "
            f"{self._transactions[place].invoked}) and as "
            f"{wording.around_difference(whole, held)} (event "
            f"{self._transactions[other].invoked}): neither is a prefix of the other",
            place, other,
        )

    def _duplicates(self, key: Key) -> None:
        for place, held in self._reads_of(key):
            seen: set[Element] = set()
            twice = [one for one in held if one in seen or seen.add(one)]  # type: ignore[func-returns-value]
            if twice:
                self._contradictory[key] = None
                self.finds.add(
                    "duplicate-elements",
                    f"{wording.transaction(self._transactions[place])} read {twice[0]} in {key} "
                    "twice, but it was appended once",
                    place, *self._writer_of(key, twice[0]),
                )

    def _writer_of(self, key: Key, element: Element) -> tuple[int, ...]:
        writer = self._writers[key].get(element)
        return () if writer is None else (writer,)

    def _reads_of(self, key: Key) -> list[tuple[int, tuple[Element, ...]]]:
        """Return (transaction, elements) for all reads of `key` by transactions that are ok."""
        if self._readers is None:
            self._readers = {}
            for place, one in enumerate(self._transactions):
                if one.outcome == "ok":
                    for made in one.operations:
                        if type(made) is Read:
                            held: Any = made.value or ()
                            self._readers.setdefault(made.key, []).append((place, held))
        return self._readers.get(key, [])

    def _check_writers(self) -> None:
        """Report reads of elements that no transaction, or only a failed transaction, appended."""
        transactions = self._transactions
        for key, whole in self._longest.items():
            writers = self._writers[key]
            seen: dict[Element, None] = dict.fromkeys(whole)
            if key in self._contradictory:
                for _, held in self._reads_of(key):
                    seen.update(dict.fromkeys(held))
            for element in seen:
                writer = writers.get(element)
                if writer is None:
                    self._report_readers("garbage-read", key, element, None)
                elif transactions[writer].outcome == "fail":
                    self._report_readers("G1a", key, element, writer)
            if any(transactions[writers[one]].outcome == "fail" for one in whole if one in writers):
                self._dirty_updates(key, whole)

    def _report_readers(
        self, kind: str, key: Key, element: Element, writer: int | None
    ) -> None:
        why = (
            "which no transaction appended"
            if writer is None
            else f"which was appended by {wording.transaction(self._transactions[writer])}, and "
            "that failed"
        )
        for place, held in self._reads_of(key):
            if element in held:
                others = () if writer is None else (writer,)
                self.finds.add(
                    kind,
                    f"{wording.transaction(self._transactions[place])} read {element} in {key}, "
                    f"{why}",
                    place, *others,
                )

    def _dirty_updates(self, key: Key, whole: tuple[Element, ...]) -> None:
        failed: tuple[Element, int] | None = None
        for element in whole:
            writer = self._writers[key].get(element)
            if writer is None:
                continue
            outcome = self._transactions[writer].outcome
            if outcome == "fail":
                failed = (element, writer)
            elif outcome == "ok":
                if failed is not None:
                    self.finds.add(
                        "dirty-update",
                        f"{wording.transaction(self._transactions[writer])} appended {element} to "
                        f"{key} after {failed[0]}, which a failed transaction appended",
                        writer, failed[1],
                    )
                failed = None

    # --- edges

    def commit_read_transactions(self) -> None:
        """Mark transactions with an unknown outcome as committed if a read shows their elements."""
        for key, whole in self._longest.items():
            writers = self._writers[key]
            reads = [whole]
            if key in self._contradictory:
                reads = [held for _, held in self._reads_of(key)]
            for held in reads:
                for element in held:
                    writer = writers.get(element, -1)
                    if writer >= 0 and self._transactions[writer].outcome == "info":
                        self.committed[writer] = True

    def edges(self) -> Edges:
        """Return the dependencies between the transactions, for all keys.

        The versions of all keys are numbered consecutively. The version of `key` with n elements
        has the number `begin[key] + n`. For each number, `maker` contains the transaction that
        wrote the version. `after` contains the transaction that wrote the next version whose writer
        is known.
        """
        if not self._longest:
            return Edges.none()
        begin: list[int] = []
        maker: list[int] = []
        after: list[int] = []
        between: list[bool] = []
        extra: list[Edges] = []
        unseen: dict[int, list[int]] = {}
        for key, whole in self._longest.items():
            begin.append(len(maker))
            if key in self._contradictory:
                made = [-1] * (len(whole) + 1)
                maker += made
                after += made
                between += [False] * len(made)
                continue
            made = [-1, *self._makers(key, whole)]
            inside = self._intermediate.get(key, ())
            between += [False, *(element in inside for element in whole)]
            following = [*made[1:], -1]
            if -1 in following[:-1]:
                known = [one for one in made if one >= 0]
                extra.append(Edges.of(WW, known[:-1], known[1:]))
                for place in range(len(made) - 2, -1, -1):
                    if following[place] < 0:
                        following[place] = following[place + 1]
            if len(self._writers[key]) > len(whole):
                late = self._unseen(key, whole)
                if late:
                    end = len(maker) + len(whole)
                    unseen[end] = late
                    last = next((one for one in reversed(made) if one >= 0), -1)
                    extra.append(Edges.of(WW, [last] * len(late), late))
            maker += made
            after += following
        makers = np.array(maker, np.int32)
        readers = np.array(self._read_by, np.int32)
        version = np.array(begin, np.int64)[np.array(self._read_key, np.int64)]
        version += np.array(self._read_length, np.int64)
        self._intermediate_reads(np.array(between, np.bool_), makers, readers, version)
        self._lost_updates(version)
        extra.append(self._before_unseen(unseen, readers, version))
        return Edges.joined([
            Edges.of(WW, makers[:-1], makers[1:]),
            Edges.of(WR, makers[version], readers),
            Edges.of(RW, readers, np.array(after, np.int32)[version]),
            *extra,
        ])

    def _makers(self, key: Key, whole: tuple[Element, ...]) -> list[int]:
        """Return for each of `whole` the committed transaction that appended it to `key`, or -1."""
        writers, committed = self._writers[key], self.committed
        found = [writers.get(element, -1) for element in whole]
        return [one if one >= 0 and committed[one] else -1 for one in found]

    def _unseen(self, key: Key, whole: tuple[Element, ...]) -> list[int]:
        """Return the committed transactions that appended to `key` an element not in `whole`."""
        seen = set(whole)
        return list(dict.fromkeys(
            writer for element, writer in self._writers[key].items()
            if element not in seen and self.committed[writer]
        ))

    def _before_unseen(self, unseen: dict[int, list[int]], readers: Any, version: Any) -> Edges:
        """Return the anti-dependencies of the readers that saw the longest list of a key.

        They are before each transaction that appended an element that no read shows. `unseen` maps
        the number of a key's last version to these transactions. Read i was made by the transaction
        `readers[i]`, and read the version with the number `version[i]`.
        """
        source: list[int] = []
        target: list[int] = []
        if unseen:
            at_end = np.isin(version, list(unseen))
            by_end: dict[int, list[int]] = {}
            for reader, end in zip(
                readers[at_end].tolist(), version[at_end].tolist(), strict=True
            ):
                by_end.setdefault(end, []).append(reader)
            for end, some in by_end.items():
                late = unseen[end]
                most = len(some)
                if len(some) * len(late) > PAIRS_MAX:
                    most = int(PAIRS_MAX**0.5)
                    late = late[:most]
                for reader in some[:most]:
                    source += [reader] * len(late)
                    target += late
        return Edges.of(RW, source, target)

    def _intermediate_reads(self, between: Any, makers: Any, readers: Any, version: Any) -> None:
        if not between.any():
            return
        wrong = np.flatnonzero(between[version])
        keys = list(self._longest)
        for place in wrong.tolist():
            reader, writer = int(readers[place]), int(makers[version[place]])
            key = keys[self._read_key[place]]
            if reader == writer or writer < 0 or key in self._contradictory:
                continue
            element = self._longest[key][self._read_length[place] - 1]
            self.finds.add(
                "G1b",
                f"{wording.transaction(self._transactions[reader])} read {key} up to {element}, "
                f"an intermediate state of {wording.transaction(self._transactions[writer])}",
                reader, writer,
            )

    def _lost_updates(self, version: Any) -> None:
        """Report transactions that read one version of a key and then all appended to it."""
        keys = list(self._longest)
        by_version: dict[tuple[Key, Any], list[int]] = {}
        updates = np.array(self._updates, np.int64)
        if not len(updates):
            return
        contradictory = {self._numbers[key] for key in self._contradictory}
        versions, count = np.unique(version[updates], return_counts=True)
        shared = set(versions[count > 1].tolist())
        for place in self._updates:
            number = self._read_key[place]
            reader, key = self._read_by[place], keys[number]
            if number in contradictory:
                held = next(held for who, held in self._reads_of(key) if who == reader)
                by_version.setdefault((key, held), []).append(reader)
            elif int(version[place]) in shared:
                held = self._longest[key][: self._read_length[place]]
                by_version.setdefault((key, held), []).append(reader)
        report_lost_updates(by_version, self._transactions, self.finds, "appended to it")

    def reasons(self) -> Reasons:
        """Return an object that explains in words why one transaction is before another."""
        return Reasons(self._transactions, self.committed, self._writers, self._longest)
