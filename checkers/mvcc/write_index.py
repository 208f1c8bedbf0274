"""Finds the operations of a history that may have made a given change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from splitbrain.checkers.model.request_parts import parts
from splitbrain.checkers.model.sequential_store import in_interval
from splitbrain.histories.history import Operation
from splitbrain.histories.kv import Delete, Put
from splitbrain.histories.member_state import Change


class WriteIndex:
    """Finds the operations that may have made a given change."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._puts: dict[tuple[str, str], dict[int, Operation]] = {}
        self._keeping: dict[str, dict[int, Operation]] = {}
        """The operations that put a key and keep its value, whatever it is."""
        self._deletes: dict[str, dict[int, Operation]] = {}
        self._interval_deletes: list[tuple[Delete, Operation]] = []
        self._deleters: dict[str, list[Operation]] = {}
        for op in operations:
            for part in parts(op.request):
                if isinstance(part, Put) and part.ignore_value:
                    self._keeping.setdefault(part.key, {})[op.invoked] = op
                elif isinstance(part, Put):
                    self._puts.setdefault((part.key, part.value), {})[op.invoked] = op
                elif part.range_end:
                    self._interval_deletes.append((part, op))
                else:
                    self._deletes.setdefault(part.key, {})[op.invoked] = op

    def putters(self, key: str, value: str) -> list[Operation]:
        """Return the operations that may put `value` to `key`, in either branch."""
        found = list(self._puts.get((key, value), {}).values())
        return found + list(self._keeping[key].values()) if key in self._keeping else found

    def makers(self, changes: Sequence[Change]) -> list[Operation]:
        """Return the operations that may have made `changes`.

        The lookup uses only one change: the first put or, if all changes are deletes, the first
        delete. The caller must therefore compare the other changes.
        """
        for change in changes:
            if change.kind == "put":
                return self.putters(change.key, change.value)
        return self._deleters_of(changes[0].key) if changes else []

    def _deleters_of(self, key: str) -> list[Operation]:
        """Return the operations that delete `key`, in the order of their invocations."""
        known = self._deleters.get(key)
        if known is not None:
            return known
        found = dict(self._deletes.get(key, {}))
        for part, op in self._interval_deletes:
            if in_interval(key, part.key, part.range_end):
                found[op.invoked] = op
        self._deleters[key] = [found[index] for index in sorted(found)]
        return self._deleters[key]
