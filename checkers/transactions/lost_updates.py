"""Reports lost updates: transactions that read one version of a key and all overwrite it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from splitbrain.checkers.transactions import wording
from splitbrain.checkers.transactions.dependencies import Finds
from splitbrain.histories.transaction import Key, Transaction

NAMED_MAX = 4
"""How many transactions one sentence names."""


def report_lost_updates(
    updates: Mapping[tuple[Key, Any], Sequence[int]],
    transactions: Sequence[Transaction],
    finds: Finds,
    write: str,
) -> None:
    """Report each version of a key that two or more transactions read and then overwrote.

    `updates` maps each pair (key, value) to the transactions that read this value of the key and
    then wrote to the key. The transactions are indexes in `transactions`. The anomalies are added
    to `finds`. `write` describes the write in the message, for example "wrote to it".
    """
    for (key, version), nodes in updates.items():
        if len(nodes) < 2:
            continue
        processes = " and ".join(
            f"process {transactions[node].process} (event {transactions[node].invoked})"
            for node in nodes[:NAMED_MAX]
        )
        finds.add(
            "lost-update",
            f"{processes} each read {key} = {wording.value(version)} and {write}, so one update "
            "did not see the other",
            *nodes,
        )
