"""The interface of a workload, which draws the clients' operations and names the checkers.

A workload is a class. Its options are the keyword arguments of its constructor
(`workload_options`). The operations that a workload draws depend only on the random generator that
it receives. They do not depend on a clock, on an answer or on another client.

The verdict of a run is unknown if a function was invoked at least ten times and never succeeded,
unless faults explain the failures. The optional class attribute `may_always_fail` names the
functions that are exempt from this rule.

A workload may also have a method `final_write(value: str) -> Draft | None`. It replaces the write
that is sent through each member at the end of a run, and None means no write
(`splitbrain.harness.workloads.operations_outside_load`).

A workload may also have the methods `set_up_operations(random) -> Sequence[Draft]` and
`quiet_operations() -> Sequence[Draft]`. The operations of the first method are sent before the
load. Those of the second are sent after all faults are healed and before the final writes. Each
operation is sent until it succeeds.

A workload may also have a method `settle_s() -> float`: the time in s for which a run waits between
the final writes and the final reads.

A workload that enables authentication has a method `administrator() -> tuple[str, str]`: the name
and the password with which the harness sends requests that only an administrator may send.

A workload may also have a method `member_settings() -> Mapping[str, int]`: the settings of members
that it needs, such as a small quota.

A workload of a user is named by a dotted path (`package.module:Class`) or by an entry point of the
group `splitbrain.workloads`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from random import Random
from typing import ClassVar, Protocol, runtime_checkable

from splitbrain.histories.service_operation import AnyRequest

ALWAYS = ("mvcc", "headers", "write_path", "raft_safety", "members", "availability", "statistics")
"""The checkers that judge any history of key-value operations."""


@dataclass(frozen=True, slots=True)
class Draft:
    """One operation as a workload draws it, before the schedule adds its time and its member.

    `f` is the name of the operation in the history.
    """

    f: str
    request: AnyRequest
    _: KW_ONLY
    expect_last_seen: tuple[int, ...] = ()
    """The positions of some comparisons in the transaction. The operand of each of them is replaced
    by the value or the revision that this client last read of the comparison's key."""
    revision_back: int | None = None
    """How far the revision of the range or compaction is below the highest revision that this
    client has seen. A negative number gives a later revision. In a range with bounds of revisions,
    the bounds are replaced, and the range reads the newest revision. None: the request is sent
    unchanged."""
    ranges_back: tuple[tuple[int, int], ...] = ()
    """The revisions of ranges in the transaction. Each pair contains the position of a range and a
    number as in `revision_back`. The ranges of `success` are counted from 0, then those of
    `failure`. The ranges of a nested transaction are counted at its position."""
    after_ok: bool = False
    """Whether the operation is sent only if this client's previous operation succeeded."""
    continue_list: bool = False
    """Whether the operation continues the client's last range with a limit. If that range left keys
    out, the operation reads the next keys, at the revision of that range."""
    member: int | None = None
    """The number of the member to which the operation is sent, modulo the number of members. None:
    the member is drawn."""
    user: str = ""
    """The user as whom the operation is sent. The client logs in with `password` when it must."""
    password: str = ""
    append_to_seen: bool = False
    """Whether the client first reads the compared keys, and appends the values of the transaction
    to the lists that it has read."""


@runtime_checkable
class Workload(Protocol):
    """A workload: it draws the clients' operations and names the checkers of the run.

    The docstring of this module describes the optional methods.
    """

    name: ClassVar[str]
    description: ClassVar[str]
    checkers: ClassVar[Sequence[str]]
    """Names in `splitbrain.checkers.catalogue.CHECKERS`. Empty means all checkers."""

    def operations(self, random: Random, client: int, /) -> Iterator[Draft]:
        """Yield the operations of client number `client`, without end.

        No two operations of a run may write the same value. `UniqueValues` yields such values.
        """
        ...

    def final_operations(self, clients: int, /) -> Sequence[Draft]:
        """Return the reads of all keys that are sent to every member after all faults are healed.

        `clients` is the number of clients of the run.
        """
        ...


class UniqueValues:
    """Values that are unique in a run, of the form `<client>.<count>`."""

    def __init__(self, client: int) -> None:
        self._client = client
        self._count = 0

    def take(self, length: int = 0) -> str:
        """Return the next value, padded to at least `length` characters."""
        self._count += 1
        return f"{self._client}.{self._count}".ljust(length, "~")


FINAL_READ = "final_read"
"""The `f` of the reads at the end of a run."""
