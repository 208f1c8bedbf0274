"""A workload of reads of the member list, for runs whose faults change the members."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import ClassVar

from splitbrain.harness.errors import BadArguments
from splitbrain.harness.workloads.workload import ALWAYS, FINAL_READ, Draft, UniqueValues
from splitbrain.histories.kv import Put, Range
from splitbrain.histories.member_list import MemberList

SERIALIZABLE_SHARE = 0.1


class Members:
    """Reads the member list, and writes and reads `keys` keys.

    `lists_percent` percent of the operations read the list. Most of these reads are linearizable.
    The workload does not change the members; the fault `members` changes them.
    """

    name: ClassVar[str] = "members"
    description: ClassVar[str] = "reads of the member list, for runs that change the members"
    checkers: ClassVar[Sequence[str]] = (*ALWAYS, "linearizable")

    def __init__(self, lists_percent: int = 60, keys: int = 5) -> None:
        if not 1 <= lists_percent <= 100 or not 1 <= keys <= 1000:
            raise BadArguments(
                f"the workload members with lists_percent={lists_percent}, keys={keys}: expected "
                "1 to 100 percent, and 1 to 1000 keys"
            )
        self.lists_percent = lists_percent
        self.keys = keys

    def operations(self, random: Random, client: int) -> Iterator[Draft]:
        values = UniqueValues(client)
        while True:
            key = f"m{random.randrange(self.keys)}"
            if random.random() * 100 < self.lists_percent:
                linearizable = random.random() >= SERIALIZABLE_SHARE
                yield Draft("list", MemberList(linearizable=linearizable))
            elif random.random() < 0.6:
                yield Draft("put", Put(key, values.take()))
            else:
                yield Draft("get", Range(key))

    def final_operations(self, clients: int) -> Sequence[Draft]:
        return (Draft(FINAL_READ, Range("m", "n")), Draft(FINAL_READ, MemberList()))
