"""What clients do in a run, and which checkers judge it.

A workload is a class; its keyword arguments are its options (`workload_options`), and
its instances draw operations from the generator that they are given and from nothing
else: they see no clock, no answer, no other client. What an operation needs to know
of earlier answers is said by `expect_last_seen`, `revision_back` and `append_to_seen`,
and filled in when it is sent; what was sent is what the history holds.

A user's own workload is named by a dotted path (`package.module:Class`) or by an entry
point of the group `splitbrain.workloads`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from random import Random
from typing import ClassVar, Protocol, runtime_checkable

from splitbrain.histories.service import AnyRequest

ALWAYS = ("mvcc", "write_path", "raft_safety", "availability", "statistics")
"""Checkers that judge any history of key-value operations."""


@dataclass(frozen=True, slots=True)
class Draft:
    """One operation as a workload draws it; the plan adds when it begins and where it goes."""

    f: str
    request: AnyRequest
    _: KW_ONLY
    expect_last_seen: tuple[int, ...] = ()
    revision_back: int = 0
    after_ok: bool = False
    """Only if this client's operation before it was answered with success."""
    append_to_seen: bool = False


@runtime_checkable
class Workload(Protocol):
    """See the module."""

    name: ClassVar[str]
    description: ClassVar[str]
    checkers: ClassVar[Sequence[str]]
    """Names in `splitbrain.checkers.catalogue.CHECKERS`; empty: all of them."""

    def operations(self, chance: Random, client: int) -> Iterator[Draft]:
        """Endless operations of client number `client`. Every value that is written is
        written once in a run."""
        ...

    def final_operations(self, clients: int) -> Sequence[Draft]:
        """Reads of all that the run wrote, sent to every member when all is healed."""
        ...


class UniqueValues:
    """Values that no other client writes, and this one not twice: `<client>.<count>`."""

    def __init__(self, client: int) -> None:
        self._client = client
        self._count = 0

    def take(self, length: int = 0) -> str:
        """Of `length` characters at least."""
        self._count += 1
        return f"{self._client}.{self._count}".ljust(length, "~")


FINAL_READ = "final_read"
"""The `f` of the reads at the end of a run."""
